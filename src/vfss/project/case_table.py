# SPDX-License-Identifier: Apache-2.0
"""Table of recordings and the case that each would get by a rule, for a person to correct and confirm."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from vfss.clips.film_hash import film_hash
from vfss.errors import ClipError, VfssError
from vfss.project.case_rule import CaseRule, RecordingNames
from vfss.project.project import Project
from vfss.project.records import ClipRecord, Split
from vfss.wording import count, listed

CaseFrom = Literal["confirmed", "rule", "same film", "content"]
_NAMED = 4  # recordings that a remark names


@dataclass(frozen=True)
class CaseRow:
    """One recording with its case.

    Attributes:
        record: The clip.
        case: Case id that it has, if a person confirmed it, or would get.
        case_from: Where the id comes from: a person who confirmed it, the rule, a recording with the same film, or the
            content, which makes the recording a case of its own, as the rule finds nothing.
        copies: Names of the recordings that are the same film.
    """

    record: ClipRecord
    case: str
    case_from: CaseFrom
    copies: tuple[str, ...] = ()


def case_table(
    records: Sequence[ClipRecord],
    names: Mapping[str, RecordingNames],
    rule: CaseRule,
    films: Iterable[frozenset[str]] = (),
) -> list[CaseRow]:
    """Return the case of each clip by a rule; confirmed ones stay as they are.

    Of the same film, all clips get the case of the one that is confirmed, or else of the one that was added first.

    Args:
        records: Clips of a project, in the order in which they were added.
        names: Names of their recordings by the id of the clip; one that is missing gets its case from the content.
        rule: The rule.
        films: Ids of clips that are the same film.
    """
    rows = {record.id: _row(record, names.get(record.id), rule) for record in records}
    for film in films:
        members = [record for record in records if record.id in film]
        leader = next((record for record in members if record.case_confirmed), members[0])
        for record in members:
            others = tuple(other.path.name for other in members if other is not record)
            rows[record.id] = replace(rows[record.id], copies=others)
            if record is not leader and not record.case_confirmed:
                rows[record.id] = replace(rows[record.id], case=rows[leader.id].case, case_from="same film")
    return list(rows.values())


def _row(record: ClipRecord, names: RecordingNames | None, rule: CaseRule) -> CaseRow:
    if record.case_confirmed:
        return CaseRow(record, record.patient, "confirmed")
    case = None if names is None else rule.case_of(names)
    return CaseRow(record, record.patient, "content") if case is None else CaseRow(record, case, "rule")


def remarks(rows: Sequence[CaseRow], cases: Sequence[str], splits: Mapping[str, Split]) -> list[str]:
    """Return what a person should look at before confirming, a sentence each.

    Args:
        rows: The recordings.
        cases: Their case ids as they stand in the table now.
        splits: Splits that are fixed, by case.
    """
    found = []
    n = len(set(cases))
    if len(rows) > 1 and n == len(rows):
        found.append("Each recording is a case of its own: is no patient in two of them?")
    elif len(rows) > 1 and n == 1:
        found.append("All recordings are one case: none can be held out for evaluation.")
    by_content = [row.record.path.name for row in rows if row.case_from == "content"]
    if by_content:
        found.append(f"The rule finds no case id for {listed(by_content, _NAMED)}.")
    of_row = {row.record.path.name: case for row, case in zip(rows, cases, strict=True)}
    for row, case in zip(rows, cases, strict=True):
        apart = [name for name in row.copies if of_row.get(name, case) != case and name > row.record.path.name]
        if apart:
            sides = [splits.get(case), *(splits.get(of_row[name]) for name in apart)]
            fixed = len({side for side in sides if side is not None}) > 1
            where = f", in {' and '.join(sorted({side for side in sides if side}))}" if fixed else ""
            found.append(f"{row.record.path.name} and {listed(apart, _NAMED)} are the same film but two cases{where}.")
    return found


def confirm_cases(project: Project, rule: CaseRule, cases: Mapping[str, str]) -> list[str]:
    """Confirm the cases of clips, and keep the rule; return why some could not be confirmed, a message each.

    Args:
        project: Must be writable.
        rule: By which clips that are added later get their first case id.
        cases: Case id by the id of the clip.

    Raises:
        ProjectError: The rule cannot be kept.
    """
    project.choose_case_rule(rule)
    refused = []
    for clip_id, case in cases.items():
        try:
            project.update_clip(clip_id, patient=case)
        except VfssError as error:
            refused.append(str(error))
    return refused


def hash_films(project: Project, progress: Callable[[int, int], bool] | None = None) -> int:
    """Compute the hash of each clip that has none yet, by which the same film is found twice; return how many.

    A recording that cannot be opened or decoded is left out.

    Args:
        project: Must be writable.
        progress: Called with clips done and in all; False stops.
    """
    missing = [record for record in project.clips() if record.film_hash is None]
    n = 0
    for done, record in enumerate(missing, 1):
        try:
            with project.open_clip(record.id) as clip:
                found = film_hash(clip)
        except ClipError:
            found = None
        if found is not None:
            project.keep_film_hash(record.id, found)
            n += 1
        if progress is not None and progress(done, len(missing)) is False:
            break
    return n


def summary(rows: Sequence[CaseRow], cases: Sequence[str]) -> str:
    """Return how many recordings and cases there are, and how many are confirmed."""
    confirmed = sum(row.record.case_confirmed for row in rows)
    films = sum(bool(row.copies) for row in rows)
    twice = f", {films} of them the same film as another" if films else ""
    return f"{count(len(rows), 'recording')}{twice}; {count(len(set(cases)), 'case')}; {confirmed} confirmed."
