# SPDX-License-Identifier: Apache-2.0
"""COCO: annotations.json with one mask per structure and frame, and the frames as PNG.

Masks are run-length codes, which lose nothing; or by option polygons, for programs that read nothing else. Polygons run
along the edges of pixels, so that pycocotools draws the same mask again but for its holes, which polygons cannot have.

One category per structure of the schema, ids from 1 in the order of planes. Masks overlap where structures do. A plane
without pixels has no annotation in COCO; the image's "states" tell whether it is empty, not visible or not annotated.
Additional fields stand next to those of COCO; other programs ignore them.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as rle

from vfss.datasets.dataset import MALFORMED, Dataset, Fields, blank_planes, malformed, read_json
from vfss.datasets.files import write_picture
from vfss.datasets.format import Format, FrameWriter, Job, Row
from vfss.datasets.outlines import outlines
from vfss.datasets.selection import AnnotatedFrame
from vfss.masks import BoolArray
from vfss.masks.run_lengths import decode_segmentation
from vfss.output.json_files import write_json
from vfss.schema import Schema, Structure

_FILE = "annotations.json"
_HOLES = "masks with holes, which polygons fill"


class CocoWriter(FrameWriter):
    """Writes pictures frame by frame, and annotations.json at the end, streamed from the rows."""

    def __init__(self, job: Job) -> None:
        self._folder = job.folder
        self._schema = job.schema
        self._encode = _polygons if job.options.polygons else _run_lengths

    def add(self, frame: AnnotatedFrame, fields: Fields, lost: Counter[str]) -> dict[str, Any]:
        """See Writer.add."""
        name = write_picture(self._folder, fields, frame)
        masks = []
        for structure in self._schema.structures:
            plane = frame.masks.planes[structure.index]
            if frame.written[structure.index] and plane.any():
                segmentation, encoded = self._encode(plane, lost)
                masks.append(_annotation(structure, segmentation, encoded))
        return {"file_name": name, "masks": masks}

    def finish(self, manifest: dict[str, Any], rows: Iterable[Row]) -> None:
        """See Writer.finish."""
        now = datetime.now(UTC)
        head = {
            "info": {
                "description": manifest["notice"],
                "version": manifest["tool_version"],
                "year": now.year,
                "date_created": now.date().isoformat(),
                "contributor": ", ".join(manifest["authors"]),
            },
            "licenses": [{"id": 1, "name": manifest["licence"], "url": ""}],
            "vfss": manifest,
            "categories": [_category(structure) for structure in self._schema.structures],
        }
        images = (_image(i, row) for i, row in enumerate(rows, 1))
        write_json(self._folder / _FILE, head, images=images, annotations=_annotations(rows))


def _run_lengths(plane: BoolArray, _lost: Counter[str]) -> tuple[Any, Any]:
    """Return the mask as JSON, and as pycocotools has it."""
    encoded = rle.encode(np.asfortranarray(plane, np.uint8))
    return {"size": list(plane.shape), "counts": encoded["counts"].decode("ascii")}, encoded


def _polygons(plane: BoolArray, lost: Counter[str]) -> tuple[Any, Any]:
    """Return the outlines as JSON, and the mask that pycocotools draws from them; filled holes are counted."""
    corners = [[float(value) for value in outline.ravel()] for outline in outlines(plane)]
    encoded = rle.merge(rle.frPyObjects(corners, *plane.shape))
    if int(rle.area(encoded)) != np.count_nonzero(plane):
        lost[_HOLES] += 1
    return corners, encoded


def _annotation(structure: Structure, segmentation: Any, encoded: Any) -> dict[str, Any]:
    return {
        "category_id": structure.index + 1,
        "segmentation": segmentation,
        "area": int(rle.area(encoded)),
        "bbox": [float(value) for value in rle.toBbox(encoded)],
        "iscrowd": 0,
        "structure": structure.key,
    }


def _image(number: int, row: Row) -> dict[str, Any]:
    return {"id": number, "file_name": row.entry["file_name"], "license": 1, **row.fields}


def _annotations(rows: Iterable[Row]) -> Iterator[dict[str, Any]]:
    number = itertools.count(1)
    for image, row in enumerate(rows, 1):
        for mask in row.entry["masks"]:
            state = row.fields["states"][mask["structure"]]
            yield {"id": next(number), "image_id": image, **mask, "state": state}


def _category(structure: Structure) -> dict[str, Any]:
    code = structure.code
    return {
        "id": structure.index + 1,
        "name": structure.key,
        "supercategory": "structure",
        "title": structure.name,
        "colour": structure.colour,
        "color": list(structure.rgb),  # the spelling of COCO's own viewers
        "nests_in": structure.nests_in,
        "code": None if code is None else {"scheme": code.scheme, "value": code.value, "meaning": code.meaning},
    }


def read_coco(folder: str | Path) -> Dataset:
    """Read a dataset exported as COCO: images with planes bool (S, H, W) and their states.

    Raises:
        DatasetError: There is no such dataset, or it is malformed.
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
        stack = blank_planes(folder, schema, fields)
        for annotation in by_image[fields["id"]]:
            plane = decode_segmentation(annotation["segmentation"], fields["height"], fields["width"])
            stack[planes[annotation["category_id"]]] = plane
        return stack

    return Dataset(folder, manifest, images, decode)


COCO = Format(
    "coco",
    "COCO (masks as run-length codes or polygons)",
    CocoWriter,
    ("annotations.json: all masks, run-length encoded or by option as polygons", "images/: a PNG of every frame"),
    errors=(cv2.error,),
    losses=("Only as polygons: holes in masks are filled. Run-length codes keep everything.",),
    reads=True,
)
