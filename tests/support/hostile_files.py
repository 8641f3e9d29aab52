# SPDX-License-Identifier: Apache-2.0
"""Student files, recipes, schemas and JSON files as somebody may send them who wants to do harm, or who is unlucky.

`cases(seed)` goes on for ever; `read(kind, path)` reads a file as the program does, and may raise a VfssError only.
"""

from __future__ import annotations

import atexit
import importlib
import io
import json
import pickle
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper
from PIL import Image

import tiny_graph_student as tiny
from mutations import mutated
from small_project import cohort
from vfss.datasets import FORMATS, read_coco, read_cvat, read_png, run_export
from vfss.datasets.dataset import Dataset
from vfss.deidentify import CaseKey
from vfss.deidentify.review_pack import read_redactions
from vfss.output.partial_folder import MARK, PartialFolder
from vfss.schema import Schema
from vfss.student import load_student

Case = tuple[str, str, bytes]
Random = np.random.Generator

VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    2**31,
    2**63,
    -(2**63) - 1,
    10**30,
    10**400,
    0.5,
    -0.5,
    1e308,
    float("nan"),
    float("inf"),
    float("-inf"),
    "",
    "x",
    "x" * 100_000,
    "\x00",
    "a\nb",
    "\ud800",
    "../../etc/passwd",
    "hf-hub:timm/resnet18.a1_in1k",
    "local-dir:/etc",
    "${oc.env:HOME}",
    "https://example.org/x",
    [],
    {},
    [[]],
    [None],
    ["x", 1],
    [float("nan")] * 3,
    {"": 1},
    {"key": {}},
)
"""Values that stand where something else is expected."""
DEEP = 100_000
_LOADED_FIRST = {
    "student": ("vfss.student.openvino_runtime",),
    "recipe": ("vfss_training.config.recipe", "timm"),
    "coco dataset": ("pycocotools.mask",),
}
"""What takes seconds to import and is no part of reading."""
SCHEMA: dict[str, Any] = Schema.load().to_dict()
RECIPE: dict[str, Any] = {
    "name": "hostile",
    "student": {"backbone": "mobilenetv3_small_050", "input_size": 64, "width": 32, "heads": 2, "depth": 1},
    "start": {"student": "default", "sha256": "", "input_size": 64},
    "styles": {"standard": 1.0},
    "held_out": {"standard": {"weight": 1.0, "first_seed": 90_000, "frames": 2}},
    "steps": 10,
    "batch": 2,
    "learning_rate": 0.001,
    "stages": [{"until": 0.5, "size": 32}, {"until": 1.0, "size": 64}],
    "distill": {"teachers": ["mobile-sam"], "weight": 0.5, "frames": 10},
    "self_teaching": {"students": 1, "backbone": "mobilenetv3_small_050"},
    "clicks": {"steps": 2},
}
CASE_KEY = {
    "what": "case key of napari-vfss: keep it secret, and apart from everything that was exported",
    "version": 1,
    "secret": "ab" * 32,
    "cases": {"P1": "case-bcdfghjk"},
    "recordings": {"b2-1": "clip-bcdfghjk"},
    "annotators": {"Ada": "annotator-1"},
}
REDACTIONS = {"clips": [{"clip": "b2-1", "boxes": [{"top": 1, "left": 2, "bottom": 3, "right": 4}], "crop": None}]}
ROWS = [{"clip": "b2-1", "facts": {"frames": 3}}, {"clip": "b2-1", "frame": 0, "fields": {}, "lost": {}, "kept": {}}]
YAML_BOMBS = (
    "a: &a [x,x,x,x,x,x,x,x,x]\n"
    + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{','.join([f'*{chr(97 + i)}'] * 9)}]\n" for i in range(9)),
    "[" * DEEP,
    "{a: " * 5000,
    "- " * 5000,
    "a: " + "9" * 200_000,
    "a: 0x" + "f" * 100_000,
    "a: 1" + ":1" * 100_000,
    "steps: .nan\nholds_frames: -.inf",
    "steps: 1\nsteps: 2",
    "1: 2\n[1]: 2",
    "&a [*a]",
    "a: &a {b: *a}",
    "structures: &s [*s]",
    "a: !!python/object/apply:os.system [touch /tmp/hostile]",
    "a: !!bool perhaps\nb: !!timestamp never\nc: !!int x",
    "a: 2020-99-99",
    "name: ${oc.env:HOME}\nstart: {student: ${file:/etc/passwd}}",
    "x" * 2_000_000,
    "\x00",
    "a: *b",
    "--- a\n--- b",
    "%YAML 9.9\n---\na",
    "? ? ? a",
    "<<: [1]",
    "",
    "null",
    "[]",
)
OPERATORS = ("Loop", "If", "Scan", "RandomNormal", "NonZero", "StringConcat", "Nonsense", "ConstantOfShape", "TopK")


