# SPDX-License-Identifier: Apache-2.0
"""Files of masks that lie or are damaged, of every kind that is imported, each made from a number.

A case is the files of a folder, content by path: `cases(seed)` gives one of every kind. Each kind begins with files
that were made to do harm (sizes without measure, entities and aliases that unfold, archives that inflate); then sound
files are damaged at random, in their bytes and, where they are text, in their values.
"""

from __future__ import annotations

import contextlib
import copy
import gzip
import io
import json
import re
import shutil
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
from PIL import Image
from pydicom.uid import DeflatedExplicitVRLittleEndian

from foreign_masks import segmentation, write_coco, write_label_image, write_planes
from mutations import mutated
from small_project import THREE, annotate, disc, grey_frames, write_video
from vfss.datasets import FORMATS, ExportOptions, read_coco, read_cvat, read_datumaro, read_png, run_export
from vfss.datasets.formats.cvat import encode_mask
from vfss.errors import VfssError
from vfss.importing import SourceOptions, open_source
from vfss.masks import MaskState
from vfss.project import Project

Files = dict[str, bytes]

HEIGHT, WIDTH, FRAMES = 24, 32, 4
INNER, OUTER = (disc(HEIGHT, WIDTH, y=12, x=14, radius=r) for r in (4, 8))
VALUES = np.where(INNER, 1, np.where(OUTER, 2, 0)).astype(np.uint8)
_MOST_PIXELS = 1 << 20
_HUGE = (2**31, 2**31 - 1, 2**32, 2**63, 2**64, 10**30, -1, -(2**31), 1e308, -0.0, 0)
_ODD: tuple[Any, ...] = (
    *_HUGE,
    *(None, True, "", "x", "\ud800", "9" * 30, [], [[]], {}, [None], {"a": 1}, [1, 2], "clip-bcdfghjk_000001.png"),
    *(float("nan"), float("inf"), [[1e308, 1e308, -1e308, 0, 0, 5]], [float("nan")] * 6, [[0, 0, 5, 0, 5, 5]] * 50),
    *([2**62, 2**62], [0] * 2000, "o" * 200, "0" * 500, "~" * 40, {"size": [2**31, 2], "counts": "Pf8"}),
    *({"size": [24, 32], "counts": [2**63, 2**63]}, {"size": [2**32, 2**32], "counts": []}, "../../../etc/passwd"),
)
"""Values that a number, a name or a list in a file may have instead of its own."""


def cases(seed: int) -> Iterator[tuple[str, Files]]:
    """Yield a case of every kind: its name, and its files."""
    for kind in KINDS:
        yield kind, case(kind, seed)


def harmful(kind: str) -> int:
    """Return how many cases of a kind were made to do harm: the first ones."""
    return len(_made(kind))


