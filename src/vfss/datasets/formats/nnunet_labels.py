# SPDX-License-Identifier: Apache-2.0
"""Convert planes to one label per pixel, as nnU-Net requires: by priority, or a label for every combination.

Label i + 1 is structure i of the schema in both ways. Unannotated pixels are not background: on a frame where a
structure is not annotated, every pixel outside all structures has the label "ignore".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import imageio.v3 as iio
import numpy as np
import numpy.typing as npt

from vfss.datasets.format import Row
from vfss.datasets.selection import AnnotatedFrame
from vfss.errors import DatasetError
from vfss.masks import BoolArray
from vfss.output.png_files import write_png
from vfss.schema import Structure

LabelArray = npt.NDArray[np.uint8 | np.uint16]

OVERLAPS = "pixels where structures overlap, kept for the first in the order only"
_MAX_STRUCTURES = 64  # one bit each


@dataclass(frozen=True)
class LabelTable:
    """Labels as listed in dataset.json.

    Attributes:
        labels: By name; a list if a structure is a region of several labels. "ignore" is the highest, if used.
        regions_class_order: Label of each predicted region, later ones over earlier ones; None without regions.
    """

    labels: dict[str, int | list[int]]
    regions_class_order: list[int] | None


class Labels(Protocol):
    """Converts planes to labels."""

    def add(self, file: str, frame: AnnotatedFrame, unknown: bool, lost: Counter[str]) -> dict[str, Any]:
        """Write the labels of a frame; if `unknown`, pixels without structure are "ignore"."""

    def finish(self, rows: Iterable[Row]) -> LabelTable:
        """Write all labels of the dataset in their final form, and return their table."""


class PriorityLabels:
    """Gives each pixel to the topmost structure."""

    def __init__(self, folder: Path, order: Sequence[Structure]) -> None:
        self._folder = folder
        self._order = order

    def add(self, file: str, frame: AnnotatedFrame, unknown: bool, lost: Counter[str]) -> dict[str, Any]:
        """See Labels.add."""
        planes = frame.masks.planes
        ignore = len(self._order) + 1
        labels = np.zeros(planes.shape[1:], _label_dtype(ignore))
        for structure in reversed(self._order):
            labels[planes[structure.index]] = structure.index + 1
        if n_overlapping := int(planes.sum()) - int(planes.any(axis=0).sum()):
            lost[OVERLAPS] += n_overlapping
        if unknown:
            labels[labels == 0] = ignore
        write_png(self._folder / file, labels)
        return {"ignore": unknown}

    def finish(self, rows: Iterable[Row]) -> LabelTable:
        """See Labels.finish; the labels are final already."""
        labels: dict[str, int | list[int]] = {"background": 0, **{s.key: s.index + 1 for s in reversed(self._order)}}
        if any(row.entry["ignore"] for row in rows):
            labels["ignore"] = len(self._order) + 1
        return LabelTable(labels, None)


class RegionLabels:
    """Gives a label to every combination of structures; a structure is the region of all labels that contain it.

    The combinations are known at the end only, so frames are written with temporary numbers to another folder first,
    and get their labels at the end. An interruption in between does no harm: the temporary files stay.
    """

    def __init__(self, folder: Path, order: Sequence[Structure], temporary: Path) -> None:
        if len(order) > _MAX_STRUCTURES:
            raise DatasetError(
                f"the schema has {len(order)} structures; at most {_MAX_STRUCTURES} can be combined as regions",
                path=folder,
                remedy='Export with overlaps="priority".',
            )
        self._folder = folder
        self._order = order
        self._temporary = temporary
        temporary.mkdir(exist_ok=True)

    def add(self, file: str, frame: AnnotatedFrame, unknown: bool, lost: Counter[str]) -> dict[str, Any]:
        """See Labels.add."""
        numbers, combinations = _number_combinations(frame.masks.planes)
        if unknown:
            numbers[numbers == 0] = len(combinations) + 1
        write_png(self._temporary / Path(file).name, numbers)
        return {"ignore": unknown, "combinations": combinations, "label": file}

    def finish(self, rows: Iterable[Row]) -> LabelTable:
        """See Labels.finish."""
        label_of = self._label_of(rows)
        ignore = len(label_of) + 1
        for row in rows:
            final = [0, *(label_of[tuple(combination)] for combination in row.entry["combinations"]), ignore]
            lookup = np.array(final, _label_dtype(ignore))
            numbers = iio.imread(self._temporary / Path(row.entry["label"]).name, extension=".png")
            write_png(self._folder / row.entry["label"], lookup[numbers])
        outer_first = list(reversed(self._order))
        labels: dict[str, int | list[int]] = {"background": 0}
        for structure in outer_first:
            region = [label for combination, label in label_of.items() if structure.index in combination]
            labels[structure.key] = region if len(region) > 1 else region[0]
        if any(row.entry["ignore"] for row in rows):
            labels["ignore"] = ignore
        return LabelTable(labels, [structure.index + 1 for structure in outer_first])

    def _label_of(self, rows: Iterable[Row]) -> dict[tuple[int, ...], int]:
        """Return the label of every combination: single structures have one even if they never occur alone."""
        occurring = {tuple(combination) for row in rows for combination in row.entry["combinations"]}
        single = [(index,) for index in range(len(self._order))]
        multiple = sorted(occurring - set(single), key=lambda combination: (len(combination), combination))
        return {combination: label for label, combination in enumerate((*single, *multiple), 1)}


def _number_combinations(planes: BoolArray) -> tuple[LabelArray, list[list[int]]]:
    """Number the combinations on a frame from 1, 0 for none, (H, W); also return the structures in each, ascending."""
    bits = np.zeros(planes.shape[1:], np.uint64)
    for index, plane in enumerate(planes):
        bits |= plane.astype(np.uint64) << np.uint64(index)
    inside = bits > 0
    combinations, indices = np.unique(bits[inside], return_inverse=True)
    numbers = np.zeros(bits.shape, _label_dtype(len(combinations) + 1))
    numbers[inside] = indices + 1
    return numbers, [list(_set_bits(int(combination))) for combination in combinations]


def _label_dtype(highest: int) -> np.dtype[np.uint8 | np.uint16]:
    """Return the smallest dtype of PNG that holds labels up to the highest; nnU-Net has 15 bits for them."""
    if highest > np.iinfo(np.int16).max:
        raise DatasetError(
            f"{highest} combinations of structures occur, more labels than nnU-Net supports",
            remedy='Export with overlaps="priority".',
        )
    return np.dtype(np.uint8) if highest <= np.iinfo(np.uint8).max else np.dtype(np.uint16)


def _set_bits(number: int) -> Iterator[int]:
    return (index for index in range(_MAX_STRUCTURES) if number >> index & 1)
