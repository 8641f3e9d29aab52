# SPDX-License-Identifier: Apache-2.0
"""Help > VFSS: the first minutes, the first ten keys, what states mean, and a report of a problem."""

from __future__ import annotations

import platform
from html import escape
from importlib.metadata import PackageNotFoundError, version

from qtpy.QtWidgets import QApplication, QPushButton

from napari_vfss.controller.controller import AnnotationController
from napari_vfss.ui.pages import Page, TextPage
from vfss.version import __version__

FIRST_KEYS: tuple[tuple[str, str], ...] = (
    ("Q", "propose masks on this frame"),
    ("Shift+Q", "propose masks on the whole clip"),
    ("Right", "next frame; Left: the one before"),
    ("U", "go to the next doubtful mask"),
    ("1", "choose a structure: 1 to 0, or Up and Down"),
    ("P", "paint; E erases"),
    ("C", "click: left adds, right removes"),
    ("Ctrl+Z", "undo"),
    ("A", "accept this frame"),
    ("?", "all keys over the picture"),
)
"""Keys of the standard layout with what they do."""

STEPS = (
    "Open a recording: drop it on the window, or press Open.",
    "Press Propose. The student proposes twelve structures on each frame; the timeline below shows how far it is.",
    "Press {U} for the next doubtful mask. Is it right? Go on. Is it wrong? Choose the structure in the list, and "
    "paint ({P}), erase ({E}) or click ({C}) until it is right. {Ctrl+Z} undoes.",
    "Press {A} to accept the frame. What you accepted or painted is never overwritten.",
    "Press Propagate to bring a frame you corrected to its neighbours, or Learn to let the student learn this clip.",
    "Play the clip ({K}); then accept all frames that you have seen ({Shift+A}).",
    "Press Export to write a dataset.",
)

STATES: tuple[tuple[str, str, str], ...] = (
    ("◌", "proposed", "The student's mask. Nobody has looked at it yet; it may be replaced by a newer proposal."),
    ("✎", "edited", "A person painted it. It counts as an annotation and is never replaced by a proposal."),
    ("✓", "accepted", "A person confirmed it as it is."),
    ("∅", "empty", "The place is in view, and the structure is not there, such as a bolus before the swallow."),
    (
        "–",
        "not visible",
        "Hidden or outside the picture on this frame; left out of datasets.",
    ),
    ("?", "doubtful", "A proposal that the student is not confident of, or that jumps against its neighbours."),
)


class TutorialPage(TextPage):
    """The work in seven sentences."""

    title = "The first minutes"

    def html(self) -> str:
        """Return the steps with the keys that are bound now."""
        items = "".join(f"<li style='margin-bottom:8px'>{self._with_keys(step)}</li>" for step in STEPS)
        return f"<ol>{items}</ol><p>Everything is saved as you do it. Close the window whenever you like.</p>"

    def _with_keys(self, step: str) -> str:
        for key in ("U", "P", "E", "C", "Ctrl+Z", "A", "K", "Shift+A"):
            step = step.replace(f"{{{key}}}", f"<b>{escape(self.controller.key_book.shown_for(key))}</b>")
        return step


class FirstKeysPage(TextPage):
    """Ten keys that do most of the work."""

    title = "The first ten keys"

    def html(self) -> str:
        """Return the keys as they are bound now."""
        book = self.controller.key_book
        rows = (
            f"<tr><td><b>{escape(book.shown_for(key))}</b>&nbsp;&nbsp;&nbsp;</td><td>{escape(what)}</td></tr>"
            for key, what in FIRST_KEYS
        )
        return f"<table cellpadding='5'>{''.join(rows)}</table>"


class StatesPage(TextPage):
    """What the states of a mask mean."""

    title = "What the states mean"

    def html(self) -> str:
        """Return sign, name and meaning of each state."""
        rows = (
            f"<tr><td>{sign}</td><td><b>{name}</b>&nbsp;&nbsp;</td><td>{escape(meaning)}</td></tr>"
            for sign, name, meaning in STATES
        )
        return f"<table cellpadding='5'>{''.join(rows)}</table>"


class ReportPage(TextPage):
    """What whoever looks into a problem must know of this computer."""

    title = "Report a problem"

    def __init__(self, controller: AnnotationController) -> None:
        super().__init__(controller)
        copy = self.copy = QPushButton("Copy")
        copy.setToolTip("Copy this text; paste it into your report")
        copy.setAccessibleName("Copy the report")
        copy.clicked.connect(self._copy)
        self.body.addWidget(copy)

    def html(self) -> str:
        """Return what is known of program and computer."""
        lines = "".join(f"{escape(line)}<br>" for line in report_lines(self.controller))
        return (
            "<p>Write what you did, what you expected and what happened, and add these lines. Nothing is sent by the "
            "program. The lines name no patient, no file and no project.</p><pre>" + lines + "</pre>"
        )

    def _copy(self) -> None:
        clipboard = QApplication.clipboard()
        if clipboard is not None:
            clipboard.setText("\n".join(report_lines(self.controller)))


def report_lines(controller: AnnotationController) -> list[str]:
    """Return versions, system, device of the student, and the kind of clip that is open."""
    lines = [
        f"napari-vfss {__version__}",
        f"Python {platform.python_version()} on {platform.platform()}, {platform.machine()}",
        ", ".join(f"{name} {_version(name)}" for name in ("napari", "numpy", "openvino", "torch", "PyQt6", "PySide6")),
    ]
    session = controller.session
    if session is not None:
        clip = session.clip
        lines.append(f"clip: {clip.n_frames} frames of {clip.width} x {clip.height}")
        if session.student is not None:
            lines.append(f"student: {session.student.id} on {session.student.device}")
    return lines


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "-"


HELP_PAGES: dict[str, type[Page]] = {
    "help.tutorial": TutorialPage,
    "help.first_keys": FirstKeysPage,
    "help.states": StatesPage,
    "help.report": ReportPage,
}
"""Pages of the help menu, by name."""
