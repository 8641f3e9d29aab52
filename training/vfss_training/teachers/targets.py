# SPDX-License-Identifier: Apache-2.0
"""Feature targets: standardised features of a teacher, cached for some views of frames or computed for each batch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from vfss.errors import TrainingError
from vfss_training.data.array_store import RowLayout
from vfss_training.data.augment import TeacherViews
from vfss_training.data.samples import FrameStream
from vfss_training.data.view_store import ViewStore
from vfss_training.teachers.feature_statistics import Chunk, FeatureStatistics, Origin
from vfss_training.teachers.standardise import STANDARDS, FeatureScaler, load_standard
from vfss_training.teachers.table import TeacherEntry
from vfss_training.teachers.teacher import Teacher

_AT_ONCE = 2
_FLAT = 4
"""Grey values that a cell must span to count: outside the exposed field and where film is saturated nothing shows."""
_CHUNK = 16
_LARGEST = 6e4  # below the largest number of half precision


class CachedTargets:
    """Features of views of the first frames of a stream, in half precision in a folder named after all they depend on.

    Attributes:
        frames: Number of first frames that have targets.
        channels: Channels of the features.
        grid: Cells along a side.
        bytes: Size on disk when all are there.
        folder: Folder of the files.
    """

    def __init__(
        self,
        folder: Path,
        entry: TeacherEntry,
        samples: FrameStream,
        *,
        frames: int,
        pool: int,
        views: TeacherViews | None = None,
        standard: str = "channel",
    ) -> None:
        """Describe the targets; nothing is computed or written yet.

        Args:
            folder: Folder of all caches.
            entry: The teacher.
            samples: The frames.
            frames: Number of frames to use, from the first on.
            pool: Cells of the teacher's grid that are averaged into one, along each axis.
            views: Which views of each frame; None: the frame as it is.
            standard: How features are put on a common scale, one of STANDARDS.
        """
        views = views or TeacherViews()
        self._samples, self._method = samples, standard
        # A grid that pool does not divide, like RAD-DINO's 37, gives windows of unequal size that leave no cell out.
        self.channels, self.grid = entry.channels, max(1, entry.grid // pool)
        self._teacher = entry.name
        key = json.dumps([entry.name, entry.fingerprint, samples.key, pool, _FLAT, views.key])
        arrays = {
            "features": RowLayout(np.float16, (self.channels, self.grid, self.grid)),
            "field": RowLayout(np.uint8, (self.grid, self.grid)),
        }
        self.folder = folder / f"targets-{hashlib.blake2b(key.encode(), digest_size=10).hexdigest()}"
        self._store = ViewStore(self.folder, samples, frames=frames, views=views, arrays=arrays)
        self.frames, self.bytes = self._store.frames, self._store.bytes
        self._scaler: FeatureScaler | None = None

    def missing(self) -> list[int]:
        """Return the views whose targets are still to be computed, by row: all first views come first."""
        return self._store.missing()

    def prepare(self, load: Callable[[], Teacher], tick: Callable[[int, int], None]) -> None:
        """Compute what is missing, then the common scale; an interrupted call continues where it stopped.

        Args:
            load: Loads the teacher; called only if something is missing.
            tick: Called with the number of views done and in total before each step; may raise to stop.

        Raises:
            TrainingError: The folder cannot be written to.
        """
        loaded = cache(load)
        self._store.fill(lambda frames, places: self._computed(loaded(), frames), tick, batch=_AT_ONCE)
        self._scaler = self._standardised()

    def _computed(self, teacher: Teacher, frames: Tensor) -> Mapping[str, npt.NDArray[Any]]:
        """Return the arrays to store for frames, uint8 (N, H, W)."""
        features = functional.adaptive_avg_pool2d(teacher.targets(frames).cpu(), self.grid)
        return {
            "features": features.clamp(-_LARGEST, _LARGEST).to(torch.float16).numpy(),
            "field": exposed_cells(frames, self.grid).numpy(),
        }

    def _standardised(self) -> FeatureScaler:
        """Return the common scale over the exposed field of these frames, all of which are training frames."""
        n = self._store.rows
        path = self.folder / f"{self._method}-{n}.safetensors"
        if path.is_file():
            return load_standard(path)
        statistics = FeatureStatistics(self._teacher, self.channels, ())
        for start in range(0, n, _CHUNK):
            rows = slice(start, min(start + _CHUNK, n))
            features = torch.from_numpy(self._store.read_rows("features", rows)).float()
            field = torch.from_numpy(self._store.read_rows("field", rows)) > 0
            origins = tuple(self._origin(row) for row in range(rows.start, rows.stop))
            statistics.add(Chunk(features, field, origins))
        scaler = STANDARDS[self._method](statistics)
        scaler.save(path)
        return scaler

    def _origin(self, row: int) -> Origin:
        item, view = self._store.place(row)
        return Origin(self._samples.patient(item), f"frame {item}, view {view}")

    def batch(self, places: Sequence[tuple[int, int]]) -> tuple[Tensor, Tensor]:
        """Return standardised features, float32 (N, channels, grid, grid), and exposed field, bool (N, grid, grid).

        Args:
            places: Frame and view number of each.

        Raises:
            TrainingError: prepare() was not called.
        """
        scaler = self._prepared()
        features = torch.from_numpy(self._store.read("features", places)).float()
        field = torch.from_numpy(self._store.read("field", places)) > 0
        return scaler(features), field

    def targets(self, places: Sequence[tuple[int, int]], shown: Tensor) -> tuple[Tensor, Tensor]:
        """Return the same as batch(): the student is shown the cached view.

        Args:
            places: Frame and view number of each.
            shown: float (N, 1, size, size), the student's input; not used.
        """
        return self.batch(places)

    def pooled(self, features: Tensor) -> Tensor:
        """Bring features of this teacher, float (N, channels, h, w), to the grid and the scale of the cached ones.

        Raises:
            TrainingError: prepare() was not called.
        """
        return self._prepared()(functional.adaptive_avg_pool2d(features.float(), self.grid))

    def _prepared(self) -> FeatureScaler:
        if self._scaler is None:
            raise TrainingError(f"targets of {self._teacher!r} were not prepared")
        return self._scaler


def exposed_cells(frames: Tensor, grid: int) -> Tensor:
    """Return the cells that show anything, bool (N, grid, grid), of frames, uint8 (N, H, W)."""
    values = frames[:, None].float()
    high = functional.adaptive_max_pool2d(values, grid)
    low = -functional.adaptive_max_pool2d(-values, grid)
    return (high - low)[:, 0] >= _FLAT


class OnlineTargets:
    """Standardised features of whatever a batch shows, computed for each batch.

    Attributes:
        frames: 0, as no views are cached.
        channels: Channels of the features.
    """

    frames = 0

    def __init__(self, teacher: Teacher, scale: CachedTargets) -> None:
        """Wrap a teacher.

        Args:
            teacher: With its weights, on the device it computes on.
            scale: Cached features of some frames, which define grid and scale of all features.
        """
        self._teacher, self._scale = teacher, scale
        self.channels = scale.channels

    def targets(self, places: Sequence[tuple[int, int]], shown: Tensor) -> tuple[Tensor, Tensor]:
        """Return standardised features, float32 (N, channels, grid, grid), and exposed field, bool (N, grid, grid).

        Args:
            places: Frame and view number of each; not used, as the teacher is given the student's input.
            shown: float (N, 1, size, size), the student's input, -1..1.
        """
        frames = ((shown[:, 0].detach().clamp(-1.0, 1.0) + 1.0) * 127.5).round().to(torch.uint8)
        return self._scale.pooled(self._teacher.targets(frames)), exposed_cells(frames, self._scale.grid)
