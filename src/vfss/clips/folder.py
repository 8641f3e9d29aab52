# SPDX-License-Identifier: Apache-2.0
"""Which files of a folder are frames of a recording, and in which order."""

from __future__ import annotations

import os
import re
from pathlib import Path

PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg"})


def picture_files(folder: Path) -> list[Path]:
    """PNG and JPEG files directly in `folder`, hidden ones left out, numbers in names counted as numbers (2 before 10).

    Raises:
        OSError: The folder cannot be listed.
    """
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if is_picture(entry.name) and entry.is_file()]
    return [folder / name for name in sorted(names, key=_natural)]


def is_picture(name: str) -> bool:
    """Whether a file of this name is a frame of a recording kept as a folder of pictures."""
    return not name.startswith(".") and Path(name).suffix.lower() in PICTURE_SUFFIXES


def _natural(name: str) -> tuple[list[tuple[int, int, str]], str]:
    # ASCII digits only: str.isdigit also takes superscripts, which int() does not read.
    parts = re.split(r"([0-9]+)", name.casefold())
    return [(0, int(part), "") if i % 2 else (1, 0, part) for i, part in enumerate(parts)], name
