# SPDX-License-Identifier: Apache-2.0
"""Comparison of a new student with the one in use, on the frozen hold-out and on phantoms, and the gate's verdict.

The trainer does it at the end of a training, the window for students that came from elsewhere. What is found is kept
with the new student in the project, by the id of the student that it was compared with.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from vfss.evaluation.evaluate import PlaneScore, evaluate
from vfss.evaluation.gate import Evidence, GateRules, Verdict, judge
from vfss.evaluation.paired import LEAST_PATIENTS, Figure, Paired, pair
from vfss.masks.metrics import dice, hd95
from vfss.project import Project, StudentRecord
from vfss.project.hold_out import FrozenFrames
from vfss.schema import Schema
from vfss.student import Student

Progress = Callable[[int, int], bool]
"""Called with what is done and how much there is; False stops."""

KEPT = "comparisons"
"""Name under which comparisons are kept among the scores of a student, by the id of the other student."""
AGREEMENT = "export_agreement"
"""Name among the scores of a student: share of pixels that its exported network and torch assign alike, 0..1."""
PHANTOM_SCHEMA = "vfss12"
PHANTOM_SEEDS = range(990_000, 990_016)  # no recipe trains or chooses on them
_PHANTOM_SIZE, _PHANTOM_FRAMES, _STYLE = 384, 60, "clinic"
_TIMED = 7  # frames by which two architectures are timed


_NOTHING_TO_LOSE = "The student in use proposes none of this project's structures: there is nothing to compare with."


@dataclass(frozen=True)
class Measured:
    """Scores of one student.

    Attributes:
        scores: As from vfss.evaluation.evaluate.
        planes: Scores of each plane.
    """

    scores: Mapping[str, Any]
    planes: tuple[PlaneScore, ...]


@dataclass(frozen=True)
class StudentComparison:
    """A new student compared with an old one.

    Attributes:
        old: Id of the old student.
        new: Id of the new student.
        hold_out: Both on the frozen hold-out; None where it has no frames.
        phantoms: Both on phantoms; None where they were not needed.
        verdict: What the gate says.
        time: When, aware, UTC.
        keys: Structures of the project that the new student proposes.
    """

    old: str
    new: str
    hold_out: Paired | None
    phantoms: Paired | None
    verdict: Verdict
    time: datetime
    keys: tuple[str, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON, without the ids, under which it is kept."""
        sides = {
            name: None if paired is None else paired.to_dict()
            for name, paired in (("hold_out", self.hold_out), ("phantoms", self.phantoms))
        }
        return {**sides, "verdict": self.verdict.to_dict(), "time": self.time.isoformat(), "keys": list(self.keys)}

    @property
    def shown(self) -> Paired | None:
        """The figures to show: of the hold-out, or where it has no frames of phantoms; None without any."""
        held = self.hold_out
        return held if held is not None and held.frames else self.phantoms

    @classmethod
    def from_dict(cls, old: str, new: str, data: Mapping[str, Any]) -> StudentComparison:
        """Read what `to_dict` gave.

        Raises:
            ValueError: It is something else.
        """
        try:
            held, drawn = (None if data[n] is None else Paired.from_dict(data[n]) for n in ("hold_out", "phantoms"))
            moment = datetime.fromisoformat(data["time"])
            keys = tuple(str(key) for key in data.get("keys", ()))
            return cls(old, new, held, drawn, Verdict.from_dict(data["verdict"]), moment, keys)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"no comparison ({error!r})") from error


def measure(
    project: Project, student: Student, frozen: FrozenFrames, progress: Callable[[int, int], bool] | None = None
) -> Measured:
    """Score a student on the frozen hold-out.

    Raises:
        SchemaError: Student and project have no structure in common.
        ProjectError: The project cannot be read.
    """
    planes: list[PlaneScore] = []
    scores = evaluate(project, student, frames=frozen.frames, observe=planes.append, progress=progress)
    return Measured(scores, tuple(planes))


def measure_on_phantoms(
    students: Iterable[Student],
    *,
    seeds: Iterable[int] = PHANTOM_SEEDS,
    progress: Callable[[int, int], bool] | None = None,
) -> list[tuple[PlaneScore, ...]]:
    """Score students on the same frames of simulated swallows that no recipe trains on.

    Args:
        students: The students.
        seeds: A phantom each, of which one frame is used.
        progress: Called with phantoms done and in all; False stops early, with the scores of those done.

    Returns:
        Scores of each student. Structures that are hidden on a frame do not count there.
    """
    from vfss.phantom import Phantom  # takes a while, and few comparisons need it

    compared, chosen = list(students), list(seeds)
    schema = Schema.load(PHANTOM_SCHEMA)
    scores: list[list[PlaneScore]] = [[] for _ in compared]
    for done, seed in enumerate(chosen):
        if progress is not None and progress(done, len(chosen)) is False:
            break
        frame = int(np.random.default_rng((seed, 1)).integers(_PHANTOM_FRAMES))
        phantom = Phantom(seed, n_frames=_PHANTOM_FRAMES, height=_PHANTOM_SIZE, width=_PHANTOM_SIZE, style=_STYLE)
        picture, truth, visible = phantom.sample(frame)
        for student, mine in zip(compared, scores, strict=True):
            proposal = student.propose(picture[None])[0]
            for key in (key for key in student.keys if key in schema.keys and visible[schema[key].index]):
                plane, wanted = proposal.masks.planes[student.keys.index(key)], truth[schema[key].index]
                both = dice(wanted, plane), hd95(wanted, plane)
                mine.append(PlaneScore(f"phantom {seed}", (f"phantom {seed}", frame), key, *both))
    return [tuple(mine) for mine in scores]


