# SPDX-License-Identifier: Apache-2.0
"""Write the documents of a dataset: README.txt, DATASHEET.md (Gebru et al., "Datasheets for Datasets"), SHA256SUMS."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vfss.datasets.event_table import CSV, JSON, event_meaning
from vfss.datasets.format import Format
from vfss.output import NOTICE
from vfss.output.partial_folder import MARK
from vfss.wording import sentences

SUMS = "SHA256SUMS"
_TO_FILL_IN = "*To be filled in by whoever publishes the dataset.*"


def write_documents(folder: Path, dataset_format: Format, manifest: Mapping[str, Any]) -> None:
    """Write README.txt, DATASHEET.md and, last, the checksums of all files of the dataset."""
    lost = [f"- {sentence}" for sentence in dataset_format.losses]
    readme = [
        f"{dataset_format.title}, {manifest['frames']} frames, exported by napari-vfss {manifest['tool_version']}.",
        f"Licence: {manifest['licence']}.",
        *(["", *manifest["remarks"]] if manifest["remarks"] else []),
        *(["", "What this format cannot express:", *lost] if lost else []),
        "",
        NOTICE,
        "",
        f"`sha256sum -c {SUMS}` checks that all files are intact.",
    ]
    (folder / "README.txt").write_text("\n".join(readme) + "\n", "utf-8")
    (folder / "DATASHEET.md").write_text(datasheet(dataset_format.title, manifest), "utf-8")
    _write_sums(folder)


def datasheet(title: str, manifest: Mapping[str, Any]) -> str:
    """Return the datasheet in Markdown: known facts are filled in, the others are left to whoever publishes it."""
    splits = {split: len(patients) for split, patients in manifest["splits"].items()}
    counts = [f"| {key} | {planes} |" for key, planes in manifest["planes"].items()]
    schema = manifest["schema"]
    sections = {
        "Motivation": _TO_FILL_IN + " What was it made for, by whom, with whose funding?",
        "Composition": "\n".join(
            [
                "Frames of videofluoroscopic swallowing studies with a mask per structure:",
                f"{manifest['frames']} frames of {len(manifest['clips'])} recordings,",
                f"patients: {sum(splits.values())}; format: {title}; structures: {schema['id']} {schema['version']}.",
                "",
                "| structure | masks confirmed by a person |",
                "|---|---|",
                *counts,
                "",
                "Masks overlap where structures do. A structure without a mask is empty, not visible, or not",
                "annotated: its state distinguishes these cases.",
                *_events(manifest["events"]),
                *(["", *manifest["remarks"]] if manifest["remarks"] else []),
                *_listed("Left out of the dataset", manifest["left_out"]),
                *_listed("Lost in this format", manifest["lost"]),
            ]
        ),
        "Collection": "\n".join(
            [
                _TO_FILL_IN + " Which equipment and protocol; consent and ethics approval.",
                *_noticed(manifest["clips"]),
            ]
        ),
        "Preprocessing and labelling": "\n".join(
            [
                f"Annotators: {', '.join(manifest['authors']) or 'none'}. Students whose proposals were corrected: "
                f"{', '.join(manifest['students']) or 'none'}.",
                f"States that count as annotation: {', '.join(manifest['written_states'])}.",
            ]
        ),
        "Splits": "By patient, fixed once assigned: " + ", ".join(f"{name} {n}" for name, n in splits.items()) + ".",
        "Uses": NOTICE,
        "Distribution": f"Licence: {manifest['licence']}.",
        "Maintenance": _TO_FILL_IN + " Whom to contact, where corrections are published.",
    }
    return "# Datasheet\n\n" + "\n\n".join(f"## {head}\n\n{text}" for head, text in sections.items()) + "\n"


def _events(counts: Mapping[str, int]) -> list[str]:
    """Return the table of events by kind."""
    if not counts:
        return ["", f"Nobody marked events or swallows ({CSV} is empty)."]
    rows = [f"| {kind} | {event_meaning(kind)} | {n} |" for kind, n in counts.items()]
    about = f"Events and swallows that people marked are in {CSV} and {JSON}, with frame, time, who says the times, and"
    return ["", about, "who marked them:", "", "| kind | definition | number |", "|---|---|---|", *rows]


def _noticed(clips: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return what was noticed when the recordings were opened."""
    notes = [f"- {name}: {sentences([note])}" for name, clip in clips.items() for note in clip["notes"]]
    return ["", "Noticed when the recordings were opened:", "", *notes] if notes else []


def _listed(title: str, counts: Mapping[str, int]) -> list[str]:
    return ["", f"{title}:", "", *(f"- {reason}: {count}" for reason, count in counts.items())] if counts else []


def _write_sums(folder: Path) -> None:
    with (folder / SUMS).open("w", encoding="utf-8") as sums:
        for parent, folders, names in os.walk(folder):
            folders[:] = sorted(name for name in folders if name != MARK)
            for name in sorted(names):  # one folder at a time, since a dataset may have very many files
                path = Path(parent, name)
                if path != folder / SUMS:
                    with path.open("rb") as file:
                        digest = hashlib.file_digest(file, "sha256").hexdigest()
                    sums.write(f"{digest}  {path.relative_to(folder).as_posix()}\n")
