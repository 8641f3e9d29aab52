# SPDX-License-Identifier: Apache-2.0
"""A secret in every attribute that the standard knows, and in every corner of an encoded picture: none comes out."""

from __future__ import annotations

import io
import secrets
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import gdcm
import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.datadict import DicomDictionary, keyword_for_tag, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import EnhancedXRFImageStorage, JPEGBaseline8Bit, XRayRadiofluoroscopicImageStorage

import planted
from clip_material import dataset, pictures, recode
from small_project import THREE, annotate
from vfss.clips import open_clip
from vfss.datasets import FORMATS, run_export
from vfss.deidentify import CaseKey, Redaction
from vfss.deidentify.dicom import write_dicom
from vfss.deidentify.dicom_allowlist import CODED, NUMBERS, SEQUENCES, TABLES, TERMS
from vfss.deidentify.dicom_profile import Profile
from vfss.project import Project

TEXT, NUMBER = "SECRETNAME", 19470312
NEEDLES = (
    *(TEXT[:4].encode(coding) for coding in ("ascii", "utf-16-le", "utf-16-be")),
    TEXT[:4].lower().encode(),
    str(NUMBER).encode(),
    *(struct.pack(kind, NUMBER) for kind in ("<I", ">I", "<f", "<d")),
)
STRUCTURAL = (
    *("SOPClassUID", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("SamplesPerPixel", "NumberOfFrames", "PhotometricInterpretation", "PlanarConfiguration"),
    *("ExtendedOffsetTable", "ExtendedOffsetTableLengths", "SpecificCharacterSet"),
)
"""Attributes without which no recording could be opened."""
NESTED = ("PatientName", "CodeValue", "CodeMeaning", "LUTData", "KVP", "RadiationSetting", "ReferencedSOPInstanceUID")
KEPT_SEQUENCES = [tag_for_keyword(keyword) for keyword in (*CODED, *TABLES, *SEQUENCES)]


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CaseKey:
    monkeypatch.setattr(secrets, "token_hex", lambda size: "0123456789abcdef" * (size // 8))
    return CaseKey(tmp_path / "key.json")


@pytest.fixture
def profile(key: CaseKey) -> Profile:
    return Profile(key)


def secret_of(vr: str, kind: str) -> Any:
    """Return a value of a representation that spells the secret text, or is the secret number."""
    whole = int.from_bytes(TEXT[:4].encode(), "little") if kind == "text" else NUMBER
    short = list(struct.unpack("<5H", TEXT.encode())) if kind == "text" else [NUMBER & 0xFFFF, NUMBER >> 16]
    single, double = (struct.unpack(code, TEXT[:size].encode())[0] for code, size in (("<f", 4), ("<d", 8)))
    values = {
        **dict.fromkeys(("US", "SS"), short),
        **dict.fromkeys(("UL", "SL", "UV", "SV", "AT"), whole),
        **dict.fromkeys(
            ("OB", "OW", "OL", "OV", "UN", "OF", "OD"), TEXT.encode() * 4 if kind == "text" else double_of()
        ),
        "FL": single if kind == "text" else float(NUMBER),
        "FD": double if kind == "text" else float(NUMBER),
        "UI": f"1.2.840.10008.{NUMBER}",
        "DA": str(NUMBER),
        "TM": "194703.12",
        "DT": f"{NUMBER}000000",
        "AS": "047Y",
    }
    return values.get(vr, TEXT if kind == "text" else str(NUMBER))


def double_of() -> bytes:
    return struct.pack("<d", NUMBER)


def element(tag: int, kind: str) -> DataElement:
    vr = DicomDictionary[tag][0]
    vr = {"US or SS": "US", "US or OW": "OW", "US or SS or OW": "OW", "OB or OW": "OB"}.get(vr, vr)
    return DataElement(tag, vr, secret_of(vr, kind), already_converted=vr in ("DS", "IS"))


def item(kind: str, scheme: str, keywords: Iterable[str]) -> Dataset:
    made = Dataset()
    for keyword in keywords:
        made.add(element(tag_for_keyword(keyword), kind))
    made.CodingSchemeDesignator = scheme
    made.private_block(0x0011, TEXT, create=True).add_new(0x01, "LO", TEXT)
    return made


def everything(made: Dataset, kind: str) -> None:
    """Plant the secret in each attribute of the standard; in the sequences that are kept, two levels deep."""
    inner = item(kind, "DCM", NESTED)
    for tag, (vr, *_) in sorted(DicomDictionary.items()):
        if (
            not (0x0008 <= tag >> 16 < 0x7F00 or 0xFFF0 <= tag >> 16 < 0xFFFE)
            or keyword_for_tag(tag) in STRUCTURAL
            or vr == "NONE"
        ):
            continue
        if vr != "SQ":
            made.add(element(tag, kind))
        elif tag in KEPT_SEQUENCES:
            outer = item(kind, "SCT", (*NUMBERS, *TERMS, *NESTED))
            for nested in KEPT_SEQUENCES:
                outer.add(DataElement(nested, "SQ", [inner]))
            made.add(DataElement(tag, "SQ", [outer]))
        else:
            made.add(DataElement(tag, "SQ", [inner]))
    for group in (0x5000, 0x6000, 0x601E):
        made.add(DataElement((group << 16) + 0x3000, "OW", TEXT.encode() * 4))
    made.private_block(0x0009, TEXT, create=True).add_new(0x10, "UN", TEXT.encode())


def found(path: Path) -> list[bytes]:
    content = path.read_bytes()
    return [needle for needle in NEEDLES if needle in content]


def deidentified(source: Path, key: CaseKey) -> Path:
    target = source.with_name("out.dcm")
    with open_clip(source) as clip:
        assert write_dicom(clip, source, target, Redaction(), key, case="case-x", reviewed=True)
        with open_clip(target) as written:
            assert [np.array_equal(written[t], clip[t]) for t in range(clip.n_frames)] == [True] * clip.n_frames
    return target


@pytest.mark.parametrize(
    ("sop_class", "kind"),
    [
        (XRayRadiofluoroscopicImageStorage, "text"),
        (EnhancedXRFImageStorage, "number"),
        ("1.2.840.10008.1947", "text"),
    ],
)
def test_no_attribute_of_the_standard_lets_a_secret_out(
    tmp_path: Path, key: CaseKey, kind: str, sop_class: str
) -> None:
    made = dataset(np.zeros((2, 8, 8), np.uint8))
    everything(made, kind)
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = sop_class
    assert len(made) > 4000
    source = tmp_path / "in.dcm"
    made.file_meta.ImplementationVersionName = made.file_meta.SourceApplicationEntityTitle = TEXT
    made.file_meta.PrivateInformationCreatorUID = f"1.2.840.10008.{NUMBER}"
    made.file_meta.PrivateInformation = TEXT.encode()
    made.preamble = (TEXT.encode() * 13)[:128]
    made.save_as(source, enforce_file_format=True)
    assert set(found(source)) >= {b"SECR", str(NUMBER).encode()}
    target = deidentified(source, key)
    assert found(target) == []
    written = pydicom.dcmread(target)
    for kept in written.iterall():
        assert not kept.tag.is_private
        assert kept.VR != "UI" or str(kept.value).startswith("2.25.") or pydicom.uid.UID(kept.value).name != kept.value
    assert (written.PatientIdentityRemoved, written.SeriesNumber, written.InstanceNumber) == ("YES", 1, 1)
    assert written.DeidentificationMethodCodeSequence[0].CodeValue == "113100"


KEYWORDS = sorted({*NUMBERS, *TERMS, *CODED, *TABLES, *SEQUENCES, "SOPClassUID", "Manufacturer", "PatientOrientation"})
VRS = sorted(pydicom.valuerep.STANDARD_VR)
SECRET = st.builds("{}{}{}".format, st.text("0123456789.-/ ", max_size=4), st.just(TEXT), st.text(max_size=4))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    keyword=st.sampled_from(KEYWORDS),
    vr=st.sampled_from(VRS),
    value=st.one_of(SECRET, st.lists(SECRET, min_size=2, max_size=3), SECRET.map(str.encode)),
)
def test_values_of_another_kind_than_their_attributes_are_not_kept(
    profile: Profile, keyword: str, vr: str, value: Any
) -> None:
    """A vendor may write any value with any representation."""
    made = Dataset()
    if vr == "SQ":
        inner = Dataset()
        inner.CodeMeaning, inner.StudyDescription, inner.CodingSchemeDesignator = TEXT, str(value)[:60], "SCT"
        value = [inner]
    try:
        made.add(DataElement(tag_for_keyword(keyword), vr, value, already_converted=True))
    except TypeError:  # pydicom itself takes no text as a sequence
        reject()
    clean = profile.cleaned(made, dummies=True)
    file = io.BytesIO()
    pydicom.dcmwrite(file, clean, implicit_vr=False, little_endian=True)
    assert not [needle for needle in NEEDLES[:4] if needle in file.getvalue()]


def test_values_of_the_standard_stay(tmp_path: Path, key: CaseKey) -> None:
    made = dataset(np.zeros((2, 8, 8), np.uint8), Manufacturer="Siemens", KVP="70.25", RadiationSetting="SC")
    made.ImagerPixelSpacing, made.WindowCenter, made.BodyPartExamined = ["0.3081234567", "0.3081234567"], "128", "NECK"
    made.PositionerPrimaryAngle, made.FilterMaterial, made.ReferencedImageSequence = (
        "-90",
        ["COPPER", TEXT],
        [Dataset()],
    )
    made.ReferencedImageSequence[0].ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.12.2"
    made.ReferencedImageSequence[0].ReferencedSOPInstanceUID = "1.2.3"
    made.AnatomicRegionSequence, old = [code("SRT", "T-55000")], code("99OURS", "T-55000")
    made.ViewCodeSequence = [old]
    made.save_as(tmp_path / "in.dcm", enforce_file_format=True)
    written = pydicom.dcmread(deidentified(tmp_path / "in.dcm", key))
    assert (written.Manufacturer, written.KVP, written.RadiationSetting) == ("SIEMENS", 70.25, "SC")
    assert list(written.ImagerPixelSpacing) == [0.308123, 0.308123]
    assert (written.WindowCenter, written.BodyPartExamined, written.PositionerPrimaryAngle) == (128, "NECK", -90)
    assert written.FilterMaterial == "COPPER" and "ViewCodeSequence" not in written
    (region,) = written.AnatomicRegionSequence
    assert (region.CodingSchemeDesignator, region.CodeValue, region.CodeMeaning) == ("SCT", "54066008", "Pharynx")
    assert written.ReferencedImageSequence[0].ReferencedSOPInstanceUID == key.uid("1.2.3")


def code(scheme: str, value: str) -> Dataset:
    made = Dataset()
    made.CodingSchemeDesignator, made.CodeValue, made.CodeMeaning = scheme, value, TEXT
    return made


@pytest.mark.parametrize(
    ("table", "stays"),
    [
        (np.linspace(0, 4095, 256).astype(np.uint16), True),
        (np.linspace(4095, 0, 256).astype(np.uint16), True),
        (np.frombuffer(TEXT.encode() * 52, np.uint16)[:256], False),
        (np.arange(255, dtype=np.uint16), False),
    ],
)
def test_grey_tables_stay_if_they_are_curves(profile: Profile, table: np.ndarray, stays: bool) -> None:
    made, lut = Dataset(), Dataset()
    lut.add(DataElement(0x00283002, "US", [256, 0, 16]))
    lut.add(DataElement(0x00283006, "OW", table.tobytes()))
    lut.LUTExplanation, lut.ModalityLUTType = TEXT, "US"
    made.ModalityLUTSequence = [lut]
    clean = profile.cleaned(made, dummies=False)
    assert ("ModalityLUTSequence" in clean) == stays
    if stays:
        (kept,) = clean.ModalityLUTSequence
        assert kept.LUTData == table.tolist() and {element.keyword for element in kept} == {
            "LUTDescriptor", "ModalityLUTType", "LUTData"
        }  # fmt: skip


def jpeg(frame: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(frame).save(file, "JPEG", comment=TEXT, exif=b"Exif\0\0" + TEXT.encode(), icc_profile=TEXT.encode())
    return file.getvalue()


def commented(frame: bytes, syntax: str) -> bytes:
    """Return an encoded frame with a comment as its syntax has them, and bytes after its end."""
    comment = TEXT.encode()
    segment = (len(comment) + 2).to_bytes(2, "big") + comment
    if syntax == "jpeg_2000":  # behind the sizes, which must come first
        end = 4 + int.from_bytes(frame[4:6], "big")
        frame = frame[:end] + b"\xff\x64" + (len(comment) + 4).to_bytes(2, "big") + b"\0\1" + comment + frame[end:]
    elif syntax != "rle":
        frame = frame[:2] + b"\xff\xfe" + segment + frame[2:]
    return frame + comment


def encoded(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Write a recording in each syntax, its frames with comments and trailing bytes."""
    native = tmp_path / "native.dcm"
    dataset(pictures(2)).save_as(native, enforce_file_format=True)
    for name, syntax in {
        "rle": gdcm.TransferSyntax.RLELossless,
        "jpeg_lossless": gdcm.TransferSyntax.JPEGLosslessProcess14_1,
        "jpeg_ls": gdcm.TransferSyntax.JPEGLSLossless,
        "jpeg_2000": gdcm.TransferSyntax.JPEG2000Lossless,
    }.items():
        path = recode(native, tmp_path / f"{name}.dcm", syntax)
        made = pydicom.dcmread(path)
        frames = generate_frames(made.PixelData, number_of_frames=2)
        made.PixelData = encapsulate([commented(frame, name) for frame in frames])
        made.save_as(path, enforce_file_format=True)
        yield name, path
    made = pydicom.dcmread(native)
    made.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    made.PixelData = encapsulate([jpeg(frame) for frame in pictures(2)])
    made.save_as(tmp_path / "jpeg.dcm", enforce_file_format=True)
    yield "jpeg", tmp_path / "jpeg.dcm"


def test_comments_inside_encoded_frames_do_not_come_out(tmp_path: Path, key: CaseKey) -> None:
    for name, path in encoded(tmp_path):
        assert b"SECR" in path.read_bytes(), name
        assert found(deidentified(path, key)) == [], name
        (tmp_path / "out.dcm").unlink()


def test_bytes_after_the_pixels_and_bits_above_them_do_not_come_out(tmp_path: Path, key: CaseKey) -> None:
    high = np.frombuffer(TEXT.encode() * 700, np.uint8)[: 2 * 48 * 64].reshape(2, 48, 64)
    # Twelve of sixteen bits are grey; the four above spell the text, half a letter each.
    made = dataset(pictures(2, 12) | (high.astype(np.uint16) << 12), stored=12)
    made.PixelData += TEXT.encode()
    made.save_as(tmp_path / "in.dcm", enforce_file_format=True)
    target = deidentified(tmp_path / "in.dcm", key)
    assert found(target) == []
    np.testing.assert_array_equal(pydicom.dcmread(target).pixel_array, pictures(2, 12))


@pytest.mark.parametrize("secret", [f"{TEXT} '{NUMBER}", str(NUMBER)])
def test_what_was_noticed_of_a_recording_quotes_nothing_in_an_export(tmp_path: Path, secret: str) -> None:
    made = dataset(np.zeros((2, 8, 8), np.uint8))
    for keyword in ("FrameTime", "CineRate", "FrameTimeVector"):
        vr = "IS" if keyword == "CineRate" else "DS"
        made.add(DataElement(tag_for_keyword(keyword), vr, secret, already_converted=True))
    made.PixelAspectRatio = [NUMBER, 1]
    made.save_as(tmp_path / "in.dcm", enforce_file_format=True)
    with open_clip(tmp_path / "in.dcm") as clip:
        assert any(part in note for note in clip.notes for part in ("SECR", str(NUMBER), "1.94703e+07"))
    with Project.create(tmp_path / "project", THREE) as project:
        annotate(project, project.add_clip(tmp_path / "in.dcm").id, 0, {"bolus": np.ones((8, 8), np.bool_)})
        for name in FORMATS:
            run_export(FORMATS[name], project, tmp_path / "out" / name)
    for path in (tmp_path / "out").rglob("*"):
        assert not path.is_file() or found(path) == [], path


def test_an_unlikely_frame_time_does_not_come_out(tmp_path: Path, key: CaseKey) -> None:
    made = planted.dicom(FrameTime=str(NUMBER))
    target = deidentified(planted.write_dicom(tmp_path / "in.dcm", made), key)
    assert found(target) == []
    assert not {"FrameTime", "FrameTimeVector"} & {kept.keyword for kept in pydicom.dcmread(target)}
