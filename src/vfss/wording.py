# SPDX-License-Identifier: Apache-2.0
"""Numbers and nouns in messages for people."""

from __future__ import annotations


def count(n: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun: "1 frame", "2 frames".

    Args:
        n: The number.
        noun: The noun (with its verb, where it has one) for exactly one.
        plural: What stands for any other number; by default the noun and an s.
    """
    return f"{n} {noun if n == 1 else plural or noun + 's'}"
