# SPDX-License-Identifier: Apache-2.0
"""Which values of a label image are which label: tables of nnU-Net and of plain JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vfss.errors import DatasetError
from vfss.importing.formats.label_images import Labels
from vfss.importing.json_objects import MALFORMED, malformed, read_object
from vfss.masks import BoolArray

_SHOWN = 5


@dataclass(frozen=True)
class Table:
    """Values of a label image.

    Attributes:
        values: By label, in the order of the table, background left out; several where a label is a region.
        ignore: Value of pixels of which nothing is known; None where there is none.
        background: Value of pixels without label.
    """

    values: Mapping[str, tuple[int, ...]]
    ignore: int | None = None
    background: int = 0

    @property
    def known(self) -> frozenset[int]:
        """All values that may occur."""
        others = {self.background} | ({self.ignore} if self.ignore is not None else set())
        return frozenset(others.union(*self.values.values()))


def read_table(path: Path) -> Table:
    """The table in a JSON file: {"bolus": 1, ...} or {"1": "bolus", ...}, or either under "labels".

    Raises:
        DatasetError: There is none, or it is malformed.
    """
    data = read_object(path)
    inner = data.get("labels")
    return table_of(inner if isinstance(inner, dict) else data, path)


def table_of(data: Mapping[str, Any], path: Path) -> Table:
    """The table of an object read from a file.

    Raises:
        DatasetError: It is malformed, or names no label.
    """
    try:
        if data and all(isinstance(value, str) for value in data.values()):  # value first, as nnU-Net v1 has it
            if len(set(data.values())) != len(data):
                raise ValueError("a label is named twice")
            data = {name: int(value) for value, name in data.items()}
        values = {str(name): _numbers(value) for name, value in data.items()}
    except MALFORMED as error:
        raise malformed(path, error, "as a table of labels") from error
    (background,) = values.pop("background", (0,))[:1]
    ignore = values.pop("ignore", (None,))[0]
    if not values:
        raise DatasetError("names no label", path=path, remedy='Write for instance {"bolus": 1, "airway": 2}.')
    return Table({name: numbers for name, numbers in values.items() if numbers != (background,)}, ignore, background)


def _numbers(value: Any) -> tuple[int, ...]:
    numbers = value if isinstance(value, list) else [value]
    if not numbers or any(isinstance(n, bool) or not isinstance(n, int) or n < 0 for n in numbers):
        raise ValueError(f"{value!r} is no value of a label image")
    return tuple(numbers)


def planes_of(values: Labels, table: Table) -> dict[str, BoolArray]:
    """Masks in a label image (H, W), bool (H, W) by label; labels that do not occur have none."""
    occurring = set(np.unique(values).tolist())
    return {name: np.isin(values, numbers) for name, numbers in table.values.items() if occurring & set(numbers)}


def refuse_others(values: Labels, table: Table, path: Path) -> None:
    """Nothing where the table names all values of a label image (H, W).

    Raises:
        DatasetError: There are others: the table is not that of the image.
    """
    others = [int(value) for value in np.unique(values) if int(value) not in table.known]
    if others:
        shown = ", ".join(map(str, others[:_SHOWN])) + (", ..." if len(others) > _SHOWN else "")
        raise DatasetError(
            f"has values that the table of labels does not name: {shown}",
            path=path,
            remedy="Give the table that belongs to the images, with all their values.",
        )
