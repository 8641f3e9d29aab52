# SPDX-License-Identifier: Apache-2.0
"""Values of the worklist: what it shows of a clip, which windows are open, and which clip comes next."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from vfss.clips import Facing


@dataclass(frozen=True)
class WorklistRow:
    """What a list of clips shows of one clip.

    A mask is final once a person has accepted it, or declared the structure empty or not visible on the frame. A frame
    is complete once all its structures are final. The frames of interest are those within the swallows that a person
    marked, and all frames of a clip without marked swallows.

    Attributes:
        id: Content id of the clip.
        name: File name of the recording.
        case: Pseudonym of the patient.
        assigned_to: Annotator who works on the clip; None for nobody.
        facing: Side to which the patient looks in the picture.
        n_frames: Number of frames.
        swallows: Number of marked swallows.
        masks: Number of masks that the clip can have, frames times structures.
        proposed: Masks that wait for a person.
        edited: Masks that a person drew or changed, not accepted yet.
        final: Masks that are final.
        frames_of_interest: Number of frames of interest.
        frames_complete: Number of these that are complete.
        finished_by: Person who declared the clip finished; None for nobody.
        finished_at: When, aware, UTC.
        reviewed: True if a person has checked the pixels for names.
        touched_at: Time of the newest revision, aware, UTC; None where nothing was written.
        touched_by: Its author.
        touched_by_person: False where that is a student or another program.
        revision: Id of the newest revision, 0 where there is none: it tells whether masks have changed.
    """

    id: str
    name: str
    case: str
    assigned_to: str | None
    facing: Facing
    n_frames: int
    swallows: int
    masks: int
    proposed: int = 0
    edited: int = 0
    final: int = 0
    frames_of_interest: int = 0
    frames_complete: int = 0
    finished_by: str | None = None
    finished_at: datetime | None = None
    reviewed: bool = False
    touched_at: datetime | None = None
    touched_by: str | None = None
    touched_by_person: bool = False
    revision: int = 0

    @property
    def unseen(self) -> int:
        """Masks that neither a student nor a person has made."""
        return max(0, self.masks - self.proposed - self.edited - self.final)

    @property
    def complete(self) -> bool:
        """True if all frames of interest are complete."""
        return self.frames_complete >= self.frames_of_interest > 0

    @property
    def finished(self) -> bool:
        """True if all frames of interest are complete, or a person declared the clip finished."""
        return self.complete or self.finished_by is not None

    @property
    def progress(self) -> float:
        """Share of the frames of interest that are complete, 0..1."""
        return self.frames_complete / self.frames_of_interest if self.frames_of_interest else 0.0


@dataclass(frozen=True)
class OpenWindow:
    """A window that has a clip open.

    Attributes:
        window: Id of the window, unique among all windows.
        author: Who works in it.
        host: Name of the computer.
        clip: Content id of the clip.
        seen: When it was last known to be open, aware, UTC, by that computer's clock.
    """

    window: str
    author: str
    host: str
    clip: str
    seen: datetime


def next_unfinished(
    rows: Sequence[WorklistRow], after: str | None, annotator: str, taken: Collection[str] = ()
) -> str | None:
    """Return the id of the next clip to work on, or None if nothing is left to do.

    Args:
        rows: Clips in the order in which a person sees them.
        after: Id of the clip to start behind; after the last row comes the first. None to start with the first.
        annotator: Who asks: clips that are assigned to others are left out.
        taken: Ids of clips that are open in other windows; they are left out.
    """
    start = next((i + 1 for i, row in enumerate(rows) if row.id == after), 0)
    for row in (*rows[start:], *rows[:start]):
        mine = row.assigned_to in (None, annotator)
        if mine and not row.finished and row.id != after and row.id not in taken:
            return row.id
    return None
