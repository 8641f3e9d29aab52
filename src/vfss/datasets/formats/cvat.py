# SPDX-License-Identifier: Apache-2.0
"""CVAT for images 1.1: annotations.xml with run-length encode_mask <mask> elements, and the frames as PNG.

For a task of CVAT: labels.json defines its labels (Constructor, "Raw"), the pictures in images/ are its data, and
annotations.xml is uploaded to it. Every image has one tag "frame states" with the state of each structure, since a
structure without a mask is empty, not visible or not annotated. CVAT exports the same format, and read_cvat reads that
too: replace annotations.xml by CVAT's.

Not written by the datumaro package, which supports CVAT, because it pins opencv<5, pandas<3 and pillow<13. It reads
these files in tests/engine/test_datasets_datumaro.py.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from vfss.datasets.dataset import MALFORMED, Dataset, Fields, blank_planes, malformed
from vfss.datasets.files import FOLDER, write_picture
from vfss.datasets.format import Format, FrameWriter, Job, Row
from vfss.datasets.formats.cvat_xml import CvatImage, draw_mask, read_annotations
from vfss.datasets.options import stacking_order
from vfss.datasets.selection import AnnotatedFrame
from vfss.datasets.sidecar import read_sidecar, write_sidecar
from vfss.errors import DatasetError
from vfss.masks import EMPTY_BOX, BoolArray, MaskState, bounding_box
from vfss.schema import Schema

_FILE = "annotations.xml"
TAG = "frame states"  # has a space, so that it cannot be a structure's key
_README = """# For CVAT
1. Create a task; paste labels.json into Constructor, "Raw". Its data are the pictures in images/.
2. Upload annotations.xml to the task, as "CVAT 1.1".
3. Afterwards export the task as "CVAT for images 1.1", and replace this annotations.xml by the exported one.

The tag "frame states" of each picture has the state of each structure: without a mask it is empty, not visible, or not
annotated. Draw masks, not polygons. Use a task, not a project: some versions of CVAT cannot upload masks to a project.
"""
_TAG_COLOUR = "#808080"


class CvatWriter(FrameWriter):
    """Writes pictures frame by frame, and annotations.xml at the end, streamed from the rows."""

    def __init__(self, job: Job) -> None:
        self._folder = job.folder
        self._schema = job.schema
        self._name = job.options.name
        order = stacking_order(job.schema, job.options.priority)
        self._z_order = {structure.key: z for z, structure in enumerate(reversed(order))}

    def add(self, frame: AnnotatedFrame, fields: Fields, lost: Counter[str]) -> dict[str, Any]:
        """See Writer.add."""
        masks = []
        for structure in self._schema.structures:
            plane = frame.masks.planes[structure.index]
            if frame.written[structure.index] and plane.any():
                masks.append({"label": structure.key, **encode_mask(plane)})
        return {"file_name": write_picture(self._folder, fields, frame), "masks": masks}

    def finish(self, manifest: dict[str, Any], rows: Iterable[Row]) -> None:
        """See Writer.finish."""
        labels = _labels(self._schema)
        with (self._folder / _FILE).open("w", encoding="utf-8") as file:
            file.write('<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n')
            file.write(_meta(self._name, labels, manifest))
            for number, row in enumerate(rows):
                file.write(self._image(number, row))
            file.write("</annotations>\n")
        (self._folder / "labels.json").write_text(json.dumps(labels, indent=1) + "\n", "utf-8")
        (self._folder / "README.md").write_text(_README, "utf-8")
        write_sidecar(self._folder, manifest, (Row(r.fields, {"file_name": r.entry["file_name"]}) for r in rows))

    def _image(self, number: int, row: Row) -> str:
        fields = row.fields
        name = row.entry["file_name"].removeprefix(f"{FOLDER}/")
        size = {"width": fields["width"], "height": fields["height"]}
        lines = [f"  <image{_attributes({'id': number, 'name': name, **size})}>"]
        for mask in row.entry["masks"]:
            common = {"label": mask["label"], "source": "manual", "occluded": 0}
            box = {name: mask[name] for name in ("rle", "left", "top", "width", "height")}
            lines.append(f"    <mask{_attributes({**common, **box, 'z_order': self._z_order[mask['label']]})}></mask>")
        lines.append(f"    <tag{_attributes({'label': TAG, 'source': 'manual'})}>")
        for key, state in fields["states"].items():
            lines.append(f'      <attribute name="{key}">{state}</attribute>')
        lines += ["    </tag>", "  </image>", ""]
        return "\n".join(lines)


def encode_mask(plane: BoolArray) -> dict[str, Any]:
    """Encode a plane with pixels, bool (H, W), as in CVAT: its box, and alternating runs along the rows of the box."""
    rows, columns = box = bounding_box(plane) or EMPTY_BOX
    inside = plane[box]
    flat = inside.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    runs = np.diff(changes, prepend=0, append=flat.size).tolist()
    runs = [0, *runs] if flat[0] else runs
    height, width = inside.shape
    return {
        "rle": ", ".join(map(str, runs)),
        "left": columns.start,
        "top": rows.start,
        "width": width,
        "height": height,
    }


def _attributes(values: Mapping[str, Any]) -> str:
    return "".join(f" {name}={quoteattr(str(value))}" for name, value in values.items())


def _labels(schema: Schema) -> list[dict[str, Any]]:
    """Return the labels of a task in the raw form of CVAT's constructor."""
    states = [state.label for state in MaskState]
    common = {"mutable": False, "input_type": "select", "default_value": MaskState.UNSEEN.label, "values": states}
    attributes = [{"name": key, **common} for key in schema.keys]
    structures = [{"name": s.key, "color": s.colour, "type": "mask", "attributes": []} for s in schema.structures]
    return [*structures, {"name": TAG, "color": _TAG_COLOUR, "type": "tag", "attributes": attributes}]


