# SPDX-License-Identifier: Apache-2.0
"""Export a student's graphs again, as this version does, and measure in which precisions it can be computed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from vfss.phantom import random_frame
from vfss.student import load_checkpoint
from vfss.student.checkpoint import Checkpoint
from vfss.student.closer_look import CloserLook
from vfss.student.mirror_policy import MirrorPolicy
from vfss.student.openvino_runtime import OpenVinoRuntime
from vfss.student.precision import whole_frames
from vfss.student.torch_runtime import build_network
from vfss_training.data.phantoms import draw_phantom
from vfss_training.evaluation.calibrate import FIRST_SEED, style_of
from vfss_training.model.export import pack
from vfss_training.model.quantise import quantised_graph

RANGE_STYLES, RANGE_SEED, RANGE_PATIENTS = ("standard", "clinic", "wide", "capture", "sharpened"), 70_000, 40
"""Phantoms from which the ranges of int8 are taken."""
INT8_STYLES, INT8_SEED, INT8_PATIENTS = ("standard", "clinic", "sharpened", "harsh"), 80_000, 24
"""Phantoms on which it is measured how much Dice int8 loses."""

FRAMES = 12
"""Phantom frames on which precisions are compared."""


def export_file(
    path: Path,
    out: Path | None = None,
    mirror: MirrorPolicy | None = None,
    closer: CloserLook | None = None,
    *,
    int8: bool = False,
) -> Checkpoint:
    """Export the student of a file again and write it back, or to another file; its id changes.

    Files of earlier versions hold a graph that always computes the mirror image, and some lack the agreement of their
    masks in faster precisions. Weights, scores and calibration stay.

    Args:
        path: The student's file.
        out: File to write; None: the same.
        mirror: Where mirror images are computed too; None: as the file says, or as new students do.
        closer: Where frames are looked at again with the spine in its usual size; None: as the file says.
        int8: Also write the graph in 8-bit integers, and measure what it loses; one that is there stays otherwise.

    Raises:
        TrainingError: NNCF is wanted for int8 and not installed.
        StudentError: The file cannot be read or written, or is not a student file.
    """
    old = load_checkpoint(path)
    size = old.config.input_size
    frames = whole_frames((draw_phantom(FIRST_SEED + i, size, style_of(i))[0] for i in range(FRAMES)), old.config)
    new = pack(build_network(old), old.config, old.schema, provenance=old.provenance, frames=frames, learnt=old.learnt)
    new = replace(
        new,
        scores=old.scores,
        calibration=old.calibration,
        precision={**old.precision, **new.precision},
        mirror=mirror or old.mirror or new.mirror,
        closer=closer or old.closer,
        int8=old.int8,
    )
    return (with_int8(new) if int8 else new).save(path if out is None else out)


def with_int8(checkpoint: Checkpoint) -> Checkpoint:
    """Return a student with a graph in int8, and with what that keeps of the Dice of f32 on phantoms.

    Raises:
        TrainingError: NNCF is not installed.
    """
    ranges = [frame[np.newaxis] for frame in _inputs(checkpoint, _phantoms(checkpoint, RANGE_STYLES, RANGE_SEED))]
    quantised = replace(checkpoint, int8=quantised_graph(checkpoint, ranges))
    examined = _phantoms(checkpoint, INT8_STYLES, INT8_SEED, INT8_PATIENTS)
    frames = _inputs(checkpoint, examined)
    dice = {}
    for precision in ("f32", "int8"):
        logits, _ = OpenVinoRuntime(quantised, precision=precision).run(frames)
        dice[precision] = np.mean([mean_dice(one, planes) for one, (_, planes) in zip(logits, examined, strict=True)])
    kept = round(1.0 - max(0.0, float(dice["f32"] - dice["int8"])), 5)
    return replace(quantised, precision={**checkpoint.precision, "int8": kept})


def mean_dice(logits: npt.NDArray[np.float32], planes: npt.NDArray[np.bool_]) -> float:
    """Return the mean Dice over the structures that are there, of a first look without rules.

    Args:
        logits: float32 (S, size/4, size/4).
        planes: bool (S, size, size).
    """
    size = planes.shape[1:]
    values = []
    for logit, plane in zip(logits, planes, strict=True):
        if plane.any():
            found = cv2.resize(logit, size, interpolation=cv2.INTER_LINEAR) > 0
            values.append(2 * np.count_nonzero(found & plane) / (np.count_nonzero(found) + np.count_nonzero(plane)))
    return float(np.mean(values)) if values else 1.0


Phantom = tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]


def _phantoms(
    checkpoint: Checkpoint, styles: tuple[str, ...], first_seed: int, patients: int = RANGE_PATIENTS
) -> list[Phantom]:
    """Return pictures uint8 (size, size) of phantoms, and their masks bool (S, size, size)."""
    seeds = range(first_seed, first_seed + patients)
    return [random_frame(seed, checkpoint.config.input_size, style) for seed in seeds for style in styles]


def _inputs(checkpoint: Checkpoint, phantoms: list[Phantom]) -> npt.NDArray[np.float32]:
    return whole_frames((picture for picture, _ in phantoms), checkpoint.config)
