# SPDX-License-Identifier: Apache-2.0
"""PNG files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy.typing as npt


def write_png(path: Path, pixels: npt.NDArray[Any], **options: Any) -> None:
    """Write a picture.

    It is encoded in memory first: a library that meets a full disk while it holds the file open tries to close it again
    when nobody can catch the error any more.

    Args:
        path: The file.
        pixels: uint8 or uint16 (H, W), or uint8 (H, W, 3).
        options: Of imageio's writer, such as compress_level.

    Raises:
        OSError: It cannot be written.
    """
    path.write_bytes(iio.imwrite("<bytes>", pixels, extension=".png", **options))
