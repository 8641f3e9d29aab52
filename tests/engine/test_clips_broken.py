# SPDX-License-Identifier: Apache-2.0
"""Damaged recordings of every format raise a ClipError that names the file, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import gdcm
import numpy as np
import pydicom
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from clip_material import dataset, pictures, recode, write_dicom, write_encapsulated, write_video
from vfss.clips import can_open, open_clip
from vfss.errors import ClipError


def _tiff(path: Path, compression: str | None = None) -> Path:
    tifffile.imwrite(path, pictures(6), photometric="minisblack", compression=compression)
    return path


def _dicom(path: Path, syntax: int) -> Path:
    return recode(write_dicom(path.with_name("native_" + path.name), pictures(4, 12), stored=12), path, syntax)


def _stream(path: Path) -> Path:
    data = write_video(path.with_suffix(".h264"), "libx264", count=20, container="h264").read_bytes()
    data += b"\0" * (len(data) % 2)
    return write_encapsulated(path, dataset(pictures(20)), "1.2.840.10008.1.2.4.102", [data], table=False)


MAKERS: dict[str, Callable[[Path], Path]] = {
    "a.mp4": lambda path: write_video(path, "libx264", count=20),
    "b.avi": lambda path: write_video(path, "mpeg4", count=20),
    "c.mkv": lambda path: write_video(path, "libx264", count=20),
    "d.mpg": lambda path: write_video(path, "mpeg2video", count=20),
    "e.wmv": lambda path: write_video(path, "wmv2", count=20, b_frames=0),
    "f.mov": lambda path: write_video(path, "mpeg4", count=20),
    "native.dcm": lambda path: write_dicom(path, pictures(4, 12), stored=12),
    "rle.dcm": lambda path: _dicom(path, gdcm.TransferSyntax.RLELossless),
    "lossless.dcm": lambda path: _dicom(path, gdcm.TransferSyntax.JPEGLosslessProcess14_1),
    "ls.dcm": lambda path: _dicom(path, gdcm.TransferSyntax.JPEGLSLossless),
    "j2k.dcm": lambda path: _dicom(path, gdcm.TransferSyntax.JPEG2000Lossless),
    "stream.dcm": _stream,
    "stack.tif": _tiff,
    "packed.tif": lambda path: _tiff(path, "zlib"),
}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("recordings")
    return {name: make(folder / name).read_bytes() for name, make in MAKERS.items()}


def read_all(path: Path) -> list[ClipError]:
    """Open a file and read all frames; return the errors, after checking that each names the file."""
    errors = []
    try:
        with open_clip(path, cache_bytes=10_000) as clip:
            for t in [*range(clip.n_frames), *range(clip.n_frames - 1, -1, -7)]:
                try:
                    frame = clip[t]
                    assert (frame.shape, frame.dtype) == ((clip.height, clip.width), clip.dtype)
                except ClipError as error:
                    assert error.frame == t
                    errors.append(error)
    except ClipError as error:
        errors.append(error)
    for error in errors:
        assert error.path == path
        assert error.remedy
        assert str(path) in str(error)
        assert "\n" not in str(error)
    return errors


@pytest.mark.parametrize("share", [0.02, 0.4, 0.8])
@pytest.mark.parametrize("name", MAKERS)
def test_cut_off(tmp_path: Path, recordings: dict[str, bytes], name: str, share: float) -> None:
    path = tmp_path / name
    path.write_bytes(recordings[name][: int(share * len(recordings[name]))])
    assert read_all(path)


@pytest.mark.parametrize("name", [*MAKERS, "folder.png"])
def test_empty(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"")
    (error,) = read_all(path)
    assert "empty" in str(error)


@pytest.mark.parametrize("name", [*MAKERS, "x.tiff", "x.dicom", "x.webm", "x", "x.txt", "x.png"])
@pytest.mark.parametrize(
    "text", ["1\n00:00:01,000 --> 00:00:02,000\nswallow\n" * 30, "ffconcat version 1.0\nfile a.mp4\n"]
)
def test_text_under_another_name(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    assert len(read_all(path)) == 1


@pytest.mark.parametrize("name", MAKERS)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damage_raises_clip_error_or_is_harmless(
    tmp_path: Path, recordings: dict[str, bytes], name: str, data: st.DataObject
) -> None:
    damaged = bytearray(recordings[name])
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / name
    path.write_bytes(damaged)
    read_all(path)


def test_a_damaged_sop_class_is_reported_on_one_line(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "odd.dcm", pictures(2))
    recordings, kind = path.read_bytes(), b"1.2.840.10008.5.1.4.1.1.12.2"
    assert recordings.count(kind) >= 1
    # The kind of the dataset itself is damaged, and the tag of its pixels is gone.
    path.write_bytes(
        recordings.replace(kind, b"1.2.840\n.008.5.1.4.1.1.12.2\x00").replace(b"\xe0\x7f\x10\x00", b"\xe0\x7e\x10\x00")
    )
    (error,) = read_all(path)
    assert "\n" not in str(error)


def test_truncated_native_dicom_names_the_first_missing_frame(tmp_path: Path) -> None:
    frames = pictures(6)
    path = write_dicom(tmp_path / "short.dcm", frames)
    path.write_bytes(path.read_bytes()[: -2 * frames[0].nbytes - 10])
    (error,) = read_all(path)
    assert error.frame == 3
    assert "3 of 6 frames" in str(error)


def test_compressed_dicom_with_too_few_frames(tmp_path: Path) -> None:
    made = dataset(pictures(3))
    made.compress(pydicom.uid.RLELossless)
    made.NumberOfFrames = 5
    made.save_as(tmp_path / "few.dcm", enforce_file_format=True)
    (error,) = read_all(tmp_path / "few.dcm")
    assert error.frame == 3


def test_other_frames_of_a_file_with_a_damaged_frame_are_readable(tmp_path: Path) -> None:
    frames = pictures(5)
    coded = pydicom.dcmread(
        recode(write_dicom(tmp_path / "n.dcm", frames), tmp_path / "c.dcm", gdcm.TransferSyntax.JPEGLosslessProcess14_1)
    )
    items = list(pydicom.encaps.generate_frames(coded.PixelData, number_of_frames=5))
    items[2] = items[2][:20] + bytes(len(items[2]) - 20)
    path = write_encapsulated(tmp_path / "damaged.dcm", coded, coded.file_meta.TransferSyntaxUID, items, table=True)
    errors = read_all(path)
    assert {error.frame for error in errors} == {2}
    with open_clip(path) as clip:
        assert np.array_equal(clip[3], frames[3])


def test_picture_of_another_size_than_its_header(tmp_path: Path) -> None:
    made = pydicom.dcmread(_dicom(tmp_path / "c.dcm", gdcm.TransferSyntax.JPEG2000Lossless))
    made.Rows = 40
    made.save_as(tmp_path / "rows.dcm")
    errors = read_all(tmp_path / "rows.dcm")
    assert errors
    assert "48 rows" in str(errors[0])


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.66.4"}, "Segmentation"),
        ({"NumberOfFrames": "-1"}, "-1 frames"),
        ({"BitsAllocated": 32, "BitsStored": 32, "HighBit": 31}, "32 of 32 bits"),
        ({"BitsStored": 12}, "12 of 8 bits"),
        ({"HighBit": 9}, "highest"),
        ({"PhotometricInterpretation": "HSV"}, "HSV"),
        ({"Rows": 0}, "no Rows"),
        ({"Rows": 65535, "Columns": 65535}, "65535 x 65535"),
        ({"Rows": 5000, "Columns": 5000}, "0 of 1 frames"),
    ],
)
def test_dicom_that_is_not_a_recording(tmp_path: Path, tags: dict[str, object], message: str) -> None:
    path = write_dicom(tmp_path / "other.dcm", pictures(1), **tags)
    (error,) = read_all(path)
    assert message in str(error)


@pytest.mark.parametrize(
    ("sop_class", "kind"),
    [("1.2.840.10008.5.1.4.1.1.88.11", "Basic Text SR"), ("1.2.840.10008.5.1.4.1.1.2", "CT Image")],
)
def test_dicom_without_pixels(tmp_path: Path, sop_class: str, kind: str) -> None:
    made = dataset(pictures(1), SOPClassUID=sop_class)
    del made.PixelData
    made.save_as(tmp_path / "report.dcm", enforce_file_format=True)
    (error,) = read_all(tmp_path / "report.dcm")
    assert "no pixel data" in str(error)
    assert kind in str(error)


def test_dicom_with_empty_pixels(tmp_path: Path) -> None:
    path = write_encapsulated(tmp_path / "e.dcm", dataset(pictures(1)), "1.2.840.10008.1.2.5", [b"\0\0"], table=False)
    assert read_all(path)
    made = pydicom.dcmread(path)
    made.PixelData = b"\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
    made.save_as(path)
    (error,) = read_all(path)
    assert "no frames" in str(error)


def test_dicom_in_an_unsupported_transfer_syntax(tmp_path: Path) -> None:
    path = write_encapsulated(
        tmp_path / "jpip.dcm", dataset(pictures(1)), "1.2.840.10008.1.2.4.94", [b"x"], table=False
    )
    (error,) = read_all(path)
    assert "JPIP" in str(error)


def test_deflated_dicom(tmp_path: Path) -> None:
    made = dataset(pictures(2))
    made.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    made.save_as(tmp_path / "deflated.dcm", enforce_file_format=True)
    (error,) = read_all(tmp_path / "deflated.dcm")
    assert "deflated" in str(error)


def test_video_file_without_video_track(tmp_path: Path) -> None:
    import av

    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    (error,) = read_all(path)
    assert "no video track" in str(error)


def test_folders_that_are_not_recordings(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    (error,) = read_all(empty)
    assert "no PNG or JPEG" in str(error)
    assert not can_open(empty)
    (empty / "a.png").write_bytes(b"not a picture")
    (error,) = read_all(empty)
    assert (error.frame, "a.png" in str(error)) == (0, True)


def test_damaged_picture_in_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for t, frame in enumerate(pictures(4)):
        Image.fromarray(frame).save(folder / f"{t}.png")
    data = (folder / "2.png").read_bytes()
    (folder / "2.png").write_bytes(data[: len(data) // 2])
    assert {error.frame for error in read_all(folder)} == {2}


def test_missing_file_and_special_file(tmp_path: Path) -> None:
    (error,) = read_all(tmp_path / "gone.mp4")
    assert "no such file" in str(error)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.mp4")
        (error,) = read_all(tmp_path / "pipe.mp4")
        assert "neither" in str(error)
        assert not can_open(tmp_path / "pipe.mp4")


@pytest.fixture
def unprivileged_user() -> Iterator[None]:
    """Drop the privileges of root, which can read everything, during the test."""
    if not hasattr(os, "geteuid"):
        pytest.skip("this system has other rights")
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield
    os.seteuid(user)


@pytest.mark.parametrize("name", ["a.mp4", "native.dcm", "stack.tif"])
def test_file_without_read_permission(
    tmp_path: Path, recordings: dict[str, bytes], name: str, unprivileged_user: None
) -> None:
    user = os.geteuid()
    path = tmp_path / name
    if user != 65534:
        path.write_bytes(recordings[name])
        path.chmod(0)
    (error,) = read_all(path)
    assert "permission to read it is denied" in str(error)
    assert can_open(path) in (True, False)


@pytest.mark.parametrize("name", ["a.mp4", "native.dcm", "j2k.dcm", "stack.tif", "stream.dcm"])
def test_file_that_vanishes(tmp_path: Path, recordings: dict[str, bytes], name: str) -> None:
    path = tmp_path / name
    path.write_bytes(recordings[name])
    with open_clip(path) as clip:
        path.unlink()
        with pytest.raises(ClipError) as caught:
            clip.reopen()
        assert caught.value.path == path


def test_file_that_shrinks_while_open(tmp_path: Path, recordings: dict[str, bytes]) -> None:
    path = tmp_path / "native.dcm"
    path.write_bytes(recordings["native.dcm"])
    with open_clip(path, cache_bytes=1) as clip:
        os.truncate(path, path.stat().st_size // 2)
        with pytest.raises(ClipError, match="frame 2"):
            clip[2]
