# SPDX-License-Identifier: Apache-2.0
"""The retraining dialog: two recipes, the available teachers, and an estimated time for each."""

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
    """Return the command of a program that prints these events."""
    lines = "".join(f"print({json.dumps(event)!r}, flush=True)\n" for event in events)
    return [sys.executable, "-c", f"{lines}import sys\nsys.exit({code})"]


def plans(teachers):
    return (
        {"event": "measuring", "what": "step"},
        PLAN | {"recipe": QUICK, "seconds": 400.0, "teachers": []},
        PLAN | {"recipe": DISTIL, "seconds": 1200.0, "teachers": teachers},
    )


@pytest.fixture
def estimated(qtbot, tmp_path):
    def ask(*events, code=0):
        choice = RetrainChoice(tmp_path, command=planner(*events, code=code))
        qtbot.addWidget(choice)
        assert not choice.start_button.isEnabled(), "no start before the estimate"
        with qtbot.waitSignal(choice.planning.ended, timeout=WAIT_MS):
            choice.show()
        return choice

    return ask


def test_structures_that_nobody_annotated_are_named_before_the_training(estimated):
    warning = "Valve has no accepted mask on any frame of the training patients, is not learnt and is not proposed."
    choice = estimated(*(event | {"not_learnt": warning} if event["event"] == "plan" else event for event in plans([])))
    assert choice.not_learnt.isVisible() and warning in choice.not_learnt.text()
    assert choice.start_button.isEnabled()
    assert not estimated(*plans([])).not_learnt.isVisible()


def test_a_training_that_left_something_out_is_a_success_and_names_it(window, qtbot):
    shown = []
    window.controller.message.connect(lambda message, problem: shown.append((message, problem)))
    lines = (
        {"event": "left_out", "message": "Left out, as it cannot be read: a.avi, frame 3"},
        {
            "event": "done",
            "student": "st-1",
            "scores": {"mean_dice": None},
        },
    )
    retraining = window.controller.retraining
    with qtbot.waitSignal(retraining.ended, timeout=WAIT_MS) as ended:
        retraining.start(window.controller.session.project.folder, command=planner(*lines, code=3))
    assert ended.args == [""]
    assert shown == [("Left out, as it cannot be read: a.avi, frame 3. Frames are counted from 0 here.", True)]


def test_each_recipe_has_a_time_to_which_teachers_add(estimated, qtbot):
    choice = estimated(*plans(TEACHERS))
    assert "7 min" in choice.recipes[QUICK].text()
    assert "31 accepted frames" in choice.frames.text()
    assert "8 of other patients" in choice.frames.text()
    assert not choice.bar.isVisible()
    assert choice.teachers["mobile-sam"].isChecked()
    assert not choice.teachers["medsam"].isChecked(), "teachers that take hours are not chosen by default"
    assert choice.seconds(DISTIL) == 1800.0
    assert choice.arguments == ("--recipe", "quick")
    choice.recipes[DISTIL].click()
    choice.teachers["medsam"].click()
    assert choice.seconds(DISTIL) == 10_800.0
    assert "3 h 0 min" in choice.recipes[DISTIL].text()
    assert choice.arguments == ("--recipe", "distil", "--taught-by", "mobile-sam,medsam")
    for box in choice.teachers.values():
        box.setChecked(False)
    assert not choice.start_button.isEnabled()
    choice.recipes[QUICK].click()
    assert choice.start_button.isEnabled()


def test_without_teachers_a_note_explains_how_to_download_them(estimated):
    choice = estimated(*plans([]))
    assert not choice.recipes[DISTIL].isEnabled()
    assert any("vfss-train download" in label.text() for label in choice.findChildren(type(choice.frames)))
    assert choice.start_button.isEnabled()


def test_a_failed_estimate_is_reported_and_the_quick_recipe_stays_available(estimated):
    choice = estimated({"event": "error", "message": "The project is damaged."}, code=1)
    assert "damaged" in choice.note.text()
    assert choice.note.isVisible()
    assert choice.start_button.isEnabled()
    assert choice.recipes[QUICK].text() == "Quick"


def test_without_accepted_frames_retraining_cannot_start(estimated):
    choice = estimated(*(event | {"frames": 0} if event["event"] == "plan" else event for event in plans(TEACHERS)))
    assert "accept some frames" in choice.frames.text()
    assert not choice.start_button.isEnabled()


def test_closing_the_dialog_ends_the_estimate(qtbot, tmp_path):
    choice = RetrainChoice(tmp_path, command=[sys.executable, "-c", "import time; time.sleep(600)"])
    qtbot.addWidget(choice)
    qtbot.waitUntil(lambda: choice.planning.process_id > 0, timeout=WAIT_MS)
    process = choice.planning.process_id
    choice.reject()
    assert not psutil.pid_exists(process)


def test_the_panel_starts_the_chosen_recipe(window, qtbot, monkeypatch, tmp_path):
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
    choice.recipes[DISTIL].click()
    choice.start_button.click()
    assert started == [(window.controller.session.project.folder, ("--recipe", "distil", "--taught-by", "mobile-sam"))]
    assert section.choice is None
    section.ask()
    section.choice.reject()
    assert len(started) == 1


def test_durations_are_rounded_and_have_units():
    assert [duration(s) for s in (40, 100, 3599, 12_000)] == ["40 s", "2 min", "60 min", "3 h 20 min"]
