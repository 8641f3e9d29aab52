# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from pathlib import Path

import pytest

from vfss.output.atomic_file import atomic_file, temporary_path


def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with atomic_file(path) as file:
        file.write(b"first\n")
        assert not path.exists()
    assert path.read_bytes() == b"first\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError, match="half way"), atomic_file(path) as file:
        file.write(b"new")
        raise RuntimeError("half way")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_a_secret_is_never_readable_for_others(tmp_path: Path) -> None:
    path = tmp_path / "key"
    with atomic_file(path, mode=0o600) as file:
        (temporary,) = tmp_path.iterdir()
        assert temporary.stat().st_mode & 0o777 == 0o600
        file.write(b"secret")
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_temporary_database_goes_with_its_side_files(tmp_path: Path) -> None:
    with temporary_path(tmp_path / "a.sqlite") as temporary:
        for end in ("", "-journal", "-wal"):
            temporary.with_name(temporary.name + end).touch()
    assert not list(tmp_path.iterdir())
