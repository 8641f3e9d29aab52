# SPDX-License-Identifier: Apache-2.0
"""The survey of a clip: read once from the project, then only changes."""

from __future__ import annotations

import numpy as np
import pytest

from vfss.consistency.survey import Survey
from vfss.masks import Masks, MaskState
from vfss.project import Edit, Project
from vfss.student import Proposal

N, SIDE = 24, 160


@pytest.fixture
def project(tmp_path, clip_file):
    with Project.create(tmp_path / "project") as made:
        made.add_clip(clip_file)
        yield made


@pytest.fixture
def clip_id(project):
    return project.clips()[0].id


def square(top):
    mask = np.zeros((SIDE, SIDE), np.bool_)
    mask[top : top + 20, 30:60] = True
    return mask


def propose(project, clip_id, frames, confidence=0.9, top=40):
    planes = np.zeros((len(project.schema), SIDE, SIDE), np.bool_)
    planes[0] = square(top)
    state = np.zeros(len(planes), np.uint8)
    state[0] = MaskState.PROPOSED
    confidences = np.full(len(planes), confidence, np.float32)
    project.write_proposals(
        clip_id, [Proposal(project.schema.keys, Masks(planes, state), confidences, "st", clip_id, t) for t in frames]
    )


def survey_of(project, clip_id):
    return Survey(project.overview, clip_id, N, len(project.schema))


def last_of(survey):
    return list(survey.catch_up())[-1]


def same(a, b):
    return all(
        np.array_equal(getattr(a, name), getattr(b, name), equal_nan=True)
        for name in ("confidence", "inconsistency", "centres", "corrected")
    )


def test_a_survey_has_confidence_centres_and_jumps(project, clip_id):
    propose(project, clip_id, range(10))
    propose(project, clip_id, [5], confidence=0.4, top=100)
    state = last_of(survey_of(project, clip_id))
    assert state.complete
    assert state.confidence[4, 0] == pytest.approx(0.9)
    assert state.confidence[5, 0] == pytest.approx(0.4)
    assert np.isnan(state.confidence[10:]).all()
    assert np.isnan(state.confidence[:, 1]).all()
    assert tuple(state.centres[3, 0]) == (49.5, 44.5)
    assert list(np.flatnonzero(np.nan_to_num(state.inconsistency[:, 0]) > 0.5)) == [5]


def test_catching_up_equals_reading_again(project, clip_id):
    propose(project, clip_id, range(12))
    survey = survey_of(project, clip_id)
    list(survey.catch_up())
    propose(project, clip_id, [12, 13, 20], confidence=0.7)
    key = project.schema.keys[0]
    edits = [
        Edit(clip_id, 6, key, None, MaskState.EMPTY),
        Edit(clip_id, 7, key, square(90), MaskState.EDITED),
        Edit(clip_id, 23, key, None, MaskState.NOT_VISIBLE),
    ]
    project.write(edits, author="Ada", origin="hand")
    assert same(last_of(survey), last_of(survey_of(project, clip_id)))
    assert same(last_of(survey), last_of(survey))  # nothing new: nothing changes


def test_an_interrupted_survey_starts_again(project, clip_id):
    propose(project, clip_id, range(12))
    survey = survey_of(project, clip_id)
    first = next(iter(survey.catch_up()))
    assert not first.complete
    assert first.confidence[3, 0] == pytest.approx(0.9)
    propose(project, clip_id, [2], top=90)
    assert same(last_of(survey), last_of(survey_of(project, clip_id)))


def test_the_author_of_the_newest_mask(project, clip_id):
    propose(project, clip_id, [1])
    assert project.overview.author(clip_id, 1, 0) == "st"
    project.write([Edit(clip_id, 1, project.schema.keys[0], square(1), MaskState.EDITED)], author="Ada", origin="hand")
    assert project.overview.author(clip_id, 1, 0) == "Ada"
    assert project.overview.author(clip_id, 2, 0) is None


def test_what_a_person_made_of_a_proposal(project, clip_id):
    propose(project, clip_id, range(6))
    survey, key = survey_of(project, clip_id), project.schema.keys[0]
    assert np.isnan(last_of(survey).corrected).all()
    edits = [
        Edit(clip_id, 0, key, square(40), MaskState.ACCEPTED),
        Edit(clip_id, 1, key, square(41), MaskState.ACCEPTED),
        Edit(clip_id, 2, key, square(40), MaskState.EDITED),
        Edit(clip_id, 3, key, None, MaskState.EMPTY),
        Edit(clip_id, 4, key, None, MaskState.NOT_VISIBLE),
        Edit(clip_id, 9, key, square(40), MaskState.ACCEPTED),  # nothing was proposed here
    ]
    project.write(edits, author="Ada", origin="hand")
    corrected = last_of(survey).corrected[:, 0]
    assert list(corrected[:5]) == [0, 1, 0, 1, 1]
    assert np.isnan(corrected[5:]).all()
    propose(project, clip_id, [5], top=60)
    assert list(last_of(survey).corrected[:5, 0]) == [0, 1, 0, 1, 1]
