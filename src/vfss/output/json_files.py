# SPDX-License-Identifier: Apache-2.0
"""JSON files: UTF-8, without NaN and infinity, long lists written entry by entry."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def to_json(data: Any) -> str:
    """Return data as one line of JSON.

    Raises:
        ValueError: It contains NaN or infinity, which JSON does not have.
    """
    return json.dumps(data, ensure_ascii=False, allow_nan=False)


def write_json(path: Path, data: Mapping[str, Any], **lists: Iterable[Mapping[str, Any]]) -> None:
    """Write a JSON object.

    Args:
        path: The file.
        data: Its members, at least one.
        lists: Further members that are lists; their entries are never held in memory all at once.
    """
    with path.open("w", encoding="utf-8") as file:
        file.write(to_json(data)[:-1])
        for name, entries in lists.items():
            file.write(f', "{name}": [')
            for i, entry in enumerate(entries):
                file.write((", " if i else "") + to_json(entry))
            file.write("]")
        file.write("}\n")
