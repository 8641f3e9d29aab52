# SPDX-License-Identifier: Apache-2.0
"""De-identified videos: grey frames without loss (FFV1 in Matroska), their true times, and nothing else."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.codec.context import Flags

from vfss.clips import Clip, Frame
from vfss.clips.library_errors import reason
from vfss.deidentify.dicom import Tick
from vfss.errors import DatasetError
from vfss.redaction import Redaction

SUFFIX = ".mkv"

_CODEC = {"level": "3", "slices": "4", "slicecrc": "1", "g": "1", "threads": "2"}
"""Every frame stands alone and carries a checksum."""
_CONTAINER = {"fflags": "+bitexact", "write_crc32": "0"}
"""No version of a program; and no checksum over the head, of which one value is set afterwards."""
_PIXELS = {8: "gray", 10: "gray10le", 12: "gray12le", 14: "gray14le", 16: "gray16le"}

_LIBAV_TICK = Fraction(1, 1000)
_TICKS_A_SECOND = 1_000_000
_HEAD = 65536
_MILLISECONDS, _MICROSECONDS = (
    b"\x2a\xd7\xb1\x83" + nanoseconds.to_bytes(3, "big") for nanoseconds in (1_000_000, 1000)
)
"""The element TimestampScale: how many nanoseconds a tick of the file has."""


def write_video(clip: Clip, target: Path, redaction: Redaction, tick: Tick | None = None) -> bool:
    """Write the frames of any recording as a video; False where tick cancelled, the file is then no use.

    Grey values come back exactly through open_clip: 8 bits as they are, more bits as many as the codec has room for
    (10, 12, 14 or 16); times to the microsecond. There is no sound, subtitle, chapter or title, and of
    names only that of the muxing library, which the format asks for.

    Args:
        clip: The recording, opened.
        target: File to make, with the suffix above.
        redaction: What is hidden on all frames.
        tick: Told after every frame.

    Raises:
        ClipError: A frame cannot be read.
        DatasetError: The encoder refuses.
        OSError: The file cannot be written.
    """
    ticks = frame_ticks(clip.times_s)
    pixels = _PIXELS[next(bits for bits in _PIXELS if clip.bits <= bits)]
    try:
        with av.open(str(target), "w", format="matroska", options=_CONTAINER) as container:
            stream = _stream(container, clip, redaction, pixels)
            for t in range(clip.n_frames):
                frame = _picture(redaction.pixels(clip[t]), pixels)
                frame.pts, frame.time_base = int(ticks[t]), _LIBAV_TICK
                container.mux(stream.encode(frame))
                if tick is not None and tick(t + 1) is False:
                    return False
            container.mux(stream.encode())
    except av.FFmpegError as error:
        if isinstance(error, OSError) and error.errno and error.errno > 0:
            raise OSError(error.errno, reason(error)) from error
        raise DatasetError(
            f"the video cannot be written ({reason(error)})", path=target, remedy="Check the disk and the crop."
        ) from error
    _count_in_microseconds(target)
    return True


def frame_ticks(times_s: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Times in microseconds, int64 (T,), strictly increasing even where the given ones are closer than that.

    Args:
        times_s: float64 (T,), seconds.
    """
    numbers = np.arange(len(times_s))
    ticks: npt.NDArray[np.int64] = np.rint(times_s * _TICKS_A_SECOND).astype(np.int64)
    spread: npt.NDArray[np.int64] = np.maximum.accumulate(ticks - numbers) + numbers
    return spread


def _count_in_microseconds(target: Path) -> None:
    """Say in the file's head that its ticks are microseconds.

    libav can only write files of millisecond ticks, which would move frames by up to half of one; so it is given
    microseconds as if they were milliseconds.
    """
    with target.open("r+b") as file:
        head = file.read(_HEAD)
        if head.count(_MILLISECONDS) != 1:
            raise DatasetError("libav wrote the video's times in another way than expected", path=target)
        file.seek(head.index(_MILLISECONDS))
        file.write(_MICROSECONDS)


def _stream(container: Any, clip: Clip, redaction: Redaction, pixels: str) -> Any:
    seconds = float(clip.times_s[-1])
    rate = Fraction((clip.n_frames - 1) / seconds).limit_denominator(1001) if seconds > 0 else Fraction(30)
    stream = container.add_stream("ffv1", rate=rate or Fraction(30), options=_CODEC)
    stream.height, stream.width = redaction.size(clip.height, clip.width)
    stream.pix_fmt = pixels
    stream.time_base = stream.codec_context.time_base = _LIBAV_TICK
    stream.codec_context.flags |= Flags.bitexact
    return stream


def _picture(frame: Frame, pixels: str) -> Any:
    """The frame as libav has it, uint8 or uint16 (H, W)."""
    if frame.dtype == np.uint8:
        return av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="gray")
    height, width = frame.shape
    picture = av.VideoFrame(width, height, pixels)
    rows: npt.NDArray[np.uint16] = np.zeros((height, picture.planes[0].line_size // 2), "<u2")
    rows[:, :width] = frame
    picture.planes[0].update(rows.tobytes())
    return picture
