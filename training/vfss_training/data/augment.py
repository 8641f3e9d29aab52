# SPDX-License-Identifier: Apache-2.0
"""Augmentation of samples: facing, polarity, size, position, contrast, sharpness and noise."""

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
_UNEVEN_NODES, _UNEVEN_STRIPS = 8, 24  # about a node for each vertebra in the picture; strips make its change smooth


@recipe_part
class Augmentation:
    """How far samples are changed. A share is the probability, 0..1, that a sample is changed in that way.

    Attributes:
        flip: Share that are mirrored, so that they face the other way.
        invert: Share with inverted polarity: dense matter bright instead of dark, or the reverse.
        warp: Share that are rotated, scaled and shifted.
        angle: Largest rotation, degrees.
        scale: Largest change of size, as a factor.
        shift: Largest shift, as a share of the side.
        stretch: Largest change of width against height, as a factor.
        bend: Share that are bent smoothly, as if the anatomy were another person's.
        bend_by: Largest displacement of a bent sample, as a share of the side.
        uneven: Share stretched here and compressed there from top to bottom: along the spine every person has other
            proportions, and a vertebra must not be known by its height.
        uneven_by: Largest factor of that.
        crop: Share cropped to another aspect ratio, as from another recorder.
        grey: Share with changed gamma, contrast and brightness.
        field: Share with uneven light.
        blur: Share that are blurred.
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
    uneven: Share = 0.0
    uneven_by: Positive = 1.35
    crop: Share = 0.2
    grey: Share = 0.7
    field: Share = 0.3
    blur: Share = 0.3
    noise: NotNegative = 12.0

    def __call__(self, sample: Sample, random: Random) -> Sample:
        """Return the sample augmented; the same random state gives the same view."""
        if random.random() < self.flip:
            sample = _flipped(sample)
        if random.random() < self.warp:
            sample = self._warped(sample, random)
        if random.random() < self.bend:
            sample = _bent(sample, self.bend_by, random)
        if self.uneven and random.random() < self.uneven:
            sample = _uneven(sample, self.uneven_by, random)
        if random.random() < self.crop:
            sample = _cropped(sample, random)
        return replace(sample, frame=self._greyed(sample.frame, random))

    def in_place(self) -> Augmentation:
        """Return the same augmentation without geometric changes."""
        return replace(self, flip=0.0, warp=0.0, bend=0.0, uneven=0.0, crop=0.0)

    def placed(self) -> Augmentation:
        """Return the same augmentation without changes of grey values."""
        return replace(self, invert=0.0, grey=0.0, field=0.0, blur=0.0, noise=0.0)

    def _warped(self, sample: Sample, random: Random) -> Sample:
        """Rotate, scale, stretch and shift; what comes in is dark and empty, as outside the exposed field."""
        size = sample.frame.shape[0]
        angle = np.deg2rad(random.uniform(-self.angle, self.angle))
        zoom = np.exp(random.uniform(-1, 1) * np.log(self.scale))
        wider = np.exp(random.uniform(-0.5, 0.5) * np.log(self.stretch)) if self.stretch != 1.0 else 1.0
        shift = random.uniform(-self.shift, self.shift, 2) * size
        cosine, sine = np.cos(angle) / zoom, np.sin(angle) / zoom
        middle = size / 2
        # Rows of the inverse map: from a position in the new picture to its position in the old one.
        x, y = middle + shift[1], middle + shift[0]
        x_row = (cosine / wider, sine * wider, middle - cosine / wider * x - sine * wider * y)
        y_row = (-sine / wider, cosine * wider, middle + sine / wider * x - cosine * wider * y)
        return _transformed(sample, Image.Transform.AFFINE, (*x_row, *y_row))

    def _greyed(self, frame: npt.NDArray[np.uint8], random: Random) -> npt.NDArray[np.uint8]:
        """Change contrast, light, sharpness, noise and polarity."""
        if random.random() < self.blur:
            blurred = Image.fromarray(frame).filter(ImageFilter.GaussianBlur(random.uniform(0.3, 1.3)))
            frame = np.asarray(blurred)
        values = frame.astype(np.float32) / 255.0
        if random.random() < self.grey:
            values = values ** np.float32(np.exp(random.uniform(-0.5, 0.5)))
            low, high = random.uniform(-0.1, 0.25), random.uniform(0.75, 1.1)
            values = (values * (high - low) + low).astype(np.float32)
        if random.random() < self.field:
            values = values * _uneven_light(frame.shape[0], random)
        deviation = random.uniform(0.0, self.noise) / 255.0
        values = values + deviation * random.standard_normal(values.shape, np.float32)
        if random.random() < self.invert:
            values = 1.0 - values
        levels: npt.NDArray[np.uint8] = (np.clip(values, 0.0, 1.0) * 255.0).astype(np.uint8)
        return levels


def _transformed(sample: Sample, method: Image.Transform, data: Sequence[Any]) -> Sample:
    """Apply one of Pillow's geometric transforms; grey values are interpolated, planes take the nearest."""
    size = sample.frame.shape[::-1]
    frame = Image.fromarray(sample.frame).transform(size, method, data, Image.Resampling.BILINEAR)
    bits = [Image.fromarray(byte).transform(size, method, data, Image.Resampling.NEAREST) for byte in sample.bits]
    window = (0, 0, *sample.frame.shape)
    return replace(sample, frame=np.asarray(frame), bits=np.stack([np.asarray(b) for b in bits]), window=window)


