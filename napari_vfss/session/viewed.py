# SPDX-License-Identifier: Apache-2.0
"""Masks that were viewed, which means on the screen as they are now, and acceptance of many of them at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from psygnal import Signal

from napari_vfss.session.changes import Changes
from napari_vfss.session.state import SessionState
from napari_vfss.session.undo import Place, Snapshot
from napari_vfss.session.unsaved import UnsavedChanges
from vfss.masks import BoolArray, MaskState, unpack_box
from vfss.wording import count

if TYPE_CHECKING:
    from vfss.project import Revision

_UNACCEPTED = (MaskState.PROPOSED, MaskState.EDITED)


class ViewedMasks:
    """Remembers which revision of each mask was on the screen; a mask that has changed since counts as not viewed.

    Attributes:
        undecided: Given a frame, returns the keys of structures that must be decided on before they are accepted; None
            for no such structures.
    """

    changed = Signal()

    def __init__(self, state: SessionState, changes: Changes, unsaved: UnsavedChanges) -> None:
        """Start with no mask viewed.

        Args:
            state: State of the session.
            changes: Writes what is accepted.
            unsaved: Unsaved changes, which must be written before anything is accepted.
        """
        self._state, self._changes, self._unsaved = state, changes, unsaved
        self._shown: dict[int, dict[str, int]] = {}
        self.undecided: Callable[[int], Collection[str]] | None = None
        state.frames_rewritten.connect(self.forget)

    def note(self, hidden: Collection[str]) -> None:
        """Record that the current frame is on the screen with all masks but those of the hidden structures."""
        frame, seen = self._state.frame, self._state.work.seen
        shown = {key: revision for key, revision in seen.items() if key not in hidden}
        if self._shown.get(frame) != shown:
            self._shown[frame] = shown
            self.changed.emit()

    def forget(self, frames: Iterable[int]) -> None:
        """Record that masks of these frames have changed."""
        dropped = [frame for frame in frames if self._shown.pop(frame, None) is not None]
        if dropped:
            self.changed.emit()

    def acceptable_frames(self, within: tuple[int, int] | None = None) -> list[int]:
        """Return the frames that were viewed and have unaccepted masks, ascending.

        Args:
            within: First and last frame to consider; by default the frames around the current one, as far as each of
                them was viewed or has no unaccepted masks.
        """
        n, open_frames = self._state.clip.n_frames, self._open_frames
        viewed = np.zeros(n, np.bool_)
        viewed[list(self._shown)] = True
        if within is None:
            gaps = np.flatnonzero(open_frames & ~viewed)
            after = int(np.searchsorted(gaps, self._state.frame))
            if after < len(gaps) and gaps[after] == self._state.frame:
                return []
            within = int(gaps[after - 1]) + 1 if after else 0, int(gaps[after]) - 1 if after < len(gaps) else n - 1
        chosen = range(max(0, within[0]), min(n - 1, within[1]) + 1)
        return [frame for frame in chosen if open_frames[frame] and viewed[frame]]

    def not_viewed(self, within: tuple[int, int]) -> int:
        """Return the number of frames of a range with unaccepted masks that were not viewed."""
        first, last = within
        return int(np.count_nonzero(self._open_frames[first : last + 1])) - len(self.acceptable_frames(within))

    def accept(self, within: tuple[int, int] | None = None) -> bool:
        """Accept the viewed masks of the acceptable frames as one undo step; return False if there were none.

        Raises:
            ProjectError: They cannot be written; nothing was accepted then.
        """
        state = self._state
        frames = self.acceptable_frames(within)
        viewed = set(frames)
        if state.unsaved and not self._unsaved.save_again(quietly=True):
            state.problem.emit("Nothing was accepted: there are unsaved changes. Press Save again first.")
            return False
        newest = {
            place: revision
            for place, revision in state.project.past.standing(state.clip.id).items()
            if place[0] in viewed and revision.state in _UNACCEPTED
        }
        accepted = self._accepted(frames, newest)
        if not accepted:
            state.problem.emit(
                "No unaccepted mask around this frame was viewed as it is now: "
                "play the clip or step through it, and accept again."
            )
            return False
        accepted_frames = sorted({frame for frame, _ in accepted})
        what = f"acceptance of {count(len(accepted), 'mask')} on {_name_of(accepted_frames)}"
        base: dict[Place, int | None] = {place: newest[place].id for place in accepted}
        students = {newest[place].student for place in accepted}
        student = students.pop() if len(students) == 1 else None
        written = self._changes.write_unchanged(accepted, what, base, student)
        state.message.emit(self._report(written, accepted_frames, newest, within))
        return written > 0

    @property
    def _open_frames(self) -> BoolArray:
        """Bool (T,), frames with unaccepted masks."""
        return np.asarray(np.isin(self._state.states, _UNACCEPTED).any(axis=1), np.bool_)

    def _accepted(self, frames: Iterable[int], newest: Mapping[Place, Revision]) -> dict[Place, Snapshot]:
        """Return the accepted form of each mask that is as it was shown and needs no decision first."""
        undecided = {frame: () if self.undecided is None else self.undecided(frame) for frame in frames}
        as_shown = {
            (frame, key): revision
            for (frame, key), revision in newest.items()
            if key not in undecided[frame] and self._shown.get(frame, {}).get(key) == revision.id
        }
        masks = self._state.project.past.masks({revision.id for revision in as_shown.values()})
        accepted: dict[Place, Snapshot] = {}
        for (frame, key), revision in as_shown.items():
            packed = masks.get(revision.id)
            if packed is not None and unpack_box(packed).area:
                accepted[frame, key] = Snapshot(packed, MaskState.ACCEPTED, prompts=revision.prompts)
            else:
                accepted[frame, key] = Snapshot(None, MaskState.EMPTY, prompts=revision.prompts)
        return accepted

    def _report(
        self, written: int, accepted: list[int], newest: Mapping[Place, Revision], within: tuple[int, int] | None
    ) -> str:
        text = f"Accepted {count(written, 'mask')} on {_name_of(accepted)}; undo (Ctrl+Z) takes them back."
        left = len(newest) - written
        if left:
            text += f" {count(left, 'mask')} there left open: hidden, changed since, or undecided."
        unseen = 0 if within is None else self.not_viewed(within)
        if unseen:
            text += f" {count(unseen, 'frame')} of the chosen range were not viewed as they are now: play them."
        return text


def _name_of(frames: list[int]) -> str:
    """Return frames as text, counted from one."""
    if len(frames) == 1:
        return f"frame {frames[0] + 1}"
    return f"{len(frames)} frames ({frames[0] + 1} to {frames[-1] + 1})"
