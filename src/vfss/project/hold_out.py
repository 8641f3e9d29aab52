# SPDX-License-Identifier: Apache-2.0
"""The hold-out: annotated frames of held-out patients, frozen when first used, on which students are compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, insert, select

from vfss.masks import MaskState
from vfss.project.database import Database
from vfss.project.records import Split
from vfss.project.tables import clips, hold_out_frames, present

HELD_OUT: tuple[Split, ...] = ("validation", "test")
"""Splits whose patients no student of the project is trained on."""
_TRUTH = [int(state) for state in MaskState if state.is_truth]


@dataclass(frozen=True)
class FrozenFrames:
    """Frames of the hold-out.

    Attributes:
        frames: Zero-based frames, ascending, by id of the clip.
        patients: Patients that they are of, in order of their names.
        frozen: When the newest of them was taken in, aware, UTC; None where there are none.
        waiting: Annotated frames of held-out patients that came later and are not in it.
    """

    frames: Mapping[str, tuple[int, ...]]
    patients: tuple[str, ...] = ()
    frozen: datetime | None = None
    waiting: int = 0

    @property
    def count(self) -> int:
        """Number of frames."""
        return sum(len(frames) for frames in self.frames.values())


class HoldOut:
    """Keeps which frames students are compared on, so that figures of today and of last year are of the same frames."""

    def __init__(self, database: Database) -> None:
        """Keep them in a database; nothing is written before `freeze`."""
        self._database = database

    def frames(self, splits: Mapping[str, Split]) -> FrozenFrames:
        """Return the frozen frames; none before they are frozen.

        Args:
            splits: Split of each patient: a frame counts only while its patient is held out.
        """
        with self._database.reading() as connection:
            return self._frames(connection, splits)

    def freeze(self, splits: Mapping[str, Split], *, extend: bool = False) -> FrozenFrames:
        """Return the frozen frames, after freezing all annotated frames of held-out patients if none are yet.

        Args:
            splits: Split of each patient.
            extend: Take in also the frames that were annotated since. Figures from before are then of fewer frames.
        """
        frozen = self.frames(splits)
        if self._database.access != "write" or not frozen.waiting or (frozen.count and not extend):
            return frozen
        with self._database.writing() as connection:
            frozen = self._frames(connection, splits)
            if not frozen.count or extend:
                known = {(clip, frame) for clip, frames in frozen.frames.items() for frame in frames}
                now = datetime.now(UTC)
                rows = [
                    {"clip": clip, "frame": frame, "frozen": now}
                    for clip, _, frame in _annotated(connection, splits)
                    if (clip, frame) not in known
                ]
                if rows:
                    connection.execute(insert(hold_out_frames), rows)
            return self._frames(connection, splits)

    def _frames(self, connection: Connection, splits: Mapping[str, Split]) -> FrozenFrames:
        annotated = _annotated(connection, splits)
        if self._database.layout < 6:  # a project that can only be read
            return FrozenFrames({}, waiting=len(annotated))
        query = (
            select(hold_out_frames, clips.c.patient)
            .join(clips, clips.c.id == hold_out_frames.c.clip)
            .order_by(hold_out_frames.c.clip, hold_out_frames.c.frame)
        )
        rows = [row for row in connection.execute(query) if splits.get(row.patient) in HELD_OUT]
        frames: dict[str, tuple[int, ...]] = {}
        for row in rows:
            frames[row.clip] = (*frames.get(row.clip, ()), row.frame)
        known = {(row.clip, row.frame) for row in rows}
        waiting = sum((clip, frame) not in known for clip, _, frame in annotated)
        patients = tuple(sorted({row.patient for row in rows}))
        return FrozenFrames(frames, patients, max((row.frozen for row in rows), default=None), waiting)


def _annotated(connection: Connection, splits: Mapping[str, Split]) -> list[tuple[str, str, int]]:
    """Return clip, patient and frame of all annotated frames of held-out patients."""
    query = (
        select(present.c.clip, clips.c.patient, present.c.frame)
        .join(clips, clips.c.id == present.c.clip)
        .where(present.c.state.in_(_TRUTH))
        .distinct()
        .order_by(present.c.clip, present.c.frame)
    )
    return [
        (row.clip, row.patient, row.frame) for row in connection.execute(query) if splits.get(row.patient) in HELD_OUT
    ]
