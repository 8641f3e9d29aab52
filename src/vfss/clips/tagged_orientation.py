# SPDX-License-Identifier: Apache-2.0
"""The tag by which TIFF files and photographs (EXIF) ask to be turned or mirrored: it is not followed, but said."""

from __future__ import annotations

ORIENTATION_TAG = 274
_UPRIGHT, _LAST = 1, 8


def orientation_note(value: object) -> str | None:
    """Return a note about the value of the tag; None if it asks for nothing.

    Programs that draw masks on pictures read them as they are stored, so masks of theirs fit what is shown here.
    """
    if not isinstance(value, int) or not _UPRIGHT < value <= _LAST:
        return None
    return f"its pictures ask to be turned or mirrored (orientation {value}): they are shown as stored"
