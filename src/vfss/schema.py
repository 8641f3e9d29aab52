# SPDX-License-Identifier: Apache-2.0
"""Structures and schemas: which planes a mask has and how each structure behaves, as versioned data.

Nothing in the code knows a structure by name: what is rigid, what is joined to what, what holds the view still and what
is a substance are fields (docs/schema.md). Two schemas fit together when they have the same keys in the same order; the
other fields may differ.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from importlib import resources
from math import isfinite
from pathlib import Path
from typing import Any, Literal, get_args

from vfss.errors import SchemaError
from vfss.plain_data import check_plain, read_yaml

Motion = Literal["rigid", "soft"]
Kind = Literal["anatomy", "substance"]

SHIPPED = "vfss12"
"""Name of the schema that ships."""
HOLDS_FRAMES = 4.0
"""Frames that a propagated soft mask holds where the schema does not say."""

MOST_STRUCTURES = 256
_LONGEST = 200  # characters of a text
_KEY = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")
_COLOUR = re.compile(r"#[0-9A-Fa-f]{6}\Z")
_SCHEMA_FIELDS = ("id", "version", "title", "structures")
_BEHAVIOUR = ("motion", "chain", "stabilises_view", "holds_frames", "kind", "adapts", "aliases")


@dataclass(frozen=True)
class Code:
    """A coded concept, e.g. SNOMED CT 91609006 "Mandible"."""

    scheme: str
    value: str
    meaning: str


@dataclass(frozen=True)
class Structure:
    """One anatomical structure, or a substance such as the bolus: one plane of every mask.

    Attributes:
        key: Name in projects, datasets and student files; never changes.
        name: Name for people.
        index: Plane of the structure, counted from 0.
        colour: #RRGGBB.
        code: Coded concept; None where there is none.
        nests_in: Key of the structure that this one usually lies in; None where there is none.
        shortcut: Key binding; None where there is none.
        motion: "rigid" structures keep their shape and are moved as a whole; "soft" ones change their shape, so that
            propagation follows the dense flow and asks the student.
        chain: Name of the chain of rigid structures that this one is part of; None where it is part of none. Members
            that follow one another in the schema are joined: propagation lets them part and turn only a little.
        stabilises_view: True where the stabilised view holds the structure still; it takes at least two of them.
        holds_frames: Frames after which a propagated soft mask counts 1/e (37 %) beside the student's own.
        kind: "anatomy", or "substance" for what passes through; DICOM codes them differently.
        adapts: True where a clip-adapted student becomes better at the structure and may be trusted accordingly; False
            where it is wrong in ever other ways, as it is about a bolus.
        aliases: Other names under which imported masks may know the structure, whatever case and punctuation.
    """

    key: str
    name: str
    index: int
    colour: str
    code: Code | None = None
    nests_in: str | None = None
    shortcut: str | None = None
    motion: Motion = "soft"
    chain: str | None = None
    stabilises_view: bool = False
    holds_frames: float = HOLDS_FRAMES
    kind: Kind = "anatomy"
    adapts: bool = True
    aliases: tuple[str, ...] = ()

    @property
    def is_rigid(self) -> bool:
        """True where the structure keeps its shape."""
        return self.motion == "rigid"

    @property
    def rgb(self) -> tuple[int, int, int]:
        """Colour as red, green, blue in 0..255."""
        return int(self.colour[1:3], 16), int(self.colour[3:5], 16), int(self.colour[5:7], 16)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data: `motion` always, every other optional field where it differs from its default."""
        row: dict[str, Any] = {"key": self.key, "name": self.name, "colour": self.colour}
        if self.code is not None:
            row["code"] = {"scheme": self.code.scheme, "value": self.code.value, "meaning": self.code.meaning}
        for field in fields(self)[5:]:
            value = getattr(self, field.name)
            if field.name == "motion" or value != field.default:
                row[field.name] = list(value) if isinstance(value, tuple) else value
        return row


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
    def soft(self) -> tuple[str, ...]:
        """Keys of the structures that change their shape, in the order of planes."""
        return tuple(structure.key for structure in self.structures if not structure.is_rigid)

    @cached_property
    def chains(self) -> tuple[tuple[str, ...], ...]:
        """Keys of the members of each chain; those that follow one another are joined."""
        chains: dict[str, list[str]] = {}
        for structure in self.structures:
            if structure.chain is not None:
                chains.setdefault(structure.chain, []).append(structure.key)
        return tuple(map(tuple, chains.values()))

    @cached_property
    def stabilising(self) -> tuple[Structure, ...]:
        """Structures that the stabilised view holds still."""
        return tuple(structure for structure in self.structures if structure.stabilises_view)

    @cached_property
    def _by_key(self) -> dict[str, Structure]:
        return {structure.key: structure for structure in self.structures}

    def __getitem__(self, key: str) -> Structure:
        """Return the structure of that key.

        Raises:
            SchemaError: The schema has no such structure.
        """
        if key not in self._by_key:
            raise SchemaError(
                f"schema {self.id} {self.version} has no structure {key!r}", remedy=f"It has: {', '.join(self.keys)}."
            )
        return self._by_key[key]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, as written to projects, student files and datasets."""
        rows = [structure.to_dict() for structure in self.structures]
        return {"id": self.id, "version": self.version, "title": self.title, "structures": rows}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], source: str | Path | None = None) -> Schema:
        """Make a schema from plain data that a project, a student file or a dataset stores.

        Data without `motion` on any structure is of a version that had no such fields and knew structures by their
        keys. It means the same today: each structure takes these fields from the one of its key that ships. Fields that
        are not known here are of a later version, and are ignored.

        Raises:
            SchemaError: A field is missing or malformed.
        """
        try:
            check_plain(data)
            rows = [dict(row) for row in data["structures"]]
            if not any("motion" in row for row in rows):
                rows = _with_shipped_behaviour(rows)
            structures = tuple(_structure(i, row) for i, row in enumerate(rows))
            return cls(str(data["id"]), str(data["version"]), str(data.get("title", data["id"])), structures)
        except SchemaError as error:
            raise SchemaError(error.what, path=source, remedy=error.remedy) from error
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SchemaError(
                f"malformed schema ({error!r})",
                path=source,
                remedy="It needs id, version, and structures with key, name and colour each.",
            ) from error

    @classmethod
    def load(cls, name_or_path: str | Path = SHIPPED) -> Schema:
        """Load the schema that ships under that name, or a YAML file that a person wrote (docs/schema.md).

        In a file only what is written counts: a structure without `motion` is soft.

        Raises:
            SchemaError: No such schema, not readable as YAML, or a field that is missing, malformed or unknown.
        """
        shipped = resources.files("vfss.schemas") / f"{name_or_path}.yaml"
        path = Path(name_or_path)
        is_name = "/" not in str(name_or_path) and not path.suffix and shipped.is_file()
        if not is_name and not path.is_file():
            raise SchemaError("no such schema", path=name_or_path, remedy=f"Name a YAML file, or {SHIPPED}.")
        try:
            data = read_yaml(Path(str(shipped)) if is_name else path)
        except (OSError, ValueError) as error:
            raise SchemaError(
                f"not readable as YAML ({error})", path=name_or_path, remedy="See docs/schema.md for the form."
            ) from error
        if not isinstance(data, Mapping):
            raise SchemaError("not a mapping", path=name_or_path, remedy="See docs/schema.md for the form.")
        return cls.from_dict(_as_written(data, name_or_path), source=name_or_path)


def _as_written(data: Mapping[str, Any], source: str | Path) -> dict[str, Any]:
    """Data of a file with `motion` written out, and no field that is unknown."""
    _refuse_unknown(data, _SCHEMA_FIELDS, "the schema", source)
    rows = data.get("structures")
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise SchemaError(
            "structures is no list of structures", path=source, remedy="Give each structure a key, a name and a colour."
        )
    known = [field.name for field in fields(Structure) if field.name != "index"]
    for number, row in enumerate(rows, 1):
        _refuse_unknown(row, known, f"structure {row.get('key', number)!r}", source)
    return {**data, "structures": [{"motion": "soft", **row} for row in rows]}


def _refuse_unknown(row: Mapping[str, Any], known: Sequence[str], owner: str, source: str | Path) -> None:
    unknown = [str(name) for name in row if name not in known]
    if unknown:
        raise SchemaError(
            f"{owner} has an unknown field {unknown[0]!r}", path=source, remedy=f"There are: {', '.join(known)}."
        )


def _with_shipped_behaviour(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of an earlier version with the fields that the code knew by the structures' keys then."""
    shipped = Schema.load()
    names = {_plain(str(row[field])) for row in rows for field in ("key", "name")}
    filled, before, part = [], None, 0
    for row in rows:
        own = shipped[row["key"]] if row["key"] in shipped.keys else None
        behaviour = {} if own is None else {k: v for k, v in own.to_dict().items() if k in _BEHAVIOUR}
        if own is not None and own.chain is not None:
            # Only true neighbours were joined: a chain with a gap falls into two.
            part += before is not None and abs(own.index - before) != 1
            before = own.index
            behaviour["chain"] = f"{own.chain}_{part}" if part else own.chain
        # A name of another structure is no alias of this one.
        behaviour["aliases"] = [alias for alias in behaviour.get("aliases", ()) if _plain(alias) not in names]
        filled.append({**behaviour, **row})
    return filled


