# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import gdcm
import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian, RLELossless

from clip_material import (
    dataset,
    pictures,
    recode,
    sequential,
    shared,
    write_dicom,
    write_encapsulated,
    write_video,
)
from vfss.clips import can_open, content_id, open_clip

LOSSLESS = {
    "rle": gdcm.TransferSyntax.RLELossless,
    "jpeg_lossless": gdcm.TransferSyntax.JPEGLosslessProcess14,
    "jpeg_lossless_1": gdcm.TransferSyntax.JPEGLosslessProcess14_1,
    "jpeg_ls": gdcm.TransferSyntax.JPEGLSLossless,
    "jpeg_2000": gdcm.TransferSyntax.JPEG2000Lossless,
}


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("syntax", LOSSLESS)
def test_lossless_syntaxes_decode_exactly(tmp_path: Path, syntax: str, bits: int) -> None:
    frames = pictures(5, bits)
    native = write_dicom(tmp_path / "native.dcm", frames, stored=bits, FrameTime="40")
    path = recode(native, tmp_path / "coded.dcm", LOSSLESS[syntax])
    with open_clip(path) as clip:
        assert (clip.n_frames, clip.bits, clip.dtype) == (5, bits, frames.dtype)
        for t in (4, 0, 2, 1, 3):
            assert np.array_equal(clip[t], frames[t])
        assert np.allclose(clip.times_s, np.arange(5) * 0.04)


@pytest.mark.parametrize(
    ("syntax", "bits"),
    [(gdcm.TransferSyntax.JPEGBaselineProcess1, 8), (gdcm.TransferSyntax.JPEGExtendedProcess2_4, 12)],
)
def test_lossy_jpeg_decodes_approximately(tmp_path: Path, syntax: int, bits: int) -> None:
    smooth = np.add.outer(np.arange(48), np.arange(64))
    frames = np.stack([(smooth + 3 * t) * 2 ** (bits - 8) for t in range(3)]).astype(
        np.uint8 if bits == 8 else np.uint16
    )
    path = recode(write_dicom(tmp_path / "native.dcm", frames, stored=bits), tmp_path / "coded.dcm", syntax)
    with open_clip(path) as clip:
        assert (clip.bits, clip.n_frames) == (bits, 3)
        for t in (2, 0, 1):
            assert np.abs(clip[t].astype(int) - frames[t]).max() <= 4 * 2 ** (bits - 8)


@pytest.mark.parametrize("stored", [1, 2, 7])
@pytest.mark.parametrize("syntax", LOSSLESS)
def test_less_than_a_byte_in_use(tmp_path: Path, syntax: str, stored: int) -> None:
    native = write_dicom(tmp_path / "native.dcm", pictures(2))
    coded = pydicom.dcmread(recode(native, tmp_path / "coded.dcm", LOSSLESS[syntax]))
    coded.BitsStored, coded.HighBit = stored, stored - 1
    coded.save_as(tmp_path / "less.dcm")
    with open_clip(tmp_path / "less.dcm") as clip:  # GDCM would end the process
        assert np.array_equal(clip[1], pictures(2)[1] & ((1 << stored) - 1))


@pytest.mark.parametrize("syntax", LOSSLESS)
def test_colour_and_signed_values_in_lossless_syntaxes(tmp_path: Path, syntax: str) -> None:
    frames = pictures(3)
    native = write_dicom(tmp_path / "colour.dcm", np.stack([frames] * 3, axis=-1))
    with open_clip(recode(native, tmp_path / "coded.dcm", LOSSLESS[syntax])) as clip:
        assert np.array_equal(clip[2], frames[2])
    signed = np.arange(-2048, -2048 + 48 * 64, dtype=np.int16).reshape(1, 48, 64)
    native = write_dicom(tmp_path / "signed.dcm", signed, stored=12)
    with open_clip(recode(native, tmp_path / "signed_coded.dcm", LOSSLESS[syntax])) as clip:
        assert np.array_equal(clip[0], (signed[0] + 2048).astype(np.uint16))


