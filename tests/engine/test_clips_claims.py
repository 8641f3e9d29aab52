# SPDX-License-Identifier: Apache-2.0
"""What a DICOM header claims is held against the file: sizes, numbers of frames, colours, times, shape of pixels."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from clip_material import dataset, pictures, shared, write_dicom, write_encapsulated
from vfss.clips import open_clip
from vfss.errors import ClipError

BASELINE = "1.2.840.10008.1.2.4.50"


def save(path: Path, made: pydicom.Dataset, **raw: tuple[str, bytes]) -> Path:
    """Write a dataset; `raw` are values as they stand in the file, also such as pydicom refuses: VR and bytes."""
    for keyword, (representation, text) in raw.items():
        tag = pydicom.tag.Tag(pydicom.datadict.tag_for_keyword(keyword))
        value = text + b" " * (len(text) % 2)
        made[tag] = pydicom.dataelem.RawDataElement(tag, representation, len(value), value, 0, False, True)
    made.save_as(path, enforce_file_format=True)
    return path


def jpeg(frame: np.ndarray, **options: Any) -> bytes:
    data = io.BytesIO()
    Image.fromarray(frame).save(data, "jpeg", quality=95, **options)
    return data.getvalue() + b"\0" * (data.tell() % 2)


def smooth(count: int) -> np.ndarray:
    return np.stack([np.add.outer(np.arange(48), np.arange(64)) + 2 * t for t in range(count)]).astype(np.uint8)


@pytest.mark.parametrize("declared", [b"2147483647", b"7", b"99999999999999999999999999"])
@pytest.mark.parametrize("compressed", [False, True])
def test_more_frames_than_the_file_holds_are_refused_naming_both_numbers(
    tmp_path: Path, declared: bytes, compressed: bool
) -> None:
    made = dataset(pictures(3), FrameTime="33.3")
    if compressed:
        made.compress(RLELossless)
    path = save(tmp_path / "claim.dcm", made, NumberOfFrames=("IS", declared))
    tracemalloc.start()
    with pytest.raises(ClipError, match=rf"after 3 of {declared.decode()} frames"):
        open_clip(path)
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


def test_a_sequence_of_endless_items_is_not_parsed(tmp_path: Path) -> None:
    items = b"\xfe\xff\x00\xe0\0\0\0\0" * 500_000
    path = write_dicom(tmp_path / "a.dcm", pictures(2))
    sound = path.read_bytes()
    at = sound.index(b"\xe0\x7f\x10\0")
    groups = b"\0\x52\x30\x92SQ\0\0" + len(items).to_bytes(4, "little") + items
    path.write_bytes(sound[:at] + groups + sound[at:])
    tracemalloc.start()
    with open_clip(path) as clip:
        assert clip.times_from == "assumed"
    assert tracemalloc.get_traced_memory()[1] < 2**25
    tracemalloc.stop()


@pytest.mark.parametrize("declared", [1, 4, None, "abc"])
@pytest.mark.parametrize("syntax", ["native", "jpeg", "rle", "fragments", "one fragment"])
def test_fewer_frames_than_the_file_holds_all_open_with_a_note(
    tmp_path: Path, syntax: str, declared: int | str | None
) -> None:
    frames = smooth(10)
    made = dataset(frames)
    path = tmp_path / "claim.dcm"
    if syntax == "rle":
        made.compress(RLELossless)
    elif syntax != "native":
        items = [jpeg(frame) for frame in frames]
        if syntax == "fragments":  # two for each frame
            items = [part for item in items for part in (item[:300], item[300:])]
        if syntax == "one fragment":  # pictures one after another
            items = [b"".join(items)]
        write_encapsulated(path, made, BASELINE, items, table=False)
    if declared is None:
        del made.NumberOfFrames
    elif isinstance(declared, str):
        save(path, made, NumberOfFrames=("IS", declared.encode()))
    else:
        made.NumberOfFrames = declared
    made.save_as(path, enforce_file_format=True)
    with open_clip(path) as clip, clip.reopen() as other:
        assert clip.n_frames == 10
        assert np.abs(clip[9].astype(int) - frames[9]).max() <= 4
        assert np.array_equal(other[5], clip[5])
        (note,) = clip.notes
        assert "holds 10" in note
        assert str(declared) in note or "does not declare" in note
        assert other.notes == clip.notes


def test_pictures_one_after_another_in_one_fragment(tmp_path: Path) -> None:
    frames = smooth(4)
    item = b"".join(jpeg(frame) for frame in frames)
    path = write_encapsulated(tmp_path / "one.dcm", dataset(frames), BASELINE, [item], table=True)
    with open_clip(path) as clip:
        assert (clip.n_frames, clip.notes) == (4, ())
        assert np.abs(clip[3].astype(int) - frames[3]).max() <= 4


def test_one_frame_may_lie_in_several_fragments(tmp_path: Path) -> None:
    item = jpeg(smooth(1)[0])
    path = write_encapsulated(tmp_path / "one.dcm", dataset(smooth(1)), BASELINE, [item[:200], item[200:]], table=False)
    with open_clip(path) as clip:
        assert (clip.n_frames, clip.notes) == (1, ())


def test_pixel_data_that_is_cut_off_counts_by_its_length(tmp_path: Path) -> None:
    made = dataset(pictures(6))
    del made.NumberOfFrames
    made.save_as(tmp_path / "cut.dcm", enforce_file_format=True)
    data = (tmp_path / "cut.dcm").read_bytes()
    (tmp_path / "cut.dcm").write_bytes(data[: -pictures(3).nbytes])
    with pytest.raises(ClipError, match="after 3 of 6 frames"):
        open_clip(tmp_path / "cut.dcm")


@pytest.mark.parametrize("says", ["YBR_FULL", "YBR_FULL_422"])
@pytest.mark.parametrize("subsampled", [False, True])
def test_chrominance_is_as_long_as_it_is(tmp_path: Path, says: str, subsampled: bool) -> None:
    frames = pictures(3)
    grey = np.full_like(frames, 128)
    made = dataset(np.stack([frames, grey, grey], axis=-1), PhotometricInterpretation=says)
    if subsampled:
        pairs = (frames[..., 0::2], frames[..., 1::2], grey[..., 0::2], grey[..., 0::2])
        made.PixelData = np.stack(pairs, axis=-1).tobytes()
    with open_clip(save(tmp_path / "ybr.dcm", made)) as clip:
        assert clip.n_frames == 3
        assert np.array_equal(clip[2], frames[2])
        assert bool(clip.notes) == ((says == "YBR_FULL_422") != subsampled)


@pytest.mark.parametrize("components", [1, 3])
def test_samples_are_those_of_the_pictures(tmp_path: Path, components: int) -> None:
    frames = smooth(3)
    items = [jpeg(frame if components == 1 else np.stack([frame] * 3, -1)) for frame in frames]
    says = np.stack([frames] * 3, -1) if components == 1 else frames
    made = dataset(says, **({"PhotometricInterpretation": "YBR_FULL_422"} if components == 1 else {}))
    path = write_encapsulated(tmp_path / "samples.dcm", made, BASELINE, items, table=True)
    with open_clip(path) as clip:
        assert np.abs(clip[2].astype(int) - frames[2]).max() <= 4
        assert f"its pictures have {components}" in clip.notes[0]


@pytest.mark.parametrize("bits", [8, 12])
def test_samples_of_rle_are_those_of_its_segments(tmp_path: Path, bits: int) -> None:
    frames = pictures(3, bits)
    made = dataset(np.stack([frames] * 3, -1) if bits == 8 else frames, stored=bits)
    made.compress(RLELossless)
    made.SamplesPerPixel = 1 if bits == 8 else 3
    made.PhotometricInterpretation = "MONOCHROME2" if bits == 8 else "RGB"
    with open_clip(save(tmp_path / "rle.dcm", made)) as clip:
        assert np.array_equal(clip[2], frames[2])
        assert "read as the pictures are" in clip.notes[0]


def test_a_clip_of_which_no_frame_decodes_is_refused(tmp_path: Path) -> None:
    items = [jpeg(frame) for frame in smooth(5)]
    junk = b"\xff\xd8\xff\xe0" + bytes(200)
    path = write_encapsulated(tmp_path / "a.dcm", dataset(smooth(5)), BASELINE, [junk] * 5, table=True)
    with pytest.raises(ClipError, match=r"none of its frames can be decoded \(5 of 5"):
        open_clip(path)
    for damaged in (0, 4):
        partly = [junk if t == damaged else item for t, item in enumerate(items)]
        path = write_encapsulated(tmp_path / "b.dcm", dataset(smooth(5)), BASELINE, partly, table=True)
        with open_clip(path) as clip:
            assert f"frame {damaged} cannot be decoded" in clip.notes[0]
            assert clip[2].shape == (48, 64)


@pytest.mark.parametrize(
    ("raw", "fps", "times_from", "note"),
    [
        ({"FrameTime": ("DS", b"66,667")}, 15, "file", "'66,667'"),
        ({"FrameTime": ("DS", b"66.667")}, 15, "file", ""),
        ({"FrameTime": ("DS", b"quick")}, 30, "assumed", "'quick'"),
        ({"FrameTime": ("DS", b"0")}, 30, "assumed", ""),
        ({"FrameTime": ("DS", b"-33")}, 30, "assumed", "'-33'"),
        ({"FrameTime": ("DS", b"1e300")}, 30, "assumed", "1e300"),
        ({"FrameTime": ("DS", b"nan")}, 30, "assumed", "nan"),
        ({"FrameTime": ("DS", b"0.0333")}, 30030.03, "file", "30,030 frames a second"),
        ({"FrameTime": ("DS", b"33300")}, 0.03003003, "file", "frames a second"),
        ({"CineRate": ("IS", b"29.97")}, 29.97, "file", ""),
        ({"FrameTime": ("DS", b"33.3"), "CineRate": ("IS", b"30")}, 30.03, "file", ""),
        ({"FrameTime": ("DS", b"33.3"), "CineRate": ("IS", b"15")}, 30.03, "file", "Cine Rate 15"),
        ({"ActualFrameDuration": ("IS", b"50")}, 20, "file", ""),
        ({}, 30, "assumed", ""),
    ],
)
def test_rate(tmp_path: Path, raw: dict[str, tuple[str, bytes]], fps: float, times_from: str, note: str) -> None:
    path = save(tmp_path / "rate.dcm", dataset(pictures(4)), **raw)
    with open_clip(path) as clip, clip.reopen() as other:
        assert clip.times_from == other.times_from == times_from
        assert np.allclose(clip.times_s, np.arange(4) / fps, rtol=1e-4)
        assert len(clip.notes) == bool(note)
        assert all(note in found for found in clip.notes)


@pytest.mark.parametrize("pointer", [0x00181063, 0x00181065, None])
def test_frame_increment_pointer_decides(tmp_path: Path, pointer: int | None) -> None:
    tags = {} if pointer is None else {"FrameIncrementPointer": pointer}
    path = write_dicom(tmp_path / "p.dcm", pictures(3), FrameTime="100", FrameTimeVector=[0, 40, 50], **tags)
    with open_clip(path) as clip:
        expected = [0, 0.1, 0.2] if pointer == 0x00181063 else [0, 0.04, 0.09]
        assert np.allclose(clip.times_s, expected)
        (note,) = clip.notes  # two declared rates contradict each other
        assert "10" in note
        assert "22.22" in note
    path = write_dicom(tmp_path / "p.dcm", pictures(3), FrameTime="100", FrameIncrementPointer=0x00181065)
    with open_clip(path) as clip:
        assert np.allclose(clip.times_s, [0, 0.1, 0.2])
        assert "Frame Time is used" in clip.notes[0]


@pytest.mark.parametrize(("bad", "third"), [(b"33,3", 0.0733), (b"oops", 0.08), (b"", 0.08), (b"0", 0.08)])
def test_one_bad_item_spares_the_vector(tmp_path: Path, bad: bytes, third: float) -> None:
    vector = b"\\".join([b"0", b"40", bad, b"40", b"60"])
    path = save(tmp_path / "v.dcm", dataset(pictures(5)), FrameTimeVector=("DS", vector))
    with open_clip(path) as clip:
        assert clip.times_from == "file"
        assert np.allclose(clip.times_s, [0, 0.04, third, third + 0.04, third + 0.1])
        assert f"'{bad.decode()}'" in clip.notes[0]


@pytest.mark.parametrize(
    ("raw", "aspect", "notes"),
    [
        ({"PixelAspectRatio": ("IS", b"9\\8")}, 8 / 9, 0),
        ({"PixelAspectRatio": ("IS", b"1\\1")}, 1, 0),
        ({"PixelSpacing": ("DS", b"0.2\\0.3")}, 1.5, 0),
        ({"ImagerPixelSpacing": ("DS", b"0,2\\0,3")}, 1.5, 0),
        ({"NominalScannedPixelSpacing": ("DS", b"0.3\\0.2")}, 2 / 3, 0),
        ({"PixelSpacing": ("DS", b"0.2\\0.2"), "PixelAspectRatio": ("IS", b"9\\8")}, 1, 1),
        ({"PixelSpacing": ("DS", b"0.2\\0.3"), "PixelAspectRatio": ("IS", b"2\\3")}, 1.5, 0),
        ({"PixelAspectRatio": ("IS", b"0\\8")}, 1, 1),
        ({"PixelAspectRatio": ("IS", b"-9\\8")}, 1, 1),
        ({"PixelAspectRatio": ("IS", b"1\\1000000")}, 1, 1),
        ({"PixelAspectRatio": ("IS", b"abc\\8")}, 1, 1),
        ({"PixelAspectRatio": ("IS", b"9")}, 1, 1),
        ({"PixelSpacing": ("DS", b"0.1434\\0.1435")}, 1, 0),
    ],
)
def test_shape_of_pixels(tmp_path: Path, raw: dict[str, tuple[str, bytes]], aspect: float, notes: int) -> None:
    path = save(tmp_path / "a.dcm", dataset(pictures(2), FrameTime="40"), **raw)
    with open_clip(path) as clip, clip.reopen() as other:
        assert clip.pixel_aspect == other.pixel_aspect == pytest.approx(aspect)
        assert len(clip.notes) == notes


def test_shape_of_pixels_of_an_enhanced_object(tmp_path: Path) -> None:
    measures, group = Dataset(), Dataset()
    measures.PixelSpacing = ["0.2", "0.3"]
    group.PixelMeasuresSequence = [measures]
    with open_clip(write_dicom(tmp_path / "e.dcm", pictures(2), SharedFunctionalGroupsSequence=[group])) as clip:
        assert clip.pixel_aspect == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("dtype", "tags", "padding"),
    [
        (np.uint16, {"PixelPaddingValue": 65535}, 65535),
        (np.uint16, {"PixelPaddingValue": 0}, 0),
        (np.uint16, {"PixelPaddingValue": 60000, "PixelPaddingRangeLimit": 65535}, 61234),
        (np.int16, {"PixelPaddingValue": -32768}, -32768),
        (np.int16, {"PixelPaddingValue": 32767, "PixelPaddingRangeLimit": 32000}, 32100),
    ],
)
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_dark_and_does_not_stretch_the_grey_range(
    tmp_path: Path, dtype: Any, tags: dict[str, int], padding: int, photometric: str
) -> None:
    frames = (pictures(3, 12) + np.uint16(100)).astype(dtype)
    frames[:, :, :20] = padding
    path = write_dicom(tmp_path / "p.dcm", frames, PhotometricInterpretation=photometric, **tags)
    with open_clip(path) as clip:
        offset = 32768 if dtype is np.int16 else 0
        assert 900 <= clip.window[0] - offset < clip.window[1] - offset <= 4000
        assert np.all(clip.as_uint8(1)[:, :20] == (255 if photometric == "MONOCHROME1" else 0))
        assert np.array_equal(clip[1][:, 20:], frames[1][:, 20:].astype(int) + offset)


@pytest.mark.parametrize("syntax", ["1.2.840.113619.5.2", "1.3.46.670589.33.1.4.1", "1.2.840.10008.1.2.4.999"])
def test_unknown_transfer_syntaxes_are_named(tmp_path: Path, syntax: str) -> None:
    path = write_dicom(tmp_path / "p.dcm", pictures(2))
    length = len(ExplicitVRLittleEndian) + 1
    data = path.read_bytes()
    at = data.index(b"\x02\0\x10\0UI")
    value = syntax.encode() + b"\0" * (len(syntax) % 2)
    data = data[: at + 6] + len(value).to_bytes(2, "little") + value + data[at + 8 + length :]
    group = int.from_bytes(data[140:144], "little") + len(value) - length
    path.write_bytes(data[:140] + group.to_bytes(4, "little") + data[144:])
    with pytest.raises(ClipError, match=rf"is stored as {syntax}, which is not read\. Export it uncompressed"):
        open_clip(path)


@pytest.mark.parametrize(
    "declared", ["1.2.840.10008.1.2.1", RLELossless, "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.90", ""]
)
def test_pictures_of_another_transfer_syntax_are_read_as_what_they_are(tmp_path: Path, declared: str) -> None:
    frames = smooth(3)
    path = write_encapsulated(tmp_path / "a.dcm", dataset(frames), BASELINE, [jpeg(f) for f in frames], table=True)
    data = path.read_bytes()
    at = data.index(b"\x02\0\x10\0UI")
    assert len(BASELINE) == 22
    path.write_bytes(data[: at + 8] + declared.encode().ljust(22, b"\0") + data[at + 30 :])
    with open_clip(path) as clip:
        assert np.abs(clip[2].astype(int) - frames[2]).max() <= 4
        assert [("its first picture is JPEG" in note) for note in clip.notes] == [True] * bool(declared)


@pytest.mark.parametrize("implicit", [True, False])
def test_a_file_that_declares_no_transfer_syntax_is_read_by_its_bytes(tmp_path: Path, implicit: bool) -> None:
    frames = pictures(3)
    made = dataset(frames)
    del made.file_meta
    made.save_as(tmp_path / "old", implicit_vr=implicit, little_endian=True, enforce_file_format=False)
    with open_clip((tmp_path / "old").rename(tmp_path / "old.dcm")) as clip:
        assert np.array_equal(clip[2], frames[2])


def test_shared_cases() -> None:
    folder = shared() / "cases"
    if not folder.exists():
        pytest.skip(f"{folder} is not here")
    with open_clip(folder / "d16_pad.dcm") as clip:
        assert np.ptp(clip.as_uint8(0)) == 255
    with open_clip(folder / "nf1_jpeg30.dcm") as clip:
        assert clip.n_frames == 30
    with pytest.raises(ClipError, match="of 2147483647 frames"):
        open_clip(folder / "dicom_2e9_frames.dcm")
