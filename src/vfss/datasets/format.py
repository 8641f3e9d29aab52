# SPDX-License-Identifier: Apache-2.0
"""Interface of a format: name, title, losses, and a writer of the frames of an export."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from vfss.clips import Clip
from vfss.datasets.identities import Identities, Identity
from vfss.datasets.options import ExportOptions
from vfss.datasets.selection import AnnotatedFrame
from vfss.project import Project
from vfss.schema import Schema

Fields = Mapping[str, Any]
"""Fields that describe a frame, the same in every format; see Manifest.describe."""


@dataclass(frozen=True)
class Row:
    """Data of one written frame, kept on disk until the end of the export.

    Attributes:
        fields: Fields that describe the frame.
        entry: Data that the format's add() returned.
    """

    fields: Fields
    entry: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Job:
    """Context of a writer, known before the first frame.

    Attributes:
        folder: Folder to write to; it exists, and gets its final name only when everything is written.
        project: Project with the annotations, for data that frames do not contain.
        options: Options of the export.
        identities: Names of cases and recordings in the export.
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
    """Writes the frames of an export: clip after clip, frames ascending."""

    def begin_clip(self, identity: Identity, clip: Clip, frames: int) -> None:
        """Begin a clip with that many frames to come; with a format `by_clip` these are always all of its frames."""

    def add(self, frame: AnnotatedFrame, fields: Fields, lost: Counter[str]) -> Mapping[str, Any]:
        """Write a frame; count what the format cannot keep of it in `lost`.

        Returns:
            Plain data of this frame that `finish` needs; it is stored on disk and survives an interruption.
        """

    def end_clip(self) -> None:
        """End the clip: all its frames were added."""

    def finish(self, manifest: dict[str, Any], rows: Iterable[Row]) -> None:
        """Write the final files; `rows` can be iterated several times, in constant memory."""


class FrameWriter:
    """Base of writers that do not depend on clips."""

    def begin_clip(self, identity: Identity, clip: Clip, frames: int) -> None:
        """Do nothing."""

    def end_clip(self) -> None:
        """Do nothing."""


def accepts_all(_clip: Clip) -> str:
    """Accept every clip."""
    return ""


def no_remarks(_frames: Mapping[str, int]) -> tuple[str, ...]:
    """Have nothing to remark."""
    return ()


@dataclass(frozen=True)
class Format:
    """A file format for a project's annotations, to be used by other programs.

    Attributes:
        name: Name on the command line.
        title: Title in a menu.
        begin: Creates the writer of one export.
        contents: Files of the dataset, a phrase each, beginning with the name; without documents and manifest.
        losses: What the format cannot express at all, a sentence each; actual losses are counted in each dataset.
        by_clip: True if clips are written as a whole: an interrupted clip is then written again.
        reads: True if `vfss import` can read it.
        refuses: Returns why the format cannot store a clip, which is then left out; "" if it can.
        errors: Exceptions of the libraries that write it, beside Python's own.
        remarks: Returns what a user of the dataset must know, a sentence each, from the numbers of frames by split.
    """

    name: str
    title: str
    begin: Callable[[Job], Writer]
    contents: tuple[str, ...]
    losses: tuple[str, ...] = field(default=())
    by_clip: bool = False
    reads: bool = False
    refuses: Callable[[Clip], str] = accepts_all
    errors: tuple[type[Exception], ...] = ()
    remarks: Callable[[Mapping[str, int]], tuple[str, ...]] = no_remarks
