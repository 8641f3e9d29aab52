# SPDX-License-Identifier: Apache-2.0
"""COCO of any program: polygons of one or more parts, run lengths compressed or not; and exported datasets."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from vfss.errors import DatasetError
from vfss.importing.files import MALFORMED, POLYGONS, files_in, malformed, mentions, read_object
from vfss.importing.names import shown
from vfss.importing.source import (
    ForeignImage,
    ForeignLabel,
    ForeignMasks,
    ForeignPlanes,
    SourceKind,
    SourceOptions,
)
from vfss.masks import BoolArray, MaskState
from vfss.masks.run_lengths import decode_segmentation, is_picture_size

Fields = Mapping[str, Any]


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
        self.losses: list[str] = []
        try:
            self._by_category = _labels(data["categories"], self._file)
            self._by_image: dict[Any, list[Fields]] = defaultdict(list)
            for annotation in data["annotations"]:
                self._by_image[annotation["image_id"]].append(annotation)
            if any(isinstance(a.get("segmentation"), list) and a["segmentation"] for a in data["annotations"]):
                self.losses.append(POLYGONS)
            exported_here = isinstance(data.get("vfss"), dict)
            entries = [self._image(fields, exported_here) for fields in data["images"]]
        except MALFORMED as error:
            raise malformed(self._file, error, "COCO") from error
        self.labels = list(self._by_category.values())
        if not all(isinstance(key, int | str) for _, key in entries):
            raise malformed(self._file, TypeError("the id of an image is no number"), "COCO")
        valid = [(image, key) for image, key in entries if image is not None]
        self.images = [replace(image, number=number) for number, (image, _) in enumerate(valid)]
        self._ids = [key for _, key in valid]
        if len(set(self._ids)) != len(self._ids):
            raise DatasetError("has two images with the same id", path=self._file, remedy="Export it again.")
        lost = sum(len(rows) for key, rows in self._by_image.items() if key not in set(self._ids))
        if lost:
            self.problems.append(f"{lost} annotations belong to images that the file does not list")

    def _image(self, fields: Fields, exported_here: bool) -> tuple[ForeignImage | None, Any]:
        name = shown(str(fields.get("file_name", fields["id"])))
        height: Any = fields.get("height")
        width: Any = fields.get("width")
        if height is None and width is None:
            height = width = 0  # the size is that of the clip, and run lengths state theirs
        elif not is_picture_size(height, width):
            self.problems.append(f"{name}: its size is missing or invalid ({str(height)[:20]} x {str(width)[:20]})")
            return None, fields["id"]
        clip, frame = None, None
        states: dict[str, MaskState] = {}
        if exported_here and "clip" in fields and "frame" in fields:  # other programs may have added images
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
                segmentation = annotation.get("segmentation")
                plane = decode_segmentation(segmentation, image.height, image.width) if segmentation else None
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
