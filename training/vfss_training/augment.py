# SPDX-License-Identifier: Apache-2.0
"""Augmentation: one sample seen otherwise: other facing, polarity, size, place, contrast, sharpness and noise."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from vfss_training.data import Sample

FloatArray = npt.NDArray[np.float32]
Random = np.random.Generator


@dataclass(frozen=True)
class Augmentation:
    """How far samples are changed; shares are probabilities 0..1.

    Attributes:
        flip: Share that face the other way.
        invert: Share with dense matter shown bright instead of dark, or the reverse.
        warp: Share that are turned, scaled and shifted.
        angle: Largest turn, degrees.
        scale: Largest change of size, as a factor.
        shift: Largest shift, as a share of the side.
        crop: Share cut to another aspect, as from a recorder with another picture.
        grey: Share with another gamma, contrast and brightness.
        field: Share with uneven light.
        blur: Share made less sharp.
        noise: Largest standard deviation of added noise, grey values.
    """

    flip: float = 0.5
    invert: float = 0.5
    warp: float = 0.6
    angle: float = 12.0
    scale: float = 1.2
    shift: float = 0.08
    crop: float = 0.2
    grey: float = 0.7
    field: float = 0.3
    blur: float = 0.3
    noise: float = 12.0

    def __call__(self, sample: Sample, random: Random) -> Sample:
        """The sample seen otherwise; the same random state gives the same view."""
        if random.random() < self.flip:
            sample = _flipped(sample)
        if random.random() < self.warp:
            sample = self._warped(sample, random)
        if random.random() < self.crop:
            sample = _cropped(sample, random)
        return replace(sample, frame=self._greyed(sample.frame, random))

    def _warped(self, sample: Sample, random: Random) -> Sample:
        """Turned, scaled and shifted; what comes in from outside is dark and empty, like the collimator's edge."""
        size = sample.frame.shape[0]
        angle = np.deg2rad(random.uniform(-self.angle, self.angle))
        zoom = np.exp(random.uniform(-1, 1) * np.log(self.scale))
        shift = random.uniform(-self.shift, self.shift, 2) * size
        a, b = np.cos(angle) / zoom, np.sin(angle) / zoom
        middle = (size - 1) / 2
        # Rows of the inverse map: from a pixel of the new picture to where it lies in the old one.
        x_row = (a, b, middle - a * (middle + shift[1]) - b * (middle + shift[0]))
        y_row = (-b, a, middle + b * (middle + shift[1]) - a * (middle + shift[0]))
        # PIL counts from pixel corners, the index map below from centres: half a pixel apart.
        corner = (
            x_row[0], x_row[1], x_row[2] + 0.5 - 0.5 * (x_row[0] + x_row[1]),
            y_row[0], y_row[1], y_row[2] + 0.5 - 0.5 * (y_row[0] + y_row[1]),
        )  # fmt: skip
        picture = Image.fromarray(sample.frame)
        frame = picture.transform((size, size), Image.Transform.AFFINE, corner, Image.Resampling.BILINEAR)
        grid = np.arange(size, dtype=np.float32)
        x = np.rint(x_row[0] * grid[None, :] + x_row[1] * grid[:, None] + x_row[2]).astype(np.int32)
        y = np.rint(y_row[0] * grid[None, :] + y_row[1] * grid[:, None] + y_row[2]).astype(np.int32)
        inside = (x >= 0) & (x < size) & (y >= 0) & (y < size)
        bits = sample.bits[:, np.clip(y, 0, size - 1), np.clip(x, 0, size - 1)] * inside
        return replace(sample, frame=np.asarray(frame, np.uint8), bits=bits.astype(np.uint8), window=(0, 0, size, size))

    def _greyed(self, frame: npt.NDArray[np.uint8], random: Random) -> npt.NDArray[np.uint8]:
        """Other contrast, light, sharpness, noise and polarity."""
        if random.random() < self.blur:
            blurred = Image.fromarray(frame).filter(ImageFilter.GaussianBlur(random.uniform(0.3, 1.3)))
            frame = np.asarray(blurred)
        values = frame.astype(np.float32) / 255.0
        if random.random() < self.grey:
            values = values ** np.float32(np.exp(random.uniform(-0.5, 0.5)))
            low, high = random.uniform(-0.1, 0.25), random.uniform(0.75, 1.1)
            values = (values * (high - low) + low).astype(np.float32)
        if random.random() < self.field:
            values = values * _field(frame.shape[0], random)
        deviation = random.uniform(0.0, self.noise) / 255.0
        values = values + deviation * random.standard_normal(values.shape, np.float32)
        if random.random() < self.invert:
            values = 1.0 - values
        levels: npt.NDArray[np.uint8] = (np.clip(values, 0.0, 1.0) * 255.0).astype(np.uint8)
        return levels


def _flipped(sample: Sample) -> Sample:
    top, left, rows, columns = sample.window
    mirrored = (top, sample.frame.shape[1] - left - columns, rows, columns)
    return replace(sample, frame=sample.frame[:, ::-1], bits=sample.bits[:, :, ::-1], window=mirrored)


def _cropped(sample: Sample, random: Random) -> Sample:
    """Cut to a band, upright or lying: everything outside becomes padding."""
    size = sample.frame.shape[0]
    keep = int(size * random.uniform(0.7, 0.95))
    start = (size - keep) // 2
    band = (
        (slice(start, start + keep), slice(None))
        if random.random() < 0.5
        else (slice(None), slice(start, start + keep))
    )
    frame, bits = np.zeros_like(sample.frame), np.zeros_like(sample.bits)
    frame[band] = sample.frame[band]
    bits[(slice(None), *band)] = sample.bits[(slice(None), *band)]
    rows, columns = band[0].indices(size), band[1].indices(size)
    top, left = max(rows[0], sample.window[0]), max(columns[0], sample.window[1])
    bottom = min(rows[1], sample.window[0] + sample.window[2])
    right = min(columns[1], sample.window[1] + sample.window[3])
    return replace(sample, frame=frame, bits=bits, window=(top, left, bottom - top, right - left))


def _field(size: int, random: Random) -> FloatArray:
    """Uneven light, float32 (size, size), about 0.7..1.3."""
    coarse = (1.0 + random.uniform(-0.3, 0.3, (4, 4))).astype(np.float32)
    return np.asarray(Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC), np.float32)
