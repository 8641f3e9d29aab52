# SPDX-License-Identifier: Apache-2.0
"""Where the window is: 85 % of the screen at first or, on a small screen, all of it; later as it was left."""

from __future__ import annotations

import contextlib
from typing import Any

from qtpy.QtCore import QRect
from qtpy.QtWidgets import QApplication, QMainWindow

from napari_vfss.user_config import UserConfigFile

FIRST_SHARE = 0.85
SMALL = (1600, 900)
"""Width and height in pixels below which the window takes the whole screen at first."""
_LEAST_SEEN = 0.6  # share of the window's area that must lie on a screen


def first_geometry(screen: QRect) -> tuple[QRect, bool]:
    """Return where a window is on a screen when it is opened for the first time, and whether it is maximised."""
    width, height = round(screen.width() * FIRST_SHARE), round(screen.height() * FIRST_SHARE)
    rectangle = QRect(0, 0, width, height)
    rectangle.moveCenter(screen.center())
    return rectangle, screen.width() < SMALL[0] or screen.height() < SMALL[1]


class WindowGeometry:
    """Restores a window's place and size, and keeps them when it closes."""

    def __init__(self, window: QMainWindow, file: UserConfigFile) -> None:
        self._window, self._file = window, file

    def restore(self) -> None:
        """Show the window where it was left, as far as that is on a screen that is there now."""
        screen = QApplication.primaryScreen()
        if screen is None:
            self._window.show()
            return
        kept = _kept(self._file.values.get("window"))
        rectangle, maximised = first_geometry(screen.availableGeometry()) if kept is None else kept
        if not any(_seen(rectangle, other.availableGeometry()) >= _LEAST_SEEN for other in QApplication.screens()):
            # Kept on a screen that is gone or smaller now.
            rectangle, maximised = first_geometry(screen.availableGeometry())
        self._window.setGeometry(rectangle)
        if maximised:
            self._window.showMaximized()
            if self._window.width() < screen.availableGeometry().width() * FIRST_SHARE:
                self._window.setGeometry(screen.availableGeometry())  # no window manager maximised it
        else:
            self._window.show()

    def keep(self) -> None:
        """Keep where the window is now."""
        rectangle = self._window.normalGeometry() if self._window.isMaximized() else self._window.geometry()
        place = [rectangle.x(), rectangle.y(), rectangle.width(), rectangle.height()]
        value: dict[str, Any] = {"rectangle": place, "maximised": bool(self._window.isMaximized())}
        with contextlib.suppress(OSError):  # the next start begins as the first one did
            self._file.update(lambda values: {**values, "window": value})


def _kept(value: Any) -> tuple[QRect, bool] | None:
    place = value.get("rectangle") if isinstance(value, dict) else None
    if not isinstance(place, list) or len(place) != 4 or not all(type(part) is int for part in place):
        return None
    if not all(abs(part) < 1 << 20 for part in place) or min(place[2:]) < 200:
        return None
    return QRect(*place), value.get("maximised") is True


def _seen(window: QRect, screen: QRect) -> float:
    common = window.intersected(screen)
    return float(common.width() * common.height() / max(1, window.width() * window.height()))
