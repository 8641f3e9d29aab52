# SPDX-License-Identifier: Apache-2.0
"""Provenance of a mask: by which method it was made, and from which frames or student.

`Origin` says by which act a revision was written, `Method` how its mask was made. They differ where a revision is
undone: the undo writes an older mask again, and the mask keeps the method it was made by.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, Self, get_args

from vfss.errors import ProjectError

Origin = Literal["proposal", "hand", "undo", "redo", "import", "truth"]
UNCONFIRMED: tuple[Origin, ...] = ("proposal", "import")
"""Origins of masks that no person has confirmed in this project: such a mask never replaces an annotation."""
Method = Literal["hand", "student", "propagation", "adapted", "import", "truth"]
PROPOSED_BY: tuple[Method, ...] = ("student", "propagation", "adapted")
"""Methods of the program's own proposals."""
PROPAGATION, ADAPTED_STUDENT = "propagation", "clip-adapted student"
"""Authors of propagated masks, and of masks that a clip-adapted student proposed."""


@dataclass(frozen=True)
class Provenance:
    """How the mask of a revision was made.

    Attributes:
        method: hand: drawn or accepted by a person; student: proposed by a student; propagation: propagated from a key
            frame; adapted: proposed by a clip-adapted student; import: read from a file; truth: known to the program
            that simulated the recording. None where it was not recorded (undone revisions before layout 4).
        source_frame: Zero-based index of the key frame of a propagated mask; else None.
        adapted_frames: Zero-based frames that a clip-adapted student was fine-tuned on, ascending; None for other
            methods, and where only their number was recorded (before layout 4).
        adapted_count: Number of those frames; None for other methods.
        student: Id of the student that had a part in the mask, for a clip-adapted one of its parent; None without one.

    Raises:
        ProjectError: The values contradict each other.
    """

    method: Method | None
    source_frame: int | None = None
    adapted_frames: tuple[int, ...] | None = None
    adapted_count: int | None = None
    student: str | None = None

    def __post_init__(self) -> None:
        """Refuse values that contradict each other."""
        if self.method is not None and self.method not in get_args(Method):
            raise ProjectError(
                f"unknown method {self.method!r} of making a mask",
                remedy=f"It is one of: {', '.join(get_args(Method))}.",
            )
        self._expect(
            _is_frame(self.source_frame) if self.method == "propagation" else self.source_frame is None,
            f"a mask by {self.method} with source frame {self.source_frame!r}",
            "A propagated mask names the frame it was propagated from, counted from 0; no other mask names one.",
        )
        frames, count = self.adapted_frames, self.adapted_count
        listed = frames is None or (
            len(frames) == count and all(map(_is_frame, frames)) and list(frames) == sorted(set(frames))
        )
        counted = _is_frame(count) and count != 0 and listed
        self._expect(
            counted if self.method == "adapted" else frames is None and count is None,
            f"a mask by {self.method} with a student adapted to {count!r} frames ({frames!r})",
            "A clip-adapted student's mask names the frames it was adapted to, ascending; no other mask names any.",
        )
        if self.student is not None and (not isinstance(self.student, str) or not self.student):
            raise ProjectError(f"a mask with the student id {self.student!r}", remedy="Give the id, or None.")

    @classmethod
    def propagated(cls, source_frame: int, student: str | None) -> Self:
        """Return the provenance of a mask propagated from a frame, with the help of a student or without."""
        return cls("propagation", source_frame=source_frame, student=student)

    @classmethod
    def adapted(cls, frames: tuple[int, ...], parent: str) -> Self:
        """Return the provenance of a mask by a student fine-tuned on frames of the clip, from its parent's id."""
        return cls("adapted", adapted_frames=frames, adapted_count=len(frames), student=parent)

    @property
    def outranks_student(self) -> bool:
        """True where a person asked for this very proposal, so that no ordinary student replaces it."""
        return self.method in ("propagation", "adapted", "import")

    def _expect(self, fits: bool, what: str, remedy: str) -> None:
        if not fits:
            raise ProjectError(f"the provenance contradicts itself: {what}", remedy=remedy)


METHODS: dict[Origin, tuple[Method | None, ...]] = {
    "proposal": PROPOSED_BY,
    "hand": ("hand",),
    "undo": (None, *get_args(Method)),
    "redo": (None, *get_args(Method)),
    "import": ("import",),
    "truth": ("truth",),
}
"""Methods that a revision of each origin can have, the default first. An undo writes a mask again, however made."""


def default_provenance(origin: Origin, student: str | None) -> Provenance:
    """Return the provenance that follows from the origin where none is given."""
    return Provenance(METHODS[origin][0], student=student)


# Authors of proposals as layouts 1 to 3 wrote them: the only record of how a mask was made.
_PROPAGATED = re.compile(r"propagation from frame ([1-9][0-9]{0,8})")
_ADAPTED = re.compile(r"student that learnt this clip from ([1-9][0-9]{0,8}) frames")


def read_old_author(origin: Origin, author: str, student: str | None) -> tuple[Provenance, str]:
    """Read the provenance of a revision of a layout before 4 from the name of its author.

    Args:
        origin: By which act it was written.
        author: Its author's name.
        student: Id of the student that had a part in it.

    Returns:
        The provenance, its method None where the author's name does not tell, and the author's name without it.
    """
    if origin != "proposal":
        return default_provenance(origin, student), author
    if match := _PROPAGATED.fullmatch(author):
        return Provenance.propagated(int(match[1]) - 1, student), PROPAGATION
    if match := _ADAPTED.fullmatch(author):
        return Provenance("adapted", adapted_count=int(match[1]), student=student), ADAPTED_STUDENT
    return Provenance("student" if student is not None and author == student else None, student=student), author


def _is_frame(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
