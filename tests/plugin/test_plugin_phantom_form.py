# SPDX-License-Identifier: Apache-2.0
"""The dialog that generates phantom clips, in a real window."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_vfss.ui.dialogs.phantom import PhantomForm
from vfss.project import Project

TITLE = "Make phantom clips"


@pytest.fixture
def form(window):
    dock, made = window.viewer.window.add_plugin_dock_widget("napari-vfss", TITLE)
    yield made
    window.viewer.window.remove_dock_widget(dock)


def fill(form: PhantomForm, folder: Path, *, clips: int = 1, frames: int = 3) -> None:
    form.folder.value = folder
    form.clips.value, form.frames.value, form.side.value, form.seed.value = clips, frames, 64, 5


def test_clips_are_generated_and_opened_in_the_panel(form, window, qtbot, tmp_path):
    fill(form, tmp_path / "made", clips=2)
    form.make_button.native.click()
    assert not form.make_button.enabled
    qtbot.waitUntil(lambda: not form.phantoms.running, timeout=30_000)
    with Project.open(tmp_path / "made" / "project") as project:
        assert [record.n_frames for record in project.clips()] == [3, 3]
    assert form.make_button.enabled
    form.open_button.native.click()
    session = window.controller.session
    assert session is not None
    assert session.project.folder == tmp_path / "made" / "project"


def test_cancelling_keeps_complete_clips_only(form, qtbot, tmp_path):
    fill(form, tmp_path / "made", clips=30, frames=30)
    form.phantoms.progressed.connect(lambda done, total: done > 33 and form.phantoms.cancel())
    form.make_button.native.click()
    qtbot.waitUntil(lambda: not form.phantoms.running, timeout=60_000)
    with Project.open(tmp_path / "made" / "project") as project:
        clips = project.clips()
    assert 1 <= len(clips) < 30
    assert len(list((tmp_path / "made" / "clips").iterdir())) == len(clips)
    assert "Cancelled" in form.message.value


def test_a_folder_with_a_project_is_refused_and_left_unchanged(form, qtbot, tmp_path):
    Project.create(tmp_path / "project").close()
    fill(form, tmp_path)
    form.make_button.native.click()
    qtbot.waitUntil(lambda: not form.phantoms.running, timeout=30_000)
    assert "there is a project already" in form.message.value
    assert not form.open_button.visible


def test_removing_the_form_stops_it_and_keeps_complete_clips(window, qtbot, tmp_path):
    dock, form = window.viewer.window.add_plugin_dock_widget("napari-vfss", TITLE)
    fill(form, tmp_path / "made", clips=100, frames=10)
    with qtbot.waitSignal(form.phantoms.progressed, timeout=120_000):
        form.make()
    window.viewer.window.remove_dock_widget(dock)
    qtbot.waitUntil(lambda: not form.phantoms.running, timeout=120_000)
    with Project.open(tmp_path / "made" / "project") as project:
        assert len(project.clips()) < 100


def test_the_window_can_close_while_clips_are_generated(make_window, qtbot, tmp_path):
    panel = make_window()
    _, form = panel.viewer.window.add_plugin_dock_widget("napari-vfss", TITLE)
    fill(form, tmp_path / "made", clips=100, frames=10)
    phantoms = form.phantoms
    with qtbot.waitSignal(phantoms.progressed, timeout=120_000):
        form.make()
    panel.close_controller()
    panel.viewer.close()
    qtbot.waitUntil(lambda: not phantoms.running, timeout=120_000)
    assert len(list((tmp_path / "made" / "clips").iterdir())) < 100
