# SPDX-License-Identifier: Apache-2.0
"""The worklist: rows that count masks as they are, who works on which clip, what others have open, what is next."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from older_project import as_layout
from small_project import THREE, annotate, cohort, disc, grey_frames, write_stack
from vfss.clips import Swallow
from vfss.errors import ProjectError
from vfss.masks import MaskState
from vfss.project import Edit, Project
from vfss.project.open_windows import GONE_AFTER_S
from vfss.project.provenance import Provenance
from vfss.project.second_readings import create_reading
from vfss.project.worklist_row import WorklistRow, next_unfinished

ALL = ("bolus", "pharynx", "mandible")
MASK = disc(48, 64, y=14, x=20, radius=6)


@pytest.fixture
def project(tmp_path):
    with cohort(tmp_path, {"P1": "train", "P2": "train"}) as made:
        yield made


def row_of(project, clip_id):
    return next(row for row in project.worklist.rows() if row.id == clip_id)


def propose(project, clip_id, frame, key, confidence=None):
    edit = Edit(
        clip_id, frame, key, MASK, MaskState.PROPOSED, confidence, provenance=Provenance("student", student="s")
    )
    project.write([edit], author="s", origin="proposal")


def test_a_row_tells_what_was_annotated_and_who_touched_the_clip_last(project):
    first, second = project.clips()
    row = row_of(project, first.id)
    assert (row.name, row.case, row.n_frames, row.masks) == ("0.mkv", "P1", 3, 9)
    assert (row.final, row.proposed, row.edited, row.unseen) == (8, 0, 0, 1)
    assert (row.frames_of_interest, row.frames_complete, row.finished) == (3, 2, False)
    assert row.touched_by == "reader one" and row.touched_by_person and row.reviewed
    annotate(project, first.id, 1, {"mandible": (MASK, MaskState.EDITED)}, author="Ada")
    row = row_of(project, first.id)
    assert (row.edited, row.final, row.frames_complete, row.touched_by) == (1, 8, 2, "Ada")
    annotate(project, first.id, 1, {"mandible": MaskState.NOT_VISIBLE}, author="Ada")
    row = row_of(project, first.id)
    assert row.complete and row.finished and row.progress == 1.0 and row.finished_by is None
    assert [one.finished for one in project.worklist.rows()] == [True, False]
    project.reviews.withdraw(second.id, reviewer="Ada")
    assert not row_of(project, second.id).reviewed


def test_only_the_frames_of_marked_swallows_count_for_being_finished(project):
    clip = project.clips()[0].id
    project.update_clip(clip, swallows=[Swallow(2, 2), Swallow(0, 0), Swallow(0, 0)])
    row = row_of(project, clip)
    assert (row.swallows, row.frames_of_interest, row.frames_complete, row.finished) == (3, 2, 2, True)
    project.update_clip(clip, swallows=[Swallow(0, 1), Swallow(1, 2)])
    assert (row_of(project, clip).frames_of_interest, row_of(project, clip).finished) == (3, False)


def test_an_untouched_clip_has_a_row_of_nothing(tmp_path):
    with Project.create(tmp_path / "project", THREE) as project:
        assert project.worklist.rows() == []
        project.add_clip(write_stack(tmp_path / "new.tif", grey_frames(2, 48, 64)))
        (row,) = project.worklist.rows()
    assert (row.unseen, row.final, row.touched_by, row.revision, row.finished) == (6, 0, None, 0, False)


def test_proposals_without_confidence_or_with_little_are_doubtful(project):
    clip = project.clips()[0].id
    propose(project, clip, 1, "mandible", 0.5)
    assert project.worklist.doubtful(clip, 0.8) == 1
    propose(project, clip, 1, "mandible", 0.9)
    assert project.worklist.doubtful(clip, 0.8) == 0
    propose(project, clip, 1, "mandible")
    assert project.worklist.doubtful(clip, 0.8) == 1
    annotate(project, clip, 1, {"mandible": MASK})
    assert project.worklist.doubtful(clip, 0.8) == 0


WRITES = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(ALL), st.sampled_from(list(MaskState)[1:]), st.booleans()), max_size=25
)


@given(WRITES)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_counts_follow_every_revision(tmp_path_factory, writes):
    folder = tmp_path_factory.mktemp("counts")
    with Project.create(folder / "project", THREE) as project:
        clip = project.add_clip(write_stack(folder / "clip.tif", grey_frames(3, 48, 64))).id
        for frame, key, state, by_student in writes:
            mask = None if state in (MaskState.EMPTY, MaskState.NOT_VISIBLE) else MASK
            with contextlib.suppress(ProjectError):  # a proposal does not replace an annotation
                if by_student and state is MaskState.PROPOSED:
                    propose(project, clip, frame, key)
                else:
                    project.write([Edit(clip, frame, key, mask, state)], author="Ada", origin="hand")
        states, (row,) = project.states(clip), project.worklist.rows()
        final = np.isin(states, (MaskState.ACCEPTED, MaskState.EMPTY, MaskState.NOT_VISIBLE))
        assert (row.proposed, row.edited) == ((states == MaskState.PROPOSED).sum(), (states == MaskState.EDITED).sum())
        assert (row.final, row.unseen) == (final.sum(), (states == MaskState.UNSEEN).sum())
        assert row.frames_complete == final.all(axis=1).sum()
        assert row.revision == project.last_revision()
        assert project.faults() == []


def test_clips_are_given_to_annotators_and_declared_finished(project):
    first, second = (record.id for record in project.clips())
    project.worklist.assign([first, second], " Ada ")
    project.worklist.assign([second], "")
    assert [row.assigned_to for row in project.worklist.rows()] == ["Ada", None]
    project.worklist.declare_finished([second], "Ben")
    row = row_of(project, second)
    assert row.finished and not row.complete and row.finished_by == "Ben"
    project.worklist.declare_finished([first, second], "Cem")
    assert [row.finished_by for row in project.worklist.rows()] == ["Cem", "Ben"]
    assert row_of(project, second).finished_at == row.finished_at
    project.worklist.declare_unfinished([second])
    assert not row_of(project, second).finished
    with pytest.raises(ProjectError, match="no clip nowhere"):
        project.worklist.assign([first, "nowhere"], "Eve")
    with pytest.raises(ProjectError, match="needs a name"):
        project.worklist.declare_finished([first], " ")
    assert row_of(project, first).assigned_to == "Ada"


def test_a_second_reading_does_not_tell_what_the_first_reader_has_finished(project):
    clip = project.clips()[0].id
    project.worklist.assign([clip], "Ada")
    project.worklist.declare_finished([clip], "Ada")
    reading = create_reading(project, "Ben", clip_ids=[clip])
    with Project.open(reading.folder) as second:
        (row,) = second.worklist.rows()
    assert (row.assigned_to, row.finished_by, row.final) == (None, None, 0)


def test_windows_see_each_other_until_they_leave_or_fall_silent(project):
    first, second = (record.id for record in project.clips())
    now = datetime(2026, 12, 1, 9, tzinfo=UTC)
    with Project.open(project.folder) as elsewhere:
        elsewhere.open_windows.say("w2", author="Ben", host="ward", clip_id=second, now=now)
        project.open_windows.say("w1", author="Ada", host="lab", clip_id=first, now=now)
        assert [(one.author, one.clip) for one in project.open_windows.others("w1", now=now)] == [("Ben", second)]
        assert [(one.author, one.clip) for one in elsewhere.open_windows.others("w2", now=now)] == [("Ada", first)]
        elsewhere.open_windows.say("w2", author="Ben", host="ward", clip_id=first, now=now)
        assert [one.clip for one in project.open_windows.others("w1", now=now)] == [first]
        elsewhere.open_windows.leave("w2")
        assert project.open_windows.others("w1", now=now) == []
    later = now + timedelta(seconds=GONE_AFTER_S + 1)
    assert [one.author for one in project.open_windows.others(now=now)] == ["Ada"]
    assert project.open_windows.others(now=later) == []
    with pytest.raises(ProjectError):
        project.open_windows.say("w1", author="Ada", host="lab", clip_id="nowhere")


def test_an_older_project_is_counted_when_it_is_migrated(project):
    expected = project.worklist.rows()
    project.close()
    as_layout(project.folder, 5)
    with Project.open(project.folder) as opened:
        assert opened.worklist.rows() == expected
        assert opened.faults() == []


def test_an_older_project_on_a_read_only_disk_is_counted_mask_by_mask(project, monkeypatch):
    expected = project.worklist.rows()
    project.close()
    as_layout(project.folder, 5)
    monkeypatch.setattr("os.access", lambda *_args, **_options: False)
    (project.folder / "vfss.sqlite").chmod(0o400)
    project.folder.chmod(0o500)
    try:
        with Project.open(project.folder) as opened:
            if not opened.read_only:
                pytest.skip("this account may write everywhere")
            assert opened.worklist.rows() == expected
            assert opened.open_windows.others() == []
    finally:
        project.folder.chmod(0o700)


def test_wrong_counts_are_found(project):
    with contextlib.closing(sqlite3.connect(project.folder / "vfss.sqlite")) as other:
        other.execute("UPDATE frame_progress SET final = final + 1 WHERE frame = 1")
        other.commit()
    assert any("miscounted" in fault for fault in project.faults())


def row(name, **facts):
    blank = WorklistRow(name, name, "P1", None, "left", 2, 0, 6, frames_of_interest=2)
    return replace(blank, **facts)


def test_the_next_clip_is_unfinished_mine_and_free():
    rows = [row("a"), row("b", finished_by="Ada"), row("c", assigned_to="Ben"), row("d", frames_complete=2), row("e")]
    assert next_unfinished(rows, "a", "Ada") == "e"
    assert next_unfinished(rows, "a", "Ben") == "c"
    assert next_unfinished(rows, "e", "Ada") == "a"
    assert next_unfinished(rows, None, "Ada") == "a"
    assert next_unfinished(rows, "a", "Ada", taken={"e"}) is None
    assert next_unfinished([], None, "Ada") is None
