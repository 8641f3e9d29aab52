# SPDX-License-Identifier: Apache-2.0
"""A project as a folder: created, opened, closed, reopened, copied."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from small_project import THREE, disc, grey_frames, write_video
from vfss.errors import ProjectError
from vfss.masks import MaskState
from vfss.project import ClipRecord, Edit, Project

HEIGHT, WIDTH = 24, 32
DISC = disc(HEIGHT, WIDTH, y=10, x=12, radius=5)
OTHER = disc(HEIGHT, WIDTH, y=14, x=20, radius=7)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    write_video(tmp_path / "swallow.mkv", grey_frames(5, HEIGHT, WIDTH))
    with Project.create(tmp_path / "project", THREE) as made:
        made.add_clip(tmp_path / "swallow.mkv")
        yield made


@pytest.fixture
def clip(project: Project) -> ClipRecord:
    return project.clips()[0]


def test_all_is_there_after_reopening(project: Project, clip: ClipRecord) -> None:
    project.write([Edit(clip.id, 0, "bolus", DISC, MaskState.ACCEPTED)], author="ann", origin="hand")
    project.remember("ann", "view", {"clip": clip.id, "frame": 3, "zoom": 1.5})
    project.remember("ann", "view", {"clip": clip.id, "frame": 4, "zoom": 2.5})
    project.close()
    project.close()
    with pytest.raises(ProjectError, match="the project is closed"):
        project.clips()
    with Project.open(project.folder) as again:
        assert (again.id, again.schema) == (project.id, THREE)
        assert again.clips() == [clip]
        np.testing.assert_array_equal(again.masks(clip.id, 0).planes[0], DISC)
        assert again.recall("ann", "view") == {"clip": clip.id, "frame": 4, "zoom": 2.5}
        assert again.recall("bob", "view") is None


def test_only_json_values_are_remembered(project: Project) -> None:
    project.remember("ann", "view", 1)
    with pytest.raises(ProjectError, match="cannot be kept"):
        project.remember("ann", "view", {1, 2})
    assert project.recall("ann", "view") == 1


def test_create_open_and_open_or_create(tmp_path: Path) -> None:
    folder = tmp_path / "with spaces, ä and #%?"
    with pytest.raises(ProjectError, match="no such folder"):
        Project.open(folder)
    with Project.open_or_create(folder) as made:
        assert len(made.schema) == 12
    with Project.open_or_create(folder) as opened:
        assert opened.id == made.id
    with pytest.raises(ProjectError, match="there is a project already"):
        Project.create(folder)
    with pytest.raises(ProjectError, match=r"structures of vfss12 1\.0\.0, not of three 2\.1\.0"):
        Project.open_or_create(folder, THREE)
    with pytest.raises(ProjectError, match="not a project"):
        Project.open(tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == ["students", "vfss.sqlite"]


def test_a_schema_of_more_structures_than_bits_of_one_integer(tmp_path: Path) -> None:
    rows = [{"key": f"s{i}", "name": f"S{i}", "colour": "#FFFFFF"} for i in range(47)]
    schema = type(THREE).from_dict({"id": "many", "version": "1", "structures": rows})
    write_video(tmp_path / "c.mkv", grey_frames(3, HEIGHT, WIDTH))
    with Project.create(tmp_path / "p", schema) as project:
        clip = project.add_clip(tmp_path / "c.mkv")
        expected = np.zeros((3, 47), np.uint8)
        for i in range(0, 47, 2):
            expected[i % 3, i] = MaskState.NOT_VISIBLE if i % 4 else MaskState.EMPTY
            edit = Edit(clip.id, i % 3, f"s{i}", None, MaskState(expected[i % 3, i]))
            project.write([edit], author="ann", origin="hand")
        np.testing.assert_array_equal(project.states(clip.id), expected)


def test_a_project_pickles_as_its_folder(project: Project) -> None:
    with pickle.loads(pickle.dumps(project)) as other:
        assert other.id == project.id


def test_a_backup_is_a_project_of_that_moment(project: Project, clip: ClipRecord, tmp_path: Path) -> None:
    project.write([Edit(clip.id, 0, "bolus", DISC, MaskState.ACCEPTED)], author="ann", origin="hand")
    (tmp_path / "backup").mkdir()
    project.back_up(tmp_path / "backup" / "vfss.sqlite")
    project.write([Edit(clip.id, 0, "bolus", OTHER, MaskState.ACCEPTED)], author="ann", origin="hand")
    with pytest.raises(ProjectError, match="already"):
        project.back_up(tmp_path / "backup" / "vfss.sqlite")
    with Project.open(tmp_path / "backup") as copy:
        np.testing.assert_array_equal(copy.masks(clip.id, 0).planes[0], DISC)
