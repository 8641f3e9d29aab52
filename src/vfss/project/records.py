# SPDX-License-Identifier: Apache-2.0
"""Values that a project returns and takes; none of them holds a database."""

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
HowSwitched = Literal["chosen", "chosen nevertheless", "rolled back"]
"""How a student came into use; "nevertheless": although the gate did not offer it."""
FacingFrom = Literal["file", "person", "proposals"]
"""Who set to which side the patient looks: the recording, a person, or the masks of the first proposals."""
View = Literal["lateral", "doubtful"]
"""Whether a clip shows a lateral swallow; "doubtful" where its proposals do not look like one."""
ViewFrom = Literal["person", "proposals"]
LEAST_RATE, GREATEST_RATE = 0.1, 10_000.0
"""Frames per second that can be kept; whether they are plausible for a swallow is for the caller to say."""


def case_from_content(clip_id: str) -> str:
    """Return the case id of a clip of which nothing else is known: it makes each recording a patient of its own."""
    return f"patient-{clip_id.removeprefix('b2-')[:12]}"


def is_confirmed(clip_id: str, patient: str, confirmed: bool | None) -> bool:
    """Return whether a person confirmed the case of a clip; None, of older projects: it is not made from the id."""
    return patient != case_from_content(clip_id) if confirmed is None else confirmed


@dataclass(frozen=True)
class ClipRecord:
    """One clip of a project, identified by its content.

    Attributes:
        id: Content id of the recording.
        path: Last known path of the recording; it may have moved since (Project.locate finds it again).
        n_frames: Number of frames.
        height: Rows of a frame.
        width: Columns of a frame.
        bits: Significant bits of a grey value.
        facing: Side to which the patient looks in the picture.
        inverted: True if dense matter is stored bright.
        patient: Pseudonym of the patient; clips of one patient stay on one side of the split.
        added: Time at which it was added, aware, UTC.
        swallows: Swallows that a person marked.
        frame_rate: Frames per second as typed by a person; None: the recording's own times count.
        pixel_aspect: Width of a pixel divided by its height; 1 for square pixels, and as long as it is not known.
        rotation: How frames are turned from the stored pixels, as Clip.rotation. Masks, height and width are those of
            the turned frames.
        case_confirmed: Whether a person confirmed the patient; clips of which nobody did are for training only.
        facing_from: Who set facing; None where nobody did.
        view: Whether it shows a lateral swallow; None where nobody has judged it.
        view_from: Who judged the view.
        view_reason: Why the view is doubtful, one sentence; empty otherwise.
        film_hash: Hash of small pictures of some frames (vfss.clips.film_hash); None where it was not computed.
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
    frame_rate: float | None = None
    pixel_aspect: float = 1.0
    rotation: int = 0
    case_confirmed: bool = True
    facing_from: FacingFrom | None = None
    view: View | None = None
    view_from: ViewFrom | None = None
    view_reason: str = ""
    film_hash: str | None = None


@dataclass(frozen=True, eq=False)
class Edit:
    """A change to write: the new mask and state of one structure on one frame.

    Attributes:
        clip: Content id of the clip.
        frame: Zero-based frame index.
        structure: Key of the structure.
        mask: bool (H, W) at the frame's own size, or the same packed; None if the state has no pixels.
        state: State of the structure.
        confidence: Estimate of the plane's Dice by what proposed it, 0..1; None where there is none.
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
    """One entry of the log: mask and state of one structure on one frame, never changed afterwards.

    Attributes:
        id: Number of the revision, greater than that of all earlier ones of the project.
        clip: Content id of the clip.
        frame: Zero-based frame index.
        structure: Key of the structure.
        state: State of the structure.
        author: Name of the person or program that wrote it; of a student's proposal the id of the student.
        time: Time of writing, aware, UTC.
        origin: By which act it was written.
        provenance: How its mask was made.
        confidence: Estimate of the plane's Dice by what proposed it, 0..1; None where there is none.
        prompts: Clicks and boxes that a person gave to get this mask; None where it was made another way.
        packed: The packed plane, or a function that reads it; use `mask`.
        shape: Rows and columns of the clip's frames, which its mask must have; None where they are not known.
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
    shape: tuple[int, int] | None = field(default=None, repr=False, compare=False)

    @property
    def student(self) -> str | None:
        """Id of the student that had a part in the mask; None without one."""
        return self.provenance.student

    @property
    def mask(self) -> BoolArray | None:
        """Plane, bool (H, W), unpacked at each access; None where the state has no pixels.

        Raises:
            MaskError: The stored plane is damaged.
            ProjectError: It cannot be read.
        """
        packed = self.packed() if callable(self.packed) else self.packed
        return None if packed is None else unpack_mask(packed, self.shape)


@dataclass(frozen=True)
class StudentRecord:
    """A student file kept in the project.

    Attributes:
        id: Id of the student.
        path: Its file in the project's folder of students.
        scores: Scores on the held-out patients, as given when it was added, and comparisons with other students.
        parent: Id of the student that it was trained from; None for one trained from scratch.
        added: Time at which it was added, aware, UTC.
        name: Name that a person gave it; empty without one.
        note: Free text of a person.
        added_by: Person or program that added it; empty where it is not recorded.
        deleted: Time at which its file was deleted, aware, UTC; None while the file is kept.
    """

    id: str
    path: Path
    scores: dict[str, Any]
    parent: str | None
    added: datetime
    name: str = ""
    note: str = ""
    added_by: str = ""
    deleted: datetime | None = None

    @property
    def short_id(self) -> str:
        """The first characters of the id, enough to tell students of a project apart."""
        return self.id[:9]

    @property
    def title(self) -> str:
        """Its name, or where it has none the short id."""
        return self.name or self.short_id


@dataclass(frozen=True)
class StudentSwitch:
    """A change of the student in use.

    Attributes:
        student: Id of the student in use from then on; None for the one that ships.
        previous: Id of the student in use before; None for the one that ships.
        how: How it came into use.
        author: Who changed it; empty where it is not known.
        time: When, aware, UTC.
    """

    student: str | None
    previous: str | None
    how: HowSwitched
    author: str
    time: datetime


RECORDING = "recording"
"""Author of a swallow that came with the recording or was set without a mark."""


@dataclass(frozen=True)
class Mark:
    """A swallow or an event as a person set it.

    Attributes:
        kind: SWALLOW, FREE, or the key of a kind of vfss.events.
        first: Frame, zero-based; of a swallow its first.
        last: Last frame of a swallow, None while only its beginning is set; None for events.
        text: Free text.
        author: Person who set it; "" for a swallow that came with the recording.
        time: Time of setting, aware, UTC; None if it was not set here.
        mark: Id of the mark, the same through all its changes; "" for a new one.
        id: Number of its newest row; 0 if it has none yet.
        removed: True if it was removed.
    """

    kind: str
    first: int
    last: int | None = None
    text: str = ""
    author: str = ""
    time: datetime | None = None
    mark: str = ""
    id: int = 0
    removed: bool = False
