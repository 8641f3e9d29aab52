# SPDX-License-Identifier: Apache-2.0
"""Videos are recognised by content and shown as their metadata ask: turned, mirrored, with the aspect of pixels."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from clip_material import HEIGHT, WIDTH, pictures, sequential, write_dicom, write_video
from vfss.clips import can_open, open_clip
from vfss.errors import ClipError, VfssError

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "avi": ("mpeg4", {}),
    "mp4": ("libx264", {}),
    "mov": ("mjpeg", {"pixels": "yuvj420p", "b_frames": None}),
    "3gp": ("mpeg4", {"b_frames": 0}),
    "matroska": ("libx264", {}),
    "vob": ("mpeg2video", {}),
    "mpegts": ("libx264", {}),
    "flv": ("flv", {"b_frames": 0}),
    "asf": ("wmv2", {"b_frames": 0}),
    "ogg": ("libvpx", {"b_frames": 0}),
    "mpeg2video": ("mpeg2video", {}),
    "h264": ("libx264", {}),
    "hevc": ("libx265", {"options": {"x265-params": "log-level=none"}}),
}


@pytest.mark.parametrize("container", KINDS)
def test_videos_open_under_any_name(tmp_path: Path, container: str) -> None:
    codec, how = KINDS[container]
    path = write_video(tmp_path / "clip", codec, count=10, container=container, **how)
    expected = sequential(path)
    for name in ("clip", "clip.dat", "clip.tif", "clip.dcm"):
        path = path.rename(tmp_path / name)
        assert can_open(path)
        with open_clip(path) as clip:
            assert clip.n_frames == len(expected) == 10
            assert np.array_equal(clip[7], expected[7])


def test_dv_opens_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "tape"
    with av.open(str(path), "w", format="dv") as out:
        stream: Any = out.add_stream("dvvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = 720, 576, "yuv420p"
        for level in (40, 90):
            grey = av.VideoFrame.from_ndarray(np.full((576, 720), level, np.uint8), format="gray")
            out.mux(stream.encode(grey.reformat(format="yuv420p")))
        out.mux(stream.encode())
    assert can_open(path)
    with open_clip(path) as clip:
        assert (clip.n_frames, clip.height, clip.width) == (2, 576, 720)
        assert clip.pixel_aspect == pytest.approx(16 / 15)


def test_packets_of_blu_ray_and_camcorders_open(tmp_path: Path) -> None:
    plain = write_video(tmp_path / "plain.ts", "libx264", count=10, container="mpegts").read_bytes()
    path = tmp_path / "00001"
    camcorder = b"".join(bytes(4) + plain[at : at + 188] for at in range(0, len(plain), 188))
    for content in (camcorder, bytes(50) + plain):
        path.write_bytes(content)
        assert can_open(path)
        with open_clip(path) as clip:
            assert clip.n_frames == 10


def test_content_wins_over_the_suffix(tmp_path: Path) -> None:
    video = write_video(tmp_path / "video.dcm", "libx264", count=10, container="mp4")
    dicom = write_dicom(tmp_path / "dicom.avi", pictures(3))
    for path, frames in ((video, 10), (dicom, 3)):
        assert can_open(path)
        with open_clip(path) as clip:
            assert clip.n_frames == frames


@pytest.mark.parametrize("name", ["notes.ts", "song.mod", "archive.dv", "notes", "a.dat"])
def test_other_files_with_such_suffixes_are_no_recordings(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("export const swallow = 1;\n" * 200)
    assert not can_open(path)
    with pytest.raises(ClipError):
        open_clip(path)


@pytest.mark.parametrize(
    "playlist",
    ["#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", "ffconcat version 1.0\nfile a.mp4\n", "v=0\no=- 0 0 IN IP4 127.0.0.1\n"],
)
@pytest.mark.parametrize("name", ["list.avi", "list.ts", "list"])
def test_playlists_are_refused(tmp_path: Path, playlist: str, name: str) -> None:
    path = tmp_path / name
    path.write_text(playlist)
    with pytest.raises(ClipError) as caught:
        open_clip(path)
    assert "\n" not in str(caught.value)


def test_a_file_of_another_kind_under_the_name_of_a_video(tmp_path: Path) -> None:
    for content in (b"A letter, not a recording.\n" * 40, b"\x89PNG\r\n\x1a\n" + bytes(90), b"%PDF-1.7\n" + bytes(90)):
        path = tmp_path / "renamed.avi"
        path.write_bytes(content)
        with pytest.raises(ClipError, match=r"does not begin like one.*Choose another file"):
            open_clip(path)


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    made = write_video(tmp_path / "plain.avi", "mpeg4", count=10)
    name = os.fsencode(tmp_path) + b"/M\xfcller.avi"
    try:
        made.rename(os.fsdecode(name))
    except OSError:
        pytest.skip("this file system has UTF-8 names only")
    path = Path(os.fsdecode(name))
    assert can_open(path)
    with open_clip(path) as clip, clip.reopen() as other:
        assert np.array_equal(clip[5], other[5])
    path.write_bytes(b"RIFF")
    with pytest.raises(ClipError) as caught:
        open_clip(path)
    assert r"M\xfcller.avi" in str(caught.value)
    str(caught.value).encode()


def test_messages_can_always_be_written() -> None:
    for text in ("M\udcfcller", "\ud800", "Müller"):
        str(VfssError(text, path=f"/data/{text}", remedy=text)).encode()
    assert str(VfssError("Müller")) == "Müller."
    assert (
        str(VfssError("two\nlines", path="/data/\x1b[31mred\x9b1m.avi")) == r"/data/\x1b[31mred\x9b1m.avi: two"
        "\nlines."
    )


def write_turned(path: Path, degrees: int, *, hflip: bool = False, vflip: bool = False) -> Path:
    """Write lossless video that declares a counterclockwise turn, and flips after it."""
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"qp": "0"}
        stream.set_display_rotation(degrees, hflip=hflip, vflip=vflip)
        for picture in pictures(3):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="gray").reformat(format="yuv420p")))
        out.mux(stream.encode())
    return path


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
@pytest.mark.parametrize(("hflip", "vflip"), [(False, False), (True, False), (False, True)])
def test_turns_and_flips_of_the_display_matrix(tmp_path: Path, degrees: int, hflip: bool, vflip: bool) -> None:
    path = write_turned(tmp_path / "turned.mp4", degrees, hflip=hflip, vflip=vflip)
    with open_clip(path, rotation=0) as stored, open_clip(path) as clip:
        assert (stored.rotation, stored[2].shape) == (0, (HEIGHT, WIDTH))
        expected = np.rot90(stored[2], degrees // 90)
        expected = expected[:, ::-1] if hflip else expected
        expected = expected[::-1] if vflip else expected
        assert np.array_equal(clip[2], expected)
        assert (clip.height, clip.width) == clip[2].shape == expected.shape
        assert bool(clip.notes) == bool(clip.rotation)
        with open_clip(path, rotation=clip.rotation) as again, clip.reopen() as other:
            assert np.array_equal(again[2], expected) and np.array_equal(other[2], expected)
            assert (again.rotation, other.rotation, other.notes) == (clip.rotation, clip.rotation, clip.notes)


@pytest.mark.parametrize("wrong", [45, -90, 720])
def test_a_turn_that_is_no_right_angle_is_refused(tmp_path: Path, wrong: int) -> None:
    path = write_turned(tmp_path / "plain.mp4", 0)
    with pytest.raises(ClipError, match="90"):
        open_clip(path, rotation=wrong)


def test_a_declared_turn_that_is_no_right_angle_is_told(tmp_path: Path) -> None:
    with open_clip(write_turned(tmp_path / "odd.mp4", 30)) as clip:
        assert (clip.rotation, clip[0].shape) == (0, (HEIGHT, WIDTH))
        assert "no right angle" in clip.notes[0]


def write_aspect(path: Path, codec: str, aspect: Fraction, degrees: int = 0) -> Path:
    """Write video whose pixels have an aspect."""
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        if degrees:
            stream.set_display_rotation(degrees)
        for picture in pictures(3):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="gray").reformat(format="yuv420p")))
        out.mux(stream.encode())
    return path


@pytest.mark.parametrize("aspect", [Fraction(8, 9), Fraction(16, 11), Fraction(2)])
@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.avi", "mpeg4")])
def test_aspect_of_pixels(tmp_path: Path, name: str, codec: str, aspect: Fraction) -> None:
    with open_clip(write_aspect(tmp_path / name, codec, aspect)) as clip, clip.reopen() as other:
        assert clip.pixel_aspect == other.pixel_aspect == pytest.approx(float(aspect), rel=1e-3)
        assert clip[0].shape == (HEIGHT, WIDTH)


def test_aspect_of_pixels_is_inverted_by_a_quarter_turn(tmp_path: Path) -> None:
    with open_clip(write_aspect(tmp_path / "a.mp4", "libx264", Fraction(8, 9), degrees=90)) as clip:
        assert clip.pixel_aspect == pytest.approx(9 / 8)
        assert clip[0].shape == (WIDTH, HEIGHT)


def test_an_absurd_aspect_is_not_believed(tmp_path: Path) -> None:
    with open_clip(write_aspect(tmp_path / "a.mp4", "libx264", Fraction(40, 1))) as clip:
        assert clip.pixel_aspect == 1
        assert "not believed" in clip.notes[0]


def test_aspect_of_video_without_one(tmp_path: Path) -> None:
    with open_clip(write_video(tmp_path / "a.avi", "mjpeg", count=3, pixels="yuvj420p", b_frames=None)) as clip:
        assert (clip.pixel_aspect, clip.notes) == (1, ())


def test_zeros_between_the_pictures_of_mpeg_are_no_damage(tmp_path: Path) -> None:
    path = write_video(tmp_path / "stuffed.m2v", "mpeg2video", count=24, container="mpeg2video")
    expected = sequential(path)
    *before, last = path.read_bytes().split(b"\0\0\1\0")  # the start code of a picture
    middle = len(before) // 2
    stuffed = b"\0\0\1\0".join([*before[:middle], before[middle] + bytes(40), *before[middle + 1 :], last])
    path.write_bytes(stuffed + bytes(2))
    with open_clip(path) as clip:
        assert clip.n_frames == 24
        assert all(np.array_equal(clip[t], frame) for t, frame in enumerate(expected))
