# SPDX-License-Identifier: Apache-2.0
"""Tooltips of the timeline: on a frame, its marks, and a structure on it."""

from __future__ import annotations

import math

from napari_vfss.controller.timeline import TimelineController
from napari_vfss.session.session import Session
from vfss.clips.time_base import times_text
from vfss.consistency.judge import CONFIDENT, INCONSISTENT, Trust
from vfss.events import SWALLOW, name_of
from vfss.masks import MaskState
from vfss.project.records import RECORDING, Mark


def describe_frame(session: Session, frame: int) -> str:
    """Return the number of a frame and its time, and who says so where it is not the recording."""
    clip = session.clip
    who = "" if clip.times_from == "file" else times_text(clip)
    return f"Frame {frame + 1} of {clip.n_frames}, {clip.times_s[frame]:.3f} s" + (f" ({who})" if who else "")


def describe_cell(session: Session, time: TimelineController, frame: int, row: int | None) -> str:
    """Return frame, time, and what is known of the structure of a row; None: the marks on the frame.

    Raises:
        ProjectError: The project cannot be read.
    """
    if row is None:
        return "\n".join([describe_frame(session, frame), *describe_marks(time, frame)])
    structure = session.schema.structures[row]
    return "\n".join(
        [f"{structure.name}: {describe_frame(session, frame)}", *_describe_mask(session, time, frame, row)]
    )


def describe_marks(time: TimelineController, frame: int) -> list[str]:
    """Describe the swallows and events on a frame, and who set them."""
    if time.marks is None:
        return []
    return [describe_mark(mark) for mark in time.marks.all if _on(mark, frame)]


def describe_mark(mark: Mark) -> str:
    """Describe a mark, and who set it when."""
    ends = (
        "" if mark.kind != SWALLOW else f", frames {mark.first + 1} to {'...' if mark.last is None else mark.last + 1}"
    )
    from_recording = mark.author in ("", RECORDING)
    who = "from the recording" if from_recording else f"set by {mark.author}"
    when = "" if from_recording or mark.time is None else f", {mark.time.astimezone():%Y-%m-%d %H:%M}"
    return f"{name_of(mark.kind, mark.text)}{ends} ({who}{when})"


def _on(mark: Mark, frame: int) -> bool:
    return mark.first <= frame <= (mark.first if mark.last is None else mark.last)


def _describe_mask(session: Session, time: TimelineController, frame: int, row: int) -> list[str]:
    state = MaskState(session.states[frame, row])
    strip = time.survey.overview
    if state == MaskState.UNSEEN or strip is None:
        return ["no mask yet"]
    author = session.project.overview.author(session.clip.id, frame, row)
    who = "the student" if state == MaskState.PROPOSED else author or "nobody"
    lines = [f"{state.label}, by {who}"]
    confidence, jump = float(strip.confidence[frame, row]), float(strip.inconsistency[frame, row])
    if not math.isnan(confidence):
        low = "" if state != MaskState.PROPOSED or confidence >= CONFIDENT else " (low)"
        lines.append(f"confidence of the student: {100 * confidence:.0f}%{low}")
    if not math.isnan(jump) and jump >= INCONSISTENT:
        lines.append("jumps against neighbouring frames")
    if strip.trust[frame, row] == Trust.DOUBTFUL:
        lines.append(f"doubtful: check this mask (doubt {100 * strip.doubt.scores[frame, row]:.0f} of 100)")
    return lines
