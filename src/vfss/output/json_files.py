# SPDX-License-Identifier: Apache-2.0
"""JSON on disk: UTF-8, plain numbers only, long lists written entry by entry."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def to_json(data: Any) -> str:
    """One line of JSON; numbers that JSON does not know are refused."""
    return json.dumps(data, ensure_ascii=False, allow_nan=False)


def write_json(path: Path, data: Mapping[str, Any], **lists: Iterable[Mapping[str, Any]]) -> None:
    """Write an object.

    Args:
        path: The file.
        data: Its members, one at least.
        lists: Further members that are lists; their entries are never held all at once.
    """
    with path.open("w", encoding="utf-8") as file:
        file.write(to_json(data)[:-1])
        for name, entries in lists.items():
            file.write(f', "{name}": [')
            for i, entry in enumerate(entries):
                file.write((", " if i else "") + to_json(entry))
            file.write("]")
        file.write("}\n")
