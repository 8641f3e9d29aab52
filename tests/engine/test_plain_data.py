# SPDX-License-Identifier: Apache-2.0
"""JSON and YAML from anybody: what is read, and what is refused at once and in little memory."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import hostile_files
from vfss.plain_data import DEEPEST, parse_json, parse_yaml, read_yaml

TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20)
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
PLAIN = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda parts: st.lists(parts, max_size=4) | st.dictionaries(TEXT, parts, max_size=4),
    max_leaves=20,
)


@given(PLAIN)
def test_plain_data_are_read_as_they_were_written(value: object) -> None:
    assert parse_json(json.dumps(value)) == value
    assert parse_yaml(yaml.safe_dump(value, allow_unicode=True)) == value


def test_aliases_and_merges_are_read() -> None:
    assert parse_yaml("a: &x {b: 1}\nc: {<<: *x, b: 2}\nd: *x") == {"a": {"b": 1}, "c": {"b": 2}, "d": {"b": 1}}


@pytest.mark.parametrize("text", hostile_files.YAML_BOMBS[:16], ids=lambda text: text[:16])
def test_yaml_that_asks_for_too_much_is_refused_soon(text: str) -> None:
    began = time.process_time()
    with pytest.raises(ValueError, match=r"\w"):
        parse_yaml(text)
    assert time.process_time() - began < 2.0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: 1\na: 2", "'a' is there twice, line 2"),
        ("1: 2", "key 1 is no text"),
        ("rate: .nan", ".nan is no finite number, line 1"),
        ("rate: 18446744073709551616", "more than 64 bits"),
        ("&a [*a]", "refers to itself"),
        ("a: !!python/object/apply:os.getcwd []", "could not determine a constructor"),
    ],
)
def test_the_reason_is_named(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason.replace("(", r"\(")):
        parse_yaml(text)


def test_variables_are_not_replaced() -> None:
    text = "${oc.env:HOME} ${HOME} $HOME"
    assert parse_yaml(f"name: '{text}'") == {"name": text}


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * (DEEPEST + 1) + "1" + "}" * (DEEPEST + 1),
        "9" * 5000,
        str(2**64),
        '"\\ud800"',
        b"\xff",
        "",
    ],
    ids=range(7),
)
def test_json_that_asks_for_too_much_is_refused(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_json(text)


def test_a_large_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # without taking up room
    with pytest.raises(ValueError, match="more than"):
        read_yaml(path)
