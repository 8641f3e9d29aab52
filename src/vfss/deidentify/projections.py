# SPDX-License-Identifier: Apache-2.0
"""Projections of a recording: brightest and darkest values over all frames, and which frames to examine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vfss.clips import Clip
from vfss.clips.readable import ReadableFrames
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
        unreadable: Frames that cannot be decoded.
    """

    brightest: npt.NDArray[np.uint8]
    darkest: npt.NDArray[np.uint8]
    changes: npt.NDArray[np.float32]
    unreadable: frozenset[int] = frozenset()

    def frames(self, evenly: int, changed: int) -> list[int]:
        """Return the frames to examine, ascending: all of a short clip, else evenly spaced ones and those of changes.

        Frames that cannot be decoded are not among them.

        Args:
            evenly: Number of evenly spaced frames, including the first and the last.
            changed: Largest number of further frames, those where the border changed most.
        """
        readable = [t for t in range(len(self.changes)) if t not in self.unreadable]
        if len(readable) <= evenly + changed:
            return readable
        spaced = [readable[i] for i in evenly_spaced(len(readable), evenly)]
        by_change = [int(t) for t in np.argsort(-self.changes, kind="stable") if self.changes[t] > 0]
        return sorted({*spaced, *by_change[:changed]})


def evenly_spaced(n_frames: int, count: int) -> list[int]:
    """Return up to `count` evenly spaced frames of a clip, including the first and the last, ascending."""
    return list(dict.fromkeys(round(i * (n_frames - 1) / max(1, count - 1)) for i in range(count)))


def project_clip(clip: Clip, progress: Progress | None = None) -> Projections | None:
    """Project a recording in one pass, with a few frames in memory; return None if it was cancelled.

    Frames that cannot be decoded show nothing, and count for nothing.

    Raises:
        ClipError: No frame can be decoded.
    """
    reader = ReadableFrames(clip)
    brightest = darkest = previous = np.zeros((clip.height, clip.width), np.uint8)
    changes = np.zeros(clip.n_frames, np.float32)
    border = _border(clip.height, clip.width)
    found = False
    for t in range(clip.n_frames):
        frame = reader.picture(t)
        if frame is not None:
            if not found:
                brightest = darkest = previous = frame
                found = True
            brightest, darkest = np.maximum(brightest, frame), np.minimum(darkest, frame)
            changes[t] = np.mean(np.abs(frame.astype(np.int16) - previous)[border] > _JUMP)
            previous = frame
        if progress is not None and progress(t + 1, clip.n_frames) is False:
            return None
    if not found:
        raise reader.unreadable[0]
    return Projections(brightest, darkest, changes, frozenset(reader.unreadable))


def _border(height: int, width: int) -> npt.NDArray[np.bool_]:
    border = np.ones((height, width), np.bool_)
    rows, columns = round(_BORDER * height), round(_BORDER * width)
    border[rows : height - rows, columns : width - columns] = False
    return border
