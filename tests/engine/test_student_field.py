# SPDX-License-Identifier: Apache-2.0
"""The exposed field: which parts of a frame are cropped, and which never are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from small_student import disc_frame, small_checkpoint
from vfss.clips.exposed_field import exposed_field
from vfss.student import Student
from vfss.student.openvino_runtime import OpenVinoRuntime

NOISE = np.random.default_rng(0).integers(60, 200, (900, 1500), np.uint8)


def framed(top: int, left: int, rows: int, columns: int, outside: int = 0) -> np.ndarray:
    """An exposed field in an even frame of 900 x 1500."""
    frame = np.full((900, 1500), outside, np.uint8)
    frame[top : top + rows, left : left + columns] = NOISE[top : top + rows, left : left + columns]
    return frame


@settings(deadline=None)  # the first call imports scipy.ndimage
@given(
    st.integers(0, 500), st.integers(0, 900), st.integers(250, 400), st.integers(250, 600), st.sampled_from((0, 255))
)
def test_a_long_frame_is_cut_to_a_square_with_every_exposed_pixel(top, left, rows, columns, outside):
    y, x = exposed_field(framed(top, left, rows, columns, outside))
    assert (y.start, y.stop) == (0, 900)
    assert x.start <= left
    assert x.stop >= left + columns
    assert 900 <= x.stop - x.start <= 900 + 2 * 1500 // 32


@given(st.integers(950, 1500))
def test_a_field_longer_than_a_square_stays_whole(columns):
    left = 1500 - columns
    _, x = exposed_field(framed(100, left, 700, columns))
    assert x.start <= left
    assert x.stop == 1500


def test_upright_frames_are_cut_along_their_height():
    y, x = exposed_field(np.ascontiguousarray(framed(200, 900, 500, 500).T))
    assert (x.start, x.stop) == (0, 900)
    assert y.start <= 900
    assert y.stop >= 1400


def test_text_outside_the_field_does_not_count():
    frame = framed(200, 400, 500, 600)
    plain = exposed_field(frame)
    frame[20:40, 20:160:3] = 255
    assert exposed_field(frame) == plain


@pytest.mark.parametrize(
    "frame",
    [
        NOISE,
        np.zeros((900, 1500), np.uint8),
        np.full((40, 60), 9, np.uint8),
        framed(100, 100, 300, 300)[:900, :900],  # square: nothing is long
    ],
)
def test_a_frame_without_a_border_or_without_a_field_stays_whole(frame):
    assert exposed_field(frame) == (slice(0, frame.shape[0]), slice(0, frame.shape[1]))


def test_planes_of_a_cut_frame_lie_where_the_field_lies():
    checkpoint = small_checkpoint()
    cutting = replace(checkpoint, config=replace(checkpoint.config, crop_to_field=True))
    field = disc_frame(200, 200, 3)
    frame = np.zeros((600, 900), np.uint8)
    frame[300:500, 500:700] = np.maximum(field, 40)
    window = exposed_field(frame)
    planes_of_frame, alone = (
        Student(c, OpenVinoRuntime(c)).propose(f[None])[0].masks.planes
        for c, f in ((cutting, frame), (checkpoint, frame[window]))
    )
    assert window != (slice(0, 600), slice(0, 900))
    assert alone.any()
    np.testing.assert_array_equal(planes_of_frame[(slice(None), *window)], alone)
    assert planes_of_frame.sum() == alone.sum()
