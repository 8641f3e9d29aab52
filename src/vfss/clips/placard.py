# SPDX-License-Identifier: Apache-2.0
"""What stands in place of a frame that cannot be decoded: stripes and a sentence, never a dark picture."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from vfss.clips.cached import frame_index
from vfss.clips.clip import Clip, Frame
from vfss.errors import ClipError

TEXT = "This frame cannot be read"
_STRIPE = 16  # px, or an eighth of a small frame
_DARK, _LIGHT, _BAR, _INK = 70, 110, 20, 255
_WIDEST, _WIDEST_SMALL = 0.5, 0.9  # of the frame, by the text: read at twice the size of the window, too
_SMALL = 200  # px


def unreadable_placard(height: int, width: int) -> npt.NDArray[np.uint8]:
    """Return a picture of that size, uint8 (H, W): diagonal stripes and, on a bar, that the frame cannot be read."""
    rows, columns = np.mgrid[:height, :width]
    stripe = max(2, min(_STRIPE, min(height, width) // 8))
    stripes = np.where((rows + columns) // stripe % 2, _LIGHT, _DARK).astype(np.uint8)
    image = Image.fromarray(stripes)
    draw, probe = ImageDraw.Draw(image), ImageFont.load_default(100)
    left, _, right, _ = probe.getbbox(TEXT)
    widest = _WIDEST_SMALL if width < _SMALL else _WIDEST
    size = max(4.0, min(height / 4, 100 * widest * width / (right - left)))
    font = ImageFont.load_default(size)
    middle = height // 2
    draw.rectangle((0, middle - round(size), width, middle + round(size)), fill=_BAR)
    draw.text((width / 2, middle), TEXT, fill=_INK, font=font, anchor="mm")
    return np.asarray(image)


def placard_of(clip: Clip) -> Frame:
    """Return the placard in the size, type and displayed range of a clip's frames, uint8 or uint16 (H, W)."""
    low, high = (0, 255) if clip.dtype == np.uint8 else clip.window
    values = np.rint(low + unreadable_placard(clip.height, clip.width) / 255.0 * (high - low))
    placard: Frame = values.astype(np.uint8) if clip.dtype == np.uint8 else values.astype(np.uint16)
    placard.flags.writeable = False
    return placard


class PlacardClip(Clip):
    """A recording in which a placard stands for each frame that cannot be decoded, so that all others keep their place.

    Attributes:
        unreadable: Why a frame cannot be decoded, by zero-based index, of those that were read.
    """

    def __init__(self, clip: Clip) -> None:
        """Show a clip, which is closed with this one."""
        super().__init__(
            clip_id=clip.id,
            source=clip.source,
            n_frames=clip.n_frames,
            height=clip.height,
            width=clip.width,
            bits=clip.bits,
            times_s=clip.times_s,
            times_from=clip.times_from,
            pixel_aspect=clip.pixel_aspect,
            notes=clip.notes,
            facing=clip.facing,
            inverted=clip.inverted,
            swallows=clip.swallows,
            window=clip.window,
        )
        self.unreadable: dict[int, ClipError] = {}
        self._clip = clip
        self._placard: Frame | None = None

    def __getitem__(self, t: int) -> Frame:
        """Return frame t or the placard, uint8 or uint16 (height, width), read-only.

        Raises:
            IndexError: There is no such frame.
            ClipError: The recording itself is out of reach, or none of its frames can be decoded.
        """
        index = frame_index(t, self.n_frames)
        try:
            return self._clip[index]
        except ClipError as error:
            self.unreadable[index] = error
            gone = self.source is not None and not self.source.exists()
            if gone or len(self.unreadable) == self.n_frames:
                raise
        if self._placard is None:
            self._placard = placard_of(self)
        return self._placard

    def __enter__(self) -> PlacardClip:
        return self

    def reopen(self) -> PlacardClip:
        """Open the same recording again, with its own file handle and cache."""
        return PlacardClip(self._clip.reopen())

    def close(self) -> None:
        """Close the recording."""
        self._clip.close()
