# SPDX-License-Identifier: Apache-2.0
"""Pixels that are not square: the student and all motion see true proportions, masks stay on stored pixels."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moving_clip import SIZE, box, moved, texture
from small_project import write_video
from small_student import CONFIG, disc_frame, small_checkpoint
from vfss.clips import ArrayClip
from vfss.clips.exposed_field import exposed_field
from vfss.errors import ClipError
from vfss.masks import bounding_box
from vfss.masks.metrics import dice
from vfss.masks.morphology import grow, shrink, smooth
from vfss.motion.optical_flow import KeyMotion
from vfss.motion.rigid import RigidBodies
from vfss.project import Project
from vfss.proposals.student import propose_clip
from vfss.student import Student
from vfss.student.preprocess import Placement, prepare
from vfss.student.prompt_maps import click_map
from vfss.student.prompts import Click, Prompts
from vfss.student.refinement import changed_near_clicks
from vfss.student.rules import NO_RULES
from vfss.student.torch_runtime import TorchRuntime

ASPECTS = (0.5, 8 / 9, 16 / 11, 2.0)


def stored(picture: np.ndarray, aspect: float) -> np.ndarray:
    """Return a picture of square pixels as a recorder stores it whose pixels are `aspect` times as wide as high."""
    width = round(picture.shape[1] / aspect)
    if picture.dtype == np.bool_:
        return stored(picture.astype(np.uint8) * 255, aspect) > 127
    return cv2.resize(picture, (width, picture.shape[0]), interpolation=cv2.INTER_LINEAR)


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Student:
    path = tmp_path_factory.mktemp("student") / "small.safetensors"
    checkpoint = small_checkpoint(config=replace(CONFIG, prompted=True)).save(path)
    # Rules keep one piece of what random weights strew about: which one, a pixel may decide.
    return Student(checkpoint, TorchRuntime(checkpoint, "cpu-torch"), rules=NO_RULES)


@given(st.integers(40, 900), st.integers(40, 900), st.floats(0.4, 2.5))
def test_a_part_is_placed_in_its_true_proportions(height: int, width: int, aspect: float) -> None:
    placement = Placement.of(height, width, 512, aspect)
    assert max(placement.rows, placement.columns) == 512
    assert placement.columns / placement.rows == pytest.approx(width * aspect / height, abs=2 * 512 / placement.rows**2)


@pytest.mark.parametrize("aspect", ASPECTS)
def test_the_network_sees_the_picture_and_not_its_grid(aspect: float) -> None:
    frame = disc_frame(96, 96)
    square = prepare(frame, Placement.of(96, 96, 64), CONFIG)
    wide = stored(frame, aspect)
    seen = prepare(wide, Placement.of(*wide.shape, 64, aspect), CONFIG)
    stretched = prepare(wide, Placement.of(*wide.shape, 64), CONFIG)
    assert np.abs(seen - square).mean() < 0.05
    assert np.abs(stretched - square).mean() > 2 * np.abs(seen - square).mean()


@pytest.mark.parametrize("aspect", ASPECTS)
def test_proposals_lie_on_stored_pixels(student: Student, aspect: float) -> None:
    frame = disc_frame(96, 96)
    wide = stored(frame, aspect)
    expected = student.propose(frame[None])[0].masks.planes
    (one,), (each,) = (
        student.propose(wide[None], pixel_aspect=aspect),
        list(student.propose_each([wide], pixel_aspect=aspect)),
    )
    assert one.masks.planes.shape[1:] == wide.shape
    np.testing.assert_array_equal(one.masks.planes, each.masks.planes)
    overlaps = [dice(plane, stored(truth, aspect)) for plane, truth in zip(one.masks.planes, expected, strict=True)]
    assert np.nanmean(overlaps) > 0.93


@pytest.mark.parametrize("aspect", ASPECTS)
def test_clicks_are_mapped_as_the_picture_is(aspect: float) -> None:
    square, wide = Placement.of(96, 96, 64), Placement.of(96, round(96 / aspect), 64, aspect)
    there = click_map((Click(30.0, 60.0, True),), square, adds=True)
    here = click_map((Click(30.0, (60.0 + 0.5) / aspect - 0.5, True),), wide, adds=True)
    np.testing.assert_allclose(here, there, atol=0.05)


def test_a_click_corrects_on_stored_pixels(student: Student) -> None:
    wide = stored(disc_frame(96, 96), 0.5)
    encoded = student.encode(wide, pixel_aspect=0.5)
    refined = student.refine(encoded, "c3", Prompts((Click(40.0, 100.0, True),)), np.zeros(wide.shape, np.bool_))
    assert refined.mask.shape == wide.shape


def test_what_is_near_a_click_is_round_on_the_screen() -> None:
    current, corrected = np.zeros((2, 640, 1280), np.bool_)
    current[600:630, 1200:1260] = True
    corrected |= current
    corrected[300:340, 600:700] = True  # 12 columns beside the click, which at half width are 6 heights of a pixel
    near = changed_near_clicks(current, corrected, (Click(320.0, 588.0, True),), 0.5)
    assert np.array_equal(near, corrected)
    far = changed_near_clicks(current, corrected, (Click(288.0, 650.0, True),), 0.5)  # 12 rows above it
    assert np.array_equal(far, current)


def test_the_picture_counts_as_long_and_not_its_grid() -> None:
    frame = np.zeros((480, 720), np.uint8)
    frame[:, 100:600] = np.random.default_rng(0).integers(60, 200, (480, 500), np.uint8)
    assert exposed_field(frame)[1] != slice(0, 720)
    assert exposed_field(frame, 0.7) == (slice(0, 480), slice(0, 720))  # 504 wide: nearly a square
    y, x = exposed_field(frame, 8 / 9)
    assert (y, x.start <= 100, x.stop >= 600) == (slice(0, 480), True, True)
    assert (x.stop - x.start) * 8 / 9 >= 480  # never narrower than a square


@pytest.mark.parametrize("aspect", [0.5, 2.0])
def test_bones_stay_rigid_where_pixels_are_not_square(aspect: float) -> None:
    key, mask = texture(), box(64, 64, 40, 40)
    motion = KeyMotion(stored(key, aspect), aspect)
    bones = RigidBodies({"mandible": stored(mask, aspect)}, pixel_aspect=aspect)
    frames = 8
    for n in range(1, frames + 1):
        picture = moved(key, 4 * n / frames, 2 * n / frames, 12 * n / frames)
        matrix, _ = bones.fit(motion.advance(stored(picture, aspect))[0])["mandible"]
    true = matrix / (aspect, 1.0, aspect) * np.array((aspect, 1.0))[:, None]
    true[:, 2] *= (aspect, 1.0)
    assert np.linalg.det(true[:, :2]) == pytest.approx(1.0)
    np.testing.assert_allclose(true[:, :2] @ true[:, :2].T, np.eye(2), atol=1e-9)
    wanted = stored(moved(mask, 4, 2, 12), aspect)
    height, width = wanted.shape
    placed = cv2.warpAffine(stored(mask, aspect).astype(np.uint8), matrix, (width, height)) > 0
    assert dice(placed, wanted) > 0.95


def test_square_pixels_are_the_default(tmp_path: Path) -> None:
    for height, width in ((SIZE, SIZE), (480, 640), (920, 1512)):
        assert Placement.of(height, width, 512) == Placement.of(height, width, 512, 1.0)


def test_a_project_proposes_in_true_proportions(student: Student, tmp_path: Path) -> None:
    frame = disc_frame(96, 96)
    wide = np.ascontiguousarray(frame[:, ::2])  # every second column: pixels twice as wide
    with Project.create(tmp_path / "project", student.schema) as project:
        video = write_video(tmp_path / "wide.mp4", np.stack([wide, wide]), aspect=Fraction(2))
        clip = project.add_clip(video, patient="one")
        assert clip.pixel_aspect == pytest.approx(2)
        propose_clip(project, student, clip.id, [0])
        with project.open_clip(clip.id) as opened:
            expected = student.propose(opened.as_uint8(0)[None], pixel_aspect=opened.pixel_aspect)[0]
            stretched = student.propose(opened.as_uint8(0)[None])[0]
        planes = project.masks(clip.id, 0).planes
    overlaps = [dice(one, other) for one, other in zip(planes, expected.masks.planes, strict=True)]
    assert planes.shape[1:] == wide.shape
    assert np.nanmin(overlaps) > 0.98
    assert not np.array_equal(planes, stretched.masks.planes)


@pytest.mark.parametrize("aspect", [0.5, 2.0])
def test_a_rim_is_as_wide_to_the_sides_as_upwards(aspect: float) -> None:
    mask = np.zeros((80, 160), np.bool_)
    mask[30:50, 60:100] = True
    grown, shrunk = grow(mask, 8, aspect), shrink(mask, 8, aspect)
    (top, bottom), (left, right) = ((s.start, s.stop) for s in bounding_box(grown))
    assert (30 - top, bottom - 50) == (8, 8)
    assert (60 - left, right - 100) == (8 / aspect, 8 / aspect)
    (top, bottom), (left, right) = ((s.start, s.stop) for s in bounding_box(shrunk))
    assert (top, bottom, left, right) == (38, 42, 60 + 8 / aspect, 100 - 8 / aspect)
    square = cv2.resize(mask.astype(np.uint8), (round(160 * aspect), 80)) > 0
    assert dice(smooth(mask, 4, aspect), stored(smooth(square, 4), aspect)) > 0.98


@pytest.mark.parametrize("aspect", [0.0, -1.0, float("nan"), float("inf")])
def test_an_aspect_that_is_none_is_refused(aspect: float) -> None:
    with pytest.raises(ClipError, match="times as wide as high"):
        ArrayClip(np.zeros((2, 8, 8), np.uint8), pixel_aspect=aspect)
