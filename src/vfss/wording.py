# SPDX-License-Identifier: Apache-2.0
"""Wording of messages for people: numbers with their nouns, figures of tables, shortened lists."""

from __future__ import annotations

from collections.abc import Sequence


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
