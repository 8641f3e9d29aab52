# SPDX-License-Identifier: Apache-2.0
"""Arrays computed once for each teacher view of the first frames of a stream, kept on disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vfss_training.data.array_store import ArrayStore, RowLayout
from vfss_training.data.augment import TeacherViews
from vfss_training.data.samples import FrameArray, FrameStream, Tick

Compute = Callable[[Tensor, Sequence[tuple[int, int]]], Mapping[str, npt.NDArray[Any]]]
"""Computes the arrays of N views: of frames, uint8 (N, H, W), and the frame and view number of each."""


class ViewStore:
    """Arrays of every teacher view of the first frames of a stream: a row per view, all first views first.

    The rows of further views depend on the number of frames: with several views, files for another number of frames
    are computed anew.

    Attributes:
        folder: Folder of the files.
        frames: Number of first frames that have rows.
        rows: Number of rows: one for each view of each of those frames.
        bytes: Size on disk when all rows are there.
    """

    def __init__(
        self,
        folder: Path,
        samples: FrameStream,
        *,
        frames: int,
        views: TeacherViews,
        arrays: Mapping[str, RowLayout],
    ) -> None:
        """Describe the files; nothing is computed or written yet.

        Args:
            folder: Folder of the files, named after all that the arrays depend on.
            samples: The frames.
            frames: Number of frames to use, from the first on; all of the stream if it has fewer.
            views: Which views of each frame.
            arrays: Layout of each array, by the name of its file.
        """
        self._samples, self._views = samples, views
        self.frames = min(frames, len(samples))
        self.rows = self.frames * views.views
        self._store = ArrayStore(folder, self.rows, arrays)
        self.folder, self.bytes = folder, self._store.bytes

    def missing(self) -> list[int]:
        """Return the rows that are still to be computed."""
        return list(range(self.rows)) if self._has_other_rows() else self._store.missing()

    def _has_other_rows(self) -> bool:
        """True if the files on disk are for another number of frames, whose rows are other views."""
        return self.rows > self.frames and self._store.stored_rows not in (0, self.rows)

    def fill(self, compute: Compute, tick: Tick, *, batch: int) -> None:
        """Compute the rows that are missing; an interrupted call continues where it stopped.

        Args:
            compute: Computes the arrays of some views.
            tick: Called with the number of rows done and in total before each batch; may raise to stop.
            batch: Views to compute at once.

        Raises:
            TrainingError: The folder cannot be written to.
        """
        missing = self.missing()
        if self._has_other_rows():
            self._store.clear()
        self._store.create()
        for start in range(0, len(missing), batch):
            tick(self.rows - len(missing) + start, self.rows)
            rows = missing[start : start + batch]
            places = [self.place(row) for row in rows]
            frames = torch.from_numpy(np.stack([self._frame(item, view) for item, view in places]))
            arrays = compute(frames, places)
            for i, row in enumerate(rows):
                self._store.write(row, {name: values[i] for name, values in arrays.items()})
        tick(self.rows, self.rows)

    def place(self, row: int) -> tuple[int, int]:
        """Return the frame and the view number of a row."""
        view, item = divmod(row, self.frames)
        return item, view

    def read(self, name: str, places: Sequence[tuple[int, int]]) -> npt.NDArray[Any]:
        """Return a copy of one array for some views.

        Args:
            name: Name of the array.
            places: Frame and view number of each.
        """
        return self._store.read(name, [view * self.frames + item for item, view in places])

    def read_rows(self, name: str, rows: slice) -> npt.NDArray[Any]:
        """Return a copy of one array for a range of rows."""
        return self._store.read(name, rows)

    def _frame(self, item: int, view: int) -> FrameArray:
        return np.ascontiguousarray(self._views(self._samples[item], item, view).frame)
