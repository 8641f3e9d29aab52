# SPDX-License-Identifier: Apache-2.0
"""What every kind of foreign masks is once it is open: labels, images, and the planes of one image at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from vfss.errors import DatasetError
from vfss.masks import BoolArray, MaskState


@dataclass(frozen=True)
class ForeignLabel:
    """One label of a source.

    Attributes:
        name: As the source calls it; unique in the source.
        title: A longer name beside it; "" where there is none.
        code: SNOMED CT code, where the source says one.
    """

    name: str
    title: str = ""
    code: str | None = None


@dataclass(frozen=True)
class ForeignImage:
    """One image of a source: what is known of it before its planes are read.

    Attributes:
        number: Its place in the source's images.
        name: As the source calls it, say "swallow_000012.png".
        height: Rows.
        width: Columns.
        clip: Content id of the clip it was taken from, where the source says so.
        instance: SOP Instance UID of the DICOM recording it was taken from, where the source says so.
        frame: Zero-based frame index, where the source says so in as many words; else None.
        depth: Frames of the volume that it is a slice of; None for an image of its own.
        states: What a dataset of ours says of every label here; empty for foreign sources.
    """

    number: int
    name: str
    height: int
    width: int
    clip: str | None = None
    instance: str | None = None
    frame: int | None = None
    depth: int | None = None
    states: Mapping[str, MaskState] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class ForeignPlanes:
    """The planes of one image.

    Attributes:
        planes: By label, bool (H, W) of the image's size; a label that is not there has no plane on this image.
        unknown: Pixels of which the source says that nothing is known ("ignore").
        left_out: What of the image is no mask and was left out, to count, say "annotations with a box only".
    """

    planes: Mapping[str, BoolArray]
    unknown: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)


class ForeignMasks(Protocol):
    """Masks of another program, or of a dataset of ours: opened for reading, one image in memory at a time."""

    @property
    def name(self) -> str:
        """Kind of source, a key of SOURCES."""

    @property
    def title(self) -> str:
        """What was found, for a person."""

    @property
    def path(self) -> Path:
        """File or folder."""

    @property
    def labels(self) -> Sequence[ForeignLabel]:
        """In the order of the source."""

    @property
    def images(self) -> Sequence[ForeignImage]:
        """In the order of the source; a file that cannot be read is no image."""

    @property
    def problems(self) -> Sequence[str]:
        """What could not be taken in when the source was opened."""

    def planes(self, image: ForeignImage) -> ForeignPlanes:
        """Planes of one image of this source.

        Raises:
            DatasetError: They cannot be read, or are not of the image's size.
        """


@dataclass(frozen=True)
class SourceOptions:
    """What a source may need to be told.

    Attributes:
        table: JSON file with the names of label values, for label images that bring no such table.
        threshold: From which value, 0..1, a pixel of a fractional segmentation belongs to its segment; None: refuse.
    """

    table: Path | None = None
    threshold: float | None = None


@dataclass(frozen=True)
class SourceKind:
    """One way in which other programs keep masks.

    Attributes:
        name: On the command line.
        title: For a person.
        fits: Whether a file or folder is of this kind, told from its content, quickly.
        open: Opens it; DatasetError where it is malformed.
    """

    name: str
    title: str
    fits: Callable[[Path], bool]
    open: Callable[[Path, SourceOptions], ForeignMasks]


def checked_planes(image: ForeignImage, planes: Mapping[str, BoolArray], path: Path) -> Mapping[str, BoolArray]:
    """The same planes; DatasetError where one is not of the image's size."""
    for label, plane in planes.items():
        if plane.shape != (image.height, image.width):
            raise DatasetError(
                f"the mask of {label!r} on {image.name} is {plane.shape[0]}x{plane.shape[1]}, "
                f"its image {image.height}x{image.width}",
                path=path,
                remedy="Export the masks again from the program that made them.",
            )
    return planes
