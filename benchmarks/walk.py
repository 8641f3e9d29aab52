# SPDX-License-Identifier: Apache-2.0
"""From film to COCO in the program's window: how many clicks, and whether anything needed scrolling.

A step presses a button that is completely in sight, or the walk ends with an error. Choosing a folder in the system's
file dialog counts as two clicks (folder, OK). Pictures of each step go to a folder, to be looked at.
Run: xvfb-run -a -s "-screen 0 1366x768x24" python benchmarks/walk.py --pictures /tmp/walk
     QT_SCALE_FACTOR=2 xvfb-run -a -s "-screen 0 2732x1536x24" python benchmarks/walk.py --theme light --name scale2
Adds its row to benchmarks/results/walk.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractButton, QApplication, QWidget

from napari_vfss.program.opening import open_program
from napari_vfss.ui.dialogs.export import QFileDialog
from vfss.datasets import read_coco
from vfss.sample_clips import sample_path

RESULT = Path(__file__).parent / "results" / "walk.json"
WAIT_S = 120.0


class Walk:
    """Counts what a person does in a window."""

    def __init__(self, window: QWidget, pictures: Path | None) -> None:
        self.window, self.pictures = window, pictures
        self.clicks = 0
        self.steps: list[str] = []

    def press(self, button: QAbstractButton, what: str) -> None:
        """Press a button that is completely in sight."""
        hidden = not button.isVisible() or button.visibleRegion().boundingRect() != button.rect()
        if hidden or not button.isEnabled():
            raise SystemExit(f"{what}: the button is not completely in sight, or cannot be pressed")
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)
        self.count(what)

    def count(self, what: str, clicks: int = 1) -> None:
        """Count a step, and take a picture of what it led to."""
        self.clicks += clicks
        self.steps.append(what)
        QTest.qWait(300)
        self.shoot(f"{len(self.steps)}_{what.lower().replace(' ', '_')}")

    def shoot(self, name: str) -> None:
        """Take a picture of the screen."""
        screen = QApplication.primaryScreen()
        if self.pictures is not None and screen is not None:
            self.pictures.mkdir(parents=True, exist_ok=True)
            screen.grabWindow(0).save(str(self.pictures / f"{name}.png"))

    def wait(self, done: Callable[[], bool], what: str) -> None:
        """Wait for something, with the event loop running."""
        end = time.monotonic() + WAIT_S
        while not done():
            if time.monotonic() > end:
                raise SystemExit(f"{what} took longer than {WAIT_S:.0f} s")
            QTest.qWait(50)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clip", type=Path, help="a recording; by default a phantom")
    parser.add_argument("--theme", default="dark", choices=("dark", "light"))
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--name", default="1366x768")
    arguments = parser.parse_args()
    application = QApplication([])  # before napari's, as the program does
    program = open_program()
    program.viewer.theme = arguments.theme
    screen = application.primaryScreen()
    if screen is not None:
        program.window.setGeometry(screen.availableGeometry())
    panel, controller = program.panel, program.controller
    walk = Walk(program.window, arguments.pictures)
    QTest.qWait(500)
    walk.shoot("0_start")
    with tempfile.TemporaryDirectory() as work:
        controller.project_folder = Path(work) / "project"
        drop(program.window, arguments.clip or sample_path("normal"))
        walk.wait(lambda: controller.session is not None, "opening")
        walk.count("Drop the film")
        walk.press(program.tool_bar.button("propose.clip"), "Propose")
        walk.wait(lambda: not controller.student_jobs.proposing.running, "proposing")
        walk.press(panel.timeline.widget.play, "Play")
        walk.wait(lambda: not controller.timeline.playback.playing, "playing")
        walk.press(panel.accept.stretch_button, "Accept viewed")
        walk.press(program.tool_bar.button("window.export"), "Export")
        dialog = panel.export.dialog
        walk.wait(lambda: not dialog.previewing.running, "the preview")
        target = Path(work) / "dataset"
        with mock.patch.object(QFileDialog, "getExistingDirectory", lambda *_: str(target)):
            walk.press(dialog.write_button, "Choose a folder")
        walk.count("Folder and OK", 2)
        walk.wait(lambda: not controller.exporting.running, "exporting")
        walk.shoot("9_done")
        images = len(read_coco(target))
    row = {"clicks": walk.clicks, "scrolls": 0, "images_written": images, "steps": walk.steps, "theme": arguments.theme}
    rows = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    RESULT.write_text(json.dumps({**rows, arguments.name: row}, indent=1) + "\n")
    print(json.dumps(row))
    panel.close_controller()
    program.viewer.close()


def drop(window: QWidget, path: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    QApplication.sendEvent(window, QDragEnterEvent(QPoint(50, 50), Qt.DropAction.CopyAction, data, buttons, keys))
    QApplication.sendEvent(window, QDropEvent(QPointF(50, 50), Qt.DropAction.CopyAction, data, buttons, keys))


if __name__ == "__main__":
    main()
