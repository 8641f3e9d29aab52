# SPDX-License-Identifier: Apache-2.0
"""Actions that press a button of the panel: what is done now and then, by keys with Ctrl and Alt."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from napari_vfss.keys.action import Action, Place

if TYPE_CHECKING:
    from qtpy.QtWidgets import QAbstractButton

    from napari_vfss.controller.controller import AnnotationController
    from napari_vfss.ui.panel import AnnotationPanel


def _press(name: str, title: str, group: str, key: str, place: Place = "clip") -> Action:
    """The button is one of `buttons`, by the same name; a click on it while it is off does nothing."""

    def wish(controller: AnnotationController) -> None:
        controller.action_requested.emit(name)

    return Action(name, title, group, (key,), wish, place=place)


ACTIONS = (
    _press("marks.take_away", "remove the chosen mark", "Time", "Ctrl+Alt+Y"),
    _press("marks.bring_back", "restore the mark removed last", "Time", "Ctrl+Alt+Shift+Y"),
    _press("nesting.grow", "grow the outer structure around the inner", "Correct", "Ctrl+Alt+G"),
    _press("nesting.cut", "cut what lies outside the outer structure", "Correct", "Ctrl+Alt+X"),
    _press("nesting.leave", "leave it outside: it is intended", "Correct", "Ctrl+Alt+Z"),
    _press("history.compare", "compare with the proposal", "Correct", "Ctrl+Alt+C"),
    _press("history.back", "restore the version chosen in History", "Correct", "Ctrl+Alt+B"),
    _press("propagate.only_active", "propagate only the active structure, or all", "Propagate", "Ctrl+Alt+H"),
    _press("view.invert", "invert the recording", "View", "Ctrl+Alt+V"),
    _press("window.sample", "open a phantom swallow", "Window", "Ctrl+Alt+Shift+N", "window"),
    _press("window.timeline", "show the timeline", "Window", "Ctrl+Alt+M"),
    _press("window.readings", "second readings", "Window", "Ctrl+Alt+A"),
    _press("window.finish_reading", "finish this second reading", "Window", "Ctrl+Alt+Shift+A"),
    _press("window.save_elsewhere", "save elsewhere what was not saved", "Window", "Ctrl+Alt+Shift+W"),
    _press("window.open_dataset", "open the folder of the dataset", "Window", "Ctrl+Alt+F", "window"),
    _press("window.stop_export", "stop writing the dataset", "Window", "Ctrl+Alt+Shift+E", "window"),
    _press("window.stop_import", "stop importing", "Window", "Ctrl+Alt+Shift+I"),
    _press("window.stop_training", "stop training", "Window", "Ctrl+Alt+Shift+R", "window"),
    _press("window.use_student", "use the new student", "Window", "Ctrl+Alt+U"),
    _press("window.keep_student", "keep the present student", "Window", "Ctrl+Alt+Shift+U"),
)


def buttons(panel: AnnotationPanel) -> dict[str, Callable[[], object]]:
    """What is pressed, by the action's name."""
    made: dict[str, QAbstractButton] = {
        "marks.take_away": panel.marks.remove,
        "marks.bring_back": panel.marks.back,
        "nesting.grow": panel.nesting.grow,
        "nesting.cut": panel.nesting.cut,
        "nesting.leave": panel.nesting.leave,
        "history.compare": panel.history.proposal_button,
        "history.back": panel.history.back_button,
        "propagate.only_active": panel.propagate.only_active,
        "view.invert": panel.clip.inverted,
        "window.sample": panel.clip.sample_button,
        "window.timeline": panel.marks.timeline,
        "window.readings": panel.people.readings_button,
        "window.finish_reading": panel.people.finish_button,
        "window.save_elsewhere": panel.unsaved.elsewhere,
        "window.open_dataset": panel.export.open_button,
        "window.stop_export": panel.export.cancel_button,
        "window.stop_import": panel.importing.cancel_button,
        "window.stop_training": panel.student.cancel_button,
        "window.use_student": panel.student.use_button,
        "window.keep_student": panel.student.keep_button,
    }
    return {name: button.click for name, button in made.items()}
