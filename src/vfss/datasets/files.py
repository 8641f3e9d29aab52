# SPDX-License-Identifier: Apache-2.0
"""Picture files of a dataset, named alike in all formats."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vfss.datasets.selection import AnnotatedFrame
from vfss.output.png_files import write_png

FOLDER = "images"
LEVEL = 1
"""Compression level of PNG: noise compresses little, a higher level takes three times as long for a few percent."""


def stem(fields: Mapping[str, Any]) -> str:
    """Return the file name of a frame without suffix: name of the recording and frame index."""
    return f"{fields['clip']}_{fields['frame']:06d}"


def write_picture(folder: Path, fields: Mapping[str, Any], frame: AnnotatedFrame) -> str:
    """Write the grey values of a frame unchanged, uint8 or uint16 (H, W).

    Args:
        folder: Folder of the dataset.
        fields: Fields that describe the frame.
        frame: Frame to write.

    Returns:
        Path of the file in the dataset, with "/" between parts.
    """
    name = f"{FOLDER}/{stem(fields)}.png"
    (folder / FOLDER).mkdir(exist_ok=True)
    write_png(folder / name, frame.pixels, compress_level=LEVEL)
    return name
