# SPDX-License-Identifier: Apache-2.0
"""What a project hands out and takes in: frozen values, no database in sight."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from vfss.clips import Facing, Swallow
from vfss.masks import BoolArray, MaskState, unpack_mask
from vfss.project.provenance import Origin, Provenance
from vfss.student.prompts import Prompts

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class ClipRecord:
    """One clip of a project, known by its content.

    Attributes:
        id: Content id of the recording.
        path: Where the recording was last seen; it may have moved since (Project.locate finds it again).
        n_frames: Number of frames.
        height: Rows of a frame.
        width: Columns of a frame.
        bits: Significant bits of a grey value.
        facing: Where the patient looks in the picture.
        inverted: True where dense matter is stored bright.
        patient: Pseudonym of the patient; clips of one patient stay on one side of the split.
        added: When it joined the project, aware, UTC.
        swallows: Swallows a person marked.
    """

    id: str
    path: Path
    n_frames: int
    height: int
    width: int
    bits: int
    facing: Facing
    inverted: bool
    patient: str
    added: datetime
    swallows: tuple[Swallow, ...] = ()


@dataclass(frozen=True, eq=False)
class Edit:
    """A change to write: what one structure on one frame shall be from now on.

    Attributes:
        clip: Content id of the clip.
        frame: Zero-based frame index.
        structure: Key of the structure.
        mask: bool (H, W) at the frame's own size, or the same packed; None where the state says there are no pixels.
        state: What is known of it.
        confidence: A machine's estimate of the plane's Dice, 0..1; None where there is none.
        prompts: Clicks and boxes that a person gave to get this mask; None where it was made another way.
        provenance: How the mask was made; None where that follows from the origin it is written with.
    """

    clip: str
    frame: int
    structure: str
    mask: BoolArray | bytes | None
    state: MaskState
    confidence: float | None = None
    prompts: Prompts | None = None
    provenance: Provenance | None = None


@dataclass(frozen=True)
class Revision:
    """What someone once wrote of one structure on one frame; never changed afterwards.

    Attributes:
        id: Number of the revision; a later one is greater, over all clips of the project.
        clip: Content id of the clip.
        frame: Zero-based frame index.
        structure: Key of the structure.
        state: What was known of it.
        author: Name of the person or program that wrote it; of a student's proposal the id of the student.
        time: When, aware, UTC.
        origin: By which act it was written.
        provenance: How its mask was made.
        confidence: Estimate of the plane's Dice by what proposed it, 0..1; None where there is none.
        prompts: Clicks and boxes that a person gave to get this mask; None where it was made another way.
        packed: The packed plane, or how to get it; read `mask`.
    """

    id: int
    clip: str
    frame: int
    structure: str
    state: MaskState
    author: str
    time: datetime
    origin: Origin
    provenance: Provenance
    confidence: float | None = None
    prompts: Prompts | None = None
    packed: bytes | Callable[[], bytes | None] | None = field(default=None, repr=False, compare=False)

    @property
    def student(self) -> str | None:
        """Id of the student that had a part in the mask; None without one."""
        return self.provenance.student

    @property
    def mask(self) -> BoolArray | None:
        """Plane, bool (H, W), unpacked anew at every reading; None where the state has no pixels.

        Raises:
            MaskError: The stored plane is damaged.
            ProjectError: It cannot be read.
        """
        packed = self.packed() if callable(self.packed) else self.packed
        return None if packed is None else unpack_mask(packed)


@dataclass(frozen=True)
class StudentRecord:
    """A student file kept in the project.

    Attributes:
        id: Id of the student.
        path: Its file in the project's folder of students.
        scores: What it reached on the held-out patients, as given when it was added.
        parent: Id of the student it was trained on from; None for one trained from scratch.
        added: When it was added, aware, UTC.
    """

    id: str
    path: Path
    scores: dict[str, Any]
    parent: str | None
    added: datetime
