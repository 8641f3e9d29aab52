# SPDX-License-Identifier: Apache-2.0
"""Students of a project: files copied into its folder, with their scores and parents."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Row, insert, select, update

from vfss.errors import ProjectError, StudentError
from vfss.output.atomic_file import synchronise_file, synchronise_folder, temporary_path
from vfss.output.disk import why_not_written
from vfss.output.private import create_private, make_private_folder
from vfss.project.column_types import BadValueError
from vfss.project.database import Database
from vfss.project.database_files import TEMPORARY_STUDENT
from vfss.project.records import StudentRecord
from vfss.project.tables import students
from vfss.student import student_file
from vfss.student.checkpoint import load_checkpoint

_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")  # short enough for a name of a file


class StudentShelf:
    """Students of one project; a missing file is noticed only when it is loaded."""

    def __init__(self, database: Database, folder: Path) -> None:
        """Keep files in a folder and their records in a database."""
        self._database = database
        self._folder = folder

    def add(self, path: Path, scores: Mapping[str, Any], parent: str | None) -> StudentRecord:
        """Copy a student file into the project; adding the same student again only updates its scores and parent."""
        if self._database.access != "write":
            raise self._database.read_only()
        values: dict[str, Any] = {"scores": dict(scores), "parent": parent}
        with self._database.writing() as connection:
            student_id = self._copy(path)  # under the lock, so that an unfinished copy is known to be abandoned
            if connection.execute(select(students.c.id).where(students.c.id == student_id)).first() is None:
                row = values | {"id": student_id, "added": datetime.now(UTC), "chosen": False}
                connection.execute(insert(students), [row])
            else:
                connection.execute(update(students).where(students.c.id == student_id).values(values))
        return self.get(student_id)

    def all(self) -> list[StudentRecord]:
        """Return all students in the order in which they were added."""
        with self._database.reading() as connection:
            rows = connection.execute(select(students).order_by(students.c.added, students.c.id)).all()
        return [self._record(row) for row in rows]

    def path(self, name: str | None) -> Path:
        """Return the file of a student by id or path; None: of the current one, else of the one that ships."""
        if name is not None:
            paths = {record.id: record.path for record in self.all()}
            return paths[name] if name in paths else student_file(name)
        current = self.current()
        return student_file("default") if current is None else current.path

    def get(self, student_id: str) -> StudentRecord:
        """Return one student.

        Raises:
            StudentError: The project has no such student.
        """
        records = {record.id: record for record in self.all()}
        if student_id not in records:
            known = ", ".join(records) or "none"
            raise StudentError(f"the project has no student {student_id!r}", remedy=f"It has: {known}.")
        return records[student_id]

    def choose(self, student_id: str | None) -> None:
        """Make a student the current one, or with None the one that ships with the program."""
        if student_id is not None:
            self.get(student_id)
        with self._database.writing() as connection:
            connection.execute(update(students).values(chosen=students.c.id == student_id))

    def current(self) -> StudentRecord | None:
        """Return the chosen student, None where none was chosen."""
        with self._database.reading() as connection:
            row = connection.execute(select(students).where(students.c.chosen)).first()
        return None if row is None else self._record(row)

    def _record(self, row: Row[Any]) -> StudentRecord:
        if not _ID.fullmatch(row.id):  # it names a file
            with self._database.plain_errors():
                raise BadValueError(f"students.id is {row.id[:40]!a}")
        return StudentRecord(row.id, self._path(row.id), row.scores, row.parent, row.added)

    def _path(self, student_id: str) -> Path:
        return self._folder / f"{student_id}.safetensors"

    def _copy(self, path: Path) -> str:
        """Copy a file, completely or not at all, after checking the copy; return the student's id."""
        if not path.is_file():
            raise StudentError("there is no such student file", path=path, remedy="Check the path.")
        try:
            make_private_folder(self._folder)
            with temporary_path(self._folder / TEMPORARY_STUDENT) as temporary:
                create_private(temporary)
                shutil.copyfile(path, temporary)
                synchronise_file(temporary)
                student_id = _id_of(temporary, path)
                temporary.replace(self._path(student_id))
            synchronise_folder(self._folder)
        except OSError as error:
            raise ProjectError(
                f"the student cannot be copied into the project ({why_not_written(error, self._folder)})",
                path=self._folder,
                remedy="Make room on the disk and check that you may write there, then add it again.",
            ) from error
        return student_id


def _id_of(copy: Path, path: Path) -> str:
    try:
        return load_checkpoint(copy).id
    except StudentError as error:
        raise StudentError(error.what, path=path, remedy=error.remedy) from error
