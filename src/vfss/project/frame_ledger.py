# SPDX-License-Identifier: Apache-2.0
"""Ledger of the frames that are read from one clip: keeps what is new, and finds what is read otherwise than before."""

from __future__ import annotations

from collections.abc import Mapping

from vfss.clips import Clip, Frame
from vfss.errors import ClipError
from vfss.project.frame_checks import ChangedFrame, FrameChecks, frame_digest
from vfss.wording import count, ranges

_AT_ONCE = 256  # frames between two transactions


class FrameLedger:
    """Takes note of frames as they are read (a FrameWatch), and writes them to the project now and then.

    Attributes:
        changed: Frames that are read otherwise than at first, by zero-based index.
    """

    def __init__(self, checks: FrameChecks, clip: Clip) -> None:
        """Take note of a clip of the project that has these checks.

        Args:
            checks: The frame checks of the project.
            clip: The recording that is read.
        """
        self.changed: dict[int, ChangedFrame] = {}
        self._checks, self._clip = checks, clip
        self._read: dict[int, int | str] = {}

    def decoded(self, t: int, frame: Frame) -> None:
        """Take note of frame t, uint8 or uint16 (H, W)."""
        self._note(t, frame_digest(frame))

    def damaged(self, t: int, error: ClipError) -> None:
        """Take note that frame t cannot be decoded; not if the recording itself is out of reach."""
        source = self._clip.source
        if source is None or source.exists():
            self._note(t, error.what)

    def keep(self) -> None:
        """Write what was noted; a frame that can be decoded again is no longer kept as damaged.

        Raises:
            ProjectError: The project cannot be written.
        """
        read, self._read = self._read, {}
        if read:
            changed = {change.frame: change for change in self._checks.record(self._clip.id, read)}
            again = {t: now for t, change in changed.items() if isinstance(now := change.read, int) and change.mended}
            self._checks.replace_damage(self._clip.id, again)
            self.changed |= {t: change for t, change in changed.items() if not change.mended}

    def _note(self, t: int, value: int | str) -> None:
        self._read[t] = value
        if len(self._read) >= _AT_ONCE:
            self.keep()


def changed_frames(changed: Mapping[int, ChangedFrame], *, first: int = 0) -> str:
    """Return a message that names the frames that are decoded otherwise than at first; empty for none.

    Args:
        changed: The changes by zero-based index.
        first: Number that a person sees on the first frame of a clip.
    """
    differing = [t for t, change in changed.items() if isinstance(change.read, int)]
    if not differing:
        return ""
    what = count(len(differing), "frame is decoded differently", "frames are decoded differently")
    return (
        f"{what} than when first read: {ranges([t + first for t in differing])}. The file or a decoder changed since: "
        "check whether the masks there still fit"
    )
