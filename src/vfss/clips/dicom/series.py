# SPDX-License-Identifier: Apache-2.0
"""Clips stored as a folder of single DICOM images, one file for each frame."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vfss.clips.bounds import check_frame_count
from vfss.clips.cached import CACHE_BYTES, LazyClip
from vfss.clips.clip import ASSUMED_FPS, Frame
from vfss.clips.dicom.aspect import pixel_aspect
from vfss.clips.dicom.clip import declared_or_measured_window, decode, read_spans, stored_frames
from vfss.clips.dicom.frames import Span
from vfss.clips.dicom.header import DicomHeader, read_header
from vfss.clips.dicom.pixels import VIDEO
from vfss.clips.dicom.values import integer, number, text
from vfss.clips.first_look import readable_frames
from vfss.clips.frame_rate import rate_doubt
from vfss.clips.library_errors import reason
from vfss.errors import ClipError, printable
from vfss.wording import count, listed

_ONE_SERIES = "Put the images of one series into a folder of their own, and open that."
_MOST_NAMED = 3


@dataclass(frozen=True)
class _Image:
    """One file of a series.

    Attributes:
        header: Its header.
        spans: Its frame.
        notes: Where its header and pixel data disagree.
        series: Series Instance UID.
        number: Instance Number, None if it has none.
        moments: Seconds at which it was taken, by attribute; only those that it has.
        aspect: Width of its pixels divided by their height.
    """

    header: DicomHeader
    spans: list[Span] | Span
    notes: tuple[str, ...]
    series: str
    number: int | None
    moments: dict[str, float]
    aspect: float

    @property
    def name(self) -> str:
        return self.header.path.name


class SeriesClip(LazyClip):
    """A clip whose frames are single DICOM files of a folder."""

    def __init__(
        self,
        folder: Path,
        images: Sequence[_Image],
        times_s: npt.NDArray[np.float64] | None,
        clip_id: str,
        *,
        notes: tuple[str, ...],
        cache_bytes: int,
    ) -> None:
        """Create the clip of images in the order of its frames; `times_s` (n_frames,) is None if none are declared."""
        header, n_frames = images[0].header, len(images)
        super().__init__(
            clip_id=clip_id,
            source=folder,
            n_frames=n_frames,
            height=header.rows,
            width=header.columns,
            bits=header.bits,
            times_s=np.arange(n_frames) / ASSUMED_FPS if times_s is None else times_s,
            times_from="assumed" if times_s is None else "file",
            pixel_aspect=images[0].aspect,
            notes=notes,
            facing=header.facing,
            inverted=header.photometric == "MONOCHROME1",
            cache_bytes=cache_bytes,
        )
        self._folder, self._images = folder, images

    def look_at_frames(self) -> None:
        """Decode a few frames: note a damaged one, and set `window` for frames deeper than 8 bits.

        Raises:
            ClipError: No frame can be decoded.
        """
        frames, note = readable_frames(self, middle=self.bits > 8)
        self.notes += (note,) if note else ()
        if self.bits > 8:
            self.window = declared_or_measured_window(self._images[0].header, frames)

    def reopen(self) -> SeriesClip:
        """Open the same recording again, with its own cache."""
        folder, images = self._folder, self._images
        clip = SeriesClip(folder, images, self.times_s, self.id, notes=self.notes, cache_bytes=self._cache_bytes)
        return self._copy_flags_to(clip)

    def _release(self) -> None:
        """Do nothing: no file stays open between frames."""

    def _read(self, t: int) -> Frame:
        image = self._images[t]

        def read() -> bytes:
            with image.header.path.open("rb", buffering=0) as stream:
                return read_spans(stream, image.spans)

        return decode(image.header, read, t, self.source)


def open_series(folder: Path, files: Sequence[Path], clip_id: str, *, cache_bytes: int = CACHE_BYTES) -> SeriesClip:
    """Open single DICOM images as one recording.

    Args:
        folder: Their folder.
        files: At least two files.
        clip_id: Content id of the folder.
        cache_bytes: Upper bound of the memory for decoded frames.

    Raises:
        ClipError: They are of several series, sizes or kinds, or cannot be read.
    """
    check_frame_count(len(files), path=folder)
    images, errors = [], []
    for file in files:
        try:
            images.append(_image(file))
        except ClipError as error:
            errors.append(error)
    if not images:
        first = errors[0].path.name if errors[0].path is not None else files[0].name
        raise ClipError(
            f"none of its {len(files)} DICOM files is a readable image ({first} {errors[0].what})",
            path=folder,
            remedy=errors[0].remedy,
        )
    _require_one_series(folder, images)
    images, order_note = _in_order(images)
    times_s = _times(images)
    notes = [*dict.fromkeys(note for image in images for note in image.notes)][:_MOST_NAMED]
    if errors:
        names = printable(listed([error.path.name for error in errors if error.path], _MOST_NAMED))
        notes.append(f"{names} cannot be read and {'is' if len(errors) == 1 else 'are'} left out ({errors[0].what})")
    notes += [note for note in (order_note, None if times_s is None else rate_doubt(times_s)) if note]
    clip = SeriesClip(folder, images, times_s, clip_id, notes=tuple(notes), cache_bytes=cache_bytes)
    clip.look_at_frames()
    return clip


def is_single_image(file: Path) -> bool:
    """Return whether a DICOM file holds at most one frame, as far as its header says.

    Raises:
        ClipError: It cannot be read, or holds no frames.
    """
    header, _ = read_header(file)
    return header.syntax not in VIDEO and (header.declared or 1) == 1 and len(stored_frames(header).spans) == 1


def _image(file: Path) -> _Image:
    try:
        header, dataset = read_header(file)
    except OSError as error:
        raise ClipError(f"cannot be read ({reason(error)})", path=file, remedy="Check that it may be read.") from error
    if header.syntax in VIDEO:
        raise ClipError("is a video, not a single image", path=file, remedy="Open it for itself.")
    stored = stored_frames(header)
    if len(stored.spans) != 1:
        raise ClipError(f"holds {len(stored.spans)} frames, not one", path=file, remedy="Open it for itself.")
    aspect, notes = pixel_aspect(dataset)
    return _Image(
        header=stored.header,
        spans=stored.spans[0],
        notes=(*stored.notes, *notes),
        series=text(dataset, "SeriesInstanceUID"),
        number=integer(dataset, "InstanceNumber"),
        moments=_moments(dataset),
        aspect=aspect,
    )


def _require_one_series(folder: Path, images: list[_Image]) -> None:
    """Refuse images that are not frames of one recording, naming what they are."""

    def kind(image: _Image) -> tuple[object, ...]:
        header = image.header
        return header.rows, header.columns, header.bits, header.signed, header.photometric.startswith("MONOCHROME1")

    for what, key in (("series", lambda image: image.series), ("sizes or kinds", kind)):
        groups: dict[Any, list[_Image]] = {}
        for image in images:
            groups.setdefault(key(image), []).append(image)
        if len(groups) > 1:
            described = [_described(group) for group in sorted(groups.values(), key=len, reverse=True)]
            raise ClipError(
                f"holds DICOM images of {len(groups)} {what}: {listed(described, _MOST_NAMED)}",
                path=folder,
                remedy=_ONE_SERIES,
            )


def _described(group: list[_Image]) -> str:
    header = group[0].header
    return f"{count(len(group), 'image')} of {header.rows} x {header.columns} ({group[0].name} ...)"


def _in_order(images: list[_Image]) -> tuple[list[_Image], str | None]:
    """Return images in the order of their numbers, else of their times, else of their names, and a note."""
    numbers = [image.number for image in images if image.number is not None]
    if len(set(numbers)) == len(images):
        ordered = sorted(images, key=lambda image: image.number or 0)
        gaps = [b for a, b in pairwise(sorted(numbers)) if b != a + 1]
        steps = Counter(b - a for a, b in pairwise(sorted(numbers)))
        if gaps and len(steps) > 1:
            return ordered, f"image numbers are missing before {listed([str(gap) for gap in gaps], _MOST_NAMED)}"
        return ordered, None
    for attribute in _MOMENTS:
        moments = [image.moments[attribute] for image in images if attribute in image.moments]
        if len(set(moments)) == len(images):
            return sorted(
                images, key=lambda image: image.moments[attribute]
            ), "its images are in the order of their times"
    return images, "its images are in the order of their file names: their numbers are missing or not unique"


def _times(images: list[_Image]) -> npt.NDArray[np.float64] | None:
    """Return the seconds of the images, the first at 0, if they have increasing times that mean a believable rate."""
    for attribute in _MOMENTS:
        moments = [image.moments[attribute] for image in images if attribute in image.moments]
        if len(moments) != len(images) or not all(b > a for a, b in pairwise(moments)):
            continue
        times = np.array(moments, np.float64) - moments[0]
        if rate_doubt(times) is None:
            return times
    step = images[0].moments.get(_STEP)
    if step is None or any(image.moments.get(_STEP) != step for image in images):
        return None
    return np.arange(len(images)) * np.float64(step)


def _moments(dataset: Any) -> dict[str, float]:
    found = {keyword: read(dataset, keyword) for keyword, read in (*_MOMENTS.items(), (_STEP, _milliseconds))}
    return {keyword: value for keyword, value in found.items() if value is not None}


def _milliseconds(dataset: Any, keyword: str) -> float | None:
    written = number(dataset, keyword)
    usable = written is not None and written.value is not None and 0 <= written.value < 1e9
    if not usable or written is None or written.value is None or (keyword == _STEP and written.value < 1e-3):
        return None
    return written.value / 1000


def _date_time(dataset: Any, keyword: str) -> float | None:
    value = text(dataset, keyword).split("+")[0].split("-")[0]
    day = value[:8]
    seconds = _seconds_of_day(value[8:])
    return None if seconds is None or not day.isdecimal() else 86400.0 * (int(day) % 100) + seconds


def _time(dataset: Any, keyword: str) -> float | None:
    return _seconds_of_day(text(dataset, keyword).replace(":", ""))


def _seconds_of_day(value: str) -> float | None:
    try:
        hours, minutes, seconds = int(value[0:2]), int(value[2:4]), float(value[4:])
    except ValueError:
        return None
    return 3600.0 * hours + 60.0 * minutes + seconds if math.isfinite(seconds) and 0 <= seconds < 61 else None


_STEP = "FrameTime"
_MOMENTS: dict[str, Callable[[Any, str], float | None]] = {
    "TriggerTime": _milliseconds,
    "AcquisitionDateTime": _date_time,
    "AcquisitionTime": _time,
    "ContentTime": _time,
}
