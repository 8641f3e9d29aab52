# SPDX-License-Identifier: Apache-2.0
"""Plot of a training under way."""

from __future__ import annotations

import pyqtgraph


class LossCurve(pyqtgraph.PlotWidget):
    """Plot of the loss over training steps, with the Dice of each validation."""

    def __init__(self) -> None:
        super().__init__(background=None)
        self.setFixedHeight(110)
        self.setMouseEnabled(False, False)
        self.setMenuEnabled(False)
        self.hideButtons()
        self.addLegend(offset=(-2, 2), labelTextSize="8pt")
        self.setToolTip("Over training steps: loss (less is better) and Dice on held-out frames (more is better)")
        self._loss_line = self.plot(pen=pyqtgraph.mkPen("#7fb4ff", width=2), name="loss")
        self._dice_line = self.plot(
            pen=pyqtgraph.mkPen("#5fd38d", width=1), symbol="o", symbolSize=6, symbolBrush="#5fd38d", name="Dice"
        )
        self.clear_points()

    def clear_points(self) -> None:
        """Remove all points."""
        self.losses: list[tuple[float, float]] = []
        self.dice: list[tuple[float, float]] = []
        self._loss_line.setData([], [])
        self._dice_line.setData([], [])

    def add_loss(self, step: float, loss: float) -> None:
        """Add the loss of a training step."""
        self.losses.append((step, loss))
        self._loss_line.setData(*zip(*self.losses, strict=True))

    def add_dice(self, step: float, dice: float) -> None:
        """Add the Dice of a validation."""
        self.dice.append((step, dice))
        self._dice_line.setData(*zip(*self.dice, strict=True))
