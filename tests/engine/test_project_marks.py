# SPDX-License-Identifier: Apache-2.0
"""Marks in time: history, conflicts of two windows, and swallows stored with the recording."""

from __future__ import annotations

import sqlite3

import pytest

from vfss.clips import Swallow
from vfss.errors import ConflictError, ProjectError
from vfss.events import EVENTS, FREE, SWALLOW, name_of, short_of
from vfss.project import Project
from vfss.project.records import Mark


@pytest.fixture
def project(tmp_path, clip_file):
    with Project.create(tmp_path / "project") as made:
        made.add_clip(clip_file)
        yield made


@pytest.fixture
def clip_id(project):
    return project.clips()[0].id


def test_marks_are_kept_with_author_and_order(project, clip_id):
    project.marks.set(clip_id, Mark("ueso", 9), author="Ada")
    project.marks.set(clip_id, Mark(FREE, 4, text="cough"), author="Bo")
    with Project.open(project.folder) as again:
        marks = again.marks.of(clip_id)
    assert [(m.kind, m.first, m.text, m.author) for m in marks] == [(FREE, 4, "cough", "Bo"), ("ueso", 9, "", "Ada")]
    assert all(m.time is not None and m.time.tzinfo is not None for m in marks)


def test_a_change_and_a_removal_keep_the_history(project, clip_id):
    first = project.marks.set(clip_id, Mark("hyb", 5), author="Ada")
    second = project.marks.set(clip_id, Mark("hyb", 6, mark=first.mark, id=first.id), author="Ada")
    project.marks.remove(clip_id, second, author="Bo")
    assert project.marks.of(clip_id) == []
    assert [(m.first, m.removed, m.author) for m in project.marks.history(clip_id)] == [
        (5, False, "Ada"),
        (6, False, "Ada"),
        (6, True, "Bo"),
    ]


def test_of_two_windows_the_second_is_refused_and_nothing_is_overwritten(project, clip_id):
    mark = project.marks.set(clip_id, Mark("lvc", 5), author="Ada")
    with Project.open(project.folder) as other:
        seen = other.marks.of(clip_id)[0]
        project.marks.set(clip_id, Mark("lvc", 7, mark=mark.mark, id=mark.id), author="Ada")
        with pytest.raises(ConflictError, match="Ada"):
            other.marks.remove(clip_id, seen, author="Bo")
        assert other.marks.of(clip_id)[0].first == 7
        assert other.marks.last() == project.marks.last()


def test_swallows_are_those_that_exports_read(project, clip_id):
    mark = project.marks.set(clip_id, Mark(SWALLOW, 3), author="Ada")
    assert project.clip(clip_id).swallows == ()  # without an end
    mark = project.marks.set(clip_id, Mark(SWALLOW, 3, 9, mark=mark.mark, id=mark.id), author="Ada")
    assert project.clip(clip_id).swallows == (Swallow(3, 9),)
    project.marks.remove(clip_id, mark, author="Ada")
    assert project.clip(clip_id).swallows == ()


def test_swallows_of_the_recording_can_be_changed_and_are_never_brought_back(project, clip_id):
    project.update_clip(clip_id, swallows=[Swallow(2, 6), Swallow(10, 15)])
    first, second = project.marks.of(clip_id)
    assert (first.first, second.last, first.author) == (2, 15, "")
    project.marks.set(clip_id, Mark(SWALLOW, 3, 6, mark=first.mark, id=first.id), author="Ada")
    assert project.clip(clip_id).swallows == (Swallow(3, 6), Swallow(10, 15))
    assert [m.author for m in project.marks.of(clip_id)] == ["Ada", "recording"]
    project.marks.remove(clip_id, second, author="Bo")  # read before it had its own row
    project.update_clip(clip_id, swallows=[])
    assert project.marks.of(clip_id) == []
    project.marks.set(clip_id, Mark(SWALLOW, 20, 22), author="Ada")
    assert project.clip(clip_id).swallows == (Swallow(20, 22),)
    project.update_clip(clip_id, swallows=[Swallow(10, 15)])
    (back,) = project.marks.of(clip_id)
    project.marks.remove(clip_id, back, author="Ada")
    assert project.marks.of(clip_id) == []


def test_a_mark_outside_the_clip_or_of_nobody_is_refused(project, clip_id):
    for wrong, author in ((Mark("hyb", 24), "Ada"), (Mark(SWALLOW, 9, 3), "Ada"), (Mark("hyb", 3), " ")):
        with pytest.raises(ProjectError):
            project.marks.set(clip_id, wrong, author=author)
    with pytest.raises(ProjectError, match="no clip"):
        project.marks.set("b2-nothing", Mark("hyb", 3), author="Ada")
    assert project.marks.of(clip_id) == []


def test_a_project_without_marks_is_left_as_it_is(project, clip_id):
    assert project.marks.of(clip_id) == []
    assert project.marks.history(clip_id) == []
    assert project.marks.last() == 0
    with sqlite3.connect(project.folder / "vfss.sqlite") as file:
        assert not file.execute("SELECT name FROM sqlite_master WHERE name = 'marks'").fetchall()


def test_the_database_itself_refuses_to_delete_marks(project, clip_id):
    project.marks.set(clip_id, Mark("hyb", 5), author="Ada")
    with sqlite3.connect(project.folder / "vfss.sqlite") as file:
        for statement in ("DELETE FROM marks", "UPDATE marks SET first = 1"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                file.execute(statement)


def test_every_event_has_its_own_name_and_abbreviation():
    assert len({event.key for event in EVENTS}) == len({event.short for event in EVENTS}) == len(EVENTS)
    assert name_of("ueso") == "UES opening"
    assert name_of(FREE, "cough") == "cough"
    assert name_of(SWALLOW) == "Swallow"
    assert short_of("hyb") == "HYB"
    assert short_of(FREE, "cough") == "coug"
