# SPDX-License-Identifier: Apache-2.0
"""Masks of other programs, and exports, that lie or are damaged: at most an error of ours, soon and in little memory.

A short run; tests/support/fuzz.py --only import makes a long one, in processes of their own.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from hostile_imports import KINDS, case, cases, harmful, read, write
from vfss.errors import VfssError

FIRST, DAMAGED = 1000, 8


def refusals(kind: str, numbers: range, folder: Path) -> int:
    """Read cases; return how many are refused. Any other exception is a fault, and so is the end of the process."""
    refused = 0
    for number in numbers:
        write(folder / str(number), case(kind, number))
        try:
            read(folder / str(number), kind)
        except VfssError:
            refused += 1
    return refused


@pytest.mark.parametrize("kind", KINDS)
def test_files_that_lie_or_are_damaged_are_at_most_an_error_of_ours(kind: str, tmp_path: Path) -> None:
    harm = harmful(kind)
    refused = refusals(kind, range(harm), tmp_path)
    if kind in ("coco", "datumaro", "cvat", "yolo", "export coco"):
        assert refused >= harm - 2  # some only look harmful: an image of 10^9 columns is left out and named
    refusals(kind, range(FIRST, FIRST + DAMAGED), tmp_path)


def test_a_case_is_the_same_each_time() -> None:
    assert dict(cases(7)) == dict(cases(7)) != dict(cases(8))
