# SPDX-License-Identifier: Apache-2.0
"""Splits by patient: both training and held-out patients early, shares in the long run, and no patient ever moves."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import insert

from small_project import THREE, annotate, disc, grey_frames, write_video
from vfss.errors import ProjectError
from vfss.project import Project
from vfss.project.database import Database
from vfss.project.patients import assign_splits, list_patients
from vfss.project.splits import SHARES, SplitCounts, Splits
from vfss.project.tables import clips


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.create(tmp_path / "project", THREE) as made:
        yield made


def add(project: Project, patient: str) -> str:
    seed = len(project.clips())
    path = write_video(project.folder / f"{seed}.mkv", grey_frames(2, 16, 16, seed=seed))
    return project.add_clip(path, patient=patient).id


def enrol(database: Database, patients: list[str]) -> None:
    """Give each patient a clip; its recording is never opened."""
    facts = {"absolute": "/x", "is_folder": False, "size": 1, "n_frames": 1, "height": 1, "width": 1, "bits": 8}
    facts |= {"facing": "left", "inverted": False, "swallows": [], "path": "x"}
    with database.writing() as connection:
        for name in patients:
            row = facts | {"id": f"{name}-{datetime.now(UTC)}", "patient": name, "added": datetime.now(UTC)}
            connection.execute(insert(clips), [row])


def test_the_first_patient_is_for_training_and_the_second_held_out(project: Project) -> None:
    assert project.splits() == {}
    add(project, "first")
    add(project, "first")
    assert project.splits() == {"first": "train"}
    add(project, "second")
    assert project.splits() == {"first": "train", "second": "validation"}
    assert project.split("second") == "validation"


def test_a_split_is_kept_when_clips_change_their_patient(project: Project) -> None:
    clip = add(project, "unnamed")
    assert project.split("unnamed") == "train"
    project.update_clip(clip, patient="named")
    add(project, "other")
    # The first has no clip any more: the others alone must fill both splits.
    assert project.splits() == {"unnamed": "train", "named": "train", "other": "validation"}


def test_a_person_may_choose_before_anything_was_assigned_but_not_after(project: Project) -> None:
    project.assign_split("second", "train")
    add(project, "first")
    project.assign_split("first", "test")
    add(project, "second")
    assert project.splits() == {"second": "train", "first": "test"}
    project.assign_split("first", "test")
    with pytest.raises(ProjectError, match=r"'first' is in 'test' already.*fixed once assigned"):
        project.assign_split("first", "train")
    with pytest.raises(ProjectError, match="unknown split 'holdout'"):
        project.assign_split("third", "holdout")  # type: ignore[arg-type]
    with pytest.raises(ProjectError, match="knows no patient 'third'"):
        project.split("third")
    assert project.splits() == {"second": "train", "first": "test"}


def test_of_many_patients_seventy_percent_are_for_training(project: Project) -> None:
    database = Database(project.folder / "vfss.sqlite")
    enrol(database, [f"patient {number}" for number in range(1000)])
    count = Counter(project.splits().values())
    assert all(abs(count[side] - 1000 * share) <= 1 for side, share in SHARES.items())
    database.close()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.frozensets(st.integers(0, 11), max_size=12), min_size=12, max_size=60), st.integers(0, 99))
def test_annotated_structures_are_in_all_splits_in_their_shares(
    annotated: list[frozenset[int]], project_id: int
) -> None:
    patients = {f"patient {i}": planes for i, planes in enumerate(annotated)}
    counts = SplitCounts(patients, str(project_id))
    splits: dict[str, str] = {}
    for patient in patients:
        splits[patient] = counts.choose(patient)
        counts.add(patient, splits[patient])
    for plane in range(12):
        having = Counter(splits[patient] for patient, planes in patients.items() if plane in planes)
        if having.total() >= 24:
            assert set(having) == set(SHARES), (plane, having)


def test_a_rare_structure_is_not_left_to_chance() -> None:
    patients = {f"patient {i}": frozenset({0} if i % 6 else {0, 7}) for i in range(48)}  # 8 of 48 have plane 7
    counts = SplitCounts(patients, "project")
    splits: dict[str, str] = {}
    for patient in patients:
        splits[patient] = counts.choose(patient)
        counts.add(patient, splits[patient])
    rare = Counter(side for patient, side in splits.items() if 7 in patients[patient])
    assert set(rare) == set(SHARES)
    assert rare["train"] >= 4


def test_annotations_of_the_project_count(project: Project) -> None:
    mask = disc(16, 16, y=8, x=8, radius=4)
    for number in range(9):
        clip = add(project, f"patient {number}")
        annotate(project, clip, 0, {"bolus": mask} if number % 3 else {"bolus": mask, "mandible": mask})
        project.splits()  # each patient gets a split once annotated
    having = Counter(project.split(f"patient {number}") for number in (0, 3, 6))
    assert len(having) > 1  # three patients with a mandible: not all in one split


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=3), max_size=6))
def test_no_patient_ever_moves_and_two_are_enough_for_training_and_evaluation(arrivals: list[list[str]]) -> None:
    with tempfile.TemporaryDirectory() as folder, Project.create(Path(folder) / "p", THREE) as project:
        database = Database(project.folder / "vfss.sqlite")
        seen: dict[str, str] = {}
        for patients in arrivals:
            enrol(database, patients)
            splits = project.splits()
            assert splits.items() >= seen.items()
            assert splits.keys() == seen.keys() | set(patients)
            assert "train" in splits.values()
            assert len(splits) < 2 or {"validation", "test"} & set(splits.values())
            assert Splits(database, project.id).all() == splits
            seen = dict(splits)
        database.close()


def test_patients_are_listed_without_choosing_a_split(project: Project) -> None:
    clip = add(project, "ann")
    add(project, "ann")
    add(project, "bob")
    annotate(project, clip, 1, {"mandible": disc(16, 16, y=8, x=8, radius=3)})
    ann, bob = list_patients(project)
    assert (ann.name, ann.clips, ann.annotated_frames, ann.split) == ("ann", 2, 1, None)
    assert (bob.name, bob.clips, bob.annotated_frames, bob.split) == ("bob", 1, 0, None)
    assign_splits(project, {"bob": "test"})
    assert [patient.split for patient in list_patients(project)] == [None, "test"]
    assert project.splits() == {"ann": "train", "bob": "test"}


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ({"ann": "train", "eve": "train"}, "no patient 'eve'.*It has: ann, bob"),
        ({"ann": "train", "bob": "held out"}, "unknown split 'held out'"),
    ],
)
def test_a_wrong_assignment_changes_nothing(project: Project, splits: dict[str, str], message: str) -> None:
    add(project, "ann")
    add(project, "bob")
    with pytest.raises(ProjectError, match=message):
        assign_splits(project, splits)
    assert project.assigned_splits() == {}


def test_a_patient_stays_in_its_split(project: Project) -> None:
    add(project, "ann")
    assert project.split("ann") == "train"
    assign_splits(project, {"ann": "train"})
    with pytest.raises(ProjectError, match="'ann' is in 'train' already"):
        assign_splits(project, {"ann": "test"})
