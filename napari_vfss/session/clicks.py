# SPDX-License-Identifier: Apache-2.0
"""What a click means for a session: which prompts it leads to, and how it is taken back. No widgets, no threads."""

from __future__ import annotations

from napari_vfss.session.session import Session
from vfss.masks import MaskState
from vfss.student.prompts import Box, Click, Prompts


def pointed(session: Session, frame: int, structure: str, at: Click | Box) -> Prompts:
    """All that a person has pointed at for a mask, and this; a new box takes the place of an older one."""
    prompts = session.work_at(frame).prompts.get(structure, Prompts())
    return prompts.with_box(at) if isinstance(at, Box) else prompts.with_click(at)


def take_back(session: Session) -> bool:
    """Bring back what the active structure was before the last click (or box) on the current frame.

    Found in the project, which has all that ever was: also a click of another day can be taken back. Undo brings it
    back again.
    """
    frame, structure = session.frame, session.structure
    prompts = session.work.prompts.get(structure)
    if prompts is None:
        session.problem.emit(f"{session.active.name} has no click on this frame that could be taken back.")
        return False
    for revision in reversed(session.project.history(session.clip.id, frame, structure)):
        if prompts.follows(revision.prompts):
            return session.go_back(revision)
    # It was unseen before its first click.
    return session.change({(frame, structure): (None, MaskState.UNSEEN)}, what="took the click back")
