# SPDX-License-Identifier: Apache-2.0
"""DICOM-SEG: for each recording a de-identified DICOM copy, and one segmentation object that refers to it.

    <recording>.dcm        the recording with its frames; of a video or of pictures a multi-frame secondary capture
    <recording>_seg.dcm    Segmentation Storage, BINARY, segments may overlap; a segment per structure, and a frame per
                           mask that has pixels, pointing to its frame of the recording
    frames.jsonl           per frame what the segmentation cannot express: empty, not visible, not annotated

Fluoroscopy has no frame of reference, so the library highdicom refuses to write segmentations of it (it reads them).
They are written with pydicom, and highdicom reads them in the tests. dcmqi does not: it wants a position in the patient
for each frame, which fluoroscopy does not have.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np
import pydicom

from vfss.clips import Clip
from vfss.clips.placard import PlacardClip
from vfss.datasets.format import Fields, Format, Job, Row
from vfss.datasets.formats.dicom_seg_header import SegmentFrame, segmentation
from vfss.datasets.identities import Identity
from vfss.datasets.selection import AnnotatedFrame
from vfss.datasets.sidecar import write_sidecar
from vfss.deidentify.secondary_capture import LARGEST_SIDE
from vfss.errors import DatasetError
from vfss.masks import BoolArray, ByteArray

_TOO_LARGE = f"frames with more rows or columns than DICOM can hold ({LARGEST_SIDE})"
_SPOOL = "bits.tmp"


class DicomSegWriter:
    """Writes clip by clip: the recording, then the masks' bits into a spool file, then the segmentation object."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._current: _Segmentation | None = None
        self._placards = 0

    def begin_clip(self, identity: Identity, clip: Clip, frames: int) -> None:
        """See Writer.begin_clip."""
        from vfss.deidentify.recording import deidentify_recording  # imported late: it loads the table of the standard

        target = self._job.folder / f"{identity.recording}.dcm"
        target.unlink(missing_ok=True)  # left by an interrupted attempt
        recording = PlacardClip(clip)
        source = deidentify_recording(
            recording,
            self._job.folder,
            identity.redaction,
            self._job.identities.key,
            patient=identity.record.patient,
            reviewed=identity.reviewed,
            as_dicom=True,
        )
        if source is None:
            raise DatasetError("the de-identified recording cannot be written", path=target, remedy="Report this.")
        self._current = _Segmentation(source, self._job)
        self._placards = len(recording.unreadable)

    def add(self, frame: AnnotatedFrame, fields: Fields, lost: Counter[str]) -> dict[str, Any]:
        """See Writer.add."""
        if self._current is None:
            raise RuntimeError("add was called before begin_clip")
        self._current.add(frame)
        if self._placards:
            lost["frames of recordings that cannot be read (a placard in the copy)"] = self._placards
            self._placards = 0
        name = fields["clip"]
        return {"file_name": f"{name}.dcm", "segmentation": f"{name}_seg.dcm"}

    def end_clip(self) -> None:
        """See Writer.end_clip."""
        if self._current is not None:
            self._current.close()
            self._current = None

    def finish(self, manifest: dict[str, Any], rows: Iterable[Row]) -> None:
        """See Writer.finish."""
        write_sidecar(self._job.folder, manifest, rows)


class _Segmentation:
    """The segmentation of one recording, while it is written."""

    def __init__(self, source: Path, job: Job) -> None:
        self._source = source
        self._job = job
        self._target = source.with_name(f"{source.stem}_seg.dcm")
        self._spool = source.with_name(f"{source.stem}.{_SPOOL}")
        self._bits = _Bits(self._spool.open("wb"))
        self._frames: list[SegmentFrame] = []
        self._authors: set[str] = set()

    def add(self, frame: AnnotatedFrame) -> None:
        """Add the masks of a frame that have pixels."""
        for structure in self._job.schema.structures:
            plane = frame.masks.planes[structure.index]
            if frame.written[structure.index] and plane.any():
                self._bits.add(plane)
                self._frames.append(SegmentFrame(structure.index + 1, frame.frame + 1))
                self._authors.add(self._job.identities.author(frame.revisions[structure.key].author))

    def close(self) -> None:
        """Write the object, if there is any mask, and delete the spool file."""
        self._bits.close()
        if self._frames:
            source = pydicom.dcmread(self._source, stop_before_pixels=True)
            key = self._job.identities.key
            dataset = segmentation(source, self._job.schema, self._frames, sorted(self._authors), key.uid)
            with self._target.open("wb") as file:
                pydicom.dcmwrite(file, dataset, enforce_file_format=True)
                _append_pixels(file, self._spool)
        self._spool.unlink()


class _Bits:
    """Packs planes one after another, eight pixels per byte, lowest bit first, without padding between frames."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._rest: ByteArray = np.zeros(0, np.uint8)

    def add(self, plane: BoolArray) -> None:
        bits = np.concatenate([self._rest, plane.ravel().view(np.uint8)])
        n_packed = len(bits) // 8 * 8
        self._file.write(np.packbits(bits[:n_packed], bitorder="little").tobytes())
        self._rest = bits[n_packed:]

    def close(self) -> None:
        self._file.write(np.packbits(self._rest, bitorder="little").tobytes())
        self._file.close()


def _append_pixels(file: IO[bytes], spool: Path) -> None:
    """Append the pixel data, the last element, from the spool file; their length must be even."""
    size = spool.stat().st_size
    file.write(b"\xe0\x7f\x10\x00OB\0\0" + (size + size % 2).to_bytes(4, "little"))
    with spool.open("rb") as bits:
        shutil.copyfileobj(bits, file)
    file.write(b"\0" * (size % 2))


def _refuses(clip: Clip) -> str:
    return "" if max(clip.height, clip.width) <= LARGEST_SIDE else _TOO_LARGE


DICOM_SEG = Format(
    "dicom-seg",
    "DICOM segmentation",
    DicomSegWriter,
    (
        "clip-....dcm: each recording, de-identified; of a video a secondary capture",
        "clip-..._seg.dcm: its segmentation",
    ),
    losses=(
        "A segmentation only shows where a structure is; all other states are in frames.jsonl.",
        "Frames have no position in the patient, which fluoroscopy does not have: highdicom and pydicom read the "
        "segmentations, dcmqi and programs that place frames in space do not.",
    ),
    by_clip=True,
    reads=True,
    refuses=_refuses,
)
