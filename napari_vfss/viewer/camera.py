# SPDX-License-Identifier: Apache-2.0
"""The visible part of the picture, as a rectangle: it means the same on every screen, which a zoom does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from napari_vfss.connections import Connections

FIT_MARGIN = 0.01
"""Share of a side that is left free on both sides of what is fitted into the window."""


@dataclass(frozen=True)
class Rectangle:
    """Part of the picture in world coordinates: pixels of the frame, columns stretched by the pixel aspect.

    Attributes:
        top: First row.
        left: First column.
        bottom: End of the rows.
        right: End of the columns.
    """

    top: float
    left: float
    bottom: float
    right: float

    @property
    def values(self) -> list[float]:
        """Return top, left, bottom, right."""
        return [self.top, self.left, self.bottom, self.right]


class Camera:
    """Camera of a viewer on one clip.

    A rectangle that was set stays in view when the window changes its size, until somebody moves or zooms.
    """

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._camera = viewer.scene.camera
        self._wanted: Rectangle | None = None
        self._set: tuple[float, ...] = ()
        self._connections = Connections()
        self._connections.add(viewer.canvas.events.size, self._on_size)

    def close(self) -> None:
        """Follow the window no longer."""
        self._connections.undo()

    def visible(self) -> Rectangle:
        """Return the part of the picture that is in view; what was set last if nobody moved since."""
        if self._wanted is not None and self._is_as_set():
            return self._wanted
        height, width = self._size()
        y, x = (float(value) for value in self._camera.center[-2:])
        half_height, half_width = (side / 2 / float(self._camera.zoom) for side in (height, width))
        return Rectangle(y - half_height, x - half_width, y + half_height, x + half_width)

    def show(self, rectangle: Rectangle) -> None:
        """Bring a part of the picture into view, as large as it fits."""
        self._wanted = rectangle
        height, width = self._size()
        tall, wide = rectangle.bottom - rectangle.top, rectangle.right - rectangle.left
        zoom = min(height / tall, width / wide)
        centre = ((rectangle.top + rectangle.bottom) / 2, (rectangle.left + rectangle.right) / 2)
        self._camera.center, self._camera.zoom = centre, zoom
        self._set = self._state()

    def fit(self, rectangle: Rectangle) -> None:
        """Bring a part of the picture into view with a little room around it."""
        y = FIT_MARGIN * (rectangle.bottom - rectangle.top)
        x = FIT_MARGIN * (rectangle.right - rectangle.left)
        self.show(Rectangle(rectangle.top - y, rectangle.left - x, rectangle.bottom + y, rectangle.right + x))

    def _size(self) -> tuple[int, int]:
        height, width = self._viewer.canvas.size
        return max(1, int(height)), max(1, int(width))

    def _state(self) -> tuple[float, ...]:
        return (*(float(value) for value in self._camera.center[-2:]), float(self._camera.zoom))

    def _is_as_set(self) -> bool:
        return self._set == self._state()

    def _on_size(self, _event: object = None) -> None:
        if self._wanted is not None and self._is_as_set():
            self.show(self._wanted)
