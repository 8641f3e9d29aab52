# SPDX-License-Identifier: Apache-2.0
"""The recording that is open, its patient, and the current frame."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QComboBox, QDialog, QFileDialog, QLabel, QLineEdit, QMenu

from napari_vfss.connections import Connections
from napari_vfss.controller.controller import AnnotationController
from napari_vfss.debounce import Debounce
from napari_vfss.keys.labels import explain
from napari_vfss.session.host import while_open, while_open_or
from napari_vfss.session.session import Session
from napari_vfss.ui.colours import WARNING_STYLE, warn
from napari_vfss.ui.dialogs.choose_recording import ChooseRecordingDialog
from napari_vfss.ui.dialogs.new_project import NewProjectDialog
from napari_vfss.ui.section import Section, tipped_button
from vfss.clips import SUFFIXES, TimesFrom
from vfss.clips.time_base import frame_rate
from vfss.errors import ClipError, SeveralRecordingsError
from vfss.masks import MaskState
from vfss.sample_clips import SAMPLES, sample_path
from vfss.wording import count, sentences

ACCEPTED = QDialog.DialogCode.Accepted
RATE_WIDTH = 62
RATE_FROM: dict[TimesFrom, str] = {"file": "", "assumed": "⚠ assumed", "person": "typed"}
RATE_TIP = "Type the rate if you know it better (1 to 500); empty: that of the recording"
TIMES_TIPS: dict[TimesFrom, str] = {
    "file": "Frames a second: {} by the recording.",
    "assumed": "Frames a second: {} is ASSUMED, as the recording does not state it.",
    "person": "Frames a second: {} as typed.",
}
FACINGS = (("unknown", "Facing: ?"), ("left", "Facing left"), ("right", "Facing right"))


class ClipSection(Section):
    """Opens recordings and projects; shows the current frame, its time and the progress."""

    def __init__(self, controller: AnnotationController) -> None:
        super().__init__("Clip")
        self._controller = controller
        self._connections = Connections()
        self._session_connections = Connections()
        self._later = Debounce(self, self._show_place)
        self.dialog: NewProjectDialog | ChooseRecordingDialog | None = None
        self._build_sources()
        self._build_flags()
        self.place = QLabel("Open a recording, or try a sample.")
        self.place.setToolTip("Current frame, and its time")
        self.body.addWidget(self.place)
        self._build_rate()
        self._connections.add(controller.session_changed, self._on_session)
        self._connections.add(controller.recording_asked, self.ask_which_recording)
        self._on_session()

    @property
    def session(self) -> Session | None:
        """The open session."""
        return self._controller.session

    def close_connections(self) -> None:
        """Disconnect from the session and the controller, and close the dialog if it is open."""
        if self.dialog is not None:
            self.dialog.reject()
        self._session_connections.undo()
        self._connections.undo()

    def ask_for_clip(self) -> None:
        """Let a person choose one or many recordings and open them."""
        patterns = " ".join(f"*{suffix}" for suffix in sorted(SUFFIXES))
        kinds = f"Recordings ({patterns});;All files, DICOM without suffix too (*)"
        names, _ = QFileDialog.getOpenFileNames(self, "Open one or many recordings", "", kinds)
        if len(names) == 1:
            self._controller.open(Path(names[0]))
        elif names:
            self._controller.open_many([Path(name) for name in names])

    def ask_for_folder(self) -> None:
        """Let a person choose a folder and open it: of frames, or of recordings, of which one is then chosen."""
        name = QFileDialog.getExistingDirectory(self, "Open a folder of pictures, DICOM images or recordings")
        if name:
            self._controller.open(Path(name))

    def ask_which_recording(self, several: SeveralRecordingsError) -> None:
        """Ask which recording of a folder to open, in a dialog that does not block the window."""
        if several.path is not None:
            self.dialog = ChooseRecordingDialog(several.path, several.recordings, self)
            self.dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            self.dialog.finished.connect(self._on_recording_chosen)
            self.dialog.open()

    def ask_for_project(self) -> None:
        """Let a person choose a project, or a folder for a new one to which the open clip is added."""
        name = QFileDialog.getExistingDirectory(self, "Open a project, or choose a folder for a new one")
        if name:
            self._controller.choose_project(Path(name))

    def ask_for_new_project(self) -> None:
        """Ask for folder and schema of a new project, in a dialog that does not block the window."""
        self.dialog = NewProjectDialog(self._recording_to_add(), self)
        self.dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.dialog.finished.connect(self._on_new_project)
        self.dialog.open()

    def open_sample(self, key: str) -> None:
        """Open a phantom clip, which is rendered on the first call."""
        with self._controller.showing_errors():
            self._controller.open(sample_path(key))

    def _build_sources(self) -> None:
        tip = "Open a recording, a folder of frames or a project"
        opening = tipped_button("Open", tip, lambda: None, key="Ctrl+Alt+N")
        menu = QMenu(opening)
        for text, do in (
            ("Recording...", self.ask_for_clip),
            ("Folder of frames or recordings...", self.ask_for_folder),
            ("Project...", self.ask_for_project),
            ("New project...", self.ask_for_new_project),
        ):
            self._connections.add(menu.addAction(text).triggered, _calling(do))
        opening.setMenu(menu)
        tip = "Open a simulated swallow (phantom); it shows no patient"
        sample = self.sample_button = tipped_button("Sample", tip, lambda: None, key="Ctrl+Alt+Shift+N")
        menu = QMenu(sample)
        for key, text in SAMPLES.items():
            self._connections.add(menu.addAction(text).triggered, _calling(partial(self.open_sample, key)))
        sample.setMenu(menu)
        self.clips = QComboBox()
        self.clips.setToolTip("Recordings of this project")
        self.clips.setMinimumContentsLength(6)
        self.clips.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self._connections.add(self.clips.activated, self._on_clip_chosen)
        self.add_row(opening, sample, self.clips, stretch=2)

    def _build_flags(self) -> None:
        self.case = QLineEdit()
        self.case.setPlaceholderText("case id")
        self.case.setAccessibleName("Case id")
        self.case.setToolTip("Pseudonym of the patient; all clips of a patient belong to the same split")
        self._connections.add(self.case.editingFinished, self._on_case)
        self.facing = QComboBox()
        self.facing.setToolTip("Which way the patient faces in the picture")
        for value, text in FACINGS:
            self.facing.addItem(text, value)
        self._connections.add(self.facing.activated, self._on_facing)
        self.inverted = QCheckBox("Invert")
        tip = "Show bone and barium dark if they are stored bright; the stored values do not change"
        explain(self.inverted, tip, keys=("Ctrl+Alt+V",))
        self._connections.add(self.inverted.clicked, self._on_inverted)
        self.add_row(self.case, self.facing, self.inverted, stretch=0)

    def _build_rate(self) -> None:
        self.rate = QLineEdit()
        self.rate.setFixedWidth(RATE_WIDTH)
        self.rate.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.rate.setAccessibleName("Frames a second")
        self._connections.add(self.rate.editingFinished, self._on_rate)
        self.rate_from = QLabel()
        self.notes = QLabel()
        for label in (self.rate_from, self.notes):
            label.setStyleSheet(WARNING_STYLE)
        self.add_row(QLabel("Frames a second"), self.rate, self.rate_from, self.notes, stretch=3)

    def _on_session(self) -> None:
        self._session_connections.undo()
        for widget in (self.case, self.facing, self.inverted, self.clips, self.rate):
            widget.setEnabled(self.session is not None)
        self.clips.clear()
        self.place.setText("Open a recording, or try a sample.")
        self.summary.setText("")
        self.rate.clear()
        self.rate.setPlaceholderText("")
        warn(self.rate_from, "")
        warn(self.notes, "")
        self._show_session()

    @while_open
    def _show_session(self, session: Session) -> None:
        self.summary.setText(f"project: {session.project.folder.name}")
        self.summary.setToolTip(str(session.project.folder))
        for record in session.project.clips():
            self.clips.addItem(record.path.name, record.id)
        self.clips.setCurrentIndex(self.clips.findData(session.clip.id))
        for signal in (session.frame_changed, session.masks_changed):
            self._session_connections.add(signal, self._later.ask)
        self._session_connections.add(session.flags_changed, self._show_flags)
        self._session_connections.add(session.times_changed, self._show_times)
        notes = session.clip.notes
        warn(self.notes, f"⚠ {count(len(notes), 'remark')}" if notes else "")
        self.notes.setToolTip("\n".join(sentences([note]) for note in notes))
        self._show_flags()
        self._show_times()

    @while_open
    def _show_times(self, session: Session) -> None:
        """Show the rate that a person typed; else, as a placeholder, that of the recording or the assumed one."""
        clip = session.clip
        rate = frame_rate(clip)
        text = "" if rate is None else f"{rate:.2f}".rstrip("0").rstrip(".")
        typed = clip.times_from == "person"
        self.rate.setEnabled(rate is not None)
        self.rate.setText(text if typed else "")
        self.rate.setPlaceholderText(text)
        warn(self.rate_from, "" if rate is None else RATE_FROM[clip.times_from])
        self.rate.setToolTip(f"{TIMES_TIPS[clip.times_from].format(text)} {RATE_TIP}")
        self._show_place()

    @while_open
    def _show_flags(self, session: Session) -> None:
        self.case.setText(session.record.patient)
        self.case.setCursorPosition(0)
        self.facing.setCurrentIndex(self.facing.findData(session.clip.facing))
        self.inverted.setChecked(session.clip.inverted)

    @while_open
    def _show_place(self, session: Session, *_: object) -> None:
        t, n = session.frame, session.clip.n_frames
        done = int((session.states >= MaskState.ACCEPTED).all(axis=1).sum())
        self.place.setText(
            f"<b>Frame {t + 1} of {n}</b> &nbsp; {session.clip.times_s[t]:.3f} s &nbsp; <b>{done} accepted</b>"
        )

    def _on_new_project(self, result: int) -> None:
        dialog, self.dialog = self.dialog, None
        if isinstance(dialog, NewProjectDialog) and dialog.created is not None and result == ACCEPTED:
            self._controller.start_project(dialog.created, add_open_clip=dialog.add_recording.isChecked())

    def _on_recording_chosen(self, result: int) -> None:
        dialog, self.dialog = self.dialog, None
        if isinstance(dialog, ChooseRecordingDialog) and dialog.chosen is not None and result == ACCEPTED:
            self._controller.open(dialog.chosen)

    def _on_clip_chosen(self, row: int) -> None:
        self._controller.open_clip_of_project(str(self.clips.itemData(row)))

    @while_open_or("")
    def _recording_to_add(self, session: Session) -> str:
        """Return the name of the open recording; none in a second reading, whose clips join no other project."""
        return session.record.path.name if session.reading is None else ""

    @while_open
    def _on_case(self, session: Session) -> None:
        text = self.case.text().strip()
        if text and text != session.record.patient:
            with self._controller.showing_errors():
                session.set_flags(patient=text)

    @while_open
    def _on_rate(self, session: Session) -> None:
        text = self.rate.text().strip().replace(",", ".")
        shown = self._typed_text(session)
        if text == shown:
            return
        with self._controller.showing_errors():
            session.set_frame_rate(_rate(text))
        self._show_times()

    def _typed_text(self, session: Session) -> str:
        typed = session.record.frame_rate
        return "" if typed is None else f"{typed:.2f}".rstrip("0").rstrip(".")

    @while_open
    def _on_facing(self, session: Session, row: int) -> None:
        with self._controller.showing_errors():
            session.set_flags(facing=self.facing.itemData(row))

    @while_open
    def _on_inverted(self, session: Session, checked: bool) -> None:
        with self._controller.showing_errors():
            session.set_flags(inverted=checked)


def _rate(text: str) -> float | None:
    """Return the rate that was typed, None for an empty text.

    Raises:
        ClipError: It is no number.
    """
    try:
        return float(text) if text else None
    except ValueError:
        raise ClipError(f"{text!r} is no frame rate", remedy="Type frames a second, e.g. 15 or 29.97.") from None


def _calling(do: Callable[[], None]) -> Callable[..., None]:
    return lambda *_: do()
