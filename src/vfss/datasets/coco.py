# SPDX-License-Identifier: Apache-2.0
"""COCO: annotations.json with one run-length encoded mask per structure and frame, beside the frames as PNG.

One category per structure of the schema, ids from 1 in the order of planes. Masks overlap where structures do. A plane
without pixels has no annotation in COCO; whether it is empty, not visible or not annotated stands in the image's
"states". Fields of ours stand beside those of COCO, which programs that do not know them pass over.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as rle

from vfss.datasets.dataset import MALFORMED, Dataset, Fields, malformed, read_json
from vfss.datasets.export import Export, write_json
from vfss.datasets.report import ExportReport, Progress
from vfss.datasets.selection import AnnotatedFrame
from vfss.masks import BoolArray
from vfss.project import Project
from vfss.schema import Schema, Structure

_FILE = "annotations.json"


class Coco:
    """The COCO format."""

    title = "COCO (run-length encoded masks)"

    def export(
        self, project: Project, folder: Path, *, progress: Progress | None = None, include_edited: bool = False
    ) -> ExportReport:
        """See Format.export."""
        export = Export(project, "coco", include_edited=include_edited)
        return export.run(Path(folder), lambda path: _CocoWriter(path, project.schema), progress)


class _CocoWriter:
    def __init__(self, folder: Path, schema: Schema) -> None:
        self._folder = folder
        self._schema = schema
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []

    def add(self, frame: AnnotatedFrame, fields: dict[str, Any]) -> None:
        self._images.append({"id": len(self._images) + 1, **fields})
        for structure in self._schema.structures:
            plane = frame.masks.planes[structure.index]
            if frame.written[structure.index] and plane.any():
                self._annotations.append(self._annotation(structure, plane, fields))

    def _annotation(self, structure: Structure, plane: BoolArray, fields: Fields) -> dict[str, Any]:
        encoded = rle.encode(np.asfortranarray(plane, np.uint8))
        return {
            "id": len(self._annotations) + 1,
            "image_id": len(self._images),
            "category_id": structure.index + 1,
            "segmentation": {"size": list(plane.shape), "counts": encoded["counts"].decode("ascii")},
            "area": int(rle.area(encoded)),
            "bbox": [float(value) for value in rle.toBbox(encoded)],
            "iscrowd": 0,
            "state": fields["states"][structure.key],
        }

    def finish(self, manifest: dict[str, Any]) -> None:
        now = datetime.now(UTC)
        info = {
            "description": manifest["notice"],
            "version": manifest["tool_version"],
            "year": now.year,
            "date_created": now.date().isoformat(),
            "contributor": ", ".join(manifest["authors"]),
        }
        write_json(
            self._folder / _FILE,
            {
                "info": info,
                "licenses": [],
                "vfss": manifest,
                "categories": [_category(structure) for structure in self._schema.structures],
                "images": self._images,
                "annotations": self._annotations,
            },
        )


def _category(structure: Structure) -> dict[str, Any]:
    code = structure.code
    return {
        "id": structure.index + 1,
        "name": structure.key,
        "supercategory": "structure",
        "title": structure.name,
        "colour": structure.colour,
        "color": list(structure.rgb),  # the spelling that COCO's own viewers know
        "nests_in": structure.nests_in,
        "code": None if code is None else {"scheme": code.scheme, "value": code.value, "meaning": code.meaning},
    }


def read_coco(folder: str | Path) -> Dataset:
    """A dataset that `Coco` exported: images with planes bool (S, H, W) and their states.

    Raises:
        DatasetError: No such dataset, or malformed.
    """
    folder = Path(folder)
    data = read_json(folder / _FILE)
    try:
        schema = Schema.from_dict(data["vfss"]["schema"], source=folder)
        planes = {category["id"]: schema[category["name"]].index for category in data["categories"]}
        by_image: dict[int, list[Fields]] = defaultdict(list)
        for annotation in data["annotations"]:
            by_image[annotation["image_id"]].append(annotation)
        images = list(data["images"])
        manifest = data["vfss"]
    except MALFORMED as error:
        raise malformed(folder, error) from error

    def decode(fields: Fields) -> BoolArray:
        stack = np.zeros((len(schema), fields["height"], fields["width"]), np.bool_)
        for annotation in by_image[fields["id"]]:
            stack[planes[annotation["category_id"]]] = rle.decode(annotation["segmentation"])
        return stack

    return Dataset(folder, manifest, images, decode)
