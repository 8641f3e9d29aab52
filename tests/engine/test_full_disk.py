# SPDX-License-Identifier: Apache-2.0
"""What cannot be written because the disk is full is an error that names the disk, whatever was being written."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from small_project import THREE, cohort
from vfss.datasets import FORMATS, run_export
from vfss.deidentify.project import deidentify_project
from vfss.errors import VfssError
from vfss.output.disk import disk_of, why_not_written
from vfss.project import Project
from vfss.project.case_key import CaseKey
from vfss.student import load_student
from vfss.student.checkpoint import write_atomically

resource = pytest.importorskip("resource", reason="this system has no limits on the size of files")


@contextlib.contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """Let the system refuse to write more than so many bytes into any file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    splits = {"P1": "train", "P2": "validation", "P3": "test"}
    with cohort(tmp_path_factory.mktemp("cohort"), splits, height=96, width=128) as project:
        for patient in splits:
            CaseKey(project.folder / "case-key.json").case(patient)
        yield project


@pytest.mark.parametrize("name", FORMATS)
def test_an_export(project: Project, tmp_path: Path, name: str) -> None:
    with no_file_larger_than(3000), pytest.raises(VfssError, match=r"the disk at /.* is full"):
        run_export(FORMATS[name], project, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert run_export(FORMATS[name], project, tmp_path / "out").folder is not None


def add_student(project: Project, folder: Path) -> None:
    with Project.open_or_create(folder / "other", THREE) as other:
        other.add_student(load_student(device="cpu").path, scores={}, parent=None)


ACTS: dict[str, Callable[[Project, Path], object]] = {
    "de-identification": lambda project, folder: deidentify_project(
        project, folder / "out", CaseKey(project.folder / "case-key.json")
    ),
    "a case key": lambda project, folder: CaseKey(folder / "key.json").case("P1" * 5000),
    "a student file": lambda project, folder: write_atomically(folder / "s.safetensors", bytes(20_000)),
    "a student in a project": add_student,
    "a new project": lambda project, folder: Project.create(folder / "new", THREE),
    "a backup": lambda project, folder: project.back_up(folder / "copy.sqlite"),
}


@pytest.mark.parametrize("name", ACTS)
def test_everything_else(project: Project, tmp_path: Path, name: str) -> None:
    size = 200_000 if "in a project" in name else 5000
    with no_file_larger_than(size), pytest.raises(VfssError, match="disk"):
        ACTS[name](project, tmp_path)
    left = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert not [path for path in left if path.name.startswith(".")]


@pytest.mark.skipif(sys.platform == "win32", reason="this system has no mount points")
def test_a_disk_is_named_by_its_mount_point(tmp_path: Path) -> None:
    assert disk_of(tmp_path / "not" / "there").is_mount()
    assert disk_of(Path("/proc/self/none")) == Path("/proc")
    assert why_not_written(OSError(28, "No space left on device"), Path("/proc/x")) == "the disk at /proc is full"
    assert why_not_written(OSError(13, "Permission denied"), Path("/proc/x")) == "Permission denied"
