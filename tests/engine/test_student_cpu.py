# SPDX-License-Identifier: Apache-2.0
"""How a student is computed on a processor: precision and way are chosen once, or by a person."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from small_student import disc_frame, small_checkpoint
from vfss.errors import StudentError
from vfss.student import Checkpoint, Student, load_checkpoint, openvino_runtime, student_file
from vfss.student.cpu_choice import CpuChoices, fastest
from vfss.student.openvino_runtime import CLIP_WAYS, PRECISIONS, OpenVinoRuntime, allowed_precisions, has_bf16
from vfss.student.precision import measured_precision, whole_frames


@pytest.fixture(scope="module")
def agreeing() -> Checkpoint:
    return replace(small_checkpoint(), precision={"bf16": 1.0})


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VFSS_PRECISION", raising=False)
    monkeypatch.delenv("VFSS_CLIP_FRAMES", raising=False)


def ticking(seconds: dict[str, float]) -> tuple[dict[str, Callable[[], None]], Callable[[], float]]:
    """Return ways that take these seconds of a clock, and the clock."""
    now = [0.0]

    def way(duration: float) -> Callable[[], None]:
        return lambda: now.__setitem__(0, now[0] + duration)

    return {name: way(duration) for name, duration in seconds.items()}, lambda: now[0]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ({"usual": 0.02, "other": 0.01}, "other"),
        ({"usual": 0.02, "other": 0.019}, "usual"),  # not clearly faster
        ({"usual": 0.01, "other": 0.02}, "usual"),
        ({"usual": 9.0, "other": 1.0}, "other"),  # one round is enough where it takes long
        ({"usual": 1.0}, "usual"),
    ],
)
def test_another_way_is_chosen_only_if_it_is_clearly_faster(seconds: dict[str, float], expected: str) -> None:
    ways, clock = ticking(seconds)
    chosen, times = fastest(ways, clock=clock)
    assert chosen == expected
    assert times == pytest.approx(seconds)


def test_the_first_choice_stays_and_nonsense_is_no_choice(tmp_path: Path) -> None:
    choices = CpuChoices(tmp_path, ("graph", 2))
    assert choices.known("precision", PRECISIONS) is None
    choices.keep("precision", "f32", {"f32": 0.01, "bf16": 0.02})
    choices.keep("precision", "bf16", {})
    choices.keep("clip_frames", "side by side", {})
    assert CpuChoices(tmp_path, ("graph", 2)).known("precision", PRECISIONS) == "f32"
    assert choices.known("precision", ("bf16",)) is None
    assert choices.known("clip_frames", CLIP_WAYS) == "side by side"
    assert CpuChoices(tmp_path, ("graph", 3)).known("precision", PRECISIONS) is None
    (file,) = tmp_path.iterdir()
    for content in ("{", "[1]", json.dumps({"precision": ["f32"]}), " " * 100_000):
        file.write_text(content, encoding="utf-8")
        assert choices.known("precision", PRECISIONS) is None
    CpuChoices(tmp_path / "missing", ()).keep("precision", "f32", {})  # cannot be kept: no error


def test_the_kept_choice_decides_and_a_person_overrides_it(
    agreeing: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openvino_runtime, "BUDGET_S", 1e9)  # it is timed on a busy computer too
    frames = [disc_frame(64, 64, seed) for seed in range(5)]
    inputs = list(whole_frames(frames, agreeing.config))
    runtime = OpenVinoRuntime(agreeing, cache=tmp_path)
    list(runtime.run_each(inputs))
    if len(allowed_precisions(agreeing)) > 1:
        (choices,) = (json.loads(file.read_text("utf-8")) for file in tmp_path.glob("choice-*.json"))
        assert choices["precision"] == runtime.precision
        assert set(choices["precision_ms"]) == set(allowed_precisions(agreeing))
    again = OpenVinoRuntime(agreeing, cache=tmp_path)
    assert again.device == runtime.device
    results = []
    for way in CLIP_WAYS:
        monkeypatch.setenv("VFSS_CLIP_FRAMES", way)
        results.append(list(OpenVinoRuntime(agreeing, precision="f32").run_each(inputs)))
    for (logits, quality), (same, as_good) in zip(*results, strict=True):
        np.testing.assert_allclose(logits, same, atol=1e-3)
        np.testing.assert_allclose(quality, as_good, atol=1e-4)
    monkeypatch.setenv("VFSS_PRECISION", "f32")
    assert OpenVinoRuntime(agreeing, cache=tmp_path).device == "cpu (f32)"
    for variable in ("VFSS_PRECISION", "VFSS_CLIP_FRAMES"):
        monkeypatch.setenv(variable, "fast")
        with pytest.raises(StudentError, match=variable):
            OpenVinoRuntime(agreeing)
        monkeypatch.delenv(variable)


def test_without_a_cache_nothing_is_timed_and_the_usual_is_used(agreeing: Checkpoint) -> None:
    assert OpenVinoRuntime(agreeing).precision == allowed_precisions(agreeing)[0]
    assert OpenVinoRuntime(replace(agreeing, precision={"bf16": 0.9})).precision == "f32"


def test_agreement_is_measured_where_the_processor_has_the_precision(agreeing: Checkpoint) -> None:
    inputs = whole_frames([disc_frame(80, 60, seed) for seed in range(2)], agreeing.config)
    measured = measured_precision(agreeing, inputs)
    assert set(measured) == ({"bf16"} if has_bf16() else set())
    assert all(0.9 < share <= 1.0 for share in measured.values())
    assert measured_precision(agreeing, inputs[:0]) == {}


def test_a_clip_has_one_precision(agreeing: Checkpoint, tmp_path: Path) -> None:
    student = Student(agreeing, OpenVinoRuntime(agreeing, cache=tmp_path, threads=2))
    frames = [disc_frame(64, 64, seed) for seed in range(4)]
    first = list(student.propose_each(frames))
    second = list(student.propose_each(frames))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.masks.planes, other.masks.planes)
        np.testing.assert_array_equal(one.confidence, other.confidence)


@pytest.mark.skipif(not has_bf16(), reason="this processor has no bf16")
def test_the_student_that_ships_is_computed_in_bf16_where_the_processor_has_it() -> None:
    shipped = load_checkpoint(student_file("default"))
    assert allowed_precisions(shipped) == PRECISIONS
    assert OpenVinoRuntime(shipped).precision == "bf16"  # unless another one was timed to be clearly faster
