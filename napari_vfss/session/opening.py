# SPDX-License-Identifier: Apache-2.0
"""Opening of sessions: which project a clip belongs to, and which clip of a project to show."""

from __future__ import annotations

import hashlib
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import platformdirs

import vfss
from napari_vfss import preferences
from napari_vfss.session.session import Session
from vfss.clips import Clip, open_clip
from vfss.errors import ProjectError
from vfss.redaction import Redaction
from vfss.sample_clips import is_sample


def remember_view(session: Session, **view: Any) -> None:
    """Store frame, structure and what the viewer adds (camera) for the next time this clip is opened."""
    view = {"frame": session.frame, "structure": session.structure, **view}
    session.project.remember(session.author, f"view/{session.clip.id}", view)
    session.project.remember(session.author, "last_clip", session.clip.id)


def recall_view(session: Session) -> dict[str, Any]:
    """Return what remember_view stored, and set frame and structure from it; empty if there is nothing stored."""
    view = session.project.recall(session.author, f"view/{session.clip.id}")
    if not isinstance(view, dict):
        return {}
    frame = view.get("frame")
    session.frame = min(max(0, frame), session.clip.n_frames - 1) if isinstance(frame, int) else 0
    if view.get("structure") in session.schema.keys:
        session.structure = str(view["structure"])
    return view


PROJECT_FOLDER = "vfss_project"
DATABASE = "vfss.sqlite"
PATIENCE_S = 2.0
"""How long the window may block while another program writes; after that, a change is kept as unsaved."""


def is_project(path: Path) -> bool:
    """Return whether a folder holds a project."""
    return (path / DATABASE).is_file()


def project_folder_for(clip_path: Path) -> Path:
    """Return the folder of the project that a clip opened by itself joins.

    All clips of one folder share the project `vfss_project` beside them. If that folder cannot be written
    (a read-only archive, a disc), the project is in the user's own data folder and the archive stays as it is.
    """
    parent = clip_path.absolute().parent
    beside = parent / PROJECT_FOLDER
    if os.access(beside if beside.is_dir() else parent, os.W_OK):
        return beside
    tag = hashlib.blake2b(str(parent).encode(), digest_size=4).hexdigest()
    return platformdirs.user_data_path("napari-vfss") / "projects" / f"{parent.name}-{tag}"


def open_session(path: Path, author: str, *, project_folder: Path | None = None, frames_kept: int = 6) -> Session:
    """Open a session on a clip, or on the clip of a project that this author had open last.

    Args:
        path: A recording, or a project folder.
        author: Who annotates.
        project_folder: Project that the recording joins; None for the one of its folder.
        frames_kept: Number of frames whose masks stay in memory.

    Raises:
        VfssError: The clip or the project cannot be opened.
    """
    if is_project(path):
        return open_project_session(path, author, frames_kept=frames_kept)
    with ExitStack() as undo:
        clip = undo.enter_context(open_clip(path))
        project = undo.enter_context(
            vfss.Project.open_or_create(project_folder or project_folder_for(path), patience_s=PATIENCE_S)
        )
        project.add_clip(clip)
        if is_sample(path):
            _mark_synthetic(project, clip.id)
        author = author_for(project, clip.id, author)
        undo.pop_all()
    return _session(project, clip, author, frames_kept)


def open_project_session(folder: Path, author: str, *, clip_id: str | None = None, frames_kept: int = 6) -> Session:
    """Open a session on one clip of a project: the named one, else the one this author had open last, else the first.

    Raises:
        VfssError: There is no such project, it has no clips, or the clip is not found.
    """
    with ExitStack() as undo:
        project = undo.enter_context(vfss.Project.open(folder, patience_s=PATIENCE_S))
        known = [record.id for record in project.clips()]
        if not known:
            raise ProjectError("the project has no clips", path=folder, remedy="Open a recording to add it.")
        from vfss.project.second_readings import reading_of

        reading = reading_of(project)
        last = project.recall(author if reading is None else reading.reader, "last_clip")
        chosen = clip_id or (last if last in known else known[0])
        author = author_for(project, str(chosen), author)
        clip = undo.enter_context(project.open_clip(str(chosen)))
        undo.pop_all()
    return _session(project, clip, author, frames_kept)


def author_for(project: vfss.Project, clip_id: str, author: str) -> str:
    """Return the name to work under: that of the reader in a second reading, else the author's.

    Raises:
        ProjectError: The author has a blinded second reading of this clip and must not see the first one yet.
    """
    from vfss.project.second_readings import expect_not_blinded, reading_of, take_over_cases

    reading = reading_of(project)
    if reading is None:
        expect_not_blinded(project, clip_id, None if preferences.is_nobody(author) else author)
        return author
    take_over_cases(reading)
    return reading.reader


def _mark_synthetic(project: vfss.Project, clip_id: str) -> None:
    """Record once that a sample needs no review for names; a person may withdraw that."""
    if not project.read_only and not project.reviews.history(clip_id):
        from vfss.phantom.phantom_project import AUTHOR  # phantoms bring scipy, and few recordings are phantoms

        project.reviews.accept(clip_id, Redaction(), reviewer=AUTHOR, text="synthetic: no patient")


def _session(project: vfss.Project, clip: Clip, author: str, frames_kept: int) -> Session:
    record = project.clip(clip.id)
    clip = project.adopt(clip)
    session = Session(project, clip, record, author, frames_kept=frames_kept)
    recall_view(session)
    return session
