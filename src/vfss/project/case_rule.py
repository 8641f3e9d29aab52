# SPDX-License-Identifier: Apache-2.0
"""The rule that makes case ids: from the DICOM Patient ID, the name of the folder, or the name of the file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from vfss.clips.patient_id import read_patient_id
from vfss.errors import ProjectError
from vfss.project.database import Database
from vfss.project.view_state import Recollections

Source = Literal["dicom", "folder", "file"]

FIRST_PART = r"[^_\-\s]+"
"""Pattern of what stands before the first "_", "-" or space: P01 of P01_thin_01."""
WORD_AND_NUMBER = r"[A-Za-z]*[_\- ]?\d+"
"""Pattern of a word and the number behind it: case_7 of case_7_thin."""
WHOLE = r".+"

_KEPT_BY, _KEY = "project", "case rule"
_LONGEST = 100  # characters of a case id


@dataclass(frozen=True)
class RecordingNames:
    """What a rule may take the case id of a recording from.

    Attributes:
        file: Name of the file without its suffix, or of the folder of pictures.
        folder: Name of the folder that holds it.
        dicom: Patient ID of a DICOM recording; None where there is none.
    """

    file: str
    folder: str
    dicom: str | None = None


def recording_names(path: Path) -> RecordingNames:
    """Read the names of a recording; a file that cannot be read has no Patient ID."""
    path = path.absolute()
    return RecordingNames(path.name if path.is_dir() else path.stem, path.parent.name, read_patient_id(path))


@dataclass(frozen=True)
class CaseRule:
    """Where the case id of a recording is taken from, and which part of it.

    Attributes:
        source: "dicom" for the Patient ID, "folder" or "file" for the name.
        pattern: Regular expression; what it finds first is the id, or its first group if it has one.

    Raises:
        ProjectError: The pattern is no regular expression.
    """

    source: Source
    pattern: str = WHOLE

    def __post_init__(self) -> None:
        if self.source not in get_args(Source):
            raise ProjectError(f"unknown source {self.source!r} of case ids", remedy="It is dicom, folder or file.")
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ProjectError(
                f"{self.pattern!r} is no regular expression ({error})",
                remedy="Write one that finds the case id, e.g. P\\d+ for P01 of P01_thin_01.",
            ) from error

    def case_of(self, names: RecordingNames) -> str | None:
        """Return the case id of a recording; None where the rule finds none."""
        text = getattr(names, self.source)
        match = None if text is None else re.search(self.pattern, text)
        if match is None:
            return None
        case: str = (match.group(1) if match.re.groups else match.group()) or ""
        return case.strip()[:_LONGEST] or None


_GUESSES = (
    CaseRule("dicom"),
    CaseRule("folder"),
    CaseRule("folder", FIRST_PART),
    CaseRule("file", FIRST_PART),
    CaseRule("file", WORD_AND_NUMBER),
    CaseRule("file"),
)


def guess_rule(recordings: Sequence[RecordingNames]) -> CaseRule:
    """Return the rule that fits recordings best.

    A rule that names all of them is better than one that does not; then one with several cases, some of which have more
    than one recording; then one that tells recordings apart at all. Of equal ones Patient IDs come before folders and
    folders before files.

    Args:
        recordings: Names of the recordings; of none nothing can be guessed, and the first part of file names is taken.
    """

    def rank(rule: CaseRule) -> tuple[int, bool, bool]:
        cases = [rule.case_of(names) for names in recordings]
        named = {case for case in cases if case is not None}
        shared = 1 < len(named) < len(recordings)
        return len(recordings) - cases.count(None), shared, len(named) > 1

    if len(recordings) < 2:  # one folder or one file tells nothing about the others
        has_id = bool(recordings) and recordings[0].dicom is not None
        return CaseRule("dicom") if has_id else CaseRule("file", FIRST_PART)
    return max(_GUESSES, key=rank)  # the first of equal ones


class CaseRules:
    """Keeps the rule of a project."""

    def __init__(self, database: Database) -> None:
        """Keep it in a database."""
        self._recollections = Recollections(database)

    def get(self) -> CaseRule | None:
        """Return the rule that a person chose; None without one."""
        kept: Any = self._recollections.recall(_KEPT_BY, _KEY)
        if not isinstance(kept, dict) or kept.get("source") not in get_args(Source):
            return None
        try:
            return CaseRule(kept["source"], str(kept.get("pattern", WHOLE)))
        except ProjectError:  # written by another program: as if no rule were kept
            return None

    def choose(self, rule: CaseRule) -> None:
        """Keep a rule, by which clips get their first case id from now on; a person confirms each of them."""
        self._recollections.remember(_KEPT_BY, _KEY, asdict(rule))
