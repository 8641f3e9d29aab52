# SPDX-License-Identifier: Apache-2.0
"""From signal to shown grey: window, lookup tables of several makers, harmonisation, sharpening, polarity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.interpolate import PchipInterpolator

from vfss.phantom.blur import gaussian, smoothed
from vfss.phantom.chance import NEVER, Chance, Span, drawn, within
from vfss.phantom.geometry import Floats

_STEPS = 1024


@dataclass(frozen=True)
class DisplayRange:
    """Ranges of how a signal is shown.

    Attributes:
        gamma: Exponent from signal to grey.
        white: Percentile of the picture shown white.
        black: Percentile shown black.
        gain: Clips shown brighter than that, and darker: factor on the signal.
        curve: Clips with a lookup table beyond the exponent: toe and shoulder, and how steep.
        bend: Clips with a lookup table that follows no law, and how far it bends.
        logarithm: Share of clips shown by the logarithm of the signal.
        harmony: Clips whose slow changes of brightness are reduced, and by what share.
        equal: Clips whose local contrast is made alike everywhere, and how far.
        sharpen: Clips with edges enhanced, and by what factor; beyond 1 there are halos.
        reach: Reach of that, in 512ths of the picture.
        washed: Clips that do not use all greys, and by what share.
        inverted: Share of clips with dense matter bright.
        deep: Clips whose air is saturated and whose neck is nearly black beside it, and the exponent that does this.
    """

    gamma: Span = (0.45, 1.25)
    white: Span = (88.0, 99.9)
    black: Span = (0.2, 8.0)
    gain: Chance = (0.4, 0.6, 1.25)
    curve: Chance = (0.4, 1.5, 6.0)
    bend: Chance = (0.3, 0.03, 0.12)
    logarithm: float = 0.25
    harmony: Chance = (0.35, 0.15, 0.6)
    equal: Chance = NEVER
    sharpen: Chance = (0.5, 0.2, 1.8)
    reach: Span = (1.0, 5.0)
    washed: Chance = (0.25, 0.1, 0.35)
    inverted: float = 0.3
    deep: Chance = NEVER


@dataclass(frozen=True)
class DisplaySettings:
    """One way of showing; see DisplayRange.

    Attributes:
        gamma: Exponent.
        white: Percentile.
        black: Percentile.
        gain: Factor.
        curve: Steepness; 0 without.
        bends: Deviations of the lookup table at six places.
        logarithm: True for the logarithm.
        harmony: Share.
        equal: 0..1.
        sharpen: Factor.
        reach: 512ths of the picture.
        floor: Darkest grey, 0..1.
        ceiling: Brightest grey, 0..1.
        inverted: True where dense matter is bright.
        deep: Exponent on the lookup table; 0 without.
    """

    gamma: float
    white: float
    black: float
    gain: float
    curve: float
    bends: tuple[float, ...]
    logarithm: bool
    harmony: float
    equal: float
    sharpen: float
    reach: float
    floor: float
    ceiling: float
    inverted: bool
    deep: float = 0.0


def sample_display(rng: np.random.Generator, ranges: DisplayRange) -> DisplaySettings:
    """A display from its ranges."""
    washed, split = drawn(rng, ranges.washed), float(rng.random())
    return DisplaySettings(
        gamma=within(rng, ranges.gamma),
        white=within(rng, ranges.white),
        black=within(rng, ranges.black),
        gain=drawn(rng, ranges.gain) or 1.0,
        curve=drawn(rng, ranges.curve),
        bends=tuple((drawn(rng, ranges.bend) * rng.normal(0, 1, 6)).tolist()),
        logarithm=bool(rng.random() < ranges.logarithm),
        harmony=drawn(rng, ranges.harmony),
        equal=drawn(rng, ranges.equal),
        sharpen=drawn(rng, ranges.sharpen),
        reach=within(rng, ranges.reach),
        floor=washed * split,
        ceiling=1 - washed * (1 - split),
        inverted=bool(rng.random() < ranges.inverted),
        deep=drawn(rng, ranges.deep),
    )


def lookup_table(settings: DisplaySettings) -> Floats:
    """The table from windowed signal to grey, float32 (1024,), rising from 0 to 1."""
    x = np.linspace(0, 1, _STEPS)
    y = x
    if settings.curve:
        # Film and its digital likeness: a sigmoid, more or less steep, through both ends.
        low, high = 1 / (1 + np.exp(settings.curve * 0.5)), 1 / (1 + np.exp(-settings.curve * 0.5))
        y = (1 / (1 + np.exp(-settings.curve * (x - 0.5))) - low) / (high - low)
    if any(settings.bends):
        places = np.linspace(0, 1, len(settings.bends) + 2)
        heights = places + np.array((0.0, *settings.bends, 0.0))
        y = PchipInterpolator(places, np.maximum.accumulate(np.clip(heights, 0, 1)))(y)
    if settings.deep:
        y = y**settings.deep
    return np.asarray(y, np.float32)


class Display:
    """One way of showing."""

    def __init__(self, settings: DisplaySettings) -> None:
        self._settings = settings
        self._table = lookup_table(settings)

    def shown(self, signal: Floats, tissue: npt.NDArray[np.bool_]) -> Floats:
        """Grey values 0..1, float32 (height, width).

        Args:
            signal: From the detector.
            tissue: Exposed tissue, bool (height, width): white and black are set by it.
        """
        settings = self._settings
        shown = self._windowed(signal, tissue)
        if settings.harmony:
            shown = shown + np.float32(settings.harmony) * (np.float32(0.55) - smoothed(shown, 0.12))
        if settings.equal:
            shown = self._equalled(shown)
        if settings.sharpen:
            reach = max(0.7, settings.reach * min(shown.shape) / 512)
            shown = shown + np.float32(settings.sharpen) * (shown - gaussian(shown, reach, truncate=2.0))
        places = np.clip(shown * np.float32(_STEPS - 1), 0, _STEPS - 1).astype(np.int16)
        grey = self._table[places]
        grey = np.float32(settings.floor) + np.float32(settings.ceiling - settings.floor) * grey
        return np.asarray(1 - grey if settings.inverted else grey, np.float32)

    def _windowed(self, signal: Floats, tissue: npt.NDArray[np.bool_]) -> Floats:
        """0 for black, 1 for white."""
        settings = self._settings
        probe = signal[::4, ::4][tissue[::4, ::4]]
        white, black = np.percentile(probe, (settings.white, settings.black)) if probe.size else (1.0, 0.0)
        white = max(float(white) / settings.gain, 1e-5)
        black = min(max(float(black), 1e-6), 0.7 * white)
        if settings.logarithm:
            low = np.float32(np.log(0.9 * black / white))
            return np.asarray(1 - np.log(np.maximum(signal * np.float32(1 / white), np.float32(1e-4))) / low)
        low = np.float32(0.9 * (black / white) ** settings.gamma)
        shown = (np.maximum(signal, 0) * np.float32(1 / white)) ** np.float32(settings.gamma)
        # What is whiter than white stays so, or it would throw shadows on what lies beside it when sharpened.
        return np.asarray(np.clip((shown - low) / (1 - low), 0, 1.1), np.float32)

    def _equalled(self, shown: Floats) -> Floats:
        """Local mean and deviation made alike everywhere."""
        mean = smoothed(shown, 0.06)
        spread = np.sqrt(np.maximum(smoothed((shown - mean) ** 2, 0.06), np.float32(4e-4)))
        alike = np.float32(0.5) + np.float32(0.18) * (shown - mean) / spread
        share = np.float32(self._settings.equal)
        return np.asarray((1 - share) * shown + share * alike)
