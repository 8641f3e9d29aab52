# SPDX-License-Identifier: Apache-2.0
"""A widget in a dock of a plain window: what is told when it leaves."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDockWidget, QLabel, QMainWindow

from napari_vfss.ui.close_watcher import CloseWatcher


class Window(QMainWindow):
    """A window that may be told not to close."""

    stays = False

    def closeEvent(self, event):  # noqa: N802
        event.setAccepted(not self.stays)


@pytest.fixture
def docked(qtbot):
    window, dock, widget = Window(), QDockWidget(), QLabel("here")
    qtbot.addWidget(window)
    told = []
    departure = CloseWatcher(widget)
    departure.asked.connect(lambda: told.append("asked"))
    departure.gone.connect(lambda: told.append("gone"))
    dock.setWidget(widget)
    window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, dock)
    window.show()
    assert told == []
    return window, widget, told


def test_out_of_its_dock_it_is_gone_once(docked):
    window, widget, told = docked
    widget.setParent(None)
    window.close()
    assert told == ["gone"]


def test_with_its_window_it_is_gone_once(docked):
    window, widget, told = docked
    window.close()
    widget.setParent(None)
    assert told == ["asked", "gone"]


def test_a_window_that_stays_keeps_it(docked):
    window, _widget, told = docked
    window.stays = True
    window.close()
    assert told == ["asked"]
    window.stays = False
    window.close()
    assert told == ["asked", "asked", "gone"]


def test_hiding_is_not_leaving(docked):
    window, widget, told = docked
    widget.hide()
    widget.show()
    window.hide()
    assert told == []
