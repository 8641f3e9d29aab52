# SPDX-License-Identifier: Apache-2.0
"""List of a clip's swallows as the project keeps it."""

from __future__ import annotations

from typing import Any

from vfss.clips import Swallow
from vfss.project.column_types import BadValueError


def read_swallows(data: list[Any], n_frames: int) -> tuple[Swallow, ...]:
    """Return the swallows of a clip from the column that lists them.

    Raises:
        BadValueError: They are malformed, or not within the clip.
    """
    swallows = []
    for entry in data:
        frames = [entry.get("first"), entry.get("last")] if isinstance(entry, dict) else []
        whole = [frame for frame in frames if isinstance(frame, int) and not isinstance(frame, bool)]
        if len(whole) != 2 or not 0 <= whole[0] <= whole[1] < n_frames:
            raise BadValueError(f"clips.swallows of a clip of {n_frames} frames has {ascii(entry)[:60]}")
        swallows.append(Swallow(*whole))
    return tuple(swallows)
