# SPDX-License-Identifier: Apache-2.0
"""What the DICOM files that we write of recordings share: method of de-identification, times, uncompressed frames."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
)

from vfss.clips import Clip
from vfss.deidentify.dicom_profile import EDITION
from vfss.redaction import Redaction
from vfss.version import __version__

FrameProgress = Callable[[int], bool]
"""Called with the number of frames of the recording done; False cancels."""

LARGEST = 0xFFFFFFFE
"""Largest length of a value in bytes; longer pixel data are written as one fragment per frame."""

_FRAGMENTS = UID("1.2.840.10008.1.2.1.98")  # encapsulated uncompressed
_LONGEST_STEP_MS = 10_000.0


def secondary_capture_class(clip: Clip) -> UID:
    """Return the class of a multi-frame secondary capture with the depth of a clip."""
    byte, word = (
        MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
        MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    )
    return byte if clip.bits <= 8 else word


def record_method(dataset: Any, *, reviewed: bool) -> None:
    """Record that the object was de-identified, and by which method; that no text is burned in only after a review."""
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = [f"napari-vfss {__version__}", f"PS3.15 Basic Profile, table of {EDITION}"]
    codes = [_code("113100", "Basic Application Confidentiality Profile")]
    if reviewed:
        codes.append(_code("113101", "Clean Pixel Data Option"))
    dataset.DeidentificationMethodCodeSequence = codes
    dataset.LongitudinalTemporalInformationModified = "REMOVED"
    if reviewed:
        dataset.BurnedInAnnotation = "NO"
    elif "BurnedInAnnotation" in dataset:
        del dataset.BurnedInAnnotation


def _code(value: str, meaning: str) -> Any:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "DCM", meaning
    return code


def has_times(clip: Clip) -> bool:
    """Return whether the times of a clip are written: not assumed ones, and none that are no times of a fluoroscopy."""
    if clip.n_frames < 2 or clip.times_from == "assumed":
        return False
    return float(np.diff(clip.times_s).max()) * 1000 <= _LONGEST_STEP_MS


def set_frame_times(dataset: Any, clip: Clip) -> None:
    """Write the times of the frames as one step, or where the steps differ as a vector of steps."""
    expected = 1000.0 * clip.times_s
    step = float(expected[-1]) / (clip.n_frames - 1)
    if np.allclose(expected, step * np.arange(clip.n_frames), rtol=0, atol=1e-4):
        dataset.FrameTime, dataset.FrameIncrementPointer = f"{step:.10g}", 0x00181063
        return
    dataset.FrameTimeVector = [f"{step:.10g}" for step in np.diff(expected, prepend=expected[0])]
    dataset.FrameIncrementPointer = 0x00181065


def aspect_ratio(pixel_aspect: float) -> list[int]:
    """Return DICOM's ratio, vertical before horizontal, of the width of a pixel divided by its height."""
    ratio = Fraction(pixel_aspect).limit_denominator(1000)
    return [ratio.denominator, ratio.numerator]


def write_frames(target: Path, dataset: Any, clip: Clip, redaction: Redaction, progress: FrameProgress | None) -> bool:
    """Write a header and all frames of a clip, uncompressed.

    Args:
        target: File to write; it must not exist.
        dataset: Header, which describes the pixels after redaction.
        clip: The recording, opened.
        redaction: What is hidden on all frames.
        progress: Called after every frame; False cancels.

    Returns:
        False if it was cancelled; the file is then incomplete.

    Raises:
        ClipError: A frame cannot be read.
        OSError: The file cannot be written.
    """
    length = clip.n_frames * int(dataset.Rows) * int(dataset.Columns) * int(dataset.BitsAllocated) // 8
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = _FRAGMENTS if length > LARGEST else ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    with target.open("xb") as file:
        pydicom.dcmwrite(file, dataset, enforce_file_format=True)
        return _write_pixels(file, clip, redaction, dataset, length=length, progress=progress)


def _write_pixels(
    file: BinaryIO, clip: Clip, redaction: Redaction, dataset: Any, *, length: int, progress: FrameProgress | None
) -> bool:
    """Append the pixel data, the last element, to the header; return False if it was cancelled."""
    vr = b"OB" if dataset.BitsAllocated == 8 or length > LARGEST else b"OW"
    fragments = length > LARGEST
    element = b"\xe0\x7f\x10\x00" + vr + b"\0\0"
    file.write(element + (b"\xff" * 4 if fragments else (length + length % 2).to_bytes(4, "little")))
    if fragments:
        file.write(b"\xfe\xff\x00\xe0\0\0\0\0")  # empty offset table: its 32 bits cannot hold the offsets
    offset = 1 << (dataset.BitsStored - 1) if dataset.PixelRepresentation else 0
    stored = np.dtype(f"<i{clip.dtype.itemsize}" if offset else f"<u{clip.dtype.itemsize}")
    for t in range(clip.n_frames):
        frame = redaction.pixels(clip[t])
        data = (frame.astype(np.int32) - offset).astype(stored).tobytes() if offset else frame.astype(stored).tobytes()
        if fragments:
            data += b"\0" * (len(data) % 2)
            file.write(b"\xfe\xff\x00\xe0" + len(data).to_bytes(4, "little"))
        file.write(data)
        if progress is not None and progress(t + 1) is False:
            return False
    file.write(b"\xfe\xff\xdd\xe0\0\0\0\0" if fragments else b"\0" * (length % 2))
    return True
