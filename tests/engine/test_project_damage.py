# SPDX-License-Identifier: Apache-2.0
"""Damaged databases, full and read-only disks, folders that go away: clear messages, and nothing lost."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from small_project import THREE, disc, grey_frames, write_video
from vfss.errors import ProjectError
from vfss.masks import MaskState
from vfss.project import Edit, Project
from vfss.project.database import Database
from vfss.project.tables import LAYOUT

HEIGHT, WIDTH = 64, 80
DISC = disc(HEIGHT, WIDTH, y=30, x=30, radius=20)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A closed project with annotations."""
    write_video(tmp_path / "swallow.mkv", grey_frames(4, HEIGHT, WIDTH))
    with Project.create(tmp_path / "project", THREE) as project:
        clip = project.add_clip(tmp_path / "swallow.mkv").id
        for seed in range(12):
            mask = np.random.default_rng(seed).random((HEIGHT, WIDTH)) < 0.5
            project.write([Edit(clip, seed % 4, "bolus", mask, MaskState.EDITED)], author="ann", origin="hand")
        project.write([Edit(clip, 0, "pharynx", DISC, MaskState.ACCEPTED)], author="ann", origin="hand")
    return tmp_path / "project"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A separate disk of 3 MB."""
    mount = tmp_path / "disk"
    mount.mkdir()
    if (
        sys.platform != "linux"
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(mount)], check=False, capture_output=True
        ).returncode
    ):
        pytest.skip("making a small disk needs Linux and the right to mount")
    try:
        yield mount
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def noise(frame: int, clip: str, seed: int = 0) -> Edit:
    mask = np.random.default_rng(seed).random((HEIGHT, WIDTH)) < 0.5
    return Edit(clip, frame, "bolus", mask, MaskState.EDITED)


def random_bytes(content: bytes) -> bytes:
    return np.random.default_rng(0).bytes(len(content))


def random_page(content: bytes) -> bytes:
    """Return the content with a damaged page of the revisions, which opening does not read."""
    page = int.from_bytes(content[16:18], "big")
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        database.deserialize(content[:18] + b"\1\1" + content[20:])  # in memory there is no write-ahead log
        root = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'revisions'").fetchone()[0]
    start = (root - 1) * page
    return content[:start] + np.random.default_rng(0).bytes(page) + content[start + page :]


def another_database(content: bytes) -> bytes:
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE holidays (day TEXT)")
        return database.serialize()


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "text": lambda content: b"Dear colleague, please find attached\n" * 100,
    "random": random_bytes,
    "one page random": random_page,
    "cut in the header": lambda content: content[:60],
    "cut in a page": lambda content: content[: len(content) // 2 + 100],
    "last page gone": lambda content: content[:-4096],
    "another program's": another_database,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_database_is_named_and_left_as_it_is(folder: Path, damage: Callable[[bytes], bytes]) -> None:
    file = folder / "vfss.sqlite"
    file.write_bytes(damage(file.read_bytes()))
    before = file.read_bytes()
    for attempt in (Project.open, Project.open_or_create):
        with pytest.raises(ProjectError) as caught:
            attempt(folder)
        assert caught.value.path == file
        assert "estore" in caught.value.remedy
    with pytest.raises(ProjectError, match="there is a project already"):
        Project.create(folder)
    assert file.read_bytes() == before


def killed_session(folder: Path) -> Path:
    """Kill a session after it wrote something; return the write-ahead log that it left."""
    script = (
        "import os, signal, sys; from vfss.project import Project; p = Project.open(sys.argv[1]);"
        "p.remember('ann', 'view', 'x' * 9000); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", script, str(folder)], check=False).returncode == -signal.SIGKILL
    log = folder / "vfss.sqlite-wal"
    assert log.stat().st_size > 9000
    return log


def test_a_damaged_database_with_work_of_a_killed_session_beside_it_is_left_as_it_is(folder: Path) -> None:
    log = killed_session(folder)
    file = folder / "vfss.sqlite"
    good, work = file.read_bytes(), log.read_bytes()
    file.write_bytes(random_page(good))
    with pytest.raises(ProjectError, match="damaged"):
        Project.open(folder)
    assert (file.read_bytes(), log.read_bytes()) == (random_page(good), work)
    file.write_bytes(good)
    with Project.open(folder) as project:
        assert project.recall("ann", "view") == "x" * 9000


def test_damage_while_a_project_is_open_is_found_by_a_check(folder: Path) -> None:
    with Project.open(folder) as project:
        project.check()
        with (folder / "vfss.sqlite").open("r+b") as file:
            content = file.read()
            file.seek(0)
            file.write(random_page(content))
        with pytest.raises(ProjectError, match="damaged"):
            project.check()


def test_a_project_of_a_newer_version_is_not_touched(folder: Path) -> None:
    with contextlib.closing(sqlite3.connect(folder / "vfss.sqlite", isolation_level=None)) as newer:
        newer.execute("UPDATE layout SET version = version + 1")
    before = (folder / "vfss.sqlite").read_bytes()
    with pytest.raises(ProjectError, match=rf"newer version .*layout {LAYOUT + 1}, this one reads {LAYOUT}"):
        Project.open(folder)
    assert (folder / "vfss.sqlite").read_bytes() == before


def test_a_full_disk_costs_only_the_change_under_way(folder: Path, disk: Path) -> None:
    shutil.copytree(folder, disk / "project")
    with Project.open(disk / "project") as project:
        clip = project.clips()[0].id
        written = project.last_revision()
        with pytest.raises(
            ProjectError, match=r"the disk at /\S* is full, the last change was not written.*Make room"
        ) as caught:
            for seed in range(100_000):
                project.write([noise(0, clip, seed)] * 50, author="ann", origin="hand")
                written += 50
        assert caught.value.path == disk / "project" / "vfss.sqlite"
        assert [revision.id for revision in project.changes_since(0)] == list(range(1, written + 1))
        np.testing.assert_array_equal(project.masks(clip, 0).planes[1], DISC)
        subprocess.run(["mount", "-o", "remount,size=6m", str(disk)], check=True)
        project.write([noise(0, clip)] * 50, author="ann", origin="hand")
        project.check()
        assert project.last_revision() == written + 50


def test_a_database_that_may_not_grow_costs_only_the_change_under_way(folder: Path) -> None:
    database = Database(folder / "vfss.sqlite")
    database.pragma(f"max_page_count = {database.pragma('page_count')[0] + 3}")

    def fill(key: str) -> None:
        with database.writing() as connection:
            insert = "INSERT INTO recollections VALUES (?, ?, ?)"
            connection.exec_driver_sql(insert, ("ann", key, '"small"'))
            connection.exec_driver_sql(insert, ("bob", key, "x" * 50_000))

    with pytest.raises(ProjectError, match=r"the disk at /.* is full"):
        fill("first")
    database.pragma("max_page_count = 100000")
    fill("second")
    database.close()
    with Project.open(folder) as project:
        assert project.recall("ann", "first") is None
        assert project.recall("ann", "second") == "small"


def test_on_a_read_only_disk_a_project_can_be_read_and_is_marked_read_only(folder: Path, disk: Path) -> None:
    shutil.copytree(folder, disk / "project")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    with Project.open(disk / "project") as project:
        assert project.read_only
        clip = project.clips()[0].id
        np.testing.assert_array_equal(project.masks(clip, 0).planes[1], DISC)
        assert set(project.splits().values()) == {"train"}
        for change in (
            lambda: project.write([noise(0, clip)], author="ann", origin="hand"),
            lambda: project.remember("ann", "view", 1),
            lambda: project.update_clip(clip, inverted=True),
            lambda: project.add_student(folder / "vfss.sqlite", scores={}, parent=None),
        ):
            with pytest.raises(ProjectError, match=r"can only be read, not changed.*copy the folder"):
                change()
    with pytest.raises(ProjectError, match="no project can be created here"):
        Project.create(disk / "another")


def test_unwritten_work_of_a_killed_session_on_a_read_only_disk_is_an_error(folder: Path, disk: Path) -> None:
    killed_session(folder)
    shutil.copytree(folder, disk / "project", ignore=shutil.ignore_patterns("*-shm"))
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    with pytest.raises(ProjectError, match=r"did not end properly.*copy the whole folder"):
        Project.open(disk / "project")
    shutil.copytree(disk / "project", folder.with_name("copy"))
    with Project.open(folder.with_name("copy")) as project:
        assert project.recall("ann", "view") == "x" * 9000


def test_a_disk_without_hard_links_takes_a_project_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    Project.create(tmp_path / "project", THREE).close()
    with pytest.raises(ProjectError, match="there is a project already"):
        Project.create(tmp_path / "project", THREE)
    with Project.open(tmp_path / "project") as project:
        assert project.schema == THREE
    assert sorted(path.name for path in (tmp_path / "project").iterdir()) == ["students", "vfss.sqlite"]


def test_every_connection_waits_until_the_disk_has_it_all(folder: Path) -> None:
    database = Database(folder / "vfss.sqlite")
    assert database.pragma("synchronous") == [2]
    assert database.pragma("foreign_keys") == [1]
    database.close()


def test_a_database_opened_for_reading_refuses_changes(folder: Path) -> None:
    for access in ("read", "frozen"):
        database = Database(folder / "vfss.sqlite", access)
        with database.reading() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM revisions").scalar() == 13
        with pytest.raises(ProjectError, match="can only be read"), database.writing():
            pytest.fail("a transaction began")
        database.close()


@pytest.mark.parametrize("away", ["deleted", "moved", "replaced"])
def test_a_folder_that_goes_away_while_open_is_an_error_at_the_next_change(folder: Path, away: str) -> None:
    with Project.open(folder) as project:
        clip = project.clips()[0].id
        moved = folder.rename(folder.with_name("elsewhere"))
        if away == "deleted":
            shutil.rmtree(moved)
        if away == "replaced":
            shutil.copytree(moved, folder)
        with pytest.raises(ProjectError, match=r"was moved, deleted or replaced.*Open the project again"):
            project.write([noise(0, clip)], author="ann", origin="hand")
    if away == "moved":
        with Project.open(moved) as project:
            assert project.last_revision() == 13


def test_where_there_is_no_write_ahead_log_the_older_journal_is_used(folder: Path) -> None:
    # An open reader keeps the journal mode from changing, like a share that does not support the log.
    with contextlib.closing(sqlite3.connect(folder / "vfss.sqlite")) as plain:
        assert plain.execute("PRAGMA journal_mode = delete").fetchone() == ("delete",)
        plain.execute("BEGIN")
        plain.execute("SELECT * FROM layout").fetchall()
        with Project(folder, patience_s=0.01) as project:
            assert project.journal == "delete"
        plain.execute("COMMIT")
    with Project.open(folder) as project:
        assert project.journal == "wal"
        project.write([noise(0, project.clips()[0].id)], author="ann", origin="hand")


def test_nobody_may_write_where_even_the_owner_may_not(folder: Path) -> None:
    if os.name == "nt" or os.geteuid() == 0:
        pytest.skip("permission bits bind neither root nor Windows")
    folder.chmod(0o500)
    try:
        with Project.open(folder) as project:
            assert project.read_only
    finally:
        folder.chmod(0o700)


def test_a_damaged_name_that_sqlite_quotes_is_an_error_of_ours(folder: Path) -> None:
    with contextlib.closing(sqlite3.connect(folder / "vfss.sqlite")) as database:
        database.execute("PRAGMA writable_schema = on")
        change = "name = CAST(x'6de972' AS TEXT), sql = 'CREATE nothing' WHERE name = 'patients'"
        database.execute(f"UPDATE sqlite_schema SET {change}")
        database.commit()
    with pytest.raises(ProjectError, match="the database is damaged"), Project.open(folder):
        pass
