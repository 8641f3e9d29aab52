# SPDX-License-Identifier: Apache-2.0
"""Landmarks: points from heat maps, in pixels of the frame, by a head that leaves masks alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from small_student import CONFIG, disc_frame, small_checkpoint
from vfss.errors import StudentError
from vfss.landmarks import LANDMARKS
from vfss.student import load_student
from vfss.student.heat_map import peaks
from vfss.student.landmark_points import landmarks_from
from vfss.student.preprocess import Placement

FINDER = replace(CONFIG, landmark_head=len(LANDMARKS))


def _bump(y: float, x: float, height: int = 24, width: int = 24) -> np.ndarray:
    """A map with one peak, float32 (1, height, width)."""
    rows, columns = np.mgrid[:height, :width]
    return (-0.5 * ((rows - y) ** 2 + (columns - x) ** 2)).astype(np.float32)[None]


@given(st.floats(4, 19), st.floats(4, 19))
def test_a_peak_is_found_between_pixels(y: float, x: float) -> None:
    points, confidence = peaks(_bump(y, x), np.array([6.0], np.float32))
    assert np.abs(points[0] - (y, x)).max() < 0.15
    assert confidence[0] > 0.95


def test_a_map_without_a_peak_and_an_absent_landmark_have_no_confidence() -> None:
    flat = np.zeros((1, 24, 24), np.float32)
    assert peaks(flat, np.array([9.0], np.float32))[1][0] < 0.2
    assert peaks(_bump(9, 9), np.array([-9.0], np.float32))[1][0] < 0.01


@given(
    st.floats(0, 99),
    st.floats(0, 179),
    st.sampled_from([0.8, 1.0, 1.4]),
    st.sampled_from([0.7, 1.0, 1.6]),
)
def test_points_lie_where_the_frame_has_them(y: float, x: float, aspect: float, factor: float) -> None:
    window = (slice(7, 107), slice(12, 192))
    placement = Placement.of(100, 180, 256, aspect).around((128.0, 120.0), factor)
    row = ((y + 0.5) * placement.rows / 100 + placement.top) / 4 - 0.5
    column = ((x + 0.5) * placement.columns / 180 + placement.left) / 4 - 0.5
    if not (3 < row < 60 and 3 < column < 60):
        return
    found = landmarks_from(_bump(row, column, 64, 64), np.array([6.0], np.float32), placement, window, "st-x")
    at = found.point(LANDMARKS[0].key)
    assert at is not None
    scale = 4 * 100 / placement.rows, 4 * 180 / placement.columns  # frame pixels a pixel of the map
    assert abs(at[0] - y - 7) < 0.15 * scale[0] and abs(at[1] - x - 12) < 0.15 * scale[1]
    assert found.point(LANDMARKS[0].key, least=1.01) is None


def test_a_place_outside_the_frame_is_no_point() -> None:
    placement = Placement.of(100, 200, 256)  # bars above and below
    found = landmarks_from(
        _bump(3, 30, 64, 64), np.array([6.0], np.float32), placement, (slice(0, 100), slice(0, 200)), "st-x"
    )
    assert np.isnan(found.points).all() and found.confidence[0] == 0.0
    assert found.point(LANDMARKS[0].key) is None


def test_a_head_leaves_masks_alone_and_graph_and_torch_agree(tmp_path: Path) -> None:
    import torch

    from vfss.student.network.student import StudentNetwork
    from vfss.student.torch_runtime import build_network
    from vfss_training.model.export import pack
    from vfss_training.model.initialise import from_student

    plain = small_checkpoint()
    network: StudentNetwork = from_student(plain, plain.schema, 3, FINDER)
    with torch.no_grad():
        network.landmark_head.kernels.layers[-1].weight.mul_(30.0)  # type: ignore[union-attr, operator]
    packed = pack(network.eval(), FINDER, plain.schema, provenance={"command": "test"})
    with_head = replace(packed, closer=None).save(tmp_path / "head.safetensors")
    before = plain.save(tmp_path / "plain.safetensors")
    assert set(with_head.prompted) == {"encode", "landmarks"}
    assert all((with_head.tensors[name] == tensor).all() for name, tensor in before.tensors.items())
    assert build_network(with_head).landmark_head is not None
    frame = disc_frame(60, 80)
    for device in ("cpu", "cpu-torch"):
        old, new = (load_student(one.path, device).propose(frame[None])[0] for one in (before, with_head))
        assert (old.masks.planes == new.masks.planes).all()
        assert (old.confidence == new.confidence).all()
    graph, in_torch = (load_student(with_head.path, device).find_landmarks(frame) for device in ("cpu", "cpu-torch"))
    assert graph.keys == tuple(landmark.key for landmark in LANDMARKS)
    assert np.allclose(graph.points, in_torch.points, atol=0.2, equal_nan=True)
    assert np.allclose(graph.confidence, in_torch.confidence, atol=0.02)


def test_a_student_without_a_head_says_so(tmp_path: Path) -> None:
    student = load_student(small_checkpoint().save(tmp_path / "plain.safetensors").path, "cpu")
    assert not student.can_find_landmarks
    with pytest.raises(StudentError, match="finds no landmarks"):
        student.find_landmarks(disc_frame(60, 80))
