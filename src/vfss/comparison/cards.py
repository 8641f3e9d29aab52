# SPDX-License-Identifier: Apache-2.0
"""Cards: what there is to show of each student of a project, and of the one that ships."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from vfss.comparison.comparing import StudentComparison, comparisons_of, newest_figures
from vfss.errors import StudentError
from vfss.evaluation.paired import Figure, Paired
from vfss.project import Project, StudentRecord
from vfss.student import student_file
from vfss.student.facts import Facts, read_facts
from vfss.wording import count

SHIPPED = "as shipped"
"""Title of the student that ships with the program."""


@dataclass(frozen=True)
class StudentCard:
    """What there is to show of a student.

    Attributes:
        id: Its id.
        title: Its name, or else the short id; of the one that ships "as shipped".
        record: Record of the project; None for the one that ships.
        in_use: Whether it proposes masks now.
        origin: Sentences on when, by whom, and from what it was made.
        lineage: Titles of the students that it was trained from, the nearest first.
        figures: Dice on the frozen hold-out by key of structure, "" for the mean; None where it was not measured.
        measured_with: The comparison that the figures are of.
        comparison: Comparison with the student in use; None where there is none, and for the one in use.
        problem: Why its file cannot be used; empty if it can.
    """

    id: str
    title: str
    record: StudentRecord | None
    in_use: bool
    origin: tuple[str, ...]
    lineage: tuple[str, ...]
    figures: Mapping[str, Figure] | None
    measured_with: Paired | None
    comparison: StudentComparison | None
    problem: str = ""

    @property
    def project_id(self) -> str | None:
        """Id under which a project knows it; None for the one that ships."""
        return None if self.record is None else self.record.id

    @property
    def mean(self) -> Figure | None:
        """Mean Dice on the hold-out; None where it was not measured."""
        return None if self.figures is None else self.figures.get("")


def student_cards(project: Project) -> list[StudentCard]:
    """Return a card of the student that ships and of each student of a project, in the order in which they were added.

    Raises:
        ProjectError: The project cannot be read.
    """
    records = project.shelf.all(with_deleted=True)
    current = project.current_student()
    shipped = read_facts(student_file("default"))
    in_use = shipped.id if current is None else current.id
    titles = {record.id: record.title for record in records}
    parents = {record.id: record.parent for record in records}
    made = [_card(None, shipped.id, shipped, "", records, titles, parents, in_use, current is None)]
    for record in records:
        facts, problem = _facts(record)
        chosen = current is not None and current.id == record.id
        made.append(_card(record, record.id, facts, problem, records, titles, parents, in_use, chosen))
    return made


def _facts(record: StudentRecord) -> tuple[Facts | None, str]:
    if record.deleted is not None:
        return None, f"Its file was deleted on {record.deleted.astimezone():%d %B %Y}; this record stays."
    try:
        return read_facts(record.path), ""
    except StudentError as error:
        return None, f"Its file cannot be used: {error.what}."


def _card(  # noqa: PLR0917  (one place, in one order)
    record: StudentRecord | None,
    student_id: str,
    facts: Facts | None,
    problem: str,
    records: Sequence[StudentRecord],
    titles: Mapping[str, str],
    parents: Mapping[str, str | None],
    in_use: str,
    chosen: bool,
) -> StudentCard:
    found = newest_figures(student_id, records)
    figures, paired = found if found is not None else (None, None)
    compared = {} if record is None else comparisons_of(record)
    return StudentCard(
        id=student_id,
        title=SHIPPED if record is None else record.title,
        record=record,
        in_use=chosen,
        origin=tuple(_origin(record, facts)),
        lineage=_lineage(student_id, titles, parents, facts),
        figures=figures,
        measured_with=paired,
        comparison=None if chosen else compared.get(in_use),
        problem=problem,
    )


def _lineage(
    student_id: str, titles: Mapping[str, str], parents: Mapping[str, str | None], facts: Facts | None
) -> tuple[str, ...]:
    """Return titles of the ancestors; the record of a project tells, for one that ships its own file."""
    line: list[str] = []
    seen = {student_id}
    parent = parents.get(student_id) if student_id in parents else _text(facts, "parent")
    while parent is not None and parent not in seen:
        seen.add(parent)
        line.append(titles.get(parent, SHIPPED if parent == _shipped_id() else parent[:9]))
        parent = parents.get(parent)
    return tuple(line)


def _shipped_id() -> str:
    return read_facts(student_file("default")).id


def _origin(record: StudentRecord | None, facts: Facts | None) -> list[str]:
    told = []
    if record is None:
        told.append("Ships with the program, trained on simulated swallows.")
    elif record.scores.get("imported"):
        told.append(f"Imported on {record.added.astimezone():%d %b %Y, %H:%M}{_by(record)}.")
    else:
        told.append(f"Trained, {record.added.astimezone():%d %b %Y, %H:%M}{_by(record)}.")
    if facts is not None and record is not None:
        told += _learnt_from(facts)
    return told


def _by(record: StudentRecord) -> str:
    return f" by {record.added_by}" if record.added_by else ""


def _learnt_from(facts: Facts) -> list[str]:
    """Return what a student learnt from; what a file records of its making can be anything."""
    source = _source(facts.provenance)
    frames, phantoms, patients = (
        source.get(name) if isinstance(source.get(name), int) else None
        for name in ("frames", "phantom_frames", "patients")
    )
    parts = [] if frames is None else [count(frames, "annotated frame")]
    if facts.learnt and (masks := sum(facts.learnt.values())):
        parts.append(count(masks, "mask"))
    if patients is not None:
        parts.append(count(patients, "patient"))
    told = [f"Learnt from {', '.join(parts)}."] if parts else []
    if phantoms:
        told.append(f"{phantoms} simulated frames were replayed.")
    recipe = facts.provenance.get("recipe")
    if isinstance(recipe, dict) and isinstance(recipe.get("name"), str):
        told.append(f"Recipe: {recipe['name']}.")
    return told


def _source(provenance: Mapping[str, Any]) -> Mapping[str, Any]:
    history = provenance.get("history")
    newest = history[-1] if isinstance(history, list) and history else None
    source = newest.get("source") if isinstance(newest, dict) else None
    return source if isinstance(source, dict) else {}


def _text(facts: Facts | None, name: str) -> str | None:
    value = None if facts is None else facts.provenance.get(name)
    return value if isinstance(value, str) else None


def last_training(records: Sequence[StudentRecord]) -> datetime | None:
    """Return when the newest student was trained in the project, aware; None where none was."""
    return max((record.added for record in records if not record.scores.get("imported")), default=None)


def export_name(card: StudentCard) -> Path:
    """Return the name that an exported file gets if a person gives none."""
    kept = "".join(letter if letter.isalnum() or letter in "-_ " else "-" for letter in card.title).strip()
    return Path(f"{kept or card.id}.safetensors")
