# SPDX-License-Identifier: Apache-2.0
"""The annotator: the name written with every change, second readings, and the banner of a blinded reader."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QFileDialog, QLabel, QLineEdit, QMessageBox

import vfss
from napari_vfss import preferences
from napari_vfss.controller.controller import AnnotationController
from napari_vfss.session.host import while_open, while_open_or
from napari_vfss.session.session import Session
from napari_vfss.ui.section import SessionSection, tipped_button

if TYPE_CHECKING:
    from napari_vfss.ui.second_reader.agreement import AgreementPage
    from napari_vfss.ui.second_reader.dialog import ReadingDialog
    from vfss.project.second_reading_record import Reading

BANNER = "background: #6b4b00; color: white; padding: 4px; border-radius: 3px; font-weight: bold;"
PAGE = QSize(780, 330)
FINISH = (
    "Finish this second reading? It cannot be changed after that. "
    "You and the first reader can compare your annotations once both have finished."
)


class PeopleSection(SessionSection):
    """The annotator's name, second readings and their agreement."""

    def __init__(self, controller: AnnotationController) -> None:
        super().__init__(controller, "Annotator", folded=preferences.author_is_known())
        self._name = preferences.author()
        self._held_here = False
        self._title = ""
        self.dialog: ReadingDialog | None = None
        self.page: AgreementPage | None = None
        self.question: QMessageBox | None = None
        self.banner = QLabel()
        self.banner.setWordWrap(True)
        self.banner.setStyleSheet(BANNER)
        self.ask_name = QLabel("Who is annotating? Your name or initials are stored with every change you make.")
        self.ask_name.setWordWrap(True)
        self.name = QLineEdit(self._name if preferences.author_is_known() else "")
        self.name.setPlaceholderText(self._name)
        self.name.setToolTip("Stored with every change you make; can also be set in File > Preferences")
        self.name.setAccessibleName("Name of the annotator")
        self.readings_button = tipped_button(
            "Second readings...",
            "Let a second person annotate the same clips without seeing your masks",
            self.ask,
            key="Ctrl+Alt+A",
        )
        self.finish_button = tipped_button(
            "Finish reading...",
            "Finish this second reading, so that it can be compared; it cannot be changed after that",
            self.ask_to_finish,
            key="Ctrl+Alt+Shift+A",
        )
        self.body.addWidget(self.banner)
        self.body.addWidget(self.ask_name)
        self.add_row(QLabel("Name"), self.name, stretch=1)
        self.add_row(self.readings_button, self.finish_button)
        self.connections.add(self.name.editingFinished, self._on_name)
        self._on_session()

    def close_connections(self) -> None:
        """Disconnect from everything and close open dialogs."""
        for dialog in (self.dialog, self.question):
            if dialog is not None:
                dialog.close()
        self.close_page()
        super().close_connections()

    def show_session(self) -> None:
        """Show the annotator, and the banner if a second reading is open."""
        reading = self._reading()
        if reading is None:
            self._take_name()
        self._show_title(reading)
        self.heading.setText("Annotator" if reading is None else reading_title(reading))
        self.banner.setVisible(reading is not None)
        self.finish_button.setVisible(reading is not None and reading.finished is None)
        self.readings_button.setVisible(reading is None)
        self.name.setEnabled(reading is None)
        if reading is not None:
            self.banner.setText(f"{reading_title(reading)}. {_rules(reading)}")
            self.name.setText(reading.reader)
            self.unfold()
            self.close_page()
        elif not self.name.isModified():
            self.name.setText(self._name if preferences.author_is_known() else "")
        self._show_question()
        if reading is not None and reading.start == "student":
            self._propose_all()

    def refresh(self, *_: object) -> None:
        """Show the name beside the heading."""
        self.summary.setText(self._author() or self._name)

    def ask(self) -> None:
        """Show the second readings of the open project, or of one that a person chooses."""
        folder = self._project_folder()
        if folder is None:
            name = QFileDialog.getExistingDirectory(self, "Project for which to see second readings")
            folder = Path(name) if name else None
        if folder is not None:
            self.show_readings(folder)

    def show_readings(self, folder: Path) -> None:
        """Show the second readings of a project in a dialog that does not block the window."""
        from napari_vfss.ui.second_reader.dialog import ReadingDialog

        with self.controller.showing_errors():
            self.controller.save()
            if self.dialog is not None:
                self.dialog.close()
            self.dialog = ReadingDialog(vfss.Project.open(folder), self)
            self.dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            self.dialog.open_asked.connect(self._on_open)
            self.dialog.agreement_asked.connect(self.show_agreement)
            self.dialog.finished.connect(self._on_dialog_gone)
            self.dialog.open()

    def show_agreement(self, folder: Path, reading: Reading) -> None:
        """Compare a second reading with its project, in a dock of its own."""
        from napari_vfss.ui.second_reader.agreement import AgreementPage  # with its plots, which take long to import

        self.close_page()
        self.page = AgreementPage(self.controller, folder, reading)
        self.page.left.connect(self._on_page_left)
        dock = self.controller.viewer.window.add_dock_widget(self.page, name="Agreement", area="bottom")
        # Floating: a small screen has no room for a dock of this height under the picture.
        dock.setFloating(True)
        dock.resize(PAGE)
        corner = self.window().geometry().bottomLeft()
        dock.move(corner.x() + 8, corner.y() - PAGE.height() - 32)

    def ask_to_finish(self) -> None:
        """Ask for confirmation before a second reading is finished, which cannot be undone."""
        self.question = QMessageBox(self)
        self.question.setWindowTitle("Second reading")
        self.question.setText(FINISH)
        self.question.addButton(QMessageBox.StandardButton.Cancel)
        finish_button = self.question.addButton("Finish", QMessageBox.ButtonRole.AcceptRole)
        finish_button.clicked.connect(self.finish)
        self.question.open()

    @while_open
    def finish(self, session: Session) -> None:
        """Finish the second reading that is open."""
        if session.reading is None:
            return
        with self.controller.showing_errors():
            self.controller.save()
            from vfss.project.second_readings import finish_reading

            session.reading = finish_reading(session.project.folder)
            self.controller.show_message("This second reading is finished: it can be viewed, but no longer changed.")
        self._on_session()

    def _on_session(self) -> None:
        # Unlike the other sections, this one is useful before a clip is open.
        super()._on_session()
        self.body.parentWidget().setEnabled(True)

    def take_name(self, name: str) -> None:
        """Work under a name from now on, and store it for this account."""
        self.name.setText(name)
        self._on_name()

    def _on_name(self) -> None:
        name = self.name.text().strip()
        if not name or name == self._name or self._reading() is not None:
            return
        self._name = name
        self.name.setModified(False)
        if self.ask_name.isVisibleTo(self):  # the question is answered
            self.fold()
        self._held_here = not preferences.store_author(name)
        self._set_author(name)
        self._show_question()
        self.refresh()

    @while_open_or(None)
    def _reading(self, session: Session) -> Reading | None:
        return session.reading

    @while_open_or("")
    def _author(self, session: Session) -> str:
        return session.author

    @while_open_or(None)
    def _project_folder(self, session: Session) -> Path | None:
        return session.project.folder

    @while_open
    def _set_author(self, session: Session, name: str) -> None:
        session.author = name

    @while_open
    def _propose_all(self, session: Session) -> None:
        if not session.states.any():
            self.controller.student_jobs.propose(0, session.clip.n_frames - 1)

    @while_open
    def _take_name(self, session: Session) -> None:
        # Preferences may have changed meanwhile; if they could not store the name, this panel keeps it.
        if self._held_here:
            session.author = self._name
        else:
            self._name = session.author

    def _on_open(self, folder: Path) -> None:
        self.controller.open(folder)

    def _on_dialog_gone(self, *_: object) -> None:
        self.dialog = None

    def _on_page_left(self) -> None:
        self.page = None

    def _show_question(self) -> None:
        self.ask_name.setVisible(self.name.isEnabled() and not self.name.text().strip())

    def _show_title(self, reading: Reading | None) -> None:
        viewer = self.controller.viewer
        if reading is not None:
            self._title = self._title or str(viewer.title)
            viewer.title = f"{reading_title(reading)} - {self._title}"
        elif self._title:
            viewer.title, self._title = self._title, ""

    def close_page(self) -> None:
        """Close the page that compares two readers, if it is open."""
        page, self.page = self.page, None
        if page is not None:
            page.leave()


def reading_title(reading: Reading) -> str:
    """Return one line: whose reading it is, and whether it is still blinded."""
    if reading.finished is not None:
        return f"Second reading by {reading.reader} (finished)"
    return f"Second reading by {reading.reader} (blinded)"


def _rules(reading: Reading) -> str:
    if reading.finished is not None:
        return "It can be viewed, but no longer changed."
    start = "The student proposes masks." if reading.start == "student" else "The student is switched off."
    return f"The first reader's annotations are hidden from you. {start}"
