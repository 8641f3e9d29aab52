# SPDX-License-Identifier: Apache-2.0
"""Datumaro: annotations/<split>.json with run-length encoded masks, and images/<split>/<frame>.png.

The state of each structure is an attribute of the item, "state_<structure>", since a structure without a mask is empty,
not visible or not annotated.

Not written by the datumaro package, because it pins opencv<5, pandas<3 and pillow<13. It reads these files in
tests/engine/test_datasets_datumaro.py.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as rle

from vfss.datasets.dataset import MALFORMED, Dataset, Fields, blank_planes, malformed, read_json
from vfss.datasets.files import FOLDER, stem
from vfss.datasets.format import Format, FrameWriter, Job, Row
from vfss.datasets.options import stacking_order
from vfss.datasets.selection import AnnotatedFrame
from vfss.datasets.sidecar import read_sidecar, write_sidecar
from vfss.masks import BoolArray
from vfss.masks.run_lengths import decode_coco
from vfss.output.json_files import write_json
from vfss.output.png_files import write_png
from vfss.schema import Schema

_ANNOTATIONS = "annotations"
_IMAGE = 2  # datumaro's media type of images
_STATE = "state_"


class DatumaroWriter(FrameWriter):
    """Writes pictures frame by frame, and the annotations at the end, streamed from the rows."""

    def __init__(self, job: Job) -> None:
        self._folder = job.folder
        self._schema = job.schema
        order = stacking_order(job.schema, job.options.priority)
        self._z_order = {structure.key: z for z, structure in enumerate(reversed(order))}

    def add(self, frame: AnnotatedFrame, fields: Fields, lost: Counter[str]) -> dict[str, Any]:
        """See Writer.add."""
        name = f"{FOLDER}/{fields['split']}/{stem(fields)}.png"
        (self._folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_png(self._folder / name, frame.pixels)
        masks = []
        for structure in self._schema.structures:
            plane = frame.masks.planes[structure.index]
            if frame.written[structure.index] and plane.any():
                counts = rle.encode(np.asfortranarray(plane, np.uint8))["counts"].decode("ascii")
                masks.append({"structure": structure.key, "rle": {"counts": counts, "size": list(plane.shape)}})
        return {"file_name": name, "masks": masks}

    def finish(self, manifest: dict[str, Any], rows: Iterable[Row]) -> None:
        """See Writer.finish."""
        (self._folder / _ANNOTATIONS).mkdir(exist_ok=True)
        number = itertools.count(1)
        for split, patients in manifest["splits"].items():
            if patients:
                items = (self._item(row, number) for row in rows if row.fields["split"] == split)
                write_json(self._folder / _file(split), self._head(manifest), items=items)
        write_sidecar(self._folder, manifest, (Row(r.fields, {"file_name": r.entry["file_name"]}) for r in rows))

    def _head(self, manifest: dict[str, Any]) -> dict[str, Any]:
        structures = self._schema.structures
        labels = [{"name": s.key, "parent": "", "attributes": []} for s in structures]
        colours = [dict(zip("rgb", s.rgb, strict=True), label_id=s.index) for s in structures]
        return {
            "dm_format_version": "1.0",
            "media_type": _IMAGE,
            "infos": {"description": manifest["notice"], "licence": manifest["licence"]},
            "categories": {
                "label": {"labels": labels, "label_groups": [], "attributes": []},
                "mask": {"colormap": colours},
            },
        }

    def _item(self, row: Row, number: Iterator[int]) -> dict[str, Any]:
        fields = row.fields
        name = Path(row.entry["file_name"])
        annotations = [
            {
                "id": next(number),
                "type": "mask",
                "attributes": {"state": fields["states"][mask["structure"]]},
                "group": 0,
                "label_id": self._schema[mask["structure"]].index,
                "rle": mask["rle"],
                "z_order": self._z_order[mask["structure"]],
            }
            for mask in row.entry["masks"]
        ]
        attributes = {key: fields[key] for key in ("clip", "frame", "time_s", "times_from", "pixel_aspect", "patient")}
        return {
            "id": name.stem,
            "annotations": annotations,
            "attr": {**attributes, **{f"{_STATE}{key}": state for key, state in fields["states"].items()}},
            "image": {"path": name.name, "size": [fields["height"], fields["width"]]},
        }


def read_datumaro(folder: str | Path) -> Dataset:
    """Read a dataset exported as Datumaro: images with planes bool (S, H, W) and their states.

    Raises:
        DatasetError: There is no such dataset, or it is malformed.
    """
    folder = Path(folder)
    manifest, frames = read_sidecar(folder)
    items: dict[str, Fields] = {}
    try:
        schema = Schema.from_dict(manifest["schema"], source=folder)
        for split, patients in manifest["splits"].items():
            if patients:
                for item in read_json(folder / _file(split))["items"]:
                    items[f"{FOLDER}/{split}/{item['image']['path']}"] = item
        images = [_merged(fields, items[fields["file_name"]], schema) for fields in frames]
    except MALFORMED as error:
        raise malformed(folder, error) from error

    def decode(fields: Fields) -> BoolArray:
        stack = blank_planes(folder, schema, fields)
        for annotation in fields["annotations"]:
            stack[annotation["label_id"]] |= decode_coco(annotation["rle"], fields["height"], fields["width"])
        return stack

    return Dataset(folder, manifest, images, decode)


def _merged(fields: Fields, item: Fields, schema: Schema) -> Fields:
    """Return the fields of a frame with the states and masks of its item."""
    states = {key: item["attr"][f"{_STATE}{key}"] for key in schema.keys}
    return {**fields, "states": states, "annotations": item["annotations"]}


def _file(split: str) -> str:
    return f"{_ANNOTATIONS}/{split}.json"


DATUMARO = Format(
    "datumaro",
    "Datumaro (run-length encoded masks)",
    DatumaroWriter,
    ("annotations/: masks, a file per split", "images/: a folder per split"),
    losses=(
        "Authors and times are in frames.jsonl only.",
        "Grey values of more than 8 bits are complete, but the datumaro package returns their lower 8 bits only, "
        "unless they are read by get_data_as_dtype(numpy.uint16).",
    ),
    reads=True,
)
