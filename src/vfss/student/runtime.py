# SPDX-License-Identifier: Apache-2.0
"""What runs a student's network on a device."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np
import numpy.typing as npt

from vfss.student.refinement import PromptRuntime

FloatArray = npt.NDArray[np.float32]


class Runtime(PromptRuntime, Protocol):
    """Runs the network on a device.

    Attributes:
        device: Device and precision, e.g. "cpu (bf16)".
        batch: Frames per call of `run`.
    """

    device: str
    batch: int

    def run(self, inputs: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return logits float32 (N, S, size/4, size/4), quality float32 (N, S) of inputs float32 (N, 1, size, size)."""

    def run_each(self, inputs: Iterable[FloatArray]) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Yield logits and quality of each input, float32 (1, size, size), in order, as fast as possible for many."""
