# SPDX-License-Identifier: Apache-2.0
"""PNG planes: masks/<structure>/<frame>.png (0 and 255), images/<frame>.png and dataset.json.

An empty plane is written too, all 0; planes that are not visible or not annotated have no file, and dataset.json tells
which of the two they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np

from vfss.datasets.dataset import MALFORMED, Dataset, Fields, blank_planes, inside, malformed, picture_size, read_json
from vfss.datasets.files import stem, write_picture
from vfss.datasets.format import Format, FrameWriter, Job, Row
from vfss.datasets.selection import AnnotatedFrame
from vfss.errors import DatasetError
from vfss.masks import BoolArray
from vfss.output.json_files import write_json
from vfss.output.png_files import write_png
from vfss.schema import Schema

_FILE = "dataset.json"


class PngWriter(FrameWriter):
    """Writes one PNG per plane, frame by frame, and dataset.json at the end."""

    def __init__(self, job: Job) -> None:
        self._folder = job.folder
        self._schema = job.schema
        for key in job.schema.keys:
            (job.folder / "masks" / key).mkdir(parents=True, exist_ok=True)

    def add(self, frame: AnnotatedFrame, fields: Fields, lost: Counter[str]) -> dict[str, Any]:
        """See Writer.add."""
        name = f"{stem(fields)}.png"
        files = {s.key: f"masks/{s.key}/{name}" for s in self._schema.structures if frame.written[s.index]}
        for key, file in files.items():
            plane = frame.masks.planes[self._schema[key].index]
            write_png(self._folder / file, plane.astype(np.uint8) * np.uint8(255))
        return {"file_name": write_picture(self._folder, fields, frame), "planes": files}

    def finish(self, manifest: dict[str, Any], rows: Iterable[Row]) -> None:
        """See Writer.finish."""
        write_json(self._folder / _FILE, manifest, images=({**row.fields, **row.entry} for row in rows))


def read_png(folder: str | Path) -> Dataset:
    """Read a dataset exported as PNG: images with planes bool (S, H, W) and their states.

    Raises:
        DatasetError: There is no such dataset, or it is malformed.
    """
    folder = Path(folder)
    data = read_json(folder / _FILE)
    try:
        schema = Schema.from_dict(data["schema"], source=folder)
        images = list(data["images"])
    except MALFORMED as error:
        raise malformed(folder, error) from error

    def load(fields: Fields) -> BoolArray:
        stack = blank_planes(folder, schema, fields)
        for key, file in fields["planes"].items():
            stack[schema[key].index] = _read_plane(inside(folder, file), stack.shape[1:])
        return stack

    return Dataset(folder, data, images, load)


def _read_plane(path: Path, shape: tuple[int, ...]) -> BoolArray:
    size = picture_size(path)
    if size not in (None, shape):
        raise DatasetError(f"plane is {size}, its frame {shape}", path=path, remedy="Export the dataset again.")
    try:
        plane = iio.imread(path, extension=".png")
    except (OSError, ValueError, SyntaxError) as error:  # Pillow raises SyntaxError for a broken PNG
        raise DatasetError(f"plane cannot be read ({error})", path=path, remedy="Export the dataset again.") from error
    if plane.shape != shape:
        raise DatasetError(f"plane is {plane.shape}, its frame {shape}", path=path, remedy="Export the dataset again.")
    return plane > 127


PNG = Format(
    "png",
    "PNG planes and dataset.json",
    PngWriter,
    (
        "dataset.json: states, authors and all other data of a frame",
        "images/: a PNG of every frame",
        "masks/: a folder per structure, a PNG per mask",
    ),
    reads=True,
)
