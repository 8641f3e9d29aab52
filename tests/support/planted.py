# SPDX-License-Identifier: Apache-2.0
"""Secrets for tests of de-identification: written wherever a recording can hold them, and searched in every byte."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pydicom
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from clip_material import dataset, pictures

NAME, ID, DAY, BORN = "Müllerova^Zdenka", "KH-4711-0815", "20190823", "19610312"
PLACE, DOCTOR, PRIVATE, PLANE = "Kreiskrankenhaus Quellstadt", "Oberarzt^Wenzel", "ZEBRAVENDOR", b"OVERLAYSECRET!!!"
UID = "1.2.276.0.7230010.3.1.4.31415926"
SECRETS = (
    *NAME.split("^"),
    ID,
    DAY,
    BORN,
    *PLACE.split(),
    "Wenzel",
    PRIVATE,
    PLANE.decode(),
    UID,
    "181615.25",
    "PRIVATETEXT",
    "CURVESECRET",
    "TRAILINGSECRET",
    "PREAMBLE-SECRET",
    "SECRETAE",
)


def leaks(folder: Path, secrets: Iterable[str] = SECRETS) -> list[str]:
    """Return every secret in the content or name of a file below the folder, in any usual encoding and case."""
    hits = []
    needles = {}
    for secret in secrets:
        for text in {secret, secret.upper(), secret.lower()}:
            for coding in ("utf-8", "latin-1", "utf-16-le", "utf-16-be", "cp437"):
                needles[text.encode(coding)] = secret
    files = [path for path in folder.rglob("*") if path.is_file()]
    for path in files:
        content = path.read_bytes()
        name = str(path.relative_to(folder)).encode()
        hits += [f"{secret} in {path.name}" for needle, secret in needles.items() if needle in content + b"\0" + name]
    return hits if files else ["there is no file"]


def _nested() -> Dataset:
    """Return an item with a name, a date and private elements, and a nested item with the same."""
    inner = Dataset()
    for item in (inner, outer := Dataset()):
        item.PatientName, item.StudyDate, item.OperatorsName = NAME, DAY, DOCTOR
        block = item.private_block(0x0011, PRIVATE, create=True)
        block.add_new(0x01, "LO", "PRIVATETEXT " + PLACE)
        item.ReferencedSOPInstanceUID = UID
        item.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.12.2"
    outer.PurposeOfReferenceCodeSequence = [_code("121320", "DCM", PLACE)]
    outer.PurposeOfReferenceCodeSequence[0].ReferencedImageSequence = [inner]
    return outer


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def dicom(
    frames: np.ndarray | None = None, *, stored: int | None = None, overlays: bool = True, **tags: Any
) -> pydicom.Dataset:
    """Return a radiofluoroscopic object with secrets in names, dates, sequences, private elements, overlays, curves."""
    made = dataset(pictures(3) if frames is None else frames, stored=stored)
    made.SpecificCharacterSet = "ISO_IR 192"
    made.ImageType = ["ORIGINAL", "PRIMARY", "SINGLE PLANE"]
    made.PatientName, made.PatientID, made.PatientBirthDate, made.PatientSex = NAME, ID, BORN, "F"
    made.StudyDate = made.SeriesDate = made.ContentDate = made.AcquisitionDate = DAY
    made.StudyTime = made.ContentTime = "181615.25"
    made.InstitutionName, made.ReferringPhysicianName, made.OperatorsName = PLACE, DOCTOR, DOCTOR
    made.StudyDescription = made.ImageComments = made.PatientComments = f"{NAME} {DAY}"
    made.AdditionalPatientHistory = made.FrameComments = f"seen by {DOCTOR} in {PLACE}"
    made.StudyInstanceUID, made.SeriesInstanceUID, made.FrameOfReferenceUID = UID + ".1", UID + ".2", UID + ".3"
    made.ContrastBolusAgent, made.AccessionNumber, made.StationName = PLACE, ID, PLACE.split()[1]
    made.FilterType = made.Manufacturer = "Maker"
    made.ContrastBolusAgentSequence = [_code("K1", "99" + PRIVATE, PLACE), _code("25419009", "SCT", NAME)]
    made.ReferencedImageSequence = [_nested()]
    made.RequestAttributesSequence = [_nested()]
    made.KVP, made.ImagerPixelSpacing, made.FrameTime = "70", ["0.4", "0.4"], "40"
    made.FrameIncrementPointer, made.PatientOrientation = 0x00181063, ["P", "F"]
    made.add(DataElement(0x00181110, "DS", NAME, already_converted=True))  # text where a number is expected
    made.add(DataElement(0x00189999, "LO", PLACE))  # not in the standard
    made.private_block(0x0009, PRIVATE, create=True).add_new(0x10, "LT", f"PRIVATETEXT {NAME}")
    made.private_block(0x0029, PRIVATE, create=True).add_new(0x01, "SQ", [_nested()])
    for group in (0x6000, 0x6002, 0x601E) if overlays else ():
        made.add(DataElement((group << 16) + 0x0022, "LO", PLACE))
        made.add(DataElement((group << 16) + 0x1500, "LO", NAME))
        made.add(DataElement((group << 16) + 0x3000, "OW", PLANE * 24))
    made.add(DataElement(0x50003000, "OW", b"CURVESECRET!" * 4))
    made.add(DataElement(0xFFFCFFFC, "OB", b"TRAILINGSECRET"))
    for key, value in tags.items():
        setattr(made, key, value)
    return made


def write_dicom(path: Path, made: pydicom.Dataset) -> Path:
    """Write the object to a file whose preamble and file meta information contain secrets, too."""
    made.preamble = b"PREAMBLE-SECRET " * 8
    made.file_meta.SourceApplicationEntityTitle = "SECRETAE"
    made.file_meta.PrivateInformationCreatorUID = UID
    made.file_meta.PrivateInformation = b"PRIVATETEXT\0"
    made.save_as(path, enforce_file_format=True)
    return path


def write_video(path: Path, frames: np.ndarray, pts: Iterable[int]) -> Path:
    """Write a lossless video of uint8 frames (T, H, W) at `pts` (ms) with sound, title, comment and chapters."""
    with av.open(str(path), "w") as out:
        out.metadata.update({"title": NAME, "comment": PLACE, "artist": DOCTOR, "date": DAY})
        out.set_chapters(
            [{"id": 1, "start": 0, "end": 900, "time_base": Fraction(1, 1000), "metadata": {"title": f"{ID} {NAME}"}}]
        )
        stream: Any = out.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:], "gray"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        stream.metadata["title"] = PLACE
        sound: Any = out.add_stream("pcm_s16le", rate=8000)
        sound.metadata["title"] = DOCTOR
        for t, frame in zip(pts, frames, strict=True):
            picture = av.VideoFrame.from_ndarray(frame, format="gray")
            picture.pts, picture.time_base = t, Fraction(1, 1000)
            out.mux(stream.encode(picture))
        samples = np.frombuffer((NAME.encode("utf-16-le") * 200)[:8000], "<i2")[None]
        audio_frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="s16", layout="mono")
        audio_frame.sample_rate, audio_frame.pts = 8000, 0
        out.mux(sound.encode(audio_frame))
        out.mux(sound.encode())
        out.mux(stream.encode())
    return path
