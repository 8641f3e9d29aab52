# SPDX-License-Identifier: Apache-2.0
"""Parts of the plugin that need no window."""

from __future__ import annotations

import gc
import os
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from psygnal import Signal

from damaged_clip import DamagedClip
from napari_vfss import app
from napari_vfss.connections import Connections
from napari_vfss.jobs.proposing import outward
from napari_vfss.jobs.worker import worker_for
from napari_vfss.session import opening
from napari_vfss.viewer.clip_array import ClipFrames
from napari_vfss.viewer.overlay import Overlay, bounding_box, palette
from vfss.clips import ArrayClip
from vfss.clips.placard import unreadable_placard
from vfss.errors import ClipError, ProjectError, SchemaError
from vfss.project import Project
from vfss.schema import Schema

SCHEMA = Schema.load("vfss12")
N = len(SCHEMA)
PLANES = hnp.arrays(np.bool_, (N, 17, 23), elements=st.booleans())


def painted(planes, without=()):
    out = np.full(planes.shape[1:], 99, np.uint8)
    Overlay(SCHEMA, *planes.shape[1:]).paint(planes, out, without=without)
    return out


@settings(max_examples=25, deadline=None)
@given(planes=PLANES, without=st.sets(st.integers(0, N - 1)))
def test_every_painted_pixel_belongs_to_a_present_structure(planes, without):
    out = painted(planes, without)
    shown = [i for i in range(N) if i not in without]
    assert np.array_equal(out > 0, planes[shown].any(axis=0))
    structure = (out.astype(int) - 1) % N
    ys, xs = np.nonzero(out)
    assert planes[structure[ys, xs], ys, xs].all()
    assert not np.isin(structure[ys, xs], list(without)).any()


def test_overlaps_show_both_structures_and_nesting_shows_the_inner():
    planes = np.zeros((N, 40, 40), np.bool_)
    bolus, pharynx, airway = (SCHEMA[key].index for key in ("bolus", "pharynx", "airway"))
    planes[bolus, 10:30, 10:30] = True
    planes[airway, 5:35, 5:35] = True
    inside = painted(planes)[12:28, 12:28]
    assert set(np.unique(inside)) == {1 + bolus, 1 + airway}
    planes[airway] = False
    planes[pharynx, 5:35, 5:35] = True
    assert set(np.unique(painted(planes)[12:28, 12:28])) == {1 + bolus}


def test_the_palette_is_transparent_outside_and_has_every_colour():
    colours = palette(SCHEMA)
    assert colours[0, 3] == 0
    for structure in SCHEMA.structures:
        assert np.allclose(colours[1 + structure.index, :3] * 255, structure.rgb)
    many = {
        "id": "many",
        "version": "1",
        "structures": [{"key": f"s{i}", "name": "x", "colour": "#FFFFFF"} for i in range(128)],
    }
    with pytest.raises(SchemaError, match="128"):
        palette(Schema.from_dict(many))


@given(mask=hnp.arrays(np.bool_, (9, 11)))
def test_the_bounding_box_is_tight(mask):
    box = bounding_box(mask)
    assert (box is None) == (not mask.any())
    if box is not None:
        inside = mask[box]
        assert inside.sum() == mask.sum()
        assert all(edge.any() for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1]))


FRAMES = np.random.default_rng(0).integers(0, 255, (7, 12, 9), np.uint8)
KEYS = hnp.basic_indices(FRAMES.shape, allow_newaxis=False, allow_ellipsis=True)


@settings(deadline=None)
@given(key=KEYS)
def test_a_clip_indexes_like_an_array(key):
    assert np.array_equal(ClipFrames(ArrayClip(FRAMES))[key], FRAMES[key])


@pytest.mark.parametrize(("dtype", "window"), [(np.uint8, None), (np.uint16, (300, 2000))])
def test_in_place_of_an_unreadable_frame_comes_a_placard_that_is_no_picture(dtype, window):
    clip = DamagedClip.of(np.zeros((4, 120, 160), dtype), [2])
    clip.window = window or clip.window
    frames, problems = ClipFrames(clip), []
    frames.problem.connect(problems.append)
    assert not frames[1].any() and not problems
    placard, (low, high) = frames[2], clip.window
    assert placard.dtype == dtype and placard.shape == (120, 160)
    expected = low + unreadable_placard(120, 160) / 255 * (high - low)
    np.testing.assert_allclose(placard, expected, atol=1)
    assert "frame 2" in str(problems[0])


