# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from small_project import THREE, annotate, disc, grey_frames, write_video
from vfss.errors import SchemaError
from vfss.masks import MaskState
from vfss.project import Project
from vfss.proposals.student import propose_clip, proposed_words, unproposed
from vfss.student import Student, load_student

FRAMES = 20


@pytest.fixture(scope="module")
def student() -> Student:
    return load_student(device="cpu")


@pytest.fixture
def project(tmp_path: Path):
    with Project.create(tmp_path / "project") as made:
        made.add_clip(write_video(tmp_path / "clip.mkv", grey_frames(FRAMES, 48, 40)))
        yield made


def test_every_frame_wanted_gets_its_own_proposal(project: Project, student: Student) -> None:
    clip = project.clips()[0].id
    told: list[tuple[int, int]] = []
    wanted = [15, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    done = propose_clip(project, student, clip, wanted, lambda n, total: told.append((n, total)) or True)
    assert done == len(wanted)
    assert told[-1] == (10, 10)
    states = project.states(clip)
    assert set(np.flatnonzero((states == MaskState.PROPOSED).all(axis=1))) == set(wanted)
    with project.open_clip(clip) as frames:
        alone = student.propose(frames.as_uint8(15)[None])[0]
    np.testing.assert_allclose(project.confidence(clip, 15), alone.confidence, atol=0.02)


def test_what_is_done_is_passed_over_and_people_are_not_overruled(project: Project, student: Student) -> None:
    clip = project.clips()[0].id
    mask = disc(48, 40, y=20, x=20, radius=6)
    annotate(project, clip, 0, {"bolus": mask, "c1": MaskState.NOT_VISIBLE})
    annotate(project, clip, 1, dict.fromkeys(project.schema.keys, MaskState.EMPTY))
    assert unproposed(project, clip, range(4), student.id) == [0, 2, 3]
    propose_clip(project, student, clip, [0, 3])
    assert unproposed(project, clip, range(4), student.id) == [2]
    assert unproposed(project, clip, range(4), "st-another") == [0, 2, 3]
    newest = project.newest(clip, 0)
    np.testing.assert_array_equal(newest["bolus"].mask, mask)
    assert newest["c1"].state is MaskState.NOT_VISIBLE
    assert newest["airway"].state is MaskState.PROPOSED


def test_a_student_leaves_imported_masks_and_says_so(project: Project, student: Student) -> None:
    record = project.clips()[0]
    mask = disc(48, 40, y=20, x=20, radius=6)
    for key in ("bolus", "c2"):
        annotate(project, record.id, 2, {key: (mask, MaskState.PROPOSED)}, author="ann", origin="import")
    assert unproposed(project, record.id, [2], student.id) == [2]
    propose_clip(project, student, record.id, [2])
    newest = project.newest(record.id, 2)
    np.testing.assert_array_equal(newest["bolus"].mask, mask)
    assert (newest["c2"].origin, newest["c3"].origin) == ("import", "proposal")
    assert unproposed(project, record.id, [2], student.id) == []
    words = proposed_words(project, record, 1)
    assert words == f"clip.mkv: proposed on 1 frames of {FRAMES}; 2 imported masks are left as they are"


def test_stopping_keeps_what_is_done(project: Project, student: Student) -> None:
    clip = project.clips()[0].id
    done = propose_clip(project, student, clip, range(FRAMES), lambda n, total: False)
    assert 0 < done < FRAMES
    assert (project.states(clip) == MaskState.PROPOSED).all(axis=1).sum() == done


def test_a_student_of_other_structures_is_refused(tmp_path: Path, student: Student) -> None:
    video = write_video(tmp_path / "clip.mkv", grey_frames(2, 48, 40))
    with Project.create(tmp_path / "three", THREE) as project:
        clip = project.add_clip(video).id
        with pytest.raises(SchemaError, match=r"the project has bolus, pharynx, mandible.*Choose"):
            propose_clip(project, student, clip, [0])
        assert project.last_revision() == 0
