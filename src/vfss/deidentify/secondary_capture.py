# SPDX-License-Identifier: Apache-2.0
"""Videos, pictures and series of DICOM images as one de-identified DICOM file: a multi-frame secondary capture.

See PS3.3 A.8.3 and A.8.4. A segmentation can only refer to a DICOM object. Of the recording's own metadata nothing is
read but its times, the aspect of its pixels and the side that the patient faces.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from vfss.clips import Clip, Facing
from vfss.deidentify.dicom_output import (
    FrameProgress,
    aspect_ratio,
    has_times,
    record_method,
    secondary_capture_class,
    set_frame_times,
    write_frames,
)
from vfss.project.case_key import CaseKey
from vfss.redaction import Redaction

LARGEST_SIDE = 65535
"""Most rows or columns of a DICOM image."""

_PAGE_NUMBERS = 0x00182001  # by which frames are counted that have no times
_ORIENTATION: dict[Facing, list[str] | str] = {"right": ["A", "F"], "left": ["P", "F"], "unknown": ""}


def write_secondary_capture(
    clip: Clip,
    target: Path,
    redaction: Redaction,
    key: CaseKey,
    *,
    case: str,
    reviewed: bool,
    inverted: bool = False,
    progress: FrameProgress | None = None,
) -> bool:
    """Write any recording as a de-identified secondary capture.

    Args:
        clip: The recording, opened; at most 65535 rows and columns.
        target: File to write; it must not exist.
        redaction: What is hidden on all frames.
        key: Source of the UIDs.
        case: Case id, which becomes the patient's name and id.
        reviewed: Whether a person accepted the redaction; else the file states that text may be burned in.
        inverted: Whether a header says that small values are shown bright; a video has no header that could.
        progress: Called after every frame; False cancels.

    Returns:
        False if it was cancelled; the file is then incomplete.

    Raises:
        ClipError: A frame cannot be read.
        OSError: The file cannot be written.
    """
    header: Any = Dataset()
    header.SpecificCharacterSet = "ISO_IR 192"
    header.SOPClassUID = secondary_capture_class(clip)
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        setattr(header, keyword, key.new_uid(keyword, clip.id))
    header.PatientName = header.PatientID = case
    for keyword in (
        "PatientBirthDate",
        "PatientSex",
        "StudyDate",
        "StudyTime",
        "StudyID",
        "AccessionNumber",
        "Laterality",
    ):
        setattr(header, keyword, "")  # type 2: must be there, may be empty
    header.ReferringPhysicianName = header.Manufacturer = ""
    header.Modality, header.ConversionType = "RF", "DV"
    header.SeriesNumber = header.InstanceNumber = 1
    header.ImageType = ["DERIVED", "SECONDARY"]
    header.PatientOrientation = _ORIENTATION[clip.facing]
    record_method(header, reviewed=reviewed)
    if not reviewed:
        header.BurnedInAnnotation = "YES"  # this object must say one or the other
    _describe_pixels(header, clip, redaction, inverted)
    _count_frames(header, clip)
    return write_frames(target, header, clip, redaction, progress)


def _describe_pixels(header: Any, clip: Clip, redaction: Redaction, inverted: bool) -> None:
    header.Rows, header.Columns = redaction.size(clip.height, clip.width)
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME1" if inverted else "MONOCHROME2"
    header.BitsAllocated, header.BitsStored = 8 * clip.dtype.itemsize, clip.bits
    header.HighBit, header.PixelRepresentation = clip.bits - 1, 0
    header.PresentationLUTShape = "INVERSE" if inverted else "IDENTITY"
    header.RescaleIntercept, header.RescaleSlope, header.RescaleType = 0, 1, "US"
    if clip.bits > 8:
        low, high = clip.window
        header.WindowCenter, header.WindowWidth = f"{(low + high + 1) / 2:g}", high - low + 1
    if clip.pixel_aspect != 1:
        header.PixelAspectRatio = aspect_ratio(clip.pixel_aspect)


def _count_frames(header: Any, clip: Clip) -> None:
    """Write the times of the frames; where nobody states them, frames are numbered instead."""
    header.NumberOfFrames = clip.n_frames
    if has_times(clip):
        set_frame_times(header, clip)
    elif clip.n_frames > 1:
        header.PageNumberVector = list(range(1, clip.n_frames + 1))
        header.FrameIncrementPointer = _PAGE_NUMBERS
