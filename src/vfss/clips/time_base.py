# SPDX-License-Identifier: Apache-2.0
"""The time base of a clip in words: how many frames a second, and who says so."""

from __future__ import annotations

from vfss.clips.clip import Clip, TimesFrom
from vfss.clips.frame_rate import FASTEST_FPS, SLOWEST_FPS

_WORDS: dict[TimesFrom, str] = {"file": "{}", "assumed": "assumed {}", "person": "{}, typed by a person"}


def frame_rate(clip: Clip) -> float | None:
    """Return the mean number of frames per second; None if a clip has no duration."""
    seconds = float(clip.times_s[-1]) if clip.n_frames > 1 else 0.0
    return (clip.n_frames - 1) / seconds if seconds > 0 else None


def rate_text(rate: float) -> str:
    """Return a rate for a person, as "29.97 frames a second"."""
    return f"{rate:.2f}".rstrip("0").rstrip(".") + " frames a second"


def times_text(clip: Clip) -> str:
    """Return the rate of a clip and who says so, for a person; "" where a clip has no duration.

    It is "29.97 frames a second" where the recording says so, "assumed 30 frames a second" where nobody does, and
    "15 frames a second, typed by a person".
    """
    rate = frame_rate(clip)
    return "" if rate is None else _WORDS[clip.times_from].format(rate_text(rate))


def is_plausible(rate: float) -> bool:
    """Return whether a recording of a swallow may have so many frames per second."""
    return SLOWEST_FPS <= rate <= FASTEST_FPS
