# SPDX-License-Identifier: Apache-2.0
"""Recordings: open_clip(path) gives a Clip, whatever the format."""

from vfss.clips.clip import Clip, Facing, Frame, Swallow

__all__ = ["Clip", "Facing", "Frame", "Swallow"]
