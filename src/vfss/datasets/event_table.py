# SPDX-License-Identifier: Apache-2.0
"""Events and swallows that people marked, for every format: events.csv, and events.json with their definitions.

What a person typed to describe an event may name a patient: it is written only if the options ask for it.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vfss.clips import Clip
from vfss.datasets.identities import Identities, Identity
from vfss.datasets.options import ExportOptions
from vfss.events import BY_KEY, FREE, SWALLOW
from vfss.output.json_files import write_json
from vfss.project import Project
from vfss.project.records import RECORDING, Mark

CSV, JSON = "events.csv", "events.json"
OTHER = "other"
"""Kind in exports of events whose kind this version does not know: the name can be a person's own words."""

_MEANINGS = {
    SWALLOW: "One swallow: its first and last frame, both inclusive",
    FREE: "Something else that a person described in words",
    OTHER: "An event of a kind that this version does not know",
    **{event.key: f"{event.name}: {event.meaning}" for event in BY_KEY.values()},
}
_COLUMNS = {
    "clip": "name of the recording",
    "patient": "pseudonym",
    "kind": "key of a definition",
    "frame": "zero-based frame; of a swallow its first",
    "last_frame": "last frame of a swallow, if it is set",
    "time_s": "seconds from the recording's first frame",
    "last_time_s": "the same of the last frame",
    "times_from": "who says so: file, person, or assumed by nobody",
    "by": "who set the present version",
    "set": "when that was",
    "version": "number of times it was set or changed",
    "text": "what a person typed about it; empty unless the export was asked for it",
}


def event_rows(
    project: Project, identities: Identities, options: ExportOptions, identity: Identity, clip: Clip
) -> list[dict[str, Any]]:
    """Return the present events and swallows of a recording, by frame, as plain data with the columns of the table."""
    versions = Counter(mark.mark for mark in project.marks.history(identity.record.id))
    return [
        {
            "clip": identity.recording,
            "patient": identity.case,
            "kind": mark.kind if mark.kind in _MEANINGS else OTHER,
            "frame": mark.first,
            "last_frame": mark.last,
            "time_s": _time_s(clip, mark.first),
            "last_time_s": _time_s(clip, mark.last),
            "times_from": clip.times_from,
            "by": identities.author(mark.author) if is_set_by_person(mark) else None,
            "set": mark.time.isoformat() if mark.time is not None and is_set_by_person(mark) else None,
            "version": max(1, versions[mark.mark]),
            "text": mark.text if options.event_text else "",
        }
        for mark in project.marks.of(identity.record.id)
    ]


def _time_s(clip: Clip, frame: int | None) -> float | None:
    return float(clip.times_s[frame]) if frame is not None and frame < clip.n_frames else None


def is_set_by_person(mark: Mark) -> bool:
    """Return False for a swallow that came with the recording."""
    return mark.author not in ("", RECORDING)


def event_counts(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return the number of events by kind."""
    return dict(sorted(Counter(row["kind"] for row in rows).items()))


def event_meaning(kind: str) -> str:
    """Return the definition of a kind in exports."""
    return _MEANINGS[kind]


def write_events(folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write both files, also where nobody marked anything."""
    with (folder / CSV).open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, _COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    definitions = {kind: _MEANINGS[kind] for kind in event_counts(rows)}
    write_json(folder / JSON, {"columns": _COLUMNS, "definitions": definitions}, events=rows)
