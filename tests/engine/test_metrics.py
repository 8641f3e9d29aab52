# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import numpy as np
import pytest
import surface_distance
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vfss.errors import MaskError
from vfss.masks.metrics import dice, hd95

TIE = 1e-9
"""Share of a contour within which sums in another order may fall on the other side of 95 %."""
SMALL = st.tuples(st.integers(1, 9), st.integers(1, 9))
PAIRS = SMALL.flatmap(lambda shape: st.tuples(hnp.arrays(np.bool_, shape), hnp.arrays(np.bool_, shape)))


def square(top: int, left: int, side: int, shape: tuple[int, int] = (64, 48)) -> np.ndarray:
    mask = np.zeros(shape, np.bool_)
    mask[top : top + side, left : left + side] = True
    return mask


def contour(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the corner points that the contour passes, and its length there, from every 2x2 window."""
    padded = np.pad(mask, 1)
    points, lengths = [], []
    for y in range(padded.shape[0] - 1):
        for x in range(padded.shape[1] - 1):
            window = padded[y : y + 2, x : x + 2]
            inside = int(window.sum())
            if inside in (1, 3):
                length = math.sqrt(0.5)
            elif inside == 2:
                length = math.sqrt(2.0) if window[0, 0] == window[1, 1] else 1.0
            else:
                continue
            points.append((y, x))
            lengths.append(length)
    return np.array(points), np.array(lengths)


def directed(a: np.ndarray, b: np.ndarray, covering: float) -> float:
    (points, lengths), (others, _) = contour(a), contour(b)
    nearest = [math.sqrt(min((y - v) ** 2 + (x - u) ** 2 for v, u in others)) for y, x in points]
    order = sorted(zip(nearest, lengths, strict=True))
    covered = np.cumsum([length for _, length in order]) / sum(length for _, length in order)
    return next((d for (d, _), share in zip(order, covered, strict=True) if share >= covering), order[-1][0])


@given(PAIRS)
def test_dice_is_twice_the_overlap_over_both_areas(pair: tuple[np.ndarray, np.ndarray]) -> None:
    a, b = pair
    pixels_a, pixels_b = {*zip(*np.nonzero(a), strict=True)}, {*zip(*np.nonzero(b), strict=True)}
    if not pixels_a and not pixels_b:
        assert math.isnan(dice(a, b))
    else:
        assert dice(a, b) == pytest.approx(2 * len(pixels_a & pixels_b) / (len(pixels_a) + len(pixels_b)))


@settings(deadline=None)
@given(PAIRS)
@example((np.eye(5, 9, dtype=np.bool_) & (np.arange(9) < 1), ~np.isin(np.arange(45).reshape(5, 9), (1, 3, 11, 21))))
def test_hd95_agrees_with_brute_force_over_all_contour_points(pair: tuple[np.ndarray, np.ndarray]) -> None:
    a, b = pair
    distance = hd95(a, b)
    if a.any() and b.any():
        # Where exactly 95 % are covered, the order of summation decides: either side is right.
        least, most = (max(directed(a, b, share), directed(b, a, share)) for share in (0.95 - TIE, 0.95 + TIE))
        assert least - 1e-9 <= distance <= most + 1e-9
        assert distance == hd95(b, a)
    else:
        assert math.isnan(distance)


def by_surface_distance(a: np.ndarray, b: np.ndarray, spacing: tuple[float, float]) -> tuple[float, float]:
    """Just below and just above 95 %: see TIE."""
    distances = surface_distance.compute_surface_distances(a, b, spacing)
    least, most = (surface_distance.compute_robust_hausdorff(distances, 95 + 100 * tie) for tie in (-TIE, TIE))
    return float(least) - 1e-6, float(most) + 1e-6


@settings(deadline=None)
@given(PAIRS, st.tuples(st.floats(0.1, 4), st.floats(0.1, 4)))
def test_hd95_agrees_with_surface_distance(pair: tuple[np.ndarray, np.ndarray], spacing: tuple[float, float]) -> None:
    a, b = pair
    if a.any() and b.any():
        least, most = by_surface_distance(a, b, spacing)
        assert least <= hd95(a, b, spacing) <= most


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.7, 1.3)])
def test_hd95_agrees_with_surface_distance_on_a_frame(spacing: tuple[float, float]) -> None:
    rng = np.random.default_rng(7)
    speck = np.zeros((64, 48), np.bool_)
    speck[0, 47] = True
    masks = [square(0, 0, 20), square(40, 24, 24), square(20, 11, 9), speck, rng.random((64, 48)) < 0.3]
    for a in masks:
        for b in masks:
            least, most = by_surface_distance(a, b, spacing)
            assert least <= hd95(a, b, spacing) <= most


def test_a_mask_against_itself() -> None:
    mask = square(5, 6, 20)
    assert dice(mask, mask) == 1.0
    assert hd95(mask, mask) == 0.0


def test_one_pixel_far_away_does_not_move_the_95th_percentile() -> None:
    mask = square(4, 4, 30)
    speck = mask.copy()
    speck[60, 45] = True
    assert hd95(mask, speck) == 0.0


def test_distance_is_in_the_unit_of_the_spacing() -> None:
    a, b = square(0, 0, 8), square(20, 0, 8)
    assert hd95(a, b) == 20.0
    assert hd95(a, b, spacing=(0.5, 1.0)) == 10.0


def test_masks_that_fill_the_frame() -> None:
    full = np.ones((16, 24), np.bool_)
    assert dice(full, full) == 1.0
    assert hd95(full, full) == 0.0
    assert hd95(full, full[::-1]) == 0.0


@pytest.mark.parametrize("measure", [dice, hd95])
def test_masks_that_cannot_be_compared(measure) -> None:
    mask = square(0, 0, 4)
    with pytest.raises(MaskError, match="cannot be compared"):
        measure(mask, mask[:-1])
    with pytest.raises(MaskError, match="bool"):
        measure(mask.astype(np.uint8), mask)
