# SPDX-License-Identifier: Apache-2.0
"""What a format is: a name, a title, what it cannot keep, and how it writes the frames that an export hands it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from vfss.clips import Clip
from vfss.datasets.identities import Identities, Identity
from vfss.datasets.report import ExportOptions
from vfss.datasets.selection import AnnotatedFrame
from vfss.project import Project
from vfss.schema import Schema

Fields = Mapping[str, Any]
"""What describes a frame, the same in every format; see Manifest.describe."""


@dataclass(frozen=True)
class Row:
    """What an export keeps of one frame until its end.

    Attributes:
        fields: What describes the frame.
        kept: What the format's own add() gave.
    """

    fields: Fields
    kept: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Job:
    """What a writer has to know before the first frame.

    Attributes:
        folder: Where to write; it exists, and gets its final name only when all is done.
        project: Where the annotations are, for what frames do not say.
        options: What was asked for.
        identities: Case and recording behind which a clip stands in the export.
    """

    folder: Path
    project: Project
    options: ExportOptions
    identities: Identities

    @property
    def schema(self) -> Schema:
        """Structures, in the order of planes."""
        return self.project.schema


class Writer(Protocol):
    """What a format does with the frames it is given: clip after clip, frames ascending."""

    def begin_clip(self, identity: Identity, clip: Clip, frames: int) -> None:
        """A clip follows, with so many frames to come; of a format `by_clip` these are always all of its frames."""

    def add(self, frame: AnnotatedFrame, fields: Fields, lost: Counter[str]) -> Mapping[str, Any]:
        """Write a frame; count what the format cannot keep of it into `lost`.

        Returns:
            Plain data that `finish` needs of this frame; it goes to the disk and comes back after an interruption.
        """

    def end_clip(self) -> None:
        """The clip that was begun is complete."""

    def finish(self, manifest: dict[str, Any], rows: Iterable[Row]) -> None:
        """Write what comes last; `rows` can be gone through several times, in constant memory."""


class FrameWriter:
    """For formats that care for frames only."""

    def begin_clip(self, identity: Identity, clip: Clip, frames: int) -> None:
        """Nothing to do."""

    def end_clip(self) -> None:
        """Nothing to do."""


def takes_all(_clip: Clip) -> str:
    """Refuse nothing."""
    return ""


@dataclass(frozen=True)
class Format:
    """One way of writing a project's annotations for other programs.

    Attributes:
        name: On the command line.
        title: In a menu.
        begin: Makes the writer of one export.
        holds: What lies in the folder, a phrase each, first the name; papers and manifest are left out.
        loses: What the format cannot say at all, in a sentence each; what it lost of a dataset is counted there.
        by_clip: True where a clip is written as a whole: an interrupted one is then begun again.
        reads: True where `vfss import` takes it.
        refuses: Why the format cannot take a clip, which is then left out; "" where it can.
    """

    name: str
    title: str
    begin: Callable[[Job], Writer]
    holds: tuple[str, ...]
    loses: tuple[str, ...] = field(default=())
    by_clip: bool = False
    reads: bool = False
    refuses: Callable[[Clip], str] = takes_all
