# SPDX-License-Identifier: Apache-2.0
"""Scores of hand-drawn frames and the search for their clips: on phantom clips, and on the recordings if present."""

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import tifffile

from vfss.clips import content_id
from vfss.errors import ClipError, VfssError
from vfss.phantom import Phantom
from vfss.schema import Schema

SOURCE = Path(__file__).parents[2] / "benchmarks" / "real_frames.py"


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("real_frames", SOURCE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def schema() -> Schema:
    return Schema.load()


def painted(bench: ModuleType, schema: Schema, *, unsure: tuple[str, ...] = ()):
    """A hand-drawn frame on which C3 and C4 are squares of 20 pixels and nothing else is visible."""
    squares = {"c3": [[(10, 10), (10, 29), (29, 29), (29, 10)]], "c4": [[(40, 10), (40, 29), (59, 29), (59, 10)]]}
    return bench.AnnotatedFrame(0, {key: squares.get(key, []) for key in schema.keys}, frozenset(unsure))


def test_polygons_become_planes_with_their_border(bench, schema):
    planes = painted(bench, schema).planes(schema, 80, 100)
    assert planes.shape == (12, 80, 100)
    assert planes[schema["c3"].index].sum() == 400
    assert planes[schema["c3"].index][10:30, 10:30].all()
    assert not planes[schema["bolus"].index].any()


def test_scores_distinguish_sure_unsure_false_and_missed(bench, schema):
    frame = painted(bench, schema, unsure=("c4",))
    truth = frame.planes(schema, 80, 100)
    proposed = np.zeros_like(truth)
    proposed[schema["c3"].index, 10:30, 10:30] = True
    proposed[schema["c3"].index, 60:70, 80:90] = True
    proposed[schema["c7"].index, 60:70, 40:50] = True
    rows = bench.score_frame(frame, truth, proposed, schema)
    assert rows["c3"]["dice"] == pytest.approx(2 * 400 / (400 + 500), abs=1e-4)
    assert rows["c3"]["false_pieces"] == 1
    assert rows["c4"] == {"painted": "unsure", "dice": 0.0, "false_pieces": 0, "false": False, "missed": True}
    assert rows["c7"] == {"painted": "not visible", "dice": None, "false_pieces": 1, "false": True, "missed": False}
    summary = bench.summary({0: rows}, schema)
    assert summary["mean_dice_sure"] == rows["c3"]["dice"]
    assert summary["mean_dice_unsure"] == 0.0
    assert (summary["false_structures"], summary["missed_structures"], summary["false_pieces"]) == (1, 1, 2)


def test_clips_are_found_by_content_not_by_name(bench, tmp_path):
    for seed in (1, 2):
        phantom = Phantom(seed, n_frames=2, height=48, width=64)
        tifffile.imwrite(tmp_path / f"{seed}.tif", np.stack([phantom.frame(t) for t in range(2)]))
    wanted = content_id(tmp_path / "2.tif")
    (tmp_path / "2.tif").rename(tmp_path / "renamed.tif")
    assert bench.find_clips(tmp_path, [wanted]) == {wanted: tmp_path / "renamed.tif"}
    with pytest.raises(ClipError, match="not among its 2 clips"):
        bench.find_clips(tmp_path, [wanted, "b2-0"])
    with pytest.raises(ClipError, match="VFSS_SHARED"):
        bench.find_clips(tmp_path / "absent", [wanted])


def test_sheets_stay_out_of_the_repository(bench, tmp_path):
    with pytest.raises(VfssError, match="repository"):
        bench.create_picture_folder(SOURCE.parent / "sheets")
    assert not (SOURCE.parent / "sheets").exists()
    assert bench.create_picture_folder(tmp_path / "sheets").is_dir()


def test_a_tile_shows_the_exposed_field_with_outlines(bench, schema):
    frame = np.zeros((60, 100), np.uint8)
    frame[10:50, 20:90] = np.linspace(60, 200, 70).astype(np.uint8)
    field = bench.field_of(frame[None])
    assert field == (slice(10, 50), slice(20, 90))
    planes = np.zeros((12, 60, 100), np.bool_)
    planes[schema["c2"].index, 20:40, 40:60] = True
    shown = np.asarray(bench.tile(frame, planes, schema, field, height=80))
    assert shown.shape == (80, 140, 3)
    assert (shown == schema["c2"].rgb).all(axis=2).any()


def test_shipped_polygons_fit_schema_and_frames(bench, schema):
    clips = bench.read_annotations(bench.ANNOTATIONS, schema)
    sizes = {"facing left": (498, 498), "facing right": (920, 1512)}
    assert {clip.name for clip in clips} == set(sizes)
    for clip in clips:
        assert len(clip.frames) == 4
        for frame in clip.frames:
            shown = {key for key in schema.keys if frame.polygons[key]}
            assert frame.unsure <= shown
            assert {"mandible", "airway", "c2", "c3", "c4", "c5"} <= shown
            points = np.array([yx for key in shown for polygon in frame.polygons[key] for yx in polygon])
            assert (points >= 0).all()
            assert (points < sizes[clip.name]).all()


@pytest.mark.skipif(
    "VFSS_SHARED" not in os.environ, reason="VFSS_SHARED names no folder with the hand-drawn recordings"
)
def test_recordings_of_drawn_frames_are_found_by_content(bench, schema):
    clips = bench.read_annotations(bench.ANNOTATIONS, schema)
    located = bench.find_clips(Path(os.environ["VFSS_SHARED"]) / "data" / "clips", [clip.content for clip in clips])
    assert len(located) == 2
