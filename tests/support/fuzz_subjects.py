# SPDX-License-Identifier: Apache-2.0
"""Kinds of input for fuzz.py: how each is made from a number, and how it is read."""

from __future__ import annotations

import atexit
import importlib
import logging
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import gdcm
import numpy as np
import pydicom
import tifffile
from PIL import Image

import clip_material
import fuzz_pictures
import hostile_files
import hostile_imports
import hostile_projects
from fuzz_subject import FaultError, Subject
from mutations import mutated
from vfss.clips import Clip, open_clip
from vfss.errors import ClipError

Read = Callable[[], object]
Maker = Callable[[Path], Path]

_FRAMES = 8
_CODECS: dict[str, tuple[str, dict[str, Any]]] = {
    "mjpeg.avi": ("mjpeg", {"pixels": "yuvj420p", "b_frames": None}),
    "mpeg4.avi": ("mpeg4", {}),
    "mpeg2.mpg": ("mpeg2video", {}),
    "mpeg1.mpg": ("mpeg1video", {}),
    "h264.mp4": ("libx264", {}),
    "h264.mkv": ("libx264", {}),
    "ffv1.mkv": ("ffv1", {"b_frames": None}),
    "huffyuv.avi": ("huffyuv", {"pixels": "yuv422p", "b_frames": None}),
    "wmv2.wmv": ("wmv2", {"b_frames": None, "container": "asf"}),
    "raw.avi": ("rawvideo", {"b_frames": None}),
    "mpeg4.mov": ("mpeg4", {}),
    "mpeg2.ts": ("mpeg2video", {}),
    "cinepak.avi": ("cinepak", {"pixels": "rgb24", "b_frames": None}),
}


