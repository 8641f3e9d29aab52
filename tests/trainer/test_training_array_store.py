# SPDX-License-Identifier: Apache-2.0
"""Arrays on disk: rows that were written are read back, and a store may grow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vfss.errors import TrainingError
from vfss_training.data.array_store import ArrayStore, RowLayout, row_bytes

ARRAYS = {"values": RowLayout(np.float16, (2, 3)), "flags": RowLayout(np.uint8, ())}


def test_rows_are_read_back_and_a_larger_store_keeps_them(tmp_path: Path) -> None:
    store = ArrayStore(tmp_path / "store", 3, ARRAYS)
    assert store.missing() == [0, 1, 2]
    assert not store.folder.exists()
    store.create()
    store.write(1, {"values": np.full((2, 3), 0.5), "flags": 7})
    assert (store.missing(), store.is_ready(1), store.is_ready(0)) == ([0, 2], True, False)
    assert sum(path.stat().st_size for path in store.folder.iterdir()) == store.bytes == 3 * row_bytes(ARRAYS) == 42
    larger = ArrayStore(tmp_path / "store", 5, ARRAYS)
    assert larger.missing() == [0, 2, 3, 4]
    larger.create()
    np.testing.assert_array_equal(larger.read("values", [1, 0])[:, 0, 0], [0.5, 0.0])
    assert larger.read("flags", slice(0, 3)).tolist() == [0, 7, 0]
    store.create()
    assert larger.missing() == [0, 2, 3, 4], "a smaller store does not truncate the files"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file")
    with pytest.raises(TrainingError, match="cannot write the cache"):
        ArrayStore(tmp_path / "store", 1, ARRAYS).create()


def test_a_row_that_the_disk_has_no_room_for_is_an_error_and_not_ready(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="this system has no limits on the size of files")
    store = ArrayStore(tmp_path / "store", 3, ARRAYS)
    store.create()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, before[1]))
    try:
        with pytest.raises(TrainingError, match=r"cannot write the cache \(the disk at /.* is full"):
            store.write(2, {"values": np.ones((2, 3)), "flags": 1})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert store.missing() == [0, 1, 2]
