# SPDX-License-Identifier: Apache-2.0
"""Cases of a project: whose each clip is, whether a person confirmed it, and which clips are the same film."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, select, update

from vfss.clips.film_hash import same_film
from vfss.project.database import Database
from vfss.project.records import ClipRecord, Split, case_from_content, is_confirmed
from vfss.project.tables import clips, columns_of, layout


@dataclass(frozen=True)
class CaseOfClip:
    """Whose a clip is.

    Attributes:
        patient: Case id.
        confirmed: Whether a person confirmed it.
        trained: Whether training has used the clip while nobody had confirmed its case.
    """

    patient: str
    confirmed: bool
    trained: bool = False


@dataclass(frozen=True)
class Cases:
    """Cases of all clips of a project.

    Attributes:
        clips: Cases by the id of the clip, in the order in which clips were added.
        films: Ids of clips that are the same film, two or more in each group.
    """

    clips: Mapping[str, CaseOfClip]
    films: Sequence[frozenset[str]] = ()
    names: tuple[str, ...] = field(init=False)
    confirmed: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        names = tuple(dict.fromkeys(case.patient for case in self.clips.values()))
        object.__setattr__(self, "names", names)
        confirmed = frozenset(case.patient for case in self.clips.values() if case.confirmed)
        object.__setattr__(self, "confirmed", confirmed)

    def is_new(self, patient: str, assigned: Mapping[str, Split]) -> bool:
        """Return whether the split of a patient is to be fixed now: it is open, and a person confirmed the case."""
        return patient not in assigned and patient in self.confirmed

    def bound(self, patient: str, splits: Mapping[str, Split]) -> Split | None:
        """Return the split that a patient must have; None where any will do.

        It is that of a confirmed patient with the same film, and "train" where training has used one of the clips.
        """
        own = {clip for clip, case in self.clips.items() if case.patient == patient}
        if any(self.clips[clip].trained for clip in own):
            return "train"
        for film in self.films:
            for clip in sorted(film - own if film & own else ()):
                other = self.clips[clip]
                if other.confirmed and other.patient in splits:
                    return splits[other.patient]
        return None

    def side(self, clip: str, splits: Mapping[str, Split]) -> Split | None:
        """Return the split of a clip; None where it is left out of all, see Splits.of_clips."""
        case = self.clips[clip]
        side = splits[case.patient]
        if case.confirmed:
            return side
        copies = {other for film in self.films if clip in film for other in film - {clip}}
        if any(self.clips[other].confirmed and splits[self.clips[other].patient] != "train" for other in copies):
            return None
        # A case made from the content is of this recording alone: where it is held out, it was so before confirming
        # was asked for, or a person chose it.
        return side if side == "train" or case.patient == case_from_content(clip) else None


def read_cases(connection: Connection) -> Cases:
    """Read the cases of all clips from a project of any layout."""
    version = int(connection.execute(select(layout.c.version)).scalar_one())
    chosen = [column for column in columns_of(clips, version) if column.key in _COLUMNS]
    rows = connection.execute(select(*chosen).order_by(clips.c.added, clips.c.id)).all()
    found = {
        row.id: CaseOfClip(
            row.patient, is_confirmed(row.id, row.patient, row.case_confirmed), bool(row.trained_unconfirmed)
        )
        for row in rows
    }
    return Cases(found, same_film({row.id: row.film_hash for row in rows if row.film_hash is not None}))


_COLUMNS = ("id", "patient", "case_confirmed", "trained_unconfirmed", "film_hash")


def note_training(database: Database) -> None:
    """Record which clips training uses though nobody has confirmed their cases, so that they are never held out."""
    with database.writing() as connection:
        cases = read_cases(connection)
        used = [clip for clip, case in cases.clips.items() if not case.confirmed and not case.trained]
        if used:
            connection.execute(update(clips).where(clips.c.id.in_(used)).values(trained_unconfirmed=True))


def unconfirmed(records: Sequence[ClipRecord]) -> list[ClipRecord]:
    """Return the clips whose case nobody has confirmed."""
    return [record for record in records if not record.case_confirmed]


def unconfirmed_text(records: Sequence[ClipRecord]) -> str:
    """Return what a person must know before training or export, e.g. of 38 of 40 clips; "" if all are confirmed."""
    n = len(unconfirmed(records))
    if not n:
        return ""
    clips_of = "1 clip" if len(records) == 1 else f"{len(records)} clips"
    return (
        f"Case id not confirmed for {n} of {clips_of}. Until then {'it is' if n == 1 else 'they are'} used for "
        "training only, never for validation or test: a clip of unknown origin may show a patient who is trained on."
    )
