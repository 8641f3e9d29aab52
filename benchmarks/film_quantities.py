# SPDX-License-Identifier: Apache-2.0
"""Image statistics of a clip: grey values, noise, edges, contrast, change from frame to frame.

Every quantity is a curve over a fixed axis, so that curves of many clips form a band.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Array = npt.NDArray[np.float64]
Frames = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

PERCENTILES = np.array((1, 2, 5, 10, 15, 20, 30, 40, 50, 60, 70, 80, 85, 90, 95, 98, 99), np.float64)
_PATCH = 32  # pixels; side of the patches whose noise is measured
_REACH = 10  # pixels on either side of an edge
FREQUENCIES = np.arange(1, _PATCH // 2) / _PATCH  # cycles per pixel
OFFSETS = np.arange(-_REACH, _REACH + 1, dtype=np.float64)  # pixels from the middle of an edge
CHANGE_PERCENTILES = np.array((10, 25, 50, 75, 90, 95, 98, 99, 99.5, 99.9))
LAGS_S = np.array((0.08, 0.17, 0.25, 0.33, 0.42, 0.5))  # seconds


def greys(frames: Frames, field: Mask) -> Array:
    """Return the grey values at PERCENTILES of all pixels of the exposed field."""
    return np.percentile(frames[:, field], PERCENTILES)


def noise_spectrum(frames: Frames, field: Mask) -> Array | None:
    """Return the power at FREQUENCIES, grey values squared, of the flattest patches of tissue; None without any.

    A patch is tissue if its mean is neither black nor white. The fifth of them with the least spread is used, without
    its slope and curvature: remaining anatomy counts as noise, in phantoms as in real clips.
    """
    rows, columns = np.mgrid[-1 : 1 : _PATCH * 1j, -1 : 1 : _PATCH * 1j]
    smooth = np.stack([np.ones_like(rows), rows, columns, rows**2, columns**2, rows * columns], -1).reshape(-1, 6)
    flatten = np.eye(_PATCH**2) - smooth @ np.linalg.pinv(smooth)
    window = np.outer(np.hanning(_PATCH), np.hanning(_PATCH))
    patches = []
    for frame in frames:
        for y in range(0, frame.shape[0] - _PATCH + 1, _PATCH // 2):
            for x in range(0, frame.shape[1] - _PATCH + 1, _PATCH // 2):
                box = (slice(y, y + _PATCH), slice(x, x + _PATCH))
                if field[box].all() and 25 < frame[box].mean() < 230:
                    patches.append(frame[box].astype(np.float64).ravel())
    if len(patches) < 10:
        return None
    flat = (np.array(patches) @ flatten).reshape(-1, _PATCH, _PATCH)
    spread = flat.std(axis=(1, 2))
    flat = flat[spread <= np.quantile(spread, 0.2)] * window
    power = (np.abs(np.fft.fft2(flat)) ** 2).mean(0) / (window**2).sum()
    radius = np.hypot(*np.meshgrid(np.fft.fftfreq(_PATCH), np.fft.fftfreq(_PATCH))) * _PATCH
    return np.array([power[np.rint(radius) == ring].mean() for ring in range(1, _PATCH // 2)])


def edge_profile(frames: Frames, field: Mask, number: int = 200) -> Array | None:
    """Return the median profile across the steepest edges at OFFSETS, from 0 (dark) to 1 (bright); None without any."""
    inside = ndimage.binary_erosion(field, iterations=_REACH + 4)
    profiles = []
    for frame in frames:
        smooth = ndimage.gaussian_filter(frame.astype(np.float64), 1.0)
        down, right = np.gradient(smooth)
        steep = np.hypot(down, right) * inside
        peaks = np.argwhere((steep == ndimage.maximum_filter(steep, 9)) & (steep > 2.0))
        order = np.argsort(-steep[tuple(peaks.T)])[:number]
        for y, x in peaks[order]:
            unit = np.array((down[y, x], right[y, x])) / steep[y, x]
            line = np.array((y, x))[:, None] + unit[:, None] * OFFSETS
            profile = ndimage.map_coordinates(frame.astype(np.float64), line, order=1, mode="nearest")
            dark, bright = profile[: _REACH - 5].mean(), profile[_REACH + 6 :].mean()
            if bright - dark > 20:
                profiles.append((profile - dark) / (bright - dark))
    return np.median(profiles, axis=0) if len(profiles) >= 20 else None


def edge_width(profile: Array) -> float:
    """Return the distance over which a profile rises from a tenth to nine tenths, pixels."""
    middle = slice(_REACH - 6, _REACH + 7)
    rising = np.maximum.accumulate(profile[middle])
    low, high = np.interp((0.1, 0.9), rising + np.arange(len(rising)) * 1e-9, OFFSETS[middle])
    return float(high - low)


def change(frames: Frames, field: Mask) -> Array:
    """Return the absolute difference of neighbouring frames at CHANGE_PERCENTILES, grey values."""
    pairs = np.abs(np.diff(frames[:, field].astype(np.int16), axis=0))
    return np.percentile(pairs, CHANGE_PERCENTILES)


def change_over_time(frames: Frames, field: Mask, times_s: Array) -> Array:
    """Return the mean absolute difference of frames LAGS_S apart, grey values."""
    values = frames[:, field].astype(np.float32)
    apart = [k for k in range(1, len(frames)) if times_s[k] - times_s[0] <= 1.3 * LAGS_S[-1]]
    means = [float(np.abs(values[k:] - values[:-k]).mean()) for k in apart]
    return np.interp(LAGS_S, [times_s[k] - times_s[0] for k in apart], means)


def contrast(frame: Frames, planes: Mask, index: int, field: Mask, reach: int) -> float | None:
    """Return the mean grey of a structure minus that of its surround, as a share of the range of the exposed field.

    The range is from the 5th to the 95th percentile. None if structure, surround or range is too small.

    Args:
        frame: uint8 (height, width).
        planes: bool (S, height, width).
        index: Index of the structure.
        field: Exposed field, bool (height, width).
        reach: Width of the surround, px; other structures are not part of it.
    """
    inside = planes[index] & field
    if inside.sum() < 150:
        return None
    others = planes.any(axis=0)
    surround = ndimage.binary_dilation(planes[index], iterations=reach)
    surround &= ~ndimage.binary_dilation(planes[index], iterations=2) & ~others & field
    low, high = np.percentile(frame[field], (5, 95))
    if surround.sum() < 100 or high - low < 5:
        return None
    return float((frame[inside].mean() - frame[surround].mean()) / (high - low))
