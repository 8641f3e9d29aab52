# SPDX-License-Identifier: Apache-2.0
"""The timeline dock: buttons to navigate, play and mark, the strip of frames, and a scroll bar."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QPushButton, QScrollBar, QSizePolicy, QVBoxLayout, QWidget

from napari_vfss.connections import Connections
from napari_vfss.controller.actions import TIMELINE_KEYS
from napari_vfss.controller.controller import AnnotationController
from napari_vfss.controller.timeline import TimelineController
from napari_vfss.debounce import Debounce
from napari_vfss.keys.labels import TEXT, KeyLabels, explain
from napari_vfss.session.host import while_open, while_open_or
from napari_vfss.session.session import Session
from napari_vfss.ui.section import button
from napari_vfss.ui.timeline.axes import TimelineLegend
from napari_vfss.ui.timeline.event_menu import EventMenu
from napari_vfss.ui.timeline.strip import Timeline
from napari_vfss.ui.timeline.tooltips import describe_cell, describe_frame
from napari_vfss.viewer.playback import SPEEDS
from vfss.errors import VfssError

TITLE = "VFSS timeline"
STRIP_MS = 60
_FINE = 100  # steps of the scroll bar per frame


class TimelineDock(QWidget):
    """Shows all frames of the open clip, and turns clicks into frames, structures and ranges."""

    def __init__(self, controller: AnnotationController) -> None:
        super().__init__()
        self.setObjectName("vfss_timeline")
        self._controller = controller
        self._time: TimelineController = controller.timeline
        self._connections = Connections()
        self._session_connections = Connections()
        self.timeline = Timeline()
        self.timeline.describe = self._tooltip
        self.place = QLabel()
        self.place.setToolTip("Current frame, and its time as stored in the recording")
        self.pace = QLabel()
        self.pace.setStyleSheet("font-weight: bold;")
        self.pace.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.bar = QScrollBar(Qt.Orientation.Horizontal)
        self.bar.setFixedHeight(10)
        policy = self.bar.sizePolicy()
        policy.setRetainSizeWhenHidden(True)  # the rows keep their height when a person zooms
        self.bar.setSizePolicy(policy)
        self.events = EventMenu(self._time, self)
        self._strip_later = Debounce(self, self._show_strip, STRIP_MS)
        self._viewed_later = Debounce(self, self._show_viewed, STRIP_MS)
        self._build_playback()
        self._build_marks()
        self._build_navigation()
        self._build_view()
        self._lay_out()
        self._key_labels = KeyLabels(self, controller.key_book)
        self._connect()
        self._on_session()

    @property
    def session(self) -> Session | None:
        """The open session."""
        return self._controller.session

    def sizeHint(self) -> QSize:  # noqa: N802
        """Return the height that the rows need."""
        return QSize(800, self.timeline.sizeHint().height() + 56)

    def close_connections(self) -> None:
        """Disconnect from the session and the controller."""
        self._key_labels.close()
        self._session_connections.undo()
        self._connections.undo()

    def _build_playback(self) -> None:
        time, playback = self._time, self._time.playback
        self.play = _small("▶ Play", "Play all frames in their true timing", playback.toggle, "play")
        self.speed = QComboBox()
        explain(
            self.speed,
            "Speed of playback; 1x is the true speed",
            keys=(TIMELINE_KEYS["slower"], TIMELINE_KEYS["faster"]),
        )
        self.speed.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.speed.setFixedWidth(66)
        for speed in SPEEDS:
            self.speed.addItem(f"{speed:g}x", speed)
        self.speed.setCurrentIndex(SPEEDS.index(playback.speed))
        self.loop = _small(
            "Loop", "Repeat the chosen range, or this swallow if none is chosen", time.toggle_loop, "loop"
        )
        self.loop.setCheckable(True)

    def _build_marks(self) -> None:
        self.mark = _small("Mark", "Mark an event on this frame", self.events.ask, "mark")
        self.begin = _small("[", "Mark the first frame of a swallow", self._time.begin_swallow, "begin_swallow")
        self.end = _small("]", "Mark the last frame of the swallow", self._time.end_swallow, "end_swallow")

    def _build_navigation(self) -> None:
        time = self._time
        self.doubtful = _small(
            "Next doubtful",
            "Go to the next mask that is doubtful: low confidence, or unlike neighbouring frames",
            lambda: time.go_to_doubtful(1),
            "next_doubtful",
        )
        self.unaccepted = _small(
            "Next unaccepted",
            "Go to the next mask that is not accepted",
            lambda: time.go_to_unaccepted(1),
            "next_open",
        )
        self.swallow = _small("Next swallow", "Go to the next swallow", lambda: time.go_to_swallow(1), "next_swallow")

    def _build_view(self) -> None:
        self.stabilise = _small(
            "Stabilise",
            "Hold the spine (C2 to C4) still in the picture",
            self._time.toggle_stabilised,
            "steady",
        )
        self.stabilise.setCheckable(True)
        self.closer = _small("+", "Show fewer frames (or use the mouse wheel)", lambda: self.timeline.zoom(1.6))
        self.wider = _small("−", "Show more frames (or use the mouse wheel)", lambda: self.timeline.zoom(1 / 1.6))
        self.all = _small("All", "Show the whole clip", self.timeline.show_all)

    def _lay_out(self) -> None:
        navigation = (self.doubtful, self.unaccepted, self.swallow)
        tools = (self.play, self.speed, self.loop, self.stabilise, self.begin, self.end, self.mark)
        self._tools = (*tools, *navigation, self.closer, self.wider, self.all)
        above = _row(*tools, *navigation)
        below = _row(self.place, self.pace, self.bar, self.wider, self.closer, self.all)
        above.addWidget(TimelineLegend(), 1)
        below.setStretch(1, 1)
        below.setStretch(2, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(4, 2, 4, 2)
        column.setSpacing(2)
        column.addLayout(above)
        column.addWidget(self.timeline, 1)
        column.addLayout(below)

    def _connect(self) -> None:
        time, add = self._time, self._connections.add
        add(time.session_changed, self._on_session)
        add(time.survey.changed, self._strip_later.ask)
        add(time.marks_changed, self._show_marks)
        add(time.stabilised.changed, self._show_stabilised)
        add(time.range_changed, self._show_range)
        add(time.playback.changed, self._show_playback)
        add(time.playback.message, self._show_pace)
        add(self.timeline.frame_chosen, self._on_frame)
        add(self.timeline.structure_chosen, self._on_structure)
        add(self.timeline.range_chosen, self._on_range)
        add(self.timeline.view_changed, self._show_bar)
        add(self.bar.valueChanged, self._on_bar)
        add(self.speed.activated, self._on_speed)
        add(time.event_asked, self.events.ask)

    def _on_session(self) -> None:
        self._session_connections.undo()
        for tool in self._tools:
            tool.setEnabled(self.session is not None)
        self.timeline.show_clip(None, None, None)
        self.place.setText("No recording is open.")
        self.pace.setText("")
        self._show_session()

    @while_open
    def _show_session(self, session: Session) -> None:
        self.timeline.show_clip(session.schema, session.clip, self._time.survey.overview)
        add = self._session_connections.add
        add(session.times_changed, self._show_times)
        add(session.frame_changed, self._show_place)
        add(session.structure_changed, self._show_place)
        add(session.masks_changed, self._strip_later.ask)
        for signal in (session.viewed.changed, session.frame_changed, session.masks_changed):
            add(signal, self._viewed_later.ask)
        self._show_marks()
        self._show_stabilised()
        self._show_playback()

    @while_open
    def _show_times(self, session: Session) -> None:
        self.timeline.show_times(session.clip)
        self._show_place()

    @while_open
    def _show_place(self, session: Session, *_: object) -> None:
        self.timeline.show_place(session.frame, session.active.index)
        status = self._time.stabilised.status
        more = f" ({status})" if status else ""
        self.place.setText(f"<b>{describe_frame(session, session.frame)}</b>{more}")

    def _show_stabilised(self) -> None:
        self.stabilise.setChecked(self._time.stabilised.on)
        self._show_place()

    @while_open
    def _show_strip(self, _session: Session) -> None:
        self.timeline.show_strip(self._time.survey.overview)

    @while_open
    def _show_viewed(self, session: Session) -> None:
        self.timeline.show_viewed(session.viewed.acceptable_frames(self._time.chosen))

    def _show_marks(self) -> None:
        if self._time.marks is not None:
            self.timeline.show_marks(self._time.marks.all)

    def _show_range(self) -> None:
        playback = self._time.playback
        self.timeline.show_range(self._time.chosen if playback.loop is None else playback.loop)
        self._viewed_later.ask()

    def _show_playback(self) -> None:
        playback = self._time.playback
        self.play.setProperty(TEXT, "■ Stop" if playback.playing else "▶ Play")
        self._key_labels.write()
        self.loop.setChecked(playback.loop is not None)
        self.speed.setCurrentIndex(SPEEDS.index(playback.speed))
        self._show_range()

    def _show_pace(self, message: str) -> None:
        room = self.pace.width() - 4
        metrics = self.pace.fontMetrics()
        short = message.replace(": this computer shows ", ", ").replace(" a second", "/s")  # on a small screen
        self.pace.setText(message if metrics.horizontalAdvance(message) <= room else short)
        self.pace.setToolTip(f"{message}; no frame is skipped" if message else "")

    def _show_bar(self) -> None:
        scale = self.timeline.scale
        self.bar.setVisible(not scale.shows_all)
        self.bar.blockSignals(True)
        self.bar.setRange(0, round((scale.n_frames - scale.span) * _FINE))
        self.bar.setPageStep(round(scale.span * _FINE))
        self.bar.setSingleStep(round(scale.span * _FINE / 10))
        self.bar.setValue(round(scale.first * _FINE))
        self.bar.blockSignals(False)

    def _on_bar(self, value: int) -> None:
        self.timeline.pan_to(value / _FINE)

    @while_open
    def _on_frame(self, session: Session, frame: int) -> None:
        with self._controller.showing_errors():
            session.go_to(frame)

    @while_open
    def _on_structure(self, session: Session, row: int) -> None:
        with self._controller.showing_errors():
            session.choose(session.schema.structures[row].key)

    def _on_range(self, first: int, last: int) -> None:
        self._time.choose_range(None if first == last else (first, last))

    def _on_speed(self, row: int) -> None:
        self._time.playback.set_speed(float(self.speed.itemData(row)))

    @while_open_or("")
    def _tooltip(self, session: Session, frame: int, row: int | None) -> str:
        try:
            return describe_cell(session, self._time, frame, row)
        except VfssError as error:
            return str(error)


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(3)
    for widget in widgets:
        row.addWidget(widget)
    return row


def _small(text: str, tip: str, do: Any, action: str = "") -> QPushButton:
    """Create a button as wide as its text, with the key of an action of the timeline."""
    small_button = button(text, tip, do, key=TIMELINE_KEYS.get(action, ""))
    small_button.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
    small_button.setMinimumWidth(24)
    small_button.setStyleSheet("QPushButton { padding: 2px 5px; }")
    return small_button
