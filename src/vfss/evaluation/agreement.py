# SPDX-License-Identifier: Apache-2.0
"""Compare two readers on everything that both have finished, frame by frame; write the figures as JSON or CSV."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from vfss.errors import DatasetError, MaskError, ProjectError
from vfss.evaluation.agreement_statistics import HEADINGS, Agreement, Comparison, StructureAgreement, cells, summarise
from vfss.masks import BoolArray, MaskState
from vfss.masks.metrics import dice, hd95
from vfss.project import ClipRecord, Project, Revision
from vfss.project.second_reading_record import Reading

__all__ = ["HEADINGS", "Agreement", "Comparison", "agree", "cells", "compare", "expect_finished", "write_agreement"]

FINISHED = (MaskState.ACCEPTED, MaskState.EMPTY, MaskState.NOT_VISIBLE)


def agree(
    project: Project, reading: Reading, *, progress: Callable[[int, int], bool] | None = None
) -> Agreement | None:
    """Compare a second reading with the project, as both were when the readers had finished.

    A plane is compared where both have finished it: accepted, empty or not visible. Dice and HD95 are those of
    vfss.masks.metrics, by its rules for masks without pixels, where it is visible for both; distances are in heights of
    a pixel. Means are over frames; their 95 % intervals come from resampling patients (clips if there is one patient,
    frames if there is one clip: these are alike, so that the interval is then too narrow).

    Args:
        project: Project of the first reader.
        reading: Second reading of it.
        progress: Called with frames done and in all; False stops.

    Returns:
        The figures; None if progress stopped the comparison.

    Raises:
        ProjectError: One reader has not finished, or there is nothing that both have finished.
    """
    comparisons: list[Comparison] = []
    left_out: list[str] = []
    for done, total, of_frame in compare(project, reading, left_out):
        comparisons += of_frame
        if progress is not None and progress(done, total) is False:
            return None
    if not comparisons:
        raise ProjectError(
            "no structure is accepted, empty or not visible for both readers",
            path=reading.folder,
            remedy="Compare again when both have finished some of the same frames.",
        )
    return replace(summarise(comparisons, project.schema.keys, reader=reading.reader), left_out=tuple(left_out))


def compare(
    project: Project, reading: Reading, left_out: list[str] | None = None
) -> Iterator[tuple[int, int, list[Comparison]]]:
    """Compare frame by frame: yield the frames done, the frames in all, and the comparisons of this frame.

    Args:
        project: Project of the first reader.
        reading: Second reading of it.
        left_out: Gets a message on each damaged mask, which is not compared.

    Raises:
        ProjectError: One reader has not finished.
    """
    expect_finished(reading)
    with Project.open(reading.folder) as second:
        shared_frames = []
        for record in project.clips():
            if record.id in reading.clips:
                readers = project.past.standing(record.id, reading.first_until), second.past.standing(record.id)
                frames = sorted({frame for frame, _ in readers[0]} & {frame for frame, _ in readers[1]})
                shared_frames += [(record, readers, frame) for frame in frames]
        for done, (record, readers, frame) in enumerate(shared_frames, 1):
            compared: list[Comparison] = []
            for key in project.schema.keys:
                try:
                    comparison = _compared(record, *(reader.get((frame, key)) for reader in readers))
                except MaskError as error:
                    if left_out is not None:
                        left_out.append(f"{record.path.name}, frame {frame}, {key}: {error.what}")
                    continue
                if comparison is not None:
                    compared.append(comparison)
            yield done, len(shared_frames), compared


def expect_finished(reading: Reading) -> None:
    """Check that both readers have finished, so that nobody sees both readers' masks before.

    Raises:
        ProjectError: One or both have not finished.
    """
    if reading.blinded:
        if reading.finished is None and reading.first_until is None:
            status = "neither reader has finished"
        else:
            status = f"the {'second' if reading.finished is None else 'first'} reader has not finished"
        raise ProjectError(
            f"{status}, so the readers are still blinded to each other",
            path=reading.folder,
            remedy="Both must finish first: the second reader in the panel, the first under Second readings.",
        )


def _compared(record: ClipRecord, first: Revision | None, second: Revision | None) -> Comparison | None:
    if first is None or second is None or first.state not in FINISHED or second.state not in FINISHED:
        return None
    size = (record.height, record.width)
    a, b = _plane(first, size), _plane(second, size)
    both_visible = MaskState.NOT_VISIBLE not in (first.state, second.state)
    return Comparison(
        clip=record.id,
        recording=record.path.name,
        patient=record.patient,
        frame=first.frame,
        structure=first.structure,
        first=first.state,
        second=second.state,
        present=(bool(a.any()), bool(b.any())),
        dice=dice(a, b) if both_visible else math.nan,
        hd95=hd95(a, b, (1.0, record.pixel_aspect)) if both_visible else math.nan,
    )


def _plane(revision: Revision, size: tuple[int, int]) -> BoolArray:
    mask = revision.mask
    return np.zeros(size, np.bool_) if mask is None else mask


def write_agreement(agreement: Agreement, path: Path) -> None:
    """Write the figures as JSON, or if the name ends in .csv as a table with a row for each structure.

    Raises:
        DatasetError: The file cannot be written.
    """
    try:
        if path.suffix.lower() == ".csv":
            rows = [_csv_row(row) for row in (*agreement.structures, agreement.mean)]
            with path.open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)
        else:
            text = json.dumps(agreement.to_dict(), indent=2, allow_nan=False)
            path.write_text(text + "\n", "utf-8")
    except OSError as error:
        raise DatasetError(f"cannot be written ({error.strerror or error})", path=path) from error


def _csv_row(row: StructureAgreement) -> dict[str, Any]:
    dice_low, dice_high = row.dice_interval or (None, None)
    hd95_low, hd95_high = row.hd95_interval or (None, None)
    return {
        "structure": row.key,
        "compared": row.compared,
        "dice": row.dice,
        "dice_low": dice_low,
        "dice_high": dice_high,
        "dice_frames": row.dice_frames,
        "hd95_px": row.hd95,
        "hd95_px_low": hd95_low,
        "hd95_px_high": hd95_high,
        "hd95_frames": row.hd95_frames,
        "both_present": row.both_present,
        "only_first": row.only_first,
        "only_second": row.only_second,
        "both_absent": row.both_absent,
        "not_visible_first": row.not_visible[0],
        "not_visible_second": row.not_visible[1],
        "kappa": row.kappa,
    }
