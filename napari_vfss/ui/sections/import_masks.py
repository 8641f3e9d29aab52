# SPDX-License-Identifier: Apache-2.0
"""Import masks of other programs as proposals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDialog, QProgressBar

import vfss
from napari_vfss.controller.controller import AnnotationController
from napari_vfss.jobs.importing import Importing
from napari_vfss.session.host import while_open, while_open_or
from napari_vfss.session.session import Session
from napari_vfss.ui.dialog_parts import wrapped_label
from napari_vfss.ui.section import SessionSection, button, tipped_button

if TYPE_CHECKING:
    from napari_vfss.ui.dialogs.import_masks import ImportDialog


class ImportSection(SessionSection):
    """Asks for masks, writes them as proposals, and reports what was written."""

    def __init__(self, controller: AnnotationController) -> None:
        super().__init__(controller, "Masks of other programs", folded=True)
        self.importing = Importing(self)
        tip = "Import masks of other programs as proposals: COCO, CVAT, YOLO, nnU-Net, NIfTI, DICOM SEG, PNG, ..."
        self.import_button = button("Import masks...", tip, self.ask_and_import, key="Ctrl+Alt+I", key_on_face=False)
        self.body.addWidget(self.import_button)
        self.bar = QProgressBar()
        self.bar.setFixedHeight(16)
        self.cancel_button = tipped_button(
            "Cancel", "Stop; masks already written are kept", self.importing.cancel, key="Ctrl+Alt+Shift+I"
        )
        self.add_row(self.bar, self.cancel_button, stretch=0)
        self.report = wrapped_label()
        self.report.setTextFormat(Qt.TextFormat.PlainText)
        self.report.hide()
        self.body.addWidget(self.report)
        self.dialog: ImportDialog | None = None
        self.connections.add(self.importing.progressed, self._on_progress)
        self.connections.add(self.importing.ended, self._on_ended)
        self._set_running(False)
        self._on_session()

    def close_connections(self) -> None:
        """Disconnect from everything, close the dialog and stop an import."""
        if self.dialog is not None:
            self.dialog.reject()
        self.importing.cancel()
        super().close_connections()

    def ask_and_import(self) -> None:
        """Ask which masks to import, in a dialog that does not block the window."""
        if not self._ask():
            self.controller.show_message("Open the recording first to which the masks belong.")

    @while_open_or(False)
    def _ask(self, session: Session) -> bool:
        if self.importing.running or self.dialog is not None:
            return True
        # The libraries of the formats take long to import, and not everybody imports today.
        from napari_vfss.ui.dialogs.import_masks import ImportDialog

        self.controller.save()
        with self.controller.showing_errors():
            self.dialog = ImportDialog(vfss.Project.open(session.project.folder), session.clip.id, self)
            self.dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            self.dialog.finished.connect(self._on_dialog)
            self.dialog.open()
        return True

    @while_open
    def _on_dialog(self, session: Session, result: int) -> None:
        dialog, self.dialog = self.dialog, None
        plan = None if dialog is None else dialog.plan
        if plan is None or result != QDialog.DialogCode.Accepted:
            return
        self.unfold()
        self.bar.setRange(0, 0)
        self._set_running(True)
        self.report.hide()
        self.importing.start(session.project.folder, plan, session.author)

    def _on_progress(self, done: int, total: int) -> None:
        self.bar.setRange(0, total)
        self.bar.setValue(done)

    def _on_ended(self, message: str, written: object) -> None:
        self._set_running(False)
        first, *more = message.split("\n")
        self.controller.show_message(first, problem=not written and message != "Cancelled")
        self.report.setText("\n".join(more))
        self.report.setVisible(bool(more))
        self.controller.poll()  # shows the imported masks

    def _set_running(self, running: bool) -> None:
        for widget in (self.bar, self.cancel_button):
            widget.setVisible(running)
        self.import_button.setEnabled(not running)
