# SPDX-License-Identifier: Apache-2.0
"""What a TIFF file declares about its pages beside the pixels: dimensions, times, shape of pixels."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

from vfss.clips.pixel_aspect import believable_aspect

_UNIT_S = {
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "ms": 1e-3,
    "msec": 1e-3,
    "millisec": 1e-3,
    "millisecond": 1e-3,
    "µs": 1e-6,
    "us": 1e-6,
    "µsec": 1e-6,
    "usec": 1e-6,
    "microsecond": 1e-6,
    "ns": 1e-9,
    "nsec": 1e-9,
    "nanosecond": 1e-9,
    "min": 60.0,
    "minute": 60.0,
    "h": 3600.0,
    "hr": 3600.0,
    "hour": 3600.0,
    "d": 86400.0,
    "day": 86400.0,
}
_MOST_CHARACTERS = 2**24  # a description of 9,000 planes with a time each has 1.4 million
_SHORTEST_S, _LONGEST_S = 1e-6, 86_400.0


@dataclass(frozen=True)
class Description:
    """What the first page says about all of them.

    Attributes:
        sizes: Number of pictures along each dimension (time, depth, channel); empty if not declared.
        step_s: Seconds between frames, None if not declared.
        times_s: Seconds of each frame, None if not declared.
        aspect: Width of a pixel divided by its height.
        notes: What is odd, one sentence each, without full stop.
    """

    sizes: tuple[int, ...]
    step_s: float | None
    times_s: tuple[float, ...] | None
    aspect: float
    notes: tuple[str, ...]


def describe(page: Any) -> Description:
    """Read the description and the resolution of tifffile's first page."""
    text = str(page.description or "")[:_MOST_CHARACTERS]
    aspect, note = _aspect_of_resolution(page)
    plain = Description((), None, None, aspect, () if note is None else (note,))
    if text.lstrip().startswith("<") and "OME" in text[:4096] + text[-64:]:
        return _ome(text, plain)
    if text.startswith("{"):
        return _shaped(text, page, plain)
    if "ImageJ=" in text or "SCIFIO=" in text:
        return _imagej(text, page, plain)
    planes = page.tags.get(33629)  # MetaMorph: all planes behind one page
    return plain if planes is None else Description((int(planes.count),), None, None, aspect, plain.notes)


def _imagej(text: str, page: Any, plain: Description) -> Description:
    values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    frames, slices, channels = (_whole(values.get(key)) or 1 for key in ("frames", "slices", "channels"))
    if channels == page.samplesperpixel:
        channels = 1  # those of a colour picture
    sizes = (frames, slices, channels)
    if math.prod(sizes) == 1:
        sizes = (_whole(values.get("images")) or 1, 1, 1)
    step, rate = _finite(values.get("finterval")), _finite(values.get("fps"))
    if not step:
        return replace(plain, sizes=sizes, step_s=1 / rate if rate and 1e-6 < rate < 1e6 else None)
    unit = values.get("tunit", "sec").strip()
    seconds = _seconds(step, unit)
    odd = () if seconds is not None else (f"its frame interval of {step:g} {unit[:20]!r} is not used",)
    return replace(plain, sizes=sizes, step_s=seconds, notes=(*plain.notes, *odd))


def _shaped(text: str, page: Any, plain: Description) -> Description:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return plain
    shape = values.get("shape") if isinstance(values, dict) else None
    if not isinstance(shape, list) or not all(type(size) is int and size > 0 for size in shape):
        return plain
    leading, own = shape[: -len(page.shape)], shape[-len(page.shape) :]
    return replace(plain, sizes=tuple(leading)) if own == list(page.shape) else plain


def _ome(text: str, plain: Description) -> Description:
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError):
        return plain
    pixels = next((element for element in root.iter() if element.tag.endswith("Pixels")), None)
    if pixels is None:
        return plain
    value = pixels.attrib.get
    samples = next((_whole(e.attrib.get("SamplesPerPixel")) for e in pixels if e.tag.endswith("Channel")), None) or 1
    frames, slices, channels = (_whole(value("Size" + axis)) or 1 for axis in "TZC")
    sizes = (frames, slices, max(1, channels // samples))
    step = _finite(value("TimeIncrement"))
    seconds = _seconds(step, value("TimeIncrementUnit", "s")) if step else None
    notes = plain.notes
    if step and seconds is None:
        notes = (*notes, f"its time increment of {step:g} {value('TimeIncrementUnit', 's')[:20]!r} is not used")
    aspect, note = _aspect_of_physical_size(value, plain.aspect)
    notes = notes if note is None else (*notes, note)
    return Description(sizes, seconds, _delta_times(pixels), aspect, notes)


def _aspect_of_physical_size(value: Any, otherwise: float) -> tuple[float, str | None]:
    width, height = _finite(value("PhysicalSizeX")), _finite(value("PhysicalSizeY"))
    if not width or not height or value("PhysicalSizeXUnit", "µm") != value("PhysicalSizeYUnit", "µm"):
        return otherwise, None
    return believable_aspect(width, height, "Physical Size")


def _delta_times(pixels: Any) -> tuple[float, ...] | None:
    """Return the times of the planes, the first at 0, if each has one and they increase."""
    planes = [element.attrib for element in pixels if element.tag.endswith("Plane")]
    planes.sort(key=lambda plane: _whole(plane.get("TheT")) or 0)
    deltas = [_finite(plane.get("DeltaT")) for plane in planes]
    units = [_UNIT_S.get(plane.get("DeltaTUnit", "s")) for plane in planes]
    times = [d * u for d, u in zip(deltas, units, strict=True) if d is not None and u is not None]
    if len(times) < 2 or len(times) != len(planes) or not all(b > a for a, b in pairwise(times)):
        return None
    return tuple(time - times[0] for time in times)


def _aspect_of_resolution(page: Any) -> tuple[float, str | None]:
    """Return the aspect that pixels per unit across and down mean; both have the same unit."""
    across, down = (_rational(page.tags.get(code)) for code in (282, 283))
    if across is None or down is None:
        return 1.0, None
    return believable_aspect(down, across, "X and Y Resolution")


def _rational(tag: Any) -> float | None:
    value = None if tag is None else tag.value
    if isinstance(value, tuple) and len(value) == 2 and all(isinstance(part, int) for part in value):
        return value[0] / value[1] if value[0] > 0 and value[1] > 0 else None
    return None


def _seconds(step: float, unit: str) -> float | None:
    # ImageJ escapes what is not ASCII.
    name = unit.strip().replace("\\u00b5", "µ").replace("\\u00B5", "µ").replace("\u03bc", "µ").strip(".").lower()
    factor = _UNIT_S.get(name, _UNIT_S.get(name.removesuffix("s") or name))
    if factor is None:
        return None
    seconds = step * factor
    return seconds if _SHORTEST_S <= seconds <= _LONGEST_S else None


def _finite(text: str | None) -> float | None:
    try:
        value = float((text or "").strip().replace(",", "."))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _whole(text: str | None) -> int | None:
    digits = (text or "").strip()
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 19 else None
