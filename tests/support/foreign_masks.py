# SPDX-License-Identifier: Apache-2.0
"""Masks as other programs write them, made on the spot for the tests of vfss.importing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
from PIL import Image
from pycocotools import mask as rle
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import pack_bits
from pydicom.uid import ExplicitVRLittleEndian, SegmentationStorage, generate_uid

from clip_material import dataset as recording

Planes = Mapping[str, np.ndarray]


def write_coco(path: Path, images: Mapping[str, Planes], /, **changes: Any) -> Path:
    """COCO with one compressed run-length mask per label; file names to bool (H, W) by label."""
    names = list(dict.fromkeys(label for planes in images.values() for label in planes))
    data: dict[str, Any] = {
        "images": [],
        "annotations": [],
        "categories": [{"id": 7 + i, "name": name} for i, name in enumerate(names)],
    }
    for number, (file, planes) in enumerate(images.items(), 100):
        height, width = next(iter(planes.values())).shape
        data["images"].append({"id": number, "file_name": file, "height": height, "width": width})
        for label, plane in planes.items():
            encoded = rle.encode(np.asfortranarray(plane, np.uint8))
            segmentation = {"size": encoded["size"], "counts": encoded["counts"].decode("ascii")}
            row = {"id": len(data["annotations"]) + 1, "image_id": number, "category_id": 7 + names.index(label)}
            data["annotations"].append(row | {"segmentation": segmentation, "iscrowd": 0})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data | changes), "utf-8")
    return path


def write_planes(folder: Path, images: Mapping[str, Planes], *, white: int = 255) -> Path:
    """PNG planes: <label>/<name>.png."""
    for name, planes in images.items():
        for label, plane in planes.items():
            (folder / label).mkdir(parents=True, exist_ok=True)
            Image.fromarray(plane.astype(np.uint8) * np.uint8(white)).save(folder / label / name)
    return folder


def write_label_image(path: Path, values: np.ndarray) -> Path:
    """A label image (H, W), or a volume (T, H, W), as its suffix says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.name.endswith((".nii", ".nii.gz")):
        nib.save(nib.Nifti1Image(values.astype(np.uint8).T, np.eye(4)), path)  # nibabel counts x, y, z
    elif path.suffix == ".tif":
        import tifffile

        tifffile.imwrite(path, values.astype(np.uint8), photometric="minisblack")
    else:
        Image.fromarray(values.astype(np.uint8)).save(path)
    return path


def write_nnunet(folder: Path, labels: Mapping[str, Any], ending: str, files: Mapping[str, np.ndarray], **more) -> Path:
    """A dataset folder of nnU-Net: files by name without ending, "labelsTr/case_1"."""
    folder.mkdir(parents=True, exist_ok=True)
    data = {"channel_names": {"0": "xray"}, "labels": dict(labels), "numTraining": len(files), "file_ending": ending}
    (folder / "dataset.json").write_text(json.dumps(data | more), "utf-8")
    for name, values in files.items():
        write_label_image(folder / f"{name}{ending}", values)
    return folder


def write_recording(path: Path, frames: np.ndarray) -> str:
    """A radiofluoroscopic DICOM recording of frames (T, H, W); gives its SOP Instance UID."""
    made = recording(frames, StudyInstanceUID=generate_uid(), SeriesInstanceUID=generate_uid(), FrameTime="33")
    made.save_as(path, enforce_file_format=True)
    return str(made.SOPInstanceUID)


def code(value: str, meaning: str) -> Dataset:
    made = Dataset()
    made.CodeValue, made.CodingSchemeDesignator, made.CodeMeaning = value, "SCT", meaning
    return made


def segment(number: int, label: str, snomed: str | None) -> Dataset:
    made = Dataset()
    made.SegmentNumber, made.SegmentLabel, made.SegmentAlgorithmType = number, label, "MANUAL"
    made.SegmentedPropertyCategoryCodeSequence = [code("123037004", "Anatomical Structure")]
    made.SegmentedPropertyTypeCodeSequence = [code(snomed or "999", label)]
    return made