@pytest.mark.parametrize("photometric", ["YBR_FULL_422", "RGB"])
def test_colour_jpeg_becomes_grey(tmp_path: Path, photometric: str) -> None:
    smooth = np.add.outer(np.arange(48), np.arange(64)).astype(np.uint8)
    colour = np.stack([smooth] * 3, axis=-1)
    data = io.BytesIO()
    Image.fromarray(colour).save(data, "jpeg", quality=95, keep_rgb=photometric == "RGB")
    item = data.getvalue() + b"\0" * (data.tell() % 2)
    made = dataset(colour[None], PhotometricInterpretation=photometric)
    path = write_encapsulated(tmp_path / "c.dcm", made, "1.2.840.10008.1.2.4.50", [item], table=True)
    with open_clip(path) as clip:
        assert np.abs(clip[0].astype(int) - smooth).max() <= 2


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("bits", [8, 12])
def test_other_byte_orders(tmp_path: Path, syntax: Any, bits: int) -> None:
    frames = pictures(3, bits)
    made = dataset(frames, stored=bits)
    if syntax is ExplicitVRBigEndian:
        made.PixelData = frames.astype(frames.dtype.newbyteorder(">")).tobytes()
    made.file_meta.TransferSyntaxUID = syntax
    made.save_as(tmp_path / "order.dcm", enforce_file_format=True)
    with open_clip(tmp_path / "order.dcm") as clip:
        assert np.array_equal(clip[2], frames[2])


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_any_order_gives_the_stored_frames(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    frames = pictures(12)
    path = write_dicom(tmp_path_factory.mktemp("walk") / "native.dcm", frames)
    with open_clip(path, cache_bytes=data.draw(st.integers(1, 5)) * frames[0].nbytes) as clip:
        for t in data.draw(st.lists(st.integers(-12, 11), min_size=1, max_size=30)):
            assert np.array_equal(clip[t], frames[t])


def test_signed_values_are_shifted_up_by_half_their_range(tmp_path: Path) -> None:
    frames = np.arange(-2048, -2048 + 48 * 64, dtype=np.int16).reshape(1, 48, 64)
    frames = np.clip(frames, -2048, 2047)
    path = write_dicom(tmp_path / "signed.dcm", frames, stored=12, WindowCenter="-1000", WindowWidth="1500")
    with open_clip(path) as clip:
        assert np.array_equal(clip[0], (frames[0] + 2048).astype(np.uint16))
        assert clip.window == (round(1048 - 0.5 - 1499 / 2), round(1048 - 0.5 + 1499 / 2))


def test_overlay_in_high_bits_is_masked(tmp_path: Path) -> None:
    frames = pictures(2, 12)
    burnt = frames | np.uint16(0x8000)
    with open_clip(write_dicom(tmp_path / "overlay.dcm", burnt, stored=12)) as clip:
        assert np.array_equal(clip[1], frames[1])


def test_values_in_high_bits_are_shifted_down(tmp_path: Path) -> None:
    frames = pictures(2, 12)
    path = write_dicom(tmp_path / "high.dcm", frames << 4, stored=12, HighBit=15)
    with open_clip(path) as clip:
        assert np.array_equal(clip[1], frames[1])


def test_eight_bits_in_sixteen_are_uint8(tmp_path: Path) -> None:
    frames = pictures(2)
    with open_clip(write_dicom(tmp_path / "wide.dcm", frames.astype(np.uint16), stored=8)) as clip:
        assert (clip.bits, clip[0].dtype) == (8, np.uint8)
        assert np.array_equal(clip[1], frames[1])


def test_polarity_and_facing_are_flags(tmp_path: Path) -> None:
    frames = pictures(2)
    path = write_dicom(
        tmp_path / "flags.dcm", frames, PhotometricInterpretation="MONOCHROME1", PatientOrientation=["P", "F"]
    )
    with open_clip(path) as clip:
        assert (clip.inverted, clip.facing) == (True, "left")
        assert np.array_equal(clip[0], frames[0])
        assert clip.reopen().facing == "left"
    with open_clip(write_dicom(tmp_path / "right.dcm", frames, PatientOrientation=["A", "F"])) as clip:
        assert (clip.inverted, clip.facing) == (False, "right")


@pytest.mark.parametrize("planar", [0, 1])
def test_grey_stored_as_colour_becomes_grey(tmp_path: Path, planar: int) -> None:
    frames = pictures(2)
    colour = np.stack([frames] * 3, axis=-1 if planar == 0 else 1)
    made = dataset(np.stack([frames] * 3, axis=-1))
    made.PlanarConfiguration, made.PixelData = planar, colour.tobytes()
    made.save_as(tmp_path / "rgb.dcm", enforce_file_format=True)
    with open_clip(tmp_path / "rgb.dcm") as clip:
        assert np.array_equal(clip[1], frames[1])


def test_luma_of_native_ybr_and_palette(tmp_path: Path) -> None:
    frames = pictures(2)
    ybr = np.stack([frames, np.full_like(frames, 128), np.full_like(frames, 128)], axis=-1)
    with open_clip(write_dicom(tmp_path / "ybr.dcm", ybr, PhotometricInterpretation="YBR_FULL")) as clip:
        assert np.array_equal(clip[1], frames[1])
    pairs = np.stack([frames[..., 0::2], frames[..., 1::2], ybr[..., 0::2, 1], ybr[..., 0::2, 2]], axis=-1)
    made = dataset(ybr, PhotometricInterpretation="YBR_FULL_422")
    made.PixelData = pairs.tobytes()
    made.save_as(tmp_path / "ybr422.dcm", enforce_file_format=True)
    with open_clip(tmp_path / "ybr422.dcm") as clip:
        assert np.array_equal(clip[1], frames[1])
    made = dataset(frames, PhotometricInterpretation="PALETTE COLOR")
    for colour in ("Red", "Green", "Blue"):
        setattr(made, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(made, f"{colour}PaletteColorLookupTableData", (np.arange(255, -1, -1, dtype="<u2") << 8).tobytes())
    made.save_as(tmp_path / "palette.dcm", enforce_file_format=True)
    with open_clip(tmp_path / "palette.dcm") as clip:
        assert np.array_equal(clip[1], 255 - frames[1])


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"FrameTimeVector": [0, 40, 40, 80]}, [0, 0.04, 0.08, 0.16]),
        ({"FrameTimeVector": [40, 40, 80]}, [0, 0.04, 0.08, 0.16]),
        ({"FrameTimeVector": [0, 40], "FrameTime": "20"}, [0, 0.02, 0.04, 0.06]),
        ({"FrameTimeVector": [0, 40, -3, 40], "CineRate": "10"}, [0, 0.04, 0.08, 0.12]),
        ({"FrameTimeVector": [0, 40, -3, 0], "CineRate": "10"}, [0, 0.1, 0.2, 0.3]),
        ({"RecommendedDisplayFrameRate": "15"}, [0, 1 / 15, 2 / 15, 3 / 15]),
        ({}, [0, 1 / 30, 2 / 30, 3 / 30]),
    ],
)
def test_times(tmp_path: Path, tags: dict[str, Any], expected: list[float]) -> None:
    with open_clip(write_dicom(tmp_path / "times.dcm", pictures(4), **tags)) as clip:
        assert np.allclose(clip.times_s, expected)


