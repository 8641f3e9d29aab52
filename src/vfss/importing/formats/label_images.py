# SPDX-License-Identifier: Apache-2.0
"""Label images: pictures, TIFF stacks and NIfTI volumes, read slice by slice, and the table of their label values."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from vfss.clips.library_errors import DECODING_ERRORS
from vfss.clips.tiff import StackFile
from vfss.errors import ClipError, DatasetError
from vfss.importing.files import MALFORMED, malformed, read_object
from vfss.masks import BoolArray
from vfss.masks.run_lengths import is_picture_size

Labels = npt.NDArray[np.int64]
UNREADABLE: tuple[type[Exception], ...] = (*DECODING_ERRORS, Image.DecompressionBombError, ClipError)
"""Exceptions that libraries raise on broken pictures and volumes."""
TIFF = (".tif", ".tiff")
NIFTI_SUFFIXES = (".nii", ".nii.gz")
PICTURES = (".png", ".bmp")
# It writes remarks on headers to standard error by itself.
logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)

_FORMATS = ("PNG", "BMP")  # whatever the suffix: for others Pillow may start programs
_MOST_INFLATED = 1100  # bytes that come out of one byte of gzip at most
_MOST_OPEN = 40  # volumes: one for each structure of a recording
_SHOWN = 5  # values that a message lists
ONE_LABEL = "an image of labels has one label for each pixel: where structures overlap, only one has the pixel"
"""What is lost in label images."""


def unreadable(path: Path, error: Exception) -> DatasetError:
    """Return the error for a file that a library cannot read."""
    what = error.what if isinstance(error, ClipError) else str(error)
    text = " ".join(what.split())[:200] or type(error).__name__
    return DatasetError(f"cannot be read ({text})", path=path, remedy="Copy or export it again: it may be cut off.")


def extent(path: Path) -> tuple[int | None, int, int]:
    """Read the slices of a volume (None for a single image), rows and columns from the header of a file.

    Volumes are read as nnU-Net and ITK do: the last axis of NIfTI's own order X, Y, Z is the frame.

    Raises:
        DatasetError: The file cannot be read, has more axes, or cannot hold what its header claims.
    """
    name = path.name.lower()
    try:
        if name.endswith(NIFTI_SUFFIXES):
            depth, height, width = _volume_extent(open_volume(path).shape, path)
        elif name.endswith(TIFF):
            depth, height, width = _tiff_extent(path)
        else:
            with Image.open(path, formats=_FORMATS) as picture:
                depth, height, width = None, picture.height, picture.width
    except UNREADABLE as error:
        raise unreadable(path, error) from error
    if not is_picture_size(height, width):
        raise DatasetError(f"claims {height} x {width} pixels, more than a picture has", path=path)
    return depth, height, width


def _volume_extent(shape: tuple[int, ...], path: Path) -> tuple[int | None, int, int]:
    if len(shape) < 2 or any(size != 1 for size in shape[3:]):
        raise DatasetError(f"has the shape {shape}, not that of an image or a volume", path=path)
    depth = shape[2] if len(shape) > 2 and shape[2] > 1 else None
    return depth, int(shape[1]), int(shape[0])


def _tiff_extent(path: Path) -> tuple[int | None, int, int]:
    with closing(StackFile(path)) as stack:
        shape = stack.key.shape
        if len(shape) != 2:
            raise DatasetError(f"has the shape {shape}, not that of a label image", path=path)
        return (stack.n_frames if stack.n_frames > 1 else None), int(shape[0]), int(shape[1])


def open_volume(path: Path) -> Any:
    """Open a NIfTI volume by nibabel; of its voxels nothing is read yet.

    Raises:
        DatasetError: It cannot be read, or is too small to hold what its header claims.
    """
    import nibabel as nib
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError
    from nibabel.wrapstruct import WrapStructError

    try:
        volume: Any = nib.load(
            path, keep_file_open=True
        )  # a compressed volume is then decompressed once, slice by slice
        shape, dtype = tuple(int(size) for size in volume.shape), volume.get_data_dtype()
        stored = path.stat().st_size
    except (ImageFileError, HeaderDataError, WrapStructError, *UNREADABLE) as error:
        raise unreadable(path, error) from error
    claimed = math.prod(shape) * dtype.itemsize
    most = stored * (_MOST_INFLATED if path.name.lower().endswith(".gz") else 1)
    if any(size < 1 for size in shape) or claimed > most or dtype.kind not in "buif":
        raise DatasetError(
            f"claims {' x '.join(map(str, shape))} values of type {dtype}, and has {stored} bytes",
            path=path,
            remedy="Export it again as whole numbers: it may be damaged or cut off.",
        )
    return volume


class LabelImages:
    """Reads label images by file and slice; the last volumes stay open for their next slices."""

    def __init__(self) -> None:
        self._open: dict[Path, Any] = {}

    def read(self, path: Path, index: int | None = None) -> Labels:
        """Read the labels of an image, or of one slice of a volume, int64 (H, W), 0 and above.

        Raises:
            DatasetError: The file cannot be read, or its values are not labels.
        """
        name = path.name.lower()
        try:
            if name.endswith(NIFTI_SUFFIXES):
                values = self._slice(path, index or 0)
            elif name.endswith(TIFF):
                values = np.asarray(self._opened(path, StackFile).samples(index or 0))
            else:
                values = _picture(path)
            return _labels(path, values)
        except UNREADABLE as error:
            raise unreadable(path, error) from error

    def _opened(self, path: Path, opener: Callable[[Path], Any]) -> Any:
        """Return an open volume; the one that was opened first is forgotten where there are many."""
        if path not in self._open:
            while len(self._open) >= _MOST_OPEN:
                forgotten = self._open.pop(next(iter(self._open)))
                if isinstance(forgotten, StackFile):
                    forgotten.close()
            self._open[path] = opener(path)
        return self._open[path]

    def _slice(self, path: Path, index: int) -> npt.NDArray[Any]:
        volume = self._opened(path, open_volume)
        shape = volume.shape
        index_of = (slice(None), slice(None), *([index] if len(shape) > 2 else []), *([0] * (len(shape) - 3)))
        return np.asarray(volume.dataobj[index_of]).T


def _picture(path: Path) -> npt.NDArray[Any]:
    with Image.open(path, formats=_FORMATS) as picture:
        if not is_picture_size(picture.height, picture.width):
            raise DatasetError(f"claims {picture.height} x {picture.width} pixels, more than a picture has", path=path)
        values = np.asarray(picture)  # for a palette picture these are the indices, which are the labels
    if values.ndim == 3:
        grey = values[..., :3] if values.shape[2] in (3, 4) else values[..., :1]
        if (grey != grey[..., :1]).any():
            raise DatasetError(
                "is a colour picture, not a label image",
                path=path,
                remedy="Save it as grey values or with a palette, one value per label.",
            )
        values = grey[..., 0]
    return values


def _labels(path: Path, values: npt.NDArray[Any]) -> Labels:
    if values.ndim != 2 or values.dtype.kind not in "buif":
        raise DatasetError(f"has the shape {values.shape} of {values.dtype}, not that of one label image", path=path)
    with np.errstate(invalid="ignore"):  # too large numbers are reported below
        labels: Labels = values.astype(np.int64) if np.isfinite(values).all() else np.full((1, 1), -1)
    if labels.shape != values.shape or (labels != values).any() or (labels < 0).any():
        raise DatasetError("has values that are not labels (0, 1, 2, ...)", path=path)
    return labels


def binary_plane(path: Path, values: Labels) -> BoolArray:
    """Return the mask, bool (H, W), of a picture with at most two values: pixels other than 0 belong to it.

    Raises:
        DatasetError: There are more values, as in a grey picture or a scaled mask.
    """
    nonzero = values[values > 0]
    if nonzero.size and (nonzero != nonzero[0]).any():
        raise DatasetError(
            f"has {len(np.unique(nonzero)) + 1} different values, a mask has two",
            path=path,
            remedy="Save masks without smoothing. For pictures with one value per label, give a table of labels.",
        )
    plane: BoolArray = values > 0
    return plane


@dataclass(frozen=True)
class Table:
    """Table of the values of a label image.

    Attributes:
        values: By label, in the order of the table, without background; several if a label is a region.
        ignore: Value of unknown pixels; None if there is none.
        background: Value of pixels without label.
    """

    values: Mapping[str, tuple[int, ...]]
    ignore: int | None = None
    background: int = 0

    @property
    def known(self) -> frozenset[int]:
        """All values that may occur."""
        others = {self.background} | ({self.ignore} if self.ignore is not None else set())
        return frozenset(others.union(*self.values.values()))


def read_table(path: Path) -> Table:
    """Read a table from a JSON file: {"bolus": 1, ...} or {"1": "bolus", ...}, or either under "labels".

    Raises:
        DatasetError: There is no table, or it is malformed.
    """
    data = read_object(path)
    inner = data.get("labels")
    return parse_table(inner if isinstance(inner, dict) else data, path)


def parse_table(data: Mapping[str, Any], path: Path) -> Table:
    """Parse the table in an object read from a file.

    Raises:
        DatasetError: The table is malformed, or names no label.
    """
    try:
        if data and all(isinstance(value, str) for value in data.values()):  # value first, as in nnU-Net v1
            if len(set(data.values())) != len(data):
                raise ValueError("a label occurs twice")
            data = {name: int(value) for value, name in data.items()}
        values = {str(name): _numbers(value) for name, value in data.items()}
    except MALFORMED as error:
        raise malformed(path, error, "as a table of labels") from error
    (background,) = values.pop("background", (0,))[:1]
    ignore = values.pop("ignore", (None,))[0]
    if not values:
        raise DatasetError("names no label", path=path, remedy='Write for example {"bolus": 1, "airway": 2}.')
    return Table({name: numbers for name, numbers in values.items() if numbers != (background,)}, ignore, background)


def _numbers(value: Any) -> tuple[int, ...]:
    numbers = value if isinstance(value, list) else [value]
    if not numbers or any(isinstance(n, bool) or not isinstance(n, int) or n < 0 for n in numbers):
        raise ValueError(f"{value!r} is not a value of a label image")
    return tuple(numbers)


def planes_of(values: Labels, table: Table) -> dict[str, BoolArray]:
    """Return the masks in a label image (H, W), bool (H, W) by label; labels that do not occur have none."""
    occurring = set(np.unique(values).tolist())
    return {name: np.isin(values, numbers) for name, numbers in table.values.items() if occurring & set(numbers)}


def check_values(values: Labels, table: Table, path: Path) -> None:
    """Check that the table names all values of a label image (H, W).

    Raises:
        DatasetError: There are other values: the table is not that of the image.
    """
    unknown = [int(value) for value in np.unique(values) if int(value) not in table.known]
    if unknown:
        shown = ", ".join(map(str, unknown[:_SHOWN])) + (", ..." if len(unknown) > _SHOWN else "")
        raise DatasetError(
            f"has values that the table of labels does not name: {shown}",
            path=path,
            remedy="Give the table of these images, with all their values.",
        )
