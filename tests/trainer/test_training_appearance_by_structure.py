# SPDX-License-Identifier: Apache-2.0
"""Appearance by structure: what changes, where, and reproducibility by seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vfss.errors import TrainingError
from vfss_training.data.appearance_by_structure import AppearanceByStructure
from vfss_training.data.samples import Sample

SIDE = 192
ALWAYS = AppearanceByStructure(share=1.0)


def two_discs() -> tuple[Sample, np.ndarray]:
    """Return a sample of two textured discs on a textured ground, and their planes, bool (2, SIDE, SIDE)."""
    y, x = np.mgrid[:SIDE, :SIDE]
    planes = np.stack([np.hypot(y - 60, x - 60) < 20, np.hypot(y - 130, x - 130) < 25])
    noise = np.random.default_rng(0).normal(0, 8, (SIDE, SIDE))
    frame = (120 + 30 * planes[0] - 40 * planes[1] + noise).clip(0, 255).astype(np.uint8)
    bits = np.packbits(planes.astype(np.uint8), axis=0)
    return Sample(frame, bits, np.ones(2, np.float32), (0, 0, SIDE, SIDE)), planes


def test_the_same_random_state_gives_the_same_frame_and_planes_stay() -> None:
    sample, _ = two_discs()
    before = sample.frame.copy()
    first, again, other = (ALWAYS(sample, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.frame, again.frame)
    assert not np.array_equal(first.frame, other.frame)
    assert first.bits is sample.bits
    assert first.frame.dtype == np.uint8
    np.testing.assert_array_equal(sample.frame, before)


def test_structures_change_against_each_other_and_what_is_far_from_all_stays() -> None:
    sample, planes = two_discs()
    y, x = np.mgrid[:SIDE, :SIDE]
    far = (np.hypot(y - 60, x - 60) > 45) & (np.hypot(y - 130, x - 130) > 50)
    differences = []
    for seed in range(30):
        changed = ALWAYS(sample, np.random.default_rng(seed)).frame.astype(float)
        assert np.abs(changed - sample.frame)[far].max() <= 1
        differences.append([changed[plane].mean() - sample.frame[plane].mean() for plane in planes])
    first, second = np.array(differences).T
    assert min(first.std(), second.std()) > 4
    assert (first - second).std() > 4


def test_borders_are_smooth() -> None:
    sample, _ = two_discs()
    flat = replace(sample, frame=np.full((SIDE, SIDE), 128, np.uint8))
    for seed in range(20):
        changed = ALWAYS(flat, np.random.default_rng(seed)).frame.astype(int)
        step = max(np.abs(np.diff(changed, axis=axis)).max() for axis in (0, 1))
        assert step <= 2 + 0.4 * np.abs(changed - 128).max()


def test_texture_inside_stays() -> None:
    sample, planes = two_discs()
    kept = []
    for seed in range(20):
        changed = ALWAYS(sample, np.random.default_rng(seed)).frame
        kept.append(np.corrcoef(changed[planes[0]], sample.frame[planes[0]])[0, 1])
    assert np.median(kept) > 0.6


def test_without_a_share_or_without_planes_nothing_changes() -> None:
    sample, _ = two_discs()
    assert AppearanceByStructure()(sample, np.random.default_rng(0)) is sample
    empty = replace(sample, bits=np.zeros_like(sample.bits))
    assert ALWAYS(empty, np.random.default_rng(0)) is empty


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), side=st.integers(32, 200), structures=st.integers(1, 17))
def test_any_size_and_number_of_structures(seed: int, side: int, structures: int) -> None:
    random = np.random.default_rng(seed)
    frame = random.integers(0, 256, (side, side), dtype=np.uint8)
    bits = np.packbits(random.random((structures, side, side)) < 0.1, axis=0)
    sample = Sample(frame, bits, np.ones(structures, np.float32), (0, 0, side, side))
    changed = ALWAYS(sample, random).frame
    assert changed.shape == frame.shape
    assert changed.dtype == np.uint8


def test_a_share_beyond_one_is_refused() -> None:
    with pytest.raises(TrainingError):
        AppearanceByStructure(share=1.5)
