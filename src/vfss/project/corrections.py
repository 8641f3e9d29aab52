# SPDX-License-Identifier: Apache-2.0
"""Corrections: how much people corrected since a moment, by which a window proposes to retrain the student."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import func, select

from vfss.masks import MaskState
from vfss.project.corrected import Corrected
from vfss.project.database import Database
from vfss.project.tables import clips, present, revisions

_OPEN = [int(MaskState.PROPOSED), int(MaskState.EDITED)]


class Corrections:
    """Counts corrections of a project."""

    def __init__(self, database: Database) -> None:
        """Count in a database."""
        self._database = database

    def since(self, moment: datetime | None, patients: Collection[str]) -> Corrected:
        """Count what people corrected since a moment, None for ever, on clips of some patients.

        Args:
            moment: Aware; when the newest student was added.
            patients: Patients that a student is trained on: corrections on others teach it nothing.
        """
        by_hand = (revisions.c.origin == "hand",) + (() if moment is None else (revisions.c.time > moment,))
        touched = (
            select(revisions.c.clip, clips.c.patient, func.count(revisions.c.frame.distinct()))
            .join(clips, clips.c.id == revisions.c.clip)
            .where(*by_hand)
            .group_by(revisions.c.clip)
        )
        edited = touched.where(revisions.c.state == int(MaskState.EDITED))
        waiting = select(present.c.clip).where(present.c.state.in_(_OPEN)).distinct()
        with self._database.reading() as connection:
            frames = sum(n for _, patient, n in connection.execute(edited) if patient in patients)
            ours = {clip for clip, patient, _ in connection.execute(touched) if patient in patients}
            unfinished = set(connection.execute(waiting).scalars())
        return Corrected(frames, len(ours - unfinished))
