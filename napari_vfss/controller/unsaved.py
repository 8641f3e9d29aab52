# SPDX-License-Identifier: Apache-2.0
"""Unsaved changes before a clip closes: saved again, saved elsewhere, or discarded by the annotator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from napari_vfss.session.host import Host, while_open, while_open_or
from napari_vfss.session.session import Session
from napari_vfss.session.unsaved import save_elsewhere

POLLS_BETWEEN = 5
SAVED = "Everything is saved now."


class UnsavedGuard:
    """Keeps a clip with unsaved changes from being closed without a question.

    Attributes:
        ask: Asks the annotator what to do with unsaved changes, given whether the clip may stay open; returns whether
            it may be closed.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._polls = 0
        self.ask: Callable[[bool], bool] = lambda may_stay: not may_stay

    @property
    def session(self) -> Session | None:
        """The open session."""
        return self._host.session

    @property
    def waiting(self) -> int:
        """Number of unsaved changes."""
        return self._waiting()

    @while_open_or(True)
    def save_again(self, session: Session, *, quietly: bool = False) -> bool:
        """Write the unsaved changes; return whether none is left."""
        if self.waiting:
            with self._host.showing_errors():
                if session.unsaved_changes.save_again(quietly=quietly):
                    self._host.show_message(SAVED)
        return not self.waiting

    @while_open_or(False)
    def save_elsewhere(self, session: Session, folder: Path) -> bool:
        """Write the unsaved changes into a new project in another folder; return whether that succeeded."""
        saved = False
        with self._host.showing_errors():
            save_elsewhere(session.unsaved, session.schema, session.clip, folder)
            saved = True
        if saved:
            self.discard()  # here, as they are safe there
            self._host.show_message(f"The changes are saved in a new project: {folder}")
        return saved

    @while_open
    def discard(self, session: Session) -> None:
        """Discard the unsaved changes, as the annotator chose."""
        with self._host.showing_errors():
            session.unsaved_changes.discard()

    def may_close(self) -> bool:
        """Return whether the clip can be closed without loss; asks the annotator if not."""
        self._host.save()
        return self.save_again(quietly=True) or self.ask(True)

    def resolve_before_closing(self) -> None:
        """Ask what to do with unsaved changes of a clip that will close in any case."""
        if not self.save_again(quietly=True):
            self.ask(False)

    def retry_at_intervals(self) -> None:
        """Try again at every fifth poll, seldom enough not to block the window."""
        self._polls += 1
        if self._polls % POLLS_BETWEEN == 0:
            self.save_again(quietly=True)

    @while_open_or(0)
    def _waiting(self, session: Session) -> int:
        return len(session.unsaved)
