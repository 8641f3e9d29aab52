# SPDX-License-Identifier: Apache-2.0
"""Integrity checks of recordings, and of projects with their database, masks and students."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from vfss.clips import Clip, content_id, open_clip
from vfss.errors import ClipError, MaskError, ProjectError, StudentError, VfssError
from vfss.masks import MaskState, unpack_box
from vfss.output import Progress
from vfss.project import ClipRecord, Project, Revision
from vfss.project.database_files import FILE
from vfss.project.frame_checks import frame_digest
from vfss.project.frame_ledger import changed_frames
from vfss.student import load_student
from vfss.wording import count, ranges

_REVISIONS_AT_ONCE = 400


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
    """Check the database of a project, each clip, each mask that was ever written, and the students.

    Args:
        folder: The project.
        progress: Called with clips (or frames, if each is decoded) done and in all.
        every_frame: Decode each frame of each clip, and keep in the project how it was read, if that can be written;
            else three of each clip are decoded, and nothing is changed.
    """
    try:
        opened = Project.open(folder)
    except VfssError as error:
        return [Finding(str(folder), str(error), True)]
    with opened as project:
        findings = [_database(project), *_readable_for_all(project.folder / FILE)]
        try:
            records, students = project.clips(), project.students()
        except ProjectError as error:
            return [*findings, Finding(FILE, str(error), True)]
        steps = [record.n_frames if every_frame else 1 for record in records]
        for number, record in enumerate(records):
            before = sum(steps[:number])
            within = _shifted(progress, before, sum(steps)) if every_frame else None
            findings += _recording(project, record, within, every_frame=every_frame)
            findings += [_masks(project, record), *_marked(project, record)]
            if progress is not None:
                progress(before + steps[number], sum(steps))
        return findings + [_student(student.id, student.path) for student in students]


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


def _database(project: Project) -> Finding:
    try:
        found = project.faults()
    except ProjectError as error:
        return Finding(FILE, str(error), True)
    if found:
        return Finding(FILE, f"database is damaged: {'; '.join(found)}", True)
    return Finding(FILE, "database is intact", False)


def _readable_for_all(path: Path) -> list[Finding]:
    """Return a note on a database that everybody may read, as earlier versions made it; it is left as it is."""
    if os.name == "nt" or not path.stat().st_mode & stat.S_IROTH or not path.parent.stat().st_mode & stat.S_IXOTH:
        return []
    return [Finding(FILE, "everybody with an account on this computer may read it (chmod o-r)", False, note=True)]


def _recording(project: Project, record: ClipRecord, progress: Progress | None, *, every_frame: bool) -> list[Finding]:
    """Check that a recording is found, has the same content and size, and can be decoded as when it was first read."""
    name = _name(record)
    try:
        path = project.locate(record.id)
        if content_id(path) != record.id:
            return [Finding(name, f"{path}: the content is no longer that of the clip", True)]
        with project.open_clip(record.id) as clip:
            n = len(clip)
            read = _read(clip, range(n) if every_frame else sorted({0, n // 2, n - 1}), progress)
            findings = [_readable(name, f"{path}: ", clip, read), *_notes(name, clip)]
        return findings + _compared(project, record, read, keep=every_frame)
    except (ClipError, ProjectError, OSError) as error:
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
    """Unpack each mask that was ever written of a clip, and compare it with the size of the clip's frames."""
    subject, bad, planes = f"{_name(record)}, masks", list[str](), 0
    before: int | None = None
    try:
        while page := project.past.page(record.id, before=before, limit=_REVISIONS_AT_ONCE):
            before = page[-1].id
            packed = project.past.masks([revision.id for revision in page])
            for revision in page:
                planes += 1
                bad += _mask(revision, packed.get(revision.id), (record.height, record.width))
    except VfssError as error:
        return Finding(subject, str(error), True)
    if bad:
        return Finding(subject, f"{len(bad)} of {planes} masks are damaged; one of them: {bad[-1]}", True)
    return Finding(subject, f"{planes} masks, all intact", False)


def _marked(project: Project, record: ClipRecord) -> Iterator[Finding]:
    """Read what people marked on a clip and found in its pixels, and its frame checks."""
    for read in (project.marks.of, project.reviews.history, project.frame_checks.digests):
        try:
            read(record.id)
        except VfssError as error:
            yield Finding(_name(record), str(error), True)


def _mask(revision: Revision, packed: bytes | None, shape: tuple[int, int]) -> list[str]:
    where = f"frame {revision.frame}, {revision.structure}"
    if packed is None:
        without = revision.state is MaskState.ACCEPTED
        return [f"{where}: accepted, but there is no mask"] if without else []
    try:
        unpack_box(packed, shape)
    except MaskError as error:
        return [f"{where}: {error}"]
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