def write(folder: Path, files: Files) -> None:
    """Write the files of a case."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def case(kind: str, number: int) -> Files:
    """Return the files of a case."""
    made = _made(kind)
    if number < len(made):
        return made[number]
    rng = np.random.default_rng((number, *kind.encode()))
    return KINDS[kind](rng)


def read(folder: Path, kind: str) -> None:
    """Read a folder of masks as this kind and as whatever it is taken for, all planes of plausible size.

    Raises:
        VfssError: Some of it cannot be read.
    """
    names = ("labels.json", "table.json")
    table = next((folder / name for name in names if (folder / name).is_file()), None)
    if kind in _EXPORTS:
        return _read_export(folder, kind)
    errors: list[Exception] = []
    for name in (kind, None):
        try:
            source = open_source(folder, name and name.split()[0], SourceOptions(table, 0.5))
        except VfssError as error:
            errors.append(error)
            continue
        for image in source.images:
            sized = image if image.height else replace(image, height=HEIGHT, width=WIDTH)
            if sized.height * sized.width <= _MOST_PIXELS:
                try:
                    source.planes(sized)
                except VfssError as error:
                    errors.append(error)
    for error in errors:
        str(error).encode("utf-8")  # what a person is shown
    if errors:
        raise errors[0]
    return None


def _read_export(folder: Path, kind: str) -> None:
    """Read a dataset of ours back, all images but none of great size."""
    for image in _EXPORTS[kind](folder):
        str(image.provenance)


# Sound files


@cache
def _sound(kind: str) -> Files:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _WRITERS[kind](folder)
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def _write_coco(folder: Path) -> None:
    write_coco(folder / "a.json", {f"a_{t}.png": {"jaw": INNER, "bolus": OUTER} for t in range(FRAMES)})
    data = json.loads((folder / "a.json").read_text("utf-8"))
    data["annotations"][1]["segmentation"] = [[2, 2, 20, 2, 20, 20, 2, 20], [5, 5, 9, 5, 9, 9]]
    runs = [10, 5, HEIGHT * WIDTH - 15]
    data["annotations"][2]["segmentation"] = {"size": [HEIGHT, WIDTH], "counts": runs}
    (folder / "a.json").write_text(json.dumps(data), "utf-8")


def _write_datumaro(folder: Path) -> None:
    (folder / "annotations").mkdir()
    rle = {"size": [HEIGHT, WIDTH], "counts": [10, 5, HEIGHT * WIDTH - 15]}
    shapes: list[dict[str, Any]] = [
        {"id": 1, "type": "mask", "label_id": 0, "rle": rle},
        {"id": 2, "type": "polygon", "label_id": 1, "points": [2, 2, 20, 2, 20, 20]},
    ]
    items = [
        {"id": f"a_{t}", "annotations": shapes, "attr": {}, "image": {"path": f"a_{t}.png", "size": [HEIGHT, WIDTH]}}
        for t in range(FRAMES)
    ]
    labels = {"label": {"labels": [{"name": "bolus"}, {"name": "jaw"}]}}
    (folder / "annotations" / "train.json").write_text(json.dumps({"categories": labels, "items": items}), "utf-8")


def _write_cvat(folder: Path) -> None:
    box = "".join(f' {name}="{value}"' for name, value in encode_mask(INNER).items())
    shapes = f'<mask label="bolus"{box}></mask><polygon label="jaw" points="2,2;20,2;20,20"></polygon>'
    images = "".join(
        f'<image id="{t}" name="a_{t}.png" width="{WIDTH}" height="{HEIGHT}">{shapes}</image>' for t in range(FRAMES)
    )
    track = '<track id="0" label="jaw"><polygon frame="2" outside="0" points="2,2;20,2;20,20"></polygon></track>'
    head = "<meta><task><labels><label><name>bolus</name></label></labels></task></meta>"
    text = f"<annotations><version>1.1</version>{head}{images}{track}</annotations>"
    text = '<?xml version="1.0" encoding="utf-8"?>\n' + text
    (folder / "annotations.xml").write_text(text, "utf-8")


def _write_yolo(folder: Path) -> None:
    (folder / "labels" / "train").mkdir(parents=True)
    for t in range(FRAMES):
        lines = "0 0.1 0.1 0.5 0.1 0.5 0.5\n1 0.2 0.2 0.9 0.2 0.9 0.9 0.875\n1 0.5 0.5 0.2 0.2\n"
        (folder / "labels" / "train" / f"a_{t}.txt").write_text(lines, "ascii")
    (folder / "data.yaml").write_text("names:\n  0: bolus\n  1: jaw\ntrain: images/train\n", "ascii")


def _write_nnunet(folder: Path) -> None:
    (folder / "labelsTr").mkdir()
    for t in range(FRAMES):
        write_label_image(folder / "labelsTr" / f"a_{t}.png", VALUES)
    table = {"channel_names": {"0": "x"}, "labels": {"background": 0, "bolus": 1, "jaw": [1, 2], "ignore": 3}}
    (folder / "dataset.json").write_text(json.dumps({**table, "numTraining": 4, "file_ending": ".png"}), "utf-8")


def _write_volumes(folder: Path, suffix: str) -> None:
    (folder / "clip-bcdfghjk").mkdir()
    write_label_image(folder / "clip-bcdfghjk" / f"bolus{suffix}", np.stack([VALUES == 1] * FRAMES))
    states = {"bolus": "accepted"}
    rows = [{"clip": "clip-bcdfghjk", "frame": t, "volume_index": t, "states": states} for t in range(FRAMES)]
    (folder / "frames.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    (folder / "manifest.json").write_text(json.dumps({"frames": FRAMES, "volume_axes": ["x", "y", "frame"]}), "utf-8")


def _write_tiff(folder: Path) -> None:
    write_label_image(folder / "film.tif", np.stack([VALUES] * FRAMES))
    table = {"channel_names": {"0": "x"}, "labels": {"background": 0, "bolus": 1, "jaw": 2}}
    (folder / "dataset.json").write_text(json.dumps({**table, "file_ending": ".tif"}), "utf-8")


def _write_png(folder: Path) -> None:
    write_planes(folder, {f"a_{t}.png": {"bolus": INNER, "jaw": OUTER} for t in range(FRAMES)})


def _segmentation() -> pydicom.Dataset:
    masks = [(0, 1, INNER), (1, 1, INNER), (1, 2, OUTER)]
    return segmentation("1.2.3", masks, (("Bolus", None), ("Jaw", "91609006")), "BINARY")


def _write_segmentation(folder: Path) -> None:
    _segmentation().save_as(folder / "seg.dcm", enforce_file_format=True)


_CASE_KEY = {
    "what": "case key of napari-vfss: keep it secret, and apart from everything that was exported",
    "version": 1,
}


def _write_export(folder: Path, name: str) -> None:
    """A dataset of one frame as it is exported, under the same names each time."""
    with tempfile.TemporaryDirectory() as beside, Project.create(Path(beside) / "project", THREE) as project:
        clip = project.add_clip(write_video(Path(beside) / "a.mkv", grey_frames(2, HEIGHT, WIDTH)), patient="p").id
        annotate(project, clip, 1, {"bolus": INNER, "pharynx": OUTER, "mandible": MaskState.EMPTY})
        names = {"cases": {"p": "case-bcdfghjk"}, "recordings": {clip: "clip-bcdfghjk"}, "annotators": {}}
        key = Path(beside) / "key.json"
        key.write_text(json.dumps({**_CASE_KEY, "secret": "0" * 64, **names}), "utf-8")
        run_export(FORMATS[name], project, Path(beside) / "out", ExportOptions(key=key))
        shutil.copytree(Path(beside) / "out", folder, dirs_exist_ok=True)
        for document in (*folder.glob("*.md"), folder / "SHA256SUMS"):
            document.unlink()


_EXPORTS: dict[str, Callable[[Path], Any]] = {
    "export coco": read_coco,
    "export datumaro": read_datumaro,
    "export cvat": read_cvat,
    "export png": read_png,
}

_WRITERS: dict[str, Callable[[Path], None]] = {
    "coco": _write_coco,
    "datumaro": _write_datumaro,
    "cvat": _write_cvat,
    "yolo": _write_yolo,
    "nnunet": _write_nnunet,
    "nnunet tiff": _write_tiff,
    "nifti": lambda folder: _write_volumes(folder, ".nii"),
    "nifti gz": lambda folder: _write_volumes(folder, ".nii.gz"),
    "png": _write_png,
    "dicom-seg": _write_segmentation,
    **{kind: (lambda folder, kind=kind: _write_export(folder, kind.split()[1])) for kind in _EXPORTS},
}


# Damage at random


def _damaged(kind: str, rng: np.random.Generator) -> Files:
    """Damage one of the files, in its values if it is text and chance wills it, else in its bytes."""
    files = dict(_sound(kind))
    name = list(files)[int(rng.integers(len(files)))]
    in_text = {".json": _other_json, ".jsonl": _other_lines, ".xml": _other_numbers, ".txt": _other_numbers}
    change = in_text.get(Path(name).suffix)
    if name.endswith(".gz") and rng.random() < 0.7:  # behind the checksum
        files[name] = gzip.compress(mutated(gzip.decompress(files[name]), rng), 1)
    elif name.endswith(".dcm") and rng.random() < 0.6:
        files[name] = _other_elements(rng)
    elif change is not None and rng.random() < 0.75:
        files[name] = change(files[name], rng)
    else:
        files[name] = mutated(files[name], rng)
    return files


def _other_json(content: bytes, rng: np.random.Generator) -> bytes:
    """Put other values into a JSON document."""
    data = json.loads(content)
    for _ in range(int(rng.integers(1, 4))):
        places = list(_places(data))
        if not places:
            break
        holder, at = places[int(rng.integers(len(places)))]
        change = rng.random()
        if change < 0.75:
            holder[at] = copy.deepcopy(_ODD[int(rng.integers(len(_ODD)))])
        elif change < 0.9:
            del holder[at]
        elif isinstance(holder, list):
            holder.append(copy.deepcopy(holder[at]))
    return json.dumps(data).encode("utf-8", "surrogatepass")


def _other_lines(content: bytes, rng: np.random.Generator) -> bytes:
    lines = content.splitlines()
    at = int(rng.integers(len(lines)))
    lines[at] = _other_json(lines[at], rng)
    return b"\n".join(lines)


def _places(data: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every place in a document: its list or object, and index or name there."""
    keys = range(len(data)) if isinstance(data, list) else list(data) if isinstance(data, dict) else ()
    for at in keys:
        yield data, at
        yield from _places(data[at])


