# SPDX-License-Identifier: Apache-2.0
"""Shape of the pixels of a DICOM recording."""

from __future__ import annotations

from typing import Any

from vfss.clips.dicom.values import items, numbers
from vfss.clips.pixel_aspect import believable_aspect

_SPACINGS = (
    ("PixelSpacing", "Pixel Spacing"),
    ("ImagerPixelSpacing", "Imager Pixel Spacing"),
    ("NominalScannedPixelSpacing", "Nominal Scanned Pixel Spacing"),
)
_GROUPS = ("PixelMeasuresSequence", "FramePixelDataPropertiesSequence")


def pixel_aspect(dataset: Any) -> tuple[float, tuple[str, ...]]:
    """Return the width of a pixel divided by its height, 1 where nothing believable is declared, and notes.

    A spacing (between rows, between columns) wins over Pixel Aspect Ratio (vertical, horizontal), because the standard
    (PS3.3 C.7.6.3.1.7) has the ratio for pictures without a spacing only.
    """
    found: list[tuple[float, str]] = []
    notes: list[str] = []
    for place in _places(dataset):
        for keyword, name in (*_SPACINGS, ("PixelAspectRatio", "Pixel Aspect Ratio")):
            written = numbers(place, keyword)
            if not written:
                continue
            height, width = (written[0].value, written[1].value) if len(written) == 2 else (None, None)
            aspect, note = believable_aspect(width, height, name)
            if note is None:
                found.append((aspect, name))
            elif note not in notes:
                notes.append(note)
    if not found:
        return 1.0, tuple(notes)
    aspect, name = found[0]
    others = [other for value, other in found[1:] if abs(value / aspect - 1) > 0.01]
    contradiction = f"{name} and {others[0]} declare pixels of different shapes: {name} is used" if others else ""
    return aspect, (contradiction,) if contradiction else ()


def _places(dataset: Any) -> list[Any]:
    shared = items(dataset, "SharedFunctionalGroupsSequence")[:1]
    first = items(dataset, "PerFrameFunctionalGroupsSequence")[:1]
    return [dataset, *(place for group in [*shared, *first] for key in _GROUPS for place in items(group, key)[:1])]
