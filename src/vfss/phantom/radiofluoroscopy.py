# SPDX-License-Identifier: Apache-2.0
"""The header of an X-Ray Radiofluoroscopic Image that holds a phantom."""

from __future__ import annotations

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, XRayRadiofluoroscopicImageStorage, generate_uid

from vfss.phantom.phantom import Phantom
from vfss.version import __version__


def header(phantom: Phantom) -> Dataset:
    """All attributes but the pixels; the same clip gets the same UIDs.

    Args:
        phantom: The clip; 8 bits, one sample a pixel.
    """
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = XRayRadiofluoroscopicImageStorage
    _patient_and_study(dataset, phantom)
    _acquisition(dataset, phantom)
    _pixels(dataset, phantom)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


def _uid(phantom: Phantom, kind: str) -> str:
    size = f"{phantom.n_frames} {phantom.height} {phantom.width} {phantom.fps}"
    return str(
        generate_uid(entropy_srcs=["vfss phantom", kind, str(phantom.seed), phantom.style, phantom.variant, size])
    )


def _patient_and_study(dataset: Dataset, phantom: Phantom) -> None:
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPInstanceUID = _uid(phantom, "instance")
    dataset.StudyInstanceUID = _uid(phantom, "study")
    dataset.SeriesInstanceUID = _uid(phantom, "series")
    dataset.PatientName = f"PHANTOM^{phantom.seed}"
    dataset.PatientID = f"PHANTOM-{phantom.seed}"
    for keyword in ("PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID", "AccessionNumber"):
        setattr(dataset, keyword, "")
    dataset.ReferringPhysicianName = ""
    dataset.Modality = "RF"
    dataset.SeriesNumber = 1
    dataset.InstanceNumber = 1
    dataset.Manufacturer = "napari-vfss"
    dataset.ManufacturerModelName = "vfss.phantom"
    dataset.SoftwareVersions = __version__
    dataset.SeriesDescription = f"Synthetic lateral swallow, {phantom.variant}"


def _acquisition(dataset: Dataset, phantom: Phantom) -> None:
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "SINGLE PLANE"]
    dataset.PatientOrientation = ["P", "F"] if phantom.facing == "left" else ["A", "F"]
    dataset.ContrastBolusAgent = "Barium sulfate"
    dataset.BodyPartExamined = "NECK"
    dataset.KVP = None
    dataset.RadiationSetting = "SC"
    dataset.RadiationMode = "PULSED"
    dataset.ExposureTime = None
    dataset.XRayTubeCurrent = None
    dataset.Exposure = None
    dataset.BurnedInAnnotation = "YES" if phantom.screen.apparatus.overlays.kinds else "NO"
    # Lookup table and exposure control are in the values: they are made for display.
    dataset.PixelIntensityRelationship = "DISP"


def _pixels(dataset: Dataset, phantom: Phantom) -> None:
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = phantom.height, phantom.width
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.PixelRepresentation = 0
    dataset.NumberOfFrames = phantom.n_frames
    dataset.FrameIncrementPointer = 0x00181063
    dataset.FrameTime = round(1000.0 / phantom.fps, 6)
    dataset.CineRate = max(1, round(phantom.fps))
    dataset.RecommendedDisplayFrameRate = max(1, round(phantom.fps))
