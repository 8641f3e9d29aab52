# SPDX-License-Identifier: Apache-2.0
"""Student files that would reach for the network or the disk, never end, or propose nothing are refused by name."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

import tiny_graph_student as tiny
import vfss.student.openvino_runtime as runtime
from vfss.errors import StudentError
from vfss.student import load_checkpoint, load_student

FRAME = np.random.default_rng(0).integers(0, 256, (1, 40, 30), dtype=np.uint8)


def refusal(tmp_path: Path, data: bytes) -> str:
    """Return the message with which a file is refused, when it is loaded or when it proposes."""
    path = tmp_path / "student.safetensors"
    path.write_bytes(data)
    with pytest.raises(StudentError, match=path.name) as caught:
        load_student(path, "cpu", threads=1).propose(FRAME)
    assert caught.value.remedy
    return caught.value.what


def with_field(**fields: object) -> bytes:
    """Return a student file with other fields in its header."""
    changed = {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}
    return tiny.packed({**tiny.header(), **changed}, tiny.tensors(), tiny.graph().SerializeToString())


def with_graph(*extra: object, **options: int) -> bytes:
    """Return a student file with more nodes in its graph."""
    return tiny.packed(tiny.header(), tiny.tensors(), tiny.graph(extra=extra, **options).SerializeToString())


def test_the_file_that_all_others_differ_from_proposes(tmp_path: Path) -> None:
    path = tmp_path / "student.safetensors"
    path.write_bytes(tiny.student_bytes())
    (proposal,) = load_student(path, "cpu", threads=1).propose(FRAME)
    assert proposal.keys == tiny.SCHEMA.keys
    assert proposal.masks.planes.shape == (2, 40, 30)
    assert 0 <= proposal.confidence.min() <= proposal.confidence.max() <= 1


@pytest.mark.parametrize(
    "backbone",
    ["hf-hub:timm/resnet18", "hf_hub:x", "local-dir:/etc", "https://a.b/c", "../x", "timm/resnet18", "a b", ""],
)
def test_a_backbone_is_a_name_and_no_address(tmp_path: Path, backbone: str) -> None:
    config = {**json.loads(tiny.CONFIG.to_json()), "backbone": backbone}
    assert "not the name of a model that timm lists" in refusal(tmp_path, with_field(config=config))


@pytest.mark.parametrize(
    ("name", "value"),
    [("input_size", 2**31), ("width", 2**40), ("heads", 0), ("depth", -1), ("mlp_width", 10**9), ("fine_width", 3)],
)
def test_sizes_of_the_config_are_bounded(tmp_path: Path, name: str, value: int) -> None:
    config = {**json.loads(tiny.CONFIG.to_json()), name: value}
    assert "the header is malformed" in refusal(tmp_path, with_field(config=config))


@pytest.mark.parametrize("field", ["schema", "config", "provenance", "scores", "precision", "calibration"])
@pytest.mark.parametrize(
    "value", ["[" * 100_000, "null", "[]", '"x"', "NaN", "{", '{"curves": [[0]], "mean_dice": "x", "a": 1}']
)
def test_malformed_fields_are_refused(tmp_path: Path, field: str, value: str) -> None:
    if field == "provenance" and value.startswith('{"'):
        return  # whatever it says, it decides nothing
    assert "the header is malformed" in refusal(tmp_path, with_field(**{field: value}))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["head.weight", "head.bias"])
def test_weights_that_are_no_numbers_are_refused(tmp_path: Path, name: str, value: float) -> None:
    weights = tiny.tensors()
    weights[name].flat[0] = value
    data = tiny.packed(tiny.header(), weights, tiny.graph().SerializeToString())
    assert refusal(tmp_path, data) == f"the weights {name!r} hold NaN or infinity"


def test_weights_that_compute_infinity_are_refused(tmp_path: Path) -> None:
    weights = tiny.tensors()
    weights["head.bias"][:] = 3e38
    lifted = helper.make_node("Add", ["head.bias", "head.bias"], ["twice"], "twice")
    graph = tiny.graph(extra=(lifted,))
    next(node for node in graph.graph.node if node.name == "head").input[2] = "twice"
    data = tiny.packed(tiny.header(), weights, graph.SerializeToString())
    assert "computes no numbers" in refusal(tmp_path, data)


def test_constants_of_the_graph_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    data = with_graph(tiny.constant("x", np.array([np.nan], np.float32)))
    assert "is NaN or infinite" in refusal(tmp_path, data)


def test_planes_and_schema_are_compared(tmp_path: Path) -> None:
    schema = tiny.SCHEMA.to_dict()
    assert "do not fit the schema of 1 structures" in refusal(
        tmp_path, with_field(schema={**schema, "structures": schema["structures"][:1]}, learnt={"bolus": 3})
    )


@pytest.mark.parametrize("size", [16, 64])
def test_the_shapes_of_the_graph_are_those_of_the_config(tmp_path: Path, size: int) -> None:
    assert "does not fit its config and schema: input frames has shape" in refusal(tmp_path, with_graph(size=size))


def test_the_planes_of_the_graph_are_those_of_the_schema(tmp_path: Path) -> None:
    schema = tiny.SCHEMA.to_dict()
    third = {"key": "larynx", "name": "Larynx", "colour": "#123456", "motion": "soft"}
    weights = {**tiny.tensors(), "decoder.mask_tokens.weight": np.zeros((3, tiny.CONFIG.width), np.float16)}
    header = {**tiny.header(), "schema": json.dumps({**schema, "structures": [*schema["structures"], third]})}
    data = tiny.packed(header, weights, tiny.graph().SerializeToString())
    assert "output logits has shape [1,2,8,8], not (1, 3, 8, 8)" in refusal(tmp_path, data)


@pytest.mark.parametrize("operator", ["Loop", "If", "Scan", "RandomNormal", "NonZero", "Mystery"])
def test_operators_that_no_student_needs_are_refused(tmp_path: Path, operator: str) -> None:
    assert f"does not compute {operator!r}" in refusal(tmp_path, with_graph(helper.make_node(operator, [], ["x"], "x")))


def test_a_graph_that_reads_other_files_is_refused(tmp_path: Path) -> None:
    outside = tiny.constant("x", np.zeros(3, np.float32))
    outside.attribute[0].t.data_location = TensorProto.EXTERNAL
    outside.attribute[0].t.external_data.add(key="location", value="/etc/passwd")
    assert "refers to another file" in refusal(tmp_path, with_graph(outside))


def test_a_graph_larger_than_memory_is_refused_before_it_is_compiled(tmp_path: Path) -> None:
    nodes = (
        tiny.constant("n", np.array([1 << 40], np.int64)),
        helper.make_node("ConstantOfShape", ["n"], ["huge"], "huge"),
        helper.make_node("ReduceMean", ["huge"], ["one"], "one", keepdims=0),
        helper.make_node("Add", ["frames", "one"], ["moved"], "moved"),
    )
    graph = tiny.graph(extra=nodes)
    next(node for node in graph.graph.node if node.name == "pool").input[0] = "moved"
    data = tiny.packed(tiny.header(), tiny.tensors(), graph.SerializeToString())
    assert "values, more than" in refusal(tmp_path, data)


def test_a_graph_that_computes_for_hours_is_refused_before_it_is_compiled(tmp_path: Path) -> None:
    side = 1 << 14
    nodes = [
        tiny.constant("n", np.array([side, side], np.int64)),
        helper.make_node("ConstantOfShape", ["n"], ["m0"], "m0"),
        *(helper.make_node("MatMul", [f"m{i}", f"m{i}"], [f"m{i + 1}"], f"m{i + 1}") for i in range(4)),
        helper.make_node("ReduceMean", ["m4"], ["one"], "one", keepdims=0),
        helper.make_node("Add", ["frames", "one"], ["moved"], "moved"),
    ]
    graph = tiny.graph(extra=tuple(nodes))
    next(node for node in graph.graph.node if node.name == "pool").input[0] = "moved"
    data = tiny.packed(tiny.header(), tiny.tensors(), graph.SerializeToString())
    assert "multiplications for one frame" in refusal(tmp_path, data)


def test_a_frame_that_takes_too_long_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "LONGEST_S", 0.01)
    side = 1 << 11
    nodes = (
        helper.make_node("ReduceMean", ["frames"], ["grey"], "grey", keepdims=0),
        tiny.constant("n", np.array([side, side], np.int64)),
        helper.make_node("Expand", ["grey", "n"], ["m0"], "m0"),
        helper.make_node("MatMul", ["m0", "m0"], ["m1"], "m1"),
        helper.make_node("MatMul", ["m1", "m0"], ["m2"], "m2"),
        helper.make_node("ReduceMean", ["m2"], ["one"], "one", keepdims=0),
        helper.make_node("Add", ["frames", "one"], ["moved"], "moved"),
    )
    graph = tiny.graph(extra=nodes)
    next(node for node in graph.graph.node if node.name == "pool").input[0] = "moved"
    path = tmp_path / "student.safetensors"
    path.write_bytes(tiny.packed(tiny.header(), tiny.tensors(), graph.SerializeToString()))
    student = load_student(path, "cpu", threads=1)
    for propose in (lambda: student.propose(FRAME), lambda: list(student.propose_each(FRAME))):
        with pytest.raises(StudentError, match="did not finish one frame"):
            propose()


def torch_checkpoint() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}q\x00.")
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (torch_checkpoint(), "a PyTorch checkpoint"),
        (pickle.dumps({"a": 1}), "a pickle"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "a PNG picture"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a pointer of Git LFS"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"", "not readable as safetensors"),
        ((2**63).to_bytes(8, "little") + b"{}", "not readable as safetensors"),
    ],
)
def test_foreign_files_are_called_by_their_kind(tmp_path: Path, data: bytes, kind: str) -> None:
    assert kind in refusal(tmp_path, data)


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "student.safetensors"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(StudentError, match="larger than"):
        load_checkpoint(path)
