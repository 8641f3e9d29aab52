# SPDX-License-Identifier: Apache-2.0
"""Motion between frames, of points and of rigid structures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moving_clip import SCHEMA, SIZE, box, moved, texture
from vfss.motion.optical_flow import KeyMotion, flow_image, is_repeat
from vfss.motion.rigid import RigidBodies

POINTS = np.array([(40.0, 40.0), (64.0, 70.0), (90.0, 50.0)])


def walk(key: np.ndarray, dx: float, dy: float, degrees: float = 0.0, frames: int = 4):
    """Return the motion to the last of several frames that move evenly to the given displacement."""
    motion = KeyMotion(key)
    for n in range(1, frames + 1):
        displacement, _ = motion.advance(moved(key, dx * n / frames, dy * n / frames, degrees * n / frames))
    return displacement


@settings(max_examples=12, deadline=None)
@given(dx=st.floats(-9, 9), dy=st.floats(-9, 9))
def test_a_shift_is_found_in_both_directions(dx, dy):
    shift, errors = walk(texture(), dx, dy).displacements(POINTS)
    assert np.allclose(shift, (dx, dy), atol=0.6)
    assert (errors < 0.6).all()


def test_the_backward_map_gives_each_pixels_former_place():
    x, y = walk(texture(), 6, -3).backward_map
    assert x.shape == y.shape == (SIZE, SIZE)
    assert x[64, 64] == pytest.approx(64 - 6, abs=0.6)
    assert y[64, 64] == pytest.approx(64 + 3, abs=0.6)


def test_a_step_of_brightness_is_no_motion():
    key = texture()
    darker = (key * 0.55 + 20).astype(np.uint8)
    shift, _ = KeyMotion(key).advance(darker)[0].displacements(POINTS)
    assert np.abs(shift).max() < 0.3


def test_a_repeated_frame_is_recognised_and_moves_nothing():
    key, motion = texture(), KeyMotion(texture())
    first, repeated = motion.advance(moved(key, 2, 0))
    assert not repeated
    grain = np.random.default_rng(1).integers(0, 2, key.shape, np.uint8)
    again, repeated = motion.advance(np.minimum(moved(key, 2, 0), 254) + grain)
    assert repeated
    assert again is first
    assert not is_repeat(flow_image(key), flow_image(moved(key, 2, 0)))


def test_nothing_is_followed_over_a_cut():
    key, motion = texture(), KeyMotion(texture())
    assert motion.advance(moved(key, 1, 0))[0].unbroken
    assert not motion.advance(texture(5))[0].unbroken
    assert not motion.advance(moved(key, 2, 0))[0].unbroken


def test_a_blank_frame_is_no_error():
    blank = np.zeros((SIZE, SIZE), np.uint8)
    motion, _ = KeyMotion(blank).advance(blank + 100)
    assert np.isfinite(motion.displacements(POINTS)[0]).all()


def test_bones_move_rigidly():
    key, bones = texture(), RigidBodies({"c3": box(50, 60), "mandible": box(90, 90)})
    motion, frames = KeyMotion(key), 8
    for n in range(1, frames + 1):
        fitted = bones.fit(motion.advance(moved(key, 4 * n / frames, 2 * n / frames, 3 * n / frames))[0])
    for matrix, consistency in fitted.values():
        turn = np.degrees(np.arctan2(matrix[0, 1], matrix[0, 0]))
        assert turn == pytest.approx(3, abs=1.2)
        assert np.linalg.det(matrix[:, :2]) == pytest.approx(1)
        assert consistency > 0.5


def test_a_vertebra_without_texture_moves_with_its_neighbours():
    planes = {key: box(y, 64) for key, y in (("c3", 40), ("c4", 60), ("c5", 80))}
    key = texture()
    flat = np.full_like(key, 128)
    hidden = box(60, 64, 40, 60)

    def covered(picture):  # a shadow that stays where it is lies over c4
        return np.where(hidden, flat, picture).astype(np.uint8)

    motion, steps = KeyMotion(covered(key)), 12
    bones = RigidBodies(planes, SCHEMA.chains)
    for n in range(1, steps + 1):
        fitted = bones.fit(motion.advance(covered(moved(key, 0.5 * n, 0)))[0])
    alone = RigidBodies({"c4": planes["c4"]}).fit(motion.advance(covered(moved(key, 6, 0)))[0])["c4"][0]
    middle = np.array((64, 60, 1))
    assert (fitted["c4"][0] @ middle)[0] - 64 > (alone @ middle)[0] - 64 + 0.5


def test_c2_and_c4_alone_are_not_joined():
    assert RigidBodies({"c2": box(40, 64), "c4": box(80, 64)}, SCHEMA.chains).joints == ()
    planes = {"c2": box(40, 64), "c3": box(60, 64), "c4": box(80, 64)}
    assert len(RigidBodies(planes, SCHEMA.chains).joints) == 2
