# SPDX-License-Identifier: Apache-2.0
"""nnU-Net v2: DatasetNNN_<name> as it goes to nnUNet_raw, with splits_final.json by patient and an ignore label.

Frames are 2D PNG cases, 8 or 16 bits, which nnU-Net reads with its NaturalImage2DIO. Frames of training and validation
patients are imagesTr and labelsTr, those of test patients imagesTs and labelsTs.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

import imageio.v3 as iio
import numpy as np

from vfss.datasets.dataset import Fields
from vfss.datasets.files import order_on_top
from vfss.datasets.format import Format, FrameWriter, Job, Row
from vfss.datasets.formats.nnunet_files import folds, how_to_begin, training, write_dataset_json, write_splits
from vfss.datasets.formats.nnunet_labels import Labels, PriorityLabels, RegionLabels
from vfss.datasets.pictures import stem
from vfss.datasets.selection import AnnotatedFrame
from vfss.datasets.sidecar import write_sidecar
from vfss.errors import DatasetError
from vfss.masks import MaskState
from vfss.output.partial_folder import MARK

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
