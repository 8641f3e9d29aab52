# SPDX-License-Identifier: Apache-2.0
"""What becomes of changes that could not be written: saved again, saved elsewhere, or given up by a person."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from napari_vfss.session.unsaved import save_elsewhere

if TYPE_CHECKING:
    from napari_vfss.controller.controller import AnnotationController

POLLS_BETWEEN = 5
SAVED = "Everything is saved now."


class UnsavedGuard:
    """Keeps a desk from letting go of changes that its project did not take.

    Attributes:
        ask_to_part: Asks a person what is to become of them; given whether the clip may stay open. True where it may
            be closed.
    """

    def __init__(self, controller: AnnotationController) -> None:
        self._controller = controller
        self._polls = 0
        self.ask_to_part: Callable[[bool], bool] = lambda may_stay: not may_stay

    @property
    def waiting(self) -> int:
        """Number of changes that wait to be written."""
        return 0 if self._controller.session is None else len(self._controller.session.unsaved)

    def again(self, *, quietly: bool = False) -> bool:
        """Write what could not be written before; True where nothing is left."""
        session = self._controller.session
        if session is not None and self.waiting:
            with self._controller.telling():
                if session.writer.save_again(quietly=quietly):
                    self._controller.tell(SAVED)
        return not self.waiting

    def elsewhere(self, folder: Path) -> bool:
        """Write what waits into a new project in another folder; True where that is done."""
        session = self._controller.session
        if session is None:
            return False
        done = False
        with self._controller.telling():
            save_elsewhere(session.unsaved, session.schema, session.clip, folder)
            done = True
        if done:
            self.give_up()  # here; they are safe there
            self._controller.tell(f"The changes are in a project of their own now: {folder}")
        return done

    def give_up(self) -> None:
        """Forget what waits: a person said so."""
        if self._controller.session is not None:
            with self._controller.telling():
                self._controller.session.writer.give_up_unsaved()

    def may_let_go(self) -> bool:
        """True where closing the clip loses nothing; asks a person where it would."""
        self._controller.save()
        return self.again(quietly=True) or self.ask_to_part(True)

    def part(self) -> None:
        """The clip closes in any case: ask what is to become of changes that cannot be written."""
        if not self.again(quietly=True):
            self.ask_to_part(False)

    def try_now_and_then(self) -> None:
        """Asked at every look for others: try again, seldom enough not to hold up the window."""
        self._polls += 1
        if self._polls % POLLS_BETWEEN == 0:
            self.again(quietly=True)
