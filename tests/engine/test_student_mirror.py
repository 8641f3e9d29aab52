# SPDX-License-Identifier: Apache-2.0
"""The pass over the mirror image: computed where it is wanted, and frames stay in their order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from small_student import CONFIG, disc_frame, small_checkpoint
from vfss.errors import StudentError
from vfss.student import Checkpoint, Student, load_checkpoint, load_student
from vfss.student.mirror_policy import WHEN, MirrorPolicy
from vfss.student.mirrored_runtime import Look, MirroredRuntime
from vfss.student.openvino_runtime import OpenVinoRuntime


@pytest.fixture(scope="module")
def mirrored() -> Checkpoint:
    return small_checkpoint(config=replace(CONFIG, mirrored=True))


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


class Counting:
    """A runtime whose logits are the input and whose quality is its first pixel; counts its passes."""

    device, batch = "nothing", 2

    def __init__(self, delay: int) -> None:
        self.passes, self._delay = 0, delay

    def run(self, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.passes += len(inputs)
        return inputs.copy(), np.maximum(inputs[:, 0, 0, :1], inputs[:, 0, 0, -1:])

    def run_each(self, inputs: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        waiting: list[np.ndarray] = []  # as with several requests under way: results come later than inputs are taken
        for array in inputs:
            waiting.append(array)
            if len(waiting) > self._delay:
                logits, quality = self.run(waiting.pop(0)[None])
                yield logits[0], quality[0]
        for array in waiting:
            logits, quality = self.run(array[None])
            yield logits[0], quality[0]

    def encode(self, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return frame, frame, frame

    def correct(self, features: object, maps: np.ndarray, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return maps, asked


def looks_of(qualities: list[float]) -> list[Look]:
    """Return frames of these qualities, which differ from one another and from their mirror images."""
    return [Look(np.array([[[quality, -i - 1]]], np.float32)) for i, quality in enumerate(qualities)]


@settings(deadline=None)
@given(st.lists(st.floats(0, 1, width=32), max_size=12), st.sampled_from(WHEN), st.integers(0, 4))
def test_frames_keep_their_order_and_only_unsure_ones_are_mirrored(
    qualities: list[float], when: str, delay: int
) -> None:
    looks, runtime = looks_of(qualities), Counting(delay)
    results = list(MirroredRuntime(runtime, MirrorPolicy(when, 0.5), [0]).run_each(iter(looks)))
    unsure = [when == "always" or (when == "unsure" and quality < 0.5) for quality in qualities]
    assert runtime.passes == len(looks) + sum(unsure)
    for look, (logits, _) in zip(looks, results, strict=True):
        # The mirror image of what a mirror image gives is the frame itself: the mean is, too.
        np.testing.assert_allclose(logits, look.image, rtol=1e-6)
    if looks:
        together = MirroredRuntime(Counting(0), MirrorPolicy(when, 0.5), [0]).run(looks)
        np.testing.assert_array_equal(together[0], np.stack([logits for logits, _ in results]))
        np.testing.assert_array_equal(together[1], np.stack([quality for _, quality in results]))


@pytest.mark.parametrize(("second", "share"), [(0.3, 0.5), (0.5, 0.832), (0.1, 0.168), (1.0, 10 / 11)])
def test_the_better_pass_weighs_more_and_a_steadied_frame_is_used_only_where_wanted(
    second: float, share: float
) -> None:
    asked: list[int] = []

    def steadied(i: int) -> np.ndarray:
        asked.append(i)
        return np.array([[[second, -50.0]]], np.float32)

    looks = [
        Look(np.array([[[quality, -100.0]]], np.float32), partial(steadied, i)) for i, quality in enumerate((0.3, 0.9))
    ]
    runtime = MirroredRuntime(Counting(1), MirrorPolicy("unsure", 0.5), [0])
    (unsure, quality), (sure, _) = runtime.run_each(iter(looks))
    assert asked == [0]
    assert unsure[0, 0, 1] == pytest.approx(-100 + 50 * share, abs=0.1)
    assert quality[0] == pytest.approx(0.3 + share * (second - 0.3), abs=1e-3)
    np.testing.assert_array_equal(sure, looks[1].image)


def test_a_student_without_a_steadied_frame_uses_the_frame() -> None:
    looks = [Look(np.array([[[0.3, -1.0]]], np.float32), lambda: None)]
    logits, _ = MirroredRuntime(Counting(0), MirrorPolicy("always"), [0]).run(looks)
    np.testing.assert_allclose(logits[0], looks[0].image)


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
