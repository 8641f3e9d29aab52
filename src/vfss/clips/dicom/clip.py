# SPDX-License-Identifier: Apache-2.0
"""DICOM clips: XA, XRF, Enhanced XA and XRF, and secondary capture, in all encodings of their frames."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from vfss.clips.cached import CACHE_BYTES, LazyClip
from vfss.clips.clip import ASSUMED_FPS, Clip, Frame
from vfss.clips.dicom.frames import FragmentStream, Span, encapsulated_frames, fragments, native_frames
from vfss.clips.dicom.header import DICOM_ERRORS, DicomHeader, read_header
from vfss.clips.dicom.pixels import NATIVE, PICTURES, VIDEO, native_samples, picture_samples, stored_grey
from vfss.clips.grey import measured_window, sane_window
from vfss.clips.library_errors import reason
from vfss.errors import ClipError


class DicomClip(LazyClip):
    """A clip whose frames are read one by one from their offsets in a DICOM file."""

    def __init__(
        self, header: DicomHeader, spans: Sequence[list[Span]] | Sequence[Span], clip_id: str, cache_bytes: int
    ) -> None:
        """Open the file that a header and the spans of its frames describe.

        Raises:
            ClipError: The file cannot be opened.
        """
        super().__init__(
            clip_id=clip_id,
            source=header.path,
            n_frames=header.n_frames,
            height=header.rows,
            width=header.columns,
            bits=header.bits,
            times_s=_times_s(header),
            facing=header.facing,
            inverted=header.photometric == "MONOCHROME1",
            cache_bytes=cache_bytes,
        )
        self._header = header
        self._spans = spans
        try:
            self._file: BinaryIO = header.path.open("rb", buffering=0)
        except OSError as error:
            raise ClipError(
                f"cannot be opened ({reason(error)})", path=header.path, remedy="Check that it still exists."
            ) from error

    def measure_window(self) -> None:
        """Set `window` for frames deeper than 8 bits: the one the file declares if it fits a few sampled frames.

        Raises:
            ClipError: One of these frames cannot be decoded.
        """
        if self.bits > 8:
            sampled = sorted({0, self.n_frames // 2, self.n_frames - 1})
            self.window = measured_window((self[t] for t in sampled), self.bits)
            if self._header.window is not None:
                centre, width = self._header.window
                centre += 2 ** (self._header.stored - 1) if self._header.signed else 0
                self.window = sane_window(centre, width, self.window, self.bits) or self.window

    def reopen(self) -> DicomClip:
        """Open the same recording again, with its own file handle and cache."""
        return self._copy_flags_to(DicomClip(self._header, self._spans, self.id, self._cache_bytes))

    def _release(self) -> None:
        self._file.close()

    def _read(self, t: int) -> Frame:
        try:
            data = self._bytes(t)
            if self._header.syntax in NATIVE:
                samples, photometric = native_samples(self._header, data), self._header.photometric
            else:
                samples, photometric = picture_samples(self._header, data)
            shifted = self._header.syntax in NATIVE or self._header.syntax.name.startswith("RLE")
            frame = stored_grey(self._header, samples, photometric, shifted=shifted)
        except DICOM_ERRORS as error:
            raise ClipError(
                f"cannot be decoded ({reason(error)})",
                path=self.source,
                frame=t,
                remedy="Copy the file again from its source; the other frames can be used.",
            ) from error
        if frame.shape != (self.height, self.width):
            raise ClipError(
                f"decodes to {frame.shape}, the header declares {(self.height, self.width)}",
                path=self.source,
                frame=t,
                remedy="Export it again from its source.",
            )
        return frame

    def _bytes(self, t: int) -> bytes:
        spans = self._spans[t]
        parts = []
        for at, length in spans if isinstance(spans, list) else [spans]:
            self._file.seek(at)
            parts.append(_read_exactly(self._file, length))
        return b"".join(parts)


def _read_exactly(stream: BinaryIO, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        part = stream.read(length - len(data))
        if not part:
            raise EOFError("the file ends inside it")
        data += part
    return bytes(data)


def _times_s(header: DicomHeader) -> npt.NDArray[np.float64]:
    if header.times_ms is None:
        return np.arange(header.n_frames) / ASSUMED_FPS
    return np.array(header.times_ms, np.float64) / 1000.0


def open_dicom(path: Path, clip_id: str, *, cache_bytes: int = CACHE_BYTES) -> Clip:
    """Open the frames of a DICOM file.

    Args:
        path: The file.
        clip_id: Its content id.
        cache_bytes: Upper bound of the memory for decoded frames.

    Raises:
        ClipError: It is not DICOM, damaged, truncated, or not a recording.
    """
    header = read_header(path)
    if header.syntax in VIDEO:
        return _open_stream(header, clip_id, cache_bytes)
    spans: Sequence[list[Span]] | Sequence[Span]
    if header.syntax in NATIVE and not header.syntax.is_encapsulated:
        spans = native_frames(header)
    elif header.syntax in NATIVE or header.syntax in PICTURES:
        spans = encapsulated_frames(header)
    else:
        raise ClipError(
            f"is stored as {header.syntax.name}, which is not supported",
            path=path,
            remedy="Export it uncompressed, or as JPEG Lossless or JPEG 2000.",
        )
    clip = DicomClip(header, spans, clip_id, cache_bytes)
    try:
        clip.measure_window()
    except ClipError:
        clip.close()
        raise
    return clip


def _open_stream(header: DicomHeader, clip_id: str, cache_bytes: int) -> Clip:
    """Open a video inside a DICOM file; the header's frame times are used if their number fits the decoded frames."""
    from vfss.clips.video.clip import open_video

    _, spans = fragments(header)
    clip = open_video(header.path, clip_id, opener=lambda: FragmentStream(header.path, spans), cache_bytes=cache_bytes)
    if header.times_ms is not None and len(header.times_ms) == clip.n_frames:
        clip.times_s = _times_s(header)
    clip.facing = header.facing
    clip.inverted = header.photometric == "MONOCHROME1"
    return clip
