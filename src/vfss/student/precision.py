# SPDX-License-Identifier: Apache-2.0
"""Measure how well a student's masks agree with f32 where they are computed in a faster precision."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from vfss.student.checkpoint import Checkpoint
from vfss.student.config import StudentConfig
from vfss.student.openvino_runtime import OpenVinoRuntime, has_bf16
from vfss.student.preprocess import Placement, prepare

FloatArray = npt.NDArray[np.float32]


def measured_precision(checkpoint: Checkpoint, inputs: FloatArray) -> dict[str, float]:
    """Return what a student's file says of reduced precisions, see Checkpoint.precision.

    Args:
        checkpoint: The student.
        inputs: float32 (N, 1, size, size), prepared frames.

    Returns:
        {"bf16": share of pixels, 0..1, that bf16 and f32 assign alike}; empty where this processor has no bf16: the
        student is then computed in f32 until it is measured elsewhere.
    """
    if not has_bf16() or not len(inputs):
        return {}
    exact, _ = OpenVinoRuntime(checkpoint, precision="f32").run(inputs)
    reduced, _ = OpenVinoRuntime(checkpoint, precision="bf16").run(inputs)
    return {"bf16": float(np.mean((exact > 0) == (reduced > 0)))}


def whole_frames(pictures: Iterable[npt.NDArray[np.uint8]], config: StudentConfig) -> FloatArray:
    """Return network inputs of whole pictures, uint8 (H, W) each, as float32 (N, 1, size, size)."""
    size = config.input_size
    prepared = [
        prepare(picture, Placement.of(picture.shape[0], picture.shape[1], size), config) for picture in pictures
    ]
    return np.stack(prepared) if prepared else np.zeros((0, 1, size, size), np.float32)
