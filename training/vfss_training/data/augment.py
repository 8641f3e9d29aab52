# SPDX-License-Identifier: Apache-2.0
"""Augmentation: one sample seen otherwise: other facing, polarity, size, place, contrast, sharpness and noise."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from vfss_training.data.samples import Sample
from vfss_training.recipe_part import NotNegative, Positive, Share, recipe_part

FloatArray = npt.NDArray[np.float32]
Random = np.random.Generator

_BENT_CELLS = 8


@recipe_part
class Augmentation:
    """How far samples are changed; shares are probabilities 0..1.

    Attributes:
        flip: Share that face the other way.
        invert: Share with dense matter shown bright instead of dark, or the reverse.
        warp: Share that are turned, scaled and shifted.
        angle: Largest turn, degrees.
        scale: Largest change of size, as a factor.
        shift: Largest shift, as a share of the side.
        stretch: Largest change of width against height, as a factor.
        bend: Share that are bent, as if the anatomy were another's.
        bend_by: Largest displacement of a bent sample, as a share of the side.
        crop: Share cut to another aspect, as from a recorder with another picture.
        grey: Share with another gamma, contrast and brightness.
        field: Share with uneven light.
        blur: Share made less sharp.
        noise: Largest standard deviation of added noise, grey values.
    """

    flip: Share = 0.5
    invert: Share = 0.5
    warp: Share = 0.6
    angle: NotNegative = 12.0
    scale: Positive = 1.2
    shift: NotNegative = 0.08
    stretch: Positive = 1.0
    bend: Share = 0.0
    bend_by: NotNegative = 0.02
    crop: Share = 0.2
    grey: Share = 0.7
    field: Share = 0.3
    blur: Share = 0.3
    noise: NotNegative = 12.0

    def __call__(self, sample: Sample, random: Random) -> Sample:
        """The sample seen otherwise; the same random state gives the same view."""
        if random.random() < self.flip:
            sample = _flipped(sample)
        if random.random() < self.warp:
            sample = self._warped(sample, random)
        if random.random() < self.bend:
            sample = _bent(sample, self.bend_by, random)
        if random.random() < self.crop:
            sample = _cropped(sample, random)
        return replace(sample, frame=self._greyed(sample.frame, random))

    def in_place(self) -> Augmentation:
        """The same for pictures whose every part must stay where it is."""
        return replace(self, flip=0.0, warp=0.0, bend=0.0, crop=0.0)

    def placed(self) -> Augmentation:
        """The same without changes of grey values: places move, and nothing else."""
        return replace(self, invert=0.0, grey=0.0, field=0.0, blur=0.0, noise=0.0)

    def _warped(self, sample: Sample, random: Random) -> Sample:
        """Turned, scaled, stretched and shifted; what comes in from outside is dark and empty, as beside the field."""
        size = sample.frame.shape[0]
        angle = np.deg2rad(random.uniform(-self.angle, self.angle))
        zoom = np.exp(random.uniform(-1, 1) * np.log(self.scale))
        wider = np.exp(random.uniform(-0.5, 0.5) * np.log(self.stretch)) if self.stretch != 1.0 else 1.0
        shift = random.uniform(-self.shift, self.shift, 2) * size
        cosine, sine = np.cos(angle) / zoom, np.sin(angle) / zoom
        middle = size / 2
        # Rows of the inverse map: from a place in the new picture to where it lies in the old one.
        x, y = middle + shift[1], middle + shift[0]
        x_row = (cosine / wider, sine * wider, middle - cosine / wider * x - sine * wider * y)
        y_row = (-sine / wider, cosine * wider, middle + sine / wider * x - cosine * wider * y)
        return _moved(sample, Image.Transform.AFFINE, (*x_row, *y_row))

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


def _moved(sample: Sample, way: Image.Transform, data: Sequence[Any]) -> Sample:
    """The sample under a map of places that Pillow knows; grey values are interpolated, planes take the nearest."""
    size = sample.frame.shape[::-1]
    frame = Image.fromarray(sample.frame).transform(size, way, data, Image.Resampling.BILINEAR)
    bits = [Image.fromarray(byte).transform(size, way, data, Image.Resampling.NEAREST) for byte in sample.bits]
    window = (0, 0, *sample.frame.shape)
    return replace(sample, frame=np.asarray(frame), bits=np.stack([np.asarray(b) for b in bits]), window=window)


def _bent(sample: Sample, reach: float, random: Random) -> Sample:
    """Bent by a smooth random displacement: quadrilaterals of a grid whose inner nodes have moved."""
    size = sample.frame.shape[0]
    coarse = random.uniform(-reach, reach, (2, 3, 3)).astype(np.float32) * size
    side = (_BENT_CELLS + 1, _BENT_CELLS + 1)
    moved = [np.asarray(Image.fromarray(part).resize(side, Image.Resampling.BICUBIC)) for part in coarse]
    edges = np.linspace(0, size, _BENT_CELLS + 1).round().astype(int)
    y, x = np.meshgrid(edges, edges, indexing="ij")
    # No node leaves the picture: what would come in from outside is the edge, stretched.
    y, x = (np.clip(place + by, 0, size) for place, by in zip((y, x), moved, strict=True))
    mesh = []
    for i in range(_BENT_CELLS):
        for j in range(_BENT_CELLS):
            box = (int(edges[j]), int(edges[i]), int(edges[j + 1]), int(edges[i + 1]))
            corners = ((i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1))
            mesh.append((box, tuple(float(v) for corner in corners for v in (x[corner], y[corner]))))
    return _moved(sample, Image.Transform.MESH, mesh)


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


_STREAM = 3  # sets these draws apart from those of augmentation as it comes


@dataclass(frozen=True)
class TeacherViews:
    """Which views: the first is the frame as it is, each further one is moved, and always the same way.

    A teacher's targets cost a second a frame and are kept on disk, so its views are few; grey values may differ each
    time, as they move nothing.

    Attributes:
        augmentation: How far frames are moved.
        seed: Of the moves.
        views: How many views of each frame.
    """

    augmentation: Augmentation = field(default_factory=Augmentation)
    seed: int = 0
    views: int = 1

    def __call__(self, sample: Sample, item: int, view: int) -> Sample:
        """View of sample number `item`."""
        if view == 0:
            return sample
        return self.augmentation.placed()(sample, np.random.default_rng((self.seed, _STREAM, item, view)))

    @property
    def key(self) -> str:
        """All that the moved views depend on, as text."""
        return json.dumps([self.seed, self.views, asdict(self.augmentation.placed())] if self.views > 1 else [])
