# SPDX-License-Identifier: Apache-2.0
"""Recordings: open_clip(path) returns a Clip for every supported format."""

from vfss.clips.cached import ArrayClip
from vfss.clips.clip import Clip, Facing, Frame, Swallow, TimesFrom, through_window
from vfss.clips.content_id import content_id
from vfss.clips.opening import SUFFIXES, can_open, open_clip, recordings_in

__all__ = [
    "SUFFIXES",
    "ArrayClip",
    "Clip",
    "Facing",
    "Frame",
    "Swallow",
    "TimesFrom",
    "can_open",
    "content_id",
    "open_clip",
    "recordings_in",
    "through_window",
]
