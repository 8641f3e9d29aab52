# SPDX-License-Identifier: Apache-2.0
"""Read a dataset from disk, image by image."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import imageio.v3 as iio
import numpy as np
from PIL import Image

from vfss.clips import Frame
from vfss.errors import DatasetError, MaskError, SchemaError
from vfss.masks import BoolArray, Masks, MaskState
from vfss.masks.run_lengths import is_picture_size
from vfss.schema import Schema

Fields = Mapping[str, Any]
MALFORMED = (
    KeyError,
    IndexError,
    TypeError,
    ValueError,
    AttributeError,
    OverflowError,
    RecursionError,
    SchemaError,
    MaskError,
)
"""Exceptions that reading malformed JSON of a dataset can raise."""

_MOST_JSON_BYTES = 1 << 30
_MOST_BYTES_OF_PLANES = 1 << 30


@dataclass(frozen=True, eq=False)
class DatasetImage:
    """One image of a dataset.

    Attributes:
        path: PNG file of the frame.
        clip: Content id of the clip it was taken from.
        frame: Zero-based frame index in that clip.
        time_s: Presentation time in seconds from the clip's first frame.
        times_from: "file", "assumed" or "person"; None in datasets of versions that did not say.
        pixel_aspect: Width of a pixel divided by its height; planes and pixels are as stored, not stretched.
        patient: Pseudonym.
        split: "train", "validation" or "test".
        masks: Planes and states; a plane counts only if its state was written (see `Dataset.written_states`).
        provenance: Author, time, origin and student by structure key.
    """

    path: Path
    clip: str
    frame: int
    time_s: float
    patient: str
    split: str
    masks: Masks
    provenance: Mapping[str, Mapping[str, Any]]
    times_from: str | None = None
    pixel_aspect: float = 1.0

    def pixels(self) -> Frame:
        """Read the grey values, uint8 or uint16 (H, W), as exported.

        Raises:
            DatasetError: The picture is missing or damaged.
        """
        try:
            pixels: Frame = iio.imread(self.path, extension=".png")
        except (OSError, ValueError, SyntaxError) as error:  # Pillow raises SyntaxError for a broken PNG
            raise DatasetError(f"picture cannot be read ({error})", path=self.path) from error
        return pixels


class Dataset(Sequence[DatasetImage]):
    """Images of a dataset, in the order of the export; planes are unpacked when an image is accessed.

    Attributes:
        folder: Folder of the dataset.
        manifest: Manifest of the dataset; see Manifest.
        schema: Structures; plane i belongs to schema.structures[i].
        written_states: States whose planes were written.
    """

    def __init__(
        self, folder: Path, manifest: Fields, images: Sequence[Fields], planes: Callable[[Fields], BoolArray]
    ) -> None:
        self.folder = folder
        self.manifest = manifest
        self._images = images
        self._planes = planes
        try:
            self.schema = Schema.from_dict(manifest["schema"], source=folder)
            self.written_states = frozenset(_state(label) for label in manifest["written_states"])
        except MALFORMED as error:
            raise malformed(folder, error) from error

    def __len__(self) -> int:
        return len(self._images)

    def __iter__(self) -> Iterator[DatasetImage]:
        return (self[i] for i in range(len(self)))

    @overload
    def __getitem__(self, index: int) -> DatasetImage: ...
    @overload
    def __getitem__(self, index: slice) -> list[DatasetImage]: ...
    def __getitem__(self, index: int | slice) -> DatasetImage | list[DatasetImage]:
        """Return the image or images at an index or slice.

        Raises:
            DatasetError: An image's entry is malformed.
        """
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        fields = self._images[index]
        try:
            state = np.array([_state(fields["states"][key]) for key in self.schema.keys], np.uint8)
            return DatasetImage(
                path=self.folder / fields["file_name"],
                clip=str(fields["clip"]),
                frame=int(fields["frame"]),
                time_s=float(fields["time_s"]),
                patient=str(fields["patient"]),
                split=str(fields["split"]),
                masks=Masks(self._planes(fields), state),
                provenance=fields["provenance"],
                times_from=fields.get("times_from"),
                pixel_aspect=float(fields.get("pixel_aspect", 1.0)),
            )
        except MALFORMED as error:
            raise malformed(self.folder, error) from error


def blank_planes(folder: Path, schema: Schema, fields: Fields) -> BoolArray:
    """Return planes without a pixel for an image of a dataset, bool (S, H, W), once its size proves plausible.

    Raises:
        DatasetError: The size is not that of the picture, or of no picture that can have masks.
    """
    height, width = fields["height"], fields["width"]
    path = inside(folder, fields["file_name"])
    if not is_picture_size(height, width) or len(schema) * height * width > _MOST_BYTES_OF_PLANES:
        raise DatasetError(
            f"an image of {str(height)[:20]} x {str(width)[:20]} pixels cannot have masks",
            path=path,
            remedy="Export the dataset again.",
        )
    size = picture_size(path) if path.suffix == ".png" else None
    if size not in (None, (height, width)):
        raise DatasetError(
            f"is a picture of {size} pixels, described as {(height, width)}",
            path=path,
            remedy="Export the dataset again.",
        )
    return np.zeros((len(schema), height, width), np.bool_)


def inside(folder: Path, file: str) -> Path:
    """Return the path of a file that a dataset names.

    Raises:
        ValueError: It is outside the dataset's folder.
    """
    path = folder / file
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{file[:80]} lies outside the folder")
    return path


def picture_size(path: Path) -> tuple[int, int] | None:
    """Return rows and columns that the head of a picture states, without its pixels; None if it cannot be read."""
    try:
        with Image.open(path, formats=("PNG",)) as picture:
            return picture.height, picture.width
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def read_json(path: Path) -> Fields:
    """Return the object in a JSON file.

    Raises:
        DatasetError: The file is missing, or holds no JSON object.
    """
    try:
        if path.stat().st_size > _MOST_JSON_BYTES:
            raise DatasetError("is larger than 1 GB", path=path, remedy="Export fewer recordings at once.")
        data = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise DatasetError("no such file", path=path, remedy="Name the folder that an export wrote.") from error
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        raise DatasetError(f"cannot be read ({error})", path=path, remedy="Export the dataset again.") from error
    if not isinstance(data, dict):
        raise DatasetError(
            "not a dataset: the file holds no JSON object", path=path, remedy="Name the folder that an export wrote."
        )
    return data


def malformed(folder: Path, error: Exception) -> DatasetError:
    """Return the error for an entry that lacks something or has an unexpected value."""
    return DatasetError(
        f"malformed dataset ({repr(error)[:200]})",
        path=folder,
        remedy="Only datasets exported by napari-vfss can be read.",
    )


def _state(label: str) -> MaskState:
    return MaskState[label.upper().replace(" ", "_")]
