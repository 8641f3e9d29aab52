# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clip_material import pictures
from vfss.clips import SUFFIXES, ArrayClip, can_open, content_id
from vfss.clips.cached import LazyClip
from vfss.clips.clip import Frame
from vfss.clips.content_id import HASHED_IN_FULL_BYTES
from vfss.clips.grey import collapse, measured_window
from vfss.errors import ClipError


def test_array_clip_returns_its_frames() -> None:
    frames = pictures(5)
    clip = ArrayClip(frames, fps=25)
    assert (clip.n_frames, clip.height, clip.width, clip.bits) == (5, 48, 64, 8)
    assert np.allclose(clip.times_s, np.arange(5) / 25)
    assert np.array_equal(clip[-1], frames[4])
    assert clip.as_uint8(2) is not None
    with pytest.raises(IndexError):
        clip[5]
    with pytest.raises(ValueError, match="read-only"):
        clip[0][0, 0] = 0
    frames[0, 0, 0] = 9  # its owner may go on writing
    assert clip[0][0, 0] == 9


def test_array_clip_is_identified_by_its_content() -> None:
    assert ArrayClip(pictures(3)).id == ArrayClip(pictures(3).copy()).id
    assert ArrayClip(pictures(3)).id != ArrayClip(pictures(4)).id
    assert ArrayClip(pictures(3)).id != ArrayClip(pictures(3).astype(np.uint16)).id
    assert ArrayClip(pictures(3), clip_id="mine").id == "mine"


def test_reopened_array_clip_has_the_same_attributes() -> None:
    clip = ArrayClip(pictures(3, 12), times_s=[0, 0.1, 0.4], bits=12, facing="left", inverted=True, window=(100, 3000))
    other = clip.reopen()
    clip.close()
    with pytest.raises(ClipError, match="closed"):
        clip[0]
    assert (other.bits, other.facing, other.inverted, other.window) == (12, "left", True, (100, 3000))
    assert other.times_s.tolist() == [0, 0.1, 0.4]
    assert np.array_equal(other[2], pictures(3, 12)[2])


@pytest.mark.parametrize(
    "frames", [np.zeros((4, 4), np.uint8), np.zeros((2, 4, 4), np.float32), np.zeros((0, 4, 4), np.uint8)]
)
def test_array_clip_refuses_other_arrays(frames: np.ndarray) -> None:
    with pytest.raises(ClipError, match="uint8 or uint16"):
        ArrayClip(frames)


def test_times_must_fit_the_frames() -> None:
    with pytest.raises(ClipError, match="2 times for 3 frames"):
        ArrayClip(pictures(3), times_s=[0, 1])


class CountedClip(LazyClip):
    """Ten frames of 64 bytes, frame t filled with t; `reads` are the frames read from the source."""

    def __init__(self, cache_bytes: int) -> None:
        super().__init__(
            clip_id="counted",
            source=None,
            n_frames=10,
            height=8,
            width=8,
            bits=8,
            times_s=np.arange(10.0),
            cache_bytes=cache_bytes,
        )
        self.reads: list[int] = []

    def reopen(self) -> CountedClip:
        return CountedClip(0)

    def _release(self) -> None:
        pass

    def _read(self, t: int) -> Frame:
        self.reads.append(t)
        return np.full((8, 8), t, np.uint8)


@settings(max_examples=60, deadline=None)
@given(room=st.integers(0, 400), frames=st.lists(st.integers(0, 9), max_size=40))
def test_cache_holds_the_last_frames_within_its_bytes(room: int, frames: list[int]) -> None:
    clip = CountedClip(room)
    cached: list[int] = []  # the frame used last at the end
    reads = []
    for t in frames:
        assert (clip[t] == t).all()
        if t in cached:
            cached.remove(t)
        else:
            reads.append(t)
        cached = [*cached, t][-max(1, room // 64) :]  # the newest frame is kept, however small the cache
        assert clip.reads == reads


@given(st.integers(0, 255), st.sampled_from([1, 2, 3, 4]))
def test_grey_stored_as_colour_becomes_the_same_grey(value: int, channels: int) -> None:
    assert (collapse(np.full((3, 4, channels), value, np.uint8)) == value).all()


def test_colour_becomes_luma() -> None:
    colour = np.zeros((2, 2, 3), np.uint8)
    colour[..., 1] = 200
    assert (collapse(colour) == 117).all()


def test_window_excludes_rare_extremes() -> None:
    frame = np.full((100, 100), 500, np.uint16)
    frame[:, 50:] = 900
    frame[0, 0], frame[0, 1] = 4000, 0
    assert measured_window([frame], 12) == (500, 900)
    assert measured_window([np.full((4, 4), 7, np.uint16)], 12) == (6, 8)


def test_content_id_depends_on_content_and_not_on_path(tmp_path: Path) -> None:
    first, second = tmp_path / "a.mp4", tmp_path / "b.mp4"
    first.write_bytes(b"x" * 5000)
    second.write_bytes(b"x" * 5000)
    assert content_id(first) == content_id(str(second))
    assert content_id(first).startswith("b2-")
    assert len(content_id(first)) == 3 + 40
    second.write_bytes(b"x" * 4999 + b"y")
    assert content_id(first) != content_id(second)


@pytest.mark.parametrize("at", [0, HASHED_IN_FULL_BYTES // 2, 2 * HASHED_IN_FULL_BYTES - 1])
def test_content_id_of_a_large_file_depends_on_first_and_last_block_and_size(tmp_path: Path, at: int) -> None:
    first, second = tmp_path / "a.dcm", tmp_path / "b.dcm"
    for path in (first, second):
        with path.open("wb") as stream:
            stream.truncate(2 * HASHED_IN_FULL_BYTES)
    same = content_id(first)
    assert content_id(second) == same
    with second.open("r+b") as stream:
        stream.seek(at if at in (0, 2 * HASHED_IN_FULL_BYTES - 1) else 0)
        stream.write(b"y")
        if at == HASHED_IN_FULL_BYTES // 2:
            stream.truncate(2 * HASHED_IN_FULL_BYTES + 1)
    assert content_id(second) != same


def test_content_id_of_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ClipError, match=r"gone\.mp4"):
        content_id(tmp_path / "gone.mp4")


def test_can_open_checks_names_and_first_bytes(tmp_path: Path) -> None:
    assert {".mp4", ".avi", ".mov", ".mkv", ".mpg", ".wmv", ".dcm", ".tif"} <= SUFFIXES
    for name, content in (("a.MP4", b""), ("IM0001", bytes(128) + b"DICM"), ("b.txt", b"hello"), ("c.png", b"")):
        (tmp_path / name).write_bytes(content)
    assert can_open(tmp_path / "a.MP4")
    assert can_open(str(tmp_path / "IM0001"))
    assert can_open(tmp_path)  # for c.png
    for nothing in (tmp_path / "b.txt", tmp_path / "c.png", tmp_path / "gone.mp4", "\0", "~nobody-here/x.mp4"):
        assert not can_open(nothing)
