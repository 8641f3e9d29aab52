# SPDX-License-Identifier: Apache-2.0
"""Projections of a recording: brightest and darkest values over all frames, and which frames to examine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vfss.clips import Clip
from vfss.output import Progress

_BORDER = 0.15  # of each side: where devices write text
_JUMP = 40  # grey values by which a pixel changes when text appears or disappears


@dataclass(frozen=True, eq=False)
class Projections:
    """All frames of a recording projected to two 8-bit pictures.

    Text on some frames only appears in one of them wherever it is brighter or darker than its background.

    Attributes:
        brightest: uint8 (H, W), the greatest value of each pixel over all frames.
        darkest: uint8 (H, W), the least value.
        changes: float32 (n_frames,), share of the border's pixels that differ much from the frame before; the first 0.
    """

    brightest: npt.NDArray[np.uint8]
    darkest: npt.NDArray[np.uint8]
    changes: npt.NDArray[np.float32]

    def frames(self, evenly: int, changed: int) -> list[int]:
        """Return the frames to examine, ascending: all of a short clip, else evenly spaced ones and those of changes.

        Args:
            evenly: Number of evenly spaced frames, including the first and the last.
            changed: Largest number of further frames, those where the border changed most.
        """
        n = len(self.changes)
        if n <= evenly + changed:
            return list(range(n))
        spaced = evenly_spaced(n, evenly)
        by_change = [int(t) for t in np.argsort(-self.changes, kind="stable") if self.changes[t] > 0]
        return sorted({*spaced, *by_change[:changed]})


def evenly_spaced(n_frames: int, count: int) -> list[int]:
    """Return up to `count` evenly spaced frames of a clip, including the first and the last, ascending."""
    return list(dict.fromkeys(round(i * (n_frames - 1) / max(1, count - 1)) for i in range(count)))


def project_clip(clip: Clip, progress: Progress | None = None) -> Projections | None:
    """Project a recording in one pass, with a few frames in memory; return None if it was cancelled.

    Raises:
        ClipError: A frame cannot be decoded.
    """
    brightest = darkest = previous = clip.as_uint8(0)
    changes = np.zeros(clip.n_frames, np.float32)
    border = _border(clip.height, clip.width)
    for t in range(clip.n_frames):
        frame = clip.as_uint8(t)
        brightest, darkest = np.maximum(brightest, frame), np.minimum(darkest, frame)
        changes[t] = np.mean(np.abs(frame.astype(np.int16) - previous)[border] > _JUMP)
        previous = frame
        if progress is not None and progress(t + 1, clip.n_frames) is False:
            return None
    return Projections(brightest, darkest, changes)


def _border(height: int, width: int) -> npt.NDArray[np.bool_]:
    border = np.ones((height, width), np.bool_)
    rows, columns = round(_BORDER * height), round(_BORDER * width)
    border[rows : height - rows, columns : width - columns] = False
    return border
