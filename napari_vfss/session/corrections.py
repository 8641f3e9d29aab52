# SPDX-License-Identifier: Apache-2.0
"""Corrections of whole masks, and of the last click, as changes of a session. No widgets, no viewer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from napari_vfss.session.session import WITH_PIXELS, Session
from napari_vfss.session.undo import Change
from vfss.masks import BoolArray, MaskState, morphology
from vfss.student.prompts import Box, Click, Prompts
from vfss.wording import count

REACH = (1, 30)
"""Least and greatest number of pixels to grow or shrink by at once."""

_FREE = (MaskState.UNSEEN, MaskState.PROPOSED)


@dataclass(frozen=True)
class Gap:
    """Frames between two on which a structure is accepted.

    Attributes:
        first: Accepted frame before them.
        last: Accepted frame after them.
        free: Frames between them that are not annotated, ascending.
    """

    first: int
    last: int
    free: tuple[int, ...]


class Corrections:
    """Smooth, grow, shrink, fill holes, keep the largest part, copy from a neighbour, fill the frames between two.

    Each is an edit of the active structure, like a stroke. A correction that is not possible emits a problem and
    changes nothing.

    Attributes:
        pixels: Number of pixels to grow or shrink by, in heights of a pixel.
    """

    def __init__(self, session: Session, tell: Callable[[str], None]) -> None:
        """Correct a session's masks.

        Args:
            session: Session to correct.
            tell: Called with a message if something was done that the picture alone does not show.
        """
        self.session = session
        self.pixels = max(1, round(session.clip.height / 500))
        self._tell, self._aspect = tell, session.clip.pixel_aspect

    def smooth(self) -> bool:
        """Smooth the outline."""
        pixels = max(1.5, self.session.clip.height / 400)
        return self._correct(lambda mask: morphology.smooth(mask, pixels, self._aspect), "is smooth already")

    def grow(self) -> bool:
        """Add a rim of `pixels`."""
        return self._correct(lambda mask: morphology.grow(mask, self.pixels, self._aspect), "fills the picture already")

    def shrink(self) -> bool:
        """Remove a rim of `pixels`."""
        shrunk = "is not bounded within the picture"
        return self._correct(lambda mask: morphology.shrink(mask, self.pixels, self._aspect), shrunk)

    def fill_holes(self) -> bool:
        """Fill holes."""
        return self._correct(morphology.fill_holes, "has no holes")

    def keep_largest(self) -> bool:
        """Remove all parts but the largest."""
        return self._correct(morphology.keep_largest, "has one part only")

    def copy(self, step: int) -> bool:
        """Copy the active structure's mask from the previous (-1) or next (1) frame."""
        session, source = self.session, self._neighbour(step)
        if source is None:
            return False
        work, active = session.work_at(source), session.active
        if work.state[active.index] not in WITH_PIXELS or not work.planes[active.index].any():
            state = MaskState(work.state[active.index])
            status = "without a mask" if state in WITH_PIXELS else state.label
            session.problem.emit(f"{active.name} is {status} on frame {source + 1}: there is nothing to copy.")
            return False
        return session.stroke(work.planes[active.index])

    def copy_all(self, step: int) -> bool:
        """Copy the masks of all unannotated structures from the previous (-1) or next (1) frame."""
        session, source = self.session, self._neighbour(step)
        if source is None:
            return False
        there, here = session.work_at(source), session.work
        changes: dict[tuple[int, str], Change] = {
            (session.frame, s.key): (there.planes[s.index].copy(), MaskState.EDITED)
            for s in session.schema.structures
            if here.state[s.index] in _FREE and there.state[s.index] in WITH_PIXELS and there.planes[s.index].any()
        }
        if not changes:
            session.problem.emit(
                f"Nothing was copied: frame {source + 1} has no mask of a structure that is unannotated here."
            )
            return False
        return self._write(changes, what=f"copied {count(len(changes), 'structure')} from frame {source + 1}")

    def interpolate(self) -> bool:
        """Interpolate the unannotated frames between the two accepted ones around the current frame."""
        session, active = self.session, self.session.active
        gap = self.gap()
        if gap is None:
            session.problem.emit(
                f"{active.name} must be accepted on a frame before and on a frame after this one, "
                "with unannotated frames between them."
            )
            return False
        first, last = (session.work_at(frame).planes[active.index].copy() for frame in (gap.first, gap.last))
        empty = [frame for frame, plane in ((gap.first, first), (gap.last, last)) if not plane.any()]
        if empty:
            session.problem.emit(
                f"{active.name} is empty on frame {empty[0] + 1}: its appearance cannot be interpolated. "
                "Accept it on a frame where it is visible, closer to that one."
            )
            return False
        changes: dict[tuple[int, str], Change] = {
            (frame, active.key): (morphology.interpolate(first, last, self._place(gap, frame)), MaskState.EDITED)
            for frame in gap.free
        }
        between = f"between frames {gap.first + 1} and {gap.last + 1}"
        return self._write(changes, what=f"filled {count(len(changes), 'frame')} of {active.name} {between}")

    def gap(self) -> Gap | None:
        """Return the frames to fill: around the current one, or before it (else after it) if it is accepted itself."""
        states, frame = self.session.states[:, self.session.active.index], self.session.frame
        known = np.flatnonzero(np.isin(states, [state for state in MaskState if state.is_truth]))
        places = np.searchsorted(known, frame, side="left"), np.searchsorted(known, frame, side="right")
        for place in dict.fromkeys(int(place) for place in places):
            if 0 < place < len(known):
                first, last = int(known[place - 1]), int(known[place])
                free = tuple(t for t in range(first + 1, last) if states[t] in _FREE)
                if free:
                    return Gap(first, last, free)
        return None

    def _place(self, gap: Gap, frame: int) -> float:
        """Return the position of a frame between the two ends of a gap, 0..1, by the times of the frames."""
        start, now, end = (float(self.session.clip.times_s[t]) for t in (gap.first, frame, gap.last))
        if start < now < end:
            return (now - start) / (end - start)
        return (frame - gap.first) / (gap.last - gap.first)

    def _correct(self, correct: Callable[[BoolArray], BoolArray], unchanged: str) -> bool:
        session, active = self.session, self.session.active
        mask = session.work.planes[active.index]
        if not mask.any():
            session.problem.emit(f"{active.name} has no mask on this frame: paint, click or propose first.")
            return False
        corrected = correct(mask)
        if not corrected.any():
            session.problem.emit(f"Nothing of {active.name} would be left. Press Empty (X) if it is not there.")
            return False
        if np.array_equal(corrected, mask):
            self._tell(f"{active.name} {unchanged}: nothing was changed.")
            return False
        return session.stroke(corrected)

    def _neighbour(self, step: int) -> int | None:
        source = self.session.frame + step
        if 0 <= source < self.session.clip.n_frames:
            return source
        self.session.problem.emit(f"There is no frame {'before' if step < 0 else 'after'} this one.")
        return None

    def _write(self, changes: Mapping[tuple[int, str], Change], *, what: str) -> bool:
        written = self.session.change(changes, what=what)
        if written:
            self._tell(f"{what[0].upper()}{what[1:]}; they are edited, not yet accepted.")
        return written


def with_prompt(session: Session, frame: int, structure: str, at: Click | Box) -> Prompts:
    """Return the prompts of a mask with one more; a new box replaces an older one."""
    prompts = session.work_at(frame).prompts.get(structure, Prompts())
    return prompts.with_box(at) if isinstance(at, Box) else prompts.with_click(at)


def remove_last_click(session: Session) -> bool:
    """Restore the active structure as it was before the last click (or box) on the current frame.

    The previous mask is read from the project, which keeps every revision, so that a click of another day can
    be removed too. This can be undone.
    """
    frame, structure = session.frame, session.structure
    prompts = session.work.prompts.get(structure)
    if prompts is None:
        session.problem.emit(f"{session.active.name} has no click on this frame to remove.")
        return False
    for revision in reversed(session.project.history(session.clip.id, frame, structure)):
        if prompts.follows(revision.prompts):
            return session.go_back(revision)
    # It was unseen before its first click.
    return session.change({(frame, structure): (None, MaskState.UNSEEN)}, what="removal of the click")
