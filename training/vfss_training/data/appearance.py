# SPDX-License-Identifier: Apache-2.0
"""Appearance augmentation: the same anatomy as another machine, recorder or screen capture would show it.

Planes stay as they are. Random curves, filters and spectra keep the student from learning how the phantom renders
pictures: what is left to learn are shapes and their arrangement. Random filters after Xu et al., "Robust and
Generalizable Visual Representation Learning via Random Convolutions" (ICLR 2021); low frequencies of another frame
after Yang and Soatto, "FDA: Fourier Domain Adaptation for Semantic Segmentation" (CVPR 2020).
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter
from scipy import fft

from vfss_training.recipe_part import Share, recipe_part

FrameArray = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]
Random = np.random.Generator

_SPECTRUM_SIDE = 96


@recipe_part
class Appearance:
    """Share of samples, 0..1, that each change is applied to; changes are applied in the order of the fields.

    Attributes:
        occlude: Rods, discs, boxes and letters of any grey, opaque or translucent.
        spectrum: Low frequencies of another frame's amplitude mixed in.
        bias: Smooth uneven light, multiplied and added.
        local_contrast: Local contrast equalisation, as in manufacturers' processing (CLAHE-like).
        curve: A random monotonic curve of grey values.
        filter: A random small filter.
        sharpness: Sharpened, blurred, or shown at a lower resolution.
        grain: Correlated noise.
        jpeg: JPEG compression.
    """

    occlude: Share = 0.0
    spectrum: Share = 0.0
    bias: Share = 0.0
    local_contrast: Share = 0.0
    curve: Share = 0.0
    filter: Share = 0.0
    sharpness: Share = 0.0
    grain: Share = 0.0
    jpeg: Share = 0.0

    def __call__(self, frame: FrameArray, random: Random, donor: Callable[[], FrameArray] | None = None) -> FrameArray:
        """Return the frame with another appearance, uint8 (H, W); the same random state gives the same frame.

        Args:
            frame: uint8 (H, W).
            random: Random generator.
            donor: Returns another frame for `spectrum`; None: that change is left out.
        """
        for name, change in _CHANGES.items():
            if random.random() < getattr(self, name):
                frame = change(frame, random)
            if name == "occlude" and donor is not None and random.random() < self.spectrum:
                frame = mix_spectrum(frame, donor(), random)
        return frame


def _occlude(frame: FrameArray, random: Random) -> FrameArray:
    """Draw one to four foreign shapes, none larger than a quarter of the picture's side."""
    height, width = frame.shape
    layer, cover = Image.fromarray(frame), Image.new("L", (width, height), 0)
    drawn, alpha = ImageDraw.Draw(layer), ImageDraw.Draw(cover)
    for _ in range(int(random.integers(1, 5))):
        grey, opacity = int(random.integers(256)), int(random.uniform(60, 256))
        x, y = float(random.uniform(0, width)), float(random.uniform(0, height))
        size = float(np.exp(random.uniform(np.log(0.02), np.log(0.25)))) * min(height, width)
        kind = int(random.integers(4))
        if kind == 0:
            end = (x + float(random.normal(0, 2.0)) * size, y + float(random.normal(0, 2.0)) * size)
            thick = int(random.integers(1, 7))
            drawn.line((x, y, *end), grey, thick)
            alpha.line((x, y, *end), opacity, thick)
        elif kind == 3:
            word = "".join(chr(code) for code in random.integers(45, 91, int(random.integers(2, 9))))
            drawn.text((x, y), word, grey, font_size=max(8.0, 0.3 * size))
            alpha.text((x, y), word, 255, font_size=max(8.0, 0.3 * size))
        else:
            box = (x, y, x + size * float(random.uniform(0.4, 1)), y + size * float(random.uniform(0.4, 1)))
            for canvas, value in ((drawn, grey), (alpha, opacity)):
                (canvas.ellipse if kind == 1 else canvas.rectangle)(box, value)
    return np.asarray(Image.composite(layer, Image.fromarray(frame), cover))


def mix_spectrum(frame: FrameArray, donor: FrameArray, random: Random) -> FrameArray:
    """Move the amplitudes of the lowest frequencies towards those of a donor; phases stay.

    The spectrum is that of a reduced picture; higher frequencies are not changed.
    """
    own, other = _small(frame), _small(donor)
    transformed = fft.rfft2(own)
    reach = int(random.integers(2, 9))
    frequency = np.minimum(np.arange(_SPECTRUM_SIDE), _SPECTRUM_SIDE - np.arange(_SPECTRUM_SIDE))
    low = (frequency[:, None] <= reach) & (np.arange(transformed.shape[1])[None, :] <= reach)
    share = low * np.float32(random.uniform(0.2, 1.0))
    amplitude = np.abs(transformed)
    wanted = amplitude + share * (np.abs(fft.rfft2(other)) - amplitude)
    mixed = fft.irfft2(transformed * (wanted / np.maximum(amplitude, 1e-6)), s=own.shape)
    return _bytes(frame + _large((mixed - own).astype(np.float32), frame.shape))


def _bias(frame: FrameArray, random: Random) -> FrameArray:
    """Multiply and add smooth uneven light."""
    coarse = int(random.integers(2, 7))
    factor = _large(np.exp(random.normal(0, 0.25, (coarse, coarse))).astype(np.float32), frame.shape)
    offset = _large(random.normal(0, 20.0, (coarse, coarse)).astype(np.float32), frame.shape)
    return _bytes(frame * factor + offset)


