# SPDX-License-Identifier: Apache-2.0
"""Frames in, planes out: placement, normalisation, interpolation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from vfss.errors import StudentError
from vfss.student.config import LOGIT_STRIDE, StudentConfig
from vfss.student.preprocess import PADDING, Placement, fit, normalise, prepare, restore

CONFIG = StudentConfig(input_size=64)
SIDES = st.integers(3, 300)


@given(SIDES, SIDES)
def test_a_frame_lies_in_the_middle_with_its_aspect_kept(height: int, width: int) -> None:
    placement = Placement.of(height, width, 64)
    assert max(placement.rows, placement.columns) == 64
    assert placement.rows / placement.columns == pytest.approx(
        height / width, rel=0.5 / (min(placement.rows, placement.columns) - 0.5) + 0.02
    )
    assert abs((64 - placement.rows) - 2 * placement.top) <= 1
    assert abs((64 - placement.columns) - 2 * placement.left) <= 1


def bilinear(logits: np.ndarray, placement: Placement) -> np.ndarray:
    """Logits at the frame's pixels by scipy, with half-pixel centres and clamped borders."""
    y = (np.arange(placement.height) + 0.5) * placement.rows / placement.height + placement.top
    x = (np.arange(placement.width) + 0.5) * placement.columns / placement.width + placement.left
    grid = np.meshgrid(y / LOGIT_STRIDE - 0.5, x / LOGIT_STRIDE - 0.5, indexing="ij")
    return np.stack([map_coordinates(plane.astype(np.float64), grid, order=1, mode="nearest") for plane in logits])


@settings(deadline=None, max_examples=40)
@given(SIDES, SIDES, st.integers(0, 2**31), st.sampled_from([0.02, 0.3, 0.9]))
def test_planes_are_the_interpolated_logits_over_zero(height: int, width: int, seed: int, share: float) -> None:
    random = np.random.default_rng(seed)
    logits = random.normal(size=(3, 16, 16)).astype(np.float32)
    logits[random.random(logits.shape) > share] = -1.0
    placement = Placement.of(height, width, 64)
    expected = bilinear(logits, placement)
    planes = restore(logits, placement)
    assert planes.shape == (3, height, width)
    assert planes.dtype == np.bool_
    clear = np.abs(expected) > 1e-4  # exactly on the border, rounding decides
    np.testing.assert_array_equal(planes[clear], expected[clear] > 0)


def test_no_positive_logit_gives_empty_planes_and_all_positive_full_ones() -> None:
    placement = Placement.of(50, 37, 64)
    logits = np.stack([np.full((16, 16), -0.1), np.full((16, 16), 0.1)]).astype(np.float32)
    planes = restore(logits, placement)
    assert not planes[0].any()
    assert planes[1].all()


@given(st.floats(0.3, 1.0), st.integers(0, 60))
def test_exposure_does_not_matter(gain: float, offset: int) -> None:
    frame = (np.random.default_rng(0).random((64, 64)) * 190).astype(np.uint8)
    changed = np.rint(frame * gain + offset).astype(np.uint8)
    full_frame = (slice(0, 64), slice(0, 64))
    difference = normalise(changed, full_frame, CONFIG) - normalise(frame, full_frame, CONFIG)
    assert np.abs(difference).max() < 4.0 / (190 * gain)


def test_padding_is_neither_counted_nor_scaled() -> None:
    frame = np.full((32, 64), 200, np.uint8)
    frame[:, :32] = 100
    values = prepare(frame, Placement.of(32, 64, 64), CONFIG)
    assert values.shape == (1, 64, 64)
    assert values.dtype == np.float32
    assert (values[0, :16] == PADDING).all()
    assert (values[0, 48:] == PADDING).all()
    assert values[0, 20, 5] == -1.0
    assert values[0, 20, 60] == 1.0


def test_a_flat_frame_stays_finite() -> None:
    values = prepare(np.zeros((20, 20), np.uint8), Placement.of(20, 20, 64), CONFIG)
    assert np.isfinite(values).all()


def test_a_frame_of_the_right_size_is_not_resampled() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (64, 40), dtype=np.uint8)
    placement = Placement.of(64, 40, 64)
    np.testing.assert_array_equal(fit(frame, placement)[placement.window], frame)


def test_a_config_survives_json_and_refuses_unknown_fields() -> None:
    assert StudentConfig.from_json(CONFIG.to_json()) == CONFIG
    assert StudentConfig.from_json('{"input_size": 96}') == StudentConfig(input_size=96)
    for text in ("[]", "{", '{"bones": 3}', '{"mirrored": 1}', '{"heads": true}', '{"input_size": "64"}'):
        with pytest.raises(StudentError):
            StudentConfig.from_json(text)


@pytest.mark.parametrize("values", [{"input_size": 100}, {"width": 20}, {"low_percentile": 99.5}])
def test_an_impossible_config_is_refused(values: dict[str, float]) -> None:
    with pytest.raises(StudentError):
        StudentConfig(**values)
