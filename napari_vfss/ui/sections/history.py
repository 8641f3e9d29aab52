# SPDX-License-Identifier: Apache-2.0
"""Who changed what and when: for the active structure on this frame, and for the whole clip."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QTabWidget

from napari_vfss.controller.controller import AnnotationController
from napari_vfss.session.host import while_open
from napari_vfss.session.session import Session
from napari_vfss.ui.history.describe import compare, when, who
from napari_vfss.ui.history.table import RevisionTable
from napari_vfss.ui.section import SessionSection, tipped_button
from napari_vfss.viewer.outlines import FIRST, SECOND, RevisionOutline

if TYPE_CHECKING:
    from vfss.project import Revision

HEIGHT = 196
HINT = "Choose a row to see that version over the picture."
PLACE_TIP = "Changes of the active structure on this frame, newest first: choose one to see it over the picture"
CLIP_TIP = "Latest changes of this clip by all annotators: click one to go there"


class HistorySection(SessionSection):
    """Lists revisions, shows one over the picture and restores it."""

    def __init__(self, controller: AnnotationController) -> None:
        super().__init__(controller, "History", folded=True)
        self.place = RevisionTable(with_place=False, tip=PLACE_TIP)
        self.clip = RevisionTable(with_place=True, tip=CLIP_TIP)
        self.tabs = QTabWidget()
        self.tabs.addTab(self.place, "This frame")
        self.tabs.addTab(self.clip, "Whole clip")
        self.tabs.setFixedHeight(HEIGHT)
        self.tabs.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.proposal_button = tipped_button(
            "Compare with proposal",
            "Show the last proposal of the student as an outline",
            self.compare_with_proposal,
            key="Ctrl+Alt+C",
        )
        self.back_button = tipped_button(
            "Restore this version",
            "Write the chosen version again, as a new change; Ctrl+Z undoes it",
            self.go_back,
            key="Ctrl+Alt+B",
        )
        self.text = QLabel(HINT)
        self.text.setWordWrap(True)
        self.text.setTextFormat(Qt.TextFormat.RichText)
        self.body.addWidget(self.tabs)
        self.add_row(self.proposal_button, self.back_button, stretch=0)
        self.body.addWidget(self.text)
        self.outline: RevisionOutline | None = None
        self._compared: Revision | None = None
        self.connections.add(self.place.chosen, self._on_chosen)
        self.connections.add(self.clip.clicked, self._on_clip_clicked)
        self.connections.add(self.tabs.currentChanged, self._on_tab)
        self.connections.add(self.heading.toggled, self._on_folded)
        self._on_session()

    def close_connections(self) -> None:
        """Disconnect from everything and remove the outlines."""
        self._close_outline()
        super().close_connections()

    def clear(self) -> None:
        """Show no revisions and no outline."""
        super().clear()
        self._close_outline()
        self.place.rows.show(None)
        self.clip.rows.show(None)
        self.text.setText(HINT)

    @while_open
    def show_session(self, session: Session) -> None:
        """Show another session and follow it."""
        for signal in (session.frame_changed, session.structure_changed):
            self.session_connections.add(signal, self._on_place)
            self.session_connections.add(signal, self.later.ask)
        self.session_connections.add(session.masks_changed, self.later.ask)

    @while_open
    def refresh(self, session: Session, *_: object) -> None:
        """Read the visible list again; nothing is read while the section is folded."""
        if not self.shown:
            self.summary.setText("")
            return
        with self.controller.showing_errors():
            project, clip_id, place = session.project, session.clip.id, (session.frame, session.structure)
            self.place.renew(lambda: self.place.rows.show(project, clip_id, place))
            if self.tabs.currentWidget() is self.clip:
                self.clip.rows.show(project, clip_id)
            newest = self.place.rows.revisions[:1]
            name = f"{session.active.name}, frame {session.frame + 1}"
            self.summary.setText(f"{name}: {who(newest[0])}" if newest else f"{name}: no changes yet")
            self._show_compared()
        self._enable()

    def compare_with_proposal(self) -> None:
        """Show the newest proposal for the active structure on this frame as an outline."""
        self.do(self._compare_with_proposal)

    @while_open
    def _compare_with_proposal(self, session: Session) -> None:
        proposal = session.project.past.proposal(session.clip.id, session.frame, session.structure)
        if proposal is None:
            self.controller.show_message(f"There is no proposal for {session.active.name} on this frame.")
            return
        self.place.clearSelection()
        self._compare(proposal)

    @while_open
    def go_back(self, session: Session) -> None:
        """Write the chosen revision again, as a new one."""
        revision = self._compared
        if revision is not None:
            self.do(lambda: session.go_back(revision))

    def _on_chosen(self, revision: Revision | None) -> None:
        self.do(lambda: self._compare(revision))

    @while_open
    def _on_clip_clicked(self, session: Session) -> None:
        revision = self.clip.revision
        if revision is not None:
            self.do(_going(lambda: session.go_to(revision.frame), lambda: session.choose(revision.structure)))

    def _on_tab(self, *_: object) -> None:
        self.refresh()

    def _on_folded(self, shown: bool) -> None:
        if not shown:
            self.place.clearSelection()
            self._compare(None)
        self.refresh()

    def _on_place(self, *_: object) -> None:
        # At once, not debounced: the outline of another frame must never be shown over this one.
        self._compared = None
        if self.outline is not None:
            self.outline.clear()

    def _compare(self, revision: Revision | None) -> None:
        self._compared = revision
        self._show_compared()
        self._enable()

    def _show_compared(self) -> None:
        if self._compared is not None:
            self._show_outline(self._compared)
            return
        if self.outline is not None:
            self.outline.clear()
        self.text.setText(HINT)

    @while_open
    def _show_outline(self, session: Session, revision: Revision) -> None:
        if self.outline is None:
            self.outline = RevisionOutline(self.controller.viewer, session.clip)
        current, earlier = session.work.planes[session.active.index], revision.mask
        self.outline.show(current, earlier)
        self.text.setText(f"{compare(_naming(revision), earlier, current)}<br>{LEGEND}")

    def _enable(self) -> None:
        newest = self.place.rows.revisions[0].id if self.place.rows.revisions else None
        compared = self._compared
        self.back_button.setEnabled(compared is not None and compared.id != newest)

    def _close_outline(self) -> None:
        outline, self.outline, self._compared = self.outline, None, None
        if outline is not None:
            outline.close()


def _naming(revision: Revision) -> str:
    if revision.origin == "proposal":
        return f"the proposal of {when(revision.time)}"
    return f"{who(revision)}'s version of {when(revision.time)}"


def _going(*steps: Callable[[], object]) -> Callable[[], None]:
    def go() -> None:
        for step in steps:
            step()

    return go


LEGEND = f"<span style='color:{FIRST}'>━━</span> current &nbsp; <span style='color:{SECOND}'>╸╸╸</span> chosen version"