@pytest.mark.parametrize(
    ("seconds", "expected", "told"),
    [
        (("01.0", "01.04", "", "01.12"), [0, 0.04, 0.08, 0.12], "frame 2 has no readable acquisition time"),
        (("01.0", "01.04", "01.0", "01.12"), None, "do not increase"),
        (("01.0", "x", "y", "z"), None, "3 frames of 4 have no readable"),
        (("", "", "", ""), None, ""),
    ],
)
def test_acquisition_times_of_which_some_are_malformed(
    tmp_path: Path, seconds: tuple[str, ...], expected: list[float] | None, told: str
) -> None:
    groups = []
    for second in seconds:
        content, group = Dataset(), Dataset()
        content.add_new("FrameAcquisitionDateTime", "DT", f"202401010000{second}" if second[:1].isdigit() else second)
        group.FrameContentSequence = [content]
        groups.append(group)
    path = write_dicom(tmp_path / "enhanced.dcm", pictures(4), PerFrameFunctionalGroupsSequence=groups)
    with open_clip(path) as clip:
        assert clip.times_from == ("assumed" if expected is None else "file")
        assert np.allclose(clip.times_s, np.arange(4) / 30 if expected is None else expected)
        notes = [note for note in clip.notes if "acquisition" in note]
        assert len(notes) == bool(told)
        assert all(told in note for note in notes)