_TOKEN = re.compile(rb"[-+]?[0-9][0-9.]*")


def _other_numbers(content: bytes, rng: np.random.Generator) -> bytes:
    """Put other words in the place of some numbers of a text."""
    words = (*(str(value) for value in _HUGE), "nan", "inf", "1e309", "", "-", "x", "1;2;3", "0x10", "9" * 5000, "1_0")
    for _ in range(int(rng.integers(1, 4))):
        found = list(_TOKEN.finditer(content))
        if found:
            place = found[int(rng.integers(len(found)))]
            word = str(words[int(rng.integers(len(words)))]).encode()
            content = content[: place.start()] + word + content[place.end() :]
    return content


def _other_elements(rng: np.random.Generator) -> bytes:
    """A segmentation whose elements hold values that they should not."""
    made = _segmentation()
    holders = [made, *made.SegmentSequence, *made.PerFrameFunctionalGroupsSequence]
    for _ in range(int(rng.integers(1, 4))):
        holder = holders[int(rng.integers(len(holders)))]
        elements = [element for element in holder.iterall() if element.VR != "OB"]
        element = elements[int(rng.integers(len(elements)))]
        if rng.random() < 0.3:
            holder.pop(element.tag, None)
        elif element.VR in ("US", "UL"):
            element.value = int(rng.choice([0, 1, 2, 9, 255, 4096, 65535]))
        elif element.VR == "SQ":
            element.value = list(element.value) * int(rng.choice([0, 2, 9]))
        elif element.VR == "IS":
            element.value = str(rng.choice(["0", "-1", "2147483647", "1000000", "9"]))
        else:
            words = ["", "0", "x", "LABELMAP", "FRACTIONAL", "1.2.840.10008.1.2.5"]
            with contextlib.suppress(ValueError, TypeError):  # some values must be tags
                element.value = str(rng.choice(words))
    stream = io.BytesIO()
    try:
        made.save_as(stream, enforce_file_format=True)
    except Exception:  # noqa: BLE001 - pydicom does not write everything
        return mutated(_sound("dicom-seg")["seg.dcm"], rng)
    return stream.getvalue()


