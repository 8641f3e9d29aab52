# SPDX-License-Identifier: Apache-2.0
"""What a project keeps of a recording beyond its masks: rate, aspect, and how each frame was first decoded."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import av
import numpy as np
import pytest

from small_project import THREE, grey_frames, write_video
from vfss.clips import open_clip
from vfss.errors import ClipError, ProjectError
from vfss.project import ClipRecord, Project
from vfss.project import database_files as opening
from vfss.project.frame_checks import ChangedFrame, frame_digest

FRAMES = grey_frames(5, 24, 32)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    write_video(tmp_path / "swallow.mkv", FRAMES)
    with Project.create(tmp_path / "project", THREE) as project:
        project.add_clip(tmp_path / "swallow.mkv")
        yield project


@pytest.fixture
def record(project: Project) -> ClipRecord:
    return project.clips()[0]


def test_a_typed_rate_gives_the_times_and_can_be_withdrawn(project: Project, record: ClipRecord) -> None:
    with project.open_clip(record.id) as clip:
        own, said_by = clip.times_s.copy(), clip.times_from
    assert project.set_frame_rate(record.id, 12.5).frame_rate == 12.5
    with Project.open(project.folder) as again, again.open_clip(record.id) as clip, clip.reopen() as walker:
        for opened in (clip, walker):
            np.testing.assert_allclose(opened.times_s, np.arange(5) / 12.5)
            assert opened.times_from == "person"
    assert project.set_frame_rate(record.id, None).frame_rate is None
    with project.open_clip(record.id) as clip:
        np.testing.assert_array_equal(clip.times_s, own)
        assert clip.times_from == said_by


@pytest.mark.parametrize("rate", [0, -30, float("nan"), float("inf"), 1e9])
def test_a_rate_that_is_none_is_refused(project: Project, record: ClipRecord, rate: float) -> None:
    with pytest.raises(ProjectError, match="no frame rate of a recording"):
        project.set_frame_rate(record.id, rate)
    assert project.clip(record.id).frame_rate is None


def test_the_aspect_of_pixels_is_kept(project: Project, tmp_path: Path) -> None:
    with open_clip(write_video(tmp_path / "wide.mkv", grey_frames(2, 24, 32, seed=1))) as clip:
        clip.pixel_aspect = 8 / 9
        assert project.add_clip(clip).pixel_aspect == pytest.approx(8 / 9)


def test_the_aspect_of_a_clip_of_an_older_version_is_filled_in_when_it_is_opened(
    project: Project, record: ClipRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = project.folder / "vfss.sqlite"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as older:
        older.execute("UPDATE clips SET pixel_aspect = NULL, rotation = NULL")
        assert project.clip(record.id).pixel_aspect == 1
        assert project.clip(record.id).rotation == 0
        with monkeypatch.context() as sealed:
            sealed.setattr(opening, "may_write", lambda path: False)
            with Project.open(project.folder) as reader:
                reader.open_clip(record.id).close()
        assert older.execute("SELECT pixel_aspect, rotation FROM clips").fetchone() == (None, None)
        project.open_clip(record.id).close()
        assert older.execute("SELECT pixel_aspect, rotation FROM clips").fetchone() == (1, None)


def test_frames_are_kept_as_first_read_and_what_changed_is_reported(project: Project, record: ClipRecord) -> None:
    checks = project.frame_checks
    first = {0: 11, 1: -(2**63), 2: "no key frame", 3: 2**63 - 1}
    assert checks.record(record.id, first) == []
    assert checks.record(record.id, first | {2: "another reason", 4: 5}) == []
    changed = checks.record(record.id, {0: 12, 1: "bad block", 2: 7, 3: 2**63 - 1})
    assert changed == [ChangedFrame(0, 11, 12), ChangedFrame(1, -(2**63), "bad block"), ChangedFrame(2, first[2], 7)]
    assert [change.message for change in changed] == [
        "is decoded differently",
        "cannot be decoded any more (bad block)",
        "could not be decoded before, and can be now",
    ]
    with Project.open(project.folder) as again:
        assert again.frame_checks.digests(record.id) == {0: 11, 1: -(2**63), 3: 2**63 - 1, 4: 5}
        assert again.frame_checks.damaged_frames(record.id) == {2: "no key frame"}
    checks.forget(record.id)
    assert checks.digests(record.id) == {}


def test_frames_that_the_clip_does_not_have_are_refused(project: Project, record: ClipRecord) -> None:
    with pytest.raises(ProjectError, match="no such frame, it has 5"):
        project.frame_checks.record(record.id, {0: 1, 5: 1})
    with pytest.raises(ProjectError, match="has no clip b2-none"):
        project.frame_checks.record("b2-none", {0: 1})
    assert project.frame_checks.digests(record.id) == {}


def test_a_read_only_project_is_compared_and_left(
    project: Project, record: ClipRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.frame_checks.record(record.id, {0: 1})
    monkeypatch.setattr(opening, "may_write", lambda path: False)
    with Project.open(project.folder) as reader:
        assert reader.frame_checks.record(record.id, {0: 2, 1: 3}) == [ChangedFrame(0, 1, 2)]
        assert reader.frame_checks.digests(record.id) == {0: 1}


def test_a_digest_is_of_values_shape_and_type_alone(project: Project, record: ClipRecord) -> None:
    with project.open_clip(record.id) as clip:
        assert [frame_digest(clip[t]) for t in range(5)] == [frame_digest(frame) for frame in FRAMES]
    deep = FRAMES[0].astype(np.uint16)
    different = [FRAMES[0], FRAMES[1], FRAMES[0].T, deep, FRAMES[0].reshape(32, 24)]
    assert len({frame_digest(frame) for frame in different}) == len(different)
    assert frame_digest(np.asfortranarray(deep)) == frame_digest(deep.astype(">u2")) == frame_digest(deep)


@pytest.fixture
def turned(tmp_path: Path) -> Path:
    """A video of 24 x 32 pixels that asks to be shown turned by 90 degrees."""
    path = tmp_path / "turned.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=30, options={"qscale": "1"})
        stream.height, stream.width, stream.pix_fmt = 24, 32, "yuv420p"
        stream.set_display_rotation(90)
        for frame in FRAMES:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="gray").reformat(format="yuv420p")))
        container.mux(stream.encode())
    return path


def test_masks_of_a_turned_recording_are_those_of_the_turned_frames(project: Project, turned: Path) -> None:
    record = project.add_clip(turned)
    assert (record.height, record.width) == (32, 24)
    assert record.rotation % 180 == 90
    with project.open_clip(record.id) as clip:
        assert (clip.rotation, clip[0].shape) == (record.rotation, (32, 24))


def test_a_turned_recording_that_was_added_before_it_was_turned_stays_as_it_was(project: Project, turned: Path) -> None:
    with open_clip(turned, rotation=0) as stored:
        record = project.add_clip(stored)
    with contextlib.closing(sqlite3.connect(project.folder / "vfss.sqlite", isolation_level=None)) as older:
        older.execute("UPDATE clips SET rotation = NULL WHERE id = ?", (record.id,))
    assert project.add_clip(turned).rotation == 0
    with project.open_clip(record.id) as clip:
        assert (clip.rotation, clip[0].shape) == (0, (24, 32))
    with project.adopt(open_clip(turned)) as clip:
        assert (clip.rotation, clip[0].shape) == (0, (24, 32))


def test_frames_that_an_earlier_version_did_not_find_are_taken_in(project: Project, record: ClipRecord) -> None:
    with contextlib.closing(sqlite3.connect(project.folder / "vfss.sqlite", isolation_level=None)) as older:
        older.execute("UPDATE clips SET n_frames = 3")
        with project.open_clip(record.id) as clip:
            assert len(clip) == 5
            assert any("only 3 of its 5 frames" in note for note in clip.notes)
        assert project.clip(record.id).n_frames == len(project.states(record.id)) == 5
        for change in ("n_frames = 6", "n_frames = 5, height = 23"):
            older.execute(f"UPDATE clips SET {change}")
            with pytest.raises(ClipError, match="the project was made when it was read as"):
                project.open_clip(record.id)
