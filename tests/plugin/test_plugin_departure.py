# SPDX-License-Identifier: Apache-2.0
"""The close watcher: which signals it emits when a docked widget or its window is closed."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDockWidget, QLabel, QMainWindow

from napari_vfss.ui.close_watcher import CloseWatcher


class Window(QMainWindow):
    """A window that can refuse to close."""

    stays = False

    def closeEvent(self, event):  # noqa: N802
        event.setAccepted(not self.stays)


@pytest.fixture
def docked(qtbot):
    window, dock, widget = Window(), QDockWidget(), QLabel("here")
    qtbot.addWidget(window)
    emitted = []
    watcher = CloseWatcher(widget)
    watcher.close_requested.connect(lambda: emitted.append("asked"))
    watcher.closed.connect(lambda: emitted.append("gone"))
    dock.setWidget(widget)
    window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, dock)
    window.show()
    assert emitted == []
    return window, widget, emitted


def test_a_widget_taken_out_of_its_dock_emits_gone_once(docked):
    window, widget, emitted = docked
    widget.setParent(None)
    window.close()
    assert emitted == ["gone"]


def test_a_widget_closed_with_its_window_emits_gone_once(docked):
    window, widget, emitted = docked
    window.close()
    widget.setParent(None)
    assert emitted == ["asked", "gone"]


def test_a_window_that_refuses_to_close_emits_no_gone(docked):
    window, _widget, emitted = docked
    window.stays = True
    window.close()
    assert emitted == ["asked"]
    window.stays = False
    window.close()
    assert emitted == ["asked", "asked", "gone"]


def test_hiding_emits_nothing(docked):
    window, widget, emitted = docked
    widget.hide()
    widget.show()
    window.hide()
    assert emitted == []
