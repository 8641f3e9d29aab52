# SPDX-License-Identifier: Apache-2.0
"""Which masks a person has had on the screen as they are now, and accepting a whole stretch of them at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from psygnal import Signal

from napari_vfss.session.undo import Place, Snapshot
from vfss.masks import BoolArray, MaskState, unpack_box
from vfss.wording import count

if TYPE_CHECKING:
    from napari_vfss.session.session import Session
    from vfss.project import Revision

_WAITING = (MaskState.PROPOSED, MaskState.EDITED)


class ViewedMasks:
    """Remembers which revision of each mask was on the screen; a mask that changed since was not looked at.

    Attributes:
        undecided: Keys of structures of a frame that a person must decide on before they are accepted; None: none.
    """

    changed = Signal()

    def __init__(self, session: Session) -> None:
        """Nothing was looked at yet."""
        self._session = session
        self._shown: dict[int, dict[str, int]] = {}
        self.undecided: Callable[[int], Collection[str]] | None = None

    def note(self, hidden: Collection[str]) -> None:
        """The current frame is on the screen with all masks but those of the hidden structures."""
        frame, seen = self._session.frame, self._session.work.seen
        shown = {key: revision for key, revision in seen.items() if key not in hidden}
        if self._shown.get(frame) != shown:
            self._shown[frame] = shown
            self.changed.emit()

    def forget(self, frames: Iterable[int]) -> None:
        """Something was written there."""
        gone = [frame for frame in frames if self._shown.pop(frame, None) is not None]
        if gone:
            self.changed.emit()

    def stretch(self, within: tuple[int, int] | None = None) -> list[int]:
        """Frames that were looked at and on which something waits for acceptance, ascending.

        Args:
            within: First and last frame to think of; by default the frames around the current one, as far as each of
                them was looked at or has nothing that waits.
        """
        n, waits = self._session.clip.n_frames, self._waits
        seen = np.zeros(n, np.bool_)
        seen[list(self._shown)] = True
        if within is None:
            holes = np.flatnonzero(waits & ~seen)
            after = int(np.searchsorted(holes, self._session.frame))
            if after < len(holes) and holes[after] == self._session.frame:
                return []
            within = int(holes[after - 1]) + 1 if after else 0, int(holes[after]) - 1 if after < len(holes) else n - 1
        chosen = range(max(0, within[0]), min(n - 1, within[1]) + 1)
        return [frame for frame in chosen if waits[frame] and seen[frame]]

    def not_viewed(self, within: tuple[int, int]) -> int:
        """Frames of a range on which something waits that was not looked at as it is now."""
        first, last = within
        return int(np.count_nonzero(self._waits[first : last + 1])) - len(self.stretch(within))

    def accept(self, within: tuple[int, int] | None = None) -> bool:
        """Confirm all that waits on the stretch and was on the screen as it is now, as one step of undo.

        Raises:
            ProjectError: It cannot be written; nothing was accepted then.
        """
        session = self._session
        frames = self.stretch(within)
        looked_at = set(frames)
        if session.unsaved and not session.writer.save_again(quietly=True):
            session.problem.emit("Nothing was accepted: changes wait to be saved. Press Save again first.")
            return False
        standing = {
            place: revision
            for place, revision in session.project.past.standing(session.clip.id).items()
            if place[0] in looked_at and revision.state in _WAITING
        }
        words = self._words(frames, standing)
        if not words:
            session.problem.emit(
                "Nothing that waits for acceptance around this frame was on the screen yet as it is now: "
                "play the clip, or step through it, and look. Then press again."
            )
            return False
        accepted = sorted({frame for frame, _ in words})
        what = f"acceptance of {count(len(words), 'mask')} on {_named(accepted)}"
        base: dict[Place, int | None] = {place: standing[place].id for place in words}
        students = {standing[place].student for place in words}
        student = students.pop() if len(students) == 1 else None
        written = session.changes.repeat(words, what, base, student)
        session.message.emit(self._report(written, accepted, standing, within))
        return written > 0

    @property
    def _waits(self) -> BoolArray:
        return np.asarray(np.isin(self._session.states, _WAITING).any(axis=1), np.bool_)

    def _words(self, frames: Iterable[int], standing: Mapping[Place, Revision]) -> dict[Place, Snapshot]:
        """What shall be said of each mask that stands as it was shown, and that nobody must decide on first."""
        left = {frame: () if self.undecided is None else self.undecided(frame) for frame in frames}
        as_shown = {
            (frame, key): revision
            for (frame, key), revision in standing.items()
            if key not in left[frame] and self._shown.get(frame, {}).get(key) == revision.id
        }
        masks = self._session.project.past.masks({revision.id for revision in as_shown.values()})
        words: dict[Place, Snapshot] = {}
        for (frame, key), revision in as_shown.items():
            packed = masks.get(revision.id)
            if packed is not None and unpack_box(packed).area:
                words[frame, key] = Snapshot(packed, MaskState.ACCEPTED, prompts=revision.prompts)
            else:
                words[frame, key] = Snapshot(None, MaskState.EMPTY, prompts=revision.prompts)
        return words

    def _report(
        self, written: int, accepted: list[int], standing: Mapping[Place, Revision], within: tuple[int, int] | None
    ) -> str:
        said = f"Accepted {count(written, 'mask')} on {_named(accepted)}; undo (Ctrl+Z) takes them back."
        left = len(standing) - written
        if left:
            said += f" {count(left, 'mask')} there stay open: hidden, changed since, or to be decided on first."
        unseen = 0 if within is None else self.not_viewed(within)
        if unseen:
            said += f" {count(unseen, 'frame')} of the chosen range were not looked at as they are now: play them."
        return said


def _named(frames: list[int]) -> str:
    """Frames for a person, from one on."""
    if len(frames) == 1:
        return f"frame {frames[0] + 1}"
    return f"{len(frames)} frames ({frames[0] + 1} to {frames[-1] + 1})"
