# SPDX-License-Identifier: Apache-2.0
"""The program's own window: start page, tool bar, drops, geometry, themes, and what napari's tools cannot do to it."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from qtpy.QtCore import QMimeData, QPoint, QPointF, QRect, Qt, QUrl
from qtpy.QtGui import QColor, QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QAbstractButton, QApplication, QComboBox, QDockWidget, QLabel, QLineEdit, QPushButton

from napari_vfss.program.geometry import first_geometry
from napari_vfss.program.opening import open_program
from napari_vfss.program.recent import RecentProject, RecentProjects, now
from napari_vfss.program.window import NAPARI_DOCKS
from napari_vfss.ui.colours import LEAST_CONTRAST, contrast, readable
from napari_vfss.user_config import UserConfigFile


@pytest.fixture(scope="module")
def shared_program(qapp):
    made = open_program()
    made.window.resize(1366, 768)
    qapp.processEvents()
    yield made
    made.panel.close_controller()
    made.viewer.close()


@pytest.fixture
def program(shared_program):
    yield shared_program
    shared_program.controller.close_session()
    shared_program.viewer.layers.clear()
    shared_program.viewer.theme = "dark"


@pytest.fixture
def opened(program, clip_file):
    program.controller.project_folder = None
    assert program.controller.open(clip_file)
    return program


def test_the_start_page_lies_over_the_empty_picture_and_goes_with_the_first_clip(program, clip_file):
    page = program.panel.pages.shown
    assert page is not None and page.isVisible()
    assert {push.text() for push in page.findChildren(QPushButton)} >= {"Recordings...", "Folder...", "Project..."}
    program.controller.open(clip_file)
    assert program.panel.pages.shown is None
    program.controller.close_session()
    assert program.panel.pages.shown is page


def test_a_project_that_was_open_is_listed_with_its_progress_and_opens_again(opened, clip_file):
    session = opened.controller.session
    session.stroke(np.ones((session.clip.height, session.clip.width), np.bool_), frame=0, structure="c3")
    folder = session.project.folder
    opened.controller.close_session()
    page = opened.panel.pages.shown
    texts = [label.text() for label in page.findChildren(QLabel)]
    assert any("1 clip" in text and "of 24 frames" in text for text in texts)
    opening = [push for push in page.findChildren(QPushButton) if push.toolTip() == f"Open {folder}"]
    opening[0].click()
    assert opened.controller.session.project.folder == folder


def test_the_tool_bar_works_in_the_order_of_the_work(opened):
    bar, session, layers = opened.tool_bar, opened.controller.session, opened.controller.layers
    texts = [action.text() for action in bar.actions() if not action.isSeparator()]
    assert texts[:9] == ["Open", "Propose", "Paint", "Erase", "Click", "Accept", "Propagate", "Learn", "Export"]
    bar.button("tool.paint").click()
    assert str(layers.editor.mode) == "paint" and bar.button("tool.paint").isChecked()
    bar.button("tool.erase").click()
    assert not bar.button("tool.paint").isChecked() and bar.button("tool.erase").isChecked()
    mask = np.zeros((session.clip.height, session.clip.width), np.bool_)
    mask[20:40, 20:40] = True
    session.stroke(mask, frame=0, structure="bolus")
    bar.button("accept.frame").click()
    assert session.states[0, 0] == 3


def test_without_a_clip_only_what_opens_one_can_be_pressed(program):
    assert program.tool_bar.button("window.start").isEnabled()
    assert not program.tool_bar.button("propose.clip").isEnabled()


def test_keys_and_names_of_the_tools_are_told(opened):
    for action in ("propose.clip", "tool.paint", "correct.click", "accept.frame", "window.export"):
        button = opened.tool_bar.button(action)
        assert "key:" in button.toolTip() and button.accessibleName()


def test_naparis_own_tools_are_hidden_until_they_are_asked_for(opened, qtbot):
    docks = [dock for dock in opened.window.findChildren(QDockWidget) if dock.objectName() in NAPARI_DOCKS]
    assert len(docks) == 2 and not any(dock.isVisible() for dock in docks)
    opened.menus.napari_tools.trigger()
    assert all(dock.isVisible() for dock in docks)
    opened.menus.napari_tools.trigger()
    assert not any(dock.isVisible() for dock in docks)


def drop(widget, paths):
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(QPoint(5, 5), Qt.DropAction.CopyAction, data, buttons, keys)
    QApplication.sendEvent(widget, enter)
    assert enter.isAccepted()
    QApplication.sendEvent(widget, QDropEvent(QPointF(5, 5), Qt.DropAction.CopyAction, data, buttons, keys))


@pytest.mark.parametrize("where", ["panel", "centre", "tool_bar"])
def test_a_recording_dropped_anywhere_is_opened(program, clip_file, where):
    widgets = {"panel": program.panel, "centre": program.window.centralWidget(), "tool_bar": program.tool_bar}
    program.controller.project_folder = None
    drop(widgets[where], [clip_file])
    assert program.controller.session is not None


def test_the_first_window_is_large_and_a_small_screen_is_filled():
    rectangle, maximised = first_geometry(QRect(0, 0, 1920, 1080))
    assert (rectangle.width(), rectangle.height(), maximised) == (1632, 918, False)
    assert first_geometry(QRect(0, 0, 1366, 768))[1]


def test_the_window_comes_back_where_it_was_unless_that_screen_is_gone(qapp, tmp_path, make_window):
    from napari_vfss.program.geometry import WindowGeometry

    window = make_window().window()
    file = UserConfigFile("window.json", folder=tmp_path)
    window.setGeometry(120, 90, 900, 600)
    WindowGeometry(window, file).keep()
    window.setGeometry(0, 0, 1100, 700)
    WindowGeometry(window, UserConfigFile("window.json", folder=tmp_path)).restore()
    assert window.geometry() == QRect(120, 90, 900, 600)
    file.update(lambda values: {"window": {"rectangle": [90_000, 0, 900, 600], "maximised": False}})
    WindowGeometry(window, UserConfigFile("window.json", folder=tmp_path)).restore()
    assert QApplication.primaryScreen().geometry().contains(window.geometry().center())


@pytest.mark.parametrize("kept", [{"rectangle": "wide"}, {"rectangle": [0, 0, 3, 3]}, [], {"rectangle": [True] * 4}])
def test_a_damaged_record_of_the_window_is_left_out(qapp, tmp_path, make_window, kept):
    from napari_vfss.program.geometry import WindowGeometry

    window = make_window().window()
    file = UserConfigFile("window.json", folder=tmp_path)
    file.update(lambda _values: {"window": kept})
    WindowGeometry(window, file).restore()
    assert window.isVisible() and window.width() > 400


def test_recent_projects_keep_what_is_there_and_forget_on_request(qapp, tmp_path):
    file = UserConfigFile("window.json", folder=tmp_path)
    recent = RecentProjects(file)
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "vfss.sqlite").touch()
        recent.add(RecentProject(str(tmp_path / name), now(), 3))
    recent.add(RecentProject(str(tmp_path / "gone"), now()))
    assert [entry.folder for entry in recent.all()] == [str(tmp_path / "b"), str(tmp_path / "a")]
    recent.forget(str(tmp_path / "b"))
    assert [entry.clips for entry in recent.all()] == [3]
    file.update(lambda values: {"projects": [7, {"folder": 3}, *values["projects"]]})
    assert len(recent.all()) == 1


def text_of(widget):
    if isinstance(widget, QComboBox):
        return widget.currentText()
    return widget.text() if isinstance(widget, QLabel | QAbstractButton | QLineEdit) else ""


def colours(image, rectangle):
    part = image.copy(rectangle)
    pixels = {}
    for y in range(part.height()):
        for x in range(part.width()):
            rgb = part.pixel(x, y)
            pixels[rgb] = pixels.get(rgb, 0) + 1
    return pixels


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("page", ["", "help.states", "help.first_keys", "start"])
def test_every_text_can_be_read(opened, qtbot, theme, page):
    opened.viewer.theme = theme
    opened.controller.show_message("A message")
    if page:
        opened.panel.pages.show(page)
    QApplication.processEvents()
    image, read, faint = opened.window.grab().toImage(), 0, []
    ratio = image.devicePixelRatio()
    for widget in opened.window.findChildren((QLabel, QAbstractButton, QLineEdit, QComboBox)):
        inside = opened.window.rect().intersected(QRect(widget.mapTo(opened.window, QPoint(0, 0)), widget.size()))
        seen = widget.isVisible() and widget.isEnabled() and widget.visibleRegion().boundingRect() == widget.rect()
        if not (seen and text_of(widget).strip() and inside.size() == widget.size()):
            continue
        shown = colours(image, QRect(inside.topLeft() * ratio, inside.size() * ratio))
        background = QColor(max(shown, key=shown.get))
        best = max(contrast(QColor(rgb), background) for rgb in shown)
        read += 1
        if best < LEAST_CONTRAST:
            faint.append((text_of(widget), round(best, 2)))
    opened.panel.pages.hide()
    assert read > 25
    assert not faint


@pytest.mark.parametrize("background", ["#262930", "#ebe7e6", "#808080"])
@pytest.mark.parametrize("colour", ["#7fb4ff", "#ffb454", "#101010", "#ffffff"])
def test_a_colour_is_changed_until_it_can_be_read(background, colour):
    assert contrast(readable(QColor(colour), QColor(background)), QColor(background)) >= LEAST_CONTRAST


def test_the_window_waits_for_no_library_that_only_later_steps_need(qapp, tmp_path):
    import subprocess

    code = (
        "import sys\n"
        "from napari_vfss.program.opening import open_program\n"
        "open_program()\n"
        "late = {'torch', 'openvino', 'sqlalchemy', 'scipy.ndimage', 'pydicom', 'pyqtgraph', 'onnx', 'pyarrow'}\n"
        "print(sorted(late & set(sys.modules)), flush=True)\n"
        "import os\n"
        "os._exit(0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == "[]"
