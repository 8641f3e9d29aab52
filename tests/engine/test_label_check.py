# SPDX-License-Identifier: Apache-2.0
"""The label check: planted errors come first, for the right reasons; what was found right is kept with its mask."""

from __future__ import annotations

import numpy as np
import pytest

from small_project import disc, grey_frames, write_video
from vfss.errors import ProjectError
from vfss.label_check.check import check_labels
from vfss.label_check.jumps import jumps
from vfss.label_check.levels import OUT_OF_ORDER, levels
from vfss.label_check.measures import deviation, measure
from vfss.label_check.overlaps import overlaps, pieces
from vfss.label_check.shapes import shape_in_clip
from vfss.masks import MaskState
from vfss.project import Edit, Project
from vfss.schema import Schema

CHAIN = ("la", "lb", "lc")
COLUMN = Schema.from_dict(
    {
        "id": "column",
        "version": "1",
        "title": "A chain of three",
        "structures": [
            {"key": key, "name": key.upper(), "colour": f"#00001{i}", "motion": "rigid", "chain": "column"}
            for i, key in enumerate(CHAIN)
        ],
    }
)
FRAMES, SIZE = 20, 64


def level(i, t=0):
    return disc(SIZE, SIZE, y=12 + 18 * i, x=30 + 0.2 * t, radius=6)


@pytest.fixture
def project(tmp_path):
    with Project.create(tmp_path / "project", COLUMN) as project:
        clip = project.add_clip(write_video(tmp_path / "clip.mkv", grey_frames(FRAMES, SIZE, SIZE))).id
        write(project, {(t, key): level(i, t) for t in range(FRAMES) for i, key in enumerate(CHAIN)})
        assert clip == project.clips()[0].id
        yield project


def write(project, masks, state=MaskState.ACCEPTED):
    clip = project.clips()[0].id
    edits = [Edit(clip, t, key, mask, state) for (t, key), mask in masks.items()]
    project.write(edits, author="Ada", origin="hand")


def scores(project, reason, *extra):
    return reason(measure(project, project.clips()[0].id), *extra)


def findings(project):
    *_, last = check_labels(project)
    return last.findings


def test_a_clean_project_has_nothing_to_say(project):
    found = findings(project)
    assert len(found) == FRAMES * len(CHAIN)
    assert not [finding for finding in found if finding.reasons]


@pytest.mark.parametrize("end", [7, 10])
def test_two_exchanged_levels_come_first_also_when_they_stay_exchanged_for_a_while(project, end):
    wrong = {(t, key): level(i, t) for t in range(7, end + 1) for key, i in (("la", 1), ("lb", 0))}
    write(project, wrong)
    first = findings(project)[: len(wrong)]
    assert {(finding.frame, finding.structure) for finding in first} == set(wrong)
    assert all({"jump", "level"} <= set(finding.reasons) for finding in first)
    assert "order or distance of the levels" in first[0].words
    assert scores(project, levels, COLUMN)[7, 0] == OUT_OF_ORDER


def test_a_level_without_a_mask_is_nothing_against_its_neighbours(project):
    write(project, {(t, "lc"): level(2) & False for t in range(FRAMES)}, MaskState.EDITED)
    assert scores(project, levels, COLUMN).max() < 1


def test_half_a_mask_is_a_shape_and_does_not_fit_its_neighbours(project):
    half = level(2)
    half[:, :30] = False
    write(project, {(0, "lc"): half})  # the first frame has neighbours on one side only
    (first, *_) = findings(project)
    assert (first.frame, first.structure) == (0, "lc")
    shape, jump = scores(project, shape_in_clip), scores(project, jumps)
    assert shape[0, 2] >= 1 > shape[1:, 2].max()
    assert jump[0, 2] >= 1 > jump[1:, 2].max()


def test_pieces_and_overlaps_are_told_apart(project):
    apart = level(0, 4) | disc(SIZE, SIZE, y=12, x=55, radius=3)
    write(project, {(4, "la"): apart, (9, "lb"): level(1, 9) | level(2, 9)})
    several, inside = scores(project, pieces), scores(project, overlaps)
    assert np.argwhere(several >= 1).tolist() == [[4, 0], [9, 1]]
    assert np.argwhere(inside >= 1).tolist() == [[9, 1], [9, 2]]


def test_only_accepted_masks_are_listed(project):
    write(project, {(3, "la"): level(2)}, MaskState.EDITED)
    assert (3, "la") not in {(finding.frame, finding.structure) for finding in findings(project)}


def test_a_project_without_masks_has_an_empty_list(tmp_path):
    with Project.create(tmp_path / "empty", COLUMN) as project:
        assert findings(project) == ()
        project.add_clip(write_video(tmp_path / "clip.mkv", grey_frames(3, SIZE, SIZE)))
        assert findings(project) == ()


def test_deviations_are_robust_and_need_something_to_compare_with():
    values = np.array([1, 1.1, 0.9, 1, 1.05, 9, np.nan], np.float32)
    far = deviation(values, 0.1)
    assert far[5] > 50
    assert far[[0, 1, 2, 3, 4, 6]].max() <= 1.5
    assert not deviation(values[:4], 0.1).any()


def test_what_is_right_is_kept_until_the_mask_changes(project):
    clip = project.clips()[0].id
    place = (clip, 5, "lb")
    project.label_dismissals.dismiss(place, "Grace")
    project.label_dismissals.dismiss(place, "Ada")
    assert [(at, author) for at, (author, _) in project.label_dismissals.places().items()] == [(place, "Grace")]
    project.check()
    with Project.open(project.folder) as again:
        assert set(again.label_dismissals.places()) == {place}
    write(project, {(5, "lb"): level(0)})
    assert project.label_dismissals.places() == {}
    with pytest.raises(ProjectError, match="name"):
        project.label_dismissals.dismiss(place, " ")
