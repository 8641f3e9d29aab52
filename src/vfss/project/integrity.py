# SPDX-License-Identifier: Apache-2.0
"""Integrity checks of recordings, and of projects with their database, masks and students."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vfss.clips import Clip, content_id, open_clip
from vfss.errors import ClipError, MaskError, ProjectError, StudentError, VfssError
from vfss.masks import MaskState
from vfss.output import Progress
from vfss.project import ClipRecord, Project, Revision
from vfss.project.frame_checks import frame_digest
from vfss.project.frame_ledger import changed_frames
from vfss.student import load_student
from vfss.wording import count, ranges


@dataclass(frozen=True)
class Finding:
    """Result of one check.

    Attributes:
        subject: File, clip or table that was checked.
        message: What was found, for a person.
        wrong: True if it needs attention.
        note: True if nothing is wrong, but a person should know it.
    """

    subject: str
    message: str
    wrong: bool
    note: bool = False


def check_clip(path: Path, progress: Progress | None = None) -> list[Finding]:
    """Open a recording and decode each frame."""
    try:
        with open_clip(path) as clip:
            read = _read(clip, range(len(clip)), progress)
            return [_readable(str(path), "", clip, read), *_notes(str(path), clip)]
    except VfssError as error:
        return [Finding(str(path), str(error), True)]


def check_project(folder: Path, progress: Progress | None = None, *, every_frame: bool = False) -> list[Finding]:
    """Check the database of a project, each clip, each present mask, and its students.

    Args:
        folder: The project.
        progress: Called with clips (or frames, if each is decoded) done and in all.
        every_frame: Decode each frame of each clip, and keep in the project how it was read, if that can be written;
            else three of each clip are decoded, and nothing is changed.
    """
    try:
        opened = Project.open(folder)
    except ProjectError as error:
        return [Finding(str(folder), str(error), True)]
    with opened as project:
        findings = [_database(folder / "vfss.sqlite")]
        records = project.clips()
        steps = [record.n_frames if every_frame else 1 for record in records]
        for number, record in enumerate(records):
            before = sum(steps[:number])
            within = _shifted(progress, before, sum(steps)) if every_frame else None
            findings += [*_recording(project, record, within, every_frame=every_frame), _masks(project, record)]
            if progress is not None:
                progress(before + steps[number], sum(steps))
        return findings + [_student(student.id, student.path) for student in project.students()]


def _shifted(progress: Progress | None, before: int, total: int) -> Progress | None:
    """Return a callback for one part of the work, which reports to the whole."""
    return None if progress is None else lambda done, _total: progress(before + done, total)


def _read(clip: Clip, frames: Iterable[int], progress: Progress | None) -> dict[int, int | str]:
    """Decode frames of a clip: return the digest of each, or why it cannot be decoded."""
    read: dict[int, int | str] = {}
    for t in frames:
        try:
            frame = clip[t]
            read[t] = frame_digest(frame)
            if frame.shape != (clip.height, clip.width):
                read[t] = f"is {frame.shape}, the clip {(clip.height, clip.width)}"
        except ClipError as error:
            read[t] = error.what
        if progress is not None:
            progress(t + 1, len(clip))
    return read


def _readable(subject: str, where: str, clip: Clip, read: Mapping[int, int | str]) -> Finding:
    """Return whether the frames that were decoded are readable; "all" is said only if all were decoded."""
    bad = {t: reason for t, reason in read.items() if isinstance(reason, str)}
    complete = len(read) == len(clip)
    decoded = f"all {len(clip)}" if complete else f"{len(read)} of {len(clip)}"
    if bad:
        frames = f"{count(len(bad), 'frame is', 'frames are')} not readable: {ranges(bad)}"
        return Finding(subject, f"{where}{decoded} frames decoded; {frames} ({bad[min(bad)]})", True)
    return Finding(subject, f"{where}{decoded} frames decoded, {'all' if complete else 'these are'} readable", False)


def _notes(subject: str, clip: Clip) -> list[Finding]:
    return [Finding(subject, note, False, note=True) for note in clip.notes]


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


def _recording(project: Project, record: ClipRecord, progress: Progress | None, *, every_frame: bool) -> list[Finding]:
    """Check that a recording is found, has the same content and size, and can be decoded as when it was first read."""
    name = _name(record)
    try:
        path = project.locate(record.id)
        if content_id(path) != record.id:
            return [Finding(name, f"{path}: the content is no longer that of the clip", True)]
        with project.open_clip(record.id) as clip:
            now, then = (len(clip), clip.height, clip.width), (record.n_frames, record.height, record.width)
            if now != then:
                return [Finding(name, f"{path}: is {now} (frames, height, width), was {then}", True)]
            n = len(clip)
            read = _read(clip, range(n) if every_frame else sorted({0, n // 2, n - 1}), progress)
            findings = [_readable(name, f"{path}: ", clip, read), *_notes(name, clip)]
        return findings + _compared(project, record, read, keep=every_frame)
    except (ClipError, OSError) as error:
        return [Finding(name, str(error), True)]


def _compared(project: Project, record: ClipRecord, read: dict[int, int | str], *, keep: bool) -> list[Finding]:
    """Compare what was read with what the project keeps of these frames, and name others that it knows as damaged."""
    checks, name = project.frame_checks, _name(record)
    changed = checks.record(record.id, read) if keep else checks.compare(record.id, read)
    mended = {change.frame: change.read for change in changed if change.mended}
    if keep:
        checks.replace_damage(record.id, {t: digest for t, digest in mended.items() if isinstance(digest, int)})
    findings = []
    if message := changed_frames({change.frame: change for change in changed if not change.mended}):
        findings.append(Finding(name, message, True))
    if mended:
        findings.append(Finding(name, f"can be decoded again: {ranges(mended)}", False, note=True))
    if known := {t: reason for t, reason in checks.damaged_frames(record.id).items() if t not in read}:
        frames = count(len(known), "more frame was", "more frames were")
        message = f"{frames} not readable when last read: {ranges(known)} ({known[min(known)]})"
        findings.append(Finding(name, message, True))
    return findings


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
