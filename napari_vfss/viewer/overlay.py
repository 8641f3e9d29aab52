# SPDX-License-Identifier: Apache-2.0
"""The composite picture of all structures of one frame, as indices into a small palette."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import numpy.typing as npt

from vfss.errors import SchemaError
from vfss.masks import BoolArray, ByteArray, bounding_box
from vfss.schema import Schema

FILL_ALPHA = 0.30
EDGE_ALPHA = 0.95
STRIPE = 4  # width in pixels of the stripes that show two overlapping structures


def palette(schema: Schema) -> npt.NDArray[np.float32]:
    """Return the colours of the composite's indices.

    Index 0 is transparent, 1 + i is the fill of structure i, 1 + S + i its outline.

    Returns:
        float32 (256, 4), red, green, blue, alpha in 0..1.

    Raises:
        SchemaError: There are more structures than 8-bit indices.
    """
    colours = np.zeros((256, 4), np.float32)
    n = len(schema)
    if 2 * n >= len(colours):
        raise SchemaError(f"schema {schema.id} has {n} structures", remedy="The viewer shows up to 127 at once.")
    for structure in schema.structures:
        rgb = np.asarray(structure.rgb, np.float32) / 255.0
        colours[1 + structure.index] = (*rgb, FILL_ALPHA)
        colours[1 + n + structure.index] = (*rgb, EDGE_ALPHA)
    return colours


class Overlay:
    """Paints the planes of a frame into one index picture, nested structures on top of those they nest in.

    Where two structures overlap without nesting (bolus in the airway), both are visible as stripes.
    """

    def __init__(self, schema: Schema, height: int, width: int) -> None:
        self._schema = schema
        self._order = _painting_order(schema)
        self._parents = [_ancestors(schema, i) for i in range(len(schema))]
        y, x = np.ogrid[:height, :width]
        self._stripes: BoolArray = ((y + x) // STRIPE) % 2 == 0

    def paint(self, planes: BoolArray, out: ByteArray, *, without: Collection[int] = ()) -> None:
        """Paint planes over each other.

        Args:
            planes: bool (S, H, W).
            out: uint8 (H, W), overwritten with palette indices.
            without: Indices of structures to leave out.
        """
        n = len(self._schema)
        out[...] = 0
        edges: list[tuple[int, tuple[slice, slice], BoolArray]] = []
        for i in self._order:
            box = None if i in without else bounding_box(planes[i])
            if box is None:
                continue
            mask, view = planes[i][box], out[box]
            foreign = view > 0
            for parent in self._parents[i]:
                foreign &= view != 1 + parent
            view[mask & (~foreign | self._stripes[box])] = 1 + i
            edges.append((i, box, mask & ~_eroded(mask)))
        for i, box, edge in edges:
            out[box][edge] = 1 + n + i


def _eroded(mask: BoolArray) -> BoolArray:
    """Return the pixels whose four neighbours are all inside; beyond the picture's border is outside."""
    inner = np.zeros_like(mask)
    inner[1:-1, 1:-1] = mask[1:-1, 1:-1] & mask[:-2, 1:-1] & mask[2:, 1:-1] & mask[1:-1, :-2] & mask[1:-1, 2:]
    return inner


def _ancestors(schema: Schema, index: int) -> frozenset[int]:
    ancestors: set[int] = set()
    parent = schema.structures[index].nests_in
    while parent is not None and schema[parent].index not in ancestors:
        ancestors.add(schema[parent].index)
        parent = schema[parent].nests_in
    return frozenset(ancestors)


def _painting_order(schema: Schema) -> list[int]:
    depth = [len(_ancestors(schema, i)) for i in range(len(schema))]
    return sorted(range(len(schema)), key=lambda i: (depth[i], -i))
