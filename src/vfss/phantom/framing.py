# SPDX-License-Identifier: Apache-2.0
"""Where the picture lies in the frame and which part of it is exposed: borders, shutters, circle, distortion."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from vfss.phantom.blur import gaussian
from vfss.phantom.chance import NEVER, Chance, Span, drawn, within
from vfss.phantom.geometry import Floats, Points, View, to_pixels

Box = tuple[int, int, int, int]  # left, top, right, bottom


@dataclass(frozen=True)
class FramingRange:
    """Ranges of how the patient is framed.

    Attributes:
        field_mm: Shorter side of the picture, millimetres in the patient; near views are more than far ones.
        degrees: Spread of the turn of the patient in the picture.
        level: Vertebra, as a number, before which the middle of the picture lies; C1 is 1, less is above it.
        jitter: Spread of the patient's place in the picture, a share of its shorter side.
        moved: Clips aimed higher or lower than at the throat, and by how many vertebrae: a vertebra is then not known
            by its place, and the spine may begin below C1 or end above C5.
        small: Clips whose picture is a window in a larger dark frame, and the window's side as a share of the frame.
        shutter: Clips with rectangular shutters, and how deep they reach in, a share of the side.
        circle: Clips with a circular field, and its radius as a share of the shorter side.
        leak: Light under the shutters, a share: scatter from the patient.
        vignette: Loss of light from the middle to the corner, a share.
        pincushion: Distortion of an image intensifier: further out at the corner, a share.
    """

    field_mm: Span = (118.0, 270.0)
    degrees: float = 6.0
    level: float = 3.6
    jitter: float = 0.045
    moved: Chance = NEVER
    small: Chance = (0.2, 0.45, 0.95)
    shutter: Chance = (0.3, 0.03, 0.16)
    circle: Chance = (0.3, 0.46, 0.6)
    leak: Chance = (0.5, 0.005, 0.05)
    vignette: Chance = (0.4, 0.05, 0.25)
    pincushion: Chance = NEVER


@dataclass(frozen=True)
class Framing:
    """One way of framing.

    Attributes:
        window: Edges of the picture (left, top, right, bottom) as shares of the frame.
        shutters: Edges of the exposed part as shares of the picture; None without.
        circle: Centre (x, y) and radius as shares of the picture's shorter side; None without.
        leak: As in the range.
        vignette: As in the range.
        pincushion: As in the range.
        outside: Brightness of what is not exposed, 0..1.
        around: Brightness of the frame around the picture, 0..1.
    """

    window: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    shutters: tuple[float, float, float, float] | None = None
    circle: tuple[float, float, float] | None = None
    leak: float = 0.0
    vignette: float = 0.0
    pincushion: float = 0.0
    outside: float = 0.0
    around: float = 0.0

    def box(self, height: int, width: int) -> Box:
        """The picture in a frame of that size: pixel edges left, top, right, bottom."""
        left, top, right, bottom = self.window
        return round(left * width), round(top * height), round(right * width), round(bottom * height)


def sample_framing(rng: np.random.Generator, ranges: FramingRange) -> Framing:
    """A framing from its ranges."""
    window = (0.0, 0.0, 1.0, 1.0)
    side = drawn(rng, ranges.small)
    wide, place = rng.uniform(0.7, 1.15), rng.random(2)
    if side:
        size = np.minimum((side * min(wide, 1.0), side / max(wide, 1.0)), 1.0)
        # Rather in the middle than in a corner.
        left, top = (1 - size) * (0.5 + (place - 0.5) * np.abs(place - 0.5) * 2)
        window = (float(left), float(top), float(left + size[0]), float(top + size[1]))
    depth = drawn(rng, ranges.shutter)
    reach = rng.uniform(0, 1, 4) * (rng.random(4) < 0.65) * depth
    radius = drawn(rng, ranges.circle)
    x, y = rng.uniform(0.46, 0.54, 2)
    return Framing(
        window=window,
        shutters=(float(reach[0]), float(reach[1]), float(1 - reach[2]), float(1 - reach[3])) if depth else None,
        circle=(float(x), float(y), radius) if radius else None,
        leak=drawn(rng, ranges.leak),
        vignette=drawn(rng, ranges.vignette),
        pincushion=drawn(rng, ranges.pincushion),
        outside=within(rng, (0, 0.07)) if rng.random() < 0.6 else 0.0,
        around=float(rng.choice((0.0, 0.0, 0.03, 0.12, 0.9), p=(0.5, 0.2, 0.15, 0.1, 0.05))),
    )


class Lens:
    """The way from millimetres to pixels of a frame, with the distortion of the picture.

    Attributes:
        view: Of the frame.
        inner: Of the picture alone.
        box: The picture in the frame.
        distorted: True where straight lines are not shown straight.
    """

    def __init__(self, view: View, framing: Framing) -> None:
        self.view = view
        self.box = framing.box(view.height, view.width)
        left, top, right, bottom = self.box
        # A mirrored view counts from the right.
        before = view.width - right if view.mirrored else left
        centre = (view.centre[0] - before, view.centre[1] - top)
        self.inner = replace(view, height=bottom - top, width=right - left, centre=centre)
        self._matrix = self.inner.matrix
        self._pincushion = framing.pincushion
        self.distorted = framing.pincushion > 0

    def picture(self, points: Points) -> Points:
        """Millimetres to pixels of the picture, float64 (N, 2)."""
        out = to_pixels(self._matrix, points)
        if self.distorted:
            middle = np.array((self.inner.width / 2, self.inner.height / 2))
            out = middle + (out - middle) * self._stretch(out - middle)
        return out

    def straight(self, pixels: Points) -> Points:
        """Pixels of the picture to where they would be without distortion, float64 (N, 2)."""
        middle = np.array((self.inner.width / 2, self.inner.height / 2))
        goal = pixels - middle
        out = goal / self._stretch(goal)
        for _ in range(3):
            out = goal / self._stretch(out)
        return np.asarray(out + middle)

    def straight_pixels(self) -> Floats:
        """`straight` of the middle of every pixel of the picture, float32 (height, width, 2)."""
        # It changes so slowly that every eighth pixel tells; a margin keeps the last ones from repeating.
        far, height, width = 8, self.inner.height, self.inner.width
        rows, columns = -(-height // far) + 2, -(-width // far) + 2
        x, y = ((np.arange(n) - 0.5) * far for n in (columns, rows))
        coarse = self.straight(np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)).reshape(rows, columns, 2)
        fine = cv2.resize(coarse.astype(np.float32), (columns * far, rows * far), interpolation=cv2.INTER_LINEAR)
        return np.ascontiguousarray(fine[far : far + height, far : far + width])

    def _stretch(self, off: Points) -> Points:
        """How much further from the middle a point is shown, float64 (N, 1)."""
        corner = (self.inner.width**2 + self.inner.height**2) / 4
        # Even beyond the corners, where outlines still go on.
        far = np.minimum((off**2).sum(axis=1, keepdims=True) / corner, 2.0)
        stretch: Points = 1 + self._pincushion * far
        return stretch

    def frame(self, points: Points) -> Points:
        """Millimetres to pixels of the frame, float64 (N, 2)."""
        moved: Points = self.picture(points) + np.array(self.box[:2], np.float64)
        return moved


def beam_light(view: View, framing: Framing) -> Floats:
    """Light that the shutters and the intensifier leave, float32 (height, width) of the picture, 0..1."""
    height, width = view.height, view.width
    light = np.ones((height, width), np.float32)
    if framing.shutters is not None:
        left, top, right, bottom = framing.shutters
        dim = np.float32(framing.leak)
        light[: round(top * height)] = dim
        light[round(bottom * height) :] = dim
        light[:, : round(left * width)] = dim
        light[:, round(right * width) :] = dim
    if framing.vignette:
        rows, columns = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        light *= (1 - framing.vignette * 0.5 * (rows**2 + columns**2)).astype(np.float32)
    return gaussian(light, 1.2 * min(height, width) / 512, truncate=2.5)


def exposed(view: View, framing: Framing) -> npt.NDArray[np.bool_]:
    """Part of the picture inside shutters and circle, bool (height, width)."""
    height, width = view.height, view.width
    found = disc(view, framing) > 0.5
    if framing.shutters is not None:
        left, top, right, bottom = framing.shutters
        found[: round(top * height)] = False
        found[round(bottom * height) :] = False
        found[:, : round(left * width)] = False
        found[:, round(right * width) :] = False
    return found


def disc(view: View, framing: Framing) -> Floats:
    """Part of the picture inside the circle, float32 (height, width), 0..1; all of it without one."""
    height, width = view.height, view.width
    light = np.ones((height, width), np.float32)
    if framing.circle is None:
        return light
    x, y, radius = framing.circle
    rows, columns = np.ogrid[:height, :width]
    short = min(height, width)
    light[(rows - y * height) ** 2 + (columns - x * width) ** 2 > (radius * short) ** 2] = 0
    return gaussian(light, 0.8 * short / 512, truncate=2.5)