KINDS: dict[str, Callable[[np.random.Generator], Files]] = {
    kind: (lambda rng, kind=kind: _damaged(kind, rng)) for kind in _WRITERS
}


# Made to do harm


@cache
def _made(kind: str) -> list[Files]:
    return _MADE[kind]() if kind in _MADE else []


def _coco_of(segmentation: Any, **image: Any) -> Files:
    data = {
        "images": [{"id": 1, "file_name": "a_1.png", "height": HEIGHT, "width": WIDTH} | image],
        "categories": [{"id": 1, "name": "bolus"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "segmentation": segmentation}],
    }
    return {"a.json": json.dumps(data).encode()}


def _bad_segmentations() -> list[Any]:
    size = [HEIGHT, WIDTH]
    around = [value for t in range(132_000) for value in ((t % 2) * 90.0, (t % 3) * 90.0)]
    return [
        {"size": size, "counts": "PPYo1" * 2000},
        {"size": size, "counts": [2**31, 2**31]},
        {"size": size, "counts": [2**63, -(2**63) + HEIGHT * WIDTH]},
        {"size": [2**31, 2**31], "counts": "0"},
        {"size": [2**20, 2**20], "counts": [2**40]},
        {"size": size, "counts": "_" * 60 + "0"},
        {"size": size, "counts": "0" * 300_000},
        {"size": size, "counts": [0] * 100_000},
        [around],
        [[1e300, 0, 0, 0, 0, 1]],
        [[float("nan")] * 6],
        [[0, 0, 5, 0, 5, 5]] * 50_000,
    ]


