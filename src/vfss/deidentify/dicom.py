# SPDX-License-Identifier: Apache-2.0
"""Writing of de-identified DICOM: header cleaned; pixels decoded, redacted and written uncompressed, frame by frame."""

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
from vfss.clips.dicom.pixels import VIDEO
from vfss.clips.dicom.values import DICOM_ERRORS
from vfss.clips.library_errors import reason
from vfss.deidentify.dicom_profile import EDITION, Profile
from vfss.errors import ClipError
from vfss.project.case_key import CaseKey
from vfss.redaction import Redaction
from vfss.version import __version__

FrameProgress = Callable[[int], bool]
"""Called with the number of frames of the recording done; False cancels."""

LARGEST = 0xFFFFFFFE
"""Largest length of a value in bytes; longer pixel data are written as one fragment per frame."""

_FRAGMENTS = UID("1.2.840.10008.1.2.1.98")  # encapsulated uncompressed
_ENHANCED = frozenset({"1.2.840.10008.5.1.4.1.1.12.1.1", "1.2.840.10008.5.1.4.1.1.12.2.1"})
_PLANES = ("SINGLE PLANE", "BIPLANE A", "BIPLANE B")
_SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
_GEOMETRY = frozenset({0x00187030, 0x00189472, 0x00189432, 0x00189407})
"""Field of view, shutters and collimators, in pixels before the crop."""
_LONGEST_STEP_MS = 10_000.0
_LOSSY = frozenset({"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.81", *map(str, VIDEO)})


def write_dicom(
    clip: Clip,
    source: Path,
    target: Path,
    redaction: Redaction,
    key: CaseKey,
    *,
    case: str,
    reviewed: bool,
    progress: FrameProgress | None = None,
) -> bool:
    """Write the de-identified counterpart of a DICOM recording.

    Args:
        clip: The recording, opened.
        source: Its file.
        target: File to write; it must not exist.
        redaction: What is hidden on all frames.
        key: Source of the replacement UIDs.
        case: Case id, which becomes the patient's name and id.
        reviewed: Whether a person accepted the redaction; only then the file states that no text is burned in.
        progress: Called after every frame; False cancels.

    Returns:
        False if it was cancelled; the file is then incomplete.

    Raises:
        ClipError: The header or a frame cannot be read.
        OSError: The file cannot be written.
    """
    try:
        original = pydicom.dcmread(source, stop_before_pixels=True, force=True)
        dataset = _header(original, clip, redaction, key, case=case, reviewed=reviewed)
        length = clip.n_frames * int(dataset.Rows) * int(dataset.Columns) * int(dataset.BitsAllocated) // 8
        if length > LARGEST:
            dataset.file_meta.TransferSyntaxUID = _FRAGMENTS
        with target.open("xb") as file:
            pydicom.dcmwrite(file, dataset, enforce_file_format=True)
            return _write_pixels(file, clip, redaction, dataset, length=length, progress=progress)
    except (OSError, ClipError):
        raise
    except DICOM_ERRORS as error:
        raise ClipError(
            f"its header cannot be de-identified ({reason(error)})",
            path=source,
            remedy="Export it again from its source, or convert it to a video.",
        ) from error


def _header(original: Any, clip: Clip, redaction: Redaction, key: CaseKey, *, case: str, reviewed: bool) -> Any:
    dataset = Profile(key).cleaned(original, dummies=str(original.get("SOPClassUID", "")) in _ENHANCED)
    syntax = str(original.file_meta.get("TransferSyntaxUID", ""))
    _identify(dataset, clip, key, case)
    _record_method(dataset, original, reviewed)
    _set_pixel_description(dataset, original, clip, redaction, syntax)
    if syntax in _LOSSY:
        dataset.LossyImageCompression = "01"
    if has_times(clip):
        _set_times(dataset, clip)
    _set_aspect(dataset, clip)
    if redaction.crop is not None:
        dataset.walk(_remove_geometry)
    return dataset


def _identify(dataset: Any, clip: Clip, key: CaseKey, case: str) -> None:
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName = dataset.PatientID = case
    if not dataset.get("SOPClassUID"):
        byte, word = (
            MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
            MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
        )
        dataset.SOPClassUID = byte if clip.bits <= 8 else word
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        if not dataset.get(keyword):
            setattr(dataset, keyword, key.uid(f"{keyword} of {clip.id}"))
    dataset.SeriesNumber = dataset.InstanceNumber = 1  # those of a hospital's system can be those of a patient
    if "Manufacturer" not in dataset:
        dataset.Manufacturer = ""
    image_type = dataset.get("ImageType") or ""
    values = [image_type] if isinstance(image_type, str) else list(image_type)
    plane = [value for value in values if value in _PLANES][:1]
    dataset.ImageType = ["DERIVED", "PRIMARY" if "PRIMARY" in values[:2] else "SECONDARY", *plane]
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID


