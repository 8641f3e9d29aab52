# SPDX-License-Identifier: Apache-2.0
"""Working times from the times of revisions: pauses left out, acts divided, days and proposals counted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from small_project import THREE, annotate, disc, grey_frames, write_stack
from vfss.masks import MaskState
from vfss.project import Edit, Project
from vfss.project.provenance import Provenance
from vfss.project.work_times import PAUSE_S, MaskWritten, mask_times

START = datetime(2026, 12, 1, 9, tzinfo=UTC)
MASK = disc(48, 64, y=14, x=20, radius=6)


def written(at_s, structure="bolus", frame=0, author="Ada"):
    return MaskWritten("clip", frame, structure, author, START + timedelta(seconds=at_s))


def test_the_first_act_and_one_after_a_pause_have_no_known_time():
    masks = [written(0), written(30, frame=1), written(30 + PAUSE_S + 1, frame=2), written(170, frame=3)]
    assert [(mask.frame, seconds) for mask, seconds in mask_times(masks)] == [(1, 30.0), (3, 19.0)]


def test_an_act_on_several_structures_is_divided_among_them():
    masks = [written(0), *(written(12, key) for key in ("bolus", "pharynx", "mandible"))]
    assert [(mask.structure, seconds) for mask, seconds in mask_times(masks)] == [
        ("bolus", 4.0),
        ("pharynx", 4.0),
        ("mandible", 4.0),
    ]


def test_people_who_work_at_the_same_time_have_times_of_their_own():
    masks = [written(0), written(5, author="Ben"), written(10), written(25, author="Ben")]
    assert sorted((mask.author, seconds) for mask, seconds in mask_times(masks)) == [("Ada", 10.0), ("Ben", 20.0)]


@given(st.lists(st.floats(0, 4000), min_size=2, max_size=40), st.floats(1, 300))
def test_times_never_exceed_the_span_of_the_work(moments, pause_s):
    masks = [written(moment, frame=i) for i, moment in enumerate(sorted(moments))]
    times = [seconds for _, seconds in mask_times(masks, pause_s)]
    assert all(0 <= seconds <= pause_s for seconds in times)
    assert sum(times) <= max(moments) - min(moments) + 1e-3


@pytest.fixture
def project(tmp_path):
    with Project.create(tmp_path / "project", THREE) as made:
        made.add_clip(write_stack(tmp_path / "clip.tif", grey_frames(4, 48, 64)))
        yield made


def propose(project, frame, key, mask=MASK):
    clip = project.clips()[0].id
    made = Provenance("student", student="s1")
    project.write(
        [Edit(clip, frame, key, mask, MaskState.PROPOSED, 0.9, provenance=made)], author="s1", origin="proposal"
    )


def test_accepted_masks_are_compared_with_the_newest_proposal(project):
    clip = project.clips()[0].id
    nothing = np.zeros((48, 64), np.bool_)
    propose(project, 0, "bolus", disc(48, 64, y=30, x=20, radius=6))
    propose(project, 0, "bolus")
    propose(project, 0, "pharynx")
    propose(project, 1, "bolus", nothing)
    propose(project, 1, "pharynx")
    propose(project, 2, "bolus")
    annotate(project, clip, 0, {"bolus": MASK, "pharynx": disc(48, 64, y=14, x=21, radius=6), "mandible": MASK})
    annotate(project, clip, 1, {"bolus": MaskState.EMPTY, "pharynx": MaskState.EMPTY})
    result = project.work_times().untouched
    assert set(result) == {"s1"}
    assert (result["s1"].accepted, result["s1"].untouched, result["s1"].share) == (4, 2, 0.5)


def test_frames_are_counted_once_a_day_and_person_and_proposals_never(project):
    clip = project.clips()[0].id
    propose(project, 3, "bolus")
    annotate(project, clip, 0, {"bolus": MASK}, author="Ada")
    annotate(project, clip, 0, {"pharynx": MASK}, author="Ada")
    annotate(project, clip, 1, {"bolus": MASK}, author="Ada")
    annotate(project, clip, 1, {"bolus": MaskState.EMPTY}, author="Ben")
    result = project.work_times()
    today = datetime.now().astimezone().date()
    yesterday = today - timedelta(days=1)  # the test may run over midnight
    days = {author: n for (day, author), n in result.frames_a_day.items() if day in (today, yesterday)}
    assert days == {"Ada": 2, "Ben": 1}
    assert result.by_structure["bolus"].frames == 1 and result.by_structure["pharynx"].frames == 1
    assert all(pace.seconds_a_frame < PAUSE_S for pace in result.by_structure.values())
    assert set(result.by_student) == {None}


def test_an_empty_project_has_no_figures(project):
    result = project.work_times()
    assert not result.frames_a_day and not result.by_structure and not result.untouched
