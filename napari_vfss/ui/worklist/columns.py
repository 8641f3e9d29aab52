# SPDX-License-Identifier: Apache-2.0
"""Columns of the worklist, as data: heading, explanation, text of a cell, and by what it is sorted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from vfss.project.worklist_row import OpenWindow, WorklistRow

Value = str | float


@dataclass(frozen=True)
class Shown:
    """Everything that the list knows of one clip.

    Attributes:
        row: What the project says.
        doubtful: Number of doubtful masks; None where it is not counted yet.
        is_open: True if the clip is open in this window.
        others: Other windows that have it open.
    """

    row: WorklistRow
    doubtful: int | None
    is_open: bool
    others: tuple[OpenWindow, ...]


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        key: Name.
        heading: Heading.
        tip: Explanation.
        text: Returns the text of a cell.
        value: Returns what it is sorted by; numbers before texts.
        width: Width at first, pixels.
        narrow: True if the narrow list beside the picture shows it, too.
        number: True to align it to the right.
    """

    key: str
    heading: str
    tip: str
    text: Callable[[Shown], str]
    value: Callable[[Shown], Value]
    width: int = 70
    narrow: bool = False
    number: bool = False


def _number(key: str, heading: str, tip: str, value: Callable[[WorklistRow], int]) -> Column:
    return Column(
        key, heading, tip, lambda shown: str(value(shown.row)), lambda shown: float(value(shown.row)), 66, number=True
    )


def _words(key: str, heading: str, tip: str, text: Callable[[Shown], str], width: int = 90) -> Column:
    return Column(key, heading, tip, text, lambda shown: text(shown).casefold(), width)


def progress_text(row: WorklistRow) -> str:
    """Return how many frames of interest are complete."""
    return f"{row.frames_complete} / {row.frames_of_interest}"


def finished_text(row: WorklistRow) -> str:
    """Return whether a clip is finished, and who declared it."""
    if row.finished_by is not None:
        return f"by {row.finished_by}"
    return "all accepted" if row.complete else ""


def touched_text(row: WorklistRow) -> str:
    """Return when the clip was changed last, in local time, and by whom."""
    if row.touched_at is None:
        return ""
    who = row.touched_by if row.touched_by_person else "program"
    return f"{row.touched_at.astimezone():%Y-%m-%d %H:%M}, {who}"


def open_text(shown: Shown) -> str:
    """Return where the clip is open."""
    names = (["here"] if shown.is_open else []) + [f"{one.author} ({one.host})" for one in shown.others]
    return ", ".join(names)


def _doubtful_text(shown: Shown) -> str:
    return "..." if shown.doubtful is None else str(shown.doubtful)


def _touched(shown: Shown) -> float:
    return (shown.row.touched_at or datetime(1970, 1, 1, tzinfo=UTC)).timestamp()


FACINGS = {"left": "left", "right": "right", "unknown": "?"}

COLUMNS: tuple[Column, ...] = (
    Column(
        "name",
        "Clip",
        "File name of the recording; double click or Return opens it",
        lambda shown: shown.row.name,
        lambda shown: shown.row.name.casefold(),
        230,
        narrow=True,
    ),
    _words("case", "Case id", "Pseudonym of the patient", lambda shown: shown.row.case, 100),
    _words("assigned", "Annotator", "Who works on the clip", lambda shown: shown.row.assigned_to or ""),
    Column(
        "progress",
        "Complete",
        "Frames on which every structure is accepted, empty or not visible, of the frames within marked swallows; "
        "of all frames where no swallow is marked",
        lambda shown: progress_text(shown.row),
        lambda shown: shown.row.progress,
        130,
        narrow=True,
    ),
    _words("finished", "Finished", "Complete, or declared finished by a person", lambda s: finished_text(s.row), 92),
    _number("frames", "Frames", "Number of frames", lambda row: row.n_frames),
    _number("swallows", "Swallows", "Number of marked swallows", lambda row: row.swallows),
    _number("proposed", "Proposed", "Masks that wait for a person", lambda row: row.proposed),
    Column(
        "doubtful",
        "Doubtful",
        "Proposed masks in which the student has little confidence",
        _doubtful_text,
        lambda shown: -1.0 if shown.doubtful is None else float(shown.doubtful),
        66,
        number=True,
    ),
    _number("edited", "Edited", "Masks that a person changed, not accepted yet", lambda row: row.edited),
    _number("accepted", "Accepted", "Masks that are accepted, empty or not visible", lambda row: row.final),
    _number("unseen", "No mask", "Structures on frames without any mask", lambda row: row.unseen),
    _words("pixels", "Pixels", "Whether a person checked the pictures for names", lambda s: _reviewed(s.row), 76),
    _words("facing", "Facing", "Side to which the patient looks", lambda s: FACINGS[s.row.facing], 62),
    Column("touched", "Last change", "When and by whom", lambda s: touched_text(s.row), _touched, 170),
    _words("open", "Open", "Windows that have the clip open", open_text, 110),
)
"""All columns, in order. A fact more is a column more: see `WorklistRow` for what a row knows."""


def _reviewed(row: WorklistRow) -> str:
    return "checked" if row.reviewed else ""
