# SPDX-License-Identifier: Apache-2.0
"""COCO of any program: polygons of one or more parts, run lengths compressed or not; and exported datasets."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as rle

from vfss.errors import DatasetError
from vfss.importing.files import MALFORMED, clip_and_frame, files_in, malformed, mentions, read_object
from vfss.importing.source import (
    ForeignImage,
    ForeignLabel,
    ForeignMasks,
    ForeignPlanes,
    SourceKind,
    SourceOptions,
)
from vfss.masks import BoolArray, MaskState

Fields = Mapping[str, Any]
_FAR = 4.0
"""A polygon may extend beyond its image by this many image sizes, and is clipped; further away it is an error."""
_MOST_PIXELS = 1 << 28


class CocoMasks:
    """Masks of a COCO file; annotations of one category on one image are one mask. See ForeignMasks."""

    name = "coco"
    title = "COCO annotations"

    def __init__(self, path: Path) -> None:
        """Read the complete file: COCO is one JSON object.

        Raises:
            DatasetError: There is no file, more than one, or it is malformed.
        """
        self.path = path
        self._file = _file(path)
        data = read_object(self._file)
        self.problems: list[str] = []
        try:
            self._by_category = _labels(data["categories"], self._file)
            self._by_image: dict[Any, list[Fields]] = defaultdict(list)
            for annotation in data["annotations"]:
                self._by_image[annotation["image_id"]].append(annotation)
            exported_here = isinstance(data.get("vfss"), dict)
            entries = [self._image(fields, exported_here) for fields in data["images"]]
        except MALFORMED as error:
            raise malformed(self._file, error, "COCO") from error
        self.labels = list(self._by_category.values())
        valid = [(image, key) for image, key in entries if image is not None]
        self.images = [replace(image, number=number) for number, (image, _) in enumerate(valid)]
        self._ids = [key for _, key in valid]
        if len(set(self._ids)) != len(self._ids):
            raise DatasetError("has two images with the same id", path=self._file, remedy="Export it again.")
        lost = sum(len(rows) for key, rows in self._by_image.items() if key not in set(self._ids))
        if lost:
            self.problems.append(f"{lost} annotations belong to images that the file does not list")

    def _image(self, fields: Fields, exported_here: bool) -> tuple[ForeignImage | None, Any]:
        name = str(fields.get("file_name", fields["id"]))
        height: Any = fields.get("height")
        width: Any = fields.get("width")
        if not (_is_size(height) and _is_size(width) and height * width <= _MOST_PIXELS):
            self.problems.append(f"{name}: its size is missing or invalid ({height} x {width})")
            return None, fields["id"]
        clip, frame = clip_and_frame(name)
        states: dict[str, MaskState] = {}
        if exported_here:
            clip, frame = str(fields["clip"]), int(fields["frame"])
            states = {key: MaskState[label.upper().replace(" ", "_")] for key, label in fields["states"].items()}
        return ForeignImage(0, name, height, width, clip=clip, frame=frame, states=states), fields["id"]

    def planes(self, image: ForeignImage) -> ForeignPlanes:
        """See ForeignMasks.planes."""
        planes: dict[str, BoolArray] = {}
        left_out: Counter[str] = Counter()
        for annotation in self._by_image[self._ids[image.number]]:
            try:
                label = self._by_category[annotation["category_id"]].name
                plane = _decode(annotation.get("segmentation"), image)
            except MALFORMED as error:
                raise malformed(self._file, error, f"on {image.name}, annotation {annotation.get('id')}") from error
            if plane is None:
                left_out["annotations without a mask (a box or points only)"] += 1
            else:
                planes[label] = planes[label] | plane if label in planes else plane
        return ForeignPlanes(planes, left_out=left_out)


def _labels(categories: list[Fields], path: Path) -> dict[Any, ForeignLabel]:
    labels = {}
    for category in categories:
        code = category.get("code")
        value = str(code["value"]) if isinstance(code, dict) and code.get("scheme") == "SCT" else None
        labels[category["id"]] = ForeignLabel(str(category["name"]), str(category.get("title", "")), value)
    duplicates = [name for name, count in Counter(label.name for label in labels.values()).items() if count > 1]
    if len(labels) != len(categories) or duplicates:
        raise DatasetError(
            f"has two categories with the same id or name ({', '.join(duplicates) or 'ids'})",
            path=path,
            remedy="Rename one.",
        )
    return labels


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _decode(segmentation: Any, image: ForeignImage) -> BoolArray | None:
    """Decode a segmentation to a plane, bool (H, W); None if there is none. Bad values raise one of MALFORMED."""
    if not segmentation:
        return None
    size = [image.height, image.width]
    if isinstance(segmentation, dict):
        if list(segmentation["size"]) != size:
            raise ValueError(f"its run lengths are for {segmentation['size']}, the image is {size}")
        counts = segmentation["counts"]
        return _from_runs(counts, size) if isinstance(counts, list) else _from_text(counts, size)
    parts = [[float(value) for value in part] for part in segmentation]
    far = _FAR * max(size)
    for part in parts:
        if len(part) < 6 or len(part) % 2 or not all(math.isfinite(v) and abs(v) <= far for v in part):
            raise ValueError("a polygon needs three corners or more, x and y each, in or near the image")
    merged = rle.merge(rle.frPyObjects(parts, *size))
    plane: BoolArray = rle.decode(merged).astype(np.bool_)
    return plane


def _from_runs(counts: list[Any], size: list[int]) -> BoolArray:
    """Decode run lengths given as numbers: column by column, background first."""
    runs = np.asarray(counts)
    if runs.ndim != 1 or runs.dtype.kind not in "iu" or (runs < 0).any() or runs.sum() != size[0] * size[1]:
        raise ValueError("its run lengths do not add up to the pixels of the image")
    filled = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return np.ascontiguousarray(filled.reshape(size[1], size[0]).T)


def _from_text(counts: Any, size: list[int]) -> BoolArray:
    """Decode compressed run lengths; their sum is checked first, since the library trusts it."""
    text = counts.encode("ascii") if isinstance(counts, str) else bytes(counts)
    if sum(_runs(text)) != size[0] * size[1]:
        raise ValueError("its compressed run lengths do not add up to the pixels of the image")
    plane: BoolArray = rle.decode({"size": size, "counts": text}).astype(np.bool_)
    return plane


def _runs(text: bytes) -> list[int]:
    """Parse COCO's compressed run lengths: five bits per character, each from the third on as a difference."""
    runs: list[int] = []
    value = shift = 0
    for character in text:
        bits = character - 48
        if not 0 <= bits < 64 or shift > 60:
            raise ValueError("its compressed run lengths have invalid characters")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                value -= 1 << shift
            runs.append(value + runs[-2] if len(runs) > 2 else value)
            if runs[-1] < 0:
                raise ValueError("its compressed run lengths are negative")
            value = shift = 0
    if shift:
        raise ValueError("its compressed run lengths are truncated")
    return runs


def _files(path: Path) -> list[Path]:
    candidates = [path] if path.is_file() else [*files_in(path, ".json"), *files_in(path / "annotations", ".json")]
    return [file for file in candidates if mentions(file, "images", "annotations", "categories")]


def _file(path: Path) -> Path:
    files = _files(path)
    if len(files) != 1:
        names = ", ".join(file.name for file in files)
        raise DatasetError(
            f"holds {len(files)} COCO files ({names})" if files else "holds no COCO (images, annotations, categories)",
            path=path,
            remedy="Name the file itself." if files else "Name the JSON file that the other program wrote.",
        )
    return files[0]


def _open(path: Path, options: SourceOptions) -> ForeignMasks:
    return CocoMasks(path)


COCO = SourceKind("coco", "COCO annotations (JSON)", lambda path: bool(_files(path)), _open)
