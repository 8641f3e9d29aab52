# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from vfss.output.atomic_file import atomic_file, temporary_path
from vfss.output.private import create_private, make_private_folder


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


HEX = "0123456789abcdef" * 2


def leftover(path: Path, *, hours: float) -> Path:
    """Leave what a process killed so many hours ago left."""
    left = path.with_name(f".{path.name}-{HEX}")
    left.write_bytes(b"half")
    then = time.time() - 3600 * hours
    os.utime(left, (then, then))
    return left


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such locks")
def test_what_a_killed_process_left_is_removed_by_the_next_write(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    old, others = leftover(path, hours=2), leftover(tmp_path / "b.json", hours=2)
    own = tmp_path / f".a.json-{HEX}.bak"
    own.touch()
    with atomic_file(path) as file:
        file.write(b"x")
    assert not old.exists()
    assert sorted(tmp_path.iterdir()) == sorted([path, others, own])


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such locks")
def test_what_is_being_written_is_left_alone_however_old_it_looks(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with atomic_file(path) as slow:
        (written,) = tmp_path.iterdir()
        os.utime(written, (0, 0))
        with atomic_file(path) as fast:
            fast.write(b"fast")
        slow.write(b"slow")
    assert path.read_bytes() == b"slow"
    fresh = leftover(path, hours=0)
    with atomic_file(path) as file:
        file.write(b"x")
    assert fresh.exists()  # another disk may have no locks


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
@pytest.mark.parametrize("umask", [0, 0o002, 0o022, 0o077, 0o277])
def test_what_is_made_for_the_owner_is_so_under_any_umask(tmp_path: Path, umask: int) -> None:
    (tmp_path / "home").mkdir(0o755)
    before = os.umask(umask)
    try:
        make_private_folder(tmp_path / "home" / "a" / "b")
        create_private(tmp_path / "home" / "a" / "b" / "file")
    finally:
        os.umask(before)
    modes = [(tmp_path / "home" / name).stat().st_mode & 0o7777 for name in ("a", "a/b", "a/b/file")]
    assert modes == [0o700, 0o700, 0o600]
    assert (tmp_path / "home").stat().st_mode & 0o7777 == 0o755


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_what_is_made_in_a_groups_folder_is_the_groups(tmp_path: Path) -> None:
    lab = tmp_path / "lab"
    lab.mkdir()
    lab.chmod(0o2775)
    make_private_folder(lab / "study")
    create_private(lab / "study" / "file")
    assert (lab / "study").stat().st_mode & 0o7777 == 0o2770
    assert (lab / "study" / "file").stat().st_mode & 0o7777 == 0o660
    assert lab.stat().st_mode & 0o7777 == 0o2775
