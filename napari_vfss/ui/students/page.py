# SPDX-License-Identifier: Apache-2.0
"""The students page: a card of each student on the left; on the right what is known of the chosen one."""

from __future__ import annotations

from html import escape
from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QMessageBox,
    QProgressBar,
    QScrollArea,
    QSplitter,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from napari_vfss.connections import Connections
from napari_vfss.controller.controller import AnnotationController
from napari_vfss.jobs.students import Comparing, ComparisonOrder
from napari_vfss.keys.labels import KeyLabels
from napari_vfss.session.host import while_open
from napari_vfss.session.session import Session
from napari_vfss.ui.pages import Page
from napari_vfss.ui.section import tipped_button
from napari_vfss.ui.students.canaries import CanaryView
from napari_vfss.ui.students.figures import FiguresTable, dice_text, points
from napari_vfss.ui.students.renewal import RenewalView
from napari_vfss.ui.students.verdict import badge, verdict_html
from vfss.comparison.cards import SHIPPED, StudentCard, export_name, student_cards
from vfss.project.hold_out import FrozenFrames
from vfss.wording import count

NOTHING_OPEN = "Open a recording or a project first: its students are shown here."
FILES = "Students (*.safetensors)"
_LEFT = 230


class StudentsPage(Page):
    """Shows all students of the open project.

    Attributes:
        cards: Cards as listed, the one that ships first.
    """

    title = "Students"

    def __init__(self, controller: AnnotationController) -> None:
        super().__init__(controller)
        self.cards: list[StudentCard] = []
        self.comparing = Comparing(controller)
        self._connections, self._session_connections = Connections(), Connections()
        self._shown = ""
        self.nothing = QLabel(NOTHING_OPEN)
        self.body.addWidget(self.nothing)
        self.canaries, self.renewal = CanaryView(controller), RenewalView(controller)
        self.split = QSplitter(Qt.Orientation.Horizontal)
        self.split.addWidget(self._build_left())
        self.split.addWidget(self._build_right())
        self.split.setSizes([_LEFT, 3 * _LEFT])
        self.split.setStretchFactor(1, 1)
        self.body.addWidget(self.split, 1)
        self._key_labels = KeyLabels(self, controller.key_book)
        add = self._connections.add
        add(controller.session_changed, self._on_session)
        add(controller.retraining.ended, self.refresh)
        add(self.comparing.progressed, self._on_progress)
        add(self.comparing.ended, self._on_compared)
        add(self.renewal.went, self.left.emit)
        self._set_comparing(False)
        self._on_session()

    @property
    def session(self) -> Session | None:
        """The open session."""
        return self.controller.session

    @property
    def card(self) -> StudentCard | None:
        """The chosen card."""
        row = self.list.currentRow()
        return self.cards[row] if 0 <= row < len(self.cards) else None

    def close_connections(self) -> None:
        """Stop what runs and disconnect."""
        self.comparing.cancel()
        self.canaries.close_connections()
        self.renewal.close_connections()
        self._key_labels.close()
        self._session_connections.undo()
        self._connections.undo()

    def press(self, act: str) -> None:
        """Do what a key stands for: press a button, if it can be pressed now."""
        buttons = {
            "compare": (0, self.compare_button),
            "use": (0, self.use_button),
            "roll_back": (0, self.back_button),
            "extend": (0, self.extend_button),
            "import": (0, self.import_button),
            "export": (0, self.export_button),
            "delete": (0, self.delete_button),
            "canaries": (1, self.canaries.show_button),
            "renew_clip": (2, self.renewal.clip_button),
            "renew_project": (2, self.renewal.project_button),
        }
        if act == "stop":
            for job in (self.comparing, self.canaries.job, self.renewal.job):
                job.cancel()
            return
        tab, pressed = buttons[act]
        self.tabs.setCurrentIndex(tab)
        pressed.click()

    def choose(self, student_id: str) -> None:
        """Choose a card by the id of its student."""
        for row, card in enumerate(self.cards):
            if card.id == student_id:
                self.list.setCurrentRow(row)

    def refresh(self, *_: object) -> None:
        """List the students again; the chosen one stays chosen."""
        is_open = self.session is not None
        self.nothing.setVisible(not is_open)
        self.split.setVisible(is_open)
        self._list()

    @while_open
    def compare(self, session: Session, *, extend: bool = False) -> None:
        """Compare the chosen student with the one in use, in the background."""
        card = self.card
        if card is None or card.record is None or card.in_use or card.problem or self.comparing.running:
            return
        self.bar.setRange(0, 0)
        self._set_comparing(True)
        self.comparing.start(ComparisonOrder(session.project.folder, card.record.id, extend))

    @while_open
    def use(self, session: Session) -> None:
        """Make the chosen student the one in use; what the gate does not offer only after a second question."""
        card = self.card
        if card is None or card.in_use or card.problem:
            return
        offered = card.comparison is not None and card.comparison.verdict.passed
        if not offered and not self.confirm(f"Use {card.title} nevertheless?", _why_not(card)):
            return
        with self.controller.showing_errors():
            session.choose_student(card.project_id, nevertheless=not offered)
            self.controller.show_message(
                f"{card.title} proposes from now on. Masks that are there stay as they are; what nobody accepted can "
                "be proposed anew on the students page."
            )
            self.tabs.setCurrentIndex(2)

    @while_open
    def roll_back(self, session: Session) -> None:
        """Go back to the student that was in use before."""
        with self.controller.showing_errors():
            record = session.roll_back_student()
            title = SHIPPED if record is None else record.title
            self.controller.show_message(f"Back to the student before: {title}.")

    @while_open
    def import_file(self, session: Session, path: Path | None = None) -> None:
        """Import a student file, which a person chooses if none is given."""
        if path is None:
            name, _ = QFileDialog.getOpenFileName(self, "Import a student", "", FILES)
            if not name:
                return
            path = Path(name)
        with self.controller.showing_errors():
            record = session.project.shelf.bring_in(path, session.author, session.project.schema.keys)
            session.student_changed.emit()
            self.choose(record.id)

    @while_open
    def export_file(self, session: Session, path: Path | None = None) -> None:
        """Export the chosen student to a file, which a person chooses if none is given."""
        card = self.card
        if card is None or card.record is None or card.problem:
            return
        if path is None:
            name, _ = QFileDialog.getSaveFileName(self, "Export the student", str(export_name(card)), FILES)
            if not name:
                return
            path = Path(name)
        with self.controller.showing_errors():
            session.project.shelf.export(card.record.id, path)
            self.controller.show_message(f"Written to {path}.")

    @while_open
    def delete(self, session: Session) -> None:
        """Delete the file of the chosen student after a question; its card stays."""
        card = self.card
        if card is None or card.record is None or card.in_use or card.record.deleted is not None:
            return
        told = "The file is deleted for good. Its card stays, so that one sees which masks it proposed."
        if self.confirm(f"Delete the file of {card.title}?", told):
            with self.controller.showing_errors():
                session.project.shelf.delete(card.record.id)
                session.student_changed.emit()

    def confirm(self, question: str, explanation: str) -> bool:
        """Ask a question; return whether the answer is yes."""
        box = QMessageBox(QMessageBox.Icon.Question, "Students", question, parent=self)
        box.setInformativeText(explanation)
        box.setStandardButtons(QMessageBox.StandardButton.Yes | QMessageBox.StandardButton.Cancel)
        box.setDefaultButton(QMessageBox.StandardButton.Cancel)
        return bool(box.exec() == QMessageBox.StandardButton.Yes)

    def _build_left(self) -> QWidget:
        self.list = QListWidget()
        self.list.setAccessibleName("Students of the project")
        self.list.setToolTip("Choose a student to see what is known of it")
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.list.currentRowChanged.connect(self._on_chosen)
        tip = "Go back to the student that was in use before this one"
        self.back_button = tipped_button("Go back", tip, self.roll_back, key="Ctrl+Alt+Shift+B")
        tip = "Import a student that a colleague exported"
        self.import_button = tipped_button("Import...", tip, self.import_file, key="Ctrl+Alt+Shift+O")
        left = QWidget()
        column = QVBoxLayout(left)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.list, 1)
        column.addWidget(self.back_button)
        column.addWidget(self.import_button)
        return left

    def _build_right(self) -> QWidget:
        self.tabs = QTabWidget()
        self.tabs.addTab(self._build_details(), "About it")
        self.tabs.addTab(self.canaries, "Side by side")
        self.tabs.addTab(self.renewal, "Propose anew")
        return self.tabs

    def _build_details(self) -> QWidget:
        self.name, self.note = QLineEdit(), QLineEdit()
        for field, what in ((self.name, "Name"), (self.note, "Note")):
            field.setPlaceholderText(what)
            field.setAccessibleName(f"{what} of the student")
            field.setToolTip(f"{what} of this student; Enter keeps it")
        self.name.setMaximumWidth(220)
        self.name.setMaxLength(80)
        self.name.editingFinished.connect(self._on_named)
        self.note.editingFinished.connect(self._on_named)
        self.origin, self.verdict, self.hold_out = QLabel(), QLabel(), QLabel()
        for label in (self.origin, self.verdict, self.hold_out):
            label.setWordWrap(True)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.figures = FiguresTable()
        inside = QWidget()
        column = QVBoxLayout(inside)
        names = QHBoxLayout()
        names.addWidget(self.name)
        names.addWidget(self.note, 1)
        column.addLayout(names)
        for widget in (self.origin, self.verdict):
            column.addWidget(widget)
        column.addWidget(self.figures)
        column.addWidget(self.hold_out)
        column.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        scroll.setWidget(inside)
        details = QWidget()
        whole = QVBoxLayout(details)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(scroll, 1)
        whole.addLayout(self._build_buttons())
        return details

    def _build_buttons(self) -> QVBoxLayout:
        tip = "Compare with the student in use, on the same frames of held-out patients; takes a minute or two"
        self.compare_button = tipped_button("Compare", tip, self.compare, key="Ctrl+Alt+Shift+C")
        tip = "Take in the frames of held-out patients annotated since; earlier figures are then of fewer frames"
        self.extend_button = tipped_button(
            "Extend hold-out", tip, lambda: self.compare(extend=True), key="Ctrl+Alt+Shift+M"
        )
        self.use_button = tipped_button("Use", "Propose with it from now on", self.use, key="Ctrl+Alt+Shift+T")
        self.export_button = tipped_button(
            "Export...", "Copy it to a file, for a colleague", self.export_file, key="Ctrl+Alt+Shift+D"
        )
        tip = "Delete its file; the card stays. Never the one in use"
        self.delete_button = tipped_button("Delete...", tip, self.delete, key="Ctrl+Alt+Shift+K")
        self.bar = QProgressBar()
        self.bar.setFixedHeight(16)
        self.stop_button = tipped_button("Cancel", "Stop comparing", self.comparing.cancel, key="Ctrl+Alt+Shift+X")
        rows = QVBoxLayout()
        first, second = QHBoxLayout(), QHBoxLayout()
        for widget in (self.bar, self.stop_button, self.compare_button, self.extend_button):
            first.addWidget(widget, 2)
        first.addWidget(self.use_button, 2)
        for widget in (self.export_button, self.delete_button):
            second.addWidget(widget, 1)
        rows.addLayout(first)
        rows.addLayout(second)
        return rows

    def _on_session(self) -> None:
        self._session_connections.undo()
        self.comparing.cancel()
        self.tabs.setCurrentIndex(0)
        self._follow()
        self.refresh()

    @while_open
    def _follow(self, session: Session) -> None:
        self._session_connections.add(session.student_changed, self._on_student_changed)

    def _on_student_changed(self) -> None:
        if self.isVisible():
            self.refresh()

    @while_open
    def _list(self, session: Session) -> None:
        chosen = self.card.id if self.card is not None else ""
        with self.controller.showing_errors():
            self.cards = student_cards(session.project)
            before = session.project.shelf.before()
            frozen = session.project.hold_out.frames(session.project.assigned_splits())
        self.list.blockSignals(True)
        self.list.clear()
        for card in self.cards:
            item = QListWidgetItem()
            label = QLabel(card_html(card))
            label.setContentsMargins(8, 5, 8, 5)
            item.setData(Qt.ItemDataRole.AccessibleTextRole, f"{card.title}, {badge(card)}")
            self.list.addItem(item)
            self.list.setItemWidget(item, label)
            label.ensurePolished()  # the size of its text is that of the window's style
            item.setSizeHint(label.sizeHint())
        self.list.blockSignals(False)
        titles = {card.project_id: card.title for card in self.cards}
        self.back_button.setEnabled(before is not None and not session.project.read_only)
        self.back_button.setText("Go back" if before is None else f"Go back to {titles.get(before[0], SHIPPED)}")
        self.hold_out.setText(hold_out_text(frozen))
        self._waiting = bool(frozen.waiting and frozen.count)
        rows = [row for row, card in enumerate(self.cards) if card.id == chosen]
        rows += [row for row, card in enumerate(self.cards) if card.in_use]
        self.list.setCurrentRow(rows[0])
        self._on_chosen()

    def _on_chosen(self, *_: object) -> None:
        self._show_card()

    @while_open
    def _show_card(self, session: Session) -> None:
        card = self.card
        if card is None:
            return
        in_use = next((one for one in self.cards if one.in_use), None)
        record = card.record
        self.name.setText("" if record is None else record.name)
        self.note.setText("" if record is None else record.note)
        for field in (self.name, self.note):
            field.setEnabled(record is not None and not session.project.read_only)
        self.name.setPlaceholderText(card.title if record is None or not record.name else "Name")
        line = f" Trained from {escape(' ← '.join(card.lineage))}." if card.lineage else ""
        self.origin.setText(
            f"<b>{escape(card.title)}</b> <small>{card.id}</small><br>{escape(' '.join(card.origin))}{line}"
        )
        self.verdict.setText(verdict_html(card))
        self.figures.show_card(card, in_use, session.schema)
        self.canaries.show_card(card)
        self._enable(card, read_only=session.project.read_only)

    def _enable(self, card: StudentCard, *, read_only: bool) -> None:
        usable = not card.in_use and not card.problem and not read_only
        offered = card.comparison is not None and card.comparison.verdict.passed
        self.use_button.setText("Use" if offered or card.in_use else "Use nevertheless...")
        self.use_button.setEnabled(usable)
        self.compare_button.setEnabled(usable and card.record is not None)
        self.extend_button.setEnabled(usable and card.record is not None and self._waiting)
        self.extend_button.setVisible(self._waiting and not self.comparing.running)
        kept = card.record is not None and card.record.deleted is None
        self.export_button.setEnabled(kept and not card.problem)
        self.delete_button.setEnabled(kept and not card.in_use and not read_only)

    @while_open
    def _on_named(self, session: Session) -> None:
        record = None if self.card is None else self.card.record
        if record is None or (record.name, record.note) == (self.name.text().strip(), self.note.text().strip()):
            return
        with self.controller.showing_errors():
            session.project.shelf.describe(record.id, name=self.name.text(), note=self.note.text())
            session.student_changed.emit()

    def _on_progress(self, done: int, total: int) -> None:
        self.bar.setRange(0, max(1, total))
        self.bar.setValue(done)

    def _on_compared(self, message: str, _result: object) -> None:
        self._set_comparing(False)
        self.refresh()
        if message:
            self.controller.show_message(message, problem="ancelled" not in message)

    def _set_comparing(self, running: bool) -> None:
        for widget in (self.bar, self.stop_button):
            widget.setVisible(running)
        self.compare_button.setVisible(not running)
        self.extend_button.setVisible(not running)


