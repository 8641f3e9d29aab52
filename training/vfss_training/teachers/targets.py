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

from vfss.errors import TrainingError
from vfss_training.data.augment import TeacherViews
from vfss_training.data.samples import FrameArray, FrameStream
from vfss_training.teachers.feature_statistics import Chunk, FeatureStatistics, Origin
from vfss_training.teachers.standardise import STANDARDS, FeatureScaler, load_standard
from vfss_training.teachers.table import TeacherEntry
from vfss_training.teachers.teacher import Teacher

_AT_ONCE = 2
_FLAT = 4
"""Grey values that a cell must span to count: beside the field and where film is saturated there is nothing to know."""
_CHUNK = 16
_LARGEST = 6e4  # below the largest number of half precision


class CachedTargets:
    """Features of views of the first frames of a stream, in a folder named after all they depend on.

    Attributes:
        frames: How many first frames have targets.
        channels: Of the features.
        grid: Cells along a side.
        bytes: Size on disk when all are there.
        folder: Where they lie.
    """

    def __init__(
        self,
        folder: Path,
        entry: TeacherEntry,
        samples: FrameStream,
        *,
        frames: int,
        pool: int,
        showing: TeacherViews | None = None,
        standard: str = "channel",
    ) -> None:
        """Open or begin; nothing is computed or written yet.

        Args:
            folder: Where caches lie.
            entry: The teacher.
            samples: The frames.
            frames: How many of them, from the first on.
            pool: Cells of the teacher's grid that become one, along each axis.
            showing: Which views of each; None: the frame as it is.
            standard: How features are put on a common scale, one of STANDARDS.
        """
        self._samples, self._showing, self._method = samples, showing or TeacherViews(), standard
        self.frames = min(frames, len(samples))
        # A grid that pool does not divide, like RAD-DINO's 37, gives windows of unequal size that leave no cell out.
        self.channels, self.grid = entry.channels, max(1, entry.grid // pool)
        self._teacher = entry.name
        key = json.dumps([entry.name, entry.fingerprint, samples.key, pool, _FLAT, self._showing.key])
        self.folder = folder / f"targets-{hashlib.blake2b(key.encode(), digest_size=10).hexdigest()}"
        self._n = self.frames * self._showing.views
        self.bytes = self._n * (2 * self.channels * self.grid**2 + self.grid**2 + 1)
        self._standard: FeatureScaler | None = None

    def missing(self) -> list[int]:
        """Views whose targets are still to be computed, by number: all first views come first."""
        if not (self.folder / "ready").is_file():
            return list(range(self._n))
        ready = np.fromfile(self.folder / "ready", np.uint8)[: self._n]
        return [*np.flatnonzero(ready == 0).tolist(), *range(len(ready), self._n)]

    def prepare(self, load: Callable[[], Teacher], tick: Callable[[int, int], None]) -> None:
        """Compute what is missing, so that it can be broken off and taken up again, then how features are spread.

        Args:
            load: Gives the teacher; asked only where something is missing.
            tick: Called with views done and in all before each step; may raise to stop.

        Raises:
            TrainingError: The disk is full, or the folder cannot be written to.
        """
        missing = self.missing()
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, size in (("features", 2 * self.channels * self.grid**2), ("field", self.grid**2), ("ready", 1)):
            with (self.folder / name).open("ab") as file:
                if file.tell() < self._n * size:
                    file.truncate(self._n * size)
        teacher = load() if missing else None
        for start in range(0, len(missing) if teacher is not None else 0, _AT_ONCE):
            numbers = missing[start : start + _AT_ONCE]
            tick(self._n - len(missing) + start, self._n)
            self._write(teacher, numbers)
        tick(self._n, self._n)
        self._standard = self._spread()

    def _write(self, teacher: Teacher | None, numbers: Sequence[int]) -> None:
        if teacher is None:
            return
        frames = torch.from_numpy(np.stack([self._frame(number) for number in numbers]))
        found = functional.adaptive_avg_pool2d(teacher.targets(frames).cpu(), self.grid)
        features = found.clamp(-_LARGEST, _LARGEST).to(torch.float16).numpy()
        field = textured(frames, self.grid).numpy()
        kept, seen, ready = self._map("features"), self._map("field"), self._map("ready")
        for number, one, inside in zip(numbers, features, field, strict=True):
            kept[number], seen[number] = one, inside
            ready[number] = 1

    def _frame(self, number: int) -> FrameArray:
        view, item = divmod(number, self.frames)
        return np.ascontiguousarray(self._showing(self._samples[item], item, view).frame)

    def _map(self, name: str) -> npt.NDArray[np.generic]:
        """A file as an array (views, ...), mapped anew at each use."""
        shapes: dict[str, tuple[type, tuple[int, ...]]] = {
            "features": (np.float16, (self._n, self.channels, self.grid, self.grid)),
            "field": (np.uint8, (self._n, self.grid, self.grid)),
            "ready": (np.uint8, (self._n,)),
        }
        kind, shape = shapes[name]
        found: npt.NDArray[np.generic] = np.memmap(self.folder / name, kind, "r+", shape=shape)
        return found

    def _spread(self) -> FeatureScaler:
        """The common scale over the cells in the field of these frames, all of which are learnt from."""
        path = self.folder / f"{self._method}-{self._n}.safetensors"
        if path.is_file():
            return load_standard(path)
        kept, seen = self._map("features"), self._map("field")
        spread = FeatureStatistics(self._teacher, self.channels, ())
        for start in range(0, self._n, _CHUNK):
            numbers = range(start, min(start + _CHUNK, self._n))
            features = torch.from_numpy(np.array(kept[numbers.start : numbers.stop], np.float32))
            field = torch.from_numpy(np.array(seen[numbers.start : numbers.stop])) > 0
            spread.add(Chunk(features, field, tuple(self._origin(number) for number in numbers)))
        standard = STANDARDS[self._method](spread)
        standard.save(path)
        return standard

    def _origin(self, number: int) -> Origin:
        view, item = divmod(number, self.frames)
        return Origin(self._samples.patient(item), f"frame {item}, view {view}")

    def batch(self, places: Sequence[tuple[int, int]]) -> tuple[Tensor, Tensor]:
        """Standardised features, float32 (N, channels, grid, grid), and field, bool (N, grid, grid).

        Args:
            places: Frame and view of each.

        Raises:
            TrainingError: Nothing was prepared.
        """
        if self._standard is None:
            raise TrainingError(f"targets of {self._teacher!r} were not prepared")
        rows = np.array([view * self.frames + item for item, view in places])
        features = torch.from_numpy(np.array(self._map("features")[rows])).float()
        field = torch.from_numpy(np.array(self._map("field")[rows])) > 0
        return self._standard(features), field

    def targets(self, places: Sequence[tuple[int, int]], shown: Tensor) -> tuple[Tensor, Tensor]:
        """The same as batch(); what the student is shown is the view that was kept.

        Args:
            places: Frame and view of each.
            shown: float (N, 1, size, size), the student's input.
        """
        return self.batch(places)

    def pooled(self, features: Tensor) -> Tensor:
        """Features of this teacher as they come, float (N, channels, h, w), at the size and on the scale of these.

        Raises:
            TrainingError: Nothing was prepared.
        """
        if self._standard is None:
            raise TrainingError(f"targets of {self._teacher!r} were not prepared")
        return self._standard(functional.adaptive_avg_pool2d(features.float(), self.grid))


def textured(frames: Tensor, grid: int) -> Tensor:
    """Cells that show something, bool (N, grid, grid), of frames, uint8 (N, H, W)."""
    values = frames[:, None].float()
    high = functional.adaptive_max_pool2d(values, grid)
    low = -functional.adaptive_max_pool2d(-values, grid)
    return (high - low)[:, 0] >= _FLAT


class OnlineTargets:
    """Features of whatever a batch shows, standardised.

    Attributes:
        frames: 0, as no views are kept.
        channels: Of the features.
    """

    frames = 0

    def __init__(self, teacher: Teacher, scale: CachedTargets) -> None:
        """Ask that teacher.

        Args:
            teacher: With its weights, on the device it works on.
            scale: Features of some frames, which say how all are standardised and pooled.
        """
        self._teacher, self._scale = teacher, scale
        self.channels = scale.channels

    def targets(self, places: Sequence[tuple[int, int]], shown: Tensor) -> tuple[Tensor, Tensor]:
        """Standardised features, float32 (N, channels, grid, grid), and field, bool (N, grid, grid).

        Args:
            places: Frame and view of each; it looks at the pictures themselves.
            shown: float (N, 1, size, size), the student's input, -1..1.
        """
        frames = ((shown[:, 0].detach().clamp(-1.0, 1.0) + 1.0) * 127.5).round().to(torch.uint8)
        return self._scale.pooled(self._teacher.targets(frames)), textured(frames, self._scale.grid)
