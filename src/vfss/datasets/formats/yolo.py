# SPDX-License-Identifier: Apache-2.0
"""YOLO-seg: images/<split>, labels/<split> with a polygon a line, and data.yaml, as ultralytics reads them.

Polygons are what ultralytics' own converter from masks makes: the outer contour of every part of a structure, a line
each, holes filled, parts with fewer than three corners left out. Corners are the centres of pixels, half a pixel in, so
that ultralytics finds the very pixel again whatever the size. Masks are drawn anew from their polygons, and what
differs is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import cv2
import imageio.v3 as iio
import numpy as np
import numpy.typing as npt
import yaml

from vfss.clips import Clip, through_window
from vfss.datasets.dataset import Fields
from vfss.datasets.files import stem
from vfss.datasets.format import Format, Job, Row
from vfss.datasets.identities import Identity
from vfss.datasets.selection import AnnotatedFrame
from vfss.datasets.sidecar import write_sidecar
from vfss.masks import BoolArray, MaskState

Corners = npt.NDArray[np.int32]
"""Corners of a polygon, int32 (N, 2), x before y, pixels."""

_FOLDERS = {"train": "train", "validation": "val", "test": "test"}
_HOW_TO_TRAIN = (
    "yolo segment train data=data.yaml overlap_mask=False",
    "Structures lie in each other; with overlap_mask=True ultralytics gives each pixel to the smallest of them.",
)
_HOLES = "holes in masks, filled by polygons"
_SMALL = "parts of masks too small for a polygon, left out"
_INEXACT = "masks whose polygons are not the same pixels (Dice below 1)"
_BAD = "masks whose polygons differ more (Dice below 0.95)"
_HIDDEN = "structures that cannot be seen on a frame, which YOLO takes for absent"
_UNKNOWN = "structures not annotated on a frame, which YOLO takes for absent"
_DEEP = "frames of more than 8 bits a grey value, written with 8 through the window of their recording"


class YoloWriter:
    """A picture and a text file as frames come; data.yaml at the end."""

    def __init__(self, job: Job) -> None:
        self._folder = job.folder
        self._schema = job.schema
        self._window = (0, 255)
        for kind in ("images", "labels"):
            for name in _FOLDERS.values():
                (job.folder / kind / name).mkdir(parents=True, exist_ok=True)

    def begin_clip(self, identity: Identity, clip: Clip, frames: int) -> None:
        """See Writer.begin_clip."""
        self._window = clip.window

    def end_clip(self) -> None:
        """See Writer.end_clip."""

    def add(self, frame: AnnotatedFrame, fields: Fields, lost: Counter[str]) -> dict[str, Any]:
        """See Writer.add."""
        split, name = _FOLDERS[fields["split"]], stem(fields)
        file_name = f"images/{split}/{name}.png"
        if frame.pixels.dtype != np.uint8:
            lost[_DEEP] += 1
        iio.imwrite(self._folder / file_name, through_window(frame.pixels, self._window), extension=".png")
        lines = []
        for structure in self._schema.structures:
            plane = frame.masks.planes[structure.index]
            if frame.written[structure.index]:
                if plane.any():
                    lines += [_line(structure.index, part, plane.shape) for part in polygons(plane, lost)]
            else:
                hidden = frame.masks.state[structure.index] == MaskState.NOT_VISIBLE
                lost[_HIDDEN if hidden else _UNKNOWN] += 1
        (self._folder / "labels" / split / f"{name}.txt").write_text("".join(lines), "ascii")
        return {"file_name": file_name}

    def finish(self, manifest: dict[str, Any], rows: Iterable[Row]) -> None:
        """See Writer.finish."""
        data = {
            **{name: f"images/{name}" for name in _FOLDERS.values()},
            "names": dict(enumerate(self._schema.keys)),
            "licence": manifest["licence"],
        }
        text = "".join(f"# {line}\n" for line in _HOW_TO_TRAIN) + yaml.safe_dump(data, sort_keys=False)
        (self._folder / "data.yaml").write_text(text, "utf-8")
        write_sidecar(self._folder, manifest, rows)


def polygons(plane: BoolArray, lost: Counter[str]) -> list[Corners]:
    """Outer contours of the parts of a plane, bool (H, W); what they cannot say is counted in `lost`."""
    mask = plane.astype(np.uint8)
    found, family = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    outer = [c.reshape(-1, 2) for c, links in zip(found, family[0], strict=True) if links[3] < 0]
    parts = [np.asarray(corners, np.int32) for corners in outer if len(corners) >= 3]
    drawn = np.zeros_like(mask)
    for corners in parts:
        cv2.fillPoly(drawn, [corners], 1)
    for reason, count in ((_HOLES, len(found) - len(outer)), (_SMALL, len(outer) - len(parts))):
        if count:
            lost[reason] += count
    dice = 2 * np.count_nonzero(drawn & mask) / (np.count_nonzero(drawn) + np.count_nonzero(mask))
    if dice < 1:
        lost[_INEXACT] += 1
    if dice < 0.95:
        lost[_BAD] += 1
    return parts


def _line(number: int, corners: Corners, shape: tuple[int, ...]) -> str:
    """A line of a label file: number of the structure, then corners as shares of width and height."""
    shares = (corners + 0.5) / (shape[1], shape[0])
    return f"{number} " + " ".join(f"{share:.7f}" for share in shares.ravel()) + "\n"


YOLO = Format(
    "yolo",
    "YOLO-seg (polygons)",
    YoloWriter,
    (
        "data.yaml: names of structures, and where the splits are",
        "images/: a folder per split",
        "labels/: polygons, a file per frame",
    ),
    loses=(
        "Polygons have no holes, and every part of a structure is an object of its own.",
        "What is not annotated, or cannot be seen, is the same as absent.",
        "Grey values have 8 bits; deeper recordings are seen through their window, as students see them.",
        "Authors, times and states stand in frames.jsonl only.",
    ),
)
