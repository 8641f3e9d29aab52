# SPDX-License-Identifier: Apache-2.0
"""Lower front corners of vertebral bodies: on phantoms with exact corners, and however the picture is turned."""

import numpy as np
import pytest

from vfss.masks.corners import lower_front_corners
from vfss.phantom import Phantom

SIZE = 320
CORNER = 8 * 5  # the ninth control point of a body, on an outline of five points for each
FRAME = 10


def neck(seed: int, facing: str, style: str = "clinic") -> tuple[np.ndarray, np.ndarray]:
    """Masks of C2 to C7, bool (6, H, W), and their true lower front corners (y, x), float64 (6, 2)."""
    phantom = Phantom(seed, n_frames=20, height=SIZE, width=SIZE, facing=facing, style=style)
    scene = phantom.patient.scene(float(phantom.times_s[phantom.shown(FRAME)]))
    keys = [f"c{level}" for level in range(2, 8)]
    corners = [phantom.screen.pixels(scene.truth[key][0][CORNER : CORNER + 1])[0] - 0.5 for key in keys]
    planes = phantom.planes(FRAME)
    return np.stack([planes[phantom.schema[key].index] for key in keys]), np.stack(corners)[:, ::-1]


@pytest.mark.parametrize("facing", ["left", "right"])
@pytest.mark.parametrize("style", ["clinic", "elderly"])
def test_corners_of_phantoms_are_found(facing: str, style: str) -> None:
    errors, lengths = [], []
    for seed in range(100_500, 100_506):
        masks, corners = neck(seed, facing, style)
        length = np.hypot(*(corners[2] - corners[0]))
        found = lower_front_corners(masks)
        whole = [i for i in range(6) if (corners[i] > 12).all() and (corners[i] < SIZE - 13).all() and masks[i].any()]
        errors += [np.hypot(*(np.array(found[i]) - corners[i])) / length for i in whole if i < 4]
        if {0, 2} <= set(whole):
            lengths.append(np.hypot(*np.subtract(found[2], found[0])) / length)
    assert len(errors) > 16
    assert np.mean(errors) < 0.03
    assert np.max(errors) < 0.08
    assert len(lengths) > 4
    assert np.mean(lengths) == pytest.approx(1.0, abs=0.015)


def test_corners_turn_with_the_picture() -> None:
    masks, _ = neck(100_501, "left")
    upright = np.array([corner for corner in lower_front_corners(masks) if corner is not None])
    quarter = np.array([corner for corner in lower_front_corners(np.rot90(masks, axes=(1, 2))) if corner is not None])
    mirrored = np.array([corner for corner in lower_front_corners(masks[:, :, ::-1]) if corner is not None])
    assert len(upright) > 4
    assert np.abs(mirrored - np.stack([upright[:, 0], SIZE - 1 - upright[:, 1]], axis=1)).max() < 0.6
    assert np.abs(quarter - np.stack([SIZE - 1 - upright[:, 1], upright[:, 0]], axis=1)).max() < 0.6


def test_specks_move_no_corner() -> None:
    masks, _ = neck(100_501, "left")
    dirty = masks.copy()
    dirty[:4, -6:-2, :4] = True
    moved = np.subtract(lower_front_corners(dirty)[:4], lower_front_corners(masks)[:4])
    assert np.abs(moved).max() < 1e-6


def test_a_vertebra_that_is_not_there_has_no_corner() -> None:
    masks, corners = neck(100_501, "right")
    masks[1] = False
    found = lower_front_corners(masks)
    assert found[1] is None
    length = np.hypot(*(corners[2] - corners[0]))
    assert np.hypot(*(np.array(found[0]) - corners[0])) < 0.1 * length
    assert np.hypot(*(np.array(found[2]) - corners[2])) < 0.1 * length


@pytest.mark.parametrize("facing", ["left", "right"])
def test_what_lies_before_the_spine_tells_the_front_where_processes_are_cut_off(facing: str) -> None:
    masks, corners = neck(100_504, facing)
    forward = (corners[1, 1] - np.arange(SIZE)) * (1 if facing == "left" else -1)
    cut = forward > -0.45 * np.hypot(*(corners[2] - corners[0]))  # the bodies, and no process
    before = np.zeros_like(masks[0])
    before[:, slice(10) if facing == "left" else slice(-10, None)] = True
    found = lower_front_corners(masks & cut, before)
    length = np.hypot(*(corners[2] - corners[0]))
    assert np.hypot(*np.subtract(found[1], corners[1])) < 0.1 * length
    mirrored = lower_front_corners(masks & cut, before[:, ::-1])
    assert np.hypot(*np.subtract(mirrored[1], corners[1])) > 0.3 * length


def test_one_vertebra_does_not_tell_where_down_is() -> None:
    masks, _ = neck(100_501, "right")
    masks[1:] = False
    assert lower_front_corners(masks) == [None] * 6
    assert lower_front_corners([]) == []
