# SPDX-License-Identifier: Apache-2.0
"""Frame rates that no fluoroscope records are doubted aloud, not corrected."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SLOWEST_FPS, FASTEST_FPS = 1.0, 500.0
"""Frames per second of a believable recording: pulsed fluoroscopy has 1 to 60, high-speed cameras a few hundred."""


def rate_doubt(times_s: npt.NDArray[np.float64]) -> str | None:
    """Return a sentence without full stop that doubts the frame rate of a recording; None if it is believable.

    Args:
        times_s: float64 (n_frames,), presentation times in seconds.
    """
    if len(times_s) < 2:
        return None
    step = float(np.median(np.diff(times_s)))
    fps = 1 / step if step > 0 else float("inf")
    if SLOWEST_FPS <= fps <= FASTEST_FPS:
        return None
    return (
        f"its times mean {fps:,.6g} frames a second, which is not believable ({SLOWEST_FPS:g} to {FASTEST_FPS:g} are):"
        " check them, or type the rate yourself"
    )