def _bent(sample: Sample, reach: float, random: Random) -> Sample:
    """Bend by a smooth random displacement: quadrilaterals of a grid whose inner nodes are moved."""
    size = sample.frame.shape[0]
    coarse = random.uniform(-reach, reach, (2, 3, 3)).astype(np.float32) * size
    side = (_BENT_CELLS + 1, _BENT_CELLS + 1)
    moved = [np.asarray(Image.fromarray(part).resize(side, Image.Resampling.BICUBIC)) for part in coarse]
    edges = np.linspace(0, size, _BENT_CELLS + 1).round().astype(int)
    y, x = np.meshgrid(edges, edges, indexing="ij")
    # No node leaves the picture: from outside, only the stretched edge would come in.
    y, x = (np.clip(place + by, 0, size) for place, by in zip((y, x), moved, strict=True))
    mesh = []
    for i in range(_BENT_CELLS):
        for j in range(_BENT_CELLS):
            box = (int(edges[j]), int(edges[i]), int(edges[j + 1]), int(edges[i + 1]))
            corners = ((i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1))
            mesh.append((box, tuple(float(v) for corner in corners for v in (x[corner], y[corner]))))
    return _transformed(sample, Image.Transform.MESH, mesh)


def _uneven(sample: Sample, factor: float, random: Random) -> Sample:
    """Stretch by a factor that changes smoothly from top to bottom; top and bottom stay where they are."""
    size = sample.frame.shape[0]
    nodes = random.uniform(-1, 1, (1, _UNEVEN_NODES)).astype(np.float32) * np.log(factor)
    steps = np.exp(np.asarray(Image.fromarray(nodes).resize((_UNEVEN_STRIPS, 1), Image.Resampling.BICUBIC))[0])
    source = np.append(0.0, np.cumsum(steps) / steps.sum()) * size
    edges = np.linspace(0, size, _UNEVEN_STRIPS + 1).round().astype(int)
    mesh = []
    for i in range(_UNEVEN_STRIPS):
        top, bottom = float(source[i]), float(source[i + 1])
        mesh.append(((0, int(edges[i]), size, int(edges[i + 1])), (0.0, top, 0.0, bottom, size, bottom, size, top)))
    return _transformed(sample, Image.Transform.MESH, mesh)


def _flipped(sample: Sample) -> Sample:
    """Mirror left and right."""
    top, left, rows, columns = sample.window
    mirrored = (top, sample.frame.shape[1] - left - columns, rows, columns)
    return replace(sample, frame=sample.frame[:, ::-1], bits=sample.bits[:, :, ::-1], window=mirrored)


def _cropped(sample: Sample, random: Random) -> Sample:
    """Crop to a vertical or horizontal band: everything outside becomes padding."""
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


def _uneven_light(size: int, random: Random) -> FloatArray:
    """Return uneven light, float32 (size, size), about 0.7..1.3."""
    coarse = (1.0 + random.uniform(-0.3, 0.3, (4, 4))).astype(np.float32)
    return np.asarray(Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC), np.float32)


_STREAM = 3  # seeds these views differently from free augmentation


@dataclass(frozen=True)
class TeacherViews:
    """The views of a frame that teachers see: the frame as it is, and a few fixed geometric variations of it.

    A teacher's targets take a second per frame and are kept on disk, so its views are few. Grey values may be varied
    anew each time a view is used, since that moves nothing.

    Attributes:
        augmentation: How far frames are moved.
        seed: Seed of the variations.
        views: Number of views of each frame.
    """

    augmentation: Augmentation = field(default_factory=Augmentation)
    seed: int = 0
    views: int = 1

    def __call__(self, sample: Sample, item: int, view: int) -> Sample:
        """Return one view of a sample.

        Args:
            sample: The sample.
            item: Its number in its stream.
            view: Number of the view; 0: the sample as it is.
        """
        if view == 0:
            return sample
        return self.augmentation.placed()(sample, np.random.default_rng((self.seed, _STREAM, item, view)))

    @property
    def key(self) -> str:
        """All that the varied views depend on, as text; the same for every seed if there is only the first view."""
        return json.dumps([self.seed, self.views, asdict(self.augmentation.placed())] if self.views > 1 else [])