def frame_groups(instance: str, frame: int, number: int | None) -> Dataset:
    """Return the functional groups of one frame of a segmentation; frame from 1."""
    source = Dataset()
    source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.12.2", instance
    source.ReferencedFrameNumber = frame
    source.PurposeOfReferenceCodeSequence = [code("121322", "Source image")]
    derivation = Dataset()
    derivation.SourceImageSequence = [source]
    derivation.DerivationCodeSequence = [code("113076", "Segmentation")]
    groups = Dataset()
    groups.DerivationImageSequence = [derivation]
    content = Dataset()
    content.DimensionIndexValues = [number or 1, frame]
    groups.FrameContentSequence = [content]
    if number is not None:
        identification = Dataset()
        identification.ReferencedSegmentNumber = number
        groups.SegmentIdentificationSequence = [identification]
    return groups


def segmentation(
    instance: str, masks: Sequence[tuple[int, int, np.ndarray]], segments: Sequence[tuple[str, str | None]], kind: str
) -> Dataset:
    """A DICOM SEG: frames as (frame from 0, segment from 1, values (H, W)); segments as (label, SNOMED code)."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = SegmentationStorage
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    made.StudyInstanceUID, made.SeriesInstanceUID = generate_uid(), generate_uid()
    made.PatientName = made.PatientID = made.PatientBirthDate = made.PatientSex = ""
    made.StudyDate = made.StudyTime = made.AccessionNumber = made.ReferringPhysicianName = made.StudyID = ""
    made.Modality, made.SeriesNumber, made.InstanceNumber = "SEG", 1, 1
    made.Manufacturer = made.ManufacturerModelName = made.DeviceSerialNumber = made.SoftwareVersions = "other"
    made.ContentLabel, made.ContentDescription, made.ContentCreatorName = "MASKS", "", ""
    made.ContentDate, made.ContentTime = "20260101", "000000"
    made.ImageType = ["DERIVED", "PRIMARY"]
    made.NumberOfFrames = len(masks)
    made.Rows, made.Columns = masks[0][2].shape
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    bits = 1 if kind == "BINARY" else 8
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = bits, bits, bits - 1, 0
    made.LossyImageCompression = "00"
    made.SegmentationType, made.SegmentsOverlap = kind, "YES"
    if kind == "FRACTIONAL":
        made.SegmentationFractionalType, made.MaximumFractionalValue = "PROBABILITY", 200
    made.SegmentSequence = [segment(i, *row) for i, row in enumerate(segments, 1)]
    organization = Dataset()
    organization.DimensionOrganizationUID = generate_uid()
    made.DimensionOrganizationSequence = [organization]
    made.DimensionIndexSequence = [
        _dimension(organization, 0x0062000B, 0x0062000A),
        _dimension(organization, 0x00209157, 0x00209111),
    ]
    made.SharedFunctionalGroupsSequence = [Dataset()]
    made.PerFrameFunctionalGroupsSequence = [frame_groups(instance, t + 1, number) for t, number, _ in masks]
    values = np.stack([plane for _, _, plane in masks]).astype(np.uint8)
    made.PixelData = pack_bits(values) if bits == 1 else values.tobytes()
    made["PixelData"].VR = "OB"
    return made


def _dimension(organization: Dataset, pointer: int, group: int) -> Dataset:
    made = Dataset()
    made.DimensionOrganizationUID = organization.DimensionOrganizationUID
    made.DimensionIndexPointer, made.FunctionalGroupPointer = pydicom.tag.Tag(pointer), pydicom.tag.Tag(group)
    return made


def write_segmentation(
    path: Path,
    instance: str,
    masks: Sequence[tuple[int, int, np.ndarray]],
    segments: Sequence[tuple[str, str | None]],
    kind: str = "BINARY",
) -> Path:
    """See `segmentation`."""
    segmentation(instance, masks, segments, kind).save_as(path, enforce_file_format=True)
    return path
