# SPDX-License-Identifier: Apache-2.0
"""How long people work on frames, and how much of it proposals spare them, from the times of revisions.

Definitions
    Act: all revisions that one person wrote at one moment; accepting a frame of twelve structures is one act. Origins
        "hand", "undo" and "redo" are a person's; proposals, imports and simulated truth are not.
    Time of an act: from the same person's act before it in this project. After a pause of more than `PAUSE_S`, and
        for the first act of all, it is not known and left out, so that times are rather too short than too long.
    Time of a mask: that of its act, divided by the number of the act's masks.
    Seconds a frame: the times of all masks of a structure, divided by the number of frames (of any clip) on which the
        structure got a mask whose time is known. Correcting the same frame again adds to its time, not to the number.
    Frames a day: frames on which a person wrote anything, counted once a day and person, by local date.
    Accepted untouched: of the masks that a person accepted where a proposal had been made before, the share whose
        pixels are those of the newest proposal; empty counts as untouched where the proposal has no pixels.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from typing import Any

from sqlalchemy import func, select

from vfss.masks import MaskState, unpack_box
from vfss.project.database import Database
from vfss.project.provenance import UNCONFIRMED
from vfss.project.tables import present, revisions
from vfss.project.worklist import BY_PERSONS

PAUSE_S = 120.0
"""Seconds between two acts of one person from which the time between them counts as a pause."""
_ROWS_AT_ONCE = 5000


@dataclass(frozen=True)
class MaskWritten:
    """One revision by a person, as far as times are concerned.

    Attributes:
        clip: Content id.
        frame: Zero-based frame index.
        structure: Key of the structure.
        author: Who wrote it.
        time: When, aware.
        student: Id of the student that had a part in the mask; None for one from nothing.
    """

    clip: str
    frame: int
    structure: str
    author: str
    time: datetime
    student: str | None = None


@dataclass(frozen=True)
class Pace:
    """Working time on some masks.

    Attributes:
        frames: Frames on which masks with a known time were written.
        seconds: Time of these masks, together.
    """

    frames: int
    seconds: float

    @property
    def seconds_a_frame(self) -> float:
        """Mean time, seconds; NaN without frames."""
        return self.seconds / self.frames if self.frames else float("nan")


@dataclass(frozen=True)
class Untouched:
    """Masks that were accepted after a proposal.

    Attributes:
        accepted: Accepted masks.
        untouched: Those among them with exactly the proposed pixels.
    """

    accepted: int
    untouched: int

    @property
    def share(self) -> float:
        """Share that is untouched, 0..1; NaN where nothing was accepted."""
        return self.untouched / self.accepted if self.accepted else float("nan")


@dataclass(frozen=True)
class WorkTimes:
    """Progress of a project in figures; see the module for what they mean.

    Attributes:
        frames_a_day: Frames by local date and author.
        by_structure: Pace by structure key.
        by_student: Pace by the id of the student that had a part in the masks, None for none.
        untouched: Accepted masks by the id of the student that proposed them, None for propagation without one.
    """

    frames_a_day: dict[tuple[date, str], int]
    by_structure: dict[str, Pace]
    by_student: dict[str | None, Pace]
    untouched: dict[str | None, Untouched]


def mask_times(written: Iterable[MaskWritten], pause_s: float = PAUSE_S) -> Iterator[tuple[MaskWritten, float]]:
    """Yield the masks whose time is known, with that time in seconds.

    Args:
        written: Masks of any number of people, those of one person in the order of time.
        pause_s: Seconds from which the time between two acts is a pause.
    """
    by_author = defaultdict[str, list[MaskWritten]](list)
    for mask in written:
        by_author[mask.author].append(mask)
    for masks in by_author.values():
        before: datetime | None = None
        for time, act in groupby(masks, key=lambda mask: mask.time):
            together = list(act)
            seconds = None if before is None else (time - before).total_seconds()
            if seconds is not None and 0 <= seconds <= pause_s:
                yield from ((mask, seconds / len(together)) for mask in together)
            before = time


def work_times(database: Database, *, pause_s: float = PAUSE_S) -> WorkTimes:
    """Return the progress of a project; takes a second or so where there are a hundred thousand revisions.

    Args:
        database: Database of the project.
        pause_s: Seconds from which the time between two acts is a pause.

    Raises:
        ProjectError: The database cannot be read.
        MaskError: A stored proposal is damaged.
    """
    written = list(_written(database))
    known = list(mask_times(written, pause_s))
    days = {(mask.time.astimezone().date(), mask.author, mask.clip, mask.frame) for mask in written}
    return WorkTimes(
        frames_a_day=dict(sorted(Counter((day, author) for day, author, _, _ in days).items())),
        by_structure=_paces((mask.structure, mask, seconds) for mask, seconds in known),
        by_student=_paces((mask.student, mask, seconds) for mask, seconds in known),
        untouched=_untouched(database),
    )


def _paces(masks: Iterable[tuple[Any, MaskWritten, float]]) -> dict[Any, Pace]:
    frames, seconds = defaultdict[Any, set[tuple[str, int]]](set), defaultdict[Any, float](float)
    for key, mask, time in masks:
        frames[key].add((mask.clip, mask.frame))
        seconds[key] += time
    return {key: Pace(len(frames[key]), seconds[key]) for key in frames}


def _written(database: Database) -> Iterator[MaskWritten]:
    """Yield the revisions by persons in the order in which they were written."""
    columns = ("clip", "frame", "structure", "author", "time", "student")
    query = select(*(revisions.c[name] for name in columns)).where(revisions.c.origin.in_(BY_PERSONS))
    with database.reading() as connection:
        for row in connection.execute(query.order_by(revisions.c.id)).yield_per(_ROWS_AT_ONCE):
            yield MaskWritten(*row)


def _untouched(database: Database) -> dict[str | None, Untouched]:
    """Count accepted masks with a proposal before them, and those that are equal to it, by student."""
    kept, offered, earlier = revisions.alias("kept"), revisions.alias("offered"), revisions.alias("earlier")
    newest = (
        select(func.max(earlier.c.id))
        .where(
            earlier.c.clip == kept.c.clip,
            earlier.c.frame == kept.c.frame,
            earlier.c.structure == kept.c.structure,
            earlier.c.id < kept.c.id,
            earlier.c.origin.in_(UNCONFIRMED),
        )
        .scalar_subquery()
    )
    empty = present.c.state == int(MaskState.EMPTY)
    query = (
        select(
            offered.c.student,
            present.c.state,
            (kept.c.mask == offered.c.mask).label("same"),
            func.iif(empty, offered.c.mask, None).label("mask"),
        )
        .select_from(present)
        .join(kept, kept.c.id == present.c.revision)
        .join(offered, offered.c.id == newest)
        .where(present.c.state.in_([int(MaskState.ACCEPTED), int(MaskState.EMPTY)]), kept.c.origin.in_(BY_PERSONS))
    )
    accepted, untouched = Counter[str | None](), Counter[str | None]()
    with database.reading() as connection:
        for row in connection.execute(query).yield_per(_ROWS_AT_ONCE):
            accepted[row.student] += 1
            if row.state == MaskState.EMPTY:
                untouched[row.student] += row.mask is None or not unpack_box(row.mask).area
            else:
                untouched[row.student] += bool(row.same)
    return {student: Untouched(n, untouched[student]) for student, n in accepted.items()}
