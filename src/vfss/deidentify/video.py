# SPDX-License-Identifier: Apache-2.0
"""Writing of de-identified videos: lossless grey frames (FFV1 in Matroska), their true times, and nothing else."""

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
from vfss.deidentify.dicom_output import FrameProgress
from vfss.errors import DatasetError
from vfss.redaction import Redaction

SUFFIX = ".mkv"

_CODEC = {"level": "3", "slices": "4", "slicecrc": "1", "g": "1", "threads": "2"}
"""Every frame is a key frame with a checksum."""
_CONTAINER = {"fflags": "+bitexact", "write_crc32": "0"}
"""No program version; and no checksum over the header, in which one value is changed afterwards."""
_PIXELS = {8: "gray", 10: "gray10le", 12: "gray12le", 14: "gray14le", 16: "gray16le"}

_LIBAV_TICK = Fraction(1, 1000)
_TICKS_A_SECOND = 1_000_000
_HEADER_BYTES = 65536
_MILLISECONDS, _MICROSECONDS = (
    b"\x2a\xd7\xb1\x83" + nanoseconds.to_bytes(3, "big") for nanoseconds in (1_000_000, 1000)
)
"""The element TimestampScale: nanoseconds per tick of the file."""


def write_video(clip: Clip, target: Path, redaction: Redaction, progress: FrameProgress | None = None) -> bool:
    """Write the frames of any recording as a video.

    open_clip reads the same grey values back: 8 bits as 8, more bits as the next depth of the codec (10, 12, 14 or 16);
    times are exact to the microsecond. There is no sound, subtitle, chapter or title, and the only name is that of the
    muxing library, which the format requires.

    Args:
        clip: The recording, opened.
        target: File to write, with the suffix above.
        redaction: What is hidden on all frames.
        progress: Called after every frame; False cancels.

    Returns:
        False if it was cancelled; the file is then incomplete.

    Raises:
        ClipError: A frame cannot be read.
        DatasetError: The encoder fails.
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
                if progress is not None and progress(t + 1) is False:
                    return False
            container.mux(stream.encode())
    except av.FFmpegError as error:
        if isinstance(error, OSError) and error.errno and error.errno > 0:
            raise OSError(error.errno, reason(error)) from error
        raise DatasetError(
            f"the video cannot be written ({reason(error)})", path=target, remedy="Check the disk and the crop."
        ) from error
    _declare_microseconds(target)
    return True


def frame_ticks(times_s: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Convert times to microseconds, int64 (T,), strictly increasing even if the given ones are closer than that.

    Args:
        times_s: float64 (T,), seconds.
    """
    numbers = np.arange(len(times_s))
    ticks: npt.NDArray[np.int64] = np.rint(times_s * _TICKS_A_SECOND).astype(np.int64)
    increasing: npt.NDArray[np.int64] = np.maximum.accumulate(ticks - numbers) + numbers
    return increasing


def _declare_microseconds(target: Path) -> None:
    """Declare in the file's header that its ticks are microseconds.

    libav can only write files with millisecond ticks, which would move frames by up to half a tick; so it is given
    microseconds as if they were milliseconds.
    """
    with target.open("r+b") as file:
        header = file.read(_HEADER_BYTES)
        if header.count(_MILLISECONDS) != 1:
            raise DatasetError("libav wrote the video's time scale in an unexpected form", path=target)
        file.seek(header.index(_MILLISECONDS))
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
    """Convert a frame, uint8 or uint16 (H, W), to an av.VideoFrame."""
    if frame.dtype == np.uint8:
        return av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="gray")
    height, width = frame.shape
    picture = av.VideoFrame(width, height, pixels)
    rows: npt.NDArray[np.uint16] = np.zeros((height, picture.planes[0].line_size // 2), "<u2")
    rows[:, :width] = frame
    picture.planes[0].update(rows.tobytes())
    return picture
