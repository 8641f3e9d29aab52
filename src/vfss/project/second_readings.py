# SPDX-License-Identifier: Apache-2.0
"""Second readings: another person annotates clips of a project without seeing its annotations.

A reading is a project of its own in `readings/NAME` of the project's folder: what the first reader wrote is not in its
database, so that nothing that works on it (window, history, export, training) can show it. The readers see each other's
work when both have declared that they are finished; from then on a reading cannot be changed.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import uuid
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert, select, update

from vfss.errors import ProjectError
from vfss.output.atomic_file import synchronise_folder
from vfss.project.cases import read_cases
from vfss.project.database import Database
from vfss.project.database_files import FILE
from vfss.project.locate import READINGS, project_of_reading
from vfss.project.path_text import path_to_text, text_to_path
from vfss.project.project import Project
from vfss.project.second_reading_record import (
    KEPT_BY,
    KEY,
    Reading,
    Start,
    keep_reading,
    read_reading,
    record_of_reading,
)
from vfss.project.tables import clips, patients

_LOG = logging.getLogger(__name__)

_CLIPS_STAY = (
    "CREATE TRIGGER reading_keeps_its_clips BEFORE INSERT ON clips "
    "BEGIN SELECT RAISE(ABORT, 'a second reading keeps the clips it was created for'); END"
)
_CASES_STAY = (
    "CREATE TRIGGER reading_keeps_its_cases BEFORE UPDATE OF patient ON clips WHEN NEW.patient <> OLD.patient "
    "BEGIN SELECT RAISE(ABORT, 'a case is named in the project, not in its second reading'); END"
)
_NO_MACHINE = (
    "CREATE TRIGGER reading_without_student BEFORE INSERT ON revisions WHEN NEW.origin = 'proposal' "
    "BEGIN SELECT RAISE(ABORT, 'this second reading is done without the student'); END"
)
_NO_IMPORT = (
    "CREATE TRIGGER reading_without_imports BEFORE INSERT ON revisions WHEN NEW.origin = 'import' "
    "BEGIN SELECT RAISE(ABORT, 'a second reading imports no masks'); END"
)
_FINISHED = (
    "CREATE TRIGGER reading_is_finished BEFORE INSERT ON revisions "
    "BEGIN SELECT RAISE(ABORT, 'this second reading is finished and stays as it is'); END"
)


def create_reading(
    project: Project, reader: str, *, clip_ids: Sequence[str] | None = None, start: Start = "nothing"
) -> Reading:
    """Create a second reading; none of the project's annotations go into it.

    Facing, polarity, patient and split are copied. Marked swallows, who works on a clip or has finished it, and the
    project's own students are not: they may carry the first reader's annotations.

    Args:
        project: The project to be read a second time.
        reader: Name of the second reader.
        clip_ids: Content ids of the clips; None for all.
        start: "student" lets the student that ships propose, "nothing" keeps it out.

    Raises:
        ProjectError: This reading exists already, the project is a reading itself, or it cannot be written.
    """
    reader = reader.strip()
    chosen = [record.id for record in project.clips()] if clip_ids is None else list(dict.fromkeys(clip_ids))
    folder = project.folder / READINGS / _folder_name(reader)
    _check(project, reader, chosen, folder)
    sides = project.splits()
    temporary = folder.with_name(f".new-{uuid.uuid4().hex}")
    try:
        Project.create(temporary, project.schema).close()
        record = {"reader": reader, "project": project.id, "start": start, "created": datetime.now(UTC).isoformat()}
        with closing(Database(temporary / FILE)) as database, database.writing() as connection:
            _fill(connection, project, folder, chosen, record)
        temporary.rename(folder)
        synchronise_folder(folder.parent)
    except OSError as error:
        raise ProjectError(
            f"the second reading cannot be created ({error.strerror or error})",
            path=folder,
            remedy="Make room on the disk and check that you may write in the project's folder.",
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    with Project.open(folder) as made:
        copied = made.splits()
        if any(copied[record.patient] != sides[record.patient] for record in made.clips()):
            raise ProjectError("the splits of the patients could not be copied", path=folder)
    return read_reading(folder)


def readings(project: Project) -> list[Reading]:
    """Return the second readings of a project, oldest first; one that cannot be read is left out and logged."""
    readable = []
    for folder in sorted((project.folder / READINGS).glob("*/")):
        if (folder / FILE).is_file():
            try:
                readable.append(read_reading(folder))
            except ProjectError as error:
                _LOG.warning("%s", error)
    return sorted(readable, key=lambda reading: reading.created)


def reading_of(project: Project) -> Reading | None:
    """Return the second reading that an open project is, None for an ordinary project."""
    return read_reading(project.folder) if project.recall(KEPT_BY, KEY) is not None else None


def find_reading(project: Project, name: str | None) -> Reading:
    """Return a second reading by the name of its folder or reader; None for the only one.

    Raises:
        ProjectError: There is none of that name, or several and none was named.
    """
    existing = readings(project)
    names = ", ".join(reading.name for reading in existing) or "none"
    matching = [reading for reading in existing if name is None or name in (reading.name, reading.reader)]
    if len(matching) != 1:
        raise ProjectError(
            "the project has no second reading" if name is None and not existing else f"which second reading: {name}",
            path=project.folder,
            remedy=f"It has: {names}.",
        )
    return matching[0]


def finish_reading(folder: Path) -> Reading:
    """Finish a reading: from now on it cannot be changed.

    Raises:
        ProjectError: It is no reading, or cannot be written.
    """
    with closing(Database(folder / FILE)) as database, database.writing() as connection:
        record = record_of_reading(connection, folder)
        if record.get("finished") is None:
            keep_reading(connection, record | {"finished": datetime.now(UTC).isoformat()})
            connection.exec_driver_sql(_FINISHED)
    return read_reading(folder)


def finish_first(project: Project, reading: Reading) -> Reading:
    """Note that the first reader has finished: the project as it is now is compared, not what is written later.

    Raises:
        ProjectError: The project cannot be written.
    """
    key = f"first/{reading.name}"
    if project.recall(KEPT_BY, key) is None:
        until = project.last_revision()
        project.remember(KEPT_BY, key, {"time": datetime.now(UTC).isoformat(), "until": until})
    return read_reading(reading.folder)


def expect_not_blinded(project: Project, clip_id: str, author: str | None) -> None:
    """Keep a second reader out of the project while the own reading of a clip is not finished.

    Args:
        project: The project that would be opened.
        clip_id: Content id of the clip that would be shown.
        author: Person who would see it; None if unknown, which is refused while anyone is blinded.

    Raises:
        ProjectError: The author would, or might, see masks that the own reading must not be influenced by.
    """
    for reading in readings(project):
        if not reading.blinded or clip_id not in reading.clips:
            continue
        if author is None:
            raise ProjectError(
                f"{reading.reader} reads this clip a second time, blinded to its masks; it is not known who opens it",
                path=project.folder,
                remedy=f"Enter your name on top of the panel, or open the second reading: {reading.folder}",
            )
        if reading.reader.casefold() == author.strip().casefold():
            raise ProjectError(
                f"{reading.reader} reads this clip a second time and must not see the first reader's masks yet",
                path=project.folder,
                remedy=f"Open the second reading instead: {reading.folder}",
            )


def take_over_cases(reading: Reading) -> None:
    """Copy the cases of a reading from its project, confirmed or not; nothing happens if that cannot be read.

    Raises:
        ProjectError: The reading cannot be written.
    """
    elder = project_of_reading(reading.folder)
    if elder is None or not os.access(reading.folder / FILE, os.W_OK):
        return
    try:
        with closing(Database(elder / FILE, "read")) as database, database.reading() as connection:
            named = _named(connection)
    except ProjectError as error:  # a second reader need not have access to the project
        _LOG.info("%s", error)
        return
    with closing(Database(reading.folder / FILE)) as database, database.writing() as connection:
        renamed = {clip: named[clip] for clip, case in _named(connection).items() if named.get(clip, case) != case}
        if renamed:
            connection.exec_driver_sql("DROP TRIGGER reading_keeps_its_cases")
            for clip_id, (patient, confirmed) in renamed.items():
                values = {"patient": patient, "case_confirmed": confirmed}
                connection.execute(update(clips).where(clips.c.id == clip_id).values(**values))
            connection.exec_driver_sql(_CASES_STAY)


def _named(connection: Connection) -> dict[str, tuple[str, bool]]:
    """Return the patient of each clip by its id, and whether a person confirmed it."""
    return {clip: (case.patient, case.confirmed) for clip, case in read_cases(connection).clips.items()}


def _check(project: Project, reader: str, chosen: list[str], folder: Path) -> None:
    if not reader or not _folder_name(reader):
        raise ProjectError("a second reading needs the reader's name", remedy="Enter your name or initials.")
    if reading_of(project) is not None:
        raise ProjectError("this is a second reading itself", path=project.folder, remedy="Open the project first.")
    taken = {path.name.casefold() for path in folder.parent.glob("*")}
    if folder.name.casefold() in taken:
        raise ProjectError(f"{reader} has a second reading already", path=folder, remedy="Open it, or change the name.")
    if not chosen:
        raise ProjectError("a second reading needs clips", path=project.folder, remedy="Choose at least one.")
    for clip_id in chosen:
        project.clip(clip_id)


def _fill(connection: Connection, project: Project, folder: Path, chosen: list[str], record: dict[str, Any]) -> None:
    """Copy the clips' facts, patients and splits from the project, in one transaction."""
    with closing(Database(project.folder / FILE, "read")) as database, database.reading() as elder:
        rows = [row._asdict() for row in elder.execute(select(clips).where(clips.c.id.in_(chosen)))]
        names = {row["patient"] for row in rows}
        sides = [row._asdict() for row in elder.execute(select(patients).where(patients.c.name.in_(names)))]
    for row in rows:
        row["swallows"] = []
        row.update(dict.fromkeys(("assigned_to", "finished_by", "finished_at")))
        path = text_to_path(row["path"])
        if not path.is_absolute():
            row["path"] = path_to_text(Path(os.path.relpath(project.folder / path, folder)))
    connection.execute(insert(clips), rows)
    if sides:  # cases that nobody has confirmed have no split yet
        connection.execute(insert(patients), sides)
    keep_reading(connection, record)
    for rule in (_CLIPS_STAY, _CASES_STAY, _NO_IMPORT, *([_NO_MACHINE] if record["start"] == "nothing" else [])):
        connection.exec_driver_sql(rule)


def _folder_name(reader: str) -> str:
    return re.sub(r"[^\w-]+", "-", reader).strip("-")
