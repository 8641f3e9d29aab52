# SPDX-License-Identifier: Apache-2.0
"""Appearance and shape of training samples: what changes, what stays, and reproducibility by seed."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from vfss.errors import TrainingError
from vfss_training.data.appearance import Appearance, mix_spectrum
from vfss_training.data.augment import Augmentation
from vfss_training.data.samples import Sample

NOTHING = Augmentation(flip=0, invert=0, warp=0, crop=0, grey=0, field=0, blur=0, noise=0)


def disc_frame(height: int, width: int, seed: int) -> np.ndarray:
    """Return a grey picture with a disc and some noise, uint8 (height, width)."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    centre = random.uniform(0.3, 0.7, 2) * (height, width)
    inside = np.hypot(y - centre[0], x - centre[1]) < 0.25 * min(height, width)
    return (60 + 120 * inside + 30 * x / width + random.normal(0, 6, (height, width))).clip(0, 255).astype(np.uint8)


CHANGES = [entry.name for entry in fields(Appearance)]


def donor() -> np.ndarray:
    return disc_frame(96, 96, 5)[::-1]


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_alters_the_picture_and_is_reproducible_by_seed(change: str) -> None:
    frame = disc_frame(128, 160, 1)
    before = frame.copy()
    appearance = Appearance(**{change: 1.0})
    results = [appearance(frame, np.random.default_rng(seed), donor) for seed in (3, 3, 4)]
    np.testing.assert_array_equal(results[0], results[1])
    assert not np.array_equal(results[0], results[2])
    assert all(picture.dtype == np.uint8 and picture.shape == frame.shape for picture in results)
    np.testing.assert_array_equal(frame, before)


@pytest.mark.parametrize("change", CHANGES)
def test_edges_stay_visible(change: str) -> None:
    """Edges stay where they are: the gradients of the picture before and after are correlated."""
    frame = disc_frame(160, 160, 2)
    edge = np.hypot(*np.gradient(frame.astype(float)))
    correlations = []
    for seed in range(6):
        changed = Appearance(**{change: 1.0})(frame, np.random.default_rng(seed), donor).astype(float)
        correlations.append(np.corrcoef(edge.ravel(), np.hypot(*np.gradient(changed)).ravel())[0, 1])
    assert np.median(correlations) > 0.3


def test_without_any_share_nothing_changes() -> None:
    frame = disc_frame(64, 64, 0)
    np.testing.assert_array_equal(Appearance()(frame, np.random.default_rng(0), donor), frame)


def test_a_share_is_a_probability() -> None:
    with pytest.raises(TrainingError, match=r"jpeg.*1\.2"):
        Appearance(jpeg=1.2)
    frame = disc_frame(64, 64, 0)
    changed = [not np.array_equal(Appearance(curve=0.3)(frame, np.random.default_rng(s)), frame) for s in range(200)]
    assert 40 <= sum(changed) <= 80


def test_a_curve_keeps_the_order_of_grey_values() -> None:
    ramp = np.arange(256, dtype=np.uint8)[None].repeat(4, axis=0)
    for seed in range(10):
        curved = Appearance(curve=1.0)(ramp, np.random.default_rng(seed)).astype(int)
        assert (np.diff(curved[0]) >= 0).all()
        assert len(np.unique(curved[0])) > 40


def test_spectrum_mixing_takes_the_light_of_another_frame_and_keeps_edges() -> None:
    dark, bright = np.full((96, 96), 40, np.uint8), np.full((96, 96), 220, np.uint8)
    dark[30:60, 30:60] = 80
    mixed = mix_spectrum(dark, bright, np.random.default_rng(1))
    assert mixed.mean() > dark.mean() + 20
    # The step across the square's edge is of higher frequencies, which stay.
    assert int(mixed[45, 33]) - int(mixed[45, 27]) > 10


def test_local_contrast_is_raised_in_dark_areas() -> None:
    y, x = np.mgrid[:128, :128]
    frame = np.where(x < 64, 30, 200).astype(np.uint8)
    frame[(y // 4) % 2 == 0] += 6
    enhanced = Appearance(local_contrast=1.0)(frame, np.random.default_rng(0))
    assert enhanced[:, 8:48].astype(float).std() > 1.3 * frame[:, 8:48].astype(float).std()


def marked_sample(size: int = 128) -> Sample:
    """Return bright blobs on a dark ground, each in its own plane."""
    frame, planes = np.full((size, size), 30, np.uint8), np.zeros((12, size, size), np.bool_)
    for plane, (y, x) in enumerate(((30, 40), (60, 90), (95, 50))):
        planes[plane, y - 10 : y + 10, x - 8 : x + 8] = True
        frame[planes[plane]] = 200
    return Sample(frame, np.packbits(planes, axis=0), np.ones(12, np.float32), (0, 0, size, size))


@pytest.mark.parametrize("change", ["stretch", "bend", "uneven"])
def test_planes_follow_the_shape(change: str) -> None:
    shapes = {
        "stretch": replace(NOTHING, warp=1.0, stretch=1.4),
        "bend": replace(NOTHING, bend=1.0, bend_by=0.05),
        "uneven": replace(NOTHING, uneven=1.0, uneven_by=1.4),
    }
    before = marked_sample()
    for seed in range(5):
        after = shapes[change](before, np.random.default_rng(seed))
        assert not np.array_equal(after.frame, before.frame)
        inside = np.unpackbits(after.bits, axis=0, count=12).any(0)
        bright = after.frame > 115
        assert 2 * (inside & bright).sum() / (inside.sum() + bright.sum()) > 0.95


def test_heights_change_against_each_other_where_a_view_is_uneven() -> None:
    before = marked_sample()
    ratios = []
    for seed in range(20):
        after = replace(NOTHING, uneven=1.0, uneven_by=1.4)(before, np.random.default_rng(seed))
        heights = np.unpackbits(after.bits, axis=0, count=12)[:3].any(2).sum(1)
        ratios.append(heights[0] / heights[2])
        assert after.bits.any((1, 2))[0]
    assert min(ratios) < 0.9
    assert max(ratios) > 1.1


def test_in_place_augmentation_moves_nothing() -> None:
    before = marked_sample()
    everything = Augmentation(flip=1, warp=1, bend=1, uneven=1, crop=1, grey=1, noise=9).in_place()
    after = everything(before, np.random.default_rng(0))
    np.testing.assert_array_equal(after.bits, before.bits)
    assert after.window == before.window
    assert not np.array_equal(after.frame, before.frame)
