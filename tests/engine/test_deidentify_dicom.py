# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import secrets
from pathlib import Path

import gdcm
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedXRFImageStorage, ExplicitVRBigEndian, ImplicitVRLittleEndian

import planted
import vfss.deidentify.dicom_output
from clip_material import dataset, pictures, recode, shared
from vfss.clips import open_clip
from vfss.deidentify import CaseKey, PixelBox, Redaction
from vfss.deidentify.dicom import write_dicom

BOX, CROP = PixelBox(2, 3, 9, 40), PixelBox(0, 1, 47, 62)
SYNTAXES = {
    "rle": gdcm.TransferSyntax.RLELossless,
    "jpeg_lossless": gdcm.TransferSyntax.JPEGLosslessProcess14_1,
    "jpeg_ls": gdcm.TransferSyntax.JPEGLSLossless,
    "jpeg_2000": gdcm.TransferSyntax.JPEG2000Lossless,
}


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CaseKey:
    # A fixed secret gives the same UIDs in every run: the digits of random ones contain a short secret now and then.
    monkeypatch.setattr(secrets, "token_hex", lambda size: "0123456789abcdef" * (size // 8))
    return CaseKey(tmp_path / "key.json")


def deidentified(
    source: Path, key: CaseKey, redaction: Redaction, name: str = "clip", *, reviewed: bool = True
) -> Path:
    target = source.parent / "out" / f"{name}.dcm"
    target.parent.mkdir(exist_ok=True)
    with open_clip(source) as clip:
        assert write_dicom(clip, source, target, redaction, key, case="case-x", reviewed=reviewed)
        with open_clip(target) as written:
            assert (written.dtype, written.inverted, written.facing) == (clip.dtype, clip.inverted, clip.facing)
            assert np.allclose(written.times_s, clip.times_s, atol=1e-6)
            for t in range(clip.n_frames):
                assert np.array_equal(written[t], redaction.pixels(clip[t]))
    return target


def test_no_planted_secret_remains_in_any_byte(tmp_path: Path, key: CaseKey) -> None:
    source = planted.write_dicom(tmp_path / f"{planted.ID}.dcm", planted.dicom())
    there = {leak.split(" in ")[0] for leak in planted.leaks(tmp_path)}
    assert there == set(planted.SECRETS)  # the search finds secrets where they are
    target = deidentified(source, key, Redaction((BOX,), CROP))
    assert planted.leaks(target.parent) == []
    written = pydicom.dcmread(target)
    assert written.PatientName == written.PatientID == "case-x"
    assert (written.PatientIdentityRemoved, written.BurnedInAnnotation) == ("YES", "NO")
    assert [c.CodeValue for c in written.DeidentificationMethodCodeSequence] == ["113100", "113101"]
    assert written.LongitudinalTemporalInformationModified == "REMOVED"
    assert list(written.ImageType) == ["DERIVED", "PRIMARY", "SINGLE PLANE"]
    assert written.SOPClassUID == pydicom.dcmread(source).SOPClassUID
    assert (written.FrameTime, list(written.ImagerPixelSpacing), written.KVP) == (40, [0.4, 0.4], 70)
    assert (written.StudyDate, written.PatientSex, written.ContrastBolusAgent) == ("", "", "")
    assert [c.CodeValue for c in written.ContrastBolusAgentSequence] == ["25419009"]
    assert not [e for e in written.iterall() if e.tag.is_private or e.tag.group >> 8 in (0x50, 0x60)]


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_other_encodings_of_the_header(tmp_path: Path, key: CaseKey, syntax: str) -> None:
    made = planted.dicom(PixelPaddingValue=3)
    made.file_meta.TransferSyntaxUID = syntax
    target = deidentified(planted.write_dicom(tmp_path / "in.dcm", made), key, Redaction())
    assert planted.leaks(target.parent) == []
    assert pydicom.dcmread(target).PixelPaddingValue == 3


@pytest.mark.parametrize("bits", [8, 12])
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_every_lossless_syntax_is_written_exactly(tmp_path: Path, key: CaseKey, syntax: str, bits: int) -> None:
    native = planted.write_dicom(tmp_path / "in.dcm", planted.dicom(pictures(2, bits), stored=bits, overlays=False))
    target = deidentified(recode(native, tmp_path / "coded.dcm", SYNTAXES[syntax]), key, Redaction((BOX,)))
    assert planted.leaks(target.parent) == []
    assert pydicom.dcmread(target).BitsStored == bits


def test_overlays_in_high_bits_are_removed(tmp_path: Path, key: CaseKey) -> None:
    frames = pictures(2, 12)
    bits = np.unpackbits(np.frombuffer(planted.PLANE * 24, np.uint8)).reshape(48, 64).astype(np.uint16)
    target = deidentified(
        planted.write_dicom(tmp_path / "in.dcm", planted.dicom(frames | bits << 15, stored=12)), key, Redaction()
    )
    written = pydicom.dcmread(target)
    assert np.array_equal(written.pixel_array, frames)


def test_signed_values_stay_signed(tmp_path: Path, key: CaseKey) -> None:
    signed = np.arange(-2048, -2048 + 48 * 64, dtype=np.int16).reshape(1, 48, 64).clip(-2048, 2047)
    target = deidentified(planted.write_dicom(tmp_path / "in.dcm", planted.dicom(signed, stored=12)), key, Redaction())
    assert np.array_equal(pydicom.dcmread(target).pixel_array, signed[0])


def test_a_sign_that_is_none_is_none(tmp_path: Path, key: CaseKey) -> None:
    dataset(pictures(2), PixelRepresentation=2).save_as(tmp_path / "in.dcm", enforce_file_format=True)
    target = deidentified(tmp_path / "in.dcm", key, Redaction())
    assert pydicom.dcmread(target).PixelRepresentation == 0


def test_colour_becomes_grey_and_is_declared_as_grey(tmp_path: Path, key: CaseKey) -> None:
    made = planted.dicom(np.stack([pictures(2)] * 3, axis=-1), SmallestImagePixelValue=1)
    written = pydicom.dcmread(deidentified(planted.write_dicom(tmp_path / "in.dcm", made), key, Redaction()))
    assert (written.PhotometricInterpretation, written.SamplesPerPixel) == ("MONOCHROME2", 1)
    assert "PlanarConfiguration" not in written and "SmallestImagePixelValue" not in written


def test_uids_are_replaced_consistently_in_all_files(tmp_path: Path, key: CaseKey) -> None:
    made = [planted.dicom(SOPInstanceUID=f"1.2.3.{n}") for n in (1, 2)]
    for n, one in enumerate(made):
        one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
        one.ReferencedImageSequence[0].ReferencedSOPInstanceUID = made[1 - n].SOPInstanceUID
        planted.write_dicom(tmp_path / f"{n}.dcm", one)
    first, second = (
        pydicom.dcmread(deidentified(tmp_path / f"{n}.dcm", key, Redaction(), f"clip{n}")) for n in range(2)
    )
    assert first.StudyInstanceUID == second.StudyInstanceUID == key.uid(planted.UID + ".1")
    assert first.SOPInstanceUID != second.SOPInstanceUID == first.ReferencedImageSequence[0].ReferencedSOPInstanceUID
    assert first.file_meta.MediaStorageSOPInstanceUID == first.SOPInstanceUID


def test_enhanced_objects_keep_their_times_on_a_dummy_date(tmp_path: Path, key: CaseKey) -> None:
    made = planted.dicom(
        pictures(3), SOPClassUID=EnhancedXRFImageStorage, AcquisitionDateTime=planted.DAY + "181615.25"
    )
    made.file_meta.MediaStorageSOPClassUID = EnhancedXRFImageStorage
    del made.FrameTime, made.FrameIncrementPointer
    groups = []
    for second in ("15.250000", "15.290000", "15.370000"):
        content, group = Dataset(), Dataset()
        content.FrameAcquisitionDateTime = content.FrameReferenceDateTime = f"{planted.DAY}1816{second}"
        content.FrameComments = planted.NAME
        group.FrameContentSequence = [content]
        groups.append(group)
    made.PerFrameFunctionalGroupsSequence = groups
    target = deidentified(planted.write_dicom(tmp_path / "in.dcm", made), key, Redaction())
    assert planted.leaks(target.parent) == []
    with open_clip(target) as clip:
        assert np.allclose(clip.times_s, [0, 0.04, 0.12])
    assert pydicom.dcmread(target).AcquisitionDateTime == "19000101000000"


def test_uneven_times_are_kept(tmp_path: Path, key: CaseKey) -> None:
    made = planted.dicom(pictures(4), FrameTimeVector=["0", "33.3", "66.7", "40"], FrameIncrementPointer=0x00181065)
    deidentified(planted.write_dicom(tmp_path / "in.dcm", made), key, Redaction())


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("PixelSpacing", b"0.2\\0.3 "), ("ImagerPixelSpacing", b"0,2\\0,3 "), ("PixelAspectRatio", b"2\\3 ")],
)
def test_the_shape_of_pixels_is_kept(tmp_path: Path, key: CaseKey, keyword: str, value: bytes) -> None:
    made = dataset(pictures(2))
    tag = pydicom.tag.Tag(pydicom.datadict.tag_for_keyword(keyword))
    made[tag] = pydicom.dataelem.RawDataElement(tag, "DS", len(value), value, 0, False, True)
    made.save_as(tmp_path / "source.dcm", enforce_file_format=True)
    with open_clip(deidentified(tmp_path / "source.dcm", key, Redaction())) as clip:
        assert clip.pixel_aspect == pytest.approx(1.5)


