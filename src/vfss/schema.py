# SPDX-License-Identifier: Apache-2.0
"""Structures and schemas: which planes a mask has, as versioned data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from vfss.errors import SchemaError

_KEY = re.compile(r"[a-z][a-z0-9_]*\Z")
_COLOUR = re.compile(r"#[0-9A-Fa-f]{6}\Z")


@dataclass(frozen=True)
class Code:
    """A coded concept, e.g. SNOMED CT 91609006 "Mandible"."""

    scheme: str
    value: str
    meaning: str


@dataclass(frozen=True)
class Structure:
    """One anatomical structure, or the bolus: one plane of every mask."""

    key: str
    name: str
    index: int
    colour: str
    code: Code | None = None
    nests_in: str | None = None
    shortcut: str | None = None

    @property
    def rgb(self) -> tuple[int, int, int]:
        """Colour as red, green, blue in 0..255."""
        return int(self.colour[1:3], 16), int(self.colour[3:5], 16), int(self.colour[5:7], 16)


@dataclass(frozen=True)
class Schema:
    """An ordered, versioned list of structures; plane i of a mask is structures[i]."""

    id: str
    version: str
    title: str
    structures: tuple[Structure, ...]

    def __post_init__(self) -> None:
        _check(self)

    def __len__(self) -> int:
        return len(self.structures)

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys in the order of planes."""
        return tuple(structure.key for structure in self.structures)

    @cached_property
    def _by_key(self) -> dict[str, Structure]:
        return {structure.key: structure for structure in self.structures}

    def __getitem__(self, key: str) -> Structure:
        """Structure of that key.

        Raises:
            SchemaError: The schema has no such structure.
        """
        if key not in self._by_key:
            raise SchemaError(
                f"schema {self.id} {self.version} has no structure {key!r}", remedy=f"It has: {', '.join(self.keys)}."
            )
        return self._by_key[key]

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as written to YAML and JSON."""
        rows = [{k: v for k, v in asdict(s).items() if k != "index" and v is not None} for s in self.structures]
        return {"id": self.id, "version": self.version, "title": self.title, "structures": rows}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], source: str | Path | None = None) -> Schema:
        """Schema from plain data.

        Raises:
            SchemaError: A field is missing or malformed.
        """
        try:
            rows = tuple(_structure(i, row) for i, row in enumerate(data["structures"]))
            return cls(str(data["id"]), str(data["version"]), str(data.get("title", data["id"])), rows)
        except (KeyError, TypeError, AttributeError) as error:
            raise SchemaError(
                f"malformed schema ({error!r})",
                path=source,
                remedy="It needs id, version, and structures with key, name and colour each.",
            ) from error

    @classmethod
    def load(cls, name_or_path: str | Path = "vfss12") -> Schema:
        """Schema that ships under that name, or from a YAML file of the user.

        Raises:
            SchemaError: No such schema, or malformed YAML.
        """
        shipped = resources.files("vfss.schemas") / f"{name_or_path}.yaml"
        path = Path(name_or_path)
        is_name = "/" not in str(name_or_path) and not path.suffix and shipped.is_file()
        if not is_name and not path.is_file():
            raise SchemaError("no such schema", path=name_or_path, remedy="Name a YAML file, or vfss12.")
        try:
            data = yaml.safe_load(shipped.read_text("utf-8") if is_name else path.read_text("utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise SchemaError(f"not readable as YAML ({error})", path=name_or_path) from error
        if not isinstance(data, Mapping):
            raise SchemaError("not a mapping", path=name_or_path, remedy="See vfss12.yaml for the form.")
        return cls.from_dict(data, source=name_or_path)


def _structure(index: int, row: Mapping[str, Any]) -> Structure:
    code = row.get("code")
    return Structure(
        key=str(row["key"]),
        name=str(row["name"]),
        index=index,
        colour=str(row["colour"]),
        code=None if code is None else Code(str(code["scheme"]), str(code["value"]), str(code["meaning"])),
        nests_in=row.get("nests_in"),
        shortcut=None if row.get("shortcut") is None else str(row["shortcut"]),
    )


def _check(schema: Schema) -> None:
    keys = schema.keys
    if not keys:
        raise SchemaError(f"schema {schema.id} has no structures")
    if len(set(keys)) != len(keys):
        raise SchemaError(f"schema {schema.id} names a structure twice: {', '.join(keys)}")
    shortcuts = [s.shortcut for s in schema.structures if s.shortcut is not None]
    if len(set(shortcuts)) != len(shortcuts):
        raise SchemaError(f"schema {schema.id} gives one key binding to two structures")
    for i, structure in enumerate(schema.structures):
        if structure.index != i:
            raise SchemaError(f"structure {structure.key!r} has index {structure.index}, stands at {i}")
        if not _KEY.match(structure.key):
            raise SchemaError(
                f"structure key {structure.key!r} is malformed", remedy="Use a-z, 0-9 and _, a letter first."
            )
        if not _COLOUR.match(structure.colour):
            raise SchemaError(f"structure {structure.key!r} has colour {structure.colour!r}", remedy="Write #RRGGBB.")
        if structure.nests_in is not None and structure.nests_in not in keys:
            raise SchemaError(f"structure {structure.key!r} nests in {structure.nests_in!r}, which does not exist")
