# SPDX-License-Identifier: Apache-2.0
"""Performs a written tutorial in a real window, so that the text cannot differ from what the window does.

In a numbered step of the text, **bold** is pressed in the order in which it stands: a button or menu entry by its
label, or a key. **Paint over the picture** and **Click the picture** are done with the mouse. *Italic* text must be
readable in the panel when the step is done. A picture after a step shows the window at that moment.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from html import unescape
from pathlib import Path
from typing import Any

from qtpy.QtCore import QModelIndex
from qtpy.QtGui import QKeySequence
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractButton, QLabel, QLineEdit, QPushButton, QTableView, QToolBar, QToolButton

from napari_vfss.demo.canvas_mouse import CanvasMouse
from napari_vfss.keys.labels import TEXT
from vfss.errors import VfssError

WAIT_S = 600.0
_EMPHASIS = re.compile(r"\*\*(?P<press>[^*]+)\*\*|(?<!\*)\*(?P<see>[^*]+)\*(?!\*)")
_PICTURE = re.compile(r"!\[[^\]]*\]\((?P<file>[^)]+)\)")
_STEP = re.compile(r"(?P<number>\d+)\. ")


class TutorialError(VfssError):
    """The text and the window do not agree."""


@dataclass(frozen=True)
class Step:
    """One numbered step.

    Attributes:
        number: Number of the step in the text.
        press: Buttons, menu entries, keys and gestures, in order.
        see: Texts that must be visible at the end.
        picture: File of the picture after the step, empty for none.
    """

    number: int
    press: tuple[str, ...]
    see: tuple[str, ...]
    picture: str = ""


def read_steps(text: str) -> list[Step]:
    """Return the numbered steps of a tutorial; text outside them is for the reader only."""
    numbered: list[tuple[int, str]] = []
    for line in text.splitlines():
        begin = _STEP.match(line)
        if begin is not None:
            numbered.append((int(begin["number"]), line[begin.end() :]))
        elif numbered and line.startswith("   "):
            numbered[-1] = (numbered[-1][0], f"{numbered[-1][1]} {line.strip()}")
    return [_step(number, text) for number, text in numbered]


def _step(number: int, text: str) -> Step:
    picture = _PICTURE.search(text)
    matches = list(_EMPHASIS.finditer(_PICTURE.sub("", text)))
    return Step(
        number,
        tuple(match["press"] for match in matches if match["press"]),
        tuple(match["see"] for match in matches if match["see"]),
        "" if picture is None else picture["file"],
    )


class Walkthrough:
    """Performs steps in a window with the panel docked."""

    def __init__(self, viewer: Any, panel: Any) -> None:
        self._viewer, self._panel = viewer, panel
        self._mouse = CanvasMouse(viewer, panel.window())
        self._menu: Any = None

    def perform(self, step: Step) -> None:
        """Press what a step names and wait until the texts it promises are visible.

        Raises:
            TutorialError: There is no such button or key, or a promised text is not visible.
        """
        self._panel.window().activateWindow()
        for name in step.press:
            self._press(name, step)
            self._settle(step)
        for text in step.see:
            self._wait(partial(self._is_visible, text), f"step {step.number}: “{text}” is not visible")

    def shoot(self, path: Path, width: int) -> None:
        """Write a picture of the window or the dialog over it, `width` pixels wide, few colours, for a small file."""
        from PIL import Image

        self._settle(None)
        dialog = self._panel.export.dialog
        if dialog is None:
            picture = Image.fromarray(self._viewer.screenshot(canvas_only=False, flash=False)).convert("RGB")
        else:
            dialog.grab().save(str(path))
            picture = Image.open(path).convert("RGB")
        height = round(picture.height * width / picture.width)
        picture.resize((width, height), Image.Resampling.LANCZOS).quantize(256, kmeans=2).save(path, optimize=True)

    def readable(self) -> str:
        """Return all text that the window shows now."""
        texts: list[str] = []
        window = self._panel.window()
        for kind in (QLabel, QAbstractButton, QLineEdit):
            for widget in window.findChildren(kind):
                if widget.isVisibleTo(window):
                    texts.append(str(widget.text()))
        for table in self._panel.findChildren(QTableView):
            model = table.model()
            for row in range(model.rowCount(QModelIndex())):
                texts.append(" ".join(str(model.index(row, c).data() or "") for c in range(model.columnCount())))
        return unescape(re.sub(r"<[^>]+>", "", "\n".join(texts))).replace("\xa0", " ")

    def _is_visible(self, text: str) -> bool:
        return text in self.readable()

    def _press(self, name: str, step: Step) -> None:
        gestures: dict[str, Callable[[], None]] = {
            "Paint over the picture": lambda: self._mouse.stroke(self._rim()),
            "Click the picture": lambda: self._mouse.click(self._rim()[7]),
        }
        if self._menu is not None:
            self._choose_from_menu(name, step)
        elif name in gestures:
            gestures[name]()
        elif (button := self._button(name, step)) is not None:
            if isinstance(button, QPushButton) and button.menu() is not None:
                self._menu = button.menu()  # an open menu would block until the user acts
            else:
                button.click()
        elif self._panel.controller.key_book.owner(name) is not None:
            self._key(name)
        else:
            raise TutorialError(f"step {step.number}: “{name}” is no button in sight and no key")

    def _button(self, name: str, step: Step) -> QAbstractButton | None:
        """Return the button of a name: of the panel, else of the tool bar or a page over the picture."""
        window = self._panel.window()
        tools = [tool for bar in window.findChildren(QToolBar) for tool in bar.findChildren(QToolButton)]
        for buttons in (self._panel.findChildren(QPushButton), [*tools, *window.findChildren(QPushButton)]):
            matching = [b for b in buttons if b.isVisibleTo(window) and name in (b.text(), b.property(TEXT))]
            if matching:
                break
        if len(matching) > 1:
            raise TutorialError(f"step {step.number}: there are {len(matching)} buttons “{name}”")
        if matching and not matching[0].isEnabled():
            raise TutorialError(f"step {step.number}: the button “{name}” cannot be pressed now")
        return matching[0] if matching else None

    def _choose_from_menu(self, name: str, step: Step) -> None:
        menu, self._menu = self._menu, None
        action = next((action for action in menu.actions() if action.text() == name), None)
        if action is None:
            raise TutorialError(f"step {step.number}: the menu has no “{name}”")
        action.trigger()

    def _key(self, name: str) -> None:
        combination = QKeySequence(name)[0]
        overlay = self._panel.keyboard.overlay
        target = overlay if overlay is not None and overlay.isVisible() else self._mouse.canvas
        QTest.keyClick(target, combination.key(), combination.keyboardModifiers())

    def _rim(self) -> list[tuple[float, float]]:
        """Return a stroke (y, x) over the upper rim of the active structure, well inside the picture."""
        session = self._panel.controller.session
        rows, columns = session.work.planes[session.active.index].nonzero()
        height, width = session.clip.height, session.clip.width
        y, x = (float(rows.min()), float(columns.mean())) if rows.size else (height / 2, width / 2)
        y, x = min(max(y, 20.0), height - 20.0), min(max(x, 40.0), width - 40.0)
        return [(y + step * 0.4, x - 14 + step * 2) for step in range(15)]

    def _settle(self, step: Step | None) -> None:
        what = "the window" if step is None else f"step {step.number}"
        for _ in range(8):
            self._process()
        self._wait(lambda: not self._is_busy(), f"{what} does not end")

    def _is_busy(self) -> bool:
        controller, dialog = self._panel.controller, self._panel.export.dialog
        previewing = dialog is not None and dialog.previewing.running
        answering = controller.session is not None and controller.click_tool.queue.busy
        return (
            previewing
            or answering
            or any(
                job.running
                for job in (
                    controller.student_jobs.proposing,
                    controller.student_jobs.propagating,
                    controller.student_jobs.adapting,
                    controller.exporting,
                )
            )
        )

    def _wait(self, done: Callable[[], bool], error: str) -> None:
        end = time.monotonic() + (WAIT_S if "end" in error else 20.0)
        while not done():
            if time.monotonic() > end:
                raise TutorialError(error, remedy=f"The panel says: {self.readable()}")
            self._process()

    def _process(self) -> None:
        QTest.qWait(10)
