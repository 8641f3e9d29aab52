# SPDX-License-Identifier: Apache-2.0
"""The tutorial in docs/: performed from top to bottom in a real window, and the errors of a wrong text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from napari_vfss.program.opening import open_program
from napari_vfss.ui.dialogs import export as export_dialog
from vfss.datasets import read_coco
from vfss.masks import MaskState
from walkthrough import Step, TutorialError, Walkthrough, read_steps

DOCS = Path(__file__).resolve().parents[2] / "docs"
TEXT = (DOCS / "tutorial.md").read_text("utf-8")


def test_steps_are_numbered_and_each_names_a_control():
    steps = read_steps(TEXT)
    assert [step.number for step in steps] == list(range(1, len(steps) + 1))
    assert all(step.press and (step.see or step.picture) for step in steps)


def test_every_picture_exists_is_small_and_is_used_in_the_text():
    named = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", TEXT)
    assert named == [step.picture for step in read_steps(TEXT) if step.picture]
    assert sorted(named) == sorted(path.name for path in DOCS.glob("tutorial_*.png"))
    assert all((DOCS / name).stat().st_size < 200_000 for name in named)


def test_bold_text_is_pressed_italic_text_is_expected_and_code_is_neither():
    (step,) = read_steps("1. Press **A**, not `[`.\n   Then **B**. *done*\n   ![x *y*](p.png)\n\nAfterwards **C**.")
    assert step == Step(1, ("A", "B"), ("done",), "p.png")


@pytest.mark.parametrize(
    ("step", "error"),
    [
        (Step(1, ("Sampel",), ()), "“Sampel” is no button in sight and no key"),
        (Step(2, ("Sample", "Phantom yawn"), ()), "no “Phantom yawn”"),
        (Step(3, ("Redo",), ()), "cannot be pressed now"),
    ],
)
def test_a_step_naming_a_missing_control_fails(window, step, error):
    with pytest.raises(TutorialError, match=error):
        Walkthrough(window.viewer, window).perform(step)


@pytest.fixture
def program(qapp):
    made = open_program()
    made.window.resize(1366, 768)
    yield made
    made.panel.close_controller()
    made.viewer.close()


def test_the_tutorial_runs_from_top_to_bottom(program, tmp_path, monkeypatch):
    panel = program.panel
    folder = tmp_path / "dataset"
    panel.controller.project_folder = tmp_path / "project"
    monkeypatch.setattr(export_dialog.QFileDialog, "getExistingDirectory", lambda *_: str(folder))
    walk = Walkthrough(panel.viewer, panel)
    for step in read_steps(TEXT):
        walk.perform(step)
    session = panel.controller.session
    frames = session.project.annotated_frames(session.clip.id)
    assert len(frames) == 2
    assert [image.frame for image in read_coco(folder)] == frames
    history = session.project.history(session.clip.id, frames[0], "epiglottis")
    assert history[-1].author == session.author
    assert any(revision.prompts for revision in history)  # the click and the student's mask for it
    states = session.project.states(session.clip.id)
    assert (states[frames[-1] + 1 :] == MaskState.PROPOSED).any()  # propagated
