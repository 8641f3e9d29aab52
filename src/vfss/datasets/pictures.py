# SPDX-License-Identifier: Apache-2.0
"""Frames as PNG beside the annotations, for the formats that have them so."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import imageio.v3 as iio

from vfss.datasets.selection import AnnotatedFrame

FOLDER = "images"
LEVEL = 1
"""How hard PNG tries: grain cannot be pressed much, a higher level takes three times as long for a few percent."""


def stem(fields: Mapping[str, Any]) -> str:
    """File name of a frame without suffix: name of the recording and frame index."""
    return f"{fields['clip']}_{fields['frame']:06d}"


def write_picture(folder: Path, fields: Mapping[str, Any], frame: AnnotatedFrame) -> str:
    """Write the grey values as they are, uint8 or uint16 (H, W).

    Args:
        folder: The dataset.
        fields: What describes the frame.
        frame: The frame.

    Returns:
        Its path in the dataset, "/" between parts.
    """
    name = f"{FOLDER}/{stem(fields)}.png"
    (folder / FOLDER).mkdir(exist_ok=True)
    iio.imwrite(folder / name, frame.pixels, extension=".png", compress_level=LEVEL)
    return name
