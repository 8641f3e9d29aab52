# SPDX-License-Identifier: Apache-2.0
"""Array-like view of a clip that decodes one frame per access."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from psygnal import Signal

from vfss.clips import Clip
from vfss.clips.placard import placard_of
from vfss.errors import ClipError


class ClipFrames:
    """Read-only array (T, H, W) over a clip; only requested frames are decoded.

    Instead of a frame that cannot be decoded comes a placard that nobody takes for a picture, and `problem` is emitted:
    an exception inside napari's slicing would leave the viewer on another frame than its slider.
    """

    problem = Signal(ClipError)
    ndim = 3

    def __init__(self, clip: Clip) -> None:
        self._clip = clip
        self._failing = False
        self.shape = (clip.n_frames, clip.height, clip.width)
        self.scale = (1.0, *pixel_scale(clip))
        self.dtype: np.dtype[Any] = clip.dtype
        self.size = int(np.prod(self.shape))

    @property
    def source(self) -> Path | None:
        """File or folder of the clip."""
        return self._clip.source

    def close(self) -> None:
        """Close the clip's file."""
        self._clip.close()

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> npt.NDArray[Any]:
        """Return frames, rows and columns by numpy's basic indexing."""
        parts = key if isinstance(key, tuple) else (key,)
        if any(part is Ellipsis for part in parts):
            at = next(i for i, part in enumerate(parts) if part is Ellipsis)
            fill = (slice(None),) * (self.ndim - len(parts) + 1)
            parts = parts[:at] + fill + parts[at + 1 :]
        first, rest = parts[0], parts[1:]
        if isinstance(first, slice):
            chosen = [self._frame(t)[rest] for t in range(*first.indices(len(self)))]
            return np.stack(chosen) if chosen else np.zeros((0, *self.shape[1:]), self.dtype)[:, *rest]
        if isinstance(first, (int, np.integer)):
            return self._frame(int(first))[rest]
        return np.stack([self._frame(int(t))[rest] for t in np.asarray(first).ravel()])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """Return the whole clip; needed only if a person saves or converts the layer."""
        frames = self[:]
        return frames if dtype is None else frames.astype(dtype)

    def _frame(self, t: int) -> npt.NDArray[Any]:
        try:
            frame = self._clip[t]
        except ClipError as error:
            # A missing recording is reported once, not for every frame that is stepped through.
            if not self._failing:
                self._failing = True
                self.problem.emit(error)
            return self._placard
        self._failing = False
        return frame

    @cached_property
    def _placard(self) -> npt.NDArray[Any]:
        return placard_of(self._clip)


def pixel_scale(clip: Clip) -> tuple[float, float]:
    """Return the height and width of a stored pixel in the viewer's world, where a pixel is one high."""
    return 1.0, clip.pixel_aspect


def clip_layer_settings(frames: ClipFrames, *, name: str, inverted: bool, window: tuple[int, int]) -> dict[str, Any]:
    """Return the settings of the Image layer of a clip."""
    return {
        "name": name,
        "scale": frames.scale,
        "rgb": False,
        "multiscale": False,
        "contrast_limits": window,
        "colormap": "gray_r" if inverted else "gray",
        "metadata": {"vfss_frames": frames},
    }
