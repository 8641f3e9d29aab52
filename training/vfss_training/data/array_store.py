# SPDX-License-Identifier: Apache-2.0
"""Arrays that are computed row by row and kept in memory-mapped files: rendered frames, features, soft masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vfss.errors import TrainingError
from vfss.output.disk import why_not_written
from vfss.output.private import make_private_folder

READY = "ready"


@dataclass(frozen=True)
class RowLayout:
    """What one row of an array holds.

    Attributes:
        dtype: Type of its numbers.
        shape: Shape of one row.
    """

    dtype: type[np.generic]
    shape: tuple[int, ...]

    @property
    def bytes(self) -> int:
        """Size of one row on disk."""
        return int(np.prod(self.shape)) * np.dtype(self.dtype).itemsize


class ArrayStore:
    """Rows of several arrays in one folder, a file per array, which several processes may fill at the same time.

    The file "ready" holds one byte per row, set after all arrays of that row were written: a computation that is
    interrupted continues where it stopped, and two processes that compute the same row write the same bytes.

    Attributes:
        folder: Folder of the files.
        rows: Number of rows.
    """

    def __init__(self, folder: Path, rows: int, arrays: Mapping[str, RowLayout]) -> None:
        """Describe the files; nothing is read or written yet.

        Args:
            folder: Folder of the files, named after all that the rows depend on.
            rows: Number of rows. Files that are longer, because an earlier run had more rows, stay as they are.
            arrays: Layout of each array, by the name of its file.
        """
        self.folder, self.rows = folder, rows
        self._arrays = {**arrays, READY: RowLayout(np.uint8, ())}

    @property
    def bytes(self) -> int:
        """Size on disk when all rows are there."""
        return self.rows * row_bytes(self._arrays)

    @property
    def stored_rows(self) -> int:
        """Number of rows that the files on disk have room for; 0 if there are none."""
        path = self.folder / READY
        return path.stat().st_size if path.is_file() else 0

    def clear(self) -> None:
        """Remove all rows."""
        # "ready" first: without it the other files mean nothing.
        for name in (READY, *self._arrays):
            (self.folder / name).unlink(missing_ok=True)

    def create(self) -> None:
        """Create the folder and make the files long enough; holes take up no space until they are filled.

        Raises:
            TrainingError: The folder cannot be written to.
        """
        try:
            make_private_folder(self.folder)  # they may be pictures of patients
            for name, layout in self._arrays.items():
                with (self.folder / name).open("ab") as file:
                    if file.tell() < self.rows * layout.bytes:
                        file.truncate(self.rows * layout.bytes)
        except OSError as error:
            raise TrainingError(f"cannot write the cache ({error})", path=self.folder) from error

    def missing(self) -> list[int]:
        """Return the rows that are still to be computed, in ascending order."""
        path = self.folder / READY
        if not path.is_file():
            return list(range(self.rows))
        ready = np.fromfile(path, np.uint8)[: self.rows]
        return [*np.flatnonzero(ready == 0).tolist(), *range(len(ready), self.rows)]

    def is_ready(self, row: int) -> bool:
        """True if all arrays of a row were written."""
        return bool(self._map(READY)[row])

    def write(self, row: int, values: Mapping[str, npt.ArrayLike]) -> None:
        """Write all arrays of one row, and only then mark it as ready.

        Raises:
            TrainingError: The disk is full, or the folder cannot be written to.
        """
        # Written, not mapped: on a full disk a write is an error, a mapped page ends the process.
        for name, value in {**values, READY: 1}.items():
            layout = self._arrays[name]
            content = np.ascontiguousarray(np.broadcast_to(np.asarray(value, layout.dtype), layout.shape))
            try:
                with (self.folder / name).open("r+b") as file:
                    file.seek(row * layout.bytes)
                    file.write(content.data)
            except OSError as error:
                raise TrainingError(
                    f"cannot write the cache ({why_not_written(error, self.folder)})",
                    path=self.folder,
                    remedy="Make room on this disk, or name another folder for the run; the run then continues.",
                ) from error

    def read(self, name: str, rows: int | slice | Sequence[int]) -> npt.NDArray[Any]:
        """Return a copy of some rows of one array."""
        return np.array(self._map(name)[rows])

    def _map(self, name: str) -> npt.NDArray[Any]:
        """Map a file as an array (rows, *shape), anew at each use, so that processes share nothing but the file."""
        layout = self._arrays[name]
        return np.memmap(self.folder / name, layout.dtype, "r+", shape=(self.rows, *layout.shape))


def row_bytes(arrays: Mapping[str, RowLayout]) -> int:
    """Return the size on disk of one row of all arrays, its byte in "ready" included."""
    return sum(layout.bytes for name, layout in arrays.items() if name != READY) + 1
