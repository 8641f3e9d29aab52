# SPDX-License-Identifier: Apache-2.0
"""Opens the window of the program on a recording, and closes it after a while: `python idle_window.py CLIP`."""

from __future__ import annotations

import sys
from unittest import mock

import napari
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

from napari_vfss.app import main

OPEN_MS = 1500


def run() -> None:
    """Run the event loop for a while, in which the jobs of opening end; then close everything."""
    application = QApplication.instance()
    assert application is not None
    QTimer.singleShot(OPEN_MS, application.closeAllWindows)
    QTimer.singleShot(OPEN_MS, application.quit)
    application.exec()


if __name__ == "__main__":
    with mock.patch.object(napari, "run", run):
        sys.exit(main(sys.argv[1:]))