def card_html(card: StudentCard) -> str:
    """Return a card in the list: title, when, Dice, and what the gate says."""
    mean = dice_text(card.mean)
    held = None if card.comparison is None else card.comparison.hold_out
    paired = held if held is not None and held.frames else None
    gained = "" if paired is None else f" {points(paired.difference.get('')).split('  ')[0]}"
    dice = f"Dice {mean}{gained}" if card.mean is not None and card.mean.value is not None else "no figures yet"
    when = "" if card.record is None else f"{card.record.added.astimezone():%d %b %Y, %H:%M}"
    lines = [f"<b>{escape(card.title)}</b>", f"{when}", dice, escape(badge(card))]
    return "<br>".join(line for line in lines if line)


def hold_out_text(frozen: FrozenFrames) -> str:
    """Return what the frozen hold-out is, for below the figures."""
    if not frozen.count:
        return "The hold-out is frozen at the first comparison: all annotated frames of patients in validation or test."
    when = "" if frozen.frozen is None else f" since {frozen.frozen.astimezone():%d %b %Y}"
    waiting = f" {count(frozen.waiting, 'frame')} annotated later are not in it." if frozen.waiting else ""
    return (
        f"Hold-out: {count(frozen.count, 'frame')} of {count(len(frozen.patients), 'patient')}, the same{when}."
        f"{waiting}"
    )


def _why_not(card: StudentCard) -> str:
    if card.comparison is None:
        return "It was not compared with the student in use, so nobody knows which is better here."
    return "\n".join(card.comparison.verdict.against)
