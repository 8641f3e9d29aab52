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
from vfss.clips.video.packets import TIMES_FROM_TAG
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
"""The element TimestampScale: nanoseconds per tick of the file.

libav can only write files with millisecond ticks, which would move frames by up to half a tick; so it is given
microseconds as if they were milliseconds, and the file's header is changed afterwards."""
_COLOURS = bytes.fromhex("54b28104 55b08c 55ba8101 55b18101 55bb8101")
"""The elements DisplayUnit (unknown) and Colour.

PyAV cannot tell libav's muxer the aspect of pixels; so it is given colours, which grey frames do not have, and the
shape of the picture is written over them."""


def write_video(clip: Clip, target: Path, redaction: Redaction, progress: FrameProgress | None = None) -> bool:
    """Write the frames of any recording as a video.

    open_clip reads the same grey values back: 8 bits as 8, more bits as the next depth of the codec (10, 12, 14 or 16);
    times are exact to the microsecond, and pixels as wide as they were. Assumed times stay assumed: a tag says so.
    There is no sound, subtitle, chapter or title, and the only name is that of the muxing library, which the format
    requires.

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
            if clip.times_from == "assumed":
                container.metadata[TIMES_FROM_TAG] = clip.times_from
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
    _replace(target, _MILLISECONDS, _MICROSECONDS)
    if clip.pixel_aspect != 1:
        _replace(target, _COLOURS, _shape(clip, redaction))
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


def _shape(clip: Clip, redaction: Redaction) -> bytes:
    """Return DisplayUnit (aspect ratio), DisplayWidth, DisplayHeight and a void, as long as what they replace."""
    height, width = redaction.size(clip.height, clip.width)
    shape = Fraction(clip.pixel_aspect * width / height).limit_denominator(10_000)
    sides = shape.numerator.to_bytes(3, "big"), shape.denominator.to_bytes(3, "big")
    return b"\x54\xb2\x81\x03" + b"\x54\xb0\x83" + sides[0] + b"\x54\xba\x83" + sides[1] + b"\xec\x81\0"


def _replace(target: Path, old: bytes, new: bytes) -> None:
    """Replace bytes in the file's header by as many others."""
    with target.open("r+b") as file:
        header = file.read(_HEADER_BYTES)
        if header.count(old) != 1 or len(old) != len(new):
            raise DatasetError(
                "libav wrote the video's header in an unexpected form", path=target, remedy="Report this."
            )
        file.seek(header.index(old))
        file.write(new)


def _stream(container: Any, clip: Clip, redaction: Redaction, pixels: str) -> Any:
    seconds = float(clip.times_s[-1])
    rate = Fraction((clip.n_frames - 1) / seconds).limit_denominator(1001) if seconds > 0 else Fraction(30)
    stream = container.add_stream("ffv1", rate=rate or Fraction(30), options=_CODEC)
    stream.height, stream.width = redaction.size(clip.height, clip.width)
    stream.pix_fmt = pixels
    stream.time_base = stream.codec_context.time_base = _LIBAV_TICK
    if clip.pixel_aspect != 1:  # colours make room for the aspect, see _COLOURS
        context = stream.codec_context
        context.color_primaries = context.color_trc = context.colorspace = 1
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
