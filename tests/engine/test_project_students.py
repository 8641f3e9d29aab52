# SPDX-License-Identifier: Apache-2.0
"""Students of a project: copied completely, listed with their scores and descent, one of them the current."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from older_project import as_layout
from small_project import THREE, annotate, cohort, disc
from vfss.errors import ProjectError, StudentError
from vfss.masks import MaskState
from vfss.project import Edit, Project
from vfss.project.corrected import Corrected, EnoughCorrected
from vfss.student.checkpoint import Checkpoint, load_checkpoint
from vfss.student.config import StudentConfig


def student_file(path: Path, seed: int = 0) -> Path:
    """Write a student file; its weights are never used here."""
    weights = {"neck.weight": np.random.default_rng(seed).random((4, 4)).astype(np.float16)}
    Checkpoint(StudentConfig(), THREE, weights, b"graph", {"seed": seed}).save(path)
    return path


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.create(tmp_path / "project", THREE) as made:
        yield made


def test_a_student_is_copied_in_and_listed_with_scores_and_parent(project: Project, tmp_path: Path) -> None:
    scores = {"validation": {"mean_dice": 0.91, "structures": {"bolus": {"dice": 0.9, "hd95": None}}}}
    first = project.add_student(student_file(tmp_path / "a.safetensors"), scores=scores, parent=None)
    second = project.add_student(student_file(tmp_path / "b.safetensors", 1), scores={}, parent=first.id)
    for path in tmp_path.glob("*.safetensors"):
        path.unlink()
    with Project.open(project.folder) as again:
        assert again.students() == [first, second]
    assert (first.scores, first.parent, second.parent) == (scores, None, first.id)
    assert first.path == project.folder / "students" / f"{first.id}.safetensors"
    assert load_checkpoint(first.path).id == first.id
    assert len(list((project.folder / "students").iterdir())) == 2


def test_the_same_student_again_renews_its_scores(project: Project, tmp_path: Path) -> None:
    path = student_file(tmp_path / "a.safetensors")
    first = project.add_student(path, scores={"mean_dice": 0.5}, parent=None)
    again = project.add_student(path, scores={"mean_dice": 0.6}, parent="st-x")
    assert project.students() == [again]
    assert (again.id, again.added, again.scores, again.parent) == (first.id, first.added, {"mean_dice": 0.6}, "st-x")
    assert project.add_student(again.path, scores={}, parent=None).id == first.id


def test_one_student_is_the_current_one(project: Project, tmp_path: Path) -> None:
    assert project.current_student() is None
    first = project.add_student(student_file(tmp_path / "a.safetensors"), scores={}, parent=None)
    second = project.add_student(student_file(tmp_path / "b.safetensors", 1), scores={}, parent=None)
    assert project.current_student() is None
    for chosen in (first, second):
        project.choose_student(chosen.id)
        assert project.current_student() == chosen
    with pytest.raises(StudentError, match=f"no student 'st-none'.*{first.id}"):
        project.choose_student("st-none")
    assert project.current_student() == second
    project.choose_student(None)
    assert project.current_student() is None


def test_an_incomplete_student_is_refused_and_leaves_nothing_behind(project: Project, tmp_path: Path) -> None:
    complete = student_file(tmp_path / "a.safetensors").read_bytes()
    for content in (b"", b"text", complete[: len(complete) // 2], complete[:-1]):
        path = tmp_path / "broken.safetensors"
        path.write_bytes(content)
        with pytest.raises(StudentError) as caught:
            project.add_student(path, scores={}, parent=None)
        assert caught.value.path == path
    with pytest.raises(StudentError, match="no such student file"):
        project.add_student(tmp_path / "missing.safetensors", scores={}, parent=None)
    assert project.students() == []
    assert list((project.folder / "students").iterdir()) == []


def test_a_student_whose_file_is_gone_stays_listed_and_fails_when_loaded(project: Project, tmp_path: Path) -> None:
    record = project.add_student(student_file(tmp_path / "a.safetensors"), scores={}, parent=None)
    project.choose_student(record.id)
    record.path.unlink()
    assert project.students() == [record]
    assert project.current_student() == record
    with pytest.raises(StudentError):
        load_checkpoint(record.path)


def test_scores_must_be_plain_data(project: Project, tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="cannot be kept"):
        project.add_student(student_file(tmp_path / "a.safetensors"), scores={"a": {1}}, parent=None)
    assert project.students() == []


def test_an_id_that_no_file_can_have_is_damage(project: Project) -> None:
    with closing(sqlite3.connect(project.folder / "vfss.sqlite")) as database:
        row = ("9" * 100_000, "{}", "2026-01-01 10:00:00.000000")
        database.execute("INSERT INTO students (id, scores, added, chosen) VALUES (?, ?, ?, 1)", row)
        database.commit()
    with pytest.raises(ProjectError, match=r"the database is damaged \(students\.id"):
        project.student_path()


def test_students_of_layout_5_are_kept_and_get_names(project: Project, tmp_path: Path) -> None:
    record = project.add_student(student_file(tmp_path / "a.safetensors"), scores={"mean_dice": 0.5}, parent="st-x")
    project.choose_student(record.id)
    project.close()
    as_layout(project.folder, 5)
    with Project.open(project.folder) as again:
        assert again.current_student() == again.shelf.get(record.id) == record
        assert again.shelf.switches() == []
        assert again.shelf.describe(record.id, name="first").name == "first"


# Names, deletion, import and export, and the log of switches


def added(project: Project, tmp_path: Path, n: int) -> list[str]:
    paths = [student_file(tmp_path / f"{seed}.safetensors", seed) for seed in range(n)]
    return [project.add_student(path, scores={}, parent=None, added_by="Ada").id for path in paths]


def test_a_student_gets_a_name_and_a_note(project: Project, tmp_path: Path) -> None:
    (student,) = added(project, tmp_path, 1)
    assert project.shelf.get(student).title == student[:9]
    project.shelf.describe(student, name=" After clinic B ", note="ten clips")
    record = project.shelf.describe(student, note="eleven clips")
    assert (record.name, record.note, record.added_by) == ("After clinic B", "eleven clips", "Ada")
    assert record.title == "After clinic B"
    assert project.shelf.describe(student, name="").title == student[:9]


def test_a_deleted_student_leaves_its_record_and_may_come_back(project: Project, tmp_path: Path) -> None:
    first, second = added(project, tmp_path, 2)
    project.choose_student(second, author="Ada")
    with pytest.raises(StudentError, match="in use"):
        project.shelf.delete(second)
    gone = project.shelf.delete(first)
    assert gone.deleted is not None and not gone.path.exists()
    assert [record.id for record in project.students()] == [second]
    assert [record.id for record in project.shelf.all(with_deleted=True)] == [first, second]
    with pytest.raises(StudentError, match="no student"):
        project.choose_student(first)
    back = project.add_student(tmp_path / "0.safetensors", scores={}, parent=None)
    assert back.id == first and back.deleted is None and back.path.exists()


def test_going_back_is_one_step_at_a_time_and_logged(project: Project, tmp_path: Path) -> None:
    first, second, third = added(project, tmp_path, 3)
    assert project.shelf.before() is None
    for student in (first, second, second, third):
        project.choose_student(student, author="Ada")
    assert project.shelf.before() == (second,)
    assert project.shelf.roll_back("Bob").id == second
    assert project.shelf.roll_back("Bob").id == first
    assert project.shelf.before() == (None,)
    assert project.shelf.roll_back("Bob") is None
    assert project.current_student() is None
    with pytest.raises(StudentError, match="no other student"):
        project.shelf.roll_back("Bob")
    log = [(switch.student, switch.how, switch.author) for switch in project.shelf.switches()]
    assert log[:3] == [(first, "chosen", "Ada"), (second, "chosen", "Ada"), (third, "chosen", "Ada")]
    assert log[3:] == [(second, "rolled back", "Bob"), (first, "rolled back", "Bob"), (None, "rolled back", "Bob")]


def test_going_back_passes_over_a_deleted_student(project: Project, tmp_path: Path) -> None:
    first, second, third = added(project, tmp_path, 3)
    for student in (first, second, third):
        project.choose_student(student, author="Ada")
    project.shelf.delete(second)
    assert project.shelf.roll_back("Ada").id == first


def test_the_log_of_switches_is_append_only(project: Project, tmp_path: Path) -> None:
    (student,) = added(project, tmp_path, 1)
    project.choose_student(student, author="Ada")
    with closing(sqlite3.connect(project.folder / "vfss.sqlite")) as database:
        for statement in ("UPDATE student_switches SET author = 'Eve'", "DELETE FROM student_switches"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                database.execute(statement)


def test_a_student_travels_as_a_file(project: Project, tmp_path: Path) -> None:
    (student,) = added(project, tmp_path, 1)
    target = tmp_path / "for a colleague.safetensors"
    project.shelf.export(student, target)
    with Project.create(tmp_path / "other", THREE) as other:
        record = other.shelf.bring_in(target, "Bob", THREE.keys)
        assert (record.id, record.added_by, record.scores) == (student, "Bob", {"imported": True})
        with pytest.raises(StudentError, match="proposes none"):
            other.shelf.bring_in(target, "Bob", ["airway"])
        (tmp_path / "notes.safetensors").write_text("not a student")
        with pytest.raises(StudentError):
            other.shelf.bring_in(tmp_path / "notes.safetensors", "Bob", THREE.keys)
        assert len(other.students()) == 1


def test_canaries_are_up_to_three_different_clips(tmp_path: Path) -> None:
    with cohort(tmp_path, {"A": "train", "B": "train", "C": "test", "D": "test"}) as project:
        clips = [record.id for record in project.clips()]
        project.canaries.choose([clips[2], clips[0]])
        project.canaries.choose([clips[1], clips[3], clips[0]])
        assert project.canaries.clips() == [clips[1], clips[3], clips[0]]
        for wrong in (clips, [clips[0], clips[0]], ["no such clip"]):
            with pytest.raises(ProjectError):
                project.canaries.choose(wrong)
        assert project.canaries.clips() == [clips[1], clips[3], clips[0]]


def test_corrections_count_what_a_person_changed_since_the_last_training(tmp_path: Path) -> None:
    with cohort(tmp_path, {"A": "train", "B": "test"}) as project:
        clip, held_out = (record.id for record in project.clips())
        assert project.corrections.since(None, ["A"]) == Corrected(frames=0, clips=1), "accepted, but not corrected"
        moment = datetime.now(UTC)
        assert project.corrections.since(moment, ["A"]) == Corrected(0, 0)
        mask = disc(48, 64, y=20, x=20, radius=5)
        for place in (clip, held_out):
            edits = [Edit(place, t, "bolus", mask, MaskState.EDITED) for t in (0, 1)]
            project.write(edits, author="Ada", origin="hand")
        assert project.corrections.since(moment, ["A"]) == Corrected(frames=2, clips=0)
        annotate(project, clip, 0, {"bolus": mask})
        annotate(project, clip, 1, {"bolus": mask})
        assert project.corrections.since(moment, ["A"]) == Corrected(frames=2, clips=1)


@pytest.mark.parametrize(("frames", "clips", "enough"), [(19, 1, False), (20, 0, True), (0, 2, True)])
def test_when_enough_was_corrected(frames: int, clips: int, enough: bool) -> None:
    assert EnoughCorrected()(Corrected(frames, clips)) is enough
