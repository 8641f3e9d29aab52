# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image, PngImagePlugin

import planted
from small_project import grey_frames, write_stack
from vfss.clips import ArrayClip, Clip, open_clip
from vfss.deidentify import PixelBox, Redaction
from vfss.deidentify.video import SUFFIX, frame_ticks, write_video

PTS = (0, 33, 67, 100, 180, 213)
REDACTION = Redaction((PixelBox(0, 0, 9, 30),), PixelBox(1, 0, 48, 51))


def expect_same(clip: Clip, target: Path, redaction: Redaction | None = None) -> None:
    redaction = redaction or Redaction()
    with open_clip(target) as written:
        assert written.n_frames == clip.n_frames and written.dtype == clip.dtype
        assert np.abs(written.times_s - clip.times_s).max() < 1e-6
        for t in (*range(clip.n_frames), 0):
            assert np.array_equal(written[t], redaction.pixels(clip[t]))


def test_no_planted_secret_of_a_video_remains_in_any_byte(tmp_path: Path) -> None:
    source = planted.write_video(tmp_path / f"{planted.ID}.mkv", grey_frames(6, 48, 64), PTS)
    planted_there = (*planted.NAME.split("^"), planted.ID, planted.DAY, planted.PLACE, "Wenzel")
    assert {leak.split(" in ")[0] for leak in planted.leaks(tmp_path, planted_there)} == set(planted_there)
    target = tmp_path / "out" / f"clip{SUFFIX}"
    target.parent.mkdir()
    with open_clip(source) as clip:
        assert write_video(clip, target, REDACTION)
        expect_same(clip, target, REDACTION)
    assert planted.leaks(target.parent) == []
    with av.open(str(target)) as container:
        assert [stream.type for stream in container.streams] == ["video"]
        assert not container.chapters()
        assert container.metadata == {"encoder": "Lavf"}  # the format requires the muxer's name, without a version
        assert not {"title", "comment", "encoder"} & set(container.streams.video[0].metadata)
    with open_clip(target) as written:
        assert all((written[t][: 9 - 1, :30] == 0).all() for t in range(6))


def write_crowded(path: Path, frames: np.ndarray, sei: bytes) -> Path:
    """Write H.264 in Matroska with subtitles, an attached file, data in each picture's header, and tags on all."""
    start, uuid = b"\0\0\0\1", b"0123456789abcdef"
    message = b"\x06\x05" + bytes([len(uuid + sei)]) + uuid + sei + b"\x80"  # user data, unregistered
    with av.open(str(path), "w") as out:
        out.metadata.update({"title": planted.NAME, "comment": planted.PLACE})
        stream: Any = out.add_stream("libx264", rate=25, options={"qp": "0", "bf": "0"})
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:], "gray"
        texts: Any = out.add_mux_stream("subrip")
        texts.time_base = Fraction(1, 1000)
        texts.metadata["title"] = planted.DOCTOR
        out.add_attachment("letter.txt", "text/plain", planted.DOCTOR.encode())
        for t, frame in enumerate(frames):
            for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format="gray")):
                with_message = av.Packet(start + message + bytes(packet))
                with_message.stream, with_message.time_base = stream, packet.time_base
                with_message.pts, with_message.dts, with_message.is_keyframe = (
                    packet.pts,
                    packet.dts,
                    packet.is_keyframe,
                )
                out.mux(with_message)
            line = av.Packet(planted.NAME.encode())
            line.stream, line.time_base, line.duration = texts, Fraction(1, 1000), 40
            line.pts = line.dts = 40 * t
            out.mux(line)
        for packet in stream.encode():
            out.mux(packet)
    return path


def test_subtitles_attachments_and_data_inside_the_stream_do_not_come_out(tmp_path: Path) -> None:
    source = write_crowded(tmp_path / "in.mkv", grey_frames(5, 48, 64), planted.ID.encode())
    there = (*planted.NAME.split("^"), planted.ID, "Wenzel", *planted.PLACE.split())
    assert {leak.split(" in ")[0] for leak in planted.leaks(tmp_path, there)} == set(there)
    target = tmp_path / "out" / f"clip{SUFFIX}"
    target.parent.mkdir()
    with open_clip(source) as clip:
        assert write_video(clip, target, REDACTION)
        expect_same(clip, target, REDACTION)
    assert planted.leaks(target.parent) == []
    assert b"x264" not in target.read_bytes()
    with av.open(str(target)) as container:
        assert [stream.type for stream in container.streams] == ["video"]


