# SPDX-License-Identifier: Apache-2.0
"""The question before retraining: two ways, the teachers that are there, and a time for each."""

from __future__ import annotations

import json
import sys

import psutil
import pytest
from qtpy.QtCore import Qt

from napari_vfss.ui.dialogs.retrain import DISTIL, QUICK, RetrainChoice, duration
from napari_vfss.ui.sections.student import StudentSection

WAIT_MS = 60_000
TEACHERS = [
    {"name": "mobile-sam", "seconds": 600.0, "bytes": 62_000_000, "licence": "Apache-2.0"},
    {"name": "medsam", "seconds": 9000.0, "bytes": 62_000_000, "licence": "CC-BY-4.0"},
]
PLAN = {"event": "plan", "steps": 240, "frames": 31, "film": 120, "held_out": 8}


def planner(*events, code=0):
    """A program that tells these events."""
    lines = "".join(f"print({json.dumps(event)!r}, flush=True)\n" for event in events)
    return [sys.executable, "-c", f"{lines}import sys\nsys.exit({code})"]


def plans(teachers):
    return (
        {"event": "measuring", "what": "step"},
        PLAN | {"recipe": QUICK, "seconds": 400.0, "teachers": []},
        PLAN | {"recipe": DISTIL, "seconds": 1200.0, "teachers": teachers},
    )


@pytest.fixture
def asked(qtbot, tmp_path):
    def ask(*events, code=0):
        choice = RetrainChoice(tmp_path, command=planner(*events, code=code))
        qtbot.addWidget(choice)
        assert not choice.start_button.isEnabled(), "no start before there is an estimate"
        with qtbot.waitSignal(choice.planning.ended, timeout=WAIT_MS):
            choice.show()
        return choice

    return ask


def test_each_way_has_a_time_and_teachers_add_theirs(asked, qtbot):
    choice = asked(*plans(TEACHERS))
    assert "7 min" in choice.ways[QUICK].text()
    assert "31 accepted frames" in choice.frames.text()
    assert "8 of other patients" in choice.frames.text()
    assert not choice.bar.isVisible()
    assert choice.teachers["mobile-sam"].isChecked()
    assert not choice.teachers["medsam"].isChecked(), "hours are only spent where a person wants it"
    assert choice.seconds(DISTIL) == 1800.0
    assert choice.arguments == ("--recipe", "quick")
    choice.ways[DISTIL].click()
    choice.teachers["medsam"].click()
    assert choice.seconds(DISTIL) == 10_800.0
    assert "3 h 0 min" in choice.ways[DISTIL].text()
    assert choice.arguments == ("--recipe", "distil", "--taught-by", "mobile-sam,medsam")
    for box in choice.teachers.values():
        box.setChecked(False)
    assert not choice.start_button.isEnabled()
    choice.ways[QUICK].click()
    assert choice.start_button.isEnabled()


def test_without_teachers_a_person_is_told_how_to_get_them(asked):
    choice = asked(*plans([]))
    assert not choice.ways[DISTIL].isEnabled()
    assert any("vfss-train download" in label.text() for label in choice.findChildren(type(choice.frames)))
    assert choice.start_button.isEnabled()


def test_an_estimate_that_fails_is_told_and_the_quick_way_stays_open(asked):
    choice = asked({"event": "error", "message": "The project is damaged."}, code=1)
    assert "damaged" in choice.note.text()
    assert choice.note.isVisible()
    assert choice.start_button.isEnabled()
    assert choice.ways[QUICK].text() == "Quick"


def test_where_nothing_was_accepted_there_is_nothing_to_start(asked):
    choice = asked(*(event | {"frames": 0} if event["event"] == "plan" else event for event in plans(TEACHERS)))
    assert "accept some frames" in choice.frames.text()
    assert not choice.start_button.isEnabled()


def test_closing_the_question_ends_the_estimate(qtbot, tmp_path):
    choice = RetrainChoice(tmp_path, command=[sys.executable, "-c", "import time; time.sleep(600)"])
    qtbot.addWidget(choice)
    qtbot.waitUntil(lambda: choice.planning.process_id > 0, timeout=WAIT_MS)
    process = choice.planning.process_id
    choice.reject()
    assert not psutil.pid_exists(process)


def test_the_panel_starts_what_was_chosen(window, qtbot, monkeypatch, tmp_path):
    started = []
    monkeypatch.setattr(window.controller.retraining, "start", lambda *given: started.append(given))
    section: StudentSection = window.student
    command = planner(*plans(TEACHERS))
    ask = RetrainChoice.__init__
    monkeypatch.setattr(
        RetrainChoice, "__init__", lambda self, project, parent: ask(self, project, parent, command=command)
    )
    qtbot.mouseClick(section.retrain_button, Qt.MouseButton.LeftButton)
    choice = section.choice
    qtbot.waitUntil(choice.start_button.isEnabled, timeout=WAIT_MS)
    choice.ways[DISTIL].click()
    choice.start_button.click()
    assert started == [(window.controller.session.project.folder, ("--recipe", "distil", "--taught-by", "mobile-sam"))]
    assert section.choice is None
    section.ask()
    section.choice.reject()
    assert len(started) == 1


def test_times_are_said_as_people_say_them():
    assert [duration(s) for s in (40, 100, 3599, 12_000)] == ["40 s", "2 min", "60 min", "3 h 20 min"]
