# SPDX-License-Identifier: Apache-2.0
"""Clips of a project: identified by content, located after a move, with the flags a person set."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from small_project import THREE, grey_frames, write_stack, write_video
from vfss.clips import Swallow, content_id, open_clip
from vfss.clips.cached import ArrayClip
from vfss.errors import ClipError, ProjectError
from vfss.project import Project
from vfss.project.network_share import on_network

FRAMES = grey_frames(4, 24, 32)


def write_pictures(path: Path, frames: np.ndarray) -> Path:
    path.mkdir()
    for t, frame in enumerate(frames):
        iio.imwrite(path / f"frame_{t}.png", frame)
    return path


RECORDINGS: dict[str, Callable[[Path, np.ndarray], Path]] = {
    "swallow.mkv": write_video,
    "swallow.tif": write_stack,
    "pictures": write_pictures,
}


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    (tmp_path / "study").mkdir()
    with Project.create(tmp_path / "study" / "project", THREE) as made:
        yield made


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_recording_is_identified_by_its_content(project: Project, tmp_path: Path, name: str) -> None:
    path = RECORDINGS[name](tmp_path / name, FRAMES)
    record = project.add_clip(path)
    assert record.id == content_id(path)
    assert (record.path, record.n_frames, record.height, record.width, record.bits) == (path, 4, 24, 32, 8)
    copy = tmp_path / "another name"
    (shutil.copytree if path.is_dir() else shutil.copy)(path, copy)
    if path.is_file():
        copy = copy.rename(copy.with_suffix(path.suffix))
    again = project.add_clip(copy)
    assert (again.id, again.patient, again.added, again.path) == (record.id, record.patient, record.added, copy)
    assert project.clips() == [again]


def test_a_clip_that_is_open_is_added_as_it_is(project: Project, tmp_path: Path) -> None:
    path = write_video(tmp_path / "swallow.mkv", FRAMES)
    with open_clip(path) as clip:
        record = project.add_clip(clip)
        assert clip[3].shape == (24, 32)  # still open
    assert project.add_clip(path) == record
    with pytest.raises(ProjectError, match="no file"):
        project.add_clip(ArrayClip(FRAMES))


def test_clips_keep_the_order_of_adding_and_get_a_patient_each(project: Project, tmp_path: Path) -> None:
    paths = [write_video(tmp_path / f"{name}.mkv", grey_frames(2, 16, 16, seed=ord(name))) for name in "cab"]
    records = [project.add_clip(path) for path in paths]
    assert project.clips() == records
    assert len({record.patient for record in records}) == 3
    assert project.clip(records[1].id) == records[1]


def test_flags_of_a_person_are_kept_and_go_with_the_opened_clip(project: Project, tmp_path: Path) -> None:
    record = project.add_clip(write_video(tmp_path / "a.mkv", FRAMES), patient="P1")
    swallows = (Swallow(0, 1), Swallow(3, 3))
    changed = project.update_clip(record.id, facing="left", inverted=True, swallows=swallows)
    assert (changed.facing, changed.inverted, changed.swallows, changed.patient) == ("left", True, swallows, "P1")
    assert project.update_clip(record.id, patient="P2").facing == "left"
    assert project.update_clip(record.id, inverted=False, swallows=[]).swallows == ()
    assert project.add_clip(tmp_path / "a.mkv").patient == "P2"
    assert project.add_clip(tmp_path / "a.mkv", patient="P3").facing == "left"
    with project.open_clip(record.id) as clip:
        assert (clip.facing, clip.inverted, clip.swallows, clip.id) == ("left", False, (), record.id)
        np.testing.assert_array_equal(clip[2], FRAMES[2])


def test_what_the_project_does_not_have(project: Project, tmp_path: Path) -> None:
    for ask in (project.clip, project.locate, project.open_clip, project.update_clip, project.states):
        with pytest.raises(ProjectError, match="has no clip b2-nothing"):
            ask("b2-nothing")
    with pytest.raises(ProjectError, match="patient needs a name"):
        project.add_clip(write_video(tmp_path / "a.mkv", FRAMES), patient=" ")
    with pytest.raises(ClipError):
        project.add_clip(tmp_path / "missing.mkv")
    assert project.clips() == []


MOVES = {
    "renamed in its place": "study/recordings/other.mkv",
    "into a folder below": "study/recordings/2026/p1/a.mkv",
    "into the project": "study/project/clips/a.mkv",
    "into a folder beside the project": "study/elsewhere/a.mkv",
    "to a sibling of its folder's folder": "archive/a.mkv",
}


@pytest.mark.parametrize("place", MOVES.values(), ids=MOVES.keys())
def test_a_moved_recording_is_found_by_its_content(project: Project, tmp_path: Path, place: str) -> None:
    (tmp_path / "study" / "recordings").mkdir()
    old = write_video(tmp_path / "study" / "recordings" / "a.mkv", FRAMES)
    record = project.add_clip(old)
    new = tmp_path / place
    new.parent.mkdir(parents=True, exist_ok=True)
    old.rename(new)
    write_video(old, grey_frames(4, 24, 32, seed=9))  # another recording under its name, of almost the same size
    assert project.locate(record.id) == new
    assert project.clip(record.id).path == new
    with project.open_clip(record.id) as clip:
        assert clip.id == record.id


def test_a_moved_folder_of_pictures_is_found_in_a_named_folder(project: Project, tmp_path: Path) -> None:
    old = write_pictures(tmp_path / "study" / "pictures", FRAMES)
    record = project.add_clip(old)
    far = tmp_path / "another disk" / "a" / "b" / "c" / "d"
    far.mkdir(parents=True)
    old.rename(far / "frames of a swallow")
    with pytest.raises(ClipError, match=r"no longer there.*name the folder") as caught:
        project.locate(record.id)
    assert caught.value.path == old
    assert project.locate(record.id, [tmp_path / "another disk"]) == far / "frames of a swallow"
    assert project.locate(record.id) == far / "frames of a swallow"


def test_a_recording_may_be_named_itself(project: Project, tmp_path: Path) -> None:
    record = project.add_clip(write_video(tmp_path / "study" / "a.mkv", FRAMES))
    far = tmp_path / "far" / "1" / "2" / "3" / "b.mkv"
    far.parent.mkdir(parents=True)
    (tmp_path / "study" / "a.mkv").rename(far)
    assert project.locate(record.id, [far]) == far


def test_a_changed_recording_is_not_taken_for_the_one_it_was(project: Project, tmp_path: Path) -> None:
    path = write_stack(tmp_path / "study" / "a.tif", FRAMES)
    record = project.add_clip(path)
    write_stack(path, grey_frames(len(FRAMES), *FRAMES.shape[1:], seed=1))
    with pytest.raises(ClipError, match=r"no longer the recording: its bytes were changed, nor"):
        project.open_clip(record.id)
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ClipError, match=f"it has 100 bytes instead of {size}, nor"):
        project.open_clip(record.id)


def test_a_study_folder_may_move_with_its_project_and_a_project_alone(project: Project, tmp_path: Path) -> None:
    record = project.add_clip(write_video(tmp_path / "study" / "a.mkv", FRAMES))
    project.close()
    (tmp_path / "study").rename(tmp_path / "moved")
    with Project.open(tmp_path / "moved" / "project") as moved:
        assert moved.clip(record.id).path == tmp_path / "moved" / "a.mkv"
        again = moved.add_clip(tmp_path / "moved" / "a.mkv")
    (tmp_path / "far").mkdir()
    (tmp_path / "moved" / "project").rename(tmp_path / "far" / "project")
    with Project.open(tmp_path / "far" / "project") as alone:
        assert alone.locate(again.id) == tmp_path / "moved" / "a.mkv"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows makes links only for administrators")
def test_a_search_does_not_follow_links_in_circles(project: Project, tmp_path: Path) -> None:
    record = project.add_clip(write_video(tmp_path / "study" / "a.mkv", FRAMES))
    (tmp_path / "study" / "a.mkv").unlink()
    (tmp_path / "study" / "circle").symlink_to(tmp_path)
    with pytest.raises(ClipError, match="no longer there"):
        project.locate(record.id)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows names its shares in another way")
def test_network_shares_are_distinguished_from_disks(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "22 1 254:0 / / rw shared:1 - ext4 /dev/vda rw\n"
        "31 22 0:40 / /mnt/ward\\040share rw - cifs //server/ward rw\n"
        "32 31 0:41 / /mnt/ward\\040share/local rw - tmpfs tmpfs rw\n"
        "33 22 0:42 / /data rw shared:7 master:2 - nfs4 server:/data rw\n"
        "34 22 0:43 / /scratch rw - nfs server:/scratch rw\n"
        "35 34 0:44 / /scratch rw - ext4 /dev/vdb rw\n"
        "a line of another kind\n"
    )
    expected = {
        "/home/ann/vfss.sqlite": False,
        "/mnt/ward share/vfss.sqlite": True,
        "/mnt/ward sharedisk/vfss.sqlite": False,
        "/mnt/ward share/local/vfss.sqlite": False,
        "/data/study/vfss.sqlite": True,
        "/scratch/vfss.sqlite": False,
    }
    assert {path: on_network(Path(path), mounts) for path in expected} == expected
    assert not on_network(Path("/data/vfss.sqlite"), tmp_path / "no such list")
