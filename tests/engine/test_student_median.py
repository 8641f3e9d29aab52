# SPDX-License-Identifier: Apache-2.0
"""The median of neighbouring frames: where frames are noisy, and never at the ends or beside damage."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays

from damaged_clip import DamagedClip
from small_student import CONFIG, disc_frame, small_checkpoint
from vfss.clips.readable import ReadableFrames
from vfss.student import Student
from vfss.student.mirror_policy import MirrorPolicy
from vfss.student.openvino_runtime import OpenVinoRuntime
from vfss.student.readable import propose_readable
from vfss.student.temporal_median import NOISE, noise, steadied_frame, temporal_median


def noisy(sigma: float, n: int = 3, side: int = 64) -> np.ndarray:
    """Return frames of the same disc, uint8 (n, side, side), with noise of their own."""
    still = disc_frame(side, side).astype(np.float64)
    random = np.random.default_rng(0)
    return np.clip(still + random.normal(0, sigma, (n, side, side)), 0, 255).round().astype(np.uint8)


@settings(deadline=None)
@given(arrays(np.uint8, (3, 7, 9)))
def test_it_is_the_median_wherever_it_is_taken(frames: np.ndarray) -> None:
    median = temporal_median(*frames)
    if median is not None:
        np.testing.assert_array_equal(median, np.median(frames, axis=0).astype(np.uint8))


def test_noisy_frames_are_steadied_and_clean_ones_are_left() -> None:
    before, frame, after = noisy(8.0)
    median = temporal_median(before, frame, after)
    assert median is not None
    still = disc_frame(64, 64).astype(float)
    assert np.abs(median - still).mean() < 0.75 * np.abs(frame - still).mean()
    assert temporal_median(*noisy(0.0)) is None
    assert temporal_median(before, frame, after[:32]) is None


@pytest.mark.parametrize("sigma", [1.0, 2.0, 5.0])
def test_noise_is_the_median_difference_whatever_moves(sigma: float) -> None:
    one, other = noisy(sigma, 2, 256)
    expected = 0.6745 * np.sqrt(2) * sigma
    assert noise(one, other) == pytest.approx(expected, abs=0.6)
    moved = other.copy()
    moved[:40, :40] = 255  # a bolus
    assert noise(one, moved) == pytest.approx(noise(one, other), abs=0.15)
    assert noise(one, one) < NOISE


def test_neighbours_end_with_the_clip_and_at_damage_which_is_not_reported() -> None:
    frames = noisy(8.0, 8)
    reader = ReadableFrames(DamagedClip.of(frames, {4}), known={6: "known to be damaged"})
    assert [t for t in range(8) if reader.with_neighbours(t) is not None] == [1, 2]
    assert [t for t in range(8) if steadied_frame(reader, t) is not None] == [1, 2]
    assert not reader.unreadable  # nobody asked for frame 4
    np.testing.assert_array_equal(np.stack(reader.with_neighbours(2) or ()), frames[1:4])


def test_a_frame_of_a_clip_is_proposed_alike_in_any_order_and_with_its_neighbours() -> None:
    checkpoint = replace(small_checkpoint(config=replace(CONFIG, mirrored=True)), mirror=MirrorPolicy("always"))
    student, clip = Student(checkpoint, OpenVinoRuntime(checkpoint)), DamagedClip.of(noisy(12.0, 6), {4})

    def planes(order: list[int]) -> dict[int, np.ndarray]:
        return {t: one.masks.planes for t, one in propose_readable(student, ReadableFrames(clip), order)}

    forwards, backwards = planes([0, 1, 2, 3, 4, 5]), planes([5, 3, 2, 1])
    assert set(forwards) == {0, 1, 2, 3, 5}
    for t, masks in backwards.items():
        np.testing.assert_array_equal(masks, forwards[t])
    alone = student.propose(np.stack([clip[0], clip[1]]))
    np.testing.assert_array_equal(alone[0].masks.planes, forwards[0])  # the first one has no neighbour before it
    assert (alone[1].masks.planes != forwards[1]).any()