def _local_contrast(frame: FrameArray, random: Random) -> FrameArray:
    """Move the local mean to the middle and the local spread to a common one, with a limit like CLAHE's."""
    cells = int(random.integers(4, 13))
    small = Image.fromarray(frame).resize((4 * cells, 4 * cells), Image.Resampling.BOX)
    blocks = np.asarray(small, np.float32).reshape(cells, 4, cells, 4)
    mean, spread = blocks.mean((1, 3)), blocks.std((1, 3))
    share = float(random.uniform(0.3, 0.9))
    gain = (1.0 - share) + share * np.clip(float(random.uniform(25, 50)) / (spread + 6.0), 0.5, 3.0)
    target = (1.0 - share) * mean + share * float(random.uniform(100, 150))
    # frame x gain + (target - mean x gain): a linear map of grey values at each place.
    return _bytes(
        frame * _large(gain.astype(np.float32), frame.shape)
        + _large((target - mean * gain).astype(np.float32), frame.shape)
    )


def _curve(frame: FrameArray, random: Random) -> FrameArray:
    """Apply a monotonic curve through a few random points; some end flat, like a saturated display."""
    points = int(random.integers(3, 8))
    # Adding a share of the straight line ensures that no range of grey values is lost.
    heights = np.cumsum(random.gamma(0.8, 1.0, points) + random.uniform(0.1, 0.6))
    low, high = random.uniform(-30, 60), random.uniform(195, 285)
    heights = low + (high - low) * (heights - heights[0]) / max(heights[-1] - heights[0], 1e-6)
    table = np.interp(np.arange(256), np.linspace(0, 255, points), heights)
    levels: FrameArray = np.clip(table, 0, 255).astype(np.uint8)[frame]
    return levels


def _filter(frame: FrameArray, random: Random) -> FrameArray:
    """Apply a random 3x3 or 5x5 kernel around the identity."""
    side = int(random.choice((3, 5)))
    kernel = random.normal(0, 1.0, (side, side))
    kernel -= kernel.mean()
    kernel *= random.uniform(0.3, 2.5) / np.abs(kernel).sum()
    kernel[side // 2, side // 2] += 1.0
    applied = Image.fromarray(frame).filter(ImageFilter.Kernel((side, side), kernel.ravel().tolist(), scale=1))
    return np.asarray(applied)


def _sharpness(frame: FrameArray, random: Random) -> FrameArray:
    """Sharpen, blur, or reduce and enlarge the frame."""
    picture = Image.fromarray(frame)
    kind = int(random.integers(3))
    if kind == 0:
        sharper = ImageFilter.UnsharpMask(float(random.uniform(0.8, 4.0)), int(random.integers(40, 250)), 0)
        return np.asarray(picture.filter(sharper))
    if kind == 1:
        return np.asarray(picture.filter(ImageFilter.GaussianBlur(float(random.uniform(0.4, 2.2)))))
    share = float(random.uniform(0.35, 0.85))
    reduced = picture.resize((int(picture.width * share), int(picture.height * share)), Image.Resampling.BILINEAR)
    method = Image.Resampling.NEAREST if random.random() < 0.25 else Image.Resampling.BICUBIC
    return np.asarray(reduced.resize(picture.size, method))


def _grain(frame: FrameArray, random: Random) -> FrameArray:
    """Add noise that is correlated over one to four pixels."""
    scale = float(random.uniform(1.0, 4.0))
    rows, columns = (max(2, int(side / scale)) for side in frame.shape)
    noise = random.standard_normal((rows, columns), np.float32) * np.float32(random.uniform(3, 14))
    return _bytes(frame + _large(noise, frame.shape, Image.Resampling.BILINEAR))


def _jpeg(frame: FrameArray, random: Random) -> FrameArray:
    """Compress the frame as JPEG of low to medium quality."""
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=int(random.integers(12, 75)))
    buffer.seek(0)
    return np.asarray(Image.open(buffer))


def _small(frame: FrameArray) -> FloatArray:
    """Return the frame at the size whose spectrum is mixed, float32 (96, 96)."""
    side = (_SPECTRUM_SIDE, _SPECTRUM_SIDE)
    return np.asarray(Image.fromarray(frame).resize(side, Image.Resampling.BOX), np.float32)


def _large(
    coarse: FloatArray, shape: tuple[int, ...], method: Image.Resampling = Image.Resampling.BICUBIC
) -> FloatArray:
    """Resize coarse values, float32 (h, w), smoothly to the size of a frame, float32 (H, W)."""
    return np.asarray(Image.fromarray(coarse).resize((shape[1], shape[0]), method), np.float32)


def _bytes(values: npt.NDArray[np.floating]) -> FrameArray:
    """Clip grey values to 0..255 and convert them to uint8."""
    levels: FrameArray = np.clip(values, 0.0, 255.0).astype(np.uint8)
    return levels


_CHANGES: dict[str, Callable[[FrameArray, Random], FrameArray]] = {
    "occlude": _occlude,
    "bias": _bias,
    "local_contrast": _local_contrast,
    "curve": _curve,
    "filter": _filter,
    "sharpness": _sharpness,
    "grain": _grain,
    "jpeg": _jpeg,
}
