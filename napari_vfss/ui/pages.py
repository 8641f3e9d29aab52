# SPDX-License-Identifier: Apache-2.0
"""Pages that lie over the picture while they are needed: worklist, what next, students, start."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel, QMainWindow, QTextBrowser, QToolButton, QVBoxLayout, QWidget

from napari_vfss.controller.controller import AnnotationController


class Page(QFrame):
    """A widget over the whole picture, with a title and a button that returns to the picture.

    A page adds its own widgets to `body`. It is made when it is first shown, and kept until the panel closes.

    Attributes:
        title: Heading.
        body: Layout of what the page shows.
    """

    title = ""
    left = Signal()

    def __init__(self, controller: AnnotationController) -> None:
        super().__init__()
        self.controller = controller
        self.setObjectName(f"vfss_page_{type(self).__name__}")
        self.setAutoFillBackground(True)
        self.setAccessibleName(self.title)
        heading = QLabel(self.title)
        heading.setStyleSheet("font-size: 18px; font-weight: bold;")
        back = self.back = QToolButton()
        back.setText("Back to the picture")
        back.setToolTip("Back to the picture (Esc)")
        back.setAccessibleName("Back to the picture")
        back.clicked.connect(self.left.emit)
        top = QHBoxLayout()
        top.addWidget(heading)
        top.addStretch(1)
        top.addWidget(back)
        column = QVBoxLayout(self)
        column.addLayout(top)
        self.body = QVBoxLayout()
        column.addLayout(self.body, 1)

    def refresh(self) -> None:
        """Bring up to date what the page shows; called each time it is shown."""

    def close_connections(self) -> None:
        """Disconnect from the controller; called once, when the panel closes."""


class Pages(QObject):
    """Shows one page at a time over the picture of a viewer; Esc goes back.

    Attributes:
        shown: The page over the picture, None while the picture is seen.
    """

    changed = Signal()

    def __init__(
        self,
        controller: AnnotationController,
        kinds: Mapping[str, Callable[[AnnotationController], Page]],
        parent: QWidget,
    ) -> None:
        """Prepare pages, of which none is made yet.

        Args:
            controller: Controller of the viewer.
            kinds: Constructors of pages by the name under which `show` knows them.
            parent: Widget that is docked in the viewer's window by the time when a page is shown.
        """
        super().__init__(parent)
        self._controller = controller
        self._kinds = dict(kinds)
        self._made: dict[str, Page] = {}
        self.shown: Page | None = None
        self._panel = parent
        self._picture: QWidget | None = None

    def add(self, name: str, kind: Callable[[AnnotationController], Page]) -> None:
        """Know one more page, made by `kind` when it is first shown."""
        self._kinds[name] = kind

    def toggle(self, name: str) -> None:
        """Show a page, or go back to the picture if it is shown."""
        if self.shown is not None and self.shown is self._made.get(name):
            self.hide()
        else:
            self.show(name)

    def show(self, name: str) -> Page:
        """Show a page over the picture in place of another one."""
        picture = self._find_picture()
        if name not in self._made:
            page = self._kinds[name](self._controller)
            page.setParent(picture)
            page.left.connect(self.hide)
            self._made[name] = page
        self.hide()
        page = self.shown = self._made[name]
        page.setGeometry(picture.rect())
        page.refresh()
        page.show()
        page.raise_()
        page.setFocus(Qt.FocusReason.OtherFocusReason)
        self.changed.emit()
        return page

    def hide(self) -> None:
        """Go back to the picture."""
        if self.shown is not None:
            self.shown.hide()
            self.shown = None
            self.changed.emit()

    def close(self) -> None:
        """Remove all pages."""
        if self._picture is not None:
            self._picture.removeEventFilter(self)
        self.shown = None
        for page in self._made.values():
            page.close_connections()
            page.setParent(None)
            page.deleteLater()
        self._made.clear()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Keep the page as large as the picture."""
        resized = event is not None and event.type() == QEvent.Type.Resize
        if resized and watched is self._picture and self._picture is not None and self.shown is not None:
            self.shown.setGeometry(self._picture.rect())
        return False

    def _find_picture(self) -> QWidget:
        # Found from the panel's window: what the viewer gives to plugins is a proxy, which cannot be a parent.
        if self._picture is None:
            window = self._panel.window()
            centre = window.centralWidget() if isinstance(window, QMainWindow) else None
            self._picture = window if centre is None else centre
            self._picture.installEventFilter(self)
        return self._picture


class TextPage(Page):
    """A page of text that is written anew each time it is shown."""

    def __init__(self, controller: AnnotationController) -> None:
        super().__init__(controller)
        self.text = QTextBrowser()
        self.text.setOpenLinks(False)
        self.text.setAccessibleName(self.title)
        self.body.addWidget(self.text, 1)

    def refresh(self) -> None:
        """Write the text."""
        self.text.setHtml(self.html())

    def html(self) -> str:
        """Return the text as HTML."""
        raise NotImplementedError
