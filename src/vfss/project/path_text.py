# SPDX-License-Identifier: Apache-2.0
"""Paths as text in a database, which takes Unicode only: a name on a disk can be any bytes."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

_BYTES = "bytes:"


def path_to_text(path: Path) -> str:
    """Return a path as text, with "/" between its parts; one that is not Unicode as "bytes:" and its bytes quoted."""
    text = path.as_posix()
    try:
        text.encode()
    except UnicodeEncodeError:
        return _BYTES + quote(os.fsencode(text))
    return f"./{text}" if text.startswith(_BYTES) else text


def text_to_path(text: str) -> Path:
    """Return the path that path_to_text wrote as text."""
    return Path(os.fsdecode(unquote_to_bytes(text[len(_BYTES) :])) if text.startswith(_BYTES) else text)
