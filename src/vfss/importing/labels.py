# SPDX-License-Identifier: Apache-2.0
"""Match foreign labels to structures: by key, name, title, code or alias, and by what a person chose."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vfss.errors import DatasetError
from vfss.importing.source import ForeignLabel
from vfss.schema import Schema, Structure

_FILLERS = frozenset({"body", "structure", "mask", "label", "segmentation", "the", "of"})
_UNINFORMATIVE = _FILLERS | {"vertebra", "vertebrae", "vertebral", "cervical"}  # beside "C2"


@dataclass(frozen=True)
class LabelMatch:
    """Structures to which the labels of a source are mapped.

    Attributes:
        structures: Key of the structure by label.
        skipped: Labels that a person left out.
        unknown: Labels that match no structure of the project.
    """

    structures: Mapping[str, str]
    skipped: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def candidates(label: ForeignLabel, schema: Schema) -> tuple[str, ...]:
    """Return the keys of the structures that a label may be, in the order of the schema; several if it is ambiguous.

    A label that equals a key is that structure, unless its code is that of another one.
    """
    by_code = {s.key for s in schema.structures if label.code is not None and s.code and s.code.value == label.code}
    if label.name in schema.keys:
        keys = by_code | {label.name}
    else:
        keys = by_code | _by_name(label.name, schema)
        keys = keys or _by_name(label.title, schema)
    return tuple(key for key in schema.keys if key in keys)


def suggested(labels: Sequence[ForeignLabel], schema: Schema) -> dict[str, str | None]:
    """Return initial choices: the structure of each label that can only be that one, and that no other label can be.

    None stands for labels that a person must map; until then they are left out.
    """
    options = {label.name: candidates(label, schema) for label in labels}
    claims = Counter(key for keys in options.values() for key in keys)
    return {name: keys[0] if len(keys) == 1 and claims[keys[0]] == 1 else None for name, keys in options.items()}


def match_labels(
    labels: Sequence[ForeignLabel], schema: Schema, choices: Mapping[str, str | None] | None = None
) -> LabelMatch:
    """Map labels to structures.

    Args:
        labels: Labels of a source.
        schema: Structures of the project.
        choices: A person's choices: key of a structure by label, None to leave the label out. Labels that are all
            given one structure here are united in it.

    Raises:
        DatasetError: A choice names an unknown label, a label may be several structures, or several labels are one.
        SchemaError: A choice names an unknown structure.
    """
    choices = choices or {}
    names = [label.name for label in labels]
    _check_choices(names, schema, choices)
    structures: dict[str, str] = {}
    unknown = []
    for label in labels:
        if label.name in choices:
            chosen = choices[label.name]
            if chosen is not None:
                structures[label.name] = chosen
        elif len(keys := candidates(label, schema)) > 1:
            raise DatasetError(
                f"label {label.name!r} may be {' or '.join(keys)}" + (f" (code {label.code})" if label.code else ""),
                remedy=f"Choose which it is (--map {label.name!r}=KEY) or leave it out (--skip {label.name!r}).",
            )
        elif keys:
            structures[label.name] = keys[0]
        else:
            unknown.append(label.name)
    _check_unions(structures, choices)
    return LabelMatch(structures, tuple(n for n in names if choices.get(n, n) is None), tuple(unknown))


def _check_choices(names: Sequence[str], schema: Schema, choices: Mapping[str, str | None]) -> None:
    """Refuse choices of labels that the source does not have, or of structures that the project does not have."""
    for name, key in choices.items():
        if name not in names:
            raise DatasetError(
                f"there is no label {name!r} in the source", remedy=f"Its labels are: {', '.join(names)}."
            )
        if key is not None:
            _ = schema[key]


def _check_unions(structures: Mapping[str, str], choices: Mapping[str, str | None]) -> None:
    """Refuse that several labels become one structure, unless a person mapped each of them."""
    labels_of: dict[str, list[str]] = defaultdict(list)
    for name, key in structures.items():
        labels_of[key].append(name)
    for key, names in labels_of.items():
        if len(names) > 1 and any(name not in choices for name in names):
            options = " ".join(f"--map {name!r}={key}" for name in names)
            raise DatasetError(
                f"labels {', '.join(map(repr, names))} would all be {key}",
                remedy=f"To unite them map each of them ({options}); else leave out those that differ (--skip).",
            )


def _by_name(name: str, schema: Schema) -> set[str]:
    forms = _forms(name)
    return {s.key for s in schema.structures if forms & _names(s)} if forms else set()


def _names(structure: Structure) -> set[str]:
    """Return all normalised forms of a structure's names."""
    aliases = {form for alias in structure.aliases for form in _forms(alias, frozenset())}
    meaning = _forms(structure.code.meaning) if structure.code else set()
    return {*_forms(structure.key), *_forms(structure.name), *aliases, *meaning}


def _forms(name: str, dropped: frozenset[str] = _UNINFORMATIVE) -> set[str]:
    """Return a name without case, spaces and punctuation, and again without uninformative words.

    "C2 vertebra" is "c2vertebra" and "c2"; "Cervical vertebra 02" is "cervicalvertebra2" too, but a bare number is no
    name. Of an alias every word counts.
    """
    words = re.findall(r"[a-z]+|[0-9]+", name.casefold())
    numbered = [word.lstrip("0") or "0" if word.isdigit() else word for word in words]
    forms = {"".join(words), "".join(word for word in numbered if word not in dropped & _FILLERS)}
    forms.add("".join(word for word in numbered if word not in dropped))
    return {form for form in forms if form}
