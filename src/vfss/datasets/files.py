# SPDX-License-Identifier: Apache-2.0
"""Which structure is on top where several lie on one pixel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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
