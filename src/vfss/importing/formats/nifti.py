# SPDX-License-Identifier: Apache-2.0
"""NIfTI volumes of masks: one file per label and recording, or label volumes with a table of their values.

    <recording>/<label>.nii.gz       slices are the frames of the recording, or the exported ones of frames.jsonl

Slices lie along the last axis of NIfTI's order X, Y, Z. Exports of earlier versions have the frames along the first
axis instead; what their manifest lacks tells them apart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vfss.datasets.sidecar import FRAMES, MANIFEST, read_sidecar
from vfss.errors import DatasetError
from vfss.importing.files import MALFORMED, entries_of, files_in, malformed
from vfss.importing.formats.label_images import (
    NIFTI_SUFFIXES,
    ONE_LABEL,
    UNREADABLE,
    LabelImages,
    Labels,
    Table,
    binary_plane,
    check_values,
    extent,
    open_volume,
    planes_of,
    read_table,
    unreadable,
)
from vfss.importing.names import shown, stem
from vfss.importing.source import (
    ForeignImage,
    ForeignLabel,
    ForeignMasks,
    ForeignPlanes,
    SourceKind,
    SourceOptions,
    checked_planes,
)
from vfss.masks import BoolArray, MaskState
from vfss.masks.run_lengths import is_picture_size

Fields = Mapping[str, Any]
_FRAME_VOLUMES = frozenset({"frames", "image", "images"})
_MOST_BYTES = 1 << 29


class NiftiMasks:
    """Masks of volumes; see ForeignMasks."""

    name = "nifti"
    title = "NIfTI volumes"

    def __init__(self, path: Path, table: Path | None) -> None:
        """Read the headers of all volumes, and frames.jsonl beside them if it is an export.

        Raises:
            DatasetError: There is no volume of masks, or frames.jsonl or the table is malformed.
        """
        self.path = path
        self.problems: list[str] = []
        self._table: Table | None = None if table is None else read_table(table)
        self.losses = [] if self._table is None else [ONE_LABEL]
        self._root, self._described, self._frames_first = _sidecar(path)
        self._reader = LabelImages()
        self._first_axis = _FramesFirst()
        self.images: list[ForeignImage] = []
        self._slices: list[tuple[list[Path], int]] = []
        files = _volumes(path)
        for folder, of_folder in _by_recording(files, self._table is not None).items():
            self._add(folder, of_folder)
        if not self.images:
            raise DatasetError(
                "holds no NIfTI volume of masks that can be read" + (f" ({self.problems[0]})" if self.problems else ""),
                path=path,
                remedy="Name a folder with a volume per label, or a label volume and its table (--labels).",
            )
        stems = dict.fromkeys(shown(stem(file.name)) for file in files)
        self.labels = [ForeignLabel(name) for name in (stems if self._table is None else self._table.values)]

    def _add(self, recording: str, files: Sequence[Path]) -> None:
        """Add the slices of the volumes of one recording."""
        rows = self._described.get(recording, ())
        readable: dict[Path, tuple[int, int, int]] = {}
        for file in files:
            try:
                readable[file] = _extent_frames_first(file) if self._frames_first else _extent(file)
            except DatasetError as error:
                self.problems.append(str(error))
        sizes = set(readable.values())
        if len(sizes) > 1:
            self.problems.append(f"{recording}: its volumes have different sizes: {sorted(sizes)[:3]}")
            return
        for depth, height, width in sizes:
            for image, index in self._images_of(recording, rows, (depth, height, width)):
                self.images.append(image)
                self._slices.append((list(readable), index))

    def _images_of(
        self, recording: str, rows: Sequence[Fields], size: tuple[int, int, int]
    ) -> list[tuple[ForeignImage, int]]:
        """Return an image for each slice, and its number: of described frames, or of all in order."""
        depth, height, width = size
        first = len(self.images)
        if not rows:
            sized = (height, width)
            return [
                (ForeignImage(first + t, f"{recording}, slice {t}", *sized, frame=t, depth=depth, file=recording), t)
                for t in range(depth)
            ]
        images: list[tuple[ForeignImage, int]] = []
        for row in rows:
            index, frame = row["volume_index"], row["frame"]
            if not 0 <= index < depth:
                self.problems.append(f"{recording}: frames.jsonl names slice {index} of {depth}")
                continue
            name, number = f"{recording}, slice {index}", first + len(images)
            image = ForeignImage(number, name, height, width, clip=row["clip"], frame=frame, states=row["states"])
            images.append((image, index))
        return images

    def planes(self, image: ForeignImage) -> ForeignPlanes:
        """See ForeignMasks.planes."""
        files, index = self._slices[image.number]
        planes: dict[str, BoolArray] = {}
        unknown = 0
        for file in files:
            values = self._first_axis.read(file, index) if self._frames_first else self._reader.read(file, index)
            if self._table is None:
                planes[shown(stem(file.name))] = binary_plane(file, values)
            else:
                check_values(values, self._table, file)
                planes |= planes_of(values, self._table)
                unknown += 0 if self._table.ignore is None else int(np.count_nonzero(values == self._table.ignore))
        return ForeignPlanes(checked_planes(image, planes, self.path), unknown)


class _FramesFirst:
    """Reads volumes (T, H, W) in NIfTI's order, of which a slice is spread over all of the file: as a whole, packed."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._packed: dict[Path, tuple[tuple[int, ...], Any]] = {}

    def read(self, path: Path, index: int) -> Labels:
        """Read a slice of a volume of masks, int64 (H, W), 0 and 1."""
        if path.parent != self._folder:
            self._folder, self._packed = path.parent, {}
        if path not in self._packed:
            try:
                values = np.asarray(open_volume(path).dataobj)
            except UNREADABLE as error:
                raise unreadable(path, error) from error
            if values.dtype.kind not in "bui" or values.min() < 0 or values.max() > 1:
                raise DatasetError("has other values than 0 and 1, which masks have", path=path)
            self._packed[path] = values.shape, [np.packbits(plane != 0) for plane in values]
        shape, planes = self._packed[path]
        bits = np.unpackbits(planes[index], count=shape[1] * shape[2])
        slice_: Labels = bits.reshape(shape[1:3]).astype(np.int64)
        return slice_


