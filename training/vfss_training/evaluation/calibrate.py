# SPDX-License-Identifier: Apache-2.0
"""Calibration of a student: its confidence on held-out phantoms against the Dice that its masks had."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vfss.masks.metrics import dice
from vfss.phantom.style import STYLES
from vfss.schema import Schema
from vfss.student import Student, load_checkpoint
from vfss.student.calibration import Calibration, expected_error, fit_calibration
from vfss.student.checkpoint import Checkpoint
from vfss.student.openvino_runtime import OpenVinoRuntime
from vfss.student.precision import measured_precision, whole_frames
from vfss_training.data.phantoms import PHANTOM_SCHEMA, draw_phantom

FIRST_SEED, TEST_SEED = 160_000, 170_000
"""Seeds of the first phantom patient to calibrate on, and of the first one to test a calibration on."""
FRAMES = 36
SIZE = 512
COMMON = ("clinic", "standard", "wide")
_COMPARED = 12
"""Frames on which precisions are compared."""


@dataclass(frozen=True, eq=False)
class Measured:
    """Confidence and Dice of a student's masks on phantom frames, one patient per frame.

    Attributes:
        keys: Structures, in the order of the columns.
        styles: Style of each frame.
        confidence: float64 (N, S), uncalibrated confidence, 0..1.
        dice: float64 (N, S), Dice; 1 where truth and mask are both empty, NaN where the phantom lacks the structure.
        frames: The first frames, uint8 (H, W) each.
    """

    keys: tuple[str, ...]
    styles: tuple[str, ...]
    confidence: npt.NDArray[np.float64]
    dice: npt.NDArray[np.float64]
    frames: tuple[npt.NDArray[np.uint8], ...] = ()


def style_of(i: int) -> str:
    """Return the style of frame i: common styles on even frames, all other styles in turn on odd ones."""
    rare = [style for style in STYLES if style not in COMMON]
    return COMMON[i // 2 % len(COMMON)] if i % 2 == 0 else rare[i // 2 % len(rare)]


def measure(
    checkpoint: Checkpoint,
    *,
    first_seed: int,
    frames: int,
    progress: Callable[[int, int], None] | None = None,
    threads: int | None = None,
) -> Measured:
    """Return confidence and Dice of a student's proposals on phantoms; its calibration, if it has one, is not applied.

    Args:
        checkpoint: The student.
        first_seed: Seed of the first phantom.
        frames: Number of phantoms, one frame each.
        progress: Called with the number of frames done and in total.
        threads: Threads to compute with; None: as many as there are cores.
    """
    bare = replace(checkpoint, calibration=None)
    student = Student(bare, OpenVinoRuntime(bare, cache=None, threads=threads))
    drawn, keys = Schema.load(PHANTOM_SCHEMA), student.keys
    confidence, overlaps = np.full((2, frames, len(keys)), np.nan)
    first: list[npt.NDArray[np.uint8]] = []
    for i in range(frames):
        frame, truth, _ = draw_phantom(first_seed + i, SIZE, style_of(i))
        if i < _COMPARED:
            first.append(frame)
        proposal = student.propose(frame[None])[0]
        confidence[i] = proposal.confidence
        for s, key in enumerate(keys):
            if key in drawn.keys:
                overlap = dice(truth[drawn[key].index], proposal.masks.planes[s])
                overlaps[i, s] = 1.0 if math.isnan(overlap) else overlap
        if progress is not None:
            progress(i + 1, frames)
    return Measured(keys, tuple(style_of(i) for i in range(frames)), confidence, overlaps, tuple(first))


def fit_measured(measured: Measured, *, first_seed: int) -> Calibration:
    """Return the calibration that fits measurements; it records its expected error before and after."""
    fitted = fit_calibration(measured.confidence, measured.dice, measured.keys)
    after = fitted.apply(measured.confidence.astype(np.float32), measured.keys).astype(np.float64)
    record = {
        "frames": len(measured.confidence),
        "first_seed": first_seed,
        "expected_error_before": round(expected_error(measured.confidence.ravel(), measured.dice.ravel()), 4),
        "expected_error_after": round(expected_error(after.ravel(), measured.dice.ravel()), 4),
    }
    return replace(fitted, measured=record)


def calibrate_file(
    path: Path,
    out: Path | None = None,
    *,
    frames: int = FRAMES,
    progress: Callable[[int, int], None] | None = None,
    threads: int | None = None,
) -> Checkpoint:
    """Calibrate the student of a file and write it back, or to another file; its id changes.

    What the file says of faster precisions is kept, or measured if it says nothing.

    Raises:
        StudentError: The file cannot be read or written, or is not a student file.
    """
    checkpoint = load_checkpoint(path)
    measured = measure(checkpoint, first_seed=FIRST_SEED, frames=frames, progress=progress, threads=threads)
    calibration = fit_measured(measured, first_seed=FIRST_SEED)
    precision = checkpoint.precision or measured_precision(checkpoint, whole_frames(measured.frames, checkpoint.config))
    return replace(checkpoint, calibration=calibration, precision=precision).save(path if out is None else out)


def calibration_errors(
    confidence: npt.NDArray[np.float64], measured: Measured, chosen: Sequence[bool] | None = None
) -> dict[str, Any]:
    """Return expected calibration errors, over all masks and of each structure.

    Args:
        confidence: float64 (N, S), confidence to test, 0..1.
        measured: Dice of the same masks.
        chosen: Frames that count; None: all.
    """
    rows = np.ones(len(confidence), np.bool_) if chosen is None else np.asarray(chosen)
    x, y = confidence[rows], measured.dice[rows]
    structures = {key: round(expected_error(x[:, i], y[:, i]), 4) for i, key in enumerate(measured.keys)}
    return {"expected_error": round(expected_error(x.ravel(), y.ravel()), 4), "structures": structures}
