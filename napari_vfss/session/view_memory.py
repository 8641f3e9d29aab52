# SPDX-License-Identifier: Apache-2.0
"""Frame, structure and view of a clip, kept in the project for the next time the same annotator opens it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_vfss.session.session import Session


def remember_view(session: Session, **view: Any) -> None:
    """Keep frame, structure and what the viewer adds (camera) for the next time this clip is opened."""
    view = {"frame": session.frame, "structure": session.structure, **view}
    session.project.remember(session.author, f"view/{session.clip.id}", view)
    session.project.remember(session.author, "last_clip", session.clip.id)


def recall_view(session: Session) -> dict[str, Any]:
    """What remember_view kept, with frame and structure taken up; empty where this clip is new to this annotator."""
    view = session.project.recall(session.author, f"view/{session.clip.id}")
    if not isinstance(view, dict):
        return {}
    session.frame = min(max(0, int(view.get("frame", 0))), session.clip.n_frames - 1)
    if view.get("structure") in session.schema.keys:
        session.structure = str(view["structure"])
    return view
