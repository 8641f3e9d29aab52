# SPDX-License-Identifier: Apache-2.0
"""Recordings recognised by their content, folders of single images, folders of recordings, names that are not UTF-8."""

from __future__ import annotations

import io
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from pydicom.uid import ExplicitVRBigEndian, RLELossless, generate_uid

from clip_material import dataset, pictures, write_dicom, write_video
from vfss.clips import can_open, content_id, open_clip, recordings_in
from vfss.errors import ClipError
from vfss.project import Project

SERIES = generate_uid()


def save_series(
    folder: Path, frames: np.ndarray, names: list[str] | None = None, **tags: list[Any] | str
) -> list[Path]:
    """Write frames as single images; a list gives the value of a tag for each, None for no value."""
    folder.mkdir(exist_ok=True, parents=True)
    paths = []
    for t, frame in enumerate(frames):
        made = dataset(frame[None], SeriesInstanceUID=SERIES)
        del made.NumberOfFrames
        for keyword, value in ({"InstanceNumber": list(range(1, len(frames) + 1))} | tags).items():
            if value is not None and (one := value[t] if isinstance(value, list) else value) is not None:
                setattr(made, keyword, one)
        paths.append(folder / (names[t] if names else f"IM{t:04d}"))
        made.save_as(paths[-1], enforce_file_format=True)
    return paths


@pytest.mark.parametrize("name", ["clip.dcm", "clip.avi", "clip.tif", "clip", "clip.txt", "1.2.840.1"])
@pytest.mark.parametrize("kind", ["dicom", "implicit", "big", "tiff"])
def test_content_decides_whatever_the_name(tmp_path: Path, kind: str, name: str) -> None:
    frames, path = pictures(3), tmp_path / name
    if kind == "tiff":
        tifffile.imwrite(path, frames, photometric="minisblack")
    elif kind == "dicom":
        write_dicom(path, frames)
    else:  # without preamble and without file meta information
        made = dataset(frames)
        del made.file_meta
        is_implicit = kind == "implicit"
        made.save_as(path, implicit_vr=is_implicit, little_endian=is_implicit, enforce_file_format=False)
    assert can_open(path)
    with open_clip(path) as clip:
        assert np.array_equal(clip[2], frames[2])


def test_big_endian_with_file_meta_information(tmp_path: Path) -> None:
    frames = pictures(3, 12)
    made = dataset(frames, stored=12)
    made.PixelData = frames.astype(">u2").tobytes()
    made.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    made.save_as(tmp_path / "a", enforce_file_format=True)
    with open_clip(tmp_path / "a") as clip:
        assert np.array_equal(clip[2], frames[2])


