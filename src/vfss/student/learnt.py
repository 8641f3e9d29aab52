# SPDX-License-Identifier: Apache-2.0
"""Which structures of its schema a student has learnt: on those that nobody annotated its output means nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from safetensors import SafetensorError, safe_open

from vfss.errors import SchemaError, StudentError
from vfss.schema import Schema

FIELD = "learnt"
"""Field of a student file's header; a file without it has learnt all structures of its schema."""

_MOST_FRAMES = 2**53  # what JSON of other programs can hold exactly
_REMEDY = "Copy or download the file again, or choose another student."


def learnt_to_json(learnt: Mapping[str, int]) -> str:
    """Return the text of the header's field."""
    return json.dumps(dict(learnt), sort_keys=True)


def learnt_from_json(text: str, keys: Sequence[str]) -> dict[str, int]:
    """Parse the header's field.

    Args:
        text: A JSON object: annotated frames by key of structure.
        keys: Structures of the student's schema.

    Returns:
        The same in the order of the schema.

    Raises:
        StudentError: It is no such object, or names a structure that the schema lacks.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise StudentError(f"the list of learnt structures is not JSON ({error})", remedy=_REMEDY) from error
    if not isinstance(data, dict):
        raise StudentError("the list of learnt structures is not a JSON object", remedy=_REMEDY)
    unknown = [key for key in data if key not in keys]
    if unknown:
        raise StudentError(f"it has learnt {unknown[0]!r}, which is no structure of its schema", remedy=_REMEDY)
    for key, frames in data.items():
        if isinstance(frames, bool) or not isinstance(frames, int) or not 0 <= frames <= _MOST_FRAMES:
            raise StudentError(f"it has learnt {key} from {frames!r} frames, which is no number", remedy=_REMEDY)
    return {key: data[key] for key in keys if key in data}


def learnt_keys(schema: Schema, learnt: Mapping[str, int] | None) -> tuple[str, ...]:
    """Return the keys of the structures that a student has learnt, in the order of its schema.

    Args:
        schema: Structures of the student.
        learnt: Its record of them; None: there is no record, it has learnt all.
    """
    return schema.keys if learnt is None else tuple(key for key in schema.keys if key in learnt)


def read_learnt_keys(path: Path) -> tuple[str, ...]:
    """Return the keys of the structures that the student of a file has learnt, from the file's header alone.

    Raises:
        StudentError: There is no such file, or its header is not that of a student.
    """
    if not path.is_file():
        raise StudentError("no such student file", path=path, remedy="Choose another student.")
    try:
        with safe_open(path, framework="numpy") as opened:
            header = dict(opened.metadata() or {})
        schema = Schema.from_dict(json.loads(header["schema"]), source=path)
        learnt = learnt_from_json(header[FIELD], schema.keys) if FIELD in header else None
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RecursionError, SchemaError) as error:
        raise StudentError(f"its header cannot be read ({error})", path=path, remedy=_REMEDY) from error
    return learnt_keys(schema, learnt)


def names_listed(schema: Schema, keys: Sequence[str]) -> str:
    """Return the names of structures for a sentence: "Valve", "Valve and Stent", "Valve, Stent and Clip"."""
    *first, last = [schema[key].name for key in keys]
    return f"{', '.join(first)} and {last}" if first else last
