# SPDX-License-Identifier: Apache-2.0
"""Playback: every frame at its true time, none left out, and a word where the computer is too slow."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_vfss.viewer.playback import Pace, Playback

TIMES = np.array([0.0, 0.04, 0.08, 0.12, 0.20, 0.24, 0.28, 0.32, 0.36, 0.40])


def played(pace, drawing_s, start=0, steps=60):
    """Frames and moments at which they are seen, where drawing a frame takes that long."""
    now, frame, seen = 100.0, start, []
    pace.begin(now)
    before = frame
    for _ in range(steps):
        seen.append((frame, now))
        now += pace.wait(before, frame, now)
        before, follower = frame, pace.after(frame)
        if follower is None:
            break
        frame = follower
        now += drawing_s
    return seen


def test_frames_come_at_the_recordings_own_times():
    seen = played(Pace(TIMES), drawing_s=0.01)
    assert [frame for frame, _ in seen] == list(range(10))
    # What drawing takes is taken off the wait: the error never grows.
    assert np.allclose([now - seen[0][1] for _, now in seen], TIMES, atol=0.011)


@pytest.mark.parametrize("speed", [0.25, 0.5, 2.0])
def test_other_speeds_stretch_time(speed):
    pace = Pace(TIMES)
    pace.speed = speed
    seen = played(pace, drawing_s=0.001)
    assert seen[-1][1] - seen[0][1] == pytest.approx(TIMES[-1] / speed, abs=0.002)


def test_a_slow_computer_plays_slower_leaves_nothing_out_and_says_so():
    times = np.arange(300) / 30
    pace = Pace(times)
    seen = played(pace, drawing_s=1 / 14, steps=80)
    assert [frame for frame, _ in seen] == list(range(80))
    assert pace.real_speed == pytest.approx(14 / 30, abs=0.02)
    assert "14 of 30 frames a second" in pace.status
    assert "0.47x" in pace.status
    quick = Pace(times)
    played(quick, drawing_s=0.002, steps=80)
    assert quick.status == "playing at 1x"


def test_a_moment_of_slowness_is_caught_up_and_a_long_one_is_not():
    pace = Pace(np.arange(100) / 20)
    pace.begin(0.0)
    assert pace.wait(0, 0, 0.05) == pytest.approx(0.0)  # due at 0.05 already
    assert pace.wait(0, 1, 5.0) == 0.0
    assert pace.wait(1, 2, 5.0) <= 0.05


@given(first=st.integers(0, 9), length=st.integers(0, 9), start=st.integers(0, 9))
def test_a_loop_shows_all_of_its_frames_in_order_for_ever(first, length, start):
    pace = Pace(TIMES)
    last = min(9, first + length)
    pace.loop = (first, last)
    frames, frame = [], start
    for _ in range(25):
        frame = pace.after(frame)
        frames.append(frame)
    inside = frames if not first <= start < last else frames[last - start :]
    expected = [first + i % (last - first + 1) for i in range(len(inside))]
    assert inside == expected


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def playback(qapp, session):
    made = Playback(clock=Clock())
    made.open(session, None)
    yield made
    made.close()


def test_it_walks_through_all_frames_and_ends_on_the_last(playback, session, qtbot):
    seen = []
    session.frame_changed.connect(seen.append)
    playback.set_speed(2.0)
    with qtbot.waitSignal(playback.changed, timeout=30_000, check_params_cb=None):
        playback.play()
    qtbot.waitUntil(lambda: not playback.playing, timeout=30_000)
    assert seen == list(range(1, session.clip.n_frames))
    playback.play()  # again, from the start
    assert session.frame == 0
    assert playback.playing


def test_a_person_may_go_elsewhere_meanwhile_and_it_goes_on_from_there(playback, session, qtbot):
    seen = []
    playback.set_loop((2, 9))
    session.frame_changed.connect(seen.append)
    playback.play()
    qtbot.waitUntil(lambda: 4 in seen, timeout=30_000)
    session.go_to(20)
    del seen[:]
    qtbot.waitUntil(lambda: len(seen) > 9, timeout=30_000)
    assert seen[:9] == [2, 3, 4, 5, 6, 7, 8, 9, 2]
    playback.toggle()
    assert not playback.playing
    playback.close()
    playback.play()
    assert not playback.playing