def cases(seed: int) -> Iterator[Case]:
    """Yield hostile files for ever, the same for the same seed: a name that says what was done, the kind, the bytes."""
    number = 0
    while True:
        for kind in KINDS:
            name, data = case(kind, seed * 1_000_003 + number)
            yield name, kind, data
        number += 1


def case(kind: str, number: int) -> tuple[str, bytes]:
    """Return one hostile file of a kind: what was done, and its bytes."""
    for module in _LOADED_FIRST.get(kind, ()):
        importlib.import_module(module)
    random = np.random.default_rng([number, *kind.encode()])
    return KINDS[kind](random)


def read(kind: str, path: Path) -> object:
    """Read a file as the program does."""
    return _READERS[kind](path)


def spoilt(value: Any, random: Random) -> Any:
    """Return JSON with one to three parts dropped, replaced, renamed, repeated or nested deeply."""
    value = deepcopy(value)
    for _ in range(int(random.integers(1, 4))):
        places = list(_places(value))
        if not places:
            return VALUES[int(random.integers(len(VALUES)))]
        inside, at = places[int(random.integers(len(places)))]
        match int(random.integers(6)):
            case 0:
                del inside[at]
            case 1 if isinstance(inside, list):
                inside[at:at] = [deepcopy(inside[at])] * int(random.choice([1, 300]))
            case 1:
                inside[f"{at}x"] = inside.pop(at)
            case 2:
                for _ in range(int(random.choice([1, 70, 100]))):
                    inside[at] = [inside[at]] if random.random() < 0.5 else {"a": inside[at]}
            case _:
                inside[at] = deepcopy(VALUES[int(random.integers(len(VALUES)))])
    return value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, dict | list):
            for at in item if isinstance(item, dict) else range(len(item)):
                yield item, at
                pending.append(item[at])


def json_text(value: Any, random: Random) -> bytes:
    """Return JSON, sometimes damaged as text."""
    text = json.dumps(value, ensure_ascii=bool(random.random() < 0.9)).encode("utf-8", "surrogatepass")
    match int(random.integers(12)):
        case 0:
            return mutated(text, random)
        case 1:
            return b"[" * DEEP
        case 2:
            return b'{"a":' * DEEP
        case 3:
            return text[: int(random.integers(len(text)))]
        case 4:
            return b"9" * 5000
        case _:
            return text


def _json(valid: Any) -> Callable[[Random], tuple[str, bytes]]:
    def make(random: Random) -> tuple[str, bytes]:
        return "spoilt", json_text(spoilt(valid, random), random)

    return make


def _journal(random: Random) -> tuple[str, bytes]:
    return "spoilt rows", b"\n".join(_perhaps(row, random) for row in ROWS * 3) + b"\n"


def _perhaps(row: dict[str, Any], random: Random) -> bytes:
    """Return a row as JSON, spoilt in one of four cases."""
    return json_text(spoilt(row, random), random) if random.random() < 0.25 else json.dumps(row).encode()


def _yaml(valid: dict[str, Any]) -> Callable[[Random], tuple[str, bytes]]:
    def make(random: Random) -> tuple[str, bytes]:
        match int(random.integers(5)):
            case 0:
                number = int(random.integers(len(YAML_BOMBS)))
                return f"bomb {number}", YAML_BOMBS[number].encode()
            case 1:
                return "damaged", mutated(yaml.safe_dump(valid).encode(), random)
            case 2:  # JSON is YAML
                return "as JSON", json_text(spoilt(valid, random), random)
            case _:
                try:
                    return "spoilt", yaml.safe_dump(spoilt(valid, random)).encode("utf-8", "replace")
                except (RecursionError, ValueError):
                    return "deep", b"[" * DEEP

    return make


def _student(random: Random) -> tuple[str, bytes]:
    makers = (_student_header, _student_header, _student_header, _student_weights, _student_graph, _student_graph)
    makers = (*makers, _student_file, _other_file)
    return makers[int(random.integers(len(makers)))](random)


def _student_header(random: Random) -> tuple[str, bytes]:
    fields = tiny.header()
    name = str(random.choice(sorted(fields)))
    if random.random() < 0.1:
        del fields[name]
    elif name == "format":
        fields[name] = str(random.choice(["", "vfss-student/2", "x" * 10_000]))
    else:
        text = json_text(spoilt(json.loads(fields[name]), random), random)
        fields[name] = text.decode("utf-8", "replace")
    return f"header {name}", tiny.packed(fields, tiny.tensors(), tiny.graph().SerializeToString())