@pytest.mark.parametrize("bits", [8, 12])
def test_a_folder_of_single_images_is_one_clip(tmp_path: Path, bits: int) -> None:
    frames = pictures(12, bits)
    order = np.random.default_rng(1).permutation(12)
    folder = tmp_path / "series"
    save_series(folder, frames[order], InstanceNumber=[str(n + 5) for n in order], FrameTime="40")
    (folder / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    (folder / "readme.txt").write_text("exported")
    assert can_open(folder)
    assert recordings_in(tmp_path) == [folder]
    with open_clip(folder, cache_bytes=1) as clip, clip.reopen() as other:
        assert (clip.n_frames, clip.times_from, clip.notes, clip.source) == (12, "file", (), folder)
        assert np.allclose(clip.times_s, np.arange(12) * 0.04)
        assert clip.id == content_id(folder)
        for t in (11, 0, 5):
            assert np.array_equal(clip[t], frames[t])
            assert np.array_equal(other[t], frames[t])
        assert other.window == clip.window
    with open_clip(tmp_path) as clip:  # the only recording below
        assert clip.source == folder


def test_compressed_single_images(tmp_path: Path) -> None:
    frames = pictures(3)
    for t, frame in enumerate(frames):
        made = dataset(frame[None], SeriesInstanceUID=SERIES, InstanceNumber=t)
        made.compress(RLELossless)
        made.save_as(tmp_path / f"{t}.dcm", enforce_file_format=True)
    with open_clip(tmp_path) as clip:
        assert np.array_equal(clip[2], frames[2])
        assert clip.times_from == "assumed"


@pytest.mark.parametrize(
    ("tags", "times", "note"),
    [
        ({"AcquisitionTime": ["101500.00", "101500.05", "101500.15"]}, [0, 0.05, 0.15], ""),
        ({"AcquisitionDateTime": ["20240101101500.00", "20240101101500.05", "20240101101500.15"]}, [0, 0.05, 0.15], ""),
        ({"TriggerTime": ["0", "50", "150"]}, [0, 0.05, 0.15], ""),
        ({"AcquisitionTime": ["101500", "101500", "101501"]}, None, ""),
        ({"ContentTime": ["101500", "101600", "101700"]}, None, ""),
        ({"InstanceNumber": ["1", "2", "4"]}, None, "missing before 4"),
        ({"InstanceNumber": ["2", "4", "6"]}, None, ""),
        ({"InstanceNumber": None}, None, "order of their file names"),
        (
            {"InstanceNumber": ["1", "1", "1"], "TriggerTime": ["0", "50", "150"]},
            [0, 0.05, 0.15],
            "order of their times",
        ),
    ],
)
def test_order_and_times_of_single_images(
    tmp_path: Path, tags: dict[str, Any], times: list[float] | None, note: str
) -> None:
    save_series(tmp_path, pictures(3), **tags)
    with open_clip(tmp_path) as clip:
        assert np.array_equal(clip[2], pictures(3)[2])
        assert clip.times_from == ("assumed" if times is None else "file")
        assert np.allclose(clip.times_s, times or np.arange(3) / 30)
        assert len(clip.notes) == bool(note)
        assert all(note in found for found in clip.notes)


def test_images_of_several_series_or_sizes_are_refused_naming_them(tmp_path: Path) -> None:
    save_series(tmp_path / "a", pictures(5))
    save_series(tmp_path / "a", pictures(3), ["x", "y", "z"], SeriesInstanceUID=generate_uid())
    with pytest.raises(
        ClipError, match=r"images of 2 series: 5 images of 48 x 64 \(IM0000 \.\.\.\), 3 images of"
    ) as caught:
        open_clip(tmp_path / "a")
    assert caught.value.path == tmp_path / "a"
    save_series(tmp_path / "b", pictures(5))
    save_series(tmp_path / "b", pictures(2)[:, :20, :20], ["x", "y"])
    with pytest.raises(ClipError, match="2 images of 20 x 20"):
        open_clip(tmp_path / "b")


def test_a_file_that_is_no_image_is_left_out_and_named(tmp_path: Path) -> None:
    paths = save_series(tmp_path, pictures(5))
    paths[2].write_bytes(paths[2].read_bytes()[:300])
    with open_clip(tmp_path) as clip:
        assert clip.n_frames == 4
        assert "IM0002 cannot be read and is left out" in clip.notes[0]
    paths[3].write_bytes(bytes(1000))
    with open_clip(tmp_path) as clip:
        assert clip.n_frames == 3
        assert clip.notes[-1] == "IM0003 is no DICOM file and is left out"
    for path in paths:
        path.write_bytes(paths[2].read_bytes())
    with pytest.raises(ClipError, match="none of its 5 DICOM files") as caught:
        open_clip(tmp_path)
    assert caught.value.path == tmp_path


def test_a_folder_of_recordings_names_them(tmp_path: Path) -> None:
    write_dicom(tmp_path / "a.dcm", pictures(3))
    write_dicom(tmp_path / "b", pictures(4))
    write_video(tmp_path / "c.avi", "mpeg4", count=5)
    (tmp_path / "notes.txt").write_text("left-facing")
    expected = [tmp_path / name for name in ("a.dcm", "b", "c.avi")]
    save_series(tmp_path / "d" / "series", pictures(2))
    (tmp_path / "e").mkdir()
    Image.fromarray(pictures(1)[0]).save(tmp_path / "e" / "0.png")
    assert recordings_in(tmp_path) == [*expected, tmp_path / "e"]  # but not what lies deeper
    shutil.rmtree(tmp_path / "e")
    assert can_open(tmp_path)
    assert recordings_in(tmp_path) == expected
    with pytest.raises(ClipError, match=r"folder of 3 recordings: a\.dcm, b, c\.avi\. Open one of them"):
        open_clip(tmp_path)
    for path in expected[:2]:
        path.unlink()
    with open_clip(tmp_path) as clip:
        assert (clip.source, clip.id) == (expected[2], content_id(expected[2]))


def test_recordings_of_a_disc_are_found_below(tmp_path: Path) -> None:
    (tmp_path / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    study = tmp_path / "DICOM" / "ST0"
    save_series(study / "SE0", pictures(4))
    (study / "SE1").mkdir()
    write_dicom(study / "SE1" / "IM0", pictures(3))
    (study / "SE2").mkdir()
    Image.fromarray(pictures(1)[0]).save(study / "SE2" / "0.png")
    assert recordings_in(tmp_path) == [study / "SE0", study / "SE1" / "IM0", study / "SE2"]
    with pytest.raises(ClipError, match=r"folder of 3 recordings: .*SE0"):
        open_clip(tmp_path)


def test_pictures_beside_fewer_dicom_files_stay_a_clip_of_pictures(tmp_path: Path) -> None:
    for t, frame in enumerate(pictures(3)):
        Image.fromarray(frame).save(tmp_path / f"{t}.png")
    before = content_id(tmp_path)
    write_dicom(tmp_path / "report.dcm", pictures(1))
    with open_clip(tmp_path) as clip:
        assert (clip.n_frames, clip.id) == (3, before)
        assert clip.notes == ("beside these pictures the folder holds report.dcm, to be opened by itself",)
    images = tmp_path / "images"
    save_series(images, pictures(4))
    Image.fromarray(pictures(1)[0]).save(images / "logo.png")
    with open_clip(images) as clip:
        assert clip.n_frames == 4


def test_empty_and_foreign_folders(tmp_path: Path) -> None:
    assert not can_open(tmp_path)
    assert recordings_in(tmp_path) == []
    (tmp_path / "letter.txt").write_text("no recording")
    with pytest.raises(ClipError, match="holds no recording"):
        open_clip(tmp_path)


def test_a_series_is_found_again_after_it_moved(tmp_path: Path) -> None:
    save_series(tmp_path / "here" / "series", pictures(3))
    with Project.create(tmp_path / "project") as project:
        record = project.add_clip(tmp_path / "here" / "series")
        (tmp_path / "here").rename(tmp_path / "there")
        assert project.locate(record.id, [tmp_path / "there"]) == tmp_path / "there" / "series"


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes are a matter of Linux")
@pytest.mark.parametrize("kind", ["dicom", "tiff", "pictures", "series", "lzw"])
def test_names_that_are_not_utf_8(tmp_path: Path, kind: str) -> None:
    odd = tmp_path / os.fsdecode(b"M\xfcller")
    odd.mkdir()
    path, frames = odd / os.fsdecode(b"f\xfcnf.dcm"), pictures(3)
    if kind == "dicom":
        write_dicom(path, frames)
    elif kind == "tiff":
        path.write_bytes(b"")
        with path.open("r+b") as stream:
            tifffile.imwrite(stream, frames, photometric="minisblack")
    elif kind == "lzw":
        first, *rest = [Image.fromarray(frame) for frame in frames]
        data = io.BytesIO()
        first.save(data, "tiff", save_all=True, append_images=rest, compression="tiff_lzw")
        path.write_bytes(data.getvalue())
    elif kind == "series":
        path = odd
        save_series(odd, frames, [os.fsdecode(b"\xe4%d" % t) for t in range(3)])
    else:
        path = odd
        for t, frame in enumerate(frames):
            Image.fromarray(frame).save(odd / os.fsdecode(b"\xe4%d.png" % t))
    assert can_open(path)
    with open_clip(path) as clip, clip.reopen() as other:
        assert np.array_equal(other[2], frames[2])
        assert clip.id == content_id(path)
    if kind in ("pictures", "series"):
        next(odd.iterdir()).write_bytes(b"\x08\0\x16\0UI" if kind == "series" else b"")
        with open_clip(path) as clip:
            "".join(clip.notes).encode()
            assert clip.notes
    for file in odd.iterdir():
        file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ClipError) as caught:
        open_clip(path)
    str(caught.value).encode()
