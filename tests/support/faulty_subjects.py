# SPDX-License-Identifier: Apache-2.0
"""Inputs of which each shows another fault, to see that fuzz.py finds it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fuzz_subject import FaultError, Subject
from vfss.errors import ClipError

Read = Callable[[], object]


def _refused(number: int, folder: Path) -> Read:
    def read() -> None:
        raise ClipError("damaged", path=folder)

    return read


def _bare(number: int, folder: Path) -> Read:
    return lambda: {}[number]


def _wrong(number: int, folder: Path) -> Read:
    def read() -> None:
        raise FaultError("another frame")

    return read


def _dies(number: int, folder: Path) -> Read:
    return os.abort if number == 1 else lambda: None


def _large(number: int, folder: Path) -> Read:
    return lambda: np.ones(300 << 20, np.uint8)


SUBJECTS = [
    Subject("refused", 1, _refused),
    Subject("bare", 1, _bare),
    Subject("wrong", 1, _wrong),
    Subject("dies", 1, _dies),
    Subject("large", 1, _large),
]
