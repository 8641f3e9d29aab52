# SPDX-License-Identifier: Apache-2.0
"""Damaged videos: a frame depends on file and number alone, and what is lost is named."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import fuzz_video
from clip_material import sequential, write_video
from vfss.clips import open_clip
from vfss.errors import ClipError


def damage(path: Path, number: int, *, keep: float = 0.0) -> Path:
    """Overwrite a packet of a video with ones, but for a part at its beginning."""
    with av.open(str(path)) as container:
        packet = [bytes(packet) for packet in container.demux(video=0) if packet.size][number]
    data = path.read_bytes()
    assert data.count(packet) == 1
    start = int(keep * len(packet))
    path.write_bytes(data.replace(packet, packet[:start] + b"\xff" * (len(packet) - start)))
    return path


def write_mjpeg(path: Path, count: int = 20) -> Path:
    return write_video(path, "mjpeg", count=count, pixels="yuvj420p", b_frames=None)


def test_order_of_reading_does_not_matter_in_damaged_videos(tmp_path: Path) -> None:
    """A short run of the program for long ones: python tests/support/fuzz_video.py."""
    kinds = ["mjpeg.avi", "mpeg2.mpg", "mpeg4.avi", "h264.mp4", "h264.avi", "ffv1.mkv"]
    faults: list[str] = []
    found = fuzz_video.run(12, 4, kinds, tmp_path, faults.append)
    assert faults == []
    assert found["files"] == 12


def test_the_check_of_the_order_can_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_mjpeg(tmp_path / "a.avi")
    opened = []

    def other_each_time(self: object, t: int) -> np.ndarray:
        opened.append(t)
        return np.full((2, 2), len(opened), np.uint8)

    monkeypatch.setattr("vfss.clips.video.clip.VideoClip.__getitem__", other_each_time)
    assert fuzz_video.check_order(path) is not None


@pytest.mark.parametrize("first", [0, 9, 19])
def test_a_junk_frame_is_lost_alone(tmp_path: Path, first: int) -> None:
    path = write_mjpeg(tmp_path / "a.avi")
    expected = sequential(path)
    damage(path, 9)
    with open_clip(path) as clip:
        assert clip.n_frames == 20
        for t in [first, *range(20)]:
            if t != 9:
                assert np.array_equal(clip[t], expected[t])
                continue
            with pytest.raises(ClipError, match="frame 9: cannot be decoded") as caught:
                clip[t]
            with clip.reopen() as again, pytest.raises(ClipError) as other:
                again[t]
            assert str(other.value) == str(caught.value)


@pytest.mark.parametrize("name", ["a.mpg", "a.avi", "a.mkv"])
def test_later_frames_keep_their_numbers(tmp_path: Path, name: str) -> None:
    codec = {"a.mpg": "mpeg2video", "a.avi": "mpeg4", "a.mkv": "libx264"}[name]
    path = write_video(tmp_path / name, codec)
    expected = sequential(path)
    if name == "a.mpg":
        data = bytearray(path.read_bytes())
        at = data.find(b"\0\0\1\x00", len(data) // 3)
        data[at + 30 : at + 90] = b"\xff" * 60
        path.write_bytes(data)
    else:
        damage(path, 14, keep=0.3)
    lost = []
    with open_clip(path) as clip:
        assert clip.n_frames == 40
        for t in [39, 2, *range(40)]:
            try:
                assert np.array_equal(clip[t], expected[t]), t
            except ClipError:
                lost.append(t)
    assert lost and max(lost) - min(lost) < 13


def test_frame_0_that_is_lost_is_noted(tmp_path: Path) -> None:
    path = damage(write_mjpeg(tmp_path / "a.avi"), 0)
    with open_clip(path) as clip, clip.reopen() as again:
        assert clip.notes == again.notes
        assert "The first frame cannot be decoded" in clip.notes[0]
        assert clip[1].shape == (48, 64)
        with pytest.raises(ClipError):
            clip[0]


@pytest.mark.parametrize(("name", "codec"), [("a.avi", "mjpeg"), ("a.mkv", "libx264")])
def test_a_clip_of_which_no_frame_can_be_decoded_is_refused(tmp_path: Path, name: str, codec: str) -> None:
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = write_video(tmp_path / name, codec, count=4, pixels=pixels, b_frames=0)
    for number in range(4):
        damage(path, number)
    with pytest.raises(ClipError, match=r"no frame that can be decoded|cannot be opened") as caught:
        open_clip(path)
    assert caught.value.path == path


def break_index(path: Path, *, declared: int | None = None, keep: int | None = None) -> Path:
    """Change an AVI file: offsets of its index to nonsense, entries of the index left out, or its declared length."""
    data = bytearray(path.read_bytes())
    at = data.find(b"idx1")
    size = struct.unpack_from("<I", data, at + 4)[0]
    if declared is not None:
        struct.pack_into("<I", data, data.find(b"strh") + 40, declared)
        struct.pack_into("<I", data, data.find(b"avih") + 24, declared)
    elif keep is None:
        for entry in range(at + 8, at + 8 + size, 16):
            struct.pack_into("<I", data, entry + 8, 0x7FFFFF00)
    else:
        data[at + 8 + 16 * keep : at + 8 + size] = b""
        struct.pack_into("<I", data, at + 4, 16 * keep)
        struct.pack_into("<I", data, 4, len(data) - 8)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(("codec", "keep"), [("mjpeg", None), ("mjpeg", 1), ("mpeg4", None), ("libx264", 7)])
def test_an_index_that_lies_is_not_used(tmp_path: Path, codec: str, keep: int | None) -> None:
    path = write_video(tmp_path / "a.avi", codec, pixels="yuvj420p" if codec == "mjpeg" else "yuv420p", b_frames=0)
    expected = sequential(path)
    break_index(path, keep=keep)
    with open_clip(path) as clip:
        assert clip.n_frames == 40
        for t in (39, 3, 20, 19):
            assert np.array_equal(clip[t], expected[t])
        assert not clip.notes or "40" in clip.notes[0]


def test_a_header_that_declares_more_frames_is_noted(tmp_path: Path) -> None:
    with open_clip(break_index(write_mjpeg(tmp_path / "a.avi"), declared=25)) as clip:
        assert clip.n_frames == 20
        assert "25" in clip.notes[0] and "20" in clip.notes[0]


@pytest.mark.parametrize("kind", ["cinepak.avi", "msvideo1.avi", "ffv1.mkv"])
def test_key_frames_of_the_container_are_not_trusted(tmp_path: Path, kind: str) -> None:
    path = fuzz_video.make(tmp_path / kind, kind)
    with open_clip(path) as clip:
        expected = [clip[t] for t in range(24)]
    data = bytearray(path.read_bytes())
    at = data.find(b"idx1")
    if at >= 0:  # every frame is marked as a key frame
        for entry in range(at + 8, at + 8 + struct.unpack_from("<I", data, at + 4)[0], 16):
            struct.pack_into("<I", data, entry + 4, 0x10)
        path.write_bytes(data)
    with open_clip(path, cache_bytes=1) as clip:
        for t in (23, 5, 22, 11, 10):
            assert np.array_equal(clip[t], expected[t]), t


def test_an_index_in_another_order_than_the_file(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", "mpeg4", b_frames=0)
    expected = sequential(path)
    data = bytearray(path.read_bytes())
    at = data.find(b"idx1") + 8
    entries = [data[entry : entry + 16] for entry in range(at, at + 16 * 40, 16)]
    data[at : at + 16 * 40] = b"".join(reversed(entries))
    path.write_bytes(data)
    with open_clip(path) as clip:
        assert clip.n_frames == 40
        assert all(np.array_equal(clip[t], expected[t]) for t in (39, 0, 20))


@pytest.mark.parametrize("kind", ["mjpeg.avi", "raw.avi", "png.mov", "mpeg2.mpg"])
def test_a_size_that_is_claimed_is_not_allocated(tmp_path: Path, kind: str) -> None:
    path = fuzz_video.make(tmp_path / kind, kind)
    data = bytearray(path.read_bytes())
    for mark, offset, layout in (
        (b"strf", 12, "<ii"),
        (b"\xff\xc0", 5, ">HH"),
        (b"IHDR", 4, ">II"),
        (b"png \0", 32, ">HH"),
    ):
        at = data.find(mark)
        while at >= 0:
            struct.pack_into(layout, data, at + offset, 30000, 30000)
            at = data.find(mark, at + 4)
    data = data.replace(b"\0\0\1\xb3\x04\x00\x30", b"\0\0\1\xb3\xff\xff\xff")
    path.write_bytes(data)
    resource: Any = pytest.importorskip("resource")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ClipError, match="no frame that can be decoded"):
        open_clip(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024  # KiB


def test_frames_that_are_listed_without_bytes_are_refused(tmp_path: Path) -> None:
    path = fuzz_video.make(tmp_path / "h264.mp4", "h264.mp4")
    data = bytearray(path.read_bytes())
    struct.pack_into(">II", data, data.find(b"stsz") + 8, 1000, 2_000_000)
    struct.pack_into(">I", data, data.find(b"stsc") + 16, 2_000_000)
    path.write_bytes(data)
    with pytest.raises(ClipError):
        open_clip(path)


def test_frames_lost_by_the_container_are_noted(tmp_path: Path) -> None:
    sound = fuzz_video.make(tmp_path / "a.mkv", "h264.mkv")
    with av.open(str(sound)) as container, av.open(str(tmp_path / "gap.mkv"), "w") as out:
        stream = out.add_stream_from_template(container.streams.video[0])
        for number, packet in enumerate(packet for packet in container.demux(video=0) if packet.size):
            if number < 8 or number >= 16:
                packet.stream = stream
                out.mux(packet)
    data = bytearray(sound.read_bytes())
    at = data.rfind(b"\xa3", 0, len(data) * 9 // 10)  # a block: what follows it is not found any more
    data[at - 200 : at + 200] = bytes(400)
    sound.write_bytes(data)
    for path in (sound, tmp_path / "gap.mkv"):
        with open_clip(path) as clip:
            assert clip.n_frames < 24
            assert "declares" in clip.notes[0] or "gaps" in clip.notes[0]
    with open_clip(fuzz_video.make(tmp_path / "b.mkv", "h264.mkv")) as clip:
        assert clip.notes == ()


def write_with_junk_in_each_frame(path: Path, count: int) -> Path:
    """Write JPEG pictures whose last restart interval is cut: a strict decoder refuses each, a lenient one none."""
    with av.open(str(write_mjpeg(path.with_name("sound.avi"), count))) as source, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                data = bytes(packet)
                short = av.Packet(data[: -len(data) // 8] + b"\xff\xd9")
                short.pts = short.dts = packet.pts
                short.time_base, short.stream, short.is_keyframe = packet.time_base, stream, True
                out.mux(short)
    return path


def test_a_recorder_that_breaks_the_rules_in_every_frame_is_read(tmp_path: Path) -> None:
    path = write_with_junk_in_each_frame(tmp_path / "habit.avi", 20)
    expected = sequential(path)
    with open_clip(path) as clip, clip.reopen() as again:
        assert "breaks rules" in clip.notes[0]
        for t in (9, 0, 19):  # below, one decoder for all frames would leave what it decoded before
            assert np.array_equal(clip[t][:16], expected[t][:16])
            assert np.array_equal(clip[t], again[t])
    with pytest.raises(ClipError):  # too few frames to call it a habit
        open_clip(write_with_junk_in_each_frame(tmp_path / "one.avi", 1))


def test_a_container_that_lost_all_but_its_first_frame_is_noted(tmp_path: Path) -> None:
    path = write_video(tmp_path / "short.mkv", "libx264", count=24)
    data = path.read_bytes()
    with av.open(str(path)) as container:
        second = [packet.pos for packet in container.demux(video=0) if packet.size][1]
    path.write_bytes(data[:second] + bytes(len(data) - second))
    with open_clip(path) as clip:
        assert clip.n_frames < 3
        assert "declares a duration of 0.80 s" in clip.notes[0]


def test_a_tape_that_ends_within_a_frame(tmp_path: Path) -> None:
    frames = np.repeat(np.arange(40, 200, 40, dtype=np.uint8)[:, None, None], 576, axis=1).repeat(720, axis=2)
    path = tmp_path / "tape.dv"
    with av.open(str(path), "w", format="dv") as out:
        stream: Any = out.add_stream("dvvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = 720, 576, "yuv420p"
        for frame in frames:
            grey = av.VideoFrame.from_ndarray(frame, format="gray")
            out.mux(stream.encode(grey.reformat(format="yuv420p")))
        out.mux(stream.encode())
    path.write_bytes(path.read_bytes()[:-1000])
    with open_clip(path) as clip:
        assert clip.n_frames == 4
        assert abs(int(clip[2].mean()) - 120) < 5
        with pytest.raises(ClipError, match="bytes of it are missing"):
            clip[3]


def test_frames_outside_of_an_edit_list_are_told(tmp_path: Path) -> None:
    path = write_video(tmp_path / "cut.mp4", "libx264", count=24, pts=range(-8, 16), b_frames=0)
    with open_clip(path) as clip:
        assert clip.n_frames == 16
        assert clip.notes == ("The file asks to leave out 8 frames (edit list), which is done",)


def test_a_second_video_track_is_told(tmp_path: Path) -> None:
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as out:
        streams: list[Any] = [out.add_stream("mjpeg", rate=25) for _ in range(2)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        for stream, level in zip(streams, (60, 180), strict=True):
            for _ in range(3):
                grey = av.VideoFrame.from_ndarray(np.full((48, 64), level, np.uint8), format="gray")
                out.mux(stream.encode(grey.reformat(format="yuvj420p")))
    with open_clip(path) as clip:
        assert abs(int(clip[0].mean()) - 60) < 5
        assert clip.notes == ("The file holds 2 video tracks, of which the first is shown",)