@pytest.mark.parametrize("bits", [8, 9, 10, 12, 14, 16])
@pytest.mark.parametrize(("height", "width"), [(48, 64), (33, 35)])
def test_all_depths_and_odd_sizes_are_exact(tmp_path: Path, bits: int, height: int, width: int) -> None:
    frames = grey_frames(3, height, width, bits=16) >> (16 - bits)
    clip = ArrayClip(frames.astype(np.uint8) if bits == 8 else frames, bits=bits, fps=29.97)
    target = tmp_path / f"clip{SUFFIX}"
    assert write_video(clip, target, Redaction())
    expect_same(clip, target)
    with open_clip(target) as written:
        assert written.bits == (10 if bits == 9 else bits)


def test_stacks_and_folders_become_videos(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for t, frame in enumerate(grey_frames(3, 20, 24)):
        about = PngImagePlugin.PngInfo()
        about.add_text("Title", planted.PLACE)
        Image.fromarray(frame).save(folder / f"{planted.ID}_{t}.png", pnginfo=about)
    stack = write_stack(tmp_path / "stack.tif", grey_frames(3, 20, 24, bits=16))
    (tmp_path / "out").mkdir()
    for number, source in enumerate((folder, stack)):
        with open_clip(source) as clip:
            write_video(clip, tmp_path / "out" / f"{number}{SUFFIX}", Redaction())
            expect_same(clip, tmp_path / "out" / f"{number}{SUFFIX}")
    assert planted.leaks(tmp_path / "out") == []


@pytest.mark.parametrize("aspect", [8 / 9, 16 / 11, 2.0])
@pytest.mark.parametrize("crop", [None, PixelBox(1, 0, 48, 51)])
def test_pixels_that_are_not_square_stay_so(tmp_path: Path, aspect: float, crop: PixelBox | None) -> None:
    clip = ArrayClip(grey_frames(3, 48, 64))
    clip.pixel_aspect = aspect
    assert write_video(clip, tmp_path / "clip.mkv", Redaction(crop=crop))
    expect_same(clip, tmp_path / "clip.mkv", Redaction(crop=crop))
    with open_clip(tmp_path / "clip.mkv") as written:
        assert written.pixel_aspect == pytest.approx(aspect, rel=2e-3)


def test_single_frame_and_cancellation(tmp_path: Path) -> None:
    clip = ArrayClip(grey_frames(1, 20, 24))
    assert write_video(clip, tmp_path / "one.mkv", Redaction())
    expect_same(clip, tmp_path / "one.mkv")
    progress: list[int] = []
    many = ArrayClip(grey_frames(5, 20, 24))
    assert not write_video(
        many, tmp_path / "cancelled.mkv", Redaction(), lambda done: progress.append(done) or done < 2
    )
    assert progress == [1, 2]


def test_times_are_exact_to_the_microsecond(tmp_path: Path) -> None:
    for times in (np.arange(40) * 1001 / 30000, np.array([0, 0.04, 0.12]), np.array([0, 1e-9, 2e-9, 0.5, 4000.0])):
        ticks = frame_ticks(times)
        assert (np.diff(ticks) > 0).all() and np.abs(ticks / 1e6 - times).max() < 3e-6
        clip = ArrayClip(grey_frames(len(times), 20, 24), times_s=times)
        (tmp_path / "clip.mkv").unlink(missing_ok=True)
        assert write_video(clip, tmp_path / "clip.mkv", Redaction())
        with open_clip(tmp_path / "clip.mkv") as written:
            assert np.abs(written.times_s - ticks / 1e6).max() < 1e-9


@pytest.mark.parametrize("rate", [None, 15.0])
def test_assumed_times_stay_assumed(tmp_path: Path, rate: float | None) -> None:
    with open_clip(write_stack(tmp_path / "stack.tif", grey_frames(4, 32, 48))) as clip:
        clip.retime(rate)
        assert write_video(clip, tmp_path / "copy.mkv", Redaction())
        with open_clip(tmp_path / "copy.mkv") as copy, copy.reopen() as again:
            assert copy.times_from == again.times_from == ("assumed" if rate is None else "file")
            assert copy.times_s == pytest.approx(clip.times_s, abs=1e-6)
