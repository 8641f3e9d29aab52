# SPDX-License-Identifier: Apache-2.0
"""Proposing anew what nobody accepted, and two students side by side."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from prescribed_student import PrescribedStudent
from small_project import THREE, annotate, disc, grey_frames, write_stack
from vfss.masks import MaskState
from vfss.project import Edit, Project, Provenance
from vfss.proposals.renewal import changes_by_structure, largest_changes, outdated, renew_clip
from vfss.proposals.side_by_side import mean_agreement, side_by_side, spread

FRAMES, HEIGHT, WIDTH = 4, 24, 32


class Student(PrescribedStudent):
    """The same masks on every frame, shifted by some columns."""

    def __init__(self, name: str, frames: np.ndarray, shift: int) -> None:
        plane = disc(HEIGHT, WIDTH, y=12, x=12 + shift, radius=5)
        super().__init__(frames, dict.fromkeys(range(len(frames)), np.stack([plane, plane, np.zeros_like(plane)])))
        self.id = name

    def propose(self, frames: np.ndarray, **settings: object) -> list:
        return list(self.propose_each(frames))


@pytest.fixture
def frames() -> np.ndarray:
    return grey_frames(FRAMES, HEIGHT, WIDTH)


@pytest.fixture
def project(tmp_path: Path, frames: np.ndarray) -> Iterator[Project]:
    with Project.create(tmp_path / "project", THREE) as made:
        made.add_clip(write_stack(tmp_path / "a.tif", frames), patient="A")
        yield made


def propose(project: Project, student: Student) -> None:
    """Let a student propose on all frames of the first clip as if nothing was there."""
    (record,) = project.clips()
    with project.open_clip(record.id) as clip:
        pictures = np.stack([clip[t] for t in range(FRAMES)])
        for t, proposal in enumerate(student.propose(pictures)):
            edits = [
                Edit(
                    record.id,
                    t,
                    key,
                    proposal.plane(key),
                    MaskState.PROPOSED,
                    provenance=Provenance("student", student=student.id),
                )
                for key in THREE.keys
            ]
            project.write(edits, author=student.id, origin="proposal")


def test_only_what_nobody_accepted_is_proposed_anew(project: Project, frames: np.ndarray) -> None:
    old, new = Student("st-old", frames, 0), Student("st-new", frames, 4)
    (record,) = project.clips()
    propose(project, old)
    mask = disc(HEIGHT, WIDTH, y=5, x=5, radius=3)
    annotate(project, record.id, 0, {"bolus": mask})
    annotate(project, record.id, 1, {"bolus": (mask, MaskState.EDITED)})
    asked = Edit(record.id, 2, "bolus", mask, MaskState.PROPOSED, provenance=Provenance.propagated(0, None))
    project.write([asked], author="propagation", origin="proposal")
    kept = {t: project.newest(record.id, t)["bolus"] for t in range(3)}

    renewed = [mask for _, masks in renew_clip(project, record, new) for mask in masks]
    assert {t: project.newest(record.id, t)["bolus"] for t in range(3)} == kept
    assert len(renewed) == FRAMES * 3 - 3
    assert {project.newest(record.id, t)["pharynx"].student for t in range(FRAMES)} == {"st-new"}
    assert outdated(project, record.id, "st-new", THREE.keys) == {}
    assert list(renew_clip(project, record, new)) == [], "nothing is left to do"

    bolus, pharynx, mandible = sorted(changes_by_structure(renewed), key=lambda row: row.structure == "mandible")[:3]
    rows = {row.structure: row for row in (bolus, pharynx, mandible)}
    assert (rows["pharynx"].masks, rows["pharynx"].changed) == (4, 4)
    assert (rows["bolus"].masks, rows["mandible"].changed, rows["mandible"].mean_dice) == (1, 0, 1.0)
    largest = largest_changes(renewed)
    assert [one.structure for one in largest].count("pharynx") == 4 and len(largest) == 5
    assert largest == sorted(largest, key=lambda one: (one.dice, one.clip, one.frame))


def test_a_renewal_that_is_stopped_leaves_the_rest(project: Project, frames: np.ndarray) -> None:
    (record,) = project.clips()
    propose(project, Student("st-old", frames, 0))
    first = next(renew_clip(project, record, Student("st-new", frames, 4)))
    assert first[0] == (0,)
    assert list(outdated(project, record.id, "st-new", THREE.keys)) == [1, 2, 3]


def test_two_students_side_by_side_write_nothing(project: Project, frames: np.ndarray) -> None:
    (record,) = project.clips()
    pairs = list(side_by_side(project, record.id, Student("st-a", frames, 0), Student("st-b", frames, 4)))
    assert [pair.frame for pair in pairs] == [0, 1, 2, 3]
    assert project.last_revision() == 0
    np.testing.assert_array_equal(pairs[2].masks("old")["bolus"], disc(HEIGHT, WIDTH, y=12, x=12, radius=5))
    assert 0 < pairs[0].dice["bolus"] < 0.9 and pairs[0].dice["mandible"] == 1.0
    assert mean_agreement(pairs)["bolus"] == pytest.approx(pairs[0].dice["bolus"])


@pytest.mark.parametrize(("n_frames", "expected"), [(1, [0]), (3, [0, 1, 2]), (90, 12)])
def test_frames_are_spread_over_the_clip(n_frames: int, expected: object) -> None:
    frames = spread(n_frames)
    assert frames == expected or (len(frames) == expected and (frames[0], frames[-1]) == (0, n_frames - 1))
