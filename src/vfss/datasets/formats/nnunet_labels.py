# SPDX-License-Identifier: Apache-2.0
"""Planes as one label a pixel, which is all that nnU-Net reads: by order, or a label for every combination.

Label i + 1 is structure i of the schema, whatever else there is. What nobody annotated is not background: on a frame
where a structure is not annotated, every pixel that nothing was said of has the label "ignore".
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
from vfss.schema import Structure

LabelArray = npt.NDArray[np.uint8 | np.uint16]

OVERLAPS = "pixels where structures overlap, kept for the first in the order only"
_MOST = 64  # structures: a bit each


@dataclass(frozen=True)
class Meaning:
    """What dataset.json says of the labels.

    Attributes:
        labels: By name; a list where a structure is a region of several labels. "ignore" is the highest, if used.
        regions_class_order: Label that a prediction of each region gets, a later one over an earlier; None without.
    """

    labels: dict[str, int | list[int]]
    regions_class_order: list[int] | None


class Labels(Protocol):
    """A way from planes to labels."""

    def add(self, file: str, frame: AnnotatedFrame, unknown: bool, lost: Counter[str]) -> dict[str, Any]:
        """Write the labels of a frame; `unknown` says that pixels without structure are "ignore"."""

    def finish(self, rows: Iterable[Row]) -> Meaning:
        """Bring all labels of the dataset into their final form."""


class PriorityLabels:
    """The first structure of an order gets the pixel."""

    def __init__(self, folder: Path, order: Sequence[Structure]) -> None:
        self._folder = folder
        self._order = order

    def add(self, file: str, frame: AnnotatedFrame, unknown: bool, lost: Counter[str]) -> dict[str, Any]:
        """See Labels.add."""
        planes = frame.masks.planes
        ignore = len(self._order) + 1
        labels = np.zeros(planes.shape[1:], _holding(ignore))
        for structure in reversed(self._order):
            labels[planes[structure.index]] = structure.index + 1
        if several := int(planes.sum()) - int(planes.any(axis=0).sum()):
            lost[OVERLAPS] += several
        if unknown:
            labels[labels == 0] = ignore
        iio.imwrite(self._folder / file, labels, extension=".png")
        return {"ignore": unknown}

    def finish(self, rows: Iterable[Row]) -> Meaning:
        """See Labels.finish: they are final already."""
        labels: dict[str, int | list[int]] = {"background": 0, **{s.key: s.index + 1 for s in reversed(self._order)}}
        if any(row.kept["ignore"] for row in rows):
            labels["ignore"] = len(self._order) + 1
        return Meaning(labels, None)


class RegionLabels:
    """Every combination of structures that occurs has a label; a structure is the region of all labels that have it.

    Which combinations occur is known at the end only, so frames are written with numbers of their own first, aside, and
    get their labels when all are there. An interruption in between does no harm: what was written aside stays.
    """

    def __init__(self, folder: Path, order: Sequence[Structure], aside: Path) -> None:
        if len(order) > _MOST:
            raise DatasetError(
                f"the schema has {len(order)} structures, more than the {_MOST} that can be combined as regions",
                path=folder,
                remedy='Export with overlaps="priority".',
            )
        self._folder = folder
        self._order = order
        self._aside = aside
        aside.mkdir(exist_ok=True)

    def add(self, file: str, frame: AnnotatedFrame, unknown: bool, lost: Counter[str]) -> dict[str, Any]:
        """See Labels.add."""
        numbers, combinations = _numbered(frame.masks.planes)
        if unknown:
            numbers[numbers == 0] = len(combinations) + 1
        iio.imwrite(self._aside / Path(file).name, numbers, extension=".png")
        return {"ignore": unknown, "combinations": combinations, "label": file}

    def finish(self, rows: Iterable[Row]) -> Meaning:
        """See Labels.finish."""
        label_of = self._label_of(rows)
        ignore = len(label_of) + 1
        for row in rows:
            final = [0, *(label_of[tuple(one)] for one in row.kept["combinations"]), ignore]
            lookup = np.array(final, _holding(ignore))
            numbers = iio.imread(self._aside / Path(row.kept["label"]).name, extension=".png")
            iio.imwrite(self._folder / row.kept["label"], lookup[numbers], extension=".png")
        outer_first = list(reversed(self._order))
        labels: dict[str, int | list[int]] = {"background": 0}
        for structure in outer_first:
            having = [label for combination, label in label_of.items() if structure.index in combination]
            labels[structure.key] = having if len(having) > 1 else having[0]
        if any(row.kept["ignore"] for row in rows):
            labels["ignore"] = ignore
        return Meaning(labels, [structure.index + 1 for structure in outer_first])

    def _label_of(self, rows: Iterable[Row]) -> dict[tuple[int, ...], int]:
        """Label of every combination: a structure alone has its own, even where it never occurs alone."""
        occurring = {tuple(one) for row in rows for one in row.kept["combinations"]}
        alone = [(index,) for index in range(len(self._order))]
        together = sorted(occurring - set(alone), key=lambda one: (len(one), one))
        return {combination: label for label, combination in enumerate((*alone, *together), 1)}


def _numbered(planes: BoolArray) -> tuple[LabelArray, list[list[int]]]:
    """Numbers (H, W) from 1 for the combinations on a frame, 0 for none; and the structures in each, ascending."""
    bits = np.zeros(planes.shape[1:], np.uint64)
    for index, plane in enumerate(planes):
        bits |= plane.astype(np.uint64) << np.uint64(index)
    inside = bits > 0
    found, which = np.unique(bits[inside], return_inverse=True)
    numbers = np.zeros(bits.shape, _holding(len(found) + 1))
    numbers[inside] = which + 1
    return numbers, [list(_set_bits(int(one))) for one in found]


def _holding(highest: int) -> np.dtype[np.uint8 | np.uint16]:
    """The smallest kind of PNG that holds labels up to the highest; nnU-Net has 15 bits for them."""
    if highest > np.iinfo(np.int16).max:
        raise DatasetError(
            f"{highest} combinations of structures occur, more than nnU-Net has labels for",
            remedy='Export with overlaps="priority".',
        )
    return np.dtype(np.uint8) if highest <= np.iinfo(np.uint8).max else np.dtype(np.uint16)


def _set_bits(number: int) -> Iterator[int]:
    return (index for index in range(_MOST) if number >> index & 1)
