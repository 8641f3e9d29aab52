# SPDX-License-Identifier: Apache-2.0
"""What fuzz.py runs: kinds of input, and how one of them tells that it was read wrongly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


class FaultError(Exception):
    """An input was read wrongly, without an exception."""


@dataclass(frozen=True)
class Subject:
    """A kind of input.

    Attributes:
        name: Its name in the result.
        share: Share of all inputs, relative to the other kinds.
        make: Writes input `number` into an empty folder, and returns what reads it. What it returns may raise only
            VfssError, or FaultError where something was read wrongly.
    """

    name: str
    share: float
    make: Callable[[int, Path], Callable[[], object]]
