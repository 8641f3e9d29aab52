# SPDX-License-Identifier: Apache-2.0
"""A student that takes prompts: the runtimes agree, masks are in pixels of the frame, proposals are unchanged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from small_student import CONFIG, disc_frame, small_checkpoint
from vfss.errors import StudentError
from vfss.student import load_checkpoint, load_student
from vfss.student.preprocess import Placement
from vfss.student.prompt_maps import box_map, click_map, correction_maps, coverage
from vfss.student.prompts import Box, Click, Prompts

PROMPTED = replace(CONFIG, prompted=True)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("student") / "prompted.safetensors"
    small_checkpoint(config=PROMPTED).save(path)
    return path


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_graph_and_torch_agree(path: Path) -> None:
    frame, prompts = disc_frame(90, 131), Prompts((Click(40, 60, True), Click(10, 10, False)), Box(20, 30, 70, 100))
    current = np.zeros((90, 131), np.bool_)
    current[30:60, 40:90] = True
    answers = []
    for device in ("cpu", "cpu-torch"):
        student = load_student(path, device)
        encoded = student.encode(frame)
        answers.append(student.refine(encoded, "mandible", prompts, current))
        assert student.can_refine
    graph, torch = answers
    assert graph.mask.shape == (90, 131) and graph.mask.dtype == np.bool_
    assert np.mean(graph.mask == torch.mask) > 0.999
    assert graph.confidence == pytest.approx(torch.confidence, abs=1e-3)


def test_prompts_change_the_mask(path: Path) -> None:
    student, frame = load_student(path, "cpu-torch"), disc_frame(64, 64)
    encoded, blank = student.encode(frame), np.zeros((64, 64), np.bool_)
    square = blank.copy()
    square[20:40, 20:40] = True
    assert (
        student.refine(encoded, "c3", Prompts(), square).mask != student.refine(encoded, "c3", Prompts(), blank).mask
    ).any()


def test_masks_or_students_that_do_not_fit_are_refused(path: Path, tmp_path: Path) -> None:
    student = load_student(path, "cpu-torch")
    encoded = student.encode(disc_frame(64, 64))
    with pytest.raises(StudentError, match="do not fit"):
        student.refine(encoded, "c3", Prompts(), np.zeros((64, 63), np.bool_))
    small_checkpoint().save(tmp_path / "old.safetensors")
    old = load_student(tmp_path / "old.safetensors", "cpu-torch")
    assert not old.can_refine
    with pytest.raises(StudentError, match="takes no clicks"):
        old.encode(disc_frame(64, 64))


def test_the_file_keeps_the_graphs_and_repeats_no_weights(path: Path) -> None:
    loaded = load_checkpoint(path)
    assert set(loaded.prompted) == {"encode", "correct"}
    graphs = len(loaded.graph) + sum(len(graph) for graph in loaded.prompted.values())
    weights = sum(tensor.nbytes for tensor in loaded.tensors.values())
    assert path.stat().st_size < weights + graphs + 200_000


@given(st.integers(20, 300), st.integers(20, 300), st.floats(0.05, 0.95), st.floats(0.05, 0.95), st.booleans())
def test_a_click_lands_where_the_plane_lies(height: int, width: int, y: float, x: float, adds: bool) -> None:
    placement = Placement.of(height, width, 128)
    row, column = int(y * height), int(x * width)
    spread = max(height, width) // 24 + 1
    plane = np.zeros((height, width), np.bool_)
    plane[max(0, row - spread) : row + spread + 1, max(0, column - spread) : column + spread + 1] = True
    maps = correction_maps(3, plane, Prompts((Click(row, column, adds),)), placement, 12)
    assert maps.shape == (16, 32, 32) and maps.dtype == np.float32
    clicked, other = maps[13 if adds else 14], maps[14 if adds else 13]
    assert not other.any()
    peak = np.unravel_index(clicked.argmax(), clicked.shape)
    share = coverage(plane, placement)
    assert share[peak] > 0, "the peak of a click's map lies on the plane around it"


@given(st.integers(16, 200), st.integers(16, 200))
def test_shares_add_up_to_the_area(height: int, width: int) -> None:
    placement = Placement.of(height, width, 64)
    plane = np.zeros((height, width), np.bool_)
    plane[height // 4 : height // 2, width // 4 : width // 2] = True
    scale = (placement.rows / height) * (placement.columns / width) / 16
    assert coverage(plane, placement).sum() == pytest.approx(plane.sum() * scale, rel=0.15, abs=1.0)


def test_boxes_and_clicks_are_zero_where_there_are_none() -> None:
    placement = Placement.of(64, 64, 64)
    assert not box_map(None, placement).any()
    inside = box_map(Box(16, 16, 47, 47), placement)
    assert inside[8, 8] == 1 and inside[0, 0] == -1
    assert not click_map((), placement, adds=True).any()
