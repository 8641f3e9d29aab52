# SPDX-License-Identifier: Apache-2.0
"""Which structure is on top where several lie on one pixel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import imageio.v3 as iio

from vfss.datasets.selection import AnnotatedFrame
from vfss.schema import Schema, Structure


def order_on_top(schema: Schema, priority: Sequence[str]) -> tuple[Structure, ...]:
    """All structures, the one that wins a pixel first.

    Args:
        schema: Structures and what they nest in.
        priority: Keys of those that win, the first before the second. All others follow in the schema's order, inner
            ones before what they lie in.

    Raises:
        SchemaError: The schema has no such structure.
    """
    found: dict[str, Structure] = {key: schema[key] for key in priority}
    for structure in schema.structures:
        for one in _inner_first(schema, structure, set()):
            found.setdefault(one.key, one)
    return tuple(found.values())


def _inner_first(schema: Schema, outer: Structure, above: set[str]) -> Iterator[Structure]:
    """What nests in a structure, however deep, then itself; `above` are those it nests in, lest a ring has no end."""
    if outer.key in above:
        return
    for structure in schema.structures:
        if structure.nests_in == outer.key:
            yield from _inner_first(schema, structure, above | {outer.key})
    yield outer


FOLDER = "images"
LEVEL = 1
"""How hard PNG tries: grain cannot be pressed much, a higher level takes three times as long for a few percent."""


def stem(fields: Mapping[str, Any]) -> str:
    """File name of a frame without suffix: name of the recording and frame index."""
    return f"{fields['clip']}_{fields['frame']:06d}"


def write_picture(folder: Path, fields: Mapping[str, Any], frame: AnnotatedFrame) -> str:
    """Write the grey values as they are, uint8 or uint16 (H, W).

    Args:
        folder: The dataset.
        fields: What describes the frame.
        frame: The frame.

    Returns:
        Its path in the dataset, "/" between parts.
    """
    name = f"{FOLDER}/{stem(fields)}.png"
    (folder / FOLDER).mkdir(exist_ok=True)
    iio.imwrite(folder / name, frame.pixels, extension=".png", compress_level=LEVEL)
    return name