def _made_coco() -> list[Files]:
    sound = _sound("coco")["a.json"]
    files = [_coco_of(segmentation) for segmentation in _bad_segmentations()]
    files += [_coco_of({"size": [h, w], "counts": [h * w]}, height=h, width=w) for h, w in ((2**31, 2), (10**9, 10**9))]
    deep = b'{"images": ' + b"[" * 200_000 + b', "annotations": 1, "categories": 1}'
    return [*files, {"a.json": deep}, {"a.json": sound.replace(b'"height": 24', b'"height": ' + b"9" * 5000)}]


def _made_datumaro() -> list[Files]:
    made = []
    for bad in _bad_segmentations()[::2]:
        data = json.loads(_sound("datumaro")["annotations/train.json"])
        kind = "mask" if isinstance(bad, dict) else "polygon"
        points = [] if kind == "mask" else bad[0]
        data["items"][0]["annotations"] = [{"type": kind, "label_id": 0, "rle": bad, "points": points}]
        made.append({"annotations/train.json": json.dumps(data).encode()})
    return made


def _made_cvat() -> list[Files]:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    kinds = [
        f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY l0 "ha">{laughs}]><annotations>&l11;</annotations>',
        f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY q "{"a" * 50_000}">]><annotations>{"&q;" * 50_000}</annotations>',
        '<!DOCTYPE a [<!ENTITY f SYSTEM "file:///etc/passwd">]><annotations><image name="&f;"/></annotations>',
        "<annotations>" + "<a>" * 300_000 + "</a>" * 300_000 + "</annotations>",
    ]
    boxes = [
        'rle="0, 99999999999" left="0" top="0" width="32" height="24"',
        'rle="4" left="0" top="0" width="999999999" height="999999999"',
        f'rle="{"0, " * 100_000}1" left="0" top="0" width="1" height="1"',
        'rle="1" left="-5" top="-5" width="1" height="1"',
    ]
    shapes = [f'<mask label="a" {box}/>' for box in boxes]
    shapes += [
        f'<polygon label="a" points="{"0,0;90,90;" * 300_000}1,1"/>',
        '<polygon label="a" points="nan,1;2,inf;3,3"/>',
    ]
    shapes += ['<polygon label="a" points="1e308,1;-1e308,5;3,3"/>']
    kinds += [
        f'<annotations><image name="a_1.png" width="{WIDTH}" height="{HEIGHT}">{shape}</image></annotations>'
        for shape in shapes
    ]
    files = [{"annotations.xml": kind.encode()} for kind in kinds]
    return [*files, {"annotations.xml": b'<?xml version="1.0" encoding="utf-7"?><annotations></annotations>'}]


def _made_yolo() -> list[Files]:
    sound = _sound("yolo")
    names = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10))
    kinds: list[Files] = [
        {"data.yaml": b"a0: &a0 [x]\n" + names.encode() + b"names: *a9\n"},
        {"data.yaml": b"names: !!python/object/apply:os.system ['true']\n"},
        {"data.yaml": b"names: " + b"[" * 100_000},
        {"data.yaml": b"names: {" + b", ".join(b"%d: x%d" % (n, n) for n in range(50_000)) + b"}"},
        {"labels/train/a_0.txt": b"0 " + b"0.5 0.1 " * 2_000_000},
        {"labels/train/a_0.txt": b"0 1e308 nan inf 0 0 0\n"},
        {"labels/train/a_0.txt": b"99999999999999999999 0.1 0.1 0.2 0.2 0.1 0.1\n"},
    ]
    return [sound | kind for kind in kinds]


def _png(height: int, width: int, extra: bytes = b"") -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(1 << 22), 1))
    return b"\x89PNG\r\n\x1a\n" + head + extra + pixels + chunk(b"IEND", b"")


@cache
def _bad_pictures() -> tuple[bytes, ...]:
    text = zlib.compress(bytes(1 << 24), 1)
    inflates = struct.pack(">I", len(text) + 6) + b"zTXtabc\0\0" + text
    inflates = inflates[: 4 + 4 + len(text) + 6] + struct.pack(">I", zlib.crc32(b"zTXt" + b"abc\0\0" + text))
    pictures = [_png(2**31 - 1, 2**31 - 1), _png(60_000, 60_000), _png(1, 2**31 - 1), _png(HEIGHT, WIDTH, inflates)]
    stream = io.BytesIO()
    Image.new("L", (WIDTH, HEIGHT)).save(stream, "EPS")
    return *pictures, stream.getvalue(), b""


