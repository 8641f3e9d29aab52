# SPDX-License-Identifier: Apache-2.0
"""Interface of a source of foreign masks: labels, images, and the planes of one image at a time."""

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
        name: Name in the source; unique there.
        title: Longer name; "" if there is none.
        code: SNOMED CT code, if the source has one.
    """

    name: str
    title: str = ""
    code: str | None = None


@dataclass(frozen=True)
class ForeignImage:
    """One image of a source: its metadata, known before its planes are read.

    Attributes:
        number: Index in the source's images.
        name: Name in the source, e.g. "swallow_000012.png".
        height: Rows; 0 if the source does not state the size, which is then that of the clip.
        width: Columns; 0 if the source does not state the size.
        clip: Content id of the clip it was taken from, or its name in an export, if the source states it.
        instance: SOP Instance UID of the DICOM recording it was taken from, if the source states it.
        frame: Zero-based frame index, if the source states it explicitly; else None.
        depth: Frames of the volume that it is a slice of; None for a single image.
        states: State of every label here, in a dataset exported by this program; empty for foreign sources.
        file: Name that tells recording and frame, where `name` has more; "" if it is `name`.
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
    file: str = ""


@dataclass(frozen=True, eq=False)
class ForeignPlanes:
    """The planes of one image.

    Attributes:
        planes: By label, bool (H, W) of the image's size; a missing label has no plane on this image.
        unknown: Number of pixels that the source marks as unknown ("ignore").
        left_out: Content of the image that is not a mask, with counts, e.g. "annotations with a box only".
    """

    planes: Mapping[str, BoolArray]
    unknown: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)


class ForeignMasks(Protocol):
    """Masks of another program or of an exported dataset, open for reading, one image in memory at a time."""

    @property
    def name(self) -> str:
        """Kind of source, a key of SOURCES."""

    @property
    def title(self) -> str:
        """Kind of source, for a person."""

    @property
    def path(self) -> Path:
        """File or folder."""

    @property
    def labels(self) -> Sequence[ForeignLabel]:
        """Labels in the order of the source."""

    @property
    def images(self) -> Sequence[ForeignImage]:
        """Images in the order of the source; unreadable files are left out."""

    @property
    def problems(self) -> Sequence[str]:
        """What could not be read when the source was opened."""

    @property
    def losses(self) -> Sequence[str]:
        """What masks lose in this format, or have lost in this source, a sentence each without full stop."""

    def planes(self, image: ForeignImage) -> ForeignPlanes:
        """Read the planes of one image of this source.

        Raises:
            DatasetError: They cannot be read, or are not of the image's size.
        """


@dataclass(frozen=True)
class SourceOptions:
    """Options that some kinds of sources need.

    Attributes:
        table: JSON file with the names of label values, for label images without such a table.
        threshold: Smallest value, 0..1, at which a pixel of a fractional segmentation belongs to its segment; None:
            refuse fractional segmentations.
    """

    table: Path | None = None
    threshold: float | None = None


@dataclass(frozen=True)
class SourceKind:
    """A format in which other programs store masks.

    Attributes:
        name: Name on the command line.
        title: Title for a person.
        fits: Checks quickly, from its content, whether a file or folder is of this kind.
        open: Opens it; DatasetError if it is malformed.
    """

    name: str
    title: str
    fits: Callable[[Path], bool]
    open: Callable[[Path, SourceOptions], ForeignMasks]


def checked_planes(image: ForeignImage, planes: Mapping[str, BoolArray], path: Path) -> Mapping[str, BoolArray]:
    """Return the planes unchanged.

    Raises:
        DatasetError: A plane is not of the image's size.
    """
    for label, plane in planes.items():
        if plane.shape != (image.height, image.width):
            raise DatasetError(
                f"the mask of {label!r} on {image.name} is {plane.shape[0]}x{plane.shape[1]}, "
                f"its image {image.height}x{image.width}",
                path=path,
                remedy="Export the masks again from the program that made them.",
            )
    return planes
