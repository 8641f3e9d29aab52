# SPDX-License-Identifier: Apache-2.0
"""nnU-Net v2: DatasetNNN_<name> for nnUNet_raw, with splits_final.json by patient and an ignore label.

Frames are 2D PNG cases, 8 or 16 bits, which nnU-Net reads with its NaturalImage2DIO. Frames of training and validation
patients are imagesTr and labelsTr, those of test patients imagesTs and labelsTs.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vfss.datasets.dataset import Fields
from vfss.datasets.files import stem
from vfss.datasets.format import Format, FrameWriter, Job, Row
from vfss.datasets.formats.nnunet_labels import Labels, LabelTable, PriorityLabels, RegionLabels
from vfss.datasets.options import stacking_order
from vfss.datasets.selection import AnnotatedFrame
from vfss.datasets.sidecar import write_sidecar
from vfss.errors import DatasetError
from vfss.masks import MaskState
from vfss.output.json_files import to_json
from vfss.output.partial_folder import MARK
from vfss.output.png_files import write_png

_FOLDS = 5
_NUMBER = 501
_HIDDEN = "structures not visible on a frame, written as background"
_UNKNOWN = "structures not annotated on a frame, whose background is 'ignore' for all structures"


class NnunetWriter(FrameWriter):
    """Writes pictures and labels frame by frame, and the files about all frames at the end."""

    def __init__(self, job: Job) -> None:
        self._out = job.folder
        self._name = dataset_name(job.options.name)
        self._folder = job.folder / self._name
        self._order = stacking_order(job.schema, job.options.priority)
        self._overlaps = job.options.overlaps
        for kind in ("images", "labels"):
            for side in ("Tr", "Ts"):
                (self._folder / f"{kind}{side}").mkdir(parents=True, exist_ok=True)
        self._labels = self._create_labels()

    def _create_labels(self) -> Labels:
        if self._overlaps == "priority":
            return PriorityLabels(self._folder, self._order)
        if self._overlaps == "regions":
            return RegionLabels(self._folder, self._order, self._out / MARK / "labels")
        raise DatasetError(
            f"the option overlaps is {self._overlaps!r}", path=self._out, remedy='Use "priority" or "regions".'
        )

    def add(self, frame: AnnotatedFrame, fields: Fields, lost: Counter[str]) -> dict[str, Any]:
        """See Writer.add."""
        case = stem(fields)
        side = "Ts" if fields["split"] == "test" else "Tr"
        picture, label = f"images{side}/{case}_0000.png", f"labels{side}/{case}.png"
        write_png(self._folder / picture, frame.pixels)
        hidden = ~frame.written & (frame.masks.state == MaskState.NOT_VISIBLE)
        unknown = ~frame.written & ~hidden
        for reason, which in ((_HIDDEN, hidden), (_UNKNOWN, unknown)):
            if which.any():
                lost[reason] += int(np.count_nonzero(which))
        entry = self._labels.add(label, frame, bool(unknown.any()), lost)
        return {"case": case, "file_name": picture, "label": label, **entry}

    def finish(self, manifest: dict[str, Any], rows: Iterable[Row]) -> None:
        """See Writer.finish."""
        table = self._labels.finish(rows)
        frames = Counter(row.fields["patient"] for row in training(rows))
        held_back = folds(manifest["splits"], frames)
        order = [structure.key for structure in self._order]
        head = {
            "name": self._name,
            "description": manifest["notice"],
            "licence": manifest["licence"],
            "channel_names": {"0": "videofluoroscopy"},
            "labels": table.labels,
            **({} if table.regions_class_order is None else {"regions_class_order": table.regions_class_order}),
            "overlaps": self._overlaps,
            "order_on_top": order,
            "numTraining": frames.total(),
            "file_ending": ".png",
            "overwrite_image_reader_writer": "NaturalImage2DIO",
        }
        write_dataset_json(self._folder / "dataset.json", head, rows)
        if held_back:
            write_splits(self._folder / "splits_final.json", held_back, rows)
        own_split = bool(manifest["splits"]["validation"] and manifest["splits"]["train"])
        (self._folder / "README.md").write_text(readme(self._name, table, order, len(held_back), own_split), "utf-8")
        write_sidecar(self._out, manifest, (self._sidecar_row(row) for row in rows))

    def _sidecar_row(self, row: Row) -> Row:
        """Return the row of the sidecar, with paths relative to the dataset."""
        paths = {name: f"{self._name}/{row.entry[name]}" for name in ("file_name", "label")}
        return Row(row.fields, {"case": row.entry["case"], **paths})


def dataset_name(name: str) -> str:
    """Return DatasetNNN_<name>, as nnU-Net requires; "Dataset042_Swallow" is kept, otherwise the number is 501."""
    complete = re.fullmatch(r"Dataset\d{3}_\w+", name, re.ASCII)
    return name if complete else f"Dataset{_NUMBER}_{re.sub(r'[^A-Za-z0-9]', '', name) or 'VFSS'}"


def training(rows: Iterable[Row]) -> Iterator[Row]:
    """Yield the frames that nnU-Net may train or validate on, not those of test patients."""
    return (row for row in rows if row.fields["split"] != "test")


def folds(splits: Mapping[str, Sequence[str]], frames: Mapping[str, int]) -> list[frozenset[str]]:
    """Return the patients that each fold holds back.

    The first fold is the split of the project. The others distribute its training patients, with frames as even as
    possible. Without patients on one of the two sides, all patients are distributed.

    Args:
        splits: Patients by split.
        frames: Frames of each patient.

    Returns:
        Two to five folds; none if there is only one patient, who cannot be on both sides.
    """
    own, train = splits["validation"], splits["train"]
    groups = (
        [frozenset(own), *_distributed(train, _FOLDS - 1, frames)]
        if own and train
        else _distributed([*own, *train], _FOLDS, frames)
    )
    return groups if len(groups) > 1 else []


def _distributed(patients: Sequence[str], n_groups: int, frames: Mapping[str, int]) -> list[frozenset[str]]:
    groups: list[list[str]] = [[] for _ in range(min(n_groups, len(patients)))]
    loads = Counter({number: 0 for number in range(len(groups))})
    for patient in sorted(patients, key=lambda patient: (-frames[patient], patient)):
        lightest = min(loads, key=lambda number: (loads[number], number))
        groups[lightest].append(patient)
        loads[lightest] += frames[patient]
    return [frozenset(group) for group in groups]


def write_dataset_json(path: Path, head: Mapping[str, Any], rows: Iterable[Row]) -> None:
    """Write `head` and the list of training cases.

    nnU-Net also finds cases by file name, but compares every name with every other: too slow with 100,000 frames.
    """
    with path.open("w", encoding="utf-8") as file:
        file.write(to_json(head)[:-1] + ', "dataset": {')
        for i, row in enumerate(training(rows)):
            entry = row.entry
            case = {"images": [entry["file_name"]], "label": entry["label"]}
            file.write((", " if i else "") + f"{to_json(entry['case'])}: {to_json(case)}")
        file.write("}}\n")


def write_splits(path: Path, held_back: Sequence[Collection[str]], rows: Iterable[Row]) -> None:
    """Write splits_final.json: training cases and validation cases of every fold."""
    with path.open("w", encoding="utf-8") as file:
        for number, patients in enumerate(held_back):
            file.write(', {"train": [' if number else '[{"train": [')
            file.writelines(_cases(row for row in training(rows) if row.fields["patient"] not in patients))
            file.write('], "val": [')
            file.writelines(_cases(row for row in training(rows) if row.fields["patient"] in patients))
            file.write("]}")
        file.write("]\n")


def _cases(rows: Iterable[Row]) -> Iterator[str]:
    return ((", " if i else "") + to_json(row.entry["case"]) for i, row in enumerate(rows))


def readme(name: str, table: LabelTable, order: Sequence[str], n_folds: int, own_split: bool) -> str:
    """Return README.md of the folder for nnUNet_raw."""
    number = int(name[7:10])
    unknown = [
        "",
        '"ignore" marks pixels that nobody annotated. Inside an annotated structure, those not annotated',
        "on that frame count as absent: nnU-Net has one ignore label, not one per structure.",
    ]
    return "\n".join(
        [
            f"# {name}",
            "",
            f"    ln -s $PWD/{name} $nnUNet_raw/",
            f"    nnUNetv2_plan_and_preprocess -d {number} -c 2d --verify_dataset_integrity",
            f"    nnUNetv2_train {number} 2d {0 if n_folds else 'all'}",
            "",
            f"If the number {number} is in use, rename the folder to any other three digits.",
            "",
            *_describe_splits(name, n_folds, own_split),
            "",
            *_describe_overlaps(table, order),
            *(unknown if "ignore" in table.labels else []),
            "",
            "Frames of test patients are in imagesTs and labelsTs. manifest.json and frames.jsonl next to this folder",
            "list who annotated what, when, and the state of each structure on each frame.",
            "",
        ]
    )


def _describe_overlaps(table: LabelTable, order: Sequence[str]) -> list[str]:
    if table.regions_class_order is None:
        return [
            "Structures overlap, labels cannot: a pixel has the label of the first of these structures that covers it:",
            f"{', '.join(order)}.",
        ]
    return [
        "Structures overlap: every combination has a label, and a structure is the region of all labels that contain",
        "it, so nnU-Net trains and predicts each structure completely. Where a prediction has to be one label image,",
        f"the first of these is on top: {', '.join(order)}.",
    ]


def _describe_splits(name: str, n_folds: int, own_split: bool) -> list[str]:
    if not n_folds:
        return [
            "There is no splits_final.json: one patient cannot be on both sides. Train with fold `all`; folds made by",
            "nnU-Net itself would have frames of that patient on both sides.",
        ]
    first = " Fold 0 is the split of the exported project." if own_split else ""
    return [
        f"splits_final.json has {n_folds} folds by patient.{first} nnU-Net 2.8 reads it while planning; older versions",
        f"need it in $nnUNet_preprocessed/{name}/ before training. Folds made by nnU-Net itself have frames of one",
        f"patient on both sides, and so has a fold above {n_folds - 1}.",
    ]


NNUNET = Format(
    "nnunet",
    "nnU-Net v2",
    NnunetWriter,
    ("DatasetNNN_NAME/: folder for nnUNet_raw; imagesTr, labelsTr (imagesTs, labelsTs to test), folds by patient",),
    losses=(
        "One label per pixel: where structures overlap, it is that of the first in the order (not in region mode).",
        "Structures that are not visible are written as background.",
        "One 'ignore' for all structures: inside an annotated structure, those not annotated count as absent.",
        "Authors, times and states are in frames.jsonl only.",
    ),
    reads=True,
)
