# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import imageio.v3 as iio
import pytest

from small_project import THREE, annotate, disc, grey_frames, write_video
from vfss.masks import MaskState
from vfss.project import Project
from vfss.project.integrity import check_clip, check_project
from vfss.student import load_student

HEIGHT, WIDTH = 32, 48


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An undamaged project with one clip and two masks."""
    video = write_video(tmp_path / "clip.mkv", grey_frames(4, HEIGHT, WIDTH))
    with Project.create(tmp_path / "project", THREE) as project:
        clip = project.add_clip(video).id
        mask = disc(HEIGHT, WIDTH, y=9, x=9, radius=5)
        annotate(project, clip, 1, {"bolus": mask, "pharynx": MaskState.EMPTY})
        return project.folder


def add_student(folder: Path) -> Path:
    with Project.open(folder) as project:
        return project.add_student(load_student(device="cpu").path, scores={}, parent=None).path


def wrong(folder: Path) -> list[str]:
    return [f"{finding.subject}: {finding.message}" for finding in check_project(folder) if finding.wrong]


@contextlib.contextmanager
def database(folder: Path):
    with contextlib.closing(sqlite3.connect(folder / "vfss.sqlite")) as connection, connection:
        connection.execute("DROP TRIGGER revisions_stay")
        yield connection


def test_an_undamaged_project(folder: Path) -> None:
    add_student(folder)
    calls: list[tuple[int, int]] = []
    findings = check_project(folder, lambda done, total: calls.append((done, total)) or True)
    assert not [finding for finding in findings if finding.wrong]
    assert calls == [(1, 1)]
    messages = " ".join(finding.message for finding in findings)
    assert "2 masks, all intact" in messages
    assert "database is intact" in messages
    assert "loads" in messages


def test_checking_changes_nothing(folder: Path) -> None:
    with Project.open(folder) as project:
        before = project.last_revision(), project.clips()
    check_project(folder)
    with Project.open(folder) as project:
        assert (project.last_revision(), project.clips()) == before


def test_a_lost_recording(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "clip.mkv").unlink()
    (message,) = wrong(folder)
    assert "clip.mkv" in message


def test_a_recording_that_changed(folder: Path, tmp_path: Path) -> None:
    write_video(tmp_path / "clip.mkv", grey_frames(4, HEIGHT, WIDTH, seed=1))
    assert len(wrong(folder)) == 1


def test_a_damaged_mask(folder: Path) -> None:
    with database(folder) as connection:
        connection.execute("UPDATE revisions SET mask = x'00' WHERE structure = 'bolus'")
    (message,) = wrong(folder)
    assert "1 of 2 masks are damaged" in message
    assert "frame 1, bolus" in message


def test_a_mask_of_another_size(folder: Path) -> None:
    with database(folder) as connection:
        connection.execute("UPDATE clips SET height = 33")
    messages = wrong(folder)
    assert any("was (4, 33, 48)" in message for message in messages)
    assert any("it has 32 x 48 pixels, the frame 33 x 48" in message for message in messages)


def test_an_accepted_structure_without_its_mask(folder: Path) -> None:
    with database(folder) as connection:
        connection.execute("UPDATE revisions SET mask = NULL WHERE structure = 'bolus'")
    assert "accepted, but there is no mask" in wrong(folder)[0]


def test_a_damaged_database(folder: Path) -> None:
    path = folder / "vfss.sqlite"
    content = bytearray(path.read_bytes())
    with contextlib.closing(sqlite3.connect(path)) as connection:
        (root,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'revisions_of_a_plane'"
        ).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    content[(root - 1) * size : root * size] = bytes(size)
    path.write_bytes(content)
    assert any("database" in message for message in wrong(folder))


def test_a_damaged_student(folder: Path) -> None:
    path = add_student(folder)
    path.write_bytes(path.read_bytes()[:1000])
    (message,) = wrong(folder)
    assert path.stem in message


def test_a_folder_that_is_no_project(tmp_path: Path) -> None:
    (message,) = wrong(tmp_path)
    assert "not a project" in message


def test_a_recording_is_decoded_to_its_end(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for t, frame in enumerate(grey_frames(6, HEIGHT, WIDTH)):
        iio.imwrite(pictures / f"{t}.png", frame)
    (finding,) = check_clip(pictures)
    assert not finding.wrong
    assert "6 frames, all readable" in finding.message
    content = (pictures / "4.png").read_bytes()
    (pictures / "4.png").write_bytes(content[: len(content) // 2])
    calls: list[tuple[int, int]] = []
    (finding,) = check_clip(pictures, lambda done, total: calls.append((done, total)) or True)
    assert finding.wrong
    assert "1 of 6 frames are not readable" in finding.message
    assert calls[-1] == (6, 6)
    (finding,) = check_clip(tmp_path / "missing.mkv")
    assert finding.wrong
