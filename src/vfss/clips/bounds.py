# SPDX-License-Identifier: Apache-2.0
"""Upper bounds on sizes that a recording claims.

A file of a few bytes can claim any size. Whatever is claimed is held against the size of the file, and against these
bounds, before anything is allocated or computed from it. They lie far above any real recording and far below what
takes a computer's memory.
"""

from __future__ import annotations

from pathlib import Path

from vfss.errors import ClipError

MOST_FRAME_PIXELS = 2**25
"""Pixels of a frame: 33.5 million. The largest X-ray detectors have 18 million; a colour frame of this size takes half
a gigabyte while it is converted to grey."""

MOST_FRAMES = 2**20
"""Frames of a recording: 9.7 hours at 30 frames a second."""

MOST_PARTS = 2**21
"""Stored parts (fragments, strips) of a recording: two for each frame."""

MOST_HEADER_READS = 2**20
"""Reads while a DICOM header is parsed, two or three for each element: more than what 9,000 frames of an enhanced
object with functional groups of their own take."""

MOST_ITEMS = 2**17
"""Items of a DICOM sequence, nested ones included: 14 for each of 9,000 frames."""

MOST_TABLE_BYTES = 2**26
"""Bytes of the tables in which a TIFF file describes its pages, over all pages: 64 MiB. Parsed they take up to
nine times as much memory."""

MOST_SCANS = 64
"""Scans of a progressive JPEG picture, which usually has ten: a decoder goes through all pixels for each of them."""

_REMEDY = "Export it again from its source; if it is really so large, divide it or reduce its size."


def check_frame_size(height: int, width: int, *, path: Path, frame: int | None = None) -> None:
    """Check the claimed size of a frame before anything is computed from it.

    Raises:
        ClipError: It has no pixels, or more than MOST_FRAME_PIXELS.
    """
    if height < 1 or width < 1:
        raise ClipError(f"declares frames of {height} x {width} pixels", path=path, frame=frame, remedy=_REMEDY)
    if height * width > MOST_FRAME_PIXELS:
        raise ClipError(
            f"declares frames of {height} x {width} pixels; up to {MOST_FRAME_PIXELS} pixels are read",
            path=path,
            frame=frame,
            remedy=_REMEDY,
        )


def check_frame_count(n_frames: int, *, path: Path) -> None:
    """Check a number of frames before anything is allocated for them.

    Raises:
        ClipError: There are none, or more than MOST_FRAMES.
    """
    if n_frames < 1:
        raise ClipError(f"declares {n_frames} frames", path=path, remedy=_REMEDY)
    if n_frames > MOST_FRAMES:
        raise ClipError(f"declares {n_frames} frames; up to {MOST_FRAMES} are read", path=path, remedy=_REMEDY)


def check_scans(data: bytes) -> None:
    """Check the number of scans of a JPEG picture before it is decoded.

    Raises:
        ValueError: There are more than MOST_SCANS.
    """
    scans = data.count(b"\xff\xda")
    if scans > MOST_SCANS:
        raise ValueError(f"it has {scans} scans; up to {MOST_SCANS} are decoded")
