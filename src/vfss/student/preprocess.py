# SPDX-License-Identifier: Apache-2.0
"""Convert frames to network input and logits to planes, in training and in use alike."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from vfss.masks import bounding_box
from vfss.student.config import LOGIT_STRIDE, StudentConfig

FloatArray = npt.NDArray[np.float32]
FrameArray = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]

PADDING = -1.0
"""Value of input pixels outside the frame: that of the darkest grey value, like a collimator."""
_SMALLEST_RANGE = 8.0
_OVERSHOOT = 0.1


@dataclass(frozen=True)
class Placement:
    """Position of a part of a frame in the network's square input, scaled as it really looks.

    Pixels that are not square become square here, so that a network sees every recording in its true proportions. The
    part may reach beyond the input: what lies there is not seen.

    Attributes:
        height: Rows of the part, px.
        width: Columns of the part, px.
        size: Side of the input, px.
        top: First input row of the part; negative where it begins above the input.
        left: First input column of the part, likewise.
        rows: Input rows of the part.
        columns: Input columns of the part.
        pixel_aspect: Width of a pixel of the frame divided by its height.
    """

    height: int
    width: int
    size: int
    top: int
    left: int
    rows: int
    columns: int
    pixel_aspect: float = 1.0

    @classmethod
    def of(cls, height: int, width: int, size: int, pixel_aspect: float = 1.0) -> Placement:
        """Place a part of (height, width) px, each `pixel_aspect` times as wide as high, in the middle of a square.

        It is as large as fits into the square of size px.
        """
        true_width = width * pixel_aspect
        scale = size / max(height, true_width)
        rows, columns = max(1, round(height * scale)), max(1, round(true_width * scale))
        return cls(height, width, size, (size - rows) // 2, (size - columns) // 2, rows, columns, pixel_aspect)

    def around(self, middle: tuple[float, float], factor: float) -> Placement:
        """Return the placement of the same part with another middle and scale.

        Args:
            middle: Input row and column, 0 at the centre of the first pixel, of what is to lie in the middle.
            factor: How many times larger everything is to be.
        """
        rows, columns = max(1, round(self.rows * factor)), max(1, round(self.columns * factor))
        # At least an eighth of the input shows some of the part.
        least = self.size // 8
        top, left = (
            min(max(round(self.size / 2 - (at + 0.5 - start) * now / before), least - now), self.size - least)
            for at, start, now, before in zip(
                middle, (self.top, self.left), (rows, columns), (self.rows, self.columns), strict=True
            )
        )
        return replace(self, top=top, left=left, rows=rows, columns=columns)

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the input in which the part is seen."""
        return _within(self.top, self.rows, self.size), _within(self.left, self.columns, self.size)

    @property
    def seen(self) -> tuple[float, float, float, float]:
        """Edges of the seen part (left, top, right, bottom), pixels of the part."""
        (top, bottom), (left, right) = ((w.start, w.stop) for w in self.window)
        across, down = self.width / self.columns, self.height / self.rows
        return (
            (left - self.left) * across,
            (top - self.top) * down,
            (right - self.left) * across,
            (bottom - self.top) * down,
        )

    @cached_property
    def vertical(self) -> Taps:
        """Rows of logits from which each row of the part is interpolated."""
        return Taps.of(self.height, self.rows, self.top, self.size // LOGIT_STRIDE)

    @cached_property
    def horizontal(self) -> Taps:
        """Columns of logits from which each column of the part is interpolated."""
        return Taps.of(self.width, self.columns, self.left, self.size // LOGIT_STRIDE)


def _within(start: int, length: int, size: int) -> slice:
    """Return the part of start..start+length that lies in 0..size."""
    return slice(max(start, 0), min(start + length, size))


@dataclass(frozen=True)
class Taps:
    """Linear interpolation along one axis: two neighbouring logits for each pixel of the frame.

    Attributes:
        first: int64 (pixels,), index of the lower neighbour, in ascending order.
        upper: float32 (pixels,), weight of the next one, 0..1.
        seen: The pixels that lie within the input.
    """

    first: npt.NDArray[np.int64]
    upper: FloatArray
    seen: slice

    @classmethod
    def of(cls, pixels: int, covered: int, offset: int, logits: int) -> Taps:
        """Build the taps of an axis of that many pixels, which cover input pixels offset..offset+covered."""
        centre = (np.arange(pixels) + 0.5) * (covered / pixels) + offset
        position = np.clip(centre / LOGIT_STRIDE - 0.5, 0.0, logits - 1.0)
        first = np.minimum(position.astype(np.int64), logits - 2)
        low, high = np.searchsorted(centre, (0.0, LOGIT_STRIDE * logits))
        return cls(first, (position - first).astype(np.float32), slice(int(low), int(high)))

    def touched(self, low: int, high: int) -> slice:
        """Return the pixels within the input that depend on any of the logits low..high (inclusive)."""
        start, stop = np.searchsorted(self.first, low - 1, "left"), np.searchsorted(self.first, high, "right")
        return slice(max(int(start), self.seen.start), min(int(stop), self.seen.stop))

    def interpolate(self, values: FloatArray, pixels: slice) -> FloatArray:
        """Interpolate values float32 (logits, N) along the first axis, float32 (pixels, N).

        Not by a matrix product: the threads that a BLAS library starts for it compete with those of the network.
        """
        first = self.first[pixels]
        interpolated = values[first]
        step = np.diff(values, axis=0)[first]
        step *= self.upper[pixels, None]
        interpolated += step
        return interpolated


def fit(frame: FrameArray, placement: Placement) -> FrameArray:
    """Scale a frame, uint8 (H, W), into its window of a square uint8 (size, size), 0 outside; antialiased."""
    square = np.zeros((placement.size, placement.size), np.uint8)
    rows, columns = placement.window
    if frame.shape == (placement.rows, placement.columns):
        square[rows, columns] = frame[
            rows.start - placement.top : rows.stop - placement.top,
            columns.start - placement.left : columns.stop - placement.left,
        ]
    else:
        image = Image.fromarray(np.ascontiguousarray(frame))
        size = (columns.stop - columns.start, rows.stop - rows.start)
        square[rows, columns] = np.asarray(image.resize(size, Image.Resampling.BILINEAR, box=placement.seen))
    return square


def normalise(square: FrameArray, window: tuple[slice, slice], config: StudentConfig) -> FloatArray:
    """Normalise one frame: its percentiles become -1 and +1, independent of exposure and bit depth.

    Args:
        square: uint8 (size, size), as from fit.
        window: Rows and columns with the frame; everything else becomes PADDING.
        config: Config with the percentiles.

    Returns:
        float32 (1, size, size), about -1.2..1.2.
    """
    counts = np.cumsum(np.bincount(square[window].ravel(), minlength=256))
    low, high = np.searchsorted(counts, np.array([config.low_percentile, config.high_percentile]) * counts[-1] / 100.0)
    scaled = (np.arange(256, dtype=np.float32) - low) / max(float(high) - float(low), _SMALLEST_RANGE)
    table = (np.clip(scaled, -_OVERSHOOT, 1.0 + _OVERSHOOT) * 2.0 - 1.0).astype(np.float32)
    values = np.full((1, *square.shape), PADDING, np.float32)
    values[(0, *window)] = cv2.LUT(square[window], table)
    return values


def prepare(frame: FrameArray, placement: Placement, config: StudentConfig) -> FloatArray:
    """Return the network input, float32 (1, size, size), of one frame, uint8 (H, W)."""
    return normalise(fit(frame, placement), placement.window, config)


def restore(logits: FloatArray, placement: Placement) -> BoolArray:
    """Return planes at the frame's own size: logits interpolated linearly, positive is inside.

    Only the box around a structure's positive logits is interpolated, as everything else is negative.

    Args:
        logits: float32 (S, size/4, size/4).
        placement: Position of the frame in the input.

    Returns:
        bool (S, H, W).
    """
    planes = np.zeros((logits.shape[0], placement.height, placement.width), np.bool_)
    positive = logits > 0
    for plane, logit, inside in zip(planes, logits, positive, strict=True):
        box = bounding_box(inside)
        if box is None:
            continue
        y = placement.vertical.touched(box[0].start, box[0].stop - 1)
        x = placement.horizontal.touched(box[1].start, box[1].stop - 1)
        if y.start >= y.stop or x.start >= x.stop:
            continue
        across = np.ascontiguousarray(placement.horizontal.interpolate(logit.T, x).T)
        np.greater(placement.vertical.interpolate(across, y), 0.0, out=plane[y, x])
    return planes