def test_a_vector_that_counts_from_the_first_frame_is_doubted(tmp_path: Path) -> None:
    tags = {"FrameIncrementPointer": 0x00181065}
    growing = write_dicom(tmp_path / "a.dcm", pictures(6), FrameTimeVector=[0, 40, 80, 120, 160, 200], **tags)
    with open_clip(growing) as clip:
        assert "read as intervals" in clip.notes[0]
    steady = write_dicom(tmp_path / "b.dcm", pictures(6), FrameTimeVector=[0, 40, 41, 40, 42, 40], **tags)
    with open_clip(steady) as clip:
        assert clip.notes == ()


def test_enhanced_object_has_its_own_times_and_window(tmp_path: Path) -> None:
    groups = []
    for second in ("01.000000", "01.040000", "01.120000"):
        content, group = Dataset(), Dataset()
        content.FrameAcquisitionDateTime = f"202401010000{second}"
        group.FrameContentSequence = [content]
        groups.append(group)
    shared_group, voi = Dataset(), Dataset()
    voi.WindowCenter, voi.WindowWidth = "2000", "3600"
    shared_group.FrameVOILUTSequence = [voi]
    path = write_dicom(
        tmp_path / "enhanced.dcm",
        pictures(3, 12),
        stored=12,
        SOPClassUID="1.2.840.10008.5.1.4.1.1.12.2.1",
        PerFrameFunctionalGroupsSequence=groups,
        SharedFunctionalGroupsSequence=[shared_group],
    )
    with open_clip(path) as clip:
        assert np.allclose(clip.times_s, [0, 0.04, 0.12])
        assert clip.window == (200, 3799)


@pytest.mark.parametrize(("centre", "width"), [("2048", "1"), ("60000", "100"), ("2048", "65536"), ("-5000", "20")])
def test_an_unusable_window_is_replaced_by_a_measured_one(tmp_path: Path, centre: str, width: str) -> None:
    frames = pictures(5, 12)
    path = write_dicom(tmp_path / "odd.dcm", frames, stored=12, WindowCenter=centre, WindowWidth=width)
    with open_clip(path) as clip:
        low, high = clip.window
        assert frames.min() <= low < high <= frames.max()
        assert np.ptp(clip.as_uint8(1)) > 200
        with clip.reopen() as other:
            assert other.window == clip.window


@pytest.mark.parametrize("table", [True, False])
def test_frames_in_several_fragments(tmp_path: Path, table: bool) -> None:
    frames = pictures(3)
    native = write_dicom(tmp_path / "native.dcm", frames)
    coded = pydicom.dcmread(recode(native, tmp_path / "coded.dcm", LOSSLESS["jpeg_lossless_1"]))
    pieces: list[list[bytes]] = []
    for item in pydicom.encaps.generate_frames(coded.PixelData, number_of_frames=3):
        cut = len(item) // 4 * 2
        pieces.append([item[:cut], item[cut:]])
    path = write_encapsulated(tmp_path / "cut.dcm", coded, coded.file_meta.TransferSyntaxUID, [b"xx"], table=False)
    items = b""
    offsets = []
    for first, second in pieces:
        offsets.append(len(items))
        for piece in (first, second):
            items += b"\xfe\xff\x00\xe0" + len(piece).to_bytes(4, "little") + piece
    offset_table = b"".join(offset.to_bytes(4, "little") for offset in offsets) if table else b""
    coded.PixelData = (
        b"\xfe\xff\x00\xe0"
        + len(offset_table).to_bytes(4, "little")
        + offset_table
        + items
        + b"\xfe\xff\xdd\xe0\0\0\0\0"
    )
    coded.save_as(path, enforce_file_format=True)
    with open_clip(path) as clip:
        for t in (2, 0, 1):
            assert np.array_equal(clip[t], frames[t])


