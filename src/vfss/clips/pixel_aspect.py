# SPDX-License-Identifier: Apache-2.0
"""Shape of a pixel: its width divided by its height, from what a file declares."""

from __future__ import annotations

import math

_LEAST, _MOST = 0.2, 5.0  # anamorphic video has 0.59 to 2; whatever is beyond is a mistake
_SAME = 0.002  # spacings are rounded to three digits


def believable_aspect(width: float | None, height: float | None, source: str) -> tuple[float, str | None]:
    """Return the aspect of a pixel, 1 where its declared sides are not believable, and a note about that.

    Args:
        width: Declared width of a pixel in any unit; None if it cannot be read.
        height: Declared height of a pixel in the same unit.
        source: Where they are declared, for the note.
    """
    if width is None or height is None or not (math.isfinite(width) and math.isfinite(height)):
        return 1.0, f"{source} cannot be read: its pixels are taken as square"
    aspect = width / height if width > 0 and height > 0 else 0.0
    if not _LEAST <= aspect <= _MOST:
        return 1.0, f"{source} declares pixels {width:g} wide and {height:g} high: they are taken as square"
    return (1.0 if abs(aspect - 1) <= _SAME else aspect), None
