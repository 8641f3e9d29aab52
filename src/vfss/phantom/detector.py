# SPDX-License-Identifier: Apache-2.0
"""From light to signal: focal spot, glare, detector's blur and pixels, lag, drift, noise, bits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from vfss.phantom.blur import gaussian, reduced, resized, smoothed
from vfss.phantom.chance import Chance, Span, around, drawn, within
from vfss.phantom.framing import Lens
from vfss.phantom.geometry import Floats

_STORED = 1 << 20  # normal deviates in store


@dataclass(frozen=True)
class DetectorRange:
    """Ranges of a detector.

    Attributes:
        focus_mm: Blur of the focal spot and of movement, millimetres; longer one way than the other.
        blur_mm: Blur of the detector.
        glare: Light scattered in the intensifier or the optics, a share; it also fills what shutters keep dark.
        noise: Relative quantum noise in bright parts.
        grain: Correlation of the noise, in 512ths of the picture.
        tail: Share of the noise that is correlated over a few times that distance.
        electronic: Noise that does not depend on the signal, as a share of white.
        pattern: Unequal columns or rows of the detector, relative.
        lag: Share of the previous frame left in this one.
        recursion: Share of the previous frame's noise that a recursive filter keeps.
        drift: Change of the exposure over seconds, relative; and its settling at the start.
        flicker: Change from frame to frame, relative.
        bits: Fewest and most bits before the lookup table.
        blocks: Side of the detector's pixels, in 512ths of the picture; 1 is fine.
    """

    focus_mm: Span = (0.05, 0.5)
    blur_mm: Span = (0.2, 0.75)
    glare: Chance = (0.6, 0.02, 0.22)
    noise: Span = (0.002, 0.045)
    grain: Span = (0.4, 1.4)
    tail: Chance = (0.5, 0.1, 0.6)
    electronic: Chance = (0.4, 0.001, 0.008)
    pattern: Chance = (0.15, 0.003, 0.02)
    lag: Chance = (0.35, 0.05, 0.4)
    recursion: Chance = (0.4, 0.2, 0.75)
    drift: Chance = (0.5, 0.01, 0.12)
    flicker: Chance = (0.4, 0.002, 0.02)
    bits: tuple[int, int] = (8, 12)
    blocks: Span = (1.0, 1.0)


@dataclass(frozen=True)
class DetectorSettings:
    """One detector; see DetectorRange.

    Attributes:
        focus_mm: Along two directions across each other.
        blur_mm: Millimetres.
        glare: Share.
        noise: Relative.
        grain: 512ths of the picture.
        tail: Share.
        electronic: Share of white.
        pattern: Relative.
        rows: True where rows differ, not columns.
        lag: Share.
        recursion: Share.
        drift: Relative.
        pace: Turns of the drift a second, and where it starts.
        flicker: Relative.
        bits: Number.
        blocks: 512ths of the picture.
    """

    focus_mm: tuple[float, float]
    blur_mm: float
    glare: float
    noise: float
    grain: float
    tail: float
    electronic: float
    pattern: float
    rows: bool
    lag: float
    recursion: float
    drift: float
    pace: tuple[float, float]
    flicker: float
    bits: int
    blocks: float


def sample_detector(rng: np.random.Generator, ranges: DetectorRange) -> DetectorSettings:
    """A detector from its ranges."""
    return DetectorSettings(
        focus_mm=(within(rng, ranges.focus_mm), within(rng, ranges.focus_mm)),
        blur_mm=within(rng, ranges.blur_mm),
        glare=drawn(rng, ranges.glare),
        noise=around(rng, ranges.noise),
        grain=within(rng, ranges.grain),
        tail=drawn(rng, ranges.tail),
        electronic=drawn(rng, ranges.electronic),
        pattern=drawn(rng, ranges.pattern),
        rows=bool(rng.random() < 0.3),
        lag=drawn(rng, ranges.lag),
        recursion=drawn(rng, ranges.recursion),
        drift=drawn(rng, ranges.drift),
        pace=(within(rng, (0.05, 0.6)), within(rng, (0, 6.28))),
        flicker=drawn(rng, ranges.flicker),
        bits=int(rng.integers(ranges.bits[0], ranges.bits[1] + 1)),
        blocks=within(rng, ranges.blocks),
    )


class Detector:
    """A detector behind one field; what stays from frame to frame is made once.

    Attributes:
        memory: How many frames before this one are left in its signal.
    """

    def __init__(self, lens: Lens, settings: DetectorSettings, rng: np.random.Generator) -> None:
        self._settings = settings
        self._shape = (lens.inner.height, lens.inner.width)
        self._scale, self._unit = lens.inner.scale, min(self._shape) / 512
        # One frame back: of two not enough is left to be worth the time that drawing it takes.
        self.memory = 1 if settings.lag else 0
        lines = self._shape[0] if settings.rows else self._shape[1]
        uneven = 1 + settings.pattern * rng.standard_normal(lines)
        self._pattern = (uneven[:, None] if settings.rows else uneven[None, :]).astype(np.float32)

    def settled(self, light: Floats) -> Floats:
        """Signal without noise of light that stays, blurred by focus and optics, float32 (rows, columns)."""
        settings = self._settings
        height, width = self._shape
        # Two Gaussians after each other are one.
        both = np.hypot(np.multiply(settings.focus_mm, 0.5), 0.5 * settings.blur_mm)
        down, across = np.maximum(0.35, both * self._scale).tolist()
        signal = gaussian(light, (down, across), truncate=3.0)
        if settings.glare:
            near = smoothed(signal, 0.035)
            spread = cv2.addWeighted(near, 0.4, smoothed(near, 0.22), 0.6, 0)
            signal = np.asarray(cv2.addWeighted(signal, 1 - settings.glare, spread, settings.glare, 0))
        coarse = settings.blocks * self._unit
        if coarse > 1.01:
            signal = reduced(signal, max(8, round(height / coarse)), max(8, round(width / coarse)))
        return signal

    def lagging(self, signals: list[Floats]) -> Floats:
        """This frame's signal with what is left of those before it; newest first, 1 + memory of them."""
        weights = self._settings.lag ** np.arange(len(signals))
        weights /= weights.sum()
        out = np.float32(weights[0]) * signals[0]
        for weight, signal in zip(weights[1:], signals[1:], strict=True):
            out += np.float32(weight) * signal
        return np.asarray(out)

    def read(self, signal: Floats, seconds: float, seed: tuple[int, ...]) -> Floats:
        """Signal as digitised, float32 (height, width), 0..1; free air is not far from 1, or beyond it and cut off.

        Args:
            signal: Without noise.
            seconds: Into the clip: the exposure drifts.
            seed: Of this frame; its last number is the frame's, from which the noise of those before it follows.
        """
        settings = self._settings
        exposure = self._exposure(seconds, seed)
        level = np.float32(max(1e-4, float(signal.mean())))
        noise = self._noise(signal.shape, seed)
        deviation = np.sqrt(np.maximum(signal, 0))
        deviation *= np.float32(settings.noise * np.sqrt(level / exposure))
        deviation += np.float32(settings.electronic)
        noise *= deviation
        signal = np.add(signal, noise, out=noise)
        if signal.shape != self._shape:
            signal = resized(np.asarray(signal, np.float32), *self._shape)
        if settings.pattern:
            signal = signal * self._pattern
        steps = np.float32(2**settings.bits - 1)
        # Exposure control lifts the signal of a thick neck, and free air saturates. Converters of few bits work on the
        # root of the signal, or the dark would have no greys left.
        gain = exposure * max(1 / 1.4, 1 / (7 * float(level)))
        root = signal * np.float32(gain)
        np.sqrt(np.clip(root, 0, 1, out=root), out=root)
        np.rint(np.multiply(root, steps, out=root), out=root)
        root *= 1 / steps
        return np.asarray(np.square(root, out=root))

    def _exposure(self, seconds: float, seed: tuple[int, ...]) -> float:
        settings = self._settings
        turns, start = settings.pace
        slow = 0.6 * np.sin(start + 6.28 * turns * seconds) + 0.4 * np.sin(2 * start + 6.28 * 1.7 * turns * seconds)
        settling = np.exp(-seconds / 0.4) * np.cos(start)
        fast = np.random.default_rng((*seed, 1)).standard_normal()
        return float(np.exp(settings.drift * (slow + settling) + settings.flicker * fast))

    def _noise(self, shape: tuple[int, ...], seed: tuple[int, ...]) -> Floats:
        """Correlated in space, and in time where a recursive filter is at work; deviation 1."""
        settings = self._settings
        noise = _white(shape, seed)
        if settings.recursion:
            # One frame back stands for all of them: more would not be seen, and costs time.
            mine, its = np.array((1.0, settings.recursion)) / np.hypot(1.0, settings.recursion)
            before = _white(shape, (*seed[:-1], max(0, seed[-1] - 1)))
            noise = np.asarray(cv2.addWeighted(noise, mine, before, its, 0))
        grain = max(0.0, settings.grain * self._unit / max(1.0, settings.blocks * self._unit))
        out = noise
        if grain > 0.3:
            out = gaussian(noise, grain, truncate=2.0)
            out *= np.float32(np.sqrt(1 + 4 * np.pi * grain * grain) * 0.9)
        if settings.tail:
            side = max(3, round(2 * grain + 2))
            wide = cv2.blur(noise, (side, side), borderType=cv2.BORDER_REFLECT)
            out = np.asarray(cv2.addWeighted(out, 1 - settings.tail, wide, side * settings.tail, 0))
        return out


def _white(shape: tuple[int, ...], seed: tuple[int, ...]) -> Floats:
    """Normal deviates without correlation, deviation 1, float32 of a shape.

    Drawing each anew would be a tenth of the work: a frame gets the sum of two stretches of a store of them that start
    anywhere, one of them with either sign.
    """
    rng = np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed)))
    number = int(np.prod(shape))
    if number > _STORED // 2:
        return rng.standard_normal(shape, dtype=np.float32)
    store = _store()
    one, other = rng.integers(0, _STORED - number, 2)
    half = np.float32(np.sqrt(0.5))
    out = store[one : one + number] * half
    out += store[other : other + number] * (half if rng.random() < 0.5 else -half)
    return out.reshape(shape)


@cache
def _store() -> Floats:
    """Normal deviates, the same in every process, float32 (_STORED,)."""
    return np.random.Generator(np.random.SFC64(1)).standard_normal(_STORED, dtype=np.float32)
