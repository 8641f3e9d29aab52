# SPDX-License-Identifier: Apache-2.0
"""Splits by patient: who is trained on and who is held out, fixed once assigned.

Only patients whose case id a person confirmed are held out, and the same film twice is in one split: a clip of which it
is not known whose it is could be of a patient who is trained on.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

from sqlalchemy import Connection, insert, select

from vfss.errors import ProjectError
from vfss.masks import MaskState
from vfss.project.cases import Cases, read_cases
from vfss.project.database import Database
from vfss.project.database_files import FILE, open_database
from vfss.project.records import Split
from vfss.project.tables import clips, patients, present

SHARES: dict[Split, float] = {"train": 0.70, "validation": 0.15, "test": 0.15}
"""Shares of all patients, and of the patients with each structure annotated."""


@dataclass
class SplitCounts:
    """Counts of patients in each split, and of patients there with each structure annotated.

    Attributes:
        annotated: Planes of structures that a person confirmed at least once, by patient.
        project_id: Breaks ties, so that two projects do not split the same patients alike.
    """

    annotated: Mapping[str, frozenset[int]]
    project_id: str
    _patients: Counter[Split] = field(default_factory=Counter)
    _structures: dict[Split, Counter[int]] = field(default_factory=lambda: {side: Counter() for side in SHARES})

    def add(self, patient: str, side: Split) -> None:
        """Count a patient who is in a split."""
        self._patients[side] += 1
        self._structures[side].update(self.annotated.get(patient, frozenset()))

    def choose(self, patient: str) -> Split:
        """Return the split of a new patient; of the first two, one is trained on and one held out."""
        if not self._patients["train"]:
            return "train"
        if self._patients.total() == self._patients["train"]:
            return "validation"
        return max(SHARES, key=lambda side: self._need(patient, side))

    def _need(self, patient: str, side: Split) -> tuple[float, float, bytes]:
        """Return how much a split lacks a patient: by structures, then by number, then by lot."""
        wanted = 0.0
        for plane in self.annotated.get(patient, frozenset()):
            everywhere = 1 + sum(structures[plane] for structures in self._structures.values())
            wanted += (SHARES[side] - self._structures[side][plane] / everywhere) / everywhere  # rare ones count most
        lacking = SHARES[side] * (1 + self._patients.total()) - self._patients[side]
        lot = hashlib.blake2b(f"{self.project_id}/{patient}/{side}".encode(), digest_size=8).digest()
        return round(wanted, 9), round(lacking, 9), lot


class Splits:
    """Splits of the patients of one project.

    A patient is assigned when a split is first asked for, in the order in which the patients were added, and stays
    there for ever: in the split that lacks most of what is annotated of the patient at that time. Of a patient whose
    case id nobody has confirmed the split is "train" for now, and open.
    """

    def __init__(self, database: Database, project_id: str, elder: Path | None = None) -> None:
        """Keep the splits in a database.

        Args:
            database: Holds clips and splits.
            project_id: Unique id of the project.
            elder: Folder of the project whose second reading this is: its splits count. None for a project.
        """
        self._database = database
        self._project_id = project_id
        self._elder = elder

    def all(self) -> dict[str, Split]:
        """Return the split of each patient of the project."""
        with self._database.reading() as connection:
            assigned, cases = _assigned(connection), read_cases(connection)
            if not set(cases.names) - set(assigned):
                return assigned
            annotated = _annotated(connection)
        if self._elder is not None:
            return self._of_elder(assigned, cases, cases.names)
        if self._database.access != "write":
            return self._complete(assigned, cases, annotated)
        with self._database.writing() as connection:
            assigned, cases = _assigned(connection), read_cases(connection)
            complete = self._complete(assigned, cases, _annotated(connection))
            new = [_row(name, split) for name, split in complete.items() if cases.is_new(name, assigned)]
            if new:
                connection.execute(insert(patients), new)
        return complete

    def of_clips(self) -> dict[str, Split | None]:
        """Return the split of each clip by its id: that of its patient, if a person confirmed the patient.

        A clip whose case id nobody has confirmed is for training. Where the id that it has is that of a patient who is
        held out, or where it is the same film as one of such a patient, it is left out of all splits: None.
        """
        splits = self.all()
        with self._database.reading() as connection:
            cases = read_cases(connection)
        return {clip: cases.side(clip, splits) for clip in cases.clips}

    def assigned(self) -> dict[str, Split]:
        """Return the splits that are fixed already, by patient; a second reading has those of its project too."""
        with self._database.reading() as connection:
            own = _assigned(connection)
        if self._elder is None:
            return own
        database, project_id, _ = open_database(self._elder / FILE, patience_s=10.0)
        with closing(database):
            return Splits(database, project_id).assigned() | own

    def of(self, patient: str) -> Split:
        """Return the split of a patient.

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
        """Assign a patient to a split, before or after the first clip is added, but before any other assignment.

        Raises:
            ProjectError: The patient is in another split already, or there is no such split.
        """
        if split not in get_args(Split):
            raise ProjectError(f"unknown split {split!r}", remedy=f"It is one of: {', '.join(get_args(Split))}.")
        if self._elder is not None:
            with self._database.reading() as connection:
                assigned, cases = _assigned(connection), read_cases(connection)
            if self._of_elder(assigned, cases, (patient,))[patient] == split:
                return
            raise ProjectError(f"patient {patient!r} is in another split of the project", path=self._elder)
        with self._database.writing() as connection:
            current = _assigned(connection).get(patient)
            if current is None:
                connection.execute(insert(patients), [_row(patient, split)])
            elif current != split:
                raise ProjectError(
                    f"patient {patient!r} is in {current!r} already, and stays there",
                    remedy="A student may have been trained on that patient: a split is fixed once assigned.",
                )

    def _of_elder(self, assigned: dict[str, Split], cases: Cases, names: Sequence[str]) -> dict[str, Split]:
        """Return the known splits, and those of more patients from the project whose second reading this is."""
        if self._elder is None:
            return assigned
        database, project_id, _ = open_database(self._elder / FILE, patience_s=10.0)
        with closing(database):
            elder = Splits(database, project_id).all()
        unknown = [name for name in names if name not in assigned and name not in elder]
        if unknown:
            raise ProjectError(
                f"the project knows no patient {unknown[0]!r}, from which its second reading takes the splits",
                path=self._elder,
                remedy="Give a clip of the project that patient first.",
            )
        new = {name: elder[name] for name in names if name not in assigned}
        if any(cases.is_new(name, assigned) for name in new) and self._database.access == "write":
            with self._database.writing() as connection:
                known = _assigned(connection)
                rows = [_row(name, split) for name, split in new.items() if cases.is_new(name, known)]
                if rows:
                    connection.execute(insert(patients), rows)
        return assigned | new

    def _complete(
        self, assigned: dict[str, Split], cases: Cases, annotated: Mapping[str, frozenset[int]]
    ) -> dict[str, Split]:
        splits, counts = dict(assigned), SplitCounts(annotated, self._project_id)
        for name in cases.names:
            # Only patients with a clip count: a renamed patient leaves no clip to train on.
            if name in splits:
                counts.add(name, splits[name])
        for name in cases.names:
            if name in splits:
                continue
            if name not in cases.confirmed:
                splits[name] = "train"  # not counted: they may turn out to be patients who are counted already
                continue
            splits[name] = cases.bound(name, splits) or counts.choose(name)
            counts.add(name, splits[name])
        return splits


def _assigned(connection: Connection) -> dict[str, Split]:
    query = select(patients.c.name, patients.c.split).order_by(patients.c.assigned, patients.c.name)
    return {name: split for name, split in connection.execute(query)}


def _annotated(connection: Connection) -> dict[str, frozenset[int]]:
    """Return the planes that a person confirmed on any frame, by patient."""
    truth = [int(state) for state in MaskState if state.is_truth]
    query = (
        select(clips.c.patient, present.c.plane)
        .join(present, present.c.clip == clips.c.id)
        .where(present.c.state.in_(truth))
        .distinct()
    )
    annotated: dict[str, set[int]] = defaultdict(set)
    for patient, plane in connection.execute(query):
        annotated[patient].add(plane)
    return {patient: frozenset(planes) for patient, planes in annotated.items()}


def _row(name: str, split: Split) -> dict[str, object]:
    return {"name": name, "split": split, "assigned": datetime.now(UTC)}
