# SPDX-License-Identifier: Apache-2.0
"""Names and pieces of many masks: the chain one level on, two names exchanged, specks removed. No widgets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from napari_vfss.jobs.renaming import FrameEdits
from napari_vfss.session.host import Host, while_open
from napari_vfss.session.session import Session
from napari_vfss.viewer.layers import READ_ONLY
from vfss.wording import count

if TYPE_CHECKING:
    from napari_vfss.controller.student_jobs import StudentJobs
    from napari_vfss.controller.timeline import TimelineController

Extent = Literal["frame", "range", "clip"]
EXTENTS: dict[Extent, str] = {"frame": "This frame", "range": "Range chosen on the timeline", "clip": "Whole clip"}
"""Frames that a correction of names is made on, as people read it."""


class NameCorrections:
    """Makes orders of frame edits for the open clip, and starts them; says why one cannot be started."""

    def __init__(self, host: Host, jobs: StudentJobs, timeline: TimelineController) -> None:
        self._host, self._jobs, self._timeline = host, jobs, timeline

    @property
    def session(self) -> Session | None:
        """The open session."""
        return self._host.session

    @property
    def nearest_extent(self) -> Extent:
        """The range where one is chosen, else the current frame."""
        return "frame" if self._timeline.chosen is None else "range"

    @while_open
    def shift(self, session: Session, step: int, extent: Extent | None = None) -> None:
        """Rename the chain from the active structure on, all of it if that is in no chain, one level on.

        Args:
            session: The open session.
            step: 1 for the next level (down), -1 for the previous one (up).
            extent: Frames; None for the chosen range, else the current frame.
        """
        with self._host.showing_errors():
            from vfss.project.renaming import level_shift, renaming_edits

            renaming = level_shift(session.schema, session.structure, step)
            keys = list(renaming.sources)
            first, last = (session.schema[key].name for key in (keys[0], keys[-1]))
            named = first if len(keys) == 1 else f"{first} to {last}"
            what = f"{named} renamed one level {'down' if step > 0 else 'up'}"
            frames = self._frames(session, extent or self.nearest_extent)
            self._start(session, FrameEdits(what, renaming_edits(renaming), frames, renaming.lost))

    @while_open
    def exchange(self, session: Session, one: str, other: str, extent: Extent) -> None:
        """Exchange the names of two structures, given by their keys."""
        with self._host.showing_errors():
            from vfss.project.renaming import exchange, renaming_edits

            renaming = exchange(session.schema, one, other)
            what = f"{session.schema[one].name} and {session.schema[other].name} exchanged"
            self._start(session, FrameEdits(what, renaming_edits(renaming), self._frames(session, extent)))

    @while_open
    def remove_specks(
        self, session: Session, structures: tuple[str, ...], *, pixels: float, share: float, extent: Extent
    ) -> None:
        """Remove parts below a size in pixels or a share (0..1) of each mask; the largest part stays."""
        with self._host.showing_errors():
            from vfss.project.renaming import Specks, speck_edits

            name = session.schema[structures[0]].name if len(structures) == 1 else count(len(structures), "structure")
            edits = speck_edits(Specks(structures, pixels, share))
            self._start(session, FrameEdits(f"Specks of {name} removed", edits, self._frames(session, extent)))

    def _frames(self, session: Session, extent: Extent) -> tuple[int, ...]:
        if extent == "clip":
            return tuple(range(session.clip.n_frames))
        chosen = self._timeline.chosen
        if extent == "range" and chosen is not None:
            return tuple(range(chosen[0], chosen[1] + 1))
        return (session.frame,)

    def _start(self, session: Session, order: FrameEdits) -> None:
        if session.project.read_only:
            self._host.show_message(READ_ONLY)
        elif session.unsaved:
            self._host.show_message(
                "Some changes are not saved yet: save them first, so that nothing is renamed half.", problem=True
            )
        elif not self._jobs.is_busy():
            self._host.layers.flush()
            self._jobs.renaming.start(session, order)
