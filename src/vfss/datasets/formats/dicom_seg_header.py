# SPDX-License-Identifier: Apache-2.0
"""Header of a DICOM segmentation of a fluoroscopy (PS3.3 A.51), without its pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SegmentationStorage

from vfss.schema import Schema, Structure
from vfss.version import __version__

_PATIENT_AND_STUDY = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    "LongitudinalTemporalInformationModified",
)
_SEGMENT, _FRAME = 0x0062000B, 0x00209057  # referenced segment number, in-stack position number
_IN_SEGMENT, _IN_CONTENT = 0x0062000A, 0x00209111
_SUBSTANCE, _BODY_STRUCTURE = ("SCT", "105590001", "Substance"), ("SCT", "123037004", "Body structure")


@dataclass(frozen=True)
class SegmentFrame:
    """Segment and frame of the recording of one frame of a segmentation, both counted from 1."""

    segment: int
    frame: int


def segmentation(
    source: Any, schema: Schema, frames: Sequence[SegmentFrame], authors: Sequence[str], uid: Callable[[str], str]
) -> Any:
    """Build the header of a segmentation, to which the pixel data are appended.

    Args:
        source: Header of the de-identified recording.
        schema: Schema whose structures are the segments, the first one is 1.
        frames: Segment and frame of the recording of each frame, in the order of the pixel data.
        authors: Authors of the masks, by their names in exports.
        uid: Returns the UID for a name.
    """
    header = Dataset()
    for keyword in _PATIENT_AND_STUDY:
        if keyword in source:
            header[keyword] = source[keyword]
    for keyword in ("PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID", "AccessionNumber"):
        if keyword not in header:
            setattr(header, keyword, "")  # type 2: must be there, may be empty
    if "ReferringPhysicianName" not in header:
        header.ReferringPhysicianName = ""
    _general(header, source, authors, uid)
    _image(header, source, len(frames))
    header.SegmentSequence = [_segment(structure, uid) for structure in schema.structures]
    _dimensions(header, source, uid)
    header.PerFrameFunctionalGroupsSequence = [_groups(source, frame) for frame in frames]
    shared = Dataset()
    header.SharedFunctionalGroupsSequence = [shared]
    header.ReferencedSeriesSequence = [_referenced_series(source)]
    return header


def _general(header: Any, source: Any, authors: Sequence[str], uid: Callable[[str], str]) -> None:
    now = datetime.now(UTC)
    header.SpecificCharacterSet = "ISO_IR 192"
    header.SOPClassUID = SegmentationStorage
    header.SOPInstanceUID = uid(f"segmentation of {source.SOPInstanceUID}")
    header.SeriesInstanceUID = uid(f"segmentation series of {source.SOPInstanceUID}")
    header.Modality = "SEG"
    header.SeriesNumber, header.InstanceNumber = "100", "1"
    header.SeriesDescription = "Masks of structures"
    header.Manufacturer, header.ManufacturerModelName = "napari-vfss", "napari-vfss"
    header.DeviceSerialNumber, header.SoftwareVersions = "0", __version__
    header.ContentDate, header.ContentTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    header.ContentLabel = "VFSS"
    header.ContentDescription = "Research annotation, not for diagnosis"
    header.ContentCreatorName = ", ".join(authors)[:64]
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID


def _image(header: Any, source: Any, n_frames: int) -> None:
    header.ImageType = ["DERIVED", "PRIMARY"]
    header.Rows, header.Columns, header.NumberOfFrames = source.Rows, source.Columns, n_frames
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated = header.BitsStored = 1
    header.HighBit = header.PixelRepresentation = 0
    header.LossyImageCompression = "00"
    header.PatientOrientation = ""  # unknown: the recording does not contain it
    header.SegmentationType = "BINARY"
    header.SegmentsOverlap = "YES"


def _segment(structure: Structure, uid: Callable[[str], str]) -> Any:
    segment = Dataset()
    segment.SegmentNumber = structure.index + 1
    segment.SegmentLabel = structure.name[:64]
    segment.SegmentDescription = structure.key
    # A student may have proposed the mask, but a person confirmed it.
    segment.SegmentAlgorithmType, segment.SegmentAlgorithmName = "SEMIAUTOMATIC", "napari-vfss"
    category = _SUBSTANCE if structure.kind == "substance" else _BODY_STRUCTURE
    segment.SegmentedPropertyCategoryCodeSequence = [_code(*category)]
    code, own = structure.code, ("99VFSS", structure.key[:16], structure.name[:64])
    type_code = own if code is None else (code.scheme, code.value, code.meaning)
    segment.SegmentedPropertyTypeCodeSequence = [_code(*type_code)]
    segment.RecommendedDisplayCIELabValue = _cielab(structure.rgb)
    segment.TrackingID = structure.key
    segment.TrackingUID = uid(f"structure {structure.key}")
    return segment


def _code(scheme: str, value: str, meaning: str) -> Any:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def _dimensions(header: Any, source: Any, uid: Callable[[str], str]) -> None:
    organization = uid(f"dimensions of {source.SOPInstanceUID}")
    item = Dataset()
    item.DimensionOrganizationUID = organization
    header.DimensionOrganizationSequence = [item]
    header.DimensionIndexSequence = []
    pointers = ((_SEGMENT, _IN_SEGMENT, "Segment"), (_FRAME, _IN_CONTENT, "Frame of the recording"))
    for pointer, group, label in pointers:
        index = Dataset()
        index.DimensionOrganizationUID = organization
        index.DimensionIndexPointer, index.FunctionalGroupPointer = pointer, group
        index.DimensionDescriptionLabel = label
        header.DimensionIndexSequence.append(index)


def _groups(source: Any, frame: SegmentFrame) -> Any:
    """Return the functional groups of one frame: its segment, and the frame of the recording it was derived from."""
    groups, content, identification, derivation = Dataset(), Dataset(), Dataset(), Dataset()
    content.StackID, content.InStackPositionNumber = "1", frame.frame
    content.DimensionIndexValues = [frame.segment, frame.frame]
    identification.ReferencedSegmentNumber = frame.segment
    image = _reference(source)
    image.ReferencedFrameNumber = frame.frame
    image.SpatialLocationsPreserved = "YES"
    image.PurposeOfReferenceCodeSequence = [_code("DCM", "121322", "Source image for image processing operation")]
    derivation.SourceImageSequence = [image]
    derivation.DerivationCodeSequence = [_code("DCM", "113076", "Segmentation")]
    groups.FrameContentSequence = [content]
    groups.SegmentIdentificationSequence = [identification]
    groups.DerivationImageSequence = [derivation]
    return groups


def _reference(source: Any) -> Any:
    image = Dataset()
    image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = source.SOPClassUID, source.SOPInstanceUID
    return image


def _referenced_series(source: Any) -> Any:
    series = Dataset()
    series.SeriesInstanceUID = source.SeriesInstanceUID
    series.ReferencedInstanceSequence = [_reference(source)]
    return series


def _cielab(rgb: tuple[int, int, int]) -> list[int]:
    """Convert a colour to CIELab (D50), scaled to 16 bits, as in DICOM (PS3.3 C.10.7.1.1)."""
    linear = np.array([_linear(value / 255.0) for value in rgb])
    # sRGB to XYZ, adapted to D50 (Bradford).
    matrix = np.array(
        [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]]
    )
    x, y, z = (matrix @ linear) / np.array([0.96422, 1.0, 0.82521])
    fx, fy, fz = (value ** (1 / 3) if value > 0.008856 else 7.787 * value + 16 / 116 for value in (x, y, z))
    lightness, a, b = 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)
    scaled = (lightness * 65535 / 100, (a + 128) * 65535 / 255, (b + 128) * 65535 / 255)
    return [int(np.clip(round(value), 0, 65535)) for value in scaled]


def _linear(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)