@pytest.mark.parametrize(("declared", "expected"), [("YES", "YES"), ("NO", None), (None, None)])
def test_unreviewed_pixels_are_never_declared_clean(
    tmp_path: Path, key: CaseKey, declared: str | None, expected: str | None
) -> None:
    made = planted.dicom(**({} if declared is None else {"BurnedInAnnotation": declared}))
    target = deidentified(planted.write_dicom(tmp_path / "in.dcm", made), key, Redaction(), reviewed=False)
    written = pydicom.dcmread(target)
    assert written.get("BurnedInAnnotation") == expected
    assert [c.CodeValue for c in written.DeidentificationMethodCodeSequence] == ["113100"]


def test_a_bare_file_without_a_class_becomes_a_secondary_capture(tmp_path: Path, key: CaseKey) -> None:
    made = dataset(pictures(2))
    del made.SOPClassUID, made.SOPInstanceUID
    made.file_meta.MediaStorageSOPInstanceUID = planted.UID
    made.save_as(tmp_path / "in.dcm", enforce_file_format=False)
    written = pydicom.dcmread(deidentified(tmp_path / "in.dcm", key, Redaction()))
    assert written.SOPInstanceUID.startswith("2.25.") and "Secondary Capture" in written.SOPClassUID.name


def test_attributes_in_frame_coordinates_are_removed_with_a_crop(tmp_path: Path, key: CaseKey) -> None:
    made = planted.dicom(ShutterShape="RECTANGULAR", ShutterLeftVerticalEdge="3", SmallestImagePixelValue=1)
    source = planted.write_dicom(tmp_path / "in.dcm", made)
    assert "ShutterShape" in pydicom.dcmread(deidentified(source, key, Redaction()))
    cropped = pydicom.dcmread(deidentified(source, key, Redaction(crop=CROP), "cropped"))
    assert not {"ShutterShape", "ShutterLeftVerticalEdge", "SmallestImagePixelValue"} & {e.keyword for e in cropped}
    assert (cropped.Rows, cropped.Columns) == (47, 61)