def test_extended_offset_table(tmp_path: Path) -> None:
    frames = pictures(4)
    made = dataset(frames)
    made.compress(RLELossless)
    items = list(pydicom.encaps.generate_frames(made.PixelData, number_of_frames=4))
    made.PixelData, made.ExtendedOffsetTable, made.ExtendedOffsetTableLengths = pydicom.encaps.encapsulate_extended(
        items
    )
    made.save_as(tmp_path / "extended.dcm", enforce_file_format=True)
    with open_clip(tmp_path / "extended.dcm") as clip:
        assert np.array_equal(clip[3], frames[3])


def test_uncompressed_in_fragments(tmp_path: Path) -> None:
    frames = pictures(4, 12)
    items = [frame.tobytes() for frame in frames]
    made = dataset(frames, stored=12)
    path = write_encapsulated(tmp_path / "big.dcm", made, "1.2.840.10008.1.2.1.98", items, table=True)
    with open_clip(path) as clip:
        assert np.array_equal(clip[3], frames[3])


@pytest.mark.parametrize(
    ("codec", "container", "syntax"),
    [
        ("libx264", "h264", "1.2.840.10008.1.2.4.102"),
        ("libx264", "mp4", "1.2.840.10008.1.2.4.104"),
        ("mpeg2video", "mpeg2video", "1.2.840.10008.1.2.4.100"),
        ("mpeg2video", "vob", "1.2.840.10008.1.2.4.101"),
        ("libx265", "hevc", "1.2.840.10008.1.2.4.107"),
    ],
)
def test_video_streams(tmp_path: Path, codec: str, container: str, syntax: str) -> None:
    options = {"x265-params": "log-level=none:keyint=12"} if codec == "libx265" else {}
    video = write_video(tmp_path / "stream", codec, container=container, options=options)
    data = video.read_bytes()
    data += b"\0" * (len(data) % 2)
    items = [data[: len(data) // 4 * 2], data[len(data) // 4 * 2 :]]
    made = dataset(
        pictures(40), FrameTime="50", PhotometricInterpretation="YBR_PARTIAL_420", PatientOrientation=["A", "F"]
    )
    path = write_encapsulated(tmp_path / "video.dcm", made, syntax, items, table=False)
    expected = sequential(video)
    with open_clip(path) as clip, clip.reopen() as other:
        assert clip.n_frames == 40
        assert (clip.facing, other.facing) == ("right", "right")
        assert np.allclose(clip.times_s, np.arange(40) * 0.05)
        assert clip.notes == ("its header means 20 frames a second, its video 30: the header is used",)
        for t in (39, 3, 20, 19, 18, 0):
            assert np.array_equal(clip[t], expected[t]), t
            assert np.array_equal(other[t], expected[t]), t


def test_dicom_without_suffix_is_recognised(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "IM000001", pictures(2))
    assert can_open(path)
    with open_clip(path) as clip:
        assert clip.id == content_id(path)


def test_old_file_without_preamble(tmp_path: Path) -> None:
    frames = pictures(2)
    made = dataset(frames)
    del made.file_meta
    path = tmp_path / "old.dcm"
    made.save_as(path, implicit_vr=True, little_endian=True, enforce_file_format=False)
    with open_clip(path) as clip:
        assert np.array_equal(clip[1], frames[1])


def test_real_image_is_the_same_in_every_lossless_syntax() -> None:
    folder = shared() / "data" / "dicom"
    if not folder.exists():
        pytest.skip(f"{folder} is not here")
    frames = {}
    for name in ("RLE", "J2KR", "JLSL", "JPLL", "JPLY"):
        with open_clip(folder / f"XA1_{name}.dcm") as clip:
            assert (clip.bits, clip.height, clip.width) == (10, 1024, 1024)
            frames[name] = clip[0]
    for name in ("J2KR", "JLSL", "JPLL"):
        assert np.array_equal(frames[name], frames["RLE"])
    assert np.abs(frames["JPLY"].astype(int) - frames["RLE"]).mean() < 4  # lossy, 10 bits


def test_real_fluoroscopic_image() -> None:
    path = shared() / "data" / "dicom" / "KarstenHilbertRF.dcm"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    with open_clip(path) as clip:
        assert (clip.n_frames, clip.height, clip.width, clip.bits) == (1, 464, 512, 8)
        assert np.array_equal(clip[0], pydicom.dcmread(path).pixel_array)
