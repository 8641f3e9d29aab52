# SPDX-License-Identifier: Apache-2.0
"""Integrity checks of recordings, and of projects with their database, masks and students."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vfss.clips import Clip, content_id, open_clip
from vfss.errors import ClipError, MaskError, ProjectError, StudentError, VfssError
from vfss.masks import MaskState
from vfss.output import Progress
from vfss.project import ClipRecord, Project, Revision
from vfss.student import load_student


@dataclass(frozen=True)
class Finding:
    """Result of one check.

    Attributes:
        subject: File, clip or table that was checked.
        message: What was found, for a person.
        wrong: True if it needs attention.
    """

    subject: str
    message: str
    wrong: bool


def check_clip(path: Path, progress: Progress | None = None) -> list[Finding]:
    """Open a recording and decode each frame."""
    try:
        with open_clip(path) as clip:
            bad = [error for t in range(len(clip)) for error in _decode(clip, t, progress)]
            if not bad:
                return [Finding(str(path), f"{len(clip)} frames, all readable", False)]
            return [Finding(str(path), f"{len(bad)} of {len(clip)} frames are not readable; the first: {bad[0]}", True)]
    except VfssError as error:
        return [Finding(str(path), str(error), True)]


def check_project(folder: Path, progress: Progress | None = None) -> list[Finding]:
    """Check the database of a project, each clip, each present mask, and its students."""
    try:
        opened = Project.open(folder)
    except ProjectError as error:
        return [Finding(str(folder), str(error), True)]
    with opened as project:
        findings = [_database(folder / "vfss.sqlite")]
        records = project.clips()
        for done, record in enumerate(records):
            findings += [_recording(project, record), _masks(project, record)]
            if progress is not None:
                progress(done + 1, len(records))
        return findings + [_student(student.id, student.path) for student in project.students()]


def _decode(clip: Clip, t: int, progress: Progress | None) -> Iterator[ClipError]:
    try:
        frame = clip[t]
        if frame.shape != (clip.height, clip.width):
            yield ClipError(f"is {frame.shape}, the clip {(clip.height, clip.width)}", frame=t)
    except ClipError as error:
        yield error
    if progress is not None:
        progress(t + 1, len(clip))


def _database(path: Path) -> Finding:
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            rows = [str(row[0]) for row in connection.execute("PRAGMA integrity_check")]
            loose = connection.execute("PRAGMA foreign_key_check").fetchall()
    except sqlite3.Error as error:
        return Finding(path.name, f"database cannot be read ({error})", True)
    if rows != ["ok"] or loose:
        errors = "; ".join(rows[:3] if rows != ["ok"] else [f"{len(loose)} rows refer to nothing"])
        return Finding(path.name, f"database is damaged: {errors}", True)
    return Finding(path.name, "database is intact", False)


def _recording(project: Project, record: ClipRecord) -> Finding:
    """Check that a recording is found, has the same content and size, and is readable at start, middle and end."""
    try:
        path = project.locate(record.id)
        if content_id(path) != record.id:
            return Finding(_name(record), f"{path}: the content is no longer that of the clip", True)
        with project.open_clip(record.id) as clip:
            now, then = (len(clip), clip.height, clip.width), (record.n_frames, record.height, record.width)
            if now != then:
                return Finding(_name(record), f"{path}: is {now} (frames, height, width), was {then}", True)
            bad = [error for t in sorted({0, len(clip) // 2, len(clip) - 1}) for error in _decode(clip, t, None)]
    except (ClipError, OSError) as error:
        return Finding(_name(record), str(error), True)
    return Finding(_name(record), str(bad[0]) if bad else f"{path}: readable", bool(bad))


def _masks(project: Project, record: ClipRecord) -> Finding:
    states = project.states(record.id)
    bad, planes = [], 0
    for t in np.flatnonzero((states != MaskState.UNSEEN).any(axis=1)):
        for revision in project.newest(record.id, int(t)).values():
            planes += 1
            bad += _mask(revision)
    subject = f"{_name(record)}, masks"
    if bad:
        return Finding(subject, f"{len(bad)} of {planes} masks are damaged; the first: {bad[0]}", True)
    return Finding(subject, f"{planes} masks, all intact", False)


def _mask(revision: Revision) -> list[str]:
    where = f"frame {revision.frame}, {revision.structure}"
    try:
        mask = revision.mask
    except MaskError as error:
        return [f"{where}: {error}"]
    if mask is None and revision.state is MaskState.ACCEPTED:
        return [f"{where}: accepted, but there is no mask"]
    return []


def _student(student_id: str, path: Path) -> Finding:
    try:
        student = load_student(path, device="cpu")
    except StudentError as error:
        return Finding(f"student {student_id}", str(error), True)
    if student.id != student_id:
        return Finding(f"student {student_id}", f"{path}: the file holds {student.id}", True)
    return Finding(f"student {student_id}", f"{path}: loads", False)


def _name(record: ClipRecord) -> str:
    return f"clip {record.path.name}"
