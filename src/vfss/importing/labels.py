# SPDX-License-Identifier: Apache-2.0
"""Which structure a foreign label is: by its name, title, code or a common other word, and by what a person says."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vfss.errors import DatasetError
from vfss.importing.source import ForeignLabel
from vfss.schema import Schema, Structure

_FILLERS = frozenset({"body", "structure", "mask", "label", "segmentation", "the", "of"})
_IDLE = _FILLERS | {"vertebra", "vertebrae", "vertebral", "cervical"}  # they tell nothing beside "C2"


@dataclass(frozen=True)
class LabelMatch:
    """What becomes of the labels of a source.

    Attributes:
        structures: Key of the structure by label.
        skipped: Labels that a person left out.
        unknown: Labels that are no structure of the project, as far as their names tell.
    """

    structures: Mapping[str, str]
    skipped: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def candidates(label: ForeignLabel, schema: Schema) -> tuple[str, ...]:
    """Keys of the structures that a label may be, in the order of the schema; none or several where it is not plain.

    A label that is a key to the letter is that structure, unless its code says that it is another.
    """
    by_code = {s.key for s in schema.structures if label.code is not None and s.code and s.code.value == label.code}
    if label.name in schema.keys:
        found = by_code | {label.name}
    else:
        found = by_code | _by_name(label.name, schema)
        found = found or _by_name(label.title, schema)
    return tuple(key for key in schema.keys if key in found)


def suggested(labels: Sequence[ForeignLabel], schema: Schema) -> dict[str, str | None]:
    """Choices to begin with: the structure of each label that can only be one, and that no other label can be.

    None stands for labels of which a person must say what they are; until then they are left out.
    """
    maybe = {label.name: candidates(label, schema) for label in labels}
    claims = Counter(key for keys in maybe.values() for key in keys)
    return {name: keys[0] if len(keys) == 1 and claims[keys[0]] == 1 else None for name, keys in maybe.items()}


def match_labels(
    labels: Sequence[ForeignLabel], schema: Schema, choices: Mapping[str, str | None] | None = None
) -> LabelMatch:
    """Structures of labels.

    Args:
        labels: Labels of a source.
        schema: Structures of the project.
        choices: What a person says: key of a structure by label, None to leave the label out. Labels that are all
            named here with one structure are united in it.

    Raises:
        DatasetError: A choice is of no label, a label may be several structures, or several labels are one.
        SchemaError: A choice is of no structure.
    """
    choices = choices or {}
    names = [label.name for label in labels]
    for name, key in choices.items():
        if name not in names:
            raise DatasetError(f"there is no label {name!r} in the source", remedy=f"It has: {', '.join(names)}.")
        if key is not None:
            _ = schema[key]
    found: dict[str, str] = {}
    unknown = []
    for label in labels:
        if label.name in choices:
            chosen = choices[label.name]
            if chosen is not None:
                found[label.name] = chosen
        elif len(maybe := candidates(label, schema)) > 1:
            raise DatasetError(
                f"label {label.name!r} may be {' or '.join(maybe)}" + (f" (code {label.code})" if label.code else ""),
                remedy=f"Say which it is (--map {label.name!r}=KEY) or leave it out (--skip {label.name!r}).",
            )
        elif maybe:
            found[label.name] = maybe[0]
        else:
            unknown.append(label.name)
    _refuse_union(found, choices)
    return LabelMatch(found, tuple(n for n in names if choices.get(n, n) is None), tuple(unknown))


def _refuse_union(found: Mapping[str, str], choices: Mapping[str, str | None]) -> None:
    """Several labels become one structure only where a person named each of them."""
    together: dict[str, list[str]] = defaultdict(list)
    for name, key in found.items():
        together[key].append(name)
    for key, names in together.items():
        if len(names) > 1 and any(name not in choices for name in names):
            said = " ".join(f"--map {name!r}={key}" for name in names)
            raise DatasetError(
                f"labels {', '.join(map(repr, names))} would all be {key}",
                remedy=f"To unite them say so for each ({said}); else leave out what is another thing (--skip).",
            )


def _by_name(name: str, schema: Schema) -> set[str]:
    said = _forms(name)
    return {s.key for s in schema.structures if said & _names(s)} if said else set()


def _names(structure: Structure) -> set[str]:
    """All plain forms under which a structure is known."""
    aliases = {form for alias in structure.aliases for form in _forms(alias, frozenset())}
    meaning = _forms(structure.code.meaning) if structure.code else set()
    return {*_forms(structure.key), *_forms(structure.name), *aliases, *meaning}


def _forms(name: str, idle: frozenset[str] = _IDLE) -> set[str]:
    """Return a name without case, spaces and punctuation, and again without words that tell nothing.

    "C2 vertebra" is "c2vertebra" and "c2"; "Cervical vertebra 02" is "cervicalvertebra2" too, but a bare number is no
    name. Of an alias every word counts.
    """
    words = re.findall(r"[a-z]+|[0-9]+", name.casefold())
    numbered = [word.lstrip("0") or "0" if word.isdigit() else word for word in words]
    forms = {"".join(words), "".join(word for word in numbered if word not in idle & _FILLERS)}
    forms.add("".join(word for word in numbered if word not in idle))
    return {form for form in forms if form}
