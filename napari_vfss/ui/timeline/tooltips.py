# SPDX-License-Identifier: Apache-2.0
"""Words of the timeline on a frame, and on a structure on it."""

from __future__ import annotations

import math

from napari_vfss.controller.timeline import TimelineController
from napari_vfss.session.session import Session
from vfss.consistency.judge import JUMPY, SURE, Trust
from vfss.events import SWALLOW, name_of
from vfss.masks import MaskState
from vfss.project.marks import RECORDING, Mark


def words_on_place(session: Session, frame: int) -> str:
    """Where a frame is: its number, and its true time in the recording."""
    return f"Frame {frame + 1} of {session.clip.n_frames}, {session.clip.times_s[frame]:.3f} s"


def words_on_cell(session: Session, time: TimelineController, frame: int, row: int | None) -> str:
    """Frame, time, and what is known of the structure of that row; None: of the marks on that frame.

    Raises:
        ProjectError: The project cannot be read.
    """
    if row is None:
        return "\n".join([words_on_place(session, frame), *words_on_marks(time, frame)])
    structure = session.schema.structures[row]
    return "\n".join(
        [f"{structure.name}: {words_on_place(session, frame)}", *_words_on_mask(session, time, frame, row)]
    )


def words_on_marks(time: TimelineController, frame: int) -> list[str]:
    """Swallows and events on a frame, and who set them."""
    if time.marks is None:
        return []
    return [words_on_mark(mark) for mark in time.marks.all if _on(mark, frame)]


def words_on_mark(mark: Mark) -> str:
    """A mark, and who set it when."""
    ends = (
        "" if mark.kind != SWALLOW else f", frames {mark.first + 1} to {'...' if mark.last is None else mark.last + 1}"
    )
    came = mark.author in ("", RECORDING)
    who = "came with the recording" if came else f"set by {mark.author}"
    when = "" if came or mark.time is None else f", {mark.time.astimezone():%Y-%m-%d %H:%M}"
    return f"{name_of(mark.kind, mark.text)}{ends} ({who}{when})"


def _on(mark: Mark, frame: int) -> bool:
    return mark.first <= frame <= (mark.first if mark.last is None else mark.last)


def _words_on_mask(session: Session, time: TimelineController, frame: int, row: int) -> list[str]:
    state = MaskState(session.states[frame, row])
    strip = time.survey.overview
    if state == MaskState.UNSEEN or strip is None:
        return ["nothing is known yet"]
    author = session.project.overview.author(session.clip.id, frame, row)
    who = "the student" if state == MaskState.PROPOSED else author or "nobody"
    words = [f"{state.label}, by {who}"]
    confidence, jump = float(strip.confidence[frame, row]), float(strip.inconsistency[frame, row])
    if not math.isnan(confidence):
        sure = "" if state != MaskState.PROPOSED or confidence >= SURE else " (not sure)"
        words.append(f"the student expects its mask to be {100 * confidence:.0f}% right{sure}")
    if not math.isnan(jump) and jump >= JUMPY:
        words.append("jumps against its neighbours")
    if strip.trust[frame, row] == Trust.DOUBTFUL:
        words.append("doubtful: worth a second look")
    return words
