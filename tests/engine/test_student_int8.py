# SPDX-License-Identifier: Apache-2.0
"""A student in 8-bit integers: from its own graph, only where the others are slow, and no less suspected than these."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

import tiny_graph_student as tiny
import vfss.student.openvino_runtime as module
from vfss.errors import StudentError
from vfss.masks.metrics import dice
from vfss.phantom import Phantom
from vfss.student import Checkpoint, Student, load_checkpoint, student_file
from vfss.student.openvino_runtime import KEPT_DICE, OpenVinoRuntime, allowed_precisions

FRAMES = np.random.default_rng(0).normal(0, 1, (2, 1, tiny.SIZE, tiny.SIZE)).astype(np.float32)


def quantised(weights: np.ndarray | None = None) -> onnx.ModelProto:
    """Return the tiny graph with weights of its own, by default a constant, as if they had been rounded."""
    graph = tiny.graph()
    own = np.full((len(tiny.SCHEMA), 1, 1, 1), 3.0, np.float32) if weights is None else weights
    graph.graph.initializer[0].CopyFrom(numpy_helper.from_array(own, "head.weight"))
    return graph


@pytest.fixture
def student(tmp_path: Path) -> Checkpoint:
    """A student whose int8 graph computes something else, so that it is known which one ran."""
    (tmp_path / "plain.safetensors").write_bytes(tiny.student_bytes())
    plain = load_checkpoint(tmp_path / "plain.safetensors")
    changed = replace(plain, int8=quantised().SerializeToString(), precision={"int8": 0.999})
    return changed.save(tmp_path / "student.safetensors")


def test_the_file_keeps_it_and_either_graph_is_run_when_asked_for(student: Checkpoint) -> None:
    assert load_checkpoint(student.path).int8 == student.int8
    exact, rounded = (OpenVinoRuntime(student, precision=one) for one in ("f32", "int8"))
    assert (exact.device, rounded.device) == ("cpu (f32)", "cpu (int8)")
    means = FRAMES.reshape(2, 1, tiny.SIZE // 4, 4, tiny.SIZE // 4, 4).mean(axis=(3, 5))
    np.testing.assert_allclose(rounded.run(FRAMES)[0], 3.0 * means.repeat(len(tiny.SCHEMA), 1), atol=1e-5)
    assert not np.allclose(exact.run(FRAMES)[0], rounded.run(FRAMES)[0], atol=0.1)
    # In a clip as well.
    np.testing.assert_allclose([one for one, _ in rounded.run_each(FRAMES)], rounded.run(FRAMES)[0], atol=1e-5)


def test_a_student_without_it_is_computed_in_f32(student: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    without = replace(student, int8=b"")
    assert "int8" not in allowed_precisions(without)
    monkeypatch.setenv("VFSS_PRECISION", "int8")
    assert OpenVinoRuntime(without).precision == "f32"
    assert OpenVinoRuntime(student).precision == "int8"


@pytest.mark.parametrize(
    ("seconds", "kept", "expected"), [(0.05, 0.999, "int8"), (0.005, 0.999, "f32"), (0.05, KEPT_DICE - 1e-4, "f32")]
)
def test_it_is_chosen_only_where_others_are_slow_and_it_loses_hardly_any_dice(
    student: Checkpoint, monkeypatch: pytest.MonkeyPatch, seconds: float, kept: float, expected: str
) -> None:
    def timed(ways: Mapping[str, Callable[[], object]]) -> tuple[str, dict[str, float]]:
        times = {way: 0.001 if way == "int8" else seconds for way in ways}
        return min(times, key=times.__getitem__), times

    monkeypatch.setattr(module, "fastest", timed)
    monkeypatch.setattr(module, "BUDGET_S", 1e9)
    one, cache = replace(student, precision={"int8": kept}), Path(str(student.path)).parent / "cache"
    assert OpenVinoRuntime(one, cache=cache).precision == expected
    assert OpenVinoRuntime(one, cache=cache).precision == expected  # as kept
    # Where nothing can be timed it is not used.
    assert OpenVinoRuntime(one).precision == "f32"
    for file in cache.glob("choice-*.json"):
        assert json.loads(file.read_text("utf-8"))["precision"] == expected


def elsewhere(graph: onnx.ModelProto) -> None:
    initializer = graph.graph.initializer[0]
    initializer.ClearField("raw_data")
    initializer.data_location = TensorProto.EXTERNAL
    initializer.external_data.add(key="location", value="/etc/passwd")


def broken(graph: onnx.ModelProto) -> None:
    weights = np.full((len(tiny.SCHEMA), 1, 1, 1), np.nan, np.float32)
    graph.graph.initializer[0].CopyFrom(numpy_helper.from_array(weights, "head.weight"))


def unknown(graph: onnx.ModelProto) -> None:
    graph.graph.initializer[0].Clear()
    graph.graph.initializer[0].name = "nowhere"


@pytest.mark.parametrize(
    ("damage", "what"), [(elsewhere, "another file"), (broken, "NaN"), (unknown, "lacks its weights")]
)
def test_a_graph_that_no_student_has_is_refused(
    student: Checkpoint, damage: Callable[[onnx.ModelProto], None], what: str
) -> None:
    graph = quantised()
    damage(graph)
    with pytest.raises(StudentError, match=what):
        OpenVinoRuntime(replace(student, int8=graph.SerializeToString()), precision="int8")


def test_data_of_its_own_is_not_taken_in_place_of_weights_elsewhere(student: Checkpoint) -> None:
    smuggled = replace(student, graph=quantised().SerializeToString())
    wanted, _ = OpenVinoRuntime(student, precision="f32").run(FRAMES)
    np.testing.assert_array_equal(OpenVinoRuntime(smuggled, precision="f32").run(FRAMES)[0], wanted)


def test_the_student_that_ships_has_it_and_proposes_nearly_the_same() -> None:
    shipped = load_checkpoint(student_file("default"))
    assert shipped.precision["int8"] >= KEPT_DICE
    assert student_file("default").stat().st_size <= 25_000_000
    frame = Phantom(3, n_frames=60, height=256, width=256, facing="left").frame(20)
    exact, rounded = (
        Student(shipped, OpenVinoRuntime(shipped, precision=one), closer="never", mirror="never").propose(frame[None])[
            0
        ]
        for one in ("f32", "int8")
    )
    values = [dice(a, b) for a, b in zip(exact.masks.planes, rounded.masks.planes, strict=True) if a.any()]
    assert len(values) > 6
    assert np.mean(values) > 0.95