def _made_pictures(kind: str, name: str) -> list[Files]:
    return [_sound(kind) | {name: picture} for picture in _bad_pictures()]


def _volume(shape: tuple[int, ...], content: bytes, code: int = 2, bits: int = 8) -> bytes:
    header = bytearray(nib.Nifti1Header().binaryblock)
    header[40:56] = struct.pack("<8h", len(shape), *shape, *[1] * (7 - len(shape)))
    header[70:74] = struct.pack("<2h", code, bits)
    header[108:112] = struct.pack("<f", 352.0)
    return bytes(header) + bytes(4) + content


def _made_volumes(suffix: str) -> list[Files]:
    name = f"clip-bcdfghjk/bolus{suffix}"
    plain = HEIGHT * WIDTH * FRAMES
    shapes = [(2**15 - 1,) * 7, (WIDTH, HEIGHT, 2**15 - 1), (2**15 - 1, 2**15 - 1, FRAMES), (-5, 4, 4), (0, 0, 0)]
    volumes = [_volume(shape, bytes(plain)) for shape in shapes]
    volumes += [
        _volume((WIDTH, HEIGHT, FRAMES), bytes(16 * plain), *kind) for kind in ((128, 24), (32, 64), (1536, 128))
    ]
    volumes += [_volume((WIDTH, HEIGHT, FRAMES), bytes(1 << 24 if suffix.endswith("gz") else 1 << 20))]
    wide = bytearray(nib.Nifti2Header().binaryblock)
    wide[16:80] = struct.pack("<8q", 3, WIDTH, HEIGHT, 2**60, 1, 1, 1, 1)
    volumes.append(bytes(wide) + bytes(4 + plain))
    packed = [gzip.compress(volume, 1) if suffix.endswith("gz") else volume for volume in volumes]
    files = _sound("nifti gz" if suffix.endswith("gz") else "nifti")
    old = {"manifest.json": json.dumps({"frames": FRAMES}).encode()}
    return [files | more | {name: volume} for more in ({}, old) for volume in packed]


def _made_segmentations() -> list[Files]:
    made = []
    for changes in (
        {"NumberOfFrames": "2147483647"},
        {"Rows": 65535, "Columns": 65535},
        {"BitsAllocated": 65535},
        {"NumberOfFrames": "0"},
        {"MaximumFractionalValue": 0, "SegmentationType": "FRACTIONAL"},
    ):
        dataset = _segmentation()
        for name, value in changes.items():
            setattr(dataset, name, value)
        stream = io.BytesIO()
        dataset.save_as(stream, enforce_file_format=True)
        made.append({"seg.dcm": stream.getvalue()})
    dataset = _segmentation()
    dataset.PixelData = bytes(1 << 24)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return [*made, {"seg.dcm": stream.getvalue()}]


def _made_exports(kind: str, file: str) -> list[Files]:
    """Exports that claim sizes, and run lengths, that are not those of their pictures."""
    sound = _sound(kind)
    text = sound[file].decode()
    made = [
        text.replace(f'"height": {HEIGHT}', f'"height": {height}') for height in (2**31, 10**9, HEIGHT + 1, -1, "1e99")
    ]
    made += [
        re.sub(r'"counts": "[^"]*"', f'"counts": {json.dumps(counts)}', text) for counts in ("0" * 99, "oooo~", [2**62])
    ]
    made += [
        re.sub(r'"size": \[[^]]*\]', f'"size": {size}', text) for size in ([2**31, 2**31], [1, 1], "x", [WIDTH, HEIGHT])
    ]
    return [sound | {file: changed.encode()} for changed in made]


_MADE: dict[str, Callable[[], list[Files]]] = {
    "coco": _made_coco,
    "datumaro": _made_datumaro,
    "cvat": _made_cvat,
    "yolo": _made_yolo,
    "nnunet": lambda: _made_pictures("nnunet", "labelsTr/a_1.png"),
    "png": lambda: _made_pictures("png", "bolus/a_1.png"),
    "nifti": lambda: _made_volumes(".nii"),
    "nifti gz": lambda: _made_volumes(".nii.gz"),
    "dicom-seg": _made_segmentations,
    "export coco": lambda: _made_exports("export coco", "annotations.json"),
    "export datumaro": lambda: _made_exports("export datumaro", "annotations/train.json"),
    "export png": lambda: _made_exports("export png", "dataset.json"),
}