def _sound(name: str, write: Maker) -> bytes:
    """Return the content of a sound file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write(path)
        return path.read_bytes()


@cache
def _videos() -> dict[str, bytes]:
    made = {}
    for name, (codec, how) in _CODECS.items():
        made[name] = _sound(
            name, lambda path, codec=codec, how=how: clip_material.write_video(path, codec, count=_FRAMES, **how)
        )
    return made


@cache
def _dicoms() -> dict[str, bytes]:
    frames = clip_material.pictures(_FRAMES)
    deep = clip_material.pictures(_FRAMES, 12)

    def recoded(path: Path, syntax: int, deeper: bool) -> None:
        source = path.with_suffix(".source")
        clip_material.write_dicom(source, deep if deeper else frames, stored=12 if deeper else 8)
        clip_material.recode(source, path, syntax)

    made = {
        "native.dcm": _sound("a.dcm", lambda path: clip_material.write_dicom(path, frames, FrameTime="33.3")),
        "deep.dcm": _sound(
            "a.dcm",
            lambda path: clip_material.write_dicom(
                path, deep, stored=12, FrameTimeVector=[0.0] + [40.0] * 7, FrameIncrementPointer=0x00181065
            ),
        ),
    }
    for name, syntax in {
        "rle.dcm": gdcm.TransferSyntax.RLELossless,
        "jpeg.dcm": gdcm.TransferSyntax.JPEGBaselineProcess1,
        "lossless.dcm": gdcm.TransferSyntax.JPEGLosslessProcess14_1,
        "j2k.dcm": gdcm.TransferSyntax.JPEG2000Lossless,
        "ls.dcm": gdcm.TransferSyntax.JPEGLSLossless,
    }.items():
        made[name] = _sound("a.dcm", lambda path, syntax=syntax: recoded(path, syntax, deeper=False))
        if syntax != gdcm.TransferSyntax.JPEGBaselineProcess1:
            made[f"deep {name}"] = _sound("a.dcm", lambda path, syntax=syntax: recoded(path, syntax, deeper=True))
    return made


@cache
def _stacks() -> dict[str, bytes]:
    frames, deep = clip_material.pictures(_FRAMES), clip_material.pictures(_FRAMES, 12)
    made = {
        "pages.tif": _sound("a.tif", lambda path: tifffile.imwrite(path, frames, photometric="minisblack")),
        "deep.tif": _sound("a.tif", lambda path: tifffile.imwrite(path, deep, photometric="minisblack")),
        "imagej.tif": _sound(
            "a.tif",
            lambda path: tifffile.imwrite(path, frames, imagej=True, metadata={"axes": "TYX", "finterval": 0.04}),
        ),
        "big.tif": _sound("a.tif", lambda path: tifffile.imwrite(path, frames, bigtiff=True, photometric="minisblack")),
        "ome.ome.tif": _sound(
            "a.ome.tif", lambda path: tifffile.imwrite(path, frames, metadata={"axes": "TYX", "TimeIncrement": 0.04})
        ),
        "deflate.tif": _sound(
            "a.tif", lambda path: tifffile.imwrite(path, frames, compression="zlib", photometric="minisblack")
        ),
    }
    for compression in ("tiff_lzw", "packbits", "jpeg"):
        pages = [Image.fromarray(frame) for frame in frames]
        made[f"{compression}.tif"] = _sound(
            "a.tif",
            lambda path, compression=compression, pages=pages: pages[0].save(
                path, save_all=True, append_images=pages[1:], compression=compression
            ),
        )
    return made


@cache
def _pictures() -> dict[str, bytes]:
    frame, deep = clip_material.pictures(1)[0], clip_material.pictures(1, 16)[0]
    return {
        "grey.png": _sound("a.png", lambda path: Image.fromarray(frame).save(path)),
        "deep.png": _sound("a.png", lambda path: Image.fromarray(deep).save(path)),
        "colour.png": _sound("a.png", lambda path: Image.fromarray(np.stack([frame] * 3, -1)).save(path)),
        "palette.png": _sound("a.png", lambda path: Image.fromarray(frame).convert("P").save(path)),
        "grey.jpg": _sound("a.jpg", lambda path: Image.fromarray(frame).save(path)),
        "progressive.jpg": _sound("a.jpg", lambda path: Image.fromarray(frame).save(path, progressive=True)),
    }


def _damaged_file(sound: Callable[[], dict[str, bytes]]) -> Callable[[int, Path], Read]:
    def make(number: int, folder: Path) -> Read:
        rng = np.random.default_rng(number)
        files = sound()
        name = list(files)[number % len(files)]
        path = folder / name
        path.write_bytes(mutated(files[name], rng))
        return lambda: read_in_two_orders(path, rng)

    return make


def _damaged_folder(number: int, folder: Path) -> Read:
    rng = np.random.default_rng(number)
    files = _pictures()
    name = list(files)[number % len(files)]
    suffix = Path(name).suffix
    for t in range(3):
        (folder / f"{t}{suffix}").write_bytes(files[name])
    (folder / f"{int(rng.integers(3))}{suffix}").write_bytes(mutated(files[name], rng))
    return lambda: read_in_two_orders(folder, rng)


def read_in_two_orders(path: Path, rng: np.random.Generator) -> None:
    """Read a recording from start to end, and some of its frames in another order from another reader.

    Raises:
        ClipError: It is refused as a whole.
        FaultError: A frame depends on what was read before it.
    """
    with open_clip(path) as clip:
        count = min(len(clip), 40)
        forward = [_frame(clip, t) for t in range(count)]
        again = clip.reopen()
    with again, open_clip(path) as fresh:
        for reader in (again, fresh):
            for t in rng.permutation(count)[:12]:
                if _frame(reader, int(t)) != forward[t]:
                    raise FaultError("a frame depends on what was read before it")


def _frame(clip: Clip, t: int) -> bytes | None:
    """Return the bytes of a frame, None if it cannot be decoded."""
    try:
        frame = clip[t]
    except ClipError:
        return None
    if frame.shape != (clip.height, clip.width):
        raise FaultError(f"frame {t} is {frame.shape}")
    return frame.tobytes()


def _changed_tags(number: int, folder: Path) -> Read:
    """A DICOM file whose elements hold values that they should not."""
    rng = np.random.default_rng(number)
    files = _dicoms()
    path = folder / "a.dcm"
    path.write_bytes(list(files.values())[number % len(files)])
    dataset = pydicom.dcmread(path)
    elements = [element for element in dataset if element.keyword != "PixelData"]
    for _ in range(int(rng.integers(1, 4))):
        element = elements[int(rng.integers(len(elements)))]
        try:
            if rng.random() < 0.3:
                dataset.pop(element.tag, None)
            elif element.VR in ("US", "UL", "SS", "SL"):
                dataset[element.tag].value = int(rng.choice([0, 1, 2, 7, 9, 255, 4096, 65535]))
            else:
                values = ["", "0", "-1", "1e400", "NaN", "66,667", "2147483647", "abc\\def", "1\\2\\3", "\\"]
                value = str(rng.choice(values)).encode()  # as it stands in a file: the setter would correct it
                raw = (element.tag, element.VR, len(value), value, 0, False, True)
                dataset[element.tag] = pydicom.dataelem.RawDataElement(*raw)
        except (ValueError, TypeError, KeyError):
            continue
    try:
        dataset.save_as(path)
    except Exception:  # noqa: BLE001 - pydicom does not write everything
        path.write_bytes(mutated(path.read_bytes(), rng))
    return lambda: read_in_two_orders(path, rng)


def _claims(number: int, folder: Path) -> Read:
    """A file or folder whose structure is sound and whose sizes, times and kinds are not so."""
    path = fuzz_pictures.write(folder, *fuzz_pictures.case(number))
    return lambda: read_in_two_orders(path, np.random.default_rng(number))


def _foreign_masks(kind: str) -> Callable[[int, Path], Read]:
    def make(number: int, folder: Path) -> Read:
        hostile_imports.write(folder, hostile_imports.case(kind, number))
        return lambda: hostile_imports.read(folder, kind)

    return make


def _hostile_file(kind: str) -> Callable[[int, Path], Read]:
    def make(number: int, folder: Path) -> Read:
        if kind == "recipe":
            importlib.import_module("timm")  # takes seconds once, which is no fault of a recipe
        path = folder / "file"
        path.write_bytes(hostile_files.case(kind, number)[1])
        return lambda: hostile_files.read(kind, path)

    return make


@cache
def _template() -> tuple[Path, tuple[hostile_projects.Damage, ...]]:
    """Return the folder around a sound project, kept as long as the process, and what can be done to a copy."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-template-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    project = hostile_projects.template(folder)
    known = [*hostile_projects.contradictions(), *hostile_projects.values(project)]
    return folder, tuple(damage for _, damage in known)


def _project(number: int, folder: Path) -> Read:
    """A project with what no version of the program wrote: half of them in its values, half in the bytes of a file."""
    template, known = _template()
    shutil.copytree(template, folder / "copy")
    project = folder / "copy" / "project"
    damage = known[number // 2 % len(known)] if number % 2 else next(hostile_projects.bytes_changed(number, 1))[1]
    damage(project)
    logging.disable(logging.ERROR)
    return lambda: (hostile_projects.exercise(project), hostile_projects.wrong(project))


SUBJECTS = [
    Subject("video", 3, _damaged_file(_videos)),
    Subject("dicom", 2, _damaged_file(_dicoms)),
    Subject("dicom values", 1, _changed_tags),
    Subject("tiff", 1, _damaged_file(_stacks)),
    Subject("pictures", 1, _damaged_folder),
    *(Subject(f"import {kind}", 0.3, _foreign_masks(kind)) for kind in hostile_imports.KINDS),
    Subject("claims", 2, _claims),
    *(Subject(f"file {kind}", 0.3, _hostile_file(kind)) for kind in hostile_files.KINDS),
    Subject("project", 0.6, _project),
]
