# SPDX-License-Identifier: Apache-2.0
"""Times in the window: an assumed rate is named as such everywhere, a person can type the true one."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt

from napari_vfss.ui.timeline.axes import AXIS_NAMES
from napari_vfss.ui.timeline.tooltips import describe_frame
from small_project import grey_frames, write_stack
from vfss.project import Project

FRAMES = 7


@pytest.fixture
def clip_file(tmp_path):
    """A recording without any times."""
    return write_stack(tmp_path / "silent.tif", grey_frames(FRAMES, 48, 64))


@pytest.fixture
def type_rate(window, qtbot):
    def typed(text):
        window.clip.rate.clear()
        qtbot.keyClicks(window.clip.rate, text)
        qtbot.keyClick(window.clip.rate, Qt.Key.Key_Return)

    return typed


def test_an_assumed_rate_is_named_as_such(window):
    section, session = window.clip, window.controller.session
    assert (section.rate.text(), section.rate.placeholderText()) == ("", "30")
    assert "assumed" in section.rate_from.text()
    assert "ASSUMED" in section.rate.toolTip()
    assert "assumed 30 frames a second" in describe_frame(session, 3)
    assert "assumed 30 frames a second" in window.timeline.widget.place.text()
    assert "assumed" in AXIS_NAMES[session.clip.times_from]


def test_assumed_times_of_marks_and_playback_are_called_so(window, type_rate, qtbot):
    timeline, section, shown = window.controller.timeline, window.marks, []
    window.controller.session.go_to(3)
    timeline.set_event("aspiration")
    assert section.list.item(0).text().startswith("4   0.10 s assumed ")
    timeline.playback.message.connect(shown.append)
    timeline.playback.play()
    qtbot.waitUntil(lambda: any("of assumed times" in text for text in shown))
    timeline.playback.stop()
    type_rate("15")
    assert section.list.item(0).text().startswith("4   0.20 s  ")


def test_a_typed_rate_is_used_everywhere_and_kept(window, type_rate, clip_file):
    controller = window.controller
    type_rate("12,5")
    session = controller.session
    assert session.clip.times_from == "person"
    np.testing.assert_allclose(session.clip.times_s, np.arange(FRAMES) / 12.5)
    assert controller.timeline.playback.pace.usual_s == pytest.approx(0.08)
    session.go_to(4)
    assert "0.320 s (12.5 frames a second, typed by a person)" in window.timeline.widget.place.text()
    with Project.open(session.project.folder) as project, project.open_clip(session.clip.id) as clip:
        assert clip.times_from == "person"
    assert controller.open(clip_file)
    assert (window.clip.rate.text(), window.clip.rate_from.text()) == ("12.5", "typed")


def test_without_a_typed_rate_the_recordings_own_times_come_back(window, type_rate):
    type_rate("15")
    type_rate("")
    clip = window.controller.session.clip
    assert clip.times_from == "assumed"
    assert clip.times_s[-1] == pytest.approx((FRAMES - 1) / 30)
    assert window.clip.rate.text() == ""
    assert window.controller.session.record.frame_rate is None


@pytest.mark.parametrize("text", ["30030", "0.2", "-15", "fifteen"])
def test_an_impossible_rate_is_refused_with_a_remedy(window, type_rate, text):
    type_rate(text)
    assert "no frame rate" in window.message.text()
    assert window.clip.rate.text() == ""
    assert window.controller.session.clip.times_from == "assumed"


def test_what_was_noticed_on_opening_is_shown(window, clip_file, monkeypatch):
    opened = Project.adopt

    def adopt(self, clip):
        clip.notes = ("its times mean 30,030 frames a second", "Frames are turned")
        return opened(self, clip)

    monkeypatch.setattr(Project, "adopt", adopt)
    assert window.clip.notes.text() == ""
    window.controller.close_session()
    assert window.controller.open(clip_file)
    assert window.message.text() == "Its times mean 30,030 frames a second. Frames are turned."
    assert "2 remarks" in window.clip.notes.text()
    assert "30,030" in window.clip.notes.toolTip()
