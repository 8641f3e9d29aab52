# SPDX-License-Identifier: Apache-2.0
"""Calibrating a student: its word on held-out phantoms against the Dice they really had."""

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
from vfss_training.data.phantoms import PHANTOM_SCHEMA, draw_phantom

FIRST_SEED, TEST_SEED = 160_000, 170_000
"""First phantom patient to calibrate on, and to examine a calibration on."""
FRAMES = 36
SIZE = 512
COMMON = ("standard", "wide")


@dataclass(frozen=True, eq=False)
class Measured:
    """What a student said of its masks, and how they were; one phantom patient a frame.

    Attributes:
        keys: Structures, in the order of columns.
        styles: Style of each frame.
        said: float64 (N, S), the student's own word, uncalibrated, 0..1.
        true: float64 (N, S), Dice; 1 where truth and mask are both empty, NaN where the phantom lacks the structure.
    """

    keys: tuple[str, ...]
    styles: tuple[str, ...]
    said: npt.NDArray[np.float64]
    true: npt.NDArray[np.float64]


def style_of(i: int) -> str:
    """Style of frame i: every other one of a usual style, the rest of all the others in turn."""
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
    """Let a student propose on phantoms and compare; whatever calibration it has is left aside.

    Args:
        checkpoint: The student.
        first_seed: Seed of the first phantom.
        frames: Number of phantoms, one frame each.
        progress: Called with frames done and in all.
        threads: Threads to compute with; None: as many as there are cores.
    """
    bare = replace(checkpoint, calibration=None)
    student = Student(bare, OpenVinoRuntime(bare, cache=None, threads=threads))
    drawn, keys = Schema.load(PHANTOM_SCHEMA), student.schema.keys
    said, true = np.full((2, frames, len(keys)), np.nan)
    for i in range(frames):
        frame, truth, _ = draw_phantom(first_seed + i, SIZE, style_of(i))
        proposal = student.propose(frame[None])[0]
        said[i] = proposal.confidence
        for s, key in enumerate(keys):
            if key in drawn.keys:
                overlap = dice(truth[drawn[key].index], proposal.masks.planes[s])
                true[i, s] = 1.0 if math.isnan(overlap) else overlap
        if progress is not None:
            progress(i + 1, frames)
    return Measured(keys, tuple(style_of(i) for i in range(frames)), said, true)


def calibration_of(measured: Measured, *, first_seed: int) -> Calibration:
    """Calibration that fits what was measured, with a word on how."""
    fitted = fit_calibration(measured.said, measured.true, measured.keys)
    after = fitted.apply(measured.said.astype(np.float32), measured.keys).astype(np.float64)
    how = {
        "frames": len(measured.said),
        "first_seed": first_seed,
        "expected_error_before": round(expected_error(measured.said.ravel(), measured.true.ravel()), 4),
        "expected_error_after": round(expected_error(after.ravel(), measured.true.ravel()), 4),
    }
    return replace(fitted, measured=how)


def calibrate_file(
    path: Path,
    out: Path | None = None,
    *,
    frames: int = FRAMES,
    progress: Callable[[int, int], None] | None = None,
    threads: int | None = None,
) -> Checkpoint:
    """Calibrate the student of a file, and write it back, or to another file; it gets another id.

    Raises:
        StudentError: The file cannot be read or written, or is no student.
    """
    checkpoint = load_checkpoint(path)
    measured = measure(checkpoint, first_seed=FIRST_SEED, frames=frames, progress=progress, threads=threads)
    calibration = calibration_of(measured, first_seed=FIRST_SEED)
    return replace(checkpoint, calibration=calibration).save(path if out is None else out)


def errors(said: npt.NDArray[np.float64], measured: Measured, chosen: Sequence[bool] | None = None) -> dict[str, Any]:
    """Expected calibration errors of words (N, S), over all masks and of each structure.

    Args:
        said: float64 (N, S), words to examine, 0..1.
        measured: What was true.
        chosen: Frames that count; None: all.
    """
    rows = np.ones(len(said), np.bool_) if chosen is None else np.asarray(chosen)
    x, y = said[rows], measured.true[rows]
    structures = {key: round(expected_error(x[:, i], y[:, i]), 4) for i, key in enumerate(measured.keys)}
    return {"expected_error": round(expected_error(x.ravel(), y.ravel()), 4), "structures": structures}