def _structure(index: int, row: Mapping[str, Any]) -> Structure:
    missing = [name for name in ("key", "name", "colour") if name not in row]
    if missing:
        raise SchemaError(
            f"structure {row.get('key', index + 1)!r} has no {missing[0]}",
            remedy="Give each structure a key, a name and a colour.",
        )
    code = row.get("code")
    behaviour = {name: row[name] for name in _BEHAVIOUR if row.get(name) is not None}
    if isinstance(behaviour.get("aliases"), list):
        behaviour["aliases"] = tuple(map(str, behaviour["aliases"]))
    if "chain" in behaviour:
        behaviour["chain"] = str(behaviour["chain"])
    return Structure(
        key=str(row["key"]),
        name=str(row["name"]),
        index=index,
        colour=str(row["colour"]),
        code=None if code is None else Code(str(code["scheme"]), str(code["value"]), str(code["meaning"])),
        nests_in=row.get("nests_in"),
        shortcut=None if row.get("shortcut") is None else str(row["shortcut"]),
        **behaviour,
    )


def _check(schema: Schema) -> None:
    _check_texts("the schema", (schema.id, schema.version, schema.title))
    keys = schema.keys
    if not keys:
        raise SchemaError(f"schema {schema.id} has no structures")
    if len(keys) > MOST_STRUCTURES:
        raise SchemaError(f"schema {schema.id} has {len(keys)} structures, more than {MOST_STRUCTURES}")
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
        _check_behaviour(structure)
    _check_aliases(schema.structures)


