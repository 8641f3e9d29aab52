# SPDX-License-Identifier: Apache-2.0
"""JSON and YAML of files that anybody may have written: read within bounds, or refused with a ValueError.

A few bytes can ask for all memory or time: aliases that multiply, brackets within brackets, numbers of a million
digits. Nothing in such a text is executed, looked up or replaced by something else.
"""

from __future__ import annotations

import json
from collections.abc import Hashable
from math import isfinite
from pathlib import Path
from typing import Any

import yaml

DEEPEST = 64
"""Levels of lists and mappings within one another."""
_LONGEST_YAML = 1 << 18  # characters
_LARGEST_YAML = 20_000  # values, counted again wherever an alias repeats them
_LONGEST_SCALAR = 1 << 13  # characters of one YAML value
_LARGEST_NUMBER = 1 << 63


def parse_json(text: str | bytes) -> Any:
    """Return the value of a JSON text, at most `DEEPEST` levels deep.

    NaN and infinity are read, as Python writes them: which values may be missing is the caller's knowledge.

    Raises:
        ValueError: It is not JSON, not UTF-8, too deep, or has a number too large for 64 bits.
    """
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise ValueError(f"more than {DEEPEST} levels of brackets") from error
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise
    except ValueError as error:  # of more digits than Python converts
        raise ValueError("a whole number with more than 64 bits") from error
    check_plain(value)
    return value


def check_plain(value: Any) -> None:
    """Refuse plain data that are too deep, or with a number too large for 64 bits, or text that cannot be written.

    Raises:
        ValueError: They are.
    """
    pending = [(value, 0)]
    while pending:
        item, depth = pending.pop()
        if isinstance(item, dict | list):
            if depth >= DEEPEST:
                raise ValueError(f"more than {DEEPEST} levels of brackets")
            pending += [(part, depth + 1) for part in item]  # keys of a mapping
            if isinstance(item, dict):
                pending += [(part, depth + 1) for part in item.values()]
        elif isinstance(item, str) and not item.isascii():
            item.encode()  # UnicodeEncodeError, a ValueError, for half a character
        elif isinstance(item, int) and not -_LARGEST_NUMBER <= item < _LARGEST_NUMBER:
            raise ValueError("a whole number with more than 64 bits")


def read_yaml(path: Path) -> Any:
    """Return the value of a YAML file that a person wrote; see parse_yaml.

    Raises:
        ValueError: It is not UTF-8, or parse_yaml refuses it.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        content = file.read(4 * _LONGEST_YAML + 1)
    if len(content) > 4 * _LONGEST_YAML:
        raise ValueError(f"more than {_LONGEST_YAML:,} characters")
    return parse_yaml(content.decode("utf-8"))


def parse_yaml(text: str) -> Any:
    """Return the value of a YAML text that a person wrote; keys of mappings are text.

    Raises:
        ValueError: It is not YAML, or larger than any such file need be; a key is there twice or is no text; a number
            is infinite, not a number, or has more than 64 bits; a value refers to itself.
    """
    if len(text) > _LONGEST_YAML:
        raise ValueError(f"{len(text):,} characters, more than {_LONGEST_YAML:,}")
    try:
        return _BoundedLoader(text).get_single_data()
    except yaml.MarkedYAMLError as error:
        raise ValueError(str(error)) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error
    except (ArithmeticError, AttributeError, LookupError, TypeError) as error:  # "!!bool perhaps" is a KeyError there
        raise ValueError(f"a value does not fit its tag ({error!r})") from error


class _BoundedLoader(yaml.SafeLoader):
    """YAML's safe loader with bounds on depth, size and numbers, and unique textual keys."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise ValueError(f"more than {DEEPEST} levels of lists and mappings")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def get_single_node(self) -> Any:
        node = super().get_single_node()
        if node is not None and _size(node, {}) > _LARGEST_YAML:
            raise ValueError(f"more than {_LARGEST_YAML:,} values, with those that aliases repeat")
        return node

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        if isinstance(node, yaml.ScalarNode) and len(node.value) > _LONGEST_SCALAR:
            raise ValueError(f"a value of {len(node.value):,} characters, more than {_LONGEST_SCALAR:,}")
        return super().construct_scalar(node)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        written: set[str] = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if isinstance(key, yaml.ScalarNode) and not _merges(key):
                if key.value in written:
                    raise ValueError(f"{key.value!r} is there twice, line {key.start_mark.line + 1}")
                written.add(key.value)
        mapping = super().construct_mapping(node, deep)
        odd = next((key for key in mapping if not isinstance(key, str)), None)
        if odd is not None:
            raise ValueError(f"the key {odd!r} is no text, line {node.start_mark.line + 1}; put it in quotes")
        return mapping


def _finite(loader: _BoundedLoader, node: yaml.ScalarNode) -> float:
    value = float(yaml.SafeLoader.construct_yaml_float(loader, node))
    if not isfinite(value):
        raise ValueError(f"{node.value} is no finite number, line {node.start_mark.line + 1}")
    return value


def _whole(loader: _BoundedLoader, node: yaml.ScalarNode) -> int:
    value = int(yaml.SafeLoader.construct_yaml_int(loader, node))
    if not -_LARGEST_NUMBER <= value < _LARGEST_NUMBER:
        raise ValueError(f"a whole number with more than 64 bits, line {node.start_mark.line + 1}")
    return value


_BoundedLoader.add_constructor("tag:yaml.org,2002:float", _finite)
_BoundedLoader.add_constructor("tag:yaml.org,2002:int", _whole)


def _merges(key: yaml.ScalarNode) -> bool:
    return key.tag == "tag:yaml.org,2002:merge"


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """Return the number of values in a node, with those that aliases repeat.

    Args:
        node: The node.
        known: Sizes of nodes by identity; 0 while a node is being counted.

    Raises:
        ValueError: A value refers to itself.
    """
    if id(node) in known:
        if not known[id(node)]:
            raise ValueError(f"a value refers to itself, line {node.start_mark.line + 1}")
        return known[id(node)]
    known[id(node)] = 0
    total = 1
    if isinstance(node, yaml.SequenceNode):
        total += sum(_size(part, known) for part in node.value)
    elif isinstance(node, yaml.MappingNode):
        total += sum(_size(part, known) for pair in node.value for part in pair)
    known[id(node)] = total
    return total
