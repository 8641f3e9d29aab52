# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
from pathlib import Path

import imageio.v3 as iio
import pytest
from typer.testing import CliRunner

from damaged_clip import smooth, write_damaged
from small_project import THREE, annotate, disc, grey_frames, write_video
from vfss.cli.app import app
from vfss.clips import open_clip
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
        (rule,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'revisions_stay'").fetchone()
        connection.execute("DROP TRIGGER revisions_stay")
        yield connection
        connection.execute(rule)


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


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can read as somebody who may not write"
)
def test_a_sound_project_where_nobody_may_write_is_sound(folder: Path) -> None:
    assert wrong(folder) == []  # loads all that is loaded when it is needed, which nobody else could read
    with tempfile.TemporaryDirectory() as elsewhere:
        share = Path(elsewhere) / "share"
        shutil.copytree(folder.parent, share)
        for path in (share.parent, share, *share.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        before = contents(share)
        os.seteuid(65534)
        try:
            with Project.open(share / "project") as project:
                assert project.read_only
            findings = check_project(share / "project")
        finally:
            os.seteuid(0)
        assert [finding.message for finding in findings if finding.note] == [
            "everybody with an account on this computer may read it (chmod o-r)"
        ]
        assert not [finding for finding in findings if finding.wrong]
        assert contents(share) == before


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_mask_that_is_no_longer_shown_is_checked_too(folder: Path) -> None:
    with Project.open(folder) as project:
        clip = project.clips()[0].id
        annotate(project, clip, 1, {"bolus": disc(HEIGHT, WIDTH, y=12, x=12, radius=5)})
    with database(folder) as connection:
        connection.execute("UPDATE revisions SET mask = substr(mask, 2) WHERE id = 1")
    (message,) = wrong(folder)
    assert "1 of 3 masks are damaged" in message


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
    assert any("it was read as 4 of 33 x 48" in message for message in messages)
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
    assert finding.message == "all 6 frames decoded, all readable"
    content = (pictures / "4.png").read_bytes()
    (pictures / "4.png").write_bytes(content[: len(content) // 2])
    calls: list[tuple[int, int]] = []
    (finding,) = check_clip(pictures, lambda done, total: calls.append((done, total)) or True)
    assert finding.wrong
    assert "all 6 frames decoded; 1 frame is not readable: 4 (4.png cannot be read" in finding.message
    assert calls[-1] == (6, 6)
    (finding,) = check_clip(tmp_path / "missing.mkv")
    assert finding.wrong


def test_what_the_reader_found_on_opening_is_told(tmp_path: Path) -> None:
    iio.imwrite(tmp_path / "stack.tif", grey_frames(3, HEIGHT, WIDTH))
    with open_clip(tmp_path / "stack.tif") as clip:
        notes = clip.notes
    findings = check_clip(tmp_path / "stack.tif")
    assert [finding.message for finding in findings if finding.note] == list(notes)
    with Project.create(tmp_path / "project", THREE) as project:
        project.add_clip(tmp_path / "stack.tif")
    assert [finding.message for finding in check_project(tmp_path / "project") if finding.note] == list(notes)


def test_a_project_says_how_many_frames_were_decoded_and_reads_all_when_asked(tmp_path: Path) -> None:
    path = write_damaged(tmp_path, "png", smooth(12, HEIGHT, WIDTH), [4])
    with Project.create(tmp_path / "project", THREE) as project:
        clip = project.add_clip(path).id
        (few,) = (one for one in check_project(project.folder) if one.subject == "clip pictures")
        assert few.message == f"{path}: 3 of 12 frames decoded, these are readable" and not few.wrong
        assert project.frame_checks.digests(clip) == {}, "checking a few frames keeps nothing"
        calls: list[tuple[int, int]] = []
        every = check_project(project.folder, lambda *call: calls.append(call) or True, every_frame=True)
        (found,) = (one for one in every if one.subject == "clip pictures")
        assert found.wrong and "all 12 frames decoded; 1 frame is not readable: 4 (" in found.message
        assert calls[-1] == (12, 12)
        assert list(project.frame_checks.damaged_frames(clip)) == [4]
        assert sorted(project.frame_checks.digests(clip)) == [*range(4), *range(5, 12)]
        known = [one.message for one in check_project(project.folder) if one.wrong]
        assert len(known) == 1 and known[0].startswith("1 more frame was not readable when last read: 4 (")


def test_a_frame_that_is_decoded_otherwise_than_at_first_is_named(folder: Path) -> None:
    with Project.open(folder) as project:
        clip = project.clips()[0].id
        assert not wrong(folder)
        project.frame_checks.record(clip, {2: 12345, 3: "no start of image"})
        (changed,) = (message for message in wrong(folder))
        assert "1 frame is decoded differently than when first read: 2." in changed
        findings = check_project(folder, every_frame=True)
        assert [one.message for one in findings if one.note] == ["can be decoded again: 3"]
        assert project.frame_checks.damaged_frames(clip) == {}
        assert project.frame_checks.digests(clip)[2] == 12345, "what was first read stays"


def test_the_command_tells_notes_and_decodes_all_frames_when_asked(folder: Path) -> None:
    runner = CliRunner()
    few = runner.invoke(app, ["check", str(folder)])
    assert few.exit_code == 0 and "3 of 4 frames decoded" in few.stdout
    every = runner.invoke(app, ["check", "--frames", str(folder)])
    assert every.exit_code == 0 and "all 4 frames decoded, all readable" in every.stdout
