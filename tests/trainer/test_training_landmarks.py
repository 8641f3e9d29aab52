# SPDX-License-Identifier: Apache-2.0
"""Landmarks: where the phantom has them, how they move with a sample, and how a student learns them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vfss.landmarks import LANDMARKS
from vfss.phantom import Phantom
from vfss.schema import Schema
from vfss.student.config import StudentConfig
from vfss.student.network.student import StudentNetwork
from vfss_training.data.augment import Augmentation
from vfss_training.data.phantoms import PhantomSamples, landmark_discs
from vfss_training.data.samples import Sample
from vfss_training.loop.batches import view
from vfss_training.losses.landmarks import landmark_loss

SIZE = 96
SMALL = StudentConfig(backbone="mobilenetv3_small_050", input_size=SIZE, width=32, heads=2, depth=1, mlp_width=32)
KEYS = [landmark.key for landmark in LANDMARKS]


def _centre(disc: np.ndarray) -> np.ndarray:
    """Middle of a disc, (x, y)."""
    rows, columns = np.nonzero(disc)
    return np.array((columns.mean(), rows.mean()))


def _sample(point: tuple[float, float]) -> Sample:
    """A bright disc at a point, as the picture and as the only landmark, beside two empty planes."""
    points = np.full((1, 2), point)
    disc = landmark_discs(points, SIZE)
    planes = np.concatenate([np.zeros((2, SIZE, SIZE), np.bool_), disc])
    picture = (disc[0] * 255).astype(np.uint8)
    return Sample(picture, np.packbits(planes, axis=0), np.ones(2, np.float32), (0, 0, SIZE, SIZE), 1)


def test_corners_of_the_phantom_lie_on_the_border_of_its_masks() -> None:
    phantom = Phantom(12, n_frames=4, height=256, width=256)
    planes, points = phantom.planes(1), phantom.landmarks(1)
    for key in ("c2_front", "c2_back", "c4_front", "c4_back"):
        plane = planes[phantom.schema[key[:2]].index]
        if not plane.any():
            continue
        x, y = points[KEYS.index(key)].round().astype(int)
        around = plane[max(0, y - 3) : y + 4, max(0, x - 3) : x + 4]
        assert around.any() and not around.all()


def test_front_corners_lie_before_those_behind_and_c4_below_c2() -> None:
    for facing, sign in (("left", 1), ("right", -1)):
        phantom = Phantom(30, n_frames=4, height=256, width=256, facing=facing)
        points = dict(zip(KEYS, phantom.landmarks(0), strict=True))
        assert sign * (points["c2_back"] - points["c2_front"])[0] > 0
        assert sign * (points["c4_back"] - points["c4_front"])[0] > 0
        assert points["c4_front"][1] > points["c2_front"][1] > points["c1_tubercle"][1]


def test_what_is_outside_the_exposed_field_is_no_landmark() -> None:
    for seed in range(12):
        phantom = Phantom(seed, n_frames=3, height=128, width=128, style="wide")
        for x, y in phantom.landmarks(0):
            if np.isfinite(x):
                assert phantom.screen.field[round(y), round(x)]


@pytest.mark.parametrize("seed", range(6))
def test_landmarks_move_with_the_picture(seed: int) -> None:
    geometry = Augmentation(flip=0.5, warp=1, bend=1, crop=0.5, invert=0, grey=0, field=0, blur=0, noise=0)
    moved = geometry(_sample((40.0, 55.0)), np.random.default_rng(seed))
    disc = np.unpackbits(moved.bits, axis=0, count=3)[2]
    if disc.sum() > 3:
        assert np.hypot(*(_centre(disc) - _centre(moved.frame > 120))) < 1.0


def test_samples_without_landmarks_have_them_unknown() -> None:
    sample = replace(_sample((40.0, 55.0)), landmarks=0)
    _, target, known = view(sample, SMALL, SIZE, 4, landmarks=2)
    assert target.shape[0] == 4
    assert known.tolist() == [1.0, 1.0, 0.0, 0.0]
    _, target, known = view(_sample((40.0, 55.0)), SMALL, SIZE, 4, landmarks=2)
    assert known.tolist() == [1.0, 1.0, 1.0, 0.0]
    assert target[2].sum() > 0
    assert view(_sample((40.0, 55.0)), SMALL, SIZE, 4)[1].shape[0] == 2


def test_phantom_samples_carry_theirs(tmp_path: Path) -> None:
    samples = PhantomSamples(tmp_path, Schema.load(), styles={"standard": 1.0}, first_seed=5, n=1, size=SIZE)
    n = len(Schema.load())
    for _ in range(2):  # rendered, and read back
        discs = np.unpackbits(samples[0].bits, axis=0, count=n + len(LANDMARKS))[n:]
        assert samples[0].landmarks == len(LANDMARKS)
        assert discs.any((1, 2)).sum() >= 5


def test_the_loss_falls_as_place_and_presence_get_right() -> None:
    discs = torch.from_numpy(landmark_discs(np.array(((40.0, 56.0), (np.nan, np.nan))), SIZE)).float()[None]
    known = torch.ones(1, 2)
    small = torch.nn.functional.avg_pool2d(discs, 4)
    right, nowhere = 40.0 * small, torch.zeros_like(small)
    sure = torch.tensor([[5.0, -5.0]])
    assert landmark_loss(right, sure, discs, known) < 0.5 * landmark_loss(nowhere, sure, discs, known)
    assert landmark_loss(right, sure, discs, known) < landmark_loss(right, -sure, discs, known)
    assert float(landmark_loss(nowhere, -sure, discs, 0 * known)) == 0.0


def test_a_student_with_landmarks_gives_a_map_of_each() -> None:
    torch.manual_seed(0)
    plain = StudentNetwork(SMALL, 3).eval()
    finder = StudentNetwork(replace(SMALL, landmarks=4), 3).eval()
    finder.load_state_dict(plain.state_dict(), strict=False)
    frames = torch.rand(2, 1, SIZE, SIZE)
    decoded = finder.unprompted(finder.encoder(frames))
    assert decoded.heat.shape == (2, 4, SIZE // 4, SIZE // 4)
    assert decoded.presence.shape == (2, 4)
    assert finder(frames)[0].shape == plain(frames)[0].shape
    assert plain.unprompted(plain.encoder(frames)).heat.shape == (2, 0, SIZE // 4, SIZE // 4)
