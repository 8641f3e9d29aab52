# SPDX-License-Identifier: Apache-2.0
"""YOLO-seg: images/<split>, labels/<split> with one polygon per line, and data.yaml, as ultralytics reads them.

Ultralytics does not train without validation frames. If no patient is in that split, data.yaml gives it the training
frames in their place, and says that the scores then mean nothing: who belongs to which split is for a person to decide.

Polygons are those of ultralytics' own converter from masks: the outer contour of every part of a structure, one line
each, holes filled, parts with fewer than three corners left out. Corners are the centres of pixels, half a pixel in, so
that ultralytics finds the same pixel again at any size. Masks are redrawn from their polygons, and differences are
counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import cv2
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
from vfss.output.png_files import write_png

Corners = npt.NDArray[np.int32]
"""Corners of a polygon, int32 (N, 2), x before y, pixels."""

_FOLDERS = {"train": "train", "validation": "val", "test": "test"}
_TRAINING_COMMENT = (
    "yolo segment train data=data.yaml overlap_mask=False",
    "Structures are nested; with overlap_mask=True ultralytics assigns each pixel to the smallest of them.",
)
_ASSIGN = "(Patients... in the window, or vfss splits PROJECT --assign PATIENT={0}) and export again."
_NO_VALIDATION = (
    'No patient is in the split "validation": data.yaml gives ultralytics the training frames in its place, so that it '
    "trains at all, and its scores then say nothing about other patients. Assign a patient to validation "
    + _ASSIGN.format("validation")
)
_NO_TRAINING = (
    'No patient is in the split "train": ultralytics cannot train on this dataset. Assign a patient to train '
    + _ASSIGN.format("train")
)
_HOLES = "holes in masks, filled by polygons"
_SMALL = "parts of masks too small for a polygon, left out"
_INEXACT = "masks whose polygons cover other pixels (Dice below 1)"
_BAD = "masks whose polygons differ more (Dice below 0.95)"
_HIDDEN = "structures not visible on a frame, which YOLO treats as absent"
_UNKNOWN = "structures not annotated on a frame, which YOLO treats as absent"
_DEEP = "frames with grey values of more than 8 bits, written with 8 through the window of their recording"


class YoloWriter:
    """Writes a picture and a text file per frame, and data.yaml at the end."""

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
        write_png(self._folder / file_name, through_window(frame.pixels, self._window))
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
        frames = Counter(row.fields["split"] for row in rows)
        data = {
            "train": "images/train",
            "val": "images/val" if frames["validation"] else "images/train",
            **({"test": "images/test"} if frames["test"] else {}),
            "names": dict(enumerate(self._schema.keys)),
            "licence": manifest["licence"],
        }
        text = "".join(f"# {line}\n" for line in (*_TRAINING_COMMENT, *_remarks(frames))) + yaml.safe_dump(
            data, sort_keys=False
        )
        (self._folder / "data.yaml").write_text(text, "utf-8")
        write_sidecar(self._folder, manifest, rows)


def _remarks(frames: Mapping[str, int]) -> tuple[str, ...]:
    """Return what keeps ultralytics from training, or its scores from meaning anything; frames by split."""
    return tuple(
        remark
        for split, remark in (("train", _NO_TRAINING), ("validation", _NO_VALIDATION))
        if not frames[split] and (split == "train" or frames["train"])
    )


def polygons(plane: BoolArray, lost: Counter[str]) -> list[Corners]:
    """Return the outer contours of the parts of a plane, bool (H, W); differences are counted in `lost`."""
    mask = plane.astype(np.uint8)
    contours, hierarchy = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    outer = [c.reshape(-1, 2) for c, links in zip(contours, hierarchy[0], strict=True) if links[3] < 0]
    parts = [np.asarray(corners, np.int32) for corners in outer if len(corners) >= 3]
    drawn = np.zeros_like(mask)
    for corners in parts:
        cv2.fillPoly(drawn, [corners], 1)
    for reason, count in ((_HOLES, len(contours) - len(outer)), (_SMALL, len(outer) - len(parts))):
        if count:
            lost[reason] += count
    dice = 2 * np.count_nonzero(drawn & mask) / (np.count_nonzero(drawn) + np.count_nonzero(mask))
    if dice < 1:
        lost[_INEXACT] += 1
    if dice < 0.95:
        lost[_BAD] += 1
    return parts


def _line(number: int, corners: Corners, shape: tuple[int, ...]) -> str:
    """Return a line of a label file: number of the structure, then corners as fractions of width and height."""
    shares = (corners + 0.5) / (shape[1], shape[0])
    return f"{number} " + " ".join(f"{share:.7f}" for share in shares.ravel()) + "\n"


YOLO = Format(
    "yolo",
    "YOLO-seg (polygons)",
    YoloWriter,
    (
        "data.yaml: names of structures, and the folders of the splits",
        "images/: a folder per split",
        "labels/: polygons, a file per frame",
    ),
    losses=(
        "Polygons have no holes, and every part of a structure is a separate object.",
        "Structures not annotated or not visible are treated as absent.",
        "Grey values have 8 bits; deeper recordings are written through their window, as for students.",
        "Authors, times and states are in frames.jsonl only.",
    ),
    errors=(cv2.error,),
    remarks=_remarks,
    reads=True,
)