def _record_method(dataset: Any, original: Any, reviewed: bool) -> None:
    """Record that the object was de-identified, and by which method."""
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = [f"napari-vfss {__version__}", f"PS3.15 Basic Profile, table of {EDITION}"]
    codes = [_code("113100", "Basic Application Confidentiality Profile")]
    if reviewed:
        codes.append(_code("113101", "Clean Pixel Data Option"))
    dataset.DeidentificationMethodCodeSequence = codes
    dataset.LongitudinalTemporalInformationModified = "REMOVED"
    if reviewed:
        dataset.BurnedInAnnotation = "NO"
    elif original.get("BurnedInAnnotation") != "YES" and "BurnedInAnnotation" in dataset:
        del dataset.BurnedInAnnotation  # a "NO" from elsewhere is not a review


def _code(value: str, meaning: str) -> Any:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "DCM", meaning
    return code


def _set_pixel_description(dataset: Any, original: Any, clip: Clip, redaction: Redaction, syntax: str) -> None:
    """Describe the pixels as they are written: grey, with their original number of bits and sign."""
    photometric = str(original.get("PhotometricInterpretation") or "")
    grey = photometric.startswith("MONOCHROME") and syntax not in VIDEO
    dataset.Rows, dataset.Columns = redaction.size(clip.height, clip.width)
    if clip.n_frames > 1 or "NumberOfFrames" in dataset:
        dataset.NumberOfFrames = clip.n_frames
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME1" if photometric == "MONOCHROME1" else "MONOCHROME2"
    dataset.BitsAllocated = 8 * clip.dtype.itemsize
    dataset.BitsStored = int(original.get("BitsStored") or original.BitsAllocated) if grey else clip.bits
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(original.get("PixelRepresentation") or 0) if grey else 0


def has_times(clip: Clip) -> bool:
    """Return whether the times of a clip are written: not assumed ones, and none that are no times of a fluoroscopy."""
    if clip.n_frames < 2 or clip.times_from == "assumed":
        return False
    return float(np.diff(clip.times_s).max()) * 1000 <= _LONGEST_STEP_MS


def _set_times(dataset: Any, clip: Clip) -> None:
    """Write the times of the frames: counted from a dummy date for each frame, or as steps."""
    groups = dataset.get("PerFrameFunctionalGroupsSequence") or []
    contents = [group.FrameContentSequence[0] for group in groups if group.get("FrameContentSequence")]
    if len(contents) == clip.n_frames and clip.times_s[-1] < 86400:
        for content, second in zip(contents, clip.times_s, strict=True):
            minutes, rest = divmod(float(second), 60)
            moment = f"19000101{int(minutes) // 60:02d}{int(minutes) % 60:02d}{rest:09.6f}"
            content.FrameAcquisitionDateTime = content.FrameReferenceDateTime = moment
        return
    set_frame_times(dataset, clip)


def set_frame_times(dataset: Any, clip: Clip) -> None:
    """Write the times of the frames as one step, or where the steps differ as a vector of steps."""
    expected = 1000.0 * clip.times_s
    step = float(expected[-1]) / (clip.n_frames - 1)
    if np.allclose(expected, step * np.arange(clip.n_frames), rtol=0, atol=1e-4):
        dataset.FrameTime, dataset.FrameIncrementPointer = f"{step:.10g}", 0x00181063
        return
    dataset.FrameTimeVector = [f"{step:.10g}" for step in np.diff(expected, prepend=expected[0])]
    dataset.FrameIncrementPointer = 0x00181065


def _set_aspect(dataset: Any, clip: Clip) -> None:
    if clip.pixel_aspect != 1 and not any(keyword in dataset for keyword in _SPACINGS):
        dataset.PixelAspectRatio = aspect_ratio(clip.pixel_aspect)


def aspect_ratio(pixel_aspect: float) -> list[int]:
    """Return DICOM's ratio, vertical before horizontal, of the width of a pixel divided by its height."""
    ratio = Fraction(pixel_aspect).limit_denominator(1000)
    return [ratio.denominator, ratio.numerator]


def _remove_geometry(dataset: Any, element: Any) -> None:
    """Remove attributes given in rows and columns of the uncropped frame."""
    if 0x00181600 <= element.tag <= 0x00181720 or element.tag in _GEOMETRY:
        del dataset[element.tag]


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