@given(height=st.integers(1, 600), width=st.integers(1, 800))
def test_a_placard_has_stripes_and_writing_at_any_size(height, width):
    placard = unreadable_placard(height, width)
    assert placard.shape == (height, width) and placard.dtype == np.uint8
    if min(height, width) >= 96:
        assert np.ptp(placard[: height // 8]) > 30  # stripes
        assert placard.max() > 180  # writing


class Bell:
    rung = Signal(int)


def test_connections_are_undone_and_forgotten():
    received, bell, made = [], Bell(), Connections()
    made.add(bell.rung, received.append)
    other = Bell()
    made.add(other.rung, received.append)
    made.forget(other.rung)
    other.rung.emit(5)
    bell.rung.emit(1)
    made.undo()
    bell.rung.emit(2)
    assert received == [1]
    assert len(made) == 0


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
def test_outward_orders_frames_by_distance_and_includes_all(current, a, b):
    first, last = min(a, b), max(a, b)
    order = outward(current, first, last)
    assert sorted(order) == list(range(first, last + 1))
    distances = [abs(t - current) for t in order]
    assert distances == sorted(distances)


def test_clips_of_one_folder_share_its_project(clip_file):
    assert opening.project_folder_for(clip_file) == clip_file.parent / "vfss_project"


def test_a_read_only_folder_is_not_written_to(clip_file, monkeypatch, tmp_path):
    before = sorted(path.name for path in clip_file.parent.iterdir())
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    folder = opening.project_folder_for(clip_file)
    assert clip_file.parent not in folder.parents
    monkeypatch.undo()
    monkeypatch.setattr(opening, "project_folder_for", lambda path: tmp_path / "elsewhere")
    opening.open_session(clip_file, "Ada").close()
    assert sorted(path.name for path in clip_file.parent.iterdir()) == before


def test_opening_an_empty_project_names_the_remedy(tmp_path):
    Project.create(tmp_path / "empty").close()
    with pytest.raises(ProjectError, match="Open a recording"):
        opening.open_session(tmp_path / "empty", "Ada")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [(["/nowhere/clip.mp4"], "not found"), ([__file__], "neither a recording nor a project")],
)
def test_wrong_arguments_print_one_line_without_a_traceback(arguments, problem, capsys):
    assert app.main(arguments) == 2
    error = capsys.readouterr().err
    assert problem in error
    assert "Traceback" not in error
    assert error.count("\n") == 1


def test_a_missing_display_is_reported(monkeypatch, capsys):
    monkeypatch.setattr(app.sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert app.main(["--sample"]) == 2
    assert "no display" in capsys.readouterr().err


def test_a_tour_does_not_clear_a_foreign_folder(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("DISPLAY", ":77")
    (tmp_path / "dataset").mkdir()
    keep = tmp_path / "dataset" / "mine.txt"
    keep.write_text("mine")
    assert app.main(["--tour", str(tmp_path)]) == 2
    assert keep.is_file()
    assert "not written by a tour" in capsys.readouterr().err


def test_the_plugin_does_not_import_torch():
    import subprocess
    import sys

    code = (
        "import napari_vfss.ui.panel, napari_vfss.demo.tour, napari_vfss.reader, napari_vfss.writer, sys; "
        "sys.exit('torch' in sys.modules)"
    )
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    assert subprocess.run([sys.executable, "-c", code], env=environment, cwd=Path.cwd(), check=False).returncode == 0


def test_two_parallel_workers_leave_warning_handling_unchanged(qapp, qtbot, monkeypatch, caplog):
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    release, first_ended, ended = threading.Event(), threading.Event(), []

    def first():
        yield "begun"
        release.wait(10)

    def second():
        yield "begun"
        first_ended.wait(10)

    one, two = worker_for(first), worker_for(second)
    one.finished.connect(lambda: (ended.append(1), first_ended.set()))
    two.finished.connect(lambda: ended.append(2))
    with qtbot.waitSignal(one.yielded):
        one.start()
    with qtbot.waitSignal(two.yielded):
        two.start()
    release.set()  # the one that began first ends first: superqt then leaves its handler behind
    qtbot.waitUntil(lambda: ended == [1, 2])
    for worker in (one, two):
        worker.signals.deleteLater()
    del one, two, worker
    gc.collect()
    qapp.sendPostedEvents(None, 52)  # DeferredDelete
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("a library has something to say", RuntimeWarning, stacklevel=1)


def test_a_worker_emits_its_result_or_its_error(qapp, qtbot):
    with qtbot.waitSignal((worker := worker_for(lambda: 7)).returned) as returned:
        worker.start()
    assert returned.args == [7]

    def fails():
        raise ClipError("gone")

    with qtbot.waitSignal((worker := worker_for(fails)).errored) as errored:
        worker.start()
    assert isinstance(errored.args[0], ClipError)
