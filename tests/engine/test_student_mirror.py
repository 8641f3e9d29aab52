# SPDX-License-Identifier: Apache-2.0
"""The pass over the mirror image: computed where it is wanted, and frames stay in their order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delayed_runtime import DelayedRuntime
from small_student import CONFIG, disc_frame, small_checkpoint
from vfss.errors import StudentError
from vfss.student import Checkpoint, Student, load_checkpoint, load_student
from vfss.student.closer_look import CloserLook, SpineFinder
from vfss.student.mirror_policy import WHEN, MirrorPolicy
from vfss.student.openvino_runtime import OpenVinoRuntime
from vfss.student.passes import Look, Passes
from vfss.student.preprocess import Placement


@pytest.fixture(scope="module")
def mirrored() -> Checkpoint:
    return small_checkpoint(config=replace(CONFIG, mirrored=True))


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


class Counting(DelayedRuntime):
    """A runtime whose logits are the input and whose quality is its first pixel."""

    def compute(self, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return inputs.copy(), np.maximum(inputs[:, 0, 0, :1], inputs[:, 0, 0, -1:])


PLACEMENT = Placement.of(4, 4, 4)


def look_of(values: list[float], steadied: Callable[[Placement], np.ndarray | None] | None = None) -> Look:
    """Return a frame of one row, the same in all placements."""
    return Look(PLACEMENT, lambda _: np.array([[values]], np.float32), steadied)


def looks_of(qualities: list[float]) -> list[Look]:
    """Return frames of these qualities, which differ from one another and from their mirror images."""
    return [look_of([quality, -i - 1]) for i, quality in enumerate(qualities)]


def passes(runtime: Counting, policy: MirrorPolicy) -> Passes:
    """Return passes without a closer look."""
    return Passes(runtime, policy, SpineFinder(CloserLook("never"), []), [0])


@settings(deadline=None)
@given(st.lists(st.floats(0, 1, width=32), max_size=12), st.sampled_from(WHEN), st.integers(0, 4))
def test_frames_keep_their_order_and_only_unsure_ones_are_mirrored(
    qualities: list[float], when: str, delay: int
) -> None:
    looks, runtime = looks_of(qualities), Counting(delay)
    results = list(passes(runtime, MirrorPolicy(when, 0.5)).run_each(iter(looks)))
    unsure = [when == "always" or (when == "unsure" and quality < 0.5) for quality in qualities]
    assert runtime.passes == len(looks) + sum(unsure)
    for look, seen in zip(looks, results, strict=True):
        # The mirror image of what a mirror image gives is the frame itself: the mean is, too.
        np.testing.assert_allclose(seen.logits, look.prepare(PLACEMENT), rtol=1e-6)
    together = passes(Counting(0), MirrorPolicy(when, 0.5)).run(looks)
    for one, other in zip(together, results, strict=True):
        np.testing.assert_array_equal(one.logits, other.logits)
        np.testing.assert_array_equal(one.quality, other.quality)


@pytest.mark.parametrize(("second", "share"), [(0.3, 0.5), (0.5, 0.832), (0.1, 0.168), (1.0, 10 / 11)])
def test_the_better_pass_weighs_more_and_a_steadied_frame_is_used_only_where_wanted(
    second: float, share: float
) -> None:
    asked: list[int] = []

    def steadied(i: int, _: Placement) -> np.ndarray:
        asked.append(i)
        return np.array([[[second, -50.0]]], np.float32)

    looks = [look_of([quality, -100.0], partial(steadied, i)) for i, quality in enumerate((0.3, 0.9))]
    unsure, sure = passes(Counting(1), MirrorPolicy("unsure", 0.5)).run_each(iter(looks))
    assert asked == [0]
    assert unsure.logits[0, 0, 1] == pytest.approx(-100 + 50 * share, abs=0.1)
    assert unsure.quality[0] == pytest.approx(0.3 + share * (second - 0.3), abs=1e-3)
    np.testing.assert_array_equal(sure.logits, looks[1].prepare(PLACEMENT))


def test_a_student_without_a_steadied_frame_uses_the_frame() -> None:
    look = look_of([0.3, -1.0], lambda _: None)
    (seen,) = passes(Counting(0), MirrorPolicy("always")).run([look])
    np.testing.assert_allclose(seen.logits, look.prepare(PLACEMENT))


def test_both_facings_are_seen_alike_on_every_device(mirrored: Checkpoint, tmp_path: Path) -> None:
    saved = mirrored.save(tmp_path / "mirrored.safetensors")
    frames = np.stack([disc_frame(64, 64, seed) for seed in range(3)])
    students = [load_student(saved.path, device, mirror="always") for device in ("cpu", "cpu-torch")]
    there, other = (student.propose(frames) for student in students)
    back = students[0].propose(np.ascontiguousarray(frames[:, :, ::-1]))
    streamed = students[0].propose_each(frames)
    for one, two, three, four in zip(there, other, streamed, back, strict=True):
        assert np.mean(one.masks.planes == two.masks.planes) >= 0.999
        assert np.mean(one.masks.planes == three.masks.planes) >= 0.999
        assert np.mean(one.masks.planes == four.masks.planes[:, :, ::-1]) >= 0.999
        np.testing.assert_allclose(one.confidence, two.confidence, atol=1e-3)


def test_a_file_without_a_policy_is_computed_as_its_graph_is(mirrored: Checkpoint, tmp_path: Path) -> None:
    frames = np.stack([disc_frame(64, 64, seed) for seed in range(2)])
    old = replace(mirrored, mirror=None)  # as files of earlier versions, of which torch computes both passes
    assert load_checkpoint(old.save(tmp_path / "old.safetensors").path).mirror is None
    both = load_student(tmp_path / "old.safetensors", "cpu-torch").propose(frames)
    one = Student(old, OpenVinoRuntime(old), mirror="always").propose(frames)  # this graph has one pass
    never = Student(mirrored, OpenVinoRuntime(mirrored), mirror="never").propose(frames)
    for doubled, single, first in zip(both, one, never, strict=True):
        assert (doubled.masks.planes != single.masks.planes).any()
        np.testing.assert_array_equal(single.masks.planes, first.masks.planes)


def test_the_file_says_where_and_a_caller_may_say_otherwise(mirrored: Checkpoint, tmp_path: Path) -> None:
    frame = disc_frame(64, 64)[None]
    masks = {}
    for below in (0.0, 1.0):
        saved = replace(mirrored, mirror=MirrorPolicy("unsure", below)).save(tmp_path / f"{below}.safetensors")
        assert load_checkpoint(saved.path).mirror == MirrorPolicy("unsure", below)
        for when in (None, *WHEN):
            (proposal,) = load_student(saved.path, "cpu", mirror=when).propose(frame)
            masks[below, when] = proposal.masks.planes
    assert (masks[0.0, "never"] != masks[0.0, "always"]).any()
    assert (masks[0.0, None] == masks[0.0, "never"]).all() and (masks[1.0, None] == masks[0.0, "always"]).all()


def test_a_policy_that_cannot_be_is_refused(mirrored: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(StudentError, match="sometimes"):
        Student(mirrored, OpenVinoRuntime(mirrored), mirror="sometimes")
    for data in ({"when": "never"}, {"when": 1, "below": 0.5}, {"when": "never", "below": True}):
        with pytest.raises(ValueError, match="mirror"):
            MirrorPolicy.from_dict(data)
    with pytest.raises(StudentError, match="not within"):
        MirrorPolicy.from_dict({"when": "never", "below": 2})