def _check_texts(owner: str, texts: Iterable[str | None]) -> None:
    for text in texts:
        if text is not None and not (isinstance(text, str) and len(text) <= _LONGEST and text.isprintable()):
            raise SchemaError(
                f"{owner} has the text {reprlib.repr(text)}",
                remedy=f"Write at most {_LONGEST} characters, without line breaks and other invisible ones.",
            )


def _check_behaviour(structure: Structure) -> None:
    owner = f"structure {structure.key!r}"
    if not isinstance(structure.aliases, tuple):
        raise SchemaError(f"{owner} has aliases {structure.aliases!r}", remedy="Write a list of names.")
    code = structure.code
    coded = () if code is None else (code.scheme, code.value, code.meaning)
    _check_texts(owner, (structure.name, structure.shortcut, structure.chain, *coded, *structure.aliases))
    choices: tuple[tuple[str, tuple[str, ...]], ...] = (("motion", get_args(Motion)), ("kind", get_args(Kind)))
    for field, allowed in choices:
        if (value := getattr(structure, field)) not in allowed:
            raise SchemaError(f"{owner} has {field} {value!r}", remedy=f"Write {' or '.join(allowed)}.")
    for field in ("stabilises_view", "adapts"):
        if not isinstance(value := getattr(structure, field), bool):
            raise SchemaError(f"{owner} has {field} {value!r}", remedy="Write true or false.")
    if structure.chain is not None and not structure.is_rigid:
        raise SchemaError(
            f"{owner} is soft and part of chain {structure.chain!r}",
            remedy="Only rigid structures have joints: write motion: rigid, or leave the chain out.",
        )
    frames = structure.holds_frames
    if isinstance(frames, bool) or not isinstance(frames, int | float) or not (isfinite(frames) and frames > 0):
        raise SchemaError(f"{owner} has holds_frames {frames!r}", remedy="Write a number of frames above 0.")


def _check_aliases(structures: Iterable[Structure]) -> None:
    """Refuse a name that two structures claim: an imported mask could be either."""
    structures = tuple(structures)
    owners = {_plain(name): s.key for s in structures for name in (s.name, s.key)}
    for structure in structures:
        for alias in structure.aliases:
            owner = owners.setdefault(_plain(alias), structure.key)
            if owner != structure.key or not _plain(alias):
                raise SchemaError(
                    f"alias {alias!r} of structure {structure.key!r} is a name of structure {owner!r} too"
                    if owner != structure.key
                    else f"alias {alias!r} of structure {structure.key!r} has no letters or digits",
                    remedy="Leave it out, or change it: an alias tells one structure from all others.",
                )


def _plain(name: str) -> str:
    """A name without case, spaces and punctuation."""
    return "".join(character for character in name.casefold() if character.isalnum())
