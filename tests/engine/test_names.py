# SPDX-License-Identifier: Apache-2.0
"""Names of folders and recordings that are not Unicode, as disks of other systems hold them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from small_project import THREE, annotate, disc, grey_frames, write_video
from vfss.datasets import FORMATS, run_export
from vfss.errors import ProjectError
from vfss.project import Project
from vfss.project.integrity import check_project
from vfss.project.path_text import path_to_text, text_to_path
from vfss.project.second_readings import create_reading

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a name be any bytes")
HEIGHT, WIDTH = 48, 64


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder b"M\\xfcller" with a recording of such a name."""
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/M\xfcller"))
    folder.mkdir()
    plain = write_video(tmp_path / "plain.mkv", grey_frames(3, HEIGHT, WIDTH))
    plain.rename(folder / os.fsdecode(b"\xe9tude 100%.mkv"))
    return folder


def recording(home: Path) -> Path:
    return next(home.glob("*.mkv"))


@pytest.fixture
def folder(home: Path) -> Path:
    with Project.create(home / os.fsdecode(b"proj\xdf"), THREE) as project:
        clip = project.add_clip(recording(home)).id
        annotate(project, clip, 0, {"bolus": disc(HEIGHT, WIDTH, y=20, x=20, radius=6)})
        return project.folder


def test_a_project_and_its_recording_are_found_again(folder: Path, home: Path) -> None:
    with Project.open(folder) as project:
        (record,) = project.clips()
        assert record.path == recording(home)
        project.open_clip(record.id).close()
        reading = create_reading(project, "bob")
    with Project.open(reading.folder) as project:
        assert project.locate(record.id) == recording(home)
    moved = home.with_name(os.fsdecode(b"\xff moved"))
    home.rename(moved)
    with Project.open(moved / folder.name) as project:
        assert project.clips()[0].path == recording(moved)
    assert not [finding for finding in check_project(moved / folder.name) if finding.wrong]


def test_it_is_exported(folder: Path, home: Path) -> None:
    with Project.open(folder) as project:
        report = run_export(FORMATS["coco"], project, home / os.fsdecode(b"out\xfc"))
    assert (home / os.fsdecode(b"out\xfc") / "SHA256SUMS").is_file()
    assert report.folder is not None


def test_the_command_line_prints_such_names(folder: Path, home: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8:strict", "PYTHONPATH": os.pathsep.join(sys.path)}
    for arguments in (["info", recording(home)], ["check", folder]):
        command = [sys.executable, "-m", "vfss.cli", *map(os.fsencode, arguments)]
        result = subprocess.run(command, capture_output=True, env=environment, check=False)
        assert result.returncode == 0, result.stderr.decode(errors="replace")
        assert b"tude 100%" in result.stdout
        result.stdout.decode()


def test_a_patient_whose_name_is_not_unicode_is_refused(folder: Path) -> None:
    with Project.open(folder) as project:
        with pytest.raises(ProjectError, match=r"a value cannot be kept \(the text 'M\\udcfcller' is not Unicode\)"):
            project.update_clip(project.clips()[0].id, patient=os.fsdecode(b"M\xfcller"))
        assert project.clips()[0].patient.startswith("patient-")


@pytest.mark.parametrize(
    "name", [b"a/b", b"/M\xfcller/\xff", b"../M\xfc 100%.mkv", b"bytes:x", b"\xc3\xbc", b"..", b"%41"]
)
def test_a_path_is_read_as_it_was_written(name: bytes) -> None:
    path = Path(os.fsdecode(name))
    text = path_to_text(path)
    text.encode()
    assert text_to_path(text) == path


def test_paths_of_ordinary_names_stay_readable() -> None:
    assert path_to_text(Path("../Müller/étude.mkv")) == "../Müller/étude.mkv"
