# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from clip_material import pictures
from vfss.clips import can_open, content_id, open_clip
from vfss.errors import ClipError


def save_folder(folder: Path, frames: np.ndarray, suffix: str = ".png") -> Path:
    folder.mkdir()
    for t, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"frame{t}{suffix}")
    return folder


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("how", ["block", "imagej", "deflate", "pages", "plain_pages", "colour", "planes", "ome"])
def test_stacks_decode_exactly(tmp_path: Path, how: str, bits: int) -> None:
    frames = pictures(12, bits)
    path = tmp_path / "stack.tif"
    if how == "imagej":
        tifffile.imwrite(path, frames, imagej=True, metadata={"axes": "TYX", "finterval": 0.04})
    elif how == "deflate":
        tifffile.imwrite(path, frames, compression="zlib", photometric="minisblack")
    elif how == "ome":
        path = tmp_path / "stack.ome.tif"
        metadata = {"axes": "TYX", "TimeIncrement": 40, "TimeIncrementUnit": "ms"}
        tifffile.imwrite(path, frames, metadata=metadata, photometric="minisblack")
    elif how in ("pages", "plain_pages"):
        with tifffile.TiffWriter(path) as writer:
            for frame in frames:
                writer.write(frame, contiguous=False, metadata=None if how == "plain_pages" else {})
    elif how == "colour":
        tifffile.imwrite(path, np.stack([frames] * 3, axis=-1), photometric="rgb")
    elif how == "planes":
        tifffile.imwrite(path, np.stack([frames] * 3, axis=1), photometric="rgb", planarconfig="separate")
    else:
        tifffile.imwrite(path, frames, photometric="minisblack")
    with open_clip(path, cache_bytes=1) as clip, clip.reopen() as other:
        assert (clip.n_frames, clip.bits, clip.dtype) == (12, bits, frames.dtype)
        for t in (11, 0, 5, 4):
            assert np.array_equal(clip[t], frames[t])
            assert np.array_equal(other[t], frames[t])
        assert np.allclose(clip.times_s, np.arange(12) * (0.04 if how in ("imagej", "ome") else 1 / 30))
        assert other.window == clip.window


def test_large_imagej_stack_with_one_page(tmp_path: Path) -> None:
    frames = pictures(9)
    tifffile.imwrite(tmp_path / "one.tif", frames, imagej=True, truncate=True)
    with open_clip(tmp_path / "one.tif") as clip:
        assert clip.n_frames == 9
        assert np.array_equal(clip[7], frames[7])


def test_compression_that_only_pillow_decodes(tmp_path: Path) -> None:
    frames = pictures(5)
    first, *rest = [Image.fromarray(frame) for frame in frames]
    first.save(tmp_path / "lzw.tif", save_all=True, append_images=rest, compression="tiff_lzw")
    with open_clip(tmp_path / "lzw.tif") as clip:
        for t in (4, 0, 2):
            assert np.array_equal(clip[t], frames[t])


def test_signed_and_white_is_zero(tmp_path: Path) -> None:
    frames = np.arange(-1500, -1500 + 48 * 64, dtype=np.int16).reshape(1, 48, 64)
    tifffile.imwrite(tmp_path / "signed.tif", frames, photometric="miniswhite")
    with open_clip(tmp_path / "signed.tif") as clip:
        assert clip.inverted
        assert np.array_equal(clip[0], (frames[0].astype(int) + 32768).astype(np.uint16))


def test_channels_are_not_frames(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "hyper.tif", pictures(12).reshape(3, 4, 48, 64), imagej=True, metadata={"axes": "TCYX"})
    with pytest.raises(ClipError, match="not one time series") as caught:
        open_clip(tmp_path / "hyper.tif")
    assert caught.value.path == tmp_path / "hyper.tif"


def test_floating_point_pages_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "float.tif", pictures(3).astype(np.float32))
    with pytest.raises(ClipError, match="float32"):
        open_clip(tmp_path / "float.tif")


def test_pages_of_different_size_name_the_frame(tmp_path: Path) -> None:
    path = tmp_path / "sizes.tif"
    with tifffile.TiffWriter(path) as writer:
        for t in range(5):
            picture = pictures(1)[0] if t != 3 else np.zeros((20, 20), np.uint8)
            writer.write(picture, contiguous=False, metadata=None)
    with open_clip(path) as clip:
        assert np.array_equal(clip[1], pictures(1)[0])
        with pytest.raises(ClipError, match="frame 3"):
            clip[3]