def _extent(path: Path) -> tuple[int, int, int]:
    depth, height, width = extent(path)
    return depth or 1, height, width


def _extent_frames_first(path: Path) -> tuple[int, int, int]:
    volume = open_volume(path)
    shape = tuple(int(size) for size in volume.shape)
    shape += (1,) * (3 - len(shape))
    if len(shape) != 3 or not is_picture_size(*shape[1:]) or np.prod(shape, dtype=np.float64) > _MOST_BYTES:
        raise DatasetError(f"has the shape {shape}, not that of a volume (T, H, W)", path=path)
    return shape[0], shape[1], shape[2]


def _sidecar(path: Path) -> tuple[Path | None, dict[str, list[Fields]], bool]:
    """Return the folder of the export that a path belongs to, its frames by recording, and if T is the first axis."""
    folder = path if path.is_dir() else path.parent
    root = next((f for f in (folder, folder.parent) if (f / FRAMES).is_file() and (f / MANIFEST).is_file()), None)
    described: dict[str, list[Fields]] = defaultdict(list)
    if root is None:
        return None, described, False
    manifest, frames = read_sidecar(root)
    try:
        for row in frames:
            if "volume_index" not in row:
                return None, {}, False
            if not isinstance(row["volume_index"], int) or not isinstance(row["frame"], int):
                raise TypeError("a slice or frame is no number")
            states = {key: MaskState[label.upper().replace(" ", "_")] for key, label in row["states"].items()}
            described[str(row["clip"])].append({**row, "clip": str(row["clip"]), "states": states})
    except MALFORMED as error:
        raise malformed(root / FRAMES, error, "as the frames of an export") from error
    return root, described, "volume_axes" not in manifest


def _volumes(path: Path) -> list[Path]:
    """Return the volumes of masks: the file, or those of a folder and of the folders in it."""
    if path.is_file():
        return [path] if path.name.lower().endswith(NIFTI_SUFFIXES) else []
    folders = [path, *(entry for entry in entries_of(path) if entry.is_dir() and not entry.is_symlink())]
    return [
        file
        for folder in folders
        for file in files_in(folder, *NIFTI_SUFFIXES)
        if stem(file.name).casefold() not in _FRAME_VOLUMES
    ]


def _by_recording(files: Sequence[Path], label_volumes: bool) -> dict[str, list[Path]]:
    """Group volumes by recording: a folder has one, and a label volume is one."""
    groups: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        alone = label_volumes and not stem(file.parent.name).startswith("clip-")
        groups[shown(stem(file.name) if alone else file.parent.name)].append(file)
    return groups


def _fits(path: Path) -> bool:
    return bool(_volumes(path))


def _open(path: Path, options: SourceOptions) -> ForeignMasks:
    return NiftiMasks(path, options.table)


NIFTI = SourceKind("nifti", "NIfTI volumes of masks", _fits, _open)
