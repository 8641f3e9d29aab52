# SPDX-License-Identifier: Apache-2.0
"""What a project keeps of a recording beyond its masks: rate, aspect, and how each frame was first decoded."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from small_project import THREE, grey_frames, write_video
from vfss.clips import open_clip
from vfss.errors import ProjectError
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
