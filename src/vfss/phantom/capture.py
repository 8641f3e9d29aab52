# SPDX-License-Identifier: Apache-2.0
"""From the shown picture to the file: recorder, screen capture, compression, repeated frames."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from vfss.phantom.blur import gaussian
from vfss.phantom.chance import NEVER, Chance, drawn, within

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class CaptureRange:
    """Ranges of what happens between the screen and the file.

    Attributes:
        double: Share of clips with fewer pulses than frames: every picture twice.
        drop: Clips that lose frames and repeat the one before, and what share of them.
        blend: Clips converted to another frame rate: share of the previous picture mixed in.
        comb: Share of clips whose odd rows come from the previous picture (interlaced).
        analogue: Clips that went through a cable: blur, ringing and echo along the rows, and how strong.
        zoom: Clips scaled down and up again, and to what share of the size.
        median: Share of clips through a filter against noise that leaves patches.
        jpeg: Clips compressed in blocks of 8, and the quality.
        video: Clips compressed as by a video codec, and the quality.
        studio: Share of clips with black at 16 and white at 235.
    """

    double: float = 0.3
    drop: Chance = (0.2, 0.03, 0.25)
    blend: Chance = (0.1, 0.1, 0.5)
    comb: float = 0.0
    analogue: Chance = NEVER
    zoom: Chance = (0.3, 0.35, 0.95)
    median: float = 0.12
    jpeg: Chance = (0.25, 15.0, 85.0)
    video: Chance = (0.25, 6.0, 70.0)
    studio: float = 0.08


@dataclass(frozen=True)
class CaptureSettings:
    """One way to the file; see CaptureRange.

    Attributes:
        pulses: Frames per picture, 1 or 2.
        drop: Share.
        blend: Share.
        comb: True where interlaced.
        analogue: 0 without.
        echo: Place and strength of an echo along the row.
        zoom: Share; 0 without.
        lanczos: True where scaling up rings.
        median: True with the filter.
        jpeg: Quality; 0 without.
        video: Quality; 0 without.
        studio: True for 16 to 235.
    """

    pulses: int
    drop: float
    blend: float
    comb: bool
    analogue: float
    echo: tuple[int, float]
    zoom: float
    lanczos: bool
    median: bool
    jpeg: float
    video: float
    studio: bool

    @property
    def mixes(self) -> bool:
        """True where a frame shows something of the picture before."""
        return self.comb or self.blend > 0


def sample_capture(rng: np.random.Generator, ranges: CaptureRange) -> CaptureSettings:
    """A way to the file from its ranges."""
    return CaptureSettings(
        pulses=2 if rng.random() < ranges.double else 1,
        drop=drawn(rng, ranges.drop),
        blend=drawn(rng, ranges.blend),
        comb=bool(rng.random() < ranges.comb),
        analogue=drawn(rng, ranges.analogue),
        echo=(int(rng.integers(4, 24)), within(rng, (-0.12, 0.12))),
        zoom=drawn(rng, ranges.zoom),
        lanczos=bool(rng.random() < 0.5),
        median=bool(rng.random() < ranges.median),
        jpeg=drawn(rng, ranges.jpeg),
        video=drawn(rng, ranges.video),
        studio=bool(rng.random() < ranges.studio),
    )


def shown_frame(settings: CaptureSettings, t: int, seed: int) -> int:
    """The frame of which frame t shows the picture: itself, or one before that is repeated."""
    pulse = t // settings.pulses
    if settings.drop and pulse and np.random.default_rng((seed, 9, pulse)).random() < settings.drop:
        pulse -= 1
    return pulse * settings.pulses


def mixed(settings: CaptureSettings, picture: Bytes, before: Bytes) -> Bytes:
    """A picture with what interlacing and conversion leave of the one before, uint8 (height, width)."""
    if settings.blend:
        share = settings.blend
        picture = np.rint((1 - share) * picture + share * before.astype(np.float32)).astype(np.uint8)
    if settings.comb:
        picture = picture.copy()
        picture[1::2] = before[1::2]
    return picture


def recorded(settings: CaptureSettings, picture: Bytes, seed: tuple[int, ...]) -> Bytes:
    """What the file holds, uint8 (height, width)."""
    height, width = picture.shape
    if settings.analogue:
        picture = _through_cable(settings, picture, seed)
    if settings.zoom:
        size = (max(16, round(width * settings.zoom)), max(16, round(height * settings.zoom)))
        picture = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR))
    if settings.median:
        picture = np.asarray(Image.fromarray(picture).filter(ImageFilter.MedianFilter(3)))
    if settings.video:
        picture = _coded(picture, "WEBP", quality=round(settings.video), method=0)
    if settings.jpeg:
        picture = _coded(picture, "JPEG", quality=round(settings.jpeg))
    if picture.shape != (height, width):
        kernel = Image.Resampling.LANCZOS if settings.lanczos else Image.Resampling.BILINEAR
        picture = np.asarray(Image.fromarray(picture).resize((width, height), kernel))
    if settings.studio:
        picture = np.rint(16 + picture * np.float32(219 / 255)).astype(np.uint8)
    return picture


def _coded(picture: Bytes, codec: str, **options: int) -> Bytes:
    """A picture after compression."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, codec, **options)
    with Image.open(file) as image:
        return np.asarray(image.convert("L"))


def _through_cable(settings: CaptureSettings, picture: Bytes, seed: tuple[int, ...]) -> Bytes:
    """Blurred, ringing and echoing along the rows, which do not all start alike."""
    rng = np.random.default_rng((*seed, 3))
    values = picture.astype(np.float32)
    unit, strong = picture.shape[1] / 512, settings.analogue
    blurred = gaussian(values, (0.0, max(0.5, 1.2 * strong * unit)), truncate=4.0)
    wide = gaussian(values, (0.0, max(0.8, 2.8 * strong * unit)), truncate=4.0)
    values = blurred + np.float32(0.8 * strong) * (blurred - wide)
    place, share = settings.echo
    values += np.float32(share) * (np.roll(values, round(place * unit), axis=1) - np.float32(values.mean()))
    shifts = np.rint(rng.normal(0, 0.45 * strong, len(values))).astype(np.int64)
    columns = np.clip(np.arange(values.shape[1])[None, :] - shifts[:, None], 0, values.shape[1] - 1)
    values = np.take_along_axis(values, columns, axis=1)
    values += rng.normal(0, 2.0 * strong, (len(values), 1)).astype(np.float32)
    return np.rint(np.clip(values, 0, 255)).astype(np.uint8)
