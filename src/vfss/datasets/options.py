# SPDX-License-Identifier: Apache-2.0
"""Options of an export, and the stacking order of structures that they set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vfss.schema import Schema, Structure


@dataclass(frozen=True)
class ExportOptions:
    """Options of an export.

    Attributes:
        include_edited: Also write planes that a person corrected but did not accept.
        overlaps: For formats with one label per pixel: "priority" gives the pixel to the structure that comes first in
            `priority`; "regions" gives every combination of structures a label, so that nothing is lost.
        polygons: For COCO: write outlines as polygons, which have no holes, instead of run-length codes.
        priority: Keys of structures, the topmost first; all others follow in the schema's order, inner ones (bolus)
            before those that contain them (pharynx).
        unreviewed: Also write recordings whose pixels nobody has reviewed; the dataset states that.
        event_text: Write what people typed about events; it may name patients.
        name_authors: Write the names of annotators; by default they get pseudonyms, as patients do.
        key: File of the case key, outside the export; None for the project's own.
        licence: Licence of the dataset, e.g. "CC-BY-4.0"; "" if not stated.
        name: Name of the dataset in formats that need one.
    """

    include_edited: bool = False
    overlaps: str = "priority"
    priority: tuple[str, ...] = ()
    polygons: bool = False
    unreviewed: bool = False
    event_text: bool = False
    name_authors: bool = False
    key: Path | None = None
    licence: str = ""
    name: str = "VFSS"


def stacking_order(schema: Schema, priority: Sequence[str]) -> tuple[Structure, ...]:
    """Return all structures, the topmost first.

    Args:
        schema: Schema with the structures and their nesting.
        priority: Keys of the topmost structures, in order. All others follow in the schema's order, inner ones before
            those that contain them.

    Raises:
        SchemaError: The schema has no such structure.
    """
    order: dict[str, Structure] = {key: schema[key] for key in priority}
    for structure in schema.structures:
        for nested in _inner_first(schema, structure, set()):
            order.setdefault(nested.key, nested)
    return tuple(order.values())


def _inner_first(schema: Schema, outer: Structure, above: set[str]) -> Iterator[Structure]:
    """Yield all structures nested in a structure, then itself; `above` are its ancestors, so that a cycle ends."""
    if outer.key in above:
        return
    for structure in schema.structures:
        if structure.nests_in == outer.key:
            yield from _inner_first(schema, structure, above | {outer.key})
    yield outer
