# SPDX-License-Identifier: Apache-2.0
"""A project's files are for its owner, or its group, and what killed processes left of them does not stay."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from older_project import as_layout
from small_project import THREE, annotate, disc, grey_frames, write_video
from vfss.project import Project
from vfss.project.case_key import FILE as KEY
from vfss.project.case_key import CaseKey
from vfss.project.second_readings import create_reading
from vfss.student import load_student

HEX = "fedcba9876543210" * 2
posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")


@pytest.fixture(params=[0o022, 0o000])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    return {path.relative_to(folder).as_posix(): path.stat().st_mode & 0o7777 for path in [folder, *folder.rglob("*")]}


def fill(folder: Path, recording: Path) -> tuple[set[int], set[int]]:
    """Use all that writes files in a project; return the permissions of files and folders."""
    with Project.open_or_create(folder, THREE) as project:
        clip = project.add_clip(recording).id
        annotate(project, clip, 0, {"bolus": disc(24, 32, y=9, x=9, radius=5)})
        CaseKey(folder / KEY).case("P1")
        project.add_student(load_student(device="cpu").path, scores={}, parent=None)
        create_reading(project, "bob")
        project.back_up(folder / "copy.sqlite")
        assert (folder / "vfss.sqlite-wal").exists()
        found = modes(folder)  # with the write-ahead log
    as_layout(folder, 4)
    Project.open(folder).close()
    assert (folder / "vfss-layout4.sqlite").exists()
    found |= modes(folder)
    locks = [name for name in found if name.endswith(".lock")]
    for name in locks:
        del found[name]  # empty
    files = {mode for name, mode in found.items() if (folder / name).is_file() or "sqlite-" in name}
    folders = {mode for name, mode in found.items() if (folder / name).is_dir()}
    return files, folders


@posix
def test_a_project_that_we_make_is_for_its_owner(tmp_path: Path, umask: None) -> None:
    recording = write_video(tmp_path / "swallow.mkv", grey_frames(3, 24, 32))
    assert fill(tmp_path / "project", recording) == ({0o600}, {0o700})


@posix
def test_a_folder_that_exists_keeps_its_permissions(tmp_path: Path, umask: None) -> None:
    recording = write_video(tmp_path / "swallow.mkv", grey_frames(3, 24, 32))
    (tmp_path / "project").mkdir()
    (tmp_path / "project").chmod(0o755)
    assert fill(tmp_path / "project", recording) == ({0o600}, {0o755, 0o700})


@posix
def test_a_project_in_a_groups_folder_is_the_groups(tmp_path: Path, umask: None) -> None:
    recording = write_video(tmp_path / "swallow.mkv", grey_frames(3, 24, 32))
    (tmp_path / "project").mkdir()
    (tmp_path / "project").chmod(0o2770)
    files, folders = fill(tmp_path / "project", recording)
    assert (tmp_path / "project" / KEY).stat().st_mode & 0o777 == 0o600  # the key stays its owner's
    assert (files, folders) == ({0o660, 0o600}, {0o2770})


def test_what_a_killed_process_left_of_the_key_is_removed(tmp_path: Path) -> None:
    key = CaseKey(tmp_path / KEY)
    name = key.case("P1")
    left = tmp_path / f".{KEY}-{HEX}"
    left.write_text(json.dumps({"cases": {"P1": name}}))
    assert CaseKey(tmp_path / KEY).case("P1") == name
    assert not left.exists()


def test_what_killed_processes_left_of_a_project_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    Project.create(folder, THREE).close()
    names = (f".vfss.sqlite-{HEX}", f".vfss.sqlite-{HEX}-journal", f"students/.student.safetensors-{HEX}")
    kept = (".vfss.sqlite-short", "students/.student.safetensors-mine", ".notes")
    for name in (*names, *kept):
        (folder / name).touch()
    Project.open(folder).close()
    assert not [name for name in names if (folder / name).exists()]
    assert all((folder / name).exists() for name in kept)
