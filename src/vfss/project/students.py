# SPDX-License-Identifier: Apache-2.0
"""Students of a project: files copied into its folder, with their scores and parents."""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Row, insert, select, update

from vfss.errors import ProjectError, StudentError
from vfss.output.atomic_file import atomic_file, synchronise_file, synchronise_folder, temporary_path
from vfss.output.disk import why_not_written
from vfss.output.private import create_private, make_private_folder
from vfss.project.column_types import BadValueError
from vfss.project.database import Database
from vfss.project.database_files import TEMPORARY_STUDENT
from vfss.project.records import HowSwitched, StudentRecord, StudentSwitch
from vfss.project.tables import columns_of, student_switches, students
from vfss.student import student_file
from vfss.student.checkpoint import load_checkpoint

_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")  # short enough for a name of a file


class StudentShelf:
    """Students of one project; a missing file is noticed only when it is loaded."""

    def __init__(self, database: Database, folder: Path) -> None:
        """Keep files in a folder and their records in a database."""
        self._database = database
        self._folder = folder

    def add(self, path: Path, scores: Mapping[str, Any], parent: str | None, added_by: str = "") -> StudentRecord:
        """Copy a student file into the project; adding the same student again only updates its scores and parent.

        A student whose file was deleted is kept again.
        """
        if self._database.access != "write":
            raise self._database.read_only()
        values: dict[str, Any] = {"scores": dict(scores), "parent": parent, "deleted": None}
        with self._database.writing() as connection:
            student_id = self._copy(path)  # under the lock, so that an unfinished copy is known to be abandoned
            if connection.execute(select(students.c.id).where(students.c.id == student_id)).first() is None:
                row = values | {"id": student_id, "added": datetime.now(UTC), "chosen": False}
                connection.execute(insert(students), [row | {"added_by": added_by or None}])
            else:
                connection.execute(update(students).where(students.c.id == student_id).values(values))
        return self.get(student_id)

    def bring_in(self, path: Path, added_by: str, known_keys: Collection[str]) -> StudentRecord:
        """Import a student file from elsewhere; the scores in it are of other recordings and are not taken over.

        Args:
            path: The file.
            added_by: Who imports it.
            known_keys: Keys of the project's structures.

        Raises:
            StudentError: It is no student file, is damaged, or knows none of the project's structures.
        """
        checkpoint = load_checkpoint(path)
        if set(checkpoint.learnt_keys).isdisjoint(known_keys):
            raise StudentError(
                f"this student proposes none of the project's structures; it knows {', '.join(checkpoint.learnt_keys)}",
                path=path,
                remedy="Import a student that was trained for the same list of structures.",
            )
        kept = {record.id: record for record in self.all(with_deleted=True)}.get(checkpoint.id)
        parent = checkpoint.provenance.get("parent")
        scores = {"imported": True} if kept is None else kept.scores
        return self.add(path, scores, parent if isinstance(parent, str) else None, added_by)

    def export(self, student_id: str, target: Path) -> None:
        """Copy the file of a student to a place of a person's choice, completely or not at all.

        Raises:
            StudentError: There is no such student, or its file is gone or damaged.
            ProjectError: The target cannot be written.
        """
        checkpoint = load_checkpoint(self.get(student_id).path)  # never hands on a damaged file
        try:
            with self._path(checkpoint.id).open("rb") as source, atomic_file(target) as copy:
                shutil.copyfileobj(source, copy)
        except OSError as error:
            raise ProjectError(
                f"the student cannot be written there ({why_not_written(error, target.parent)})",
                path=target,
                remedy="Choose another folder.",
            ) from error

    def describe(self, student_id: str, *, name: str | None = None, note: str | None = None) -> StudentRecord:
        """Give a student a name or a note; None leaves it as it is, empty takes it away."""
        self.get(student_id, with_deleted=True)
        values = {key: text.strip() or None for key, text in (("name", name), ("note", note)) if text is not None}
        if values:
            with self._database.writing() as connection:
                connection.execute(update(students).where(students.c.id == student_id).values(values))
        return self.get(student_id, with_deleted=True)

    def keep_scores(self, student_id: str, scores: Mapping[str, Any]) -> StudentRecord:
        """Replace what is kept of a student's scores and comparisons."""
        self.get(student_id, with_deleted=True)
        with self._database.writing() as connection:
            connection.execute(update(students).where(students.c.id == student_id).values(scores=dict(scores)))
        return self.get(student_id, with_deleted=True)

    def delete(self, student_id: str) -> StudentRecord:
        """Delete the file of a student that is not in use; its record stays, so that provenance remains.

        Raises:
            StudentError: There is no such student, or it is in use.
            ProjectError: The file cannot be deleted.
        """
        self.get(student_id)
        with self._database.writing() as connection:
            if connection.execute(select(students.c.chosen).where(students.c.id == student_id)).scalar_one():
                raise StudentError(
                    f"the student {student_id} is in use and is not deleted", remedy="Use another student first."
                )
            connection.execute(update(students).where(students.c.id == student_id).values(deleted=datetime.now(UTC)))
            try:  # last in the transaction: where it fails, the record stays as it was
                self._path(student_id).unlink(missing_ok=True)
            except OSError as error:
                raise ProjectError(
                    f"the file of the student cannot be deleted ({error.strerror})",
                    path=self._path(student_id),
                    remedy="Close programs that use it, and try again.",
                ) from error
        return self.get(student_id, with_deleted=True)

    def all(self, *, with_deleted: bool = False) -> list[StudentRecord]:
        """Return all students in the order in which they were added, those without a file only if asked for."""
        query = select(*columns_of(students, self._database.layout)).order_by(students.c.added, students.c.id)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        records = [self._record(row) for row in rows]
        return [record for record in records if with_deleted or record.deleted is None]

    def path(self, name: str | None) -> Path:
        """Return the file of a student by id or path; None: of the current one, else of the one that ships."""
        if name is not None:
            paths = {record.id: record.path for record in self.all()}
            return paths[name] if name in paths else student_file(name)
        current = self.current()
        return student_file("default") if current is None else current.path

    def get(self, student_id: str, *, with_deleted: bool = False) -> StudentRecord:
        """Return one student.

        Raises:
            StudentError: The project has no such student, or its file was deleted.
        """
        records = {record.id: record for record in self.all(with_deleted=with_deleted)}
        if student_id not in records:
            known = ", ".join(records) or "none"
            raise StudentError(f"the project has no student {student_id!r}", remedy=f"It has: {known}.")
        return records[student_id]

    def choose(self, student_id: str | None, *, author: str = "", how: HowSwitched = "chosen") -> None:
        """Make a student the current one, or with None the one that ships, and log the switch."""
        if student_id is not None:
            self.get(student_id)
        with self._database.writing() as connection:
            previous = connection.execute(select(students.c.id).where(students.c.chosen)).scalar()
            connection.execute(update(students).values(chosen=students.c.id == student_id))
            if previous != student_id:
                row = {"student": student_id, "previous": previous, "how": how, "author": author}
                connection.execute(insert(student_switches), [row | {"time": datetime.now(UTC)}])

    def current(self) -> StudentRecord | None:
        """Return the chosen student, None where none was chosen."""
        query = select(*columns_of(students, self._database.layout)).where(students.c.chosen)
        with self._database.reading() as connection:
            row = connection.execute(query).first()
        return None if row is None else self._record(row)

    def switches(self) -> list[StudentSwitch]:
        """Return all changes of the student in use, oldest first."""
        if self._database.layout < 6:
            return []
        with self._database.reading() as connection:
            rows = connection.execute(select(student_switches).order_by(student_switches.c.id)).all()
        return [StudentSwitch(row.student, row.previous, row.how, row.author, row.time) for row in rows]

    def before(self) -> tuple[str | None] | None:
        """Return the student to go back to: (id,), or (None,) for the one that ships; None where there is none.

        Going back twice goes two students back; students whose files were deleted are passed over.
        """
        kept: set[str | None] = {None, *(record.id for record in self.all())}
        usable = [student for student in _in_use_before(self.switches()) if student in kept]
        return (usable[-1],) if usable else None

    def roll_back(self, author: str) -> StudentRecord | None:
        """Make the student in use that was in use before; return it, None for the one that ships.

        Raises:
            StudentError: No other student was in use before.
        """
        before = self.before()
        if before is None:
            raise StudentError(
                "no other student was in use before this one", remedy="Choose a student from the list instead."
            )
        self.choose(before[0], author=author, how="rolled back")
        return self.current()

    def _record(self, row: Row[Any]) -> StudentRecord:
        if not _ID.fullmatch(row.id):  # it names a file
            with self._database.plain_errors():
                raise BadValueError(f"students.id is {row.id[:40]!a}")
        texts = (row.name or "", row.note or "", row.added_by or "")
        return StudentRecord(row.id, self._path(row.id), row.scores, row.parent, row.added, *texts, row.deleted)

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


def _in_use_before(switches: Sequence[StudentSwitch]) -> list[str | None]:
    """Return the students that were in use before the present one, oldest first, without what was rolled back."""
    in_use: list[str | None] = []
    for switch in switches:
        if not in_use:
            in_use.append(switch.previous)
        if switch.how == "rolled back" and switch.student in in_use[:-1]:
            in_use.pop()
            while in_use[-1] != switch.student:
                in_use.pop()
        else:
            in_use.append(switch.student)
    present = in_use[-1] if in_use else None
    return [student for student in in_use[:-1] if student != present]


def _id_of(copy: Path, path: Path) -> str:
    try:
        return load_checkpoint(copy).id
    except StudentError as error:
        raise StudentError(error.what, path=path, remedy=error.remedy) from error
