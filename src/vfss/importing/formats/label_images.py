# SPDX-License-Identifier: Apache-2.0
"""Pictures, TIFF stacks and NIfTI volumes whose pixels are labels, read one slice at a time."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from vfss.errors import DatasetError
from vfss.masks import BoolArray

Labels = npt.NDArray[np.int64]
UNREADABLE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    LookupError,
    TypeError,
    MemoryError,
    OverflowError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""What libraries raise on pictures and volumes that are broken."""
TIFF = (".tif", ".tiff")
NIFTI = (".nii", ".nii.gz")
PICTURES = (".png", ".bmp")


def unreadable(path: Path, error: Exception) -> DatasetError:
    """The error for a file that a library stumbles over."""
    words = " ".join(str(error).split())[:200] or type(error).__name__
    return DatasetError(f"cannot be read ({words})", path=path, remedy="Copy or export it again: it may be cut off.")


def extent(path: Path) -> tuple[int | None, int, int]:
    """Slices of a volume (None for a single image), rows and columns, from the head of the file.

    Volumes are read as nnU-Net and ITK do: the last axis of NIfTI's own order, X, Y, Z, counts the frames.

    Raises:
        DatasetError: It cannot be read, or has more axes.
    """
    name = path.name.lower()
    try:
        if name.endswith(NIFTI):
            return _nifti_extent(path, _nifti(path).shape)
        if name.endswith(TIFF):
            return _tiff_extent(path)
        with Image.open(path) as picture:
            return None, picture.height, picture.width
    except UNREADABLE as error:
        raise unreadable(path, error) from error


def _nifti_extent(path: Path, shape: tuple[int, ...]) -> tuple[int | None, int, int]:
    if len(shape) < 2 or any(size != 1 for size in shape[3:]):
        raise DatasetError(f"has the shape {shape}, not that of an image or a volume", path=path)
    depth = shape[2] if len(shape) > 2 and shape[2] > 1 else None
    return depth, int(shape[1]), int(shape[0])


def _tiff_extent(path: Path) -> tuple[int | None, int, int]:
    import tifffile

    with tifffile.TiffFile(path) as file:
        first = file.pages[0]
        if len(first.shape) != 2:
            raise DatasetError(f"has the shape {first.shape}, not that of a label image", path=path)
        return (len(file.pages) if len(file.pages) > 1 else None), int(first.shape[0]), int(first.shape[1])


def _nifti(path: Path) -> Any:
    import nibabel as nib
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError
    from nibabel.wrapstruct import WrapStructError

    try:
        return nib.load(path, keep_file_open=True)  # so that a compressed volume is unpacked once, going forward
    except (ImageFileError, HeaderDataError, WrapStructError) as error:
        raise unreadable(path, error) from error


class LabelImages:
    """Label images by file and slice; the volume read last stays open, so that its slices come one after another."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._volume: Any = None

    def read(self, path: Path, index: int | None = None) -> Labels:
        """Labels of an image, or of one slice of a volume, int64 (H, W), 0 and above.

        Raises:
            DatasetError: It cannot be read, or its values are no labels.
        """
        name = path.name.lower()
        try:
            if name.endswith(NIFTI):
                values = self._slice(path, index or 0)
            elif name.endswith(TIFF):
                import tifffile

                values = np.asarray(tifffile.imread(path, key=index or 0))
            else:
                values = _picture(path)
        except UNREADABLE as error:
            raise unreadable(path, error) from error
        return _labels(path, values)

    def _slice(self, path: Path, index: int) -> npt.NDArray[Any]:
        if path != self._path:
            self._path, self._volume = path, _nifti(path)
        shape = self._volume.shape
        place = (slice(None), slice(None), *([index] if len(shape) > 2 else []), *([0] * (len(shape) - 3)))
        return np.asarray(self._volume.dataobj[place]).T


def _picture(path: Path) -> npt.NDArray[Any]:
    with Image.open(path) as picture:
        values = np.asarray(picture)  # of a palette picture the indices, which are the labels
    if values.ndim == 3:
        grey = values[..., :3] if values.shape[2] in (3, 4) else values[..., :1]
        if (grey != grey[..., :1]).any():
            raise DatasetError(
                "is a colour picture, not one of labels",
                path=path,
                remedy="Save it as grey values or with a palette, one value per label.",
            )
        values = grey[..., 0]
    return values


def _labels(path: Path, values: npt.NDArray[Any]) -> Labels:
    if values.ndim != 2:
        raise DatasetError(f"has the shape {values.shape}, not that of one image", path=path)
    with np.errstate(invalid="ignore"):  # numbers beyond all labels are told below
        labels: Labels = values.astype(np.int64) if np.isfinite(values).all() else np.full((1, 1), -1)
    if labels.shape != values.shape or (labels != values).any() or (labels < 0).any():
        raise DatasetError("has values that are no labels (0, 1, 2, ...)", path=path)
    return labels


def binary_plane(path: Path, values: Labels) -> BoolArray:
    """A mask, bool (H, W), of a picture that has two values at most: what is not 0 belongs to it.

    Raises:
        DatasetError: There are more values, as of a grey picture or a mask that was scaled.
    """
    some = values[values > 0]
    if some.size and (some != some[0]).any():
        raise DatasetError(
            f"has {len(np.unique(some)) + 1} different values, a mask has two",
            path=path,
            remedy="Save masks without smoothing. For pictures with one value per label, give a table of labels.",
        )
    plane: BoolArray = values > 0
    return plane
