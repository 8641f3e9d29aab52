# SPDX-License-Identifier: Apache-2.0
"""A recording at a glance: its brightest and darkest values over all frames, and the frames worth a closer look."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vfss.clips import Clip
from vfss.output import Progress

_BORDER = 0.15  # of each side: devices write their words there
_JUMP = 40  # grey values by which a pixel of a letter changes when it comes or goes


@dataclass(frozen=True, eq=False)
class Projections:
    """All frames of a recording in two pictures, on 8 bits.

    Text that stands on some frames only is in one of the two wherever it is brighter or darker than what is behind it.

    Attributes:
        brightest: uint8 (H, W), the greatest value of each pixel over all frames.
        darkest: uint8 (H, W), the least value.
        changes: float32 (n_frames,), share of the border's pixels that differ much from the frame before; the first 0.
    """

    brightest: npt.NDArray[np.uint8]
    darkest: npt.NDArray[np.uint8]
    changes: npt.NDArray[np.float32]

    def frames(self, evenly: int, changed: int) -> list[int]:
        """Frames to look at, ascending: all where there are few, else evenly spread and where the border changed.

        Args:
            evenly: How many evenly spread ones, the first and the last among them.
            changed: How many more at most, where the border changed most; of a counter that runs, some.
        """
        n = len(self.changes)
        if n <= evenly + changed:
            return list(range(n))
        spread = {round(i * (n - 1) / max(1, evenly - 1)) for i in range(evenly)}
        by_change = [int(t) for t in np.argsort(-self.changes, kind="stable") if self.changes[t] > 0]
        return sorted(spread | set(by_change[:changed]))


def project_clip(clip: Clip, progress: Progress | None = None) -> Projections | None:
    """Walk through a recording once, in the memory of a few frames; None where it was cancelled.

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
