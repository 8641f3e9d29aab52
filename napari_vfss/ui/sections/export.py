# SPDX-License-Identifier: Apache-2.0
"""Export the accepted annotations as a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QDialog, QProgressBar

import vfss
from napari_vfss import preferences
from napari_vfss.controller.controller import AnnotationController
from napari_vfss.session.host import while_open, while_open_or
from napari_vfss.session.session import Session
from napari_vfss.ui.dialog_parts import wrapped_label
from napari_vfss.ui.section import SessionSection, button, tipped_button
from napari_vfss.user_config import UserConfigFile

if TYPE_CHECKING:
    from napari_vfss.jobs.files import ExportOrder
    from napari_vfss.ui.dialogs.export import ExportDialog


class ExportSection(SessionSection):
    """Writes the project's annotations as a dataset, and reports what was written."""

    def __init__(self, controller: AnnotationController) -> None:
        super().__init__(controller, "Export")
        tip = "Choose a format, see what will be written, and export the accepted masks of this project"
        self.export_button = button("Export...", tip, self.ask_and_export, key="Ctrl+Alt+E", key_on_face=False)
        self.open_button = tipped_button(
            "Open the folder", "Show the folder of the dataset", self.open_folder, key="Ctrl+Alt+F"
        )
        self.add_row(self.export_button, self.open_button)
        self.bar = QProgressBar()
        self.bar.setFixedHeight(16)
        self.cancel_button = tipped_button(
            "Cancel",
            "Stop writing; the next export into this folder continues there",
            controller.exporting.cancel,
            key="Ctrl+Alt+Shift+E",
        )
        self.add_row(self.bar, self.cancel_button, stretch=0)
        self.report = wrapped_label()
        self.report.setTextFormat(Qt.TextFormat.PlainText)
        self.body.addWidget(self.report)
        self.dialog: ExportDialog | None = None
        self.folder: Path | None = None
        self.choices = UserConfigFile("export.json", self)
        self.connections.add(controller.exporting.progressed, self._on_progress)
        self.connections.add(controller.exporting.message, controller.show_message)
        self.connections.add(controller.exporting.ended, self._on_ended)
        self._set_running(False)
        self._show_report("", None)
        self._on_session()

    def close_connections(self) -> None:
        """Disconnect from everything and close the dialog if it is open."""
        if self.dialog is not None:
            self.dialog.reject()
        super().close_connections()

    def ask_and_export(self) -> None:
        """Ask what to write and where, in a dialog that does not block the window."""
        if not self._ask():
            self.controller.show_message("Open a recording or a project first: its accepted masks are exported.")

    @while_open_or(False)
    def _ask(self, session: Session) -> bool:
        if self.controller.exporting.running or self.dialog is not None:
            return True
        # The libraries of the formats take long to import, and not everybody exports today.
        from napari_vfss.ui.dialogs.export import ExportDialog

        self.controller.save()
        with self.controller.showing_errors():
            reviewer = "" if preferences.is_nobody(session.author) else session.author
            self.dialog = ExportDialog(vfss.Project.open(session.project.folder), reviewer, self.choices.values, self)
            self.dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            self.dialog.cases.confirmed.connect(self._reread_record)
            self.dialog.finished.connect(self._on_dialog)
            self.dialog.open()
        return True

    @while_open
    def _reread_record(self, session: Session) -> None:
        with self.controller.showing_errors():
            session.reread_record()

    def export(self, order: ExportOrder) -> None:
        """Start to write a dataset."""
        self.unfold()
        self.bar.setRange(0, 0)
        self._set_running(True)
        self._show_report("", None)
        self.controller.export(order)

    def open_folder(self) -> None:
        """Show the dataset in the file manager."""
        if self.folder is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self.folder)))

    def _on_dialog(self, result: int) -> None:
        dialog, self.dialog = self.dialog, None
        if dialog is None or result != QDialog.DialogCode.Accepted or dialog.order is None:
            return
        chosen: dict[str, Any] = dialog.choice.chosen
        with self.controller.showing_errors():
            self.choices.update(lambda _before: chosen)
        self.export(dialog.order)

    def _on_progress(self, done: int, total: int) -> None:
        self.bar.setRange(0, total)
        self.bar.setValue(done)

    def _on_ended(self, message: str, folder: Path | None) -> None:
        self._set_running(False)
        stopped = message.startswith(("Cancelled", "Stopped"))
        first, *more = message.split("\n")
        self.controller.show_message(message if folder is None else first, problem=folder is None and not stopped)
        self._show_report("\n".join(more), folder)

    def _show_report(self, report: str, folder: Path | None) -> None:
        self.folder = folder
        self.report.setText(report)
        self.report.setVisible(bool(report))
        self.open_button.setVisible(folder is not None)

    def _set_running(self, running: bool) -> None:
        for widget in (self.bar, self.cancel_button):
            widget.setVisible(running)
        self.export_button.setEnabled(not running)
