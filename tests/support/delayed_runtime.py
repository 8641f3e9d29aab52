# SPDX-License-Identifier: Apache-2.0
"""A runtime whose results come later than its inputs are taken, as with several requests under way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np


class DelayedRuntime:
    """A runtime to be given a network: `compute`. Counts its passes."""

    device, batch = "nothing", 2

    def __init__(self, delay: int = 2) -> None:
        self.passes, self._delay = 0, delay

    def compute(self, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return logits and quality of inputs, float32 (N, 1, size, size)."""
        raise NotImplementedError

    def run(self, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.passes += len(inputs)
        return self.compute(inputs)

    def run_each(self, inputs: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        waiting: list[np.ndarray] = []
        for array in inputs:
            waiting.append(array)
            if len(waiting) > self._delay:
                logits, quality = self.run(waiting.pop(0)[None])
                yield logits[0], quality[0]
        for array in waiting:
            logits, quality = self.run(array[None])
            yield logits[0], quality[0]

    def encode(self, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return frame, frame, frame

    def correct(self, features: object, maps: np.ndarray, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return maps, asked

    def landmarks(self, features: object) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros((0, 1, 1), np.float32), np.zeros(0, np.float32)
