# SPDX-License-Identifier: Apache-2.0
"""Folders of PNG: one file per label and image, from any program; or label images with a table of their values."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vfss.errors import DatasetError
from vfss.importing.files import MALFORMED, entries_of, files_in, malformed, object_or_empty, read_object
from vfss.importing.formats.label_images import (
    ONE_LABEL,
    PICTURES,
    LabelImages,
    Table,
    binary_plane,
    check_values,
    extent,
    planes_of,
    read_table,
)
from vfss.importing.names import natural, shown
from vfss.importing.source import (
    ForeignImage,
    ForeignLabel,
    ForeignMasks,
    ForeignPlanes,
    SourceKind,
    SourceOptions,
    checked_planes,
)
from vfss.masks import MaskState

_DATASET = "dataset.json"
_TABLES = ("labels.json", "label_table.json", "classes.json")
_FRAMES = frozenset({"images", "image", "frames", "img", "imgs"})


class PlaneFiles:
    """Masks in <label>/<frame>.png, white where the label is; see ForeignMasks."""

    name = "png"
    title = "PNG, one file per label and frame"

    def __init__(self, path: Path) -> None:
        """List the files.

        Raises:
            DatasetError: There are no masks, or the dataset.json of an export is malformed.
        """
        self.path = path
        self.problems: list[str] = []
        self.losses: list[str] = []
        self._reader = LabelImages()
        self.labels: list[ForeignLabel] = []
        self.images: list[ForeignImage] = []
        self._files: list[dict[str, Path]] = []
        if _is_export(object_or_empty(path / _DATASET)):
            self._add_export(read_object(path / _DATASET))
        else:
            self._add_folders(_label_folders(path))
        if not self.images:
            raise DatasetError("holds no PNG of a mask that can be read", path=path, remedy="Name another folder.")

    def _add_export(self, data: Mapping[str, Any]) -> None:
        try:
            for row in data["schema"]["structures"]:
                code = row.get("code") or {}
                value = str(code["value"]) if code.get("scheme") == "SCT" else None
                self.labels.append(ForeignLabel(str(row["key"]), str(row["name"]), value))
            for fields in data["images"]:
                states = {key: MaskState[label.upper().replace(" ", "_")] for key, label in fields["states"].items()}
                self.images.append(
                    ForeignImage(
                        len(self.images),
                        shown(str(fields["file_name"])),
                        int(fields["height"]),
                        int(fields["width"]),
                        clip=str(fields["clip"]),
                        frame=int(fields["frame"]),
                        states=states,
                    )
                )
                self._files.append({key: self._inside(file) for key, file in fields["planes"].items()})
        except MALFORMED as error:
            raise malformed(self.path / _DATASET, error, "as an exported dataset") from error

    def _inside(self, file: str) -> Path:
        path = (self.path / file).resolve()
        if not path.is_relative_to(self.path.resolve()):
            raise ValueError(f"{file} lies outside the folder")
        return path

    def _add_folders(self, folders: list[Path]) -> None:
        by_stem: dict[str, dict[str, Path]] = {}
        for folder in folders:
            label = shown(folder.name)
            self.labels.append(ForeignLabel(label))
            for file in files_in(folder, *PICTURES):
                of_image = by_stem.setdefault(unicodedata.normalize("NFC", shown(file.stem)), {})
                if label in of_image:
                    self.problems.append(
                        f"{label}/{shown(file.name)}: {of_image[label].name} has the same name; left out"
                    )
                else:
                    of_image[label] = file
        for name in sorted(by_stem, key=natural):
            files = by_stem[name]
            image = _image(len(self.images), next(iter(files.values())), self.problems)
            if image is not None:
                self.images.append(image)
                self._files.append(files)

    def planes(self, image: ForeignImage) -> ForeignPlanes:
        """See ForeignMasks.planes."""
        files = self._files[image.number]
        planes = {label: binary_plane(file, self._reader.read(file)) for label, file in files.items()}
        return ForeignPlanes(checked_planes(image, planes, self.path))


class LabelImageFiles:
    """Masks in <frame>.png, one value per label, with a table that names the values; see ForeignMasks."""

    name = "png"
    title = "PNG, one value per label"

    def __init__(self, path: Path, table: Path) -> None:
        """List the files and read the table.

        Raises:
            DatasetError: There are no files, or the table is malformed.
        """
        self.path = path
        self.problems: list[str] = []
        self.losses = [ONE_LABEL]
        self._reader = LabelImages()
        self._table: Table = read_table(table)
        self.labels = [ForeignLabel(name) for name in self._table.values]
        self.images: list[ForeignImage] = []
        self._files: list[Path] = []
        for file in files_in(path, *PICTURES):
            image = _image(len(self.images), file, self.problems)
            if image is not None:
                self.images.append(image)
                self._files.append(file)
        if not self.images:
            raise DatasetError("holds no PNG that can be read", path=path, remedy="Name the folder of label images.")

    def planes(self, image: ForeignImage) -> ForeignPlanes:
        """See ForeignMasks.planes."""
        values = self._reader.read(self._files[image.number])
        check_values(values, self._table, self._files[image.number])
        planes = planes_of(values, self._table)
        unknown = 0 if self._table.ignore is None else int(np.count_nonzero(values == self._table.ignore))
        return ForeignPlanes(checked_planes(image, planes, self.path), unknown)


def _image(number: int, file: Path, problems: list[str]) -> ForeignImage | None:
    try:
        _, height, width = extent(file)
    except DatasetError as error:
        problems.append(str(error))
        return None
    return ForeignImage(number, shown(file.name), height, width)


def _is_export(data: Mapping[str, Any]) -> bool:
    return isinstance(data.get("schema"), dict) and isinstance(data.get("images"), list) and "states" in data


def _label_folders(path: Path) -> list[Path]:
    """Return the folders of masks, each named after its label: those in "masks" if there is such a folder."""
    base = path / "masks" if (path / "masks").is_dir() else path
    folders = [folder for folder in entries_of(base) if folder.is_dir() and files_in(folder, *PICTURES)]
    return [folder for folder in folders if folder.name.casefold() not in _FRAMES]


def _table_of(path: Path) -> Path | None:
    return next((path / name for name in _TABLES if (path / name).is_file()), None)


def _open(path: Path, options: SourceOptions) -> ForeignMasks:
    table = options.table or _table_of(path)
    if table is not None and files_in(path, *PICTURES):
        return LabelImageFiles(path, table)
    if not path.is_dir() or not (_is_export(object_or_empty(path / _DATASET)) or _label_folders(path)):
        pictures = len(files_in(path, *PICTURES))
        raise DatasetError(
            f"holds {pictures} PNG, no folder per label, and no table with the values of label images"
            if pictures
            else "holds no PNG in folders named after labels",
            path=path,
            remedy='Add labels.json to the folder, such as {"bolus": 1, "airway": 2}, or name such a file.',
        )
    return PlaneFiles(path)


def _fits(path: Path) -> bool:
    if not path.is_dir():
        return False
    return bool(_is_export(object_or_empty(path / _DATASET)) or _label_folders(path) or files_in(path, *PICTURES))


PNG = SourceKind("png", "PNG masks in folders", _fits, _open)
