# SPDX-License-Identifier: Apache-2.0
"""Files that want to do harm are refused by errors of ours, soon; support/hostile_files.py makes them."""

from __future__ import annotations

import time
from itertools import islice
from pathlib import Path

import pytest

import hostile_files
from vfss.errors import VfssError

FILES, LONGEST_S = 25, 5.0


@pytest.mark.parametrize("kind", sorted({*hostile_files.KINDS} - {"recipe"}))  # recipes: tests/trainer
def test_hostile_files_raise_errors_of_ours_only(kind: str, tmp_path: Path) -> None:
    refused = 0
    for number in range(FILES):
        done, data = hostile_files.case(kind, number)
        folder = tmp_path / str(number)
        folder.mkdir()
        path = folder / "file"
        path.write_bytes(data)
        began = time.process_time()
        try:
            hostile_files.read(kind, path)
        except VfssError as error:
            refused += 1
            assert error.remedy, f"{number}: {done}: {error}"
        assert time.process_time() - began < LONGEST_S, f"{number}: {done}"
    assert refused > 0 or kind == "journal", "a damaged journal is read up to the damage"


def test_cases_are_the_same_for_the_same_seed() -> None:
    one, two = (list(islice(hostile_files.cases(7), 12)) for _ in range(2))
    assert one == two != list(islice(hostile_files.cases(8), 12))
    assert {kind for _, kind, _ in one} == set(hostile_files.KINDS)
