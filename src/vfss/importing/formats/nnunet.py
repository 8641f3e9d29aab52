# SPDX-License-Identifier: Apache-2.0
"""nnU-Net v2: labelsTr and labelsTs of a dataset, or a folder of predictions.

Each file is the label image of a frame, or a volume whose slices are the frames of a clip.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vfss.errors import DatasetError
from vfss.importing.files import entries_of, files_in, object_or_empty, read_object
from vfss.importing.formats.label_images import (
    ONE_LABEL,
    LabelImages,
    Table,
    check_values,
    extent,
    parse_table,
    planes_of,
)
from vfss.importing.names import shown
from vfss.importing.source import (
    ForeignImage,
    ForeignLabel,
    ForeignMasks,
    ForeignPlanes,
    SourceKind,
    SourceOptions,
    checked_planes,
)

_JSON = "dataset.json"
_FOLDERS = ("labelsTr", "labelsTs")
_MARKS = ("file_ending", "channel_names", "modality", "numTraining")
_DATASET = re.compile(r"Dataset[0-9]{3}_")
_ON_TOP = "nnU-Net predicts one label for each pixel: where regions overlap, only the topmost has the pixel"


class NnunetMasks:
    """Masks of nnU-Net label images; see ForeignMasks.

    A label that lists several values is a region, and covers them all. Pixels of the label "ignore" are unknown.
    """

    name = "nnunet"
    title = "nnU-Net label images"

    def __init__(self, path: Path) -> None:
        """Read dataset.json and the headers of all label images.

        Raises:
            DatasetError: There is no label image, or dataset.json is malformed.
        """
        self.path = path
        self.problems: list[str] = []
        self._reader = LabelImages()
        json_file, folders = _dataset_json_and_folders(path)
        data = read_object(json_file)
        self._table: Table = parse_table(data["labels"], json_file)
        self.labels = [ForeignLabel(name) for name in self._table.values]
        self.images: list[ForeignImage] = []
        self._slices: list[tuple[Path, int | None]] = []
        regions = any(len(numbers) > 1 for numbers in self._table.values.values())
        predicted = bool(data.get("regions_class_order")) and json_file.parent in folders
        self.losses = ([_ON_TOP] if predicted else []) if regions else [ONE_LABEL]
        ending = str(data.get("file_ending", ".nii.gz")).lower()
        for folder in folders:
            for file in files_in(folder, ending):
                self._add_file(file)
        if not self.images:
            raise DatasetError(
                f"holds no label image that ends in {ending} ({_describe(folders)})",
                path=path,
                remedy="Name the dataset's folder, its labelsTr, or the folder of the predictions.",
            )

    def _add_file(self, file: Path) -> None:
        try:
            depth, height, width = extent(file)
        except DatasetError as error:
            self.problems.append(str(error))
            return
        plain = shown(file.name)
        for index in [None] if depth is None else range(depth):
            name = plain if index is None else f"{plain}, slice {index}"
            number = len(self.images)
            self.images.append(ForeignImage(number, name, height, width, frame=index, depth=depth, file=plain))
            self._slices.append((file, index))

    def planes(self, image: ForeignImage) -> ForeignPlanes:
        """See ForeignMasks.planes."""
        file, index = self._slices[image.number]
        values = self._reader.read(file, index)
        check_values(values, self._table, file)
        planes = planes_of(values, self._table)
        unknown = 0 if self._table.ignore is None else int(np.count_nonzero(values == self._table.ignore))
        return ForeignPlanes(checked_planes(image, planes, file), unknown)


def _is_nnunet(data: Mapping[str, Any]) -> bool:
    return isinstance(data.get("labels"), dict) and any(mark in data for mark in _MARKS)


def _root(path: Path) -> Path | None:
    """Return the folder of the dataset.json of a folder: itself, the parent of labels, or the only dataset within."""
    if not path.is_dir():
        return None
    within = [folder for folder in entries_of(path) if _DATASET.match(folder.name)]
    above = [path.parent] if path.name in _FOLDERS else []
    candidates = [path, *above, *(within if len(within) == 1 else [])]
    return next((folder for folder in candidates if _is_nnunet(object_or_empty(folder / _JSON))), None)


def _dataset_json_and_folders(path: Path) -> tuple[Path, list[Path]]:
    """Return the dataset.json and the folders of label images that belong to a folder."""
    root = _root(path)
    if root is None:
        raise DatasetError(
            "holds no dataset.json of nnU-Net (labels, file_ending)",
            path=path,
            remedy="Name the folder DatasetNNN_name, or the folder of the predictions with their dataset.json.",
        )
    if path.name in _FOLDERS and root == path.parent:
        return root / _JSON, [path]
    return root / _JSON, [root / name for name in _FOLDERS if (root / name).is_dir()] or [root]


def _describe(folders: list[Path]) -> str:
    counts = [f"{len(entries_of(folder))} files in {folder.name}" for folder in folders]
    return ", ".join(counts)


def _open(path: Path, options: SourceOptions) -> ForeignMasks:
    return NnunetMasks(path)


NNUNET = SourceKind("nnunet", "nnU-Net dataset or predictions", lambda path: _root(path) is not None, _open)
