# SPDX-License-Identifier: Apache-2.0
"""Projects whose database holds what no version of the program wrote: VfssError or the right behaviour, and named."""

from __future__ import annotations

import logging
import shutil
import tracemalloc
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest

import hostile_projects as hostile
from vfss.project import Project

HARMLESS = ("another application",)
MOST_BYTES = 200 << 20


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    hostile.template(folder)
    return folder


@pytest.fixture
def copied(template: Path, tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A function that copies the template; what a damaged project logs is not looked at."""
    logging.disable(logging.WARNING)

    def copy(name: str) -> Path:
        shutil.copytree(template, tmp_path / name)
        return tmp_path / name / "project"

    yield copy
    logging.disable(logging.NOTSET)


def test_the_template_is_sound(copied: Callable[[str], Path]) -> None:
    folder = copied("sound")
    assert hostile.wrong(folder) == []
    assert hostile.exercise(folder) == []


@pytest.mark.parametrize("name", hostile.CONTRADICTIONS)
def test_contradictions_are_errors_and_named_by_a_check(copied: Callable[[str], Path], name: str) -> None:
    folder = copied("damaged")
    hostile.CONTRADICTIONS[name](folder)
    found = hostile.wrong(folder)
    assert bool(found) == (name not in HARMLESS)
    hostile.exercise(folder, thorough=False)


def test_no_value_in_any_column_gets_through(template: Path, copied: Callable[[str], Path]) -> None:
    known = dict(hostile.values(template / "project"))
    names = list(known)
    step = len(hostile.VALUES) * 5 + 1  # another value in every fifth column; by hand: all of them
    for number, name in enumerate(names[::step]):
        folder = copied(str(number))
        known[name](folder)
        hostile.exercise(folder, thorough=False)


@pytest.mark.parametrize("column", ["n_frames", "height", "width"])
@pytest.mark.parametrize("value", [10**12, 60_000])
def test_nothing_is_allocated_for_a_size_that_a_row_claims(
    copied: Callable[[str], Path], column: str, value: int
) -> None:
    folder = copied("large")
    hostile.alter(folder, f"UPDATE clips SET {column} = ?", (value,))
    tracemalloc.start()
    try:
        hostile.exercise(folder, thorough=False)
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()


def test_changed_bytes_are_errors(copied: Callable[[str], Path]) -> None:
    for name, damage in hostile.bytes_changed(0, 12):
        folder = copied(name)
        damage(folder)
        hostile.exercise(folder, thorough=False)


def test_a_fuzzer_gets_cases_in_the_order_of_a_seed() -> None:
    first, again, other = ([name for name, _ in islice(hostile.cases(seed), 50)] for seed in (1, 1, 2))
    assert first == again != other


def test_what_is_shown_wrongly_is_refused_when_it_is_read(copied: Callable[[str], Path]) -> None:
    folder = copied("exchanged")
    hostile.CONTRADICTIONS["a revision of another frame"](folder)
    messages = hostile.exercise(folder, thorough=False)
    assert any("present shows bolus on frame 0 with a revision of bolus on frame 1" in message for message in messages)
    with Project.open(folder) as project:
        assert project.masks(project.clips()[0].id, 1).planes[0].any()  # other frames are read as before