@pytest.mark.parametrize("bits", [8, 16])
def test_folder_of_pictures_in_the_order_of_their_numbers(tmp_path: Path, bits: int) -> None:
    frames = pictures(12, bits)
    folder = save_folder(tmp_path / "pictures", frames)
    (folder / "notes.txt").write_text("left-facing")
    (folder / ".hidden.png").write_bytes(b"")
    assert can_open(folder)
    with open_clip(folder, cache_bytes=1) as clip, clip.reopen() as other:
        assert (clip.n_frames, clip.bits) == (12, bits)
        for t in (11, 2, 10, 1):
            assert np.array_equal(clip[t], frames[t])
            assert np.array_equal(other[t], frames[t])


def test_folder_of_colour_and_jpeg(tmp_path: Path) -> None:
    frames = pictures(3)
    folder = save_folder(tmp_path / "colour", np.stack([frames] * 3, axis=-1))
    with open_clip(folder) as clip:
        assert np.array_equal(clip[2], frames[2])
    folder = save_folder(tmp_path / "jpeg", frames, ".JPG")
    with open_clip(folder) as clip:
        assert np.array_equal(clip[2], np.array(Image.open(folder / "frame2.JPG")))


def test_folder_with_different_sizes_names_picture_and_frame(tmp_path: Path) -> None:
    folder = save_folder(tmp_path / "mixed", pictures(4))
    Image.fromarray(np.zeros((10, 10), np.uint8)).save(folder / "frame2.png")
    with pytest.raises(ClipError, match=r"frame 2: frame2\.png has 10 rows"):
        open_clip(folder)


def test_picture_that_vanishes_later(tmp_path: Path) -> None:
    folder = save_folder(tmp_path / "gone", pictures(4))
    with open_clip(folder) as clip:
        (folder / "frame3.png").unlink()
        with pytest.raises(ClipError, match="frame 3"):
            clip[3]
        assert np.array_equal(clip[1], pictures(4)[1])


def test_content_id_of_a_folder_depends_on_names_and_pictures(tmp_path: Path) -> None:
    folder = save_folder(tmp_path / "a", pictures(3))
    same = save_folder(tmp_path / "b", pictures(3))
    assert content_id(folder) == content_id(same)
    (same / "frame1.png").rename(same / "frame7.png")
    assert content_id(folder) != content_id(same)


@pytest.mark.parametrize("kind", ["jpeg", "tiff"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_an_orientation_that_is_not_followed_is_told(tmp_path: Path, kind: str, orientation: int) -> None:
    path = tmp_path / "turned"
    if kind == "jpeg":
        exif = Image.Exif()
        exif[274] = orientation
        path.mkdir()
        Image.fromarray(pictures(1)[0]).save(path / "0.jpg", exif=exif)
    else:
        tag = (274, "H", 1, orientation, True)
        tifffile.imwrite(path, pictures(3), photometric="minisblack", extratags=[tag], metadata=None)
    with open_clip(path) as clip:
        told = [note for note in clip.notes if "orientation 6" in note]
        assert len(told) == (orientation == 6)
        assert (clip.height, clip.width) == pictures(1).shape[1:]


@pytest.mark.parametrize(
    ("numbers", "told"),
    [
        ([1, 2, 3, 5, 6], "frame5.png"),
        ([0, 5, 10, 20, 25], "frame20.png"),
        ([1, 2, 3, 4, 5], ""),
        ([0, 5, 10, 15, 20], ""),
        ([3, 40, 41, 700, 702], ""),
    ],
)
def test_numbers_that_a_folder_leaves_out_are_told(tmp_path: Path, numbers: list[int], told: str) -> None:
    for number, frame in zip(numbers, pictures(len(numbers)), strict=True):
        Image.fromarray(frame).save(tmp_path / f"frame{number}.png")
    with open_clip(tmp_path) as clip:
        assert clip.n_frames == len(numbers)
        assert [note for note in clip.notes if "leave out" in note] == (
            [f"the numbers in the names leave out some before {told}: pictures may be missing"] if told else []
        )
