# SPDX-License-Identifier: Apache-2.0
"""What is shown in place of a frame that cannot be decoded: stripes and a sentence, never a dark picture."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

TEXT = "This frame cannot be read"
_STRIPE = 16  # px, or an eighth of a small frame
_DARK, _LIGHT, _BAR, _INK = 70, 110, 20, 255
_WIDEST = 0.9  # of the frame, by the text


def unreadable_placard(height: int, width: int) -> npt.NDArray[np.uint8]:
    """Return a picture of that size, uint8 (H, W): diagonal stripes and, on a bar, that the frame cannot be read."""
    rows, columns = np.mgrid[:height, :width]
    stripe = max(2, min(_STRIPE, min(height, width) // 8))
    stripes = np.where((rows + columns) // stripe % 2, _LIGHT, _DARK).astype(np.uint8)
    image = Image.fromarray(stripes)
    draw, probe = ImageDraw.Draw(image), ImageFont.load_default(100)
    left, _, right, _ = probe.getbbox(TEXT)
    size = max(4.0, min(height / 4, 100 * _WIDEST * width / (right - left)))
    font = ImageFont.load_default(size)
    middle = height // 2
    draw.rectangle((0, middle - round(size), width, middle + round(size)), fill=_BAR)
    draw.text((width / 2, middle), TEXT, fill=_INK, font=font, anchor="mm")
    return np.asarray(image)