def _student_weights(random: Random) -> tuple[str, bytes]:
    weights = tiny.tensors()
    name = str(random.choice(sorted(weights)))
    array = weights[name]
    match int(random.integers(6)):
        case 0:
            del weights[name]
        case 1:
            weights[name] = array[:0]
        case 2:
            weights[name] = np.concatenate([array, array])
        case 3:
            weights[name] = array.astype(random.choice(["f8", "i4", "u1", "f2", "f4", "?"]))
        case 4:
            weights[name] = np.full_like(array, random.choice([1e4, -1e4]))
        case _ if array.dtype.kind == "f":
            array.flat[int(random.integers(array.size))] = random.choice([np.nan, np.inf, -np.inf])
    return f"weights {name}", tiny.packed(tiny.header(), weights, tiny.graph().SerializeToString())


def _student_graph(random: Random) -> tuple[str, bytes]:
    name, make = _GRAPHS[int(random.integers(len(_GRAPHS)))]
    model = tiny.graph()
    data = make(model, random)
    if data is None:
        data = model.SerializeToString()
    return f"graph: {name}", tiny.packed(tiny.header(), tiny.tensors(), data)


def _chosen(model: onnx.ModelProto, random: Random) -> onnx.NodeProto:
    return model.graph.node[int(random.integers(len(model.graph.node)))]


def _other_operator(model: onnx.ModelProto, random: Random) -> None:
    _chosen(model, random).op_type = str(random.choice(OPERATORS))


def _other_shapes(_: onnx.ModelProto, random: Random) -> bytes:
    size, structures = int(random.choice([16, 64, 4096, 0])), int(random.choice([1, 3]))
    return bytes(tiny.graph(size=size, structures=structures).SerializeToString())


def _more_nodes(nodes: Callable[[Random], Iterator[onnx.NodeProto]]) -> Callable[[onnx.ModelProto, Random], bytes]:
    return lambda _, random: bytes(tiny.graph(extra=tuple(nodes(random))).SerializeToString())


def _not_finite(random: Random) -> Iterator[onnx.NodeProto]:
    yield tiny.constant("x", np.array([random.choice([np.nan, np.inf, -np.inf])], np.float32))


def _outside(_: Random) -> Iterator[onnx.NodeProto]:
    node = tiny.constant("x", np.zeros(3, np.float32))
    node.attribute[0].t.data_location = TensorProto.EXTERNAL
    node.attribute[0].t.external_data.add(key="location", value="/etc/passwd")
    yield node


def _weights_twice(model: onnx.ModelProto, random: Random) -> None:
    model.graph.initializer.extend([TensorProto(name="head.weight")] * int(random.choice([1, 1000])))


def _weights_missing(model: onnx.ModelProto, _: Random) -> None:
    model.graph.initializer[0].name = "missing"


def _other_attributes(model: onnx.ModelProto, random: Random) -> None:
    for attribute in _chosen(model, random).attribute:
        attribute.ints[:] = [int(random.choice([-1, 0, 2**31, 2**62]))] * len(attribute.ints)


def _other_inputs(model: onnx.ModelProto, random: Random) -> None:
    node = _chosen(model, random)
    node.input[:] = [*node.input[::-1]] if random.random() < 0.5 else []


def _node_missing(model: onnx.ModelProto, random: Random) -> None:
    del model.graph.node[int(random.integers(len(model.graph.node)))]


def _damaged_graph(model: onnx.ModelProto, random: Random) -> bytes:
    return mutated(model.SerializeToString(), random)


def _huge(random: Random) -> Iterator[onnx.NodeProto]:
    yield tiny.constant("n", np.array([int(random.choice([1 << 20, 1 << 34, 1 << 62, -1]))], np.int64))
    yield helper.make_node("ConstantOfShape", ["n"], ["huge"], "huge")
    yield helper.make_node("Tile", ["huge", "n"], ["more"], "more")


def _chain(random: Random) -> Iterator[onnx.NodeProto]:
    before = "frames"
    for i in range(int(random.choice([500, 30_000], p=[0.9, 0.1]))):
        yield helper.make_node("Neg", [before], [f"c{i}"], f"c{i}")
        before = f"c{i}"


def _student_file(random: Random) -> tuple[str, bytes]:
    data = tiny.student_bytes()
    match int(random.integers(4)):
        case 0:
            return "cut", data[: int(random.integers(len(data)))]
        case 1:
            length = (0, 1, 8, 2**31, 2**62, 2**64 - 1)[int(random.integers(6))]
            return f"header of {length}", length.to_bytes(8, "little") + data[8:]
        case 2:
            end = int.from_bytes(data[:8], "little")
            table = json.loads(data[8 : 8 + end])
            text = json_text(spoilt(table, random), random)
            return "table", len(text).to_bytes(8, "little") + text + data[8 + end :]
        case _:
            return "damaged", mutated(data, random)


