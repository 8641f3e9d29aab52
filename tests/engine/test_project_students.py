# SPDX-License-Identifier: Apache-2.0
"""Students of a project: copied completely, listed with their scores and descent, one of them the current."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from small_project import THREE
from vfss.errors import ProjectError, StudentError
from vfss.project import Project
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
        database.execute("INSERT INTO students VALUES (?, ?, NULL, ?, 1)", row)
        database.commit()
    with pytest.raises(ProjectError, match=r"the database is damaged \(students\.id"):
        project.student_path()
