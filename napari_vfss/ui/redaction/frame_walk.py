# SPDX-License-Identifier: Apache-2.0
"""A slider through all frames of a recording, with a button that plays them, and a count of those that were seen."""

from __future__ import annotations

from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QSlider, QWidget

from napari_vfss.ui.dialog_parts import dialog_button

_PLAY_MS = 40


class FrameWalk(QWidget):
    """Says which frame is wanted."""

    wanted = Signal(int)

    def __init__(self, n_frames: int) -> None:
        super().__init__()
        self.seen: set[int] = set()
        self._n = n_frames
        self._timer = QTimer(self)
        self._timer.setInterval(_PLAY_MS)
        self._timer.timeout.connect(self._step)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, n_frames - 1)
        self.slider.setPageStep(max(1, n_frames // 20))
        self.slider.setToolTip("Steps through all frames; the arrow keys go one by one")
        self.slider.setAccessibleName("Frame")
        self.play_button = dialog_button("Play", "Run through all frames from here, or stop", self.play)
        self.said = QLabel()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.play_button)
        row.addWidget(self.slider, 1)
        row.addWidget(self.said)
        self.slider.valueChanged.connect(self._on_value)
        self._say()

    def play(self) -> None:
        """Run, or stop."""
        if self._timer.isActive():
            self.stop()
            return
        if self.slider.value() == self._n - 1:
            self.slider.setValue(0)
        self.wanted.emit(self.slider.value())
        self._timer.start()
        self.play_button.setText("Stop")

    def stop(self) -> None:
        """Stand still."""
        self._timer.stop()
        self.play_button.setText("Play")

    def note_seen(self, frame: int) -> None:
        """Count a frame that was shown."""
        self.seen.add(frame)
        self._say()

    def _step(self) -> None:
        if self.slider.value() == self._n - 1:
            self.stop()
        else:
            self.slider.setValue(self.slider.value() + 1)

    def _on_value(self, frame: int) -> None:
        self._say()
        self.wanted.emit(frame)

    def _say(self) -> None:
        self.said.setText(f"Frame {self.slider.value() + 1} of {self._n}, seen: {len(self.seen)}")