def test_pixels_too_long_for_the_length_field_are_written_as_fragments(
    tmp_path: Path, key: CaseKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vfss.deidentify.dicom_output, "LARGEST", 100)
    source = planted.write_dicom(tmp_path / "in.dcm", planted.dicom())
    target = deidentified(source, key, Redaction(crop=PixelBox(0, 0, 47, 61)))
    assert pydicom.dcmread(target).file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1.98"


@pytest.mark.parametrize("name", ["KarstenHilbertRF", "XA1_J2KR", "XA1_JLSL", "XA1_JPLL", "XA1_JPLY", "XA1_RLE"])
def test_real_files(tmp_path: Path, key: CaseKey, name: str) -> None:
    source = shared() / "data" / "dicom" / f"{name}.dcm"
    if not source.is_file():
        pytest.skip(f"no real DICOM in {source.parent} (set VFSS_SHARED)")
    copy = tmp_path / "in.dcm"
    copy.write_bytes(source.read_bytes())
    original = pydicom.dcmread(copy)
    target = deidentified(copy, key, Redaction((PixelBox(0, 0, 40, 300),)))
    kinds = ("PN", "DA", "DT", "TM", "LT", "ST", "UT", "LO", "SH", "UI", "AE")
    text_kept = {"Manufacturer", "CodingSchemeDesignator", "CodeValue", "CodeMeaning"}
    original_values = {
        str(value)
        for element in original.iterall()
        if (element.VR in kinds and element.keyword not in text_kept)
        for value in (element.value if element.VM > 1 else [element.value])
        if sum(map(str.isalnum, str(value))) > 3 and not str(value).startswith("1.2.840.10008.")
    }
    assert planted.leaks(target.parent, original_values | {"SECRETAE", "CLUNIE1"}) == []
