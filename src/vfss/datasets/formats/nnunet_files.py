# SPDX-License-Identifier: Apache-2.0
"""What lies beside the pictures of an nnU-Net dataset: dataset.json, splits_final.json, and how to begin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vfss.datasets.format import Row
from vfss.datasets.formats.nnunet_labels import Meaning
from vfss.output.json_files import to_json

_FOLDS = 5


def write_dataset_json(path: Path, head: Mapping[str, Any], rows: Iterable[Row]) -> None:
    """Write `head` and the list of training cases.

    nnU-Net finds cases by file name too, but compares every name with every other: hopeless with 100,000 frames.
    """
    with path.open("w", encoding="utf-8") as file:
        file.write(to_json(head)[:-1] + ', "dataset": {')
        for i, row in enumerate(training(rows)):
            kept = row.kept
            case = {"images": [kept["file_name"]], "label": kept["label"]}
            file.write((", " if i else "") + f"{to_json(kept['case'])}: {to_json(case)}")
        file.write("}}\n")


def training(rows: Iterable[Row]) -> Iterator[Row]:
    """Frames that nnU-Net may learn from or choose by, not those of test patients."""
    return (row for row in rows if row.fields["split"] != "test")


def folds(splits: Mapping[str, Sequence[str]], frames: Mapping[str, int]) -> list[frozenset[str]]:
    """Patients that each fold holds back.

    The first fold is the split of the project. The others deal out its training patients, frames as even as may be.
    Without patients on one of the two sides, all that there are are dealt out.

    Args:
        splits: Patients by split.
        frames: Frames of each patient.

    Returns:
        Five at most, two at least; none where there is one patient only, who cannot be on both sides.
    """
    own, train = splits["validation"], splits["train"]
    groups = (
        [frozenset(own), *_dealt(train, _FOLDS - 1, frames)] if own and train else _dealt([*own, *train], 5, frames)
    )
    return groups if len(groups) > 1 else []


def _dealt(patients: Sequence[str], most: int, frames: Mapping[str, int]) -> list[frozenset[str]]:
    groups: list[list[str]] = [[] for _ in range(min(most, len(patients)))]
    loads = Counter({number: 0 for number in range(len(groups))})
    for patient in sorted(patients, key=lambda one: (-frames[one], one)):
        lightest = min(loads, key=lambda number: (loads[number], number))
        groups[lightest].append(patient)
        loads[lightest] += frames[patient]
    return [frozenset(group) for group in groups]


def write_splits(path: Path, held_back: Sequence[Collection[str]], rows: Iterable[Row]) -> None:
    """Write splits_final.json: cases to learn from and cases held back, for every fold."""
    with path.open("w", encoding="utf-8") as file:
        for number, patients in enumerate(held_back):
            file.write(', {"train": [' if number else '[{"train": [')
            file.writelines(_cases(row for row in training(rows) if row.fields["patient"] not in patients))
            file.write('], "val": [')
            file.writelines(_cases(row for row in training(rows) if row.fields["patient"] in patients))
            file.write("]}")
        file.write("]\n")


def _cases(rows: Iterable[Row]) -> Iterator[str]:
    return ((", " if i else "") + to_json(row.kept["case"]) for i, row in enumerate(rows))


def how_to_begin(name: str, meaning: Meaning, order: Sequence[str], n_folds: int, own_split: bool) -> str:
    """README.md of the folder that goes to nnUNet_raw."""
    number = int(name[7:10])
    overlaps = (
        [
            "Structures overlap, labels cannot: a pixel has the label of the first of these that lies there:",
            f"{', '.join(order)}.",
        ]
        if meaning.regions_class_order is None
        else [
            "Structures overlap: every combination has a label, and a structure is the region of all labels that have",
            "it, so nnU-Net trains and predicts each structure whole. Where a prediction has to be one label image,",
            f"the first of these is on top: {', '.join(order)}.",
        ]
    )
    unknown = [
        "",
        '"ignore" lies where nobody said what is there. Inside of a structure that was annotated, structures that were',
        "not annotated on that frame count as absent: nnU-Net has one ignore label, not one per structure.",
    ]
    return "\n".join(
        [
            f"# {name}",
            "",
            f"    ln -s $PWD/{name} $nnUNet_raw/",
            f"    nnUNetv2_plan_and_preprocess -d {number} -c 2d --verify_dataset_integrity",
            f"    nnUNetv2_train {number} 2d {0 if n_folds else 'all'}",
            "",
            f"Where {number} is taken, rename the folder: any other three figures do.",
            "",
            *_splits_said(name, n_folds, own_split),
            "",
            *overlaps,
            *(unknown if "ignore" in meaning.labels else []),
            "",
            "Frames of test patients are in imagesTs and labelsTs. manifest.json and frames.jsonl beside this folder",
            "say who annotated what, when, and what stands for each structure on each frame.",
            "",
        ]
    )


def _splits_said(name: str, n_folds: int, own_split: bool) -> list[str]:
    if not n_folds:
        return [
            "There is no splits_final.json: one patient cannot be on both sides. Train with fold `all`; folds that",
            "nnU-Net makes itself would have frames of that patient on both sides.",
        ]
    first = " Fold 0 is the split of the project that this was exported from." if own_split else ""
    return [
        f"splits_final.json has {n_folds} folds by patient.{first} nnU-Net 2.8 takes it over while it plans; an older",
        f"one wants it in $nnUNet_preprocessed/{name}/ before training. Folds that nnU-Net makes itself have frames of",
        f"one patient on both sides, and so has a fold above {n_folds - 1}.",
    ]
