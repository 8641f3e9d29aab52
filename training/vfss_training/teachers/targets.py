# SPDX-License-Identifier: Apache-2.0
"""Targets: a teacher's features of phantom frames, computed once, kept on disk in half precision, and standardised."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from vfss.student.checkpoint import write_whole
from vfss_training.phantoms import PhantomSamples
from vfss_training.teachers.table import TeacherEntry
from vfss_training.teachers.teacher import Teacher

_AT_ONCE = 2
_FLAT = 4
"""Grey values that a cell must span to count: beside the field and where film is saturated there is nothing to know."""
_SMALLEST_DEVIATION = 1e-3


class CachedTargets:
    """Features of the first frames of a stream of phantoms; the folder is named after all that they depend on.

    Attributes:
        frames: How many first frames have targets.
        channels: Of the features.
        grid: Cells along a side.
        bytes: Size on disk when all are there.
        folder: Where they lie.
    """

    def __init__(self, folder: Path, entry: TeacherEntry, samples: PhantomSamples, *, frames: int, pool: int) -> None:
        """Open or begin; nothing is computed or written yet.

        Args:
            folder: Where caches lie.
            entry: The teacher.
            samples: The frames.
            frames: How many of them, from the first on.
            pool: Cells of the teacher's grid that become one, along each axis.
        """
        self._samples = samples
        self.frames = min(frames, len(samples))
        self.channels, self.grid = entry.channels, entry.grid // pool
        self._pool = pool
        key = json.dumps([entry.name, entry.sha256, samples.key, pool, _FLAT])
        self.folder = folder / f"targets-{hashlib.blake2b(key.encode(), digest_size=10).hexdigest()}"
        self.bytes = self.frames * (2 * self.channels * self.grid**2 + self.grid**2 + 1)
        self._mean = self._deviation = torch.zeros(0)

    def missing(self) -> list[int]:
        """Frames whose targets are still to be computed."""
        if not (self.folder / "ready").is_file():
            return list(range(self.frames))
        ready = np.fromfile(self.folder / "ready", np.uint8)[: self.frames]
        return [*np.flatnonzero(ready == 0).tolist(), *range(len(ready), self.frames)]

    def prepare(self, load: Callable[[], Teacher], tick: Callable[[int, int], None]) -> None:
        """Compute what is missing, so that it can be broken off and taken up again, then how features are spread.

        Args:
            load: Gives the teacher; asked only where something is missing.
            tick: Called with frames done and in all before each step; may raise to stop.
        """
        missing = self.missing()
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, size in (("features", 2 * self.channels * self.grid**2), ("field", self.grid**2), ("ready", 1)):
            with (self.folder / name).open("ab") as file:
                if file.tell() < self.frames * size:
                    file.truncate(self.frames * size)
        teacher = load() if missing else None
        for start in range(0, len(missing) if teacher is not None else 0, _AT_ONCE):
            items = missing[start : start + _AT_ONCE]
            tick(self.frames - len(missing) + start, self.frames)
            self._write(teacher, items)
        tick(self.frames, self.frames)
        self._mean, self._deviation = self._spread()

    def _write(self, teacher: Teacher | None, items: Sequence[int]) -> None:
        if teacher is None:
            return
        frames = torch.from_numpy(np.stack([self._samples[i].frame for i in items]))
        features = functional.avg_pool2d(teacher.targets(frames), self._pool).to(torch.float16).numpy()
        field = textured(frames, self.grid).numpy()
        kept, seen, ready = self._map("features"), self._map("field"), self._map("ready")
        for i, found, inside in zip(items, features, field, strict=True):
            kept[i], seen[i] = found, inside
            ready[i] = 1

    def _map(self, name: str) -> npt.NDArray[np.generic]:
        """A file as an array (frames, ...), mapped anew at each use."""
        shapes: dict[str, tuple[type, tuple[int, ...]]] = {
            "features": (np.float16, (self.frames, self.channels, self.grid, self.grid)),
            "field": (np.uint8, (self.frames, self.grid, self.grid)),
            "ready": (np.uint8, (self.frames,)),
        }
        kind, shape = shapes[name]
        found: npt.NDArray[np.generic] = np.memmap(self.folder / name, kind, "r+", shape=shape)
        return found

    def _spread(self) -> tuple[Tensor, Tensor]:
        """Mean and deviation of each channel over the cells in the field of all these frames, float32 (channels,)."""
        path = self.folder / f"spread-{self.frames}.npy"
        if not path.is_file():
            kept, seen = self._map("features"), self._map("field")
            count, total, square = 0, np.zeros(self.channels), np.zeros(self.channels)
            for features, inside in zip(kept, seen, strict=True):
                values = np.asarray(features, np.float32)[:, np.asarray(inside) > 0].astype(np.float64)
                count += values.shape[1]
                total += values.sum(1)
                square += (values**2).sum(1)
            mean = total / max(count, 1)
            deviation = np.sqrt(np.maximum(square / max(count, 1) - mean**2, 0.0))
            write_whole(path, np.stack([mean, deviation]).astype(np.float32).tobytes())
        mean_and_deviation = torch.from_numpy(np.fromfile(path, np.float32).reshape(2, self.channels))
        return mean_and_deviation[0], mean_and_deviation[1].clamp(min=_SMALLEST_DEVIATION)

    def batch(self, items: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Standardised features, float32 (N, channels, grid, grid), and field, bool (N, grid, grid), of some frames."""
        rows = np.asarray(items)
        features = torch.from_numpy(np.array(self._map("features")[rows])).float()
        field = torch.from_numpy(np.array(self._map("field")[rows])) > 0
        shape = (1, -1, 1, 1)
        return (features - self._mean.reshape(shape)) / self._deviation.reshape(shape), field


def textured(frames: Tensor, grid: int) -> Tensor:
    """Cells that show something, bool (N, grid, grid), of frames, uint8 (N, H, W)."""
    values = frames[:, None].float()
    high = functional.adaptive_max_pool2d(values, grid)
    low = -functional.adaptive_max_pool2d(-values, grid)
    return (high - low)[:, 0] >= _FLAT