def _other_file(random: Random) -> tuple[str, bytes]:
    out = io.BytesIO()
    match int(random.integers(6)):
        case 0:
            Image.new("L", (8, 8)).save(out, "PNG")
            return "PNG", out.getvalue()
        case 1:
            with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr(zipfile.ZipInfo(str(random.choice(["archive/data.pkl", "x"]))), bytes(1_000_000))
            return "zip", out.getvalue()
        case 2:
            return "pickle", pickle.dumps({"weight": [1.0]}, protocol=int(random.choice([0, 2, 4])))
        case 3:
            return "nothing", b""
        case 4:
            return "text", bytes(
                random.choice([b"version https://git-lfs.github.com/spec/v1\n", b"<!DOCTYPE html>", b"x"])
            )
        case _:
            return "noise", random.integers(0, 256, int(random.choice([8, 100, 5000])), np.uint8).tobytes()


def _read_student(path: Path) -> object:
    return load_student(path, "cpu", threads=1).propose(np.zeros((1, 40, 30), np.uint8))


def _read_case_key(path: Path) -> object:
    key = CaseKey(path)
    return key.case("P1"), key.case("P2"), key.recording("b2-1"), key.annotator("Eva"), key.uid("1.2.3")


def _read_journal(path: Path) -> object:
    """Read a journal as an interrupted export does."""
    out = path.parent / "out"
    with PartialFolder(out, "job"):
        pass
    mark = out.with_name(f"{out.name}.partial") / MARK
    (mark / "journal.jsonl").write_bytes(path.read_bytes())
    with PartialFolder(out, "job") as partial:
        partial.filter_rows(lambda row: "frame" in row)
        return list(partial.rows())


@cache
def _dataset(name: str) -> Path:
    """Return a dataset that is right, exported once."""
    folder = Path(tempfile.mkdtemp(prefix="hostile-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with cohort(folder, {"P1": "train", "P2": "validation"}) as project:
        run_export(FORMATS[name], project, folder / "out")
    return folder / "out"


def _dataset_file(name: str, file: str) -> Callable[[Random], tuple[str, bytes]]:
    def make(random: Random) -> tuple[str, bytes]:
        valid = (_dataset(name) / file).read_text("utf-8")
        if not file.endswith(".jsonl"):
            return "spoilt", json_text(spoilt(json.loads(valid), random), random)
        rows = [json.loads(line) for line in valid.splitlines()]
        return "spoilt rows", b"\n".join(_perhaps(row, random) for row in rows) + b"\n"

    return make


def _read_dataset(name: str, file: str, reader: Callable[[Path], Dataset]) -> Callable[[Path], object]:
    def read_copy(path: Path) -> object:
        folder = path.parent / "dataset"
        shutil.copytree(_dataset(name), folder)
        (folder / file).write_bytes(path.read_bytes())
        return [(image.masks, image.pixels()) for image in reader(folder)]

    return read_copy


def _read_recipe(path: Path) -> object:
    from vfss_training.config.recipe import load_recipe

    return load_recipe(path)


_GRAPHS: tuple[tuple[str, Callable[[onnx.ModelProto, Random], bytes | None]], ...] = (
    ("another operator", _other_operator),
    ("other shapes", _other_shapes),
    ("a huge tensor", _more_nodes(_huge)),
    ("NaN or infinity", _more_nodes(_not_finite)),
    ("many nodes", _more_nodes(_chain)),
    ("another file", _more_nodes(_outside)),
    ("weights twice", _weights_twice),
    ("weights missing", _weights_missing),
    ("other attributes", _other_attributes),
    ("other inputs", _other_inputs),
    ("a node missing", _node_missing),
    ("damaged", _damaged_graph),
)
_DATASETS: dict[str, tuple[str, str, Callable[[Path], Dataset]]] = {
    "png dataset": ("png", "dataset.json", read_png),
    "coco dataset": ("coco", "annotations.json", read_coco),
    "manifest": ("cvat", "manifest.json", read_cvat),
    "frames": ("cvat", "frames.jsonl", read_cvat),
}
KINDS: dict[str, Callable[[Random], tuple[str, bytes]]] = {
    "student": _student,
    "schema": _yaml(SCHEMA),
    "recipe": _yaml(RECIPE),
    "case-key": _json(CASE_KEY),
    "redactions": _json(REDACTIONS),
    "journal": _journal,
    **{kind: _dataset_file(name, file) for kind, (name, file, _) in _DATASETS.items()},
}
_READERS: dict[str, Callable[[Path], object]] = {
    "student": _read_student,
    "schema": Schema.load,
    "recipe": _read_recipe,
    "case-key": _read_case_key,
    "redactions": read_redactions,
    "journal": _read_journal,
    **{kind: _read_dataset(*dataset) for kind, dataset in _DATASETS.items()},
}
