# SPDX-License-Identifier: Apache-2.0
"""Clips whose case nobody confirmed are never held out, and the same film twice is in one split."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from older_project import as_layout
from small_project import THREE, annotate, disc, grey_frames, write_video
from vfss.datasets import FORMATS, ExportOptions
from vfss.datasets.preview import preview
from vfss.errors import ProjectError
from vfss.project import Project
from vfss.project.case_rule import FIRST_PART, CaseRule
from vfss.project.cases import CaseOfClip, Cases, unconfirmed_text
from vfss.project.patients import assign_splits

HASH, OTHER = "00" * 128, "f0" * 128


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.create(tmp_path / "project", THREE) as made:
        yield made


def add(project: Project, name: str, patient: str | None = None) -> str:
    seed = len(project.clips())
    path = write_video(project.folder / f"{name}.mkv", grey_frames(2, 16, 16, seed=seed))
    return project.add_clip(path, patient=patient).id


def test_unconfirmed_clips_are_for_training_and_their_split_stays_open(project: Project) -> None:
    clips = [add(project, f"film{i}") for i in range(8)]
    assert set(project.clip_splits().values()) == {"train"}
    assert project.assigned_splits() == {}
    for i, clip in enumerate(clips):
        project.update_clip(clip, patient=f"P{i}")
    splits = project.clip_splits()
    assert {splits[clip] for clip in clips} == {"train", "validation", "test"}
    assert set(project.assigned_splits()) == {f"P{i}" for i in range(8)}


def test_an_unconfirmed_clip_of_a_held_out_case_is_in_no_split(project: Project) -> None:
    project.assign_split("P01", "validation")
    known = add(project, "P01_a", "P01")
    project.choose_case_rule(CaseRule("file", FIRST_PART))
    new = add(project, "P01_b")
    other = add(project, "P02_a")
    assert project.clip_splits() == {known: "validation", new: None, other: "train"}
    project.update_clip(new, patient="P01")
    assert project.clip_splits()[new] == "validation"


def test_such_a_clip_is_not_exported_and_the_preview_says_so(project: Project) -> None:
    project.assign_split("P01", "test")
    known = add(project, "P01_a", "P01")
    project.choose_case_rule(CaseRule("file", FIRST_PART))
    new = add(project, "P01_b")
    for clip in (known, new):
        annotate(project, clip, 0, {"mandible": disc(16, 16, y=8, x=8, radius=3)})
    found = preview(project, FORMATS["coco"], ExportOptions(unreviewed=True))
    assert found is not None
    assert [recording.identity.record.id for recording in found.recordings] == [known]
    assert [n for why, n in found.left_out.items() if "nobody has confirmed" in why] == [1]


def test_what_training_used_unconfirmed_is_never_held_out_later(project: Project) -> None:
    project.assign_split("P09", "test")
    add(project, "held out", "P09")
    used = add(project, "used")
    project.keep_out_of_evaluation()
    with pytest.raises(ProjectError, match=r"trained on this clip.*'P09' is held out in 'test'"):
        project.update_clip(used, patient="P09")
    assert project.clip(used).patient.startswith("patient-")
    project.update_clip(used, patient="P10")
    assert project.clip_splits()[used] == "train"
    assert project.assigned_splits()["P10"] == "train"


def test_a_person_cannot_hold_out_a_case_that_is_not_confirmed(project: Project) -> None:
    clip = add(project, "film")
    with pytest.raises(ProjectError, match="not confirmed"):
        assign_splits(project, {project.clip(clip).patient: "test"})
    assign_splits(project, {project.clip(clip).patient: "train"})


def test_splits_of_an_older_project_stay_as_they_are(project: Project, tmp_path: Path) -> None:
    first, second = add(project, "a"), add(project, "b")
    named = add(project, "c", "ann")
    held_out = project.clip(second).patient
    project.assign_split(held_out, "validation")
    project.close()
    as_layout(project.folder, 4)
    with Project.open(project.folder) as migrated:
        assert [record.case_confirmed for record in migrated.clips()] == [False, False, True]
        assert migrated.clip_splits() == {first: "train", second: "validation", named: "train"}


def test_the_same_film_is_in_one_split(project: Project) -> None:
    project.assign_split("P01", "test")
    film = add(project, "film", "P01")
    copy = add(project, "copy", "P02")
    others = [add(project, f"other{i}", f"Q{i}") for i in range(6)]
    for clip in (film, copy):
        project.keep_film_hash(clip, HASH)
    for clip in others:
        project.keep_film_hash(clip, OTHER)
    assert project.cases().films[0] == {film, copy}
    assert project.clip_splits()[copy] == "test"


def test_an_unconfirmed_copy_of_a_held_out_film_is_in_no_split(project: Project) -> None:
    project.assign_split("P01", "validation")
    film, copy = add(project, "film", "P01"), add(project, "copy")
    assert project.clip_splits()[copy] == "train"
    for clip in (film, copy):
        project.keep_film_hash(clip, HASH)
    assert project.clip_splits()[copy] is None


def test_what_is_left_is_said_with_numbers(project: Project) -> None:
    clips = [add(project, f"film{i}") for i in range(3)]
    assert unconfirmed_text(project.clips()).startswith("Case id not confirmed for 3 of 3 clips.")
    project.update_clip(clips[0], patient="P1")
    assert unconfirmed_text(project.clips()).startswith("Case id not confirmed for 2 of 3 clips.")
    for clip in clips:
        project.update_clip(clip, patient="P1")
    assert unconfirmed_text(project.clips()) == ""


def test_what_proposals_show_never_replaces_what_a_person_set(project: Project) -> None:
    clip = add(project, "film")
    noted = project.note_proposed(clip, facing="left", view="doubtful", reason="few structures.")
    assert (noted.facing, noted.facing_from, noted.view, noted.view_from) == (
        "left",
        "proposals",
        "doubtful",
        "proposals",
    )
    again = project.note_proposed(clip, facing="right", view="lateral", reason="")
    assert (again.facing, again.view, again.view_reason) == ("right", "lateral", "")
    project.update_clip(clip, facing="unknown")
    project.set_view(clip, "lateral")
    kept = project.note_proposed(clip, facing="left", view="doubtful", reason="few structures.")
    assert (kept.facing, kept.facing_from, kept.view, kept.view_from) == ("unknown", "person", "lateral", "person")


def test_a_case_bound_by_nothing_may_be_anywhere() -> None:
    cases = Cases({"a": CaseOfClip("P1", True), "b": CaseOfClip("P2", True)}, [frozenset({"a", "c"})])
    assert cases.bound("P2", {"P1": "test"}) is None
