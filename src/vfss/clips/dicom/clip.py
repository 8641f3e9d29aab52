# SPDX-License-Identifier: Apache-2.0
"""DICOM clips: XA, XRF, Enhanced XA and XRF, and secondary capture, in all encodings of their frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from vfss.clips.cached import CACHE_BYTES, LazyClip
from vfss.clips.clip import ASSUMED_FPS, Clip, Frame
from vfss.clips.dicom.aspect import pixel_aspect
from vfss.clips.dicom.frames import (
    FragmentStream,
    Span,
    StoredFrames,
    encapsulated_frames,
    fragments,
    native_frames,
)
from vfss.clips.dicom.header import DicomHeader, read_header
from vfss.clips.dicom.pixels import (
    NATIVE,
    PICTURES,
    VIDEO,
    darkest,
    native_samples,
    picture_layout,
    picture_samples,
    rle_layout,
    stored_grey,
)
from vfss.clips.dicom.times import frame_times
from vfss.clips.dicom.values import DICOM_ERRORS
from vfss.clips.first_look import readable_frames
from vfss.clips.frame_rate import rate_doubt
from vfss.clips.grey import measured_window, sane_window
from vfss.clips.library_errors import reason
from vfss.errors import ClipError
from vfss.wording import count

_SAME_RATE = 0.1  # relative difference of rates that are rounded differently


@dataclass(frozen=True)
class _About:
    """What a header declares beside its pixels, in the units of a Clip."""

    times_ms: tuple[float, ...] | None
    pixel_aspect: float
    notes: tuple[str, ...]


class DicomClip(LazyClip):
    """A clip whose frames are read one by one from their offsets in a DICOM file."""

    def __init__(
        self,
        header: DicomHeader,
        spans: Sequence[list[Span]] | Sequence[Span],
        about: _About,
        clip_id: str,
        cache_bytes: int,
    ) -> None:
        """Open the file that a header and the spans of its frames describe.

        Raises:
            ClipError: The file cannot be opened.
        """
        super().__init__(
            clip_id=clip_id,
            source=header.path,
            n_frames=len(spans),
            height=header.rows,
            width=header.columns,
            bits=header.bits,
            times_s=_times_s(about.times_ms, len(spans)),
            times_from="assumed" if about.times_ms is None and len(spans) > 1 else "file",
            pixel_aspect=about.pixel_aspect,
            notes=about.notes,
            facing=header.facing,
            inverted=header.photometric == "MONOCHROME1",
            cache_bytes=cache_bytes,
        )
        self._header = header
        self._spans = spans
        self._about = about
        try:
            self._file: BinaryIO = header.path.open("rb", buffering=0)
        except OSError as error:
            raise ClipError(
                f"cannot be opened ({reason(error)})", path=header.path, remedy="Check that it still exists."
            ) from error

    def look_at_frames(self) -> None:
        """Decode a few frames: note a damaged one, and set `window` for frames deeper than 8 bits.

        Raises:
            ClipError: No frame can be decoded.
        """
        frames, note = readable_frames(self, middle=self.bits > 8)
        self.notes += (note,) if note else ()
        if self.bits > 8:
            self.window = declared_or_measured_window(self._header, frames)

    def reopen(self) -> DicomClip:
        """Open the same recording again, with its own file handle and cache."""
        return self._copy_flags_to(DicomClip(self._header, self._spans, self._about, self.id, self._cache_bytes))

    def _release(self) -> None:
        self._file.close()

    def _read(self, t: int) -> Frame:
        return decode(self._header, lambda: self._bytes(t), t, self.source)

    def _bytes(self, t: int) -> bytes:
        return read_spans(self._file, self._spans[t])


def read_spans(stream: BinaryIO, spans: list[Span] | Span) -> bytes:
    """Return the joined bytes of a frame's spans.

    Raises:
        EOFError: The file ends before their end.
    """
    parts = []
    for at, length in spans if isinstance(spans, list) else [spans]:
        stream.seek(at)
        parts.append(_read_exactly(stream, length))
    return b"".join(parts)


def _read_exactly(stream: BinaryIO, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        part = stream.read(length - len(data))
        if not part:
            raise EOFError("the file ends inside it")
        data += part
    return bytes(data)


def decode(header: DicomHeader, read: Callable[[], bytes], t: int, source: Path | None) -> Frame:
    """Return the grey values of one frame, uint8 or uint16 (rows, columns).

    Args:
        header: The header that holds for it.
        read: Returns its bytes as stored.
        t: Its index, for the error message.
        source: The recording, for the error message.

    Raises:
        ClipError: It cannot be decoded.
    """
    try:
        data = read()
        if header.syntax in NATIVE:
            samples, photometric = native_samples(header, data), header.photometric
        else:
            samples, photometric = picture_samples(header, data)
        shifted = header.syntax in NATIVE or header.syntax.name.startswith("RLE")
        frame = stored_grey(header, samples, photometric, shifted=shifted)
    except DICOM_ERRORS as error:
        raise ClipError(
            f"cannot be decoded ({reason(error)})",
            path=source,
            frame=t,
            remedy="Copy the file again from its source; the other frames can be used.",
        ) from error
    if frame.shape != (header.rows, header.columns):
        raise ClipError(
            f"decodes to {frame.shape}, the header declares {(header.rows, header.columns)}",
            path=source,
            frame=t,
            remedy="Export it again from its source.",
        )
    return frame


def declared_or_measured_window(header: DicomHeader, frames: Sequence[Frame]) -> tuple[int, int]:
    """Return the window that a header declares if it fits some frames, uint16 (H, W) each, else a measured one.

    Padding has no say in it.
    """
    shown = frames if header.padding is None else [frame[frame != darkest(header)] for frame in frames]
    measured = measured_window(shown, header.bits)
    if header.window is None:
        return measured
    centre, width = header.window
    centre += 2 ** (header.stored - 1) if header.signed else 0
    return sane_window(centre, width, measured, header.bits) or measured


def _times_s(times_ms: tuple[float, ...] | None, n_frames: int) -> npt.NDArray[np.float64]:
    if times_ms is None:
        return np.arange(n_frames) / ASSUMED_FPS
    return np.array(times_ms, np.float64) / 1000.0


def _about(dataset: Any, n_frames: int, notes: tuple[str, ...]) -> _About:
    times = frame_times(dataset, n_frames)
    aspect, aspect_notes = pixel_aspect(dataset)
    doubt = None if times.ms is None else rate_doubt(_times_s(times.ms, n_frames))
    doubts = () if doubt is None else (doubt,)
    return _About(times.ms, aspect, (*notes, *times.notes, *doubts, *aspect_notes))


def open_dicom(path: Path, clip_id: str, *, cache_bytes: int = CACHE_BYTES) -> Clip:
    """Open the frames of a DICOM file.

    Args:
        path: The file.
        clip_id: Its content id.
        cache_bytes: Upper bound of the memory for decoded frames.

    Raises:
        ClipError: It is not DICOM, damaged, truncated, or not a recording.
    """
    header, dataset = read_header(path)
    if header.syntax in VIDEO:
        return _open_stream(header, dataset, clip_id, cache_bytes)
    stored = stored_frames(header)
    about = _about(dataset, len(stored.spans), stored.notes)
    clip = DicomClip(stored.header, stored.spans, about, clip_id, cache_bytes)
    try:
        clip.look_at_frames()
    except ClipError:
        clip.close()
        raise
    return clip


def stored_frames(header: DicomHeader) -> StoredFrames:
    """Find the frames of a file whose frames are stored one by one.

    Raises:
        ClipError: They are stored in a way that is not read, or header and pixel data do not fit together.
    """
    if header.syntax in NATIVE and not header.syntax.is_encapsulated:
        return native_frames(header)
    if header.syntax in NATIVE:
        return encapsulated_frames(header)
    if header.syntax in PICTURES:
        return _as_pictures_declare(encapsulated_frames(header))
    raise ClipError(
        f"is stored as {header.syntax.name} ({header.syntax}), which is not read",
        path=header.path,
        remedy="Export it uncompressed, or as JPEG Lossless or JPEG 2000.",
    )


def _as_pictures_declare(stored: StoredFrames) -> StoredFrames:
    """Correct the samples per pixel of a header by the first picture: viewers decode by the picture, too."""
    header, spans = stored.header, stored.spans[0]
    try:
        with header.path.open("rb", buffering=0) as stream:
            data = read_spans(stream, spans)
        is_rle = header.syntax.name.startswith("RLE")
        samples, photometric = rle_layout(data, header.allocated) if is_rle else picture_layout(data)
    except (OSError, EOFError, ValueError):
        return stored  # the first picture is damaged; reading it says so
    if samples == header.samples or samples not in (1, 3):
        return stored
    declared = count(header.samples, "sample", "samples")
    note = f"declares {declared} per pixel, its pictures have {samples}: read as the pictures are"
    header = replace(header, samples=samples, photometric=photometric, planar=False, padding=None)
    return StoredFrames(header, stored.spans, (*stored.notes, note))


def _two_rates(header_s: npt.NDArray[np.float64], stream_s: npt.NDArray[np.float64]) -> tuple[str, ...]:
    """Return a note if header and video stream mean different rates: which is right, only a person can tell.

    Args:
        header_s: float64 (T,), times by the header in seconds.
        stream_s: float64 (T,), times by the stream.
    """
    if len(header_s) < 2:
        return ()
    header, stream = (1 / float(np.median(np.diff(times))) for times in (header_s, stream_s))
    if abs(stream / header - 1) < _SAME_RATE:
        return ()
    return (f"its header means {header:.4g} frames a second, its video {stream:.4g}: the header is used",)


def _open_stream(header: DicomHeader, dataset: Any, clip_id: str, cache_bytes: int) -> Clip:
    """Open a video inside a DICOM file; the header's frame times are used if their number fits the decoded frames."""
    from vfss.clips.video.clip import open_video

    _, spans = fragments(header)
    clip = open_video(header.path, clip_id, opener=lambda: FragmentStream(header.path, spans), cache_bytes=cache_bytes)
    notes: tuple[str, ...] = ()
    if header.declared is not None and header.declared != clip.n_frames:
        notes = (f"declares {count(header.declared, 'frame')}, its video holds {clip.n_frames}: all of them are read",)
    about = _about(dataset, clip.n_frames, notes)
    if about.times_ms is not None and clip.n_frames == (header.declared or clip.n_frames):
        stream_s = clip.times_s if clip.times_from == "file" else None
        clip.times_s, clip.times_from = _times_s(about.times_ms, clip.n_frames), "file"
        clip.notes += () if stream_s is None else _two_rates(clip.times_s, stream_s)
    if about.pixel_aspect != 1:
        clip.pixel_aspect = about.pixel_aspect
    clip.notes += about.notes
    clip.facing = header.facing
    clip.inverted = header.photometric == "MONOCHROME1"
    return clip
