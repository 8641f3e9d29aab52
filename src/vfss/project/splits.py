# SPDX-License-Identifier: Apache-2.0
"""Splits by patient: who is learnt from and who is held out, fixed once assigned."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import get_args

from sqlalchemy import Connection, insert, select

from vfss.errors import ProjectError
from vfss.project.database import Database
from vfss.project.records import Split
from vfss.project.tables import clips, patients

_SHARES: tuple[tuple[float, Split], ...] = ((0.70, "train"), (0.85, "validation"), (1.0, "test"))


class Splits:
    """The sides of the patients of one project.

    A patient gets a side when one is first asked for, in the order in which the patients came, and keeps it for ever.
    """

    def __init__(self, database: Database, project_id: str) -> None:
        """Keep the splits in that database."""
        self._database = database
        self._project_id = project_id

    def all(self) -> dict[str, Split]:
        """Side of every patient of the project."""
        with self._database.reading() as connection:
            found, waiting = _assigned(connection), _patients(connection)
        if not set(waiting) - set(found):
            return found
        if self._database.access != "write":
            return self._complete(found, waiting)
        with self._database.writing() as connection:
            found, waiting = _assigned(connection), _patients(connection)
            complete = self._complete(found, waiting)
            new = [_row(name, split) for name, split in complete.items() if name not in found]
            if new:
                connection.execute(insert(patients), new)
        return complete

    def of(self, patient: str) -> Split:
        """Side of a patient.

        Raises:
            ProjectError: The project knows no such patient.
        """
        splits = self.all()
        if patient not in splits:
            raise ProjectError(
                f"the project knows no patient {patient!r}",
                path=self._database.path.parent,
                remedy="Give a clip that patient first.",
            )
        return splits[patient]

    def assign(self, patient: str, split: Split) -> None:
        """Put a patient on a side, before or after the first clip came, but before any other side was given.

        Raises:
            ProjectError: The patient is on another side already, or there is no such side.
        """
        if split not in get_args(Split):
            raise ProjectError(f"unknown split {split!r}", remedy=f"It is one of: {', '.join(get_args(Split))}.")
        with self._database.writing() as connection:
            current = _assigned(connection).get(patient)
            if current is None:
                connection.execute(insert(patients), [_row(patient, split)])
            elif current != split:
                raise ProjectError(
                    f"patient {patient!r} is in {current!r} already, and stays there",
                    remedy="A student may have learnt from that patient: a split is fixed once assigned.",
                )

    def _complete(self, found: dict[str, Split], names: list[str]) -> dict[str, Split]:
        splits = dict(found)
        for name in names:
            if name not in splits:
                # Only patients with a clip count: one renamed away leaves nobody to learn from.
                splits[name] = self._choose(name, {splits[other] for other in names if other in splits})
        return splits

    def _choose(self, patient: str, taken: set[Split]) -> Split:
        """Side by hash, 70/15/15; but with few patients the first is learnt from and the second held out."""
        if "train" not in taken:
            return "train"
        if taken == {"train"}:
            return "validation"
        digest = hashlib.blake2b(f"{self._project_id}/{patient}".encode(), digest_size=8).digest()
        place = int.from_bytes(digest, "big") / 2**64
        return next(split for bound, split in _SHARES if place < bound)


def _assigned(connection: Connection) -> dict[str, Split]:
    query = select(patients.c.name, patients.c.split).order_by(patients.c.assigned, patients.c.name)
    return {name: split for name, split in connection.execute(query)}


def _patients(connection: Connection) -> list[str]:
    query = select(clips.c.patient).order_by(clips.c.added, clips.c.id)
    return list(dict.fromkeys(connection.execute(query).scalars()))


def _row(name: str, split: Split) -> dict[str, object]:
    return {"name": name, "split": split, "assigned": datetime.now(UTC)}