def _meta(name: str, labels: list[dict[str, Any]], manifest: Mapping[str, Any]) -> str:
    frames = manifest["frames"]
    return "\n".join(
        [
            "  <meta>",
            "    <task>",
            f"      <name>{escape(name)}</name>",
            f"      <size>{frames}</size>",
            "      <mode>annotation</mode>",
            "      <start_frame>0</start_frame>",
            f"      <stop_frame>{frames - 1}</stop_frame>",
            "      <labels>",
            *(_label(label) for label in labels),
            "      </labels>",
            "    </task>",
            f"    <dumped>{manifest['exported']}</dumped>",
            "  </meta>",
            "",
        ]
    )


def _label(label: Mapping[str, Any]) -> str:
    properties = "".join(f"<{part}>{label[part]}</{part}>" for part in ("name", "color", "type"))
    attributes = "".join(
        f"<attribute><name>{attribute['name']}</name><mutable>False</mutable><input_type>select</input_type>"
        f"<default_value>{attribute['default_value']}</default_value>"
        f"<values>{chr(10).join(attribute['values'])}</values></attribute>"
        for attribute in label["attributes"]
    )
    return f"        <label>{properties}<attributes>{attributes}</attributes></label>"


def read_cvat(folder: str | Path) -> Dataset:
    """Read a dataset exported as CVAT, also with an annotations.xml from CVAT: planes bool (S, H, W) and states.

    A mask of a structure whose state in the frame's tag is unannotated or absent was drawn in CVAT: it is edited, not
    accepted. So is any mask on an image without a tag.

    Raises:
        DatasetError: There is no such dataset, or it is malformed.
    """
    folder = Path(folder)
    manifest, frames = read_sidecar(folder)
    images = {image.name: image for image in _masks_only(folder / _FILE)}
    try:
        schema = Schema.from_dict(manifest["schema"], source=folder)
        merged = [_merged(fields, images[fields["file_name"].removeprefix(f"{FOLDER}/")], schema) for fields in frames]
    except MALFORMED as error:
        raise malformed(folder, error) from error

    def decode(fields: Fields) -> BoolArray:
        stack = blank_planes(folder, schema, fields)
        for mask in fields["masks"]:
            draw_mask(mask.attributes, stack[schema[mask.label].index])
        return stack

    return Dataset(folder, manifest, merged, decode)


def _masks_only(path: Path) -> tuple[CvatImage, ...]:
    """Return the images of annotations.xml; refuse shapes that are not masks."""
    images = read_annotations(path).images
    other = next((shape.kind for image in images for shape in image.shapes if shape.kind != "mask"), None)
    if other is not None:
        raise DatasetError(f"has a <{other}>, which is not a mask", path=path, remedy="Convert it to a mask in CVAT.")
    return images


def _merged(fields: Fields, image: CvatImage, schema: Schema) -> Fields:
    """Return the fields of a frame with the states and masks of annotations.xml."""
    tag = image.tags.get(TAG, {})
    states = {key: tag.get(key, MaskState.UNSEEN.label) for key in schema.keys}
    with_pixels = {MaskState.ACCEPTED.label, MaskState.EDITED.label}
    for mask in image.shapes:
        if states[mask.label] not in with_pixels:
            states[mask.label] = MaskState.EDITED.label
    return {**fields, "states": states, "masks": image.shapes}


CVAT = Format(
    "cvat",
    "CVAT for images 1.1",
    CvatWriter,
    (
        "annotations.xml: all masks",
        "images/: a PNG of every frame",
        "labels.json: the labels of the task",
        "README.md: how to upload them to a task, and back",
    ),
    losses=("Splits, authors and times are in frames.jsonl only.",),
    reads=True,
)
