# SPDX-License-Identifier: Apache-2.0
"""What the header of a student file tells, read without its weights: a list of students must not load each of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from vfss.errors import SchemaError, StudentError
from vfss.plain_data import parse_json
from vfss.schema import Schema
from vfss.student.learnt import FIELD, learnt_from_json

_REMEDY = "Copy or download the file again, or choose another student."


@dataclass(frozen=True)
class Facts:
    """What a file tells of its student. Nothing of it is verified: for that, the file is loaded.

    Attributes:
        id: Id of the student.
        provenance: How the file was made.
        learnt: Annotated frames by key of structure; None where it is not recorded.
    """

    id: str
    provenance: Mapping[str, Any]
    learnt: Mapping[str, int] | None


def read_facts(path: Path) -> Facts:
    """Read the header of a student file.

    Raises:
        StudentError: There is no such file, or its header is not that of a student.
    """
    if not path.is_file():
        raise StudentError("no such student file", path=path, remedy="Choose another student.")
    try:
        with safe_open(path, framework="numpy") as opened:
            header = dict(opened.metadata() or {})
        provenance = parse_json(header["provenance"])
        schema = Schema.from_dict(parse_json(header["schema"]), source=path)
        learnt = learnt_from_json(header[FIELD], schema.keys) if FIELD in header else None
        digest = header["digest"]
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RecursionError, SchemaError) as error:
        raise StudentError(f"its header cannot be read ({error})", path=path, remedy=_REMEDY) from error
    return Facts(f"st-{digest[:24]}", provenance if isinstance(provenance, dict) else {}, learnt)