def needs_phantoms(frozen: FrozenFrames) -> bool:
    """Return whether the hold-out is too small to tell whether something was forgotten."""
    return len(frozen.patients) < LEAST_PATIENTS


def frame_time(students: Iterable[Student], picture: np.ndarray[Any, np.dtype[np.uint8]]) -> tuple[float, ...]:
    """Return the median time that each student takes for a picture, uint8 (H, W), in seconds; they take turns."""
    timed = list(students)
    for student in timed:
        student.propose(picture[None])
    taken: list[list[float]] = [[] for _ in timed]
    for _ in range(_TIMED):
        for student, times in zip(timed, taken, strict=True):
            start = time.perf_counter()
            student.propose(picture[None])
            times.append(time.perf_counter() - start)
    return tuple(float(np.median(times)) for times in taken)


def compare(
    schema: Schema,
    ids: tuple[str, str],
    keys: tuple[Collection[str], Collection[str]],
    evidence: Evidence,
    *,
    hold_out: tuple[Measured, Measured] | None = None,
    phantoms: tuple[Iterable[PlaneScore], Iterable[PlaneScore]] | None = None,
    rules: GateRules | None = None,
) -> StudentComparison:
    """Compare two students by what was measured of them.

    Args:
        schema: Structures of the project.
        ids: Ids of the old and the new student.
        keys: Keys of the structures that each of them proposes.
        evidence: What was measured of how they run; the rest is filled in here.
        hold_out: Both on the frozen hold-out.
        phantoms: Both on phantoms.
        rules: What the new student must keep; None: the usual rules.
    """
    names = {structure.key: structure.name for structure in schema.structures}
    old, new = ([key for key in schema.keys if key in side] for side in keys)
    shared = [key for key in old if key in new]
    filled = replace(
        evidence,
        hold_out=None if hold_out is None else pair(hold_out[0].planes, hold_out[1].planes, shared),
        phantoms=None if phantoms is None else pair(*phantoms, shared),
        lost=tuple(names[key] for key in old if key not in new),
    )
    verdict = (
        judge(filled, names, rules) if shared or not new else Verdict(True, remarks=(_NOTHING_TO_LOSE,), on_film=False)
    )
    return StudentComparison(
        *ids, filled.hold_out, filled.phantoms, verdict, datetime.now(UTC).replace(microsecond=0), tuple(new)
    )


def keep_comparison(project: Project, comparison: StudentComparison) -> StudentRecord:
    """Keep a comparison with the new student in the project.

    Raises:
        StudentError: The project does not have the new student.
    """
    record = project.shelf.get(comparison.new, with_deleted=True)
    kept = record.scores.get(KEPT)
    kept = dict(kept) if isinstance(kept, dict) else {}
    scores = record.scores | {KEPT: kept | {comparison.old: comparison.to_dict()}}
    return project.shelf.keep_scores(comparison.new, scores)


def comparisons_of(record: StudentRecord) -> dict[str, StudentComparison]:
    """Return the comparisons that are kept with a student, by the id of the other student; unreadable ones are not."""
    kept = record.scores.get(KEPT)
    found: dict[str, StudentComparison] = {}
    for old, data in kept.items() if isinstance(kept, dict) else ():
        try:
            found[str(old)] = StudentComparison.from_dict(str(old), record.id, data)
        except ValueError:  # of another version, or damaged: as if it had not been compared
            continue
    return found


def newest_figures(student_id: str, records: Iterable[StudentRecord]) -> tuple[Mapping[str, Figure], Paired] | None:
    """Return the newest figures of a student on the hold-out by structure, and the comparison that they are of.

    Figures of a student are kept where it was the new one, and where others were compared with it.
    """
    found: list[tuple[datetime, Mapping[str, Figure], Paired]] = []
    for record in records:
        for comparison in comparisons_of(record).values():
            paired = comparison.hold_out
            if paired is not None and paired.frames and student_id in (comparison.old, comparison.new):
                found.append((comparison.time, paired.new if comparison.new == student_id else paired.old, paired))
    if not found:
        return None
    _, figures, paired = max(found, key=lambda one: one[0])
    return figures, paired
