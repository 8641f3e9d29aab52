# SPDX-License-Identifier: Apache-2.0
"""Datumaro: annotations/<split>.json with run-length encoded masks, beside images/<split>/<frame>.png.

The state of each structure is an attribute of the item, "state_<structure>", since a structure without a mask is empty,
not visible or not annotated.

Written and read by ourselves: the datumaro package pins opencv<5, pandas<3 and pillow<13. It reads what we write, in
tests/engine/test_datasets_datumaro.py.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
from pycocotools import mask as rle

from vfss.datasets.dataset import MALFORMED, Dataset, Fields, malformed, read_json
from vfss.datasets.files import FOLDER, order_on_top, stem
from vfss.datasets.format import Format, FrameWriter, Job, Row
from vfss.datasets.selection import AnnotatedFrame
from vfss.datasets.sidecar import read_sidecar, write_sidecar
from vfss.masks import BoolArray
from vfss.output.json_files import write_json
from vfss.schema import Schema

_ANNOTATIONS = "annotations"
_IMAGE = 2  # of datumaro's media types
_STATE = "state_"


class DatumaroWriter(FrameWriter):
    """Pictures as they come; the annotations at the end, streamed from what was kept of the frames."""

    def __init__(self, job: Job) -> None:
        self._folder = job.folder
        self._schema = job.schema
        order = order_on_top(job.schema, job.options.priority)
        self._z_order = {structure.key: z for z, structure in enumerate(reversed(order))}

    def add(self, frame: AnnotatedFrame, fields: Fields, lost: Counter[str]) -> dict[str, Any]:
        """See Writer.add."""
        name = f"{FOLDER}/{fields['split']}/{stem(fields)}.png"
        (self._folder / name).parent.mkdir(parents=True, exist_ok=True)
        iio.imwrite(self._folder / name, frame.pixels, extension=".png")
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
        write_sidecar(self._folder, manifest, (Row(r.fields, {"file_name": r.kept["file_name"]}) for r in rows))

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
        name = Path(row.kept["file_name"])
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
            for mask in row.kept["masks"]
        ]
        said = {key: fields[key] for key in ("clip", "frame", "time_s", "patient")}
        return {
            "id": name.stem,
            "annotations": annotations,
            "attr": {**said, **{f"{_STATE}{key}": state for key, state in fields["states"].items()}},
            "image": {"path": name.name, "size": [fields["height"], fields["width"]]},
        }


def read_datumaro(folder: str | Path) -> Dataset:
    """A dataset exported as Datumaro: images with planes bool (S, H, W) and their states.

    Raises:
        DatasetError: No such dataset, or malformed.
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
        said = [_merged(fields, items[fields["file_name"]], schema) for fields in frames]
    except MALFORMED as error:
        raise malformed(folder, error) from error

    def decode(fields: Fields) -> BoolArray:
        stack = np.zeros((len(schema), fields["height"], fields["width"]), np.bool_)
        for annotation in fields["annotations"]:
            stack[annotation["label_id"]] |= rle.decode(annotation["rle"]).astype(np.bool_)
        return stack

    return Dataset(folder, manifest, said, decode)


def _merged(fields: Fields, item: Fields, schema: Schema) -> Fields:
    """Fields of a frame, with the states and masks of its item."""
    states = {key: item["attr"][f"{_STATE}{key}"] for key in schema.keys}
    return {**fields, "states": states, "annotations": item["annotations"]}


def _file(split: str) -> str:
    return f"{_ANNOTATIONS}/{split}.json"


DATUMARO = Format(
    "datumaro",
    "Datumaro (run-length encoded masks)",
    DatumaroWriter,
    ("annotations/: masks, a file per split", "images/: a folder per split"),
    loses=(
        "Authors and times stand in frames.jsonl only.",
        "Grey values of more than 8 bits are whole, but the datumaro package gives their lower 8 bits only, unless it "
        "is asked by get_data_as_dtype(numpy.uint16).",
    ),
    reads=True,
)
