# SPDX-License-Identifier: Apache-2.0
"""Writing of de-identified DICOM: the header cleaned, the pixels decoded, redacted and written uncompressed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pydicom

from vfss.clips import Clip
from vfss.clips.dicom.aspect import pixel_aspect
from vfss.clips.dicom.pixels import VIDEO
from vfss.clips.dicom.values import DICOM_ERRORS
from vfss.clips.library_errors import reason
from vfss.deidentify.dicom_output import (
    FrameProgress,
    aspect_ratio,
    has_times,
    record_method,
    secondary_capture_class,
    set_frame_times,
    write_frames,
)
from vfss.deidentify.dicom_profile import Profile
from vfss.errors import ClipError
from vfss.project.case_key import CaseKey
from vfss.redaction import Redaction

_ENHANCED = frozenset({"1.2.840.10008.5.1.4.1.1.12.1.1", "1.2.840.10008.5.1.4.1.1.12.2.1"})
_PLANES = ("SINGLE PLANE", "BIPLANE A", "BIPLANE B")
_SAME_ASPECT = 0.002  # relative; spacings are rounded
_SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
_GEOMETRY = frozenset({0x00187030, 0x00189472, 0x00189432, 0x00189407})
"""Field of view, shutters and collimators, in pixels before the crop."""
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
        return write_frames(target, dataset, clip, redaction, progress)
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
    record_method(dataset, reviewed=reviewed)
    if not reviewed and original.get("BurnedInAnnotation") == "YES":
        dataset.BurnedInAnnotation = "YES"  # a "NO" from elsewhere is not a review
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
        dataset.SOPClassUID = secondary_capture_class(clip)
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        if not dataset.get(keyword):
            setattr(dataset, keyword, key.new_uid(keyword, clip.id))
    dataset.SeriesNumber = dataset.InstanceNumber = 1  # those of a hospital's system can be those of a patient
    if "Manufacturer" not in dataset:
        dataset.Manufacturer = ""
    image_type = dataset.get("ImageType") or ""
    values = [image_type] if isinstance(image_type, str) else list(image_type)
    plane = [value for value in values if value in _PLANES][:1]
    dataset.ImageType = ["DERIVED", "PRIMARY" if "PRIMARY" in values[:2] else "SECONDARY", *plane]


def _set_pixel_description(dataset: Any, original: Any, clip: Clip, redaction: Redaction, syntax: str) -> None:
    """Describe the pixels as they are written: grey, with their original number of bits and sign."""
    photometric = str(original.get("PhotometricInterpretation") or "")
    grey = photometric.startswith("MONOCHROME") and syntax not in VIDEO
    dataset.Rows, dataset.Columns = redaction.size(clip.height, clip.width)
    if clip.n_frames > 1 or "NumberOfFrames" in original:
        dataset.NumberOfFrames = clip.n_frames
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME1" if photometric == "MONOCHROME1" else "MONOCHROME2"
    dataset.BitsAllocated = 8 * clip.dtype.itemsize
    dataset.BitsStored = int(original.get("BitsStored") or original.BitsAllocated) if grey else clip.bits
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(grey and original.get("PixelRepresentation") == 1)


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


def _set_aspect(dataset: Any, clip: Clip) -> None:
    """Declare the aspect of the clip's pixels, where what is left of the header declares another one or none."""
    declared, _ = pixel_aspect(dataset)
    if abs(declared / clip.pixel_aspect - 1) < _SAME_ASPECT:
        return
    for keyword in _SPACINGS:  # they would win over the ratio; malformed ones were emptied
        dataset.pop(keyword, None)
    dataset.PixelAspectRatio = aspect_ratio(clip.pixel_aspect)


def _remove_geometry(dataset: Any, element: Any) -> None:
    """Remove attributes given in rows and columns of the uncropped frame."""
    if 0x00181600 <= element.tag <= 0x00181720 or element.tag in _GEOMETRY:
        del dataset[element.tag]
