# SPDX-License-Identifier: Apache-2.0
"""nnU-Net v2: DatasetNNN_<name> as it goes to nnUNet_raw, with splits_final.json by patient and an ignore label.

Frames are 2D PNG cases, 8 or 16 bits, which nnU-Net reads with its NaturalImage2DIO. Frames of training and validation
patients are imagesTr and labelsTr, those of test patients imagesTs and labelsTs.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np

from vfss.datasets.dataset import Fields
from vfss.datasets.files import order_on_top, stem
from vfss.datasets.format import Format, FrameWriter, Job, Row
from vfss.datasets.formats.nnunet_labels import Labels, Meaning, PriorityLabels, RegionLabels
from vfss.datasets.selection import AnnotatedFrame
from vfss.datasets.sidecar import write_sidecar
from vfss.errors import DatasetError
from vfss.masks import MaskState
from vfss.output.json_files import to_json
from vfss.output.partial_folder import MARK

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


_NUMBER = 501
_HIDDEN = "structures that cannot be seen on a frame, written as background"
_UNKNOWN = "structures not annotated on a frame, whose background is 'ignore' for all structures"


class NnunetWriter(FrameWriter):
    """Pictures and labels as they come; what speaks of all frames at the end."""

    def __init__(self, job: Job) -> None:
        self._out = job.folder
        self._name = dataset_name(job.options.name)
        self._folder = job.folder / self._name
        self._order = order_on_top(job.schema, job.options.priority)
        self._overlaps = job.options.overlaps
        for kind in ("images", "labels"):
            for side in ("Tr", "Ts"):
                (self._folder / f"{kind}{side}").mkdir(parents=True, exist_ok=True)
        self._labels = self._way_to_labels()

    def _way_to_labels(self) -> Labels:
        if self._overlaps == "priority":
            return PriorityLabels(self._folder, self._order)
        if self._overlaps == "regions":
            return RegionLabels(self._folder, self._order, self._out / MARK / "labels")
        raise DatasetError(f"overlaps are {self._overlaps!r}", path=self._out, remedy='Say "priority" or "regions".')

    def add(self, frame: AnnotatedFrame, fields: Fields, lost: Counter[str]) -> dict[str, Any]:
        """See Writer.add."""
        case = stem(fields)
        side = "Ts" if fields["split"] == "test" else "Tr"
        picture, label = f"images{side}/{case}_0000.png", f"labels{side}/{case}.png"
        iio.imwrite(self._folder / picture, frame.pixels, extension=".png")
        hidden = ~frame.written & (frame.masks.state == MaskState.NOT_VISIBLE)
        unknown = ~frame.written & ~hidden
        for reason, which in ((_HIDDEN, hidden), (_UNKNOWN, unknown)):
            if which.any():
                lost[reason] += int(np.count_nonzero(which))
        kept = self._labels.add(label, frame, bool(unknown.any()), lost)
        return {"case": case, "file_name": picture, "label": label, **kept}

    def finish(self, manifest: dict[str, Any], rows: Iterable[Row]) -> None:
        """See Writer.finish."""
        meaning = self._labels.finish(rows)
        frames = Counter(row.fields["patient"] for row in training(rows))
        held_back = folds(manifest["splits"], frames)
        order = [structure.key for structure in self._order]
        head = {
            "name": self._name,
            "description": manifest["notice"],
            "licence": manifest["licence"],
            "channel_names": {"0": "videofluoroscopy"},
            "labels": meaning.labels,
            **({} if meaning.regions_class_order is None else {"regions_class_order": meaning.regions_class_order}),
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
        readme = how_to_begin(self._name, meaning, order, len(held_back), own_split)
        (self._folder / "README.md").write_text(readme, "utf-8")
        write_sidecar(self._out, manifest, (self._said(row) for row in rows))

    def _said(self, row: Row) -> Row:
        """What the sidecar says of a frame: paths in the dataset."""
        paths = {name: f"{self._name}/{row.kept[name]}" for name in ("file_name", "label")}
        return Row(row.fields, {"case": row.kept["case"], **paths})


def dataset_name(name: str) -> str:
    """DatasetNNN_<name>, as nnU-Net wants it; "Dataset042_Swallow" is taken as it is, else the number is 501."""
    whole = re.fullmatch(r"Dataset\d{3}_\w+", name, re.ASCII)
    return name if whole else f"Dataset{_NUMBER}_{re.sub(r'[^A-Za-z0-9]', '', name) or 'VFSS'}"


NNUNET = Format(
    "nnunet",
    "nnU-Net v2",
    NnunetWriter,
    ("DatasetNNN_NAME/: goes to nnUNet_raw; imagesTr, labelsTr (imagesTs, labelsTs to test), folds by patient",),
    loses=(
        "One label a pixel: where structures overlap, the first in the order has it (in region mode nothing is lost).",
        "What cannot be seen is written as background.",
        "One 'ignore' for all structures: inside of an annotated structure, those not annotated count as absent.",
        "Authors, times and states stand in frames.jsonl only.",
    ),
)
