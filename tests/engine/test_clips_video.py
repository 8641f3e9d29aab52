# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import imageio.v3 as iio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clip_material import HEIGHT, WIDTH, pictures, sequential, shared, write_video
from vfss.clips import Clip, open_clip
from vfss.errors import ClipError

FRAME = HEIGHT * WIDTH
OPEN_GOP = {"x264-params": "open-gop=1:keyint=12:min-keyint=12:bframes=3:b-adapt=0:scenecut=0"}
REFRESH = {"x264-params": "intra-refresh=1:keyint=12:bframes=2"}
HEVC = {"x265-params": "log-level=none:keyint=12:open-gop=1"}
MADE: dict[str, tuple[str, dict[str, Any]]] = {
    "b_frames.mp4": ("libx264", {}),
    "open_gop.mp4": ("libx264", {"options": OPEN_GOP}),
    "refresh.mp4": ("libx264", {"options": REFRESH}),
    "hevc.mp4": ("libx265", {"options": HEVC}),
    "no_times.avi": ("libx264", {}),
    "no_times_open_gop.avi": ("libx264", {"options": OPEN_GOP}),
    "mpeg4.avi": ("mpeg4", {}),
    "grey.avi": ("rawvideo", {"pixels": "gray", "b_frames": None}),
    "photo.avi": ("mjpeg", {"pixels": "yuvj420p", "b_frames": None}),
    "program.mpg": ("mpeg2video", {}),
    "program1.mpg": ("mpeg1video", {}),
    "transport.mpg": ("libx264", {"container": "mpegts"}),
    "h264_program.mpg": ("libx264", {"container": "vob"}),
    "windows.wmv": ("wmv2", {"b_frames": 0}),
    "matroska.mkv": ("libx264", {}),
    "hidden.webm": ("libvpx", {"b_frames": 0, "options": {"auto-alt-ref": "1", "lag-in-frames": "16"}}),
    "quicktime.mov": ("mpeg4", {}),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("videos")
    for name, (codec, how) in MADE.items():
        write_video(made / name, codec, **how)
    return made


def check_frame(clip: Clip, t: int, expected: np.ndarray) -> None:
    frame = clip[t]
    assert frame.dtype == expected.dtype
    assert np.array_equal(frame, expected), t


@pytest.mark.parametrize("name", MADE)
def test_any_order_equals_sequential_decoding(folder: Path, name: str) -> None:
    expected = sequential(folder / name)
    with open_clip(folder / name) as clip, open_clip(folder / name, cache_bytes=4 * FRAME) as tight:
        assert len(clip) == len(expected) == 40
        assert (clip.height, clip.width, clip.bits) == (HEIGHT, WIDTH, 8)
        assert (np.diff(clip.times_s) > 0).all()
        order = [*np.random.default_rng(3).permutation(40).tolist(), *range(39, -1, -1), *range(40)]
        for t in order:
            check_frame(clip, t, expected[t])
            check_frame(tight, t, expected[t])


@settings(max_examples=30, deadline=None)
@given(
    name=st.sampled_from(["b_frames.mp4", "open_gop.mp4", "no_times.avi", "program.mpg", "h264_program.mpg"]),
    order=st.lists(st.integers(0, 39), min_size=1, max_size=25),
    room=st.integers(1, 12),
)
def test_random_walks_equal_sequential_decoding(folder: Path, name: str, order: list[int], room: int) -> None:
    expected = sequential(folder / name)
    with open_clip(folder / name, cache_bytes=room * FRAME) as clip:
        for t in order:
            check_frame(clip, t, expected[t])


def test_agrees_with_imageio(folder: Path) -> None:
    expected = iio.imread(folder / "b_frames.mp4", plugin="pyav", format="gray")
    with open_clip(folder / "b_frames.mp4") as clip:
        assert np.array_equal(np.stack([clip[t] for t in reversed(range(40))])[::-1], np.squeeze(expected))


def test_lossless_grey_decodes_exactly(folder: Path) -> None:
    with open_clip(folder / "grey.avi") as clip:
        assert np.array_equal(clip[17], pictures(40)[17])


@pytest.mark.parametrize(("pixels", "bits"), [("gray10le", 10), ("gray12le", 12), ("gray16le", 16)])
def test_deep_video_keeps_its_bits(tmp_path: Path, pixels: str, bits: int) -> None:
    path = write_video(tmp_path / "deep.mkv", "ffv1", pixels=pixels, b_frames=None, frames=pictures(14, 16))
    with open_clip(path) as clip:
        assert (clip.bits, clip[0].dtype) == (bits, np.uint16)
        assert np.array_equal(clip[9], sequential(path, pixels)[9])
        assert clip.as_uint8(9).dtype == np.uint8
        low, high = clip.window
        assert 0 < low < high < (1 << bits)
        assert clip.as_uint8(9).max() == 255


def test_grey_stored_as_colour_becomes_exactly_grey(tmp_path: Path) -> None:
    path = write_video(tmp_path / "rgb.avi", "rawvideo", pixels="bgr24", b_frames=None)
    with open_clip(path) as clip:
        assert np.array_equal(clip[5], pictures(40)[5])


def test_times_of_a_variable_frame_rate(tmp_path: Path) -> None:
    pts = np.cumsum(np.random.default_rng(1).integers(1, 5, 40)).tolist()
    path = write_video(tmp_path / "variable.mkv", "libx264", pts=pts)
    expected = sequential(path)
    with open_clip(path) as clip:
        assert np.allclose(clip.times_s, (np.array(pts) - pts[0]) / 30, atol=1.1e-3)  # Matroska keeps milliseconds
        for t in (39, 0, 20, 19, 18):
            check_frame(clip, t, expected[t])


def test_dropped_frames_of_a_capture_are_gaps_in_time(tmp_path: Path) -> None:
    pts = [0, 1, 2, 5, 6, 9, *range(10, 44)]
    path = write_video(tmp_path / "dropped.avi", "mpeg4", b_frames=0, pts=pts)
    with open_clip(path) as clip:
        assert clip.n_frames == 40
        assert np.allclose(clip.times_s, np.array(pts) / 30)


def test_backward_steps_do_not_decode_the_group_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vfss.clips.video.packets import PacketReader

    starts: list[int] = []
    original = PacketReader.packets

    def counted(self: PacketReader, table: Any, start: int, stop: int) -> Any:
        starts.append(start)
        return original(self, table, start, stop)

    with open_clip(folder / "b_frames.mp4") as clip:
        monkeypatch.setattr(PacketReader, "packets", counted)
        for t in range(39, -1, -1):
            clip[t]
    assert len(starts) == len(set(starts))


def test_cache_is_bounded(folder: Path) -> None:
    with open_clip(folder / "b_frames.mp4", cache_bytes=6 * FRAME) as clip:
        for t in (30, 3, 39, 17, 16):
            clip[t]
            assert clip.cached_bytes <= 6 * FRAME  # type: ignore[attr-defined]


def test_negative_and_outside_frames(folder: Path) -> None:
    with open_clip(folder / "b_frames.mp4") as clip:
        assert np.array_equal(clip[-1], clip[39])
        for t in (40, -41):
            with pytest.raises(IndexError):
                clip[t]


def test_frames_are_read_only(folder: Path) -> None:
    with open_clip(folder / "b_frames.mp4") as clip, pytest.raises(ValueError, match="read-only"):
        clip[3][0, 0] = 1


def test_reopened_clip_is_independent(folder: Path) -> None:
    clip = open_clip(folder / "b_frames.mp4")
    other = clip.reopen()
    frame = clip[20].copy()
    clip.close()
    with pytest.raises(ClipError, match="closed"):
        clip[20]
    assert other.id == clip.id
    assert np.array_equal(other[20], frame)
    other.close()


def test_several_threads_read_one_clip(folder: Path) -> None:
    expected = sequential(folder / "b_frames.mp4")
    wrong: list[int] = []
    with open_clip(folder / "b_frames.mp4", cache_bytes=5 * FRAME) as clip:

        def walk(seed: int) -> None:
            for t in np.random.default_rng(seed).integers(0, 40, 30).tolist():
                if not np.array_equal(clip[t], expected[t]):
                    wrong.append(t)

        threads = [threading.Thread(target=walk, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def remux(source: Path, path: Path, change: Callable[[list[av.Packet]], list[tuple[bytes, int, bool]]]) -> Path:
    """Write the changed packets of a file to Matroska; `change` returns data, time stamp in ms and key flag of each."""
    with av.open(str(source)) as container, av.open(str(path), "w", format="matroska") as out:
        stream = out.add_stream_from_template(container.streams.video[0])
        packets = [p for p in container.demux(video=0) if p.size]
        for dts, (data, pts, is_key) in enumerate(change(packets), -1000):
            packet = av.Packet(data)
            packet.pts, packet.dts = pts, dts
            packet.time_base, packet.stream, packet.is_keyframe = Fraction(1, 1000), stream, is_key
            out.mux(packet)
    return path


@pytest.mark.parametrize("source", ["b_frames.mp4", "program.mpg"])
@pytest.mark.parametrize("wrong_from", [0, 24])
def test_time_stamps_in_the_wrong_order(folder: Path, tmp_path: Path, source: str, wrong_from: int) -> None:
    def in_decoding_order(packets: list[av.Packet]) -> list[tuple[bytes, int, bool]]:
        first = min(float(p.pts * p.time_base) for p in packets)
        true = [round(1000 * (float(p.pts * p.time_base) - first)) for p in packets]
        pts = [*true[:wrong_from], *sorted(true[wrong_from:])]
        return [(bytes(p), t, p.is_keyframe) for p, t in zip(packets, pts, strict=True)]

    path = remux(folder / source, tmp_path / "lies.mkv", in_decoding_order)
    expected = sequential(path)
    with open_clip(path) as clip:
        assert clip.n_frames == len(expected) == 40
        for t in [39, 5, 30, 29, 28, *range(40)]:
            check_frame(clip, t, expected[t])


@pytest.mark.parametrize("hidden_after", [5, 25])
def test_frames_that_are_never_shown(folder: Path, tmp_path: Path, hidden_after: int) -> None:
    def with_hidden_frame(packets: list[av.Packet]) -> list[tuple[bytes, int, bool]]:
        made = [(bytes(p), 33 * n, p.is_keyframe) for n, p in enumerate(packets)]
        data = bytearray(made[hidden_after][0])
        data[0] &= ~0x10  # the bit of VP8 that marks a frame as shown
        made.insert(hidden_after + 1, (bytes(data), 33 * hidden_after + 9, False))
        return made

    path = remux(folder / "hidden.webm", tmp_path / "hidden.mkv", with_hidden_frame)
    expected = sequential(path)
    assert len(expected) == 40
    with open_clip(path) as clip:
        for t in [39, 5, 30, 29, 28, *range(40)]:
            check_frame(clip, t, expected[t])
        assert clip.n_frames == 40


def test_not_coded_pictures_repeat_the_last_one(folder: Path, tmp_path: Path) -> None:
    def with_picture_not_coded(packets: list[av.Packet]) -> list[tuple[bytes, int, bool]]:
        made = [(bytes(p), 33 * n, p.is_keyframe) for n, p in enumerate(packets)]
        # Start code, predicted, time 0, marker, increment 0 of 5 bits, marker, not coded, stuffing.
        made.insert(30, (bytes.fromhex("000001b6") + bytes([0b01010000, 0b01011111]), 33 * 29 + 9, False))
        return made

    source = write_video(tmp_path / "plain.avi", "mpeg4", b_frames=0)
    path = remux(source, tmp_path / "dropped.mkv", with_picture_not_coded)
    expected = sequential(path)
    with open_clip(path) as clip:
        assert clip.n_frames == len(expected) == 40
        for t in [39, 5, 30, 29, 28, *range(40)]:
            check_frame(clip, t, expected[t])


@pytest.mark.parametrize("name", ["b_frames.mp4", "mpeg4.avi", "photo.avi", "matroska.mkv"])
def test_damage_in_the_middle_names_the_frame_and_leaves_the_rest_readable(
    folder: Path, tmp_path: Path, name: str
) -> None:
    expected = sequential(folder / name)
    with av.open(str(folder / name)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    data = bytearray((folder / name).read_bytes())
    at = data.find(packets[20])
    data[at + len(packets[20]) // 4 : at + len(packets[20])] = bytes(len(packets[20]) - len(packets[20]) // 4)
    path = tmp_path / name
    path.write_bytes(data)
    lost = []
    with open_clip(path) as clip:
        for t in range(40):
            try:
                check_frame(clip, t, expected[t])
            except ClipError as error:
                assert (error.frame, error.path) == (t, path)
                lost.append(t)
    assert lost
    assert min(lost) >= 17 and max(lost) < 24  # nothing outside its group


@pytest.mark.parametrize("name", ["lateral_facing_right.mp4", "lateral_facing_right.avi"])
def test_real_recordings(name: str) -> None:
    path = shared() / "data" / "clips" / name
    if not path.exists():
        pytest.skip(f"{path} is not here")
    expected = sequential(path)
    with open_clip(path) as clip:
        assert clip.n_frames == len(expected)
        assert np.allclose(np.diff(clip.times_s), 1 / 12)
        for t in (50, 3, 59, 58, 57, 0):
            check_frame(clip, t, expected[t])
