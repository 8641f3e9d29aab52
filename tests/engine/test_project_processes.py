# SPDX-License-Identifier: Apache-2.0
"""Real processes on one project: killed in the middle of writing, writing against each other, holding locks.

Run as a program, this file is such a process.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
import pytest

from small_project import THREE, grey_frames, write_video
from vfss.errors import ConflictError, ProjectError
from vfss.masks import MaskState
from vfss.project import Edit, Project

HEIGHT, WIDTH, FRAMES = 40, 48, 3


def numbered(number: int) -> np.ndarray:
    """Return a mask unique to this number, bool (H, W)."""
    return np.random.default_rng(number).random((HEIGHT, WIDTH)) < 0.5


def write_forever(folder: str, seed: str) -> None:
    """Write revisions and print the id and number of each once it is committed, until killed."""
    number = int(seed)
    with Project.open(folder) as project:
        clip = project.clips()[0].id
        while True:
            edits = [Edit(clip, number % FRAMES, key, numbered(number), MaskState.EDITED) for key in THREE.keys]
            written = project.write(edits, author=f"pid {seed}", origin="hand")
            sys.stdout.write("".join(f"{revision.id} {number}\n" for revision in written))
            sys.stdout.flush()
            number += 1


def count_up(folder: str, times: str, author: str) -> None:
    """Add one pixel to the bolus `times` times, each time based on the newest revision read."""
    left, conflicts = int(times), 0
    with Project.open(folder) as project:
        clip = project.clips()[0].id
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()  # the signal to start, so that both write at the same time
        while left:
            frame = left % 2
            seen = project.newest(clip, frame).get("bolus")
            mask = np.zeros((HEIGHT, WIDTH), np.bool_) if seen is None else seen.mask.copy()
            mask.flat[int(mask.sum())] = True
            base = {(frame, "bolus"): None if seen is None else seen.id}
            try:
                project.write(
                    [Edit(clip, frame, "bolus", mask, MaskState.EDITED)], author=author, origin="hand", base=base
                )
                left -= 1
            except ConflictError:
                conflicts += 1
    sys.stdout.write(f"{conflicts}\n")


def start(*arguments: str) -> subprocess.Popen[str]:
    # The process imports what this file imports, so it needs the path that pytest has.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, __file__, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )


def output(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdout is not None
    return process.stdout


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    write_video(tmp_path / "swallow.mkv", grey_frames(FRAMES, HEIGHT, WIDTH))
    with Project.create(tmp_path / "project", THREE) as made:
        made.add_clip(tmp_path / "swallow.mkv")
        yield made


def test_a_killed_process_loses_nothing_that_it_had_committed(project: Project) -> None:
    project.close()  # so that the killed processes are alone, and leave their log for the next one to recover
    chance = random.Random(0)
    committed: dict[int, int] = {}
    for round_ in range(3):
        with start("write_forever", str(project.folder), str(round_ * 100_000)) as process:
            lines = [output(process).readline() for _ in range(3 * chance.randint(1, 40))]
            process.send_signal(signal.SIGKILL)
            lines += output(process).read().splitlines(keepends=True)
        assert process.returncode == -signal.SIGKILL
        committed |= dict(map(int, line.split()) for line in lines if line.endswith("\n"))
        with contextlib.closing(sqlite3.connect(project.folder / "vfss.sqlite")) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        with Project.open(project.folder) as again:
            stored = {revision.id: revision for revision in again.changes_since(0)}
            assert stored.keys() >= committed.keys()
            for revision_id, number in committed.items():
                np.testing.assert_array_equal(stored[revision_id].mask, numbered(number))
            # A change is complete or absent: its three structures were one transaction.
            assert len(stored) % 3 == 0
            assert len(stored) - len(committed) <= 3 * (round_ + 1)


def test_two_processes_lose_no_update_of_each_other(project: Project) -> None:
    each = 60
    with (
        start("count_up", str(project.folder), str(each), "ann") as one,
        start("count_up", str(project.folder), str(each), "bob") as two,
    ):
        assert [output(process).readline() for process in (one, two)] == ["ready\n"] * 2
        for process in (one, two):
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        outputs = [output(process).read() for process in (one, two)]
    assert (one.returncode, two.returncode) == (0, 0)
    assert all(line.strip().isdigit() for line in outputs)
    clip = project.clips()[0].id
    changes = project.changes_since(0)
    assert [sum(revision.author == who for revision in changes) for who in ("ann", "bob")] == [each, each]
    # Every accepted change is based on the one before it: pixel counts rise by one, without gap or repeat.
    for frame in (0, 1):
        counts = [int(revision.mask.sum()) for revision in project.history(clip, frame, "bolus")]
        assert counts == list(range(1, each + 1))


def test_two_processes_see_each_others_work(project: Project) -> None:
    with start("write_forever", str(project.folder), "7") as process:
        revision_id, number = map(int, output(process).readline().split())
        seen = {revision.id: revision for revision in project.changes_since(0)}
        np.testing.assert_array_equal(seen[revision_id].mask, numbered(number))
        ours = Edit(project.clips()[0].id, 0, "bolus", numbered(1), MaskState.ACCEPTED)
        project.write([ours], author="ann", origin="hand")  # while the other goes on writing
        process.kill()
    authors = {revision.author for revision in project.changes_since(0)}
    assert authors == {"ann", "pid 7"}


def test_readers_go_on_while_another_program_holds_the_lock_and_writers_get_an_error(project: Project) -> None:
    clip = project.clips()[0].id
    edit = Edit(clip, 1, "bolus", numbered(1), MaskState.ACCEPTED)
    project.write([edit], author="ann", origin="hand")
    other = sqlite3.connect(project.folder / "vfss.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    other.execute("UPDATE clips SET inverted = 1")
    with Project(project.folder, patience_s=0.05) as hasty:
        np.testing.assert_array_equal(hasty.masks(clip, 1).planes[0], numbered(1))
        assert not hasty.clip(clip).inverted
        with pytest.raises(ProjectError, match=r"another program kept the project locked for 0\.05 s"):
            hasty.write([edit], author="ann", origin="hand")
        other.execute("ROLLBACK")
        hasty.write([edit], author="ann", origin="hand")
    other.close()
    assert len(project.history(clip, 1, "bolus")) == 2


def in_fork(project: Project, clip: str) -> None:
    project.write([Edit(clip, 2, "bolus", numbered(2), MaskState.EDITED)], author="child", origin="hand")


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system does not fork")
def test_a_forked_worker_may_use_the_project_it_inherited(project: Project) -> None:
    clip = project.clips()[0].id
    worker = multiprocessing.get_context("fork").Process(target=in_fork, args=(project, clip))
    worker.start()
    worker.join()
    assert worker.exitcode == 0
    project.write([Edit(clip, 2, "bolus", numbered(3), MaskState.EDITED)], author="parent", origin="hand")
    assert [revision.author for revision in project.history(clip, 2, "bolus")] == ["child", "parent"]
    project.check()


def test_of_two_processes_that_create_a_project_at_once_one_creates_and_the_other_opens_it(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    with start("create", str(folder)) as one, start("create", str(folder)) as two:
        ids = {output(process).read() for process in (one, two)}
    assert (one.returncode, two.returncode) == (0, 0)
    with Project.open(folder) as project:
        assert ids == {project.id}


def create(folder: str) -> None:
    """Open or create a project and print its id."""
    with Project.open_or_create(folder, THREE) as project:
        sys.stdout.write(project.id)


if __name__ == "__main__":
    {"write_forever": write_forever, "count_up": count_up, "create": create}[sys.argv[1]](*sys.argv[2:])
