# SPDX-License-Identifier: Apache-2.0
"""Notice in the dialogs of training and export: how many clips have no confirmed case, with a way to confirm."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QWidget

from napari_vfss.ui.dialog_parts import dialog_button, wrapped_label
from napari_vfss.ui.dialogs.case_ids import CaseIdsDialog
from vfss.errors import VfssError
from vfss.project import Project
from vfss.project.cases import unconfirmed_text


class CaseNotice(QWidget):
    """Says how many clips have no confirmed case id, and opens the dialog; hidden where all are confirmed.

    Attributes:
        dialog: The dialog, while it is open.
    """

    confirmed = Signal()

    def __init__(self, folder: Path) -> None:
        """Show the notice of a project; one that cannot be opened has none."""
        super().__init__()
        self._folder = folder
        self.dialog: CaseIdsDialog | None = None
        self.text = wrapped_label()
        self.button = dialog_button("Confirm case ids...", "See and confirm whose each recording is", self.ask)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.text, 1)
        row.addWidget(self.button)
        self.refresh()

    def refresh(self) -> None:
        """Count the clips whose case nobody has confirmed."""
        try:
            with Project.open(self._folder) as project:
                text = unconfirmed_text(project.clips())
        except VfssError:  # the dialog around it shows the error
            text = ""
        self.text.setText(f"⚠ {text}" if text else "")
        if not text:
            self.hide()
        elif self.parentWidget() is not None:  # else it would show as a window of its own
            self.show()

    def ask(self) -> None:
        """Open the dialog of case ids over this one."""
        if self.dialog is not None:
            return
        self.dialog = CaseIdsDialog(self._folder, self)
        self.dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.dialog.confirmed.connect(self._on_confirmed)
        self.dialog.finished.connect(self._on_closed)
        self.dialog.open()

    def close_dialog(self) -> None:
        """Close the dialog if it is open."""
        if self.dialog is not None:
            self.dialog.reject()

    def _on_confirmed(self) -> None:
        self.refresh()
        self.confirmed.emit()

    def _on_closed(self, _result: int) -> None:
        self.dialog = None
