# SPDX-License-Identifier: Apache-2.0
"""Playback: every frame is shown at its time, none is skipped, and a slow computer is reported."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_vfss.viewer.playback import Pace, Playback

TIMES = np.array([0.0, 0.04, 0.08, 0.12, 0.20, 0.24, 0.28, 0.32, 0.36, 0.40])


def played(pace, drawing_s, start=0, steps=60):
    """Return (frame, time in s) pairs as shown, where drawing a frame takes `drawing_s`."""
    now, frame, shown = 100.0, start, []
    pace.begin(now)
    before = frame
    for _ in range(steps):
        shown.append((frame, now))
        now += pace.wait(before, frame, now)
        before, follower = frame, pace.after(frame)
        if follower is None:
            break
        frame = follower
        now += drawing_s
    return shown


def test_frames_are_shown_at_the_recordings_times():
    shown = played(Pace(TIMES), drawing_s=0.01)
    assert [frame for frame, _ in shown] == list(range(10))
    # The drawing time is subtracted from the wait, so that the error does not accumulate.
    assert np.allclose([now - shown[0][1] for _, now in shown], TIMES, atol=0.011)


@pytest.mark.parametrize("speed", [0.25, 0.5, 2.0])
def test_other_speeds_scale_time(speed):
    pace = Pace(TIMES)
    pace.speed = speed
    shown = played(pace, drawing_s=0.001)
    assert shown[-1][1] - shown[0][1] == pytest.approx(TIMES[-1] / speed, abs=0.002)


def test_a_slow_computer_plays_slower_skips_no_frame_and_reports_the_speed():
    times = np.arange(300) / 30
    pace = Pace(times)
    shown = played(pace, drawing_s=1 / 14, steps=80)
    assert [frame for frame, _ in shown] == list(range(80))
    assert pace.real_speed == pytest.approx(14 / 30, abs=0.02)
    assert "14 of 30 frames a second" in pace.status
    assert "0.47x" in pace.status
    quick = Pace(times)
    played(quick, drawing_s=0.002, steps=80)
    assert quick.status == "playing at 1x"


def test_a_short_delay_is_caught_up_and_a_long_one_is_not():
    pace = Pace(np.arange(100) / 20)
    pace.begin(0.0)
    assert pace.wait(0, 0, 0.05) == pytest.approx(0.0)  # due at 0.05 already
    assert pace.wait(0, 1, 5.0) == 0.0
    assert pace.wait(1, 2, 5.0) <= 0.05


@given(first=st.integers(0, 9), length=st.integers(0, 9), start=st.integers(0, 9))
def test_a_loop_repeats_its_frames_in_order(first, length, start):
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


def test_playback_shows_all_frames_and_stops_on_the_last(playback, session, qtbot):
    shown = []
    session.frame_changed.connect(shown.append)
    playback.set_speed(2.0)
    with qtbot.waitSignal(playback.changed, timeout=30_000, check_params_cb=None):
        playback.play()
    qtbot.waitUntil(lambda: not playback.playing, timeout=30_000)
    assert shown == list(range(1, session.clip.n_frames))
    playback.play()  # again, from the start
    assert session.frame == 0
    assert playback.playing


def test_playback_continues_from_a_frame_chosen_meanwhile(playback, session, qtbot):
    shown = []
    playback.set_loop((2, 9))
    session.frame_changed.connect(shown.append)
    playback.play()
    qtbot.waitUntil(lambda: 4 in shown, timeout=30_000)
    session.go_to(20)
    del shown[:]
    qtbot.waitUntil(lambda: len(shown) > 9, timeout=30_000)
    assert shown[:9] == [2, 3, 4, 5, 6, 7, 8, 9, 2]
    playback.toggle()
    assert not playback.playing
    playback.close()
    playback.play()
    assert not playback.playing
