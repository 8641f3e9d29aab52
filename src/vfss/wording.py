# SPDX-License-Identifier: Apache-2.0
"""Wording of messages for people: numbers with their nouns, figures of tables, shortened lists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise


def count(n: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun: "1 frame", "2 frames".

    Args:
        n: The number.
        noun: The noun (with its verb, where it has one) for exactly one.
        plural: What stands for any other number; by default the noun and an s.
    """
    return f"{n} {noun if n == 1 else plural or noun + 's'}"


def listed(names: Sequence[str], at_most: int) -> str:
    """Return the first names, and how many more there are: "a, b, c and 2 more"."""
    shown = ", ".join(names[:at_most])
    return f"{shown} and {len(names) - at_most} more" if len(names) > at_most else shown


def figure(value: float | None, digits: int) -> str:
    """Return a figure of a table with so many decimals, "-" for None."""
    return "-" if value is None else f"{value:.{digits}f}"


def ranges(numbers: Iterable[int], at_most: int = 8) -> str:
    """Return whole numbers in ascending order, neighbours as ranges: "3, 7 to 9, 12 and 4 more"."""
    ordered = sorted(set(numbers))
    breaks = [i for i, (one, other) in enumerate(pairwise(ordered), 1) if other != one + 1]
    parts = [ordered[start:stop] for start, stop in pairwise([0, *breaks, len(ordered)])] if ordered else []
    texts = [str(part[0]) if len(part) == 1 else f"{part[0]} to {part[-1]}" for part in parts[:at_most]]
    more = sum(len(part) for part in parts[at_most:])
    return f"{', '.join(texts)} and {more} more" if more else ", ".join(texts)


def sentences(notes: Iterable[str]) -> str:
    """Return notes, which begin in any way and have no full stop, as sentences: "Frame Time is 0. Frames are turned."""
    return " ".join(f"{note[:1].upper()}{note[1:].rstrip('.')}." for note in notes)
