# SPDX-License-Identifier: Apache-2.0
"""Second readings: blinded by construction, with the same clips and splits, and read-only once finished."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from small_project import THREE, annotate, disc, grey_frames, write_video
from vfss.clips import Swallow
from vfss.datasets import FORMATS, run_export
from vfss.errors import DatasetError, ProjectError
from vfss.masks import Masks, MaskState
from vfss.project import Project
from vfss.project.second_readings import (
    create_reading,
    expect_not_blinded,
    find_reading,
    finish_first,
    finish_reading,
    reading_of,
    readings,
    take_over_cases,
)
from vfss.student.student import Proposal

HEIGHT, WIDTH, FRAMES = 40, 48, 6
DISC = disc(HEIGHT, WIDTH, y=15, x=20, radius=7)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project beside its two recordings, annotated by the first reader."""
    home = tmp_path / "study"
    (home / "clips").mkdir(parents=True)
    with Project.create(home / "project", THREE) as made:
        for n in range(2):
            clip = made.add_clip(
                write_video(home / "clips" / f"{n}.mkv", grey_frames(FRAMES, HEIGHT, WIDTH, seed=n)),
                patient=f"case {n}",
            )
            annotate(made, clip.id, n, {"bolus": DISC, "pharynx": MaskState.EMPTY}, author="Ada")
        made.update_clip(made.clips()[0].id, facing="left", inverted=True, swallows=[Swallow(1, 3)])
        yield made


def proposal(frame: int) -> Proposal:
    masks = Masks(np.stack([DISC] * 3), np.full(3, MaskState.PROPOSED, np.uint8))
    return Proposal(THREE.keys, masks, np.full(3, 0.5, np.float32), "st-1", None, frame)


def test_a_reading_has_the_clips_and_no_annotations(project: Project, tmp_path: Path) -> None:
    made = create_reading(project, "Bob")
    assert made.folder == project.folder / "readings" / "Bob"
    with Project.open(made.folder) as second:
        assert second.schema.to_dict() == project.schema.to_dict()
        assert second.id != project.id
        for record, theirs in zip(project.clips(), second.clips(), strict=True):
            assert (theirs.id, theirs.path) == (record.id, record.path)
            assert (theirs.facing, theirs.inverted, theirs.patient) == (record.facing, record.inverted, record.patient)
            assert theirs.swallows == ()
            assert not second.states(record.id).any()
            assert second.past.page(record.id) == []
            with second.open_clip(record.id) as clip:
                assert clip.n_frames == FRAMES
        assert second.last_revision() == 0
        assert second.students() == []
        with pytest.raises(DatasetError, match="accept"):
            run_export(FORMATS["coco"], second, tmp_path / "out", progress=None)
    content = b"".join(path.read_bytes() for path in made.folder.rglob("*") if path.is_file())
    assert b"Ada" not in content


def test_each_reader_has_separate_masks(project: Project) -> None:
    clip = project.clips()[0].id
    with Project.open(create_reading(project, "Bob").folder) as second:
        annotate(second, clip, 0, {"bolus": ~DISC, "mandible": MaskState.NOT_VISIBLE}, author="Bob")
        assert np.array_equal(project.masks(clip, 0).planes[0], DISC)
        assert np.array_equal(second.masks(clip, 0).planes[0], ~DISC)
        assert {revision.author for revision in project.past.page(clip)} == {"Ada"}


def test_splits_and_patients_follow_the_project(project: Project) -> None:
    sides = project.splits()
    made = create_reading(project, "Bob")
    clip = project.clips()[0].id
    with Project.open(made.folder) as second:
        assert second.splits() == sides
        project.assign_split("case 9", "test")
        project.update_clip(clip, patient="case 9")
        take_over_cases(made)
        assert second.clip(clip).patient == "case 9"
        assert second.split("case 9") == "test"
        with pytest.raises(ProjectError, match="another split"):
            second.assign_split("case 9", "train")
        with pytest.raises(ProjectError, match="no patient 'case 77'"):
            second.assign_split("case 77", "train")
        with pytest.raises(ProjectError, match="named in the project"):
            second.update_clip(clip, patient="case 5")


def test_a_reading_keeps_to_its_clips(project: Project, tmp_path: Path) -> None:
    first, other = (record.id for record in project.clips())
    made = create_reading(project, "Bob", clip_ids=[first])
    assert made.clips == (first,)
    with Project.open(made.folder) as second:
        with pytest.raises(ProjectError, match="keeps the clips"):
            second.add_clip(project.clip(other).path)
        second.add_clip(project.clip(first).path)
        assert [record.id for record in second.clips()] == [first]


def test_a_reading_that_starts_from_nothing_refuses_proposals(project: Project) -> None:
    clip = project.clips()[0].id
    with Project.open(create_reading(project, "Bob", start="nothing").folder) as second:
        with pytest.raises(ProjectError, match="without the student"):
            second.write_proposals(clip, [proposal(0)])
        annotate(second, clip, 0, {"bolus": DISC})
    with Project.open(create_reading(project, "Cleo", start="student").folder) as third:
        assert third.write_proposals(clip, [proposal(0)]) == 3


def test_a_finished_reading_cannot_be_changed(project: Project) -> None:
    clip = project.clips()[0].id
    made = create_reading(project, "Bob")
    assert made.blinded
    with Project.open(made.folder) as second:
        annotate(second, clip, 0, {"bolus": ~DISC}, author="Bob")
        done = finish_reading(made.folder)
        with pytest.raises(ProjectError, match="is finished and stays"):
            annotate(second, clip, 1, {"bolus": DISC}, author="Bob")
        assert second.last_revision() == 1
    assert done.finished is not None
    assert done.blinded
    assert finish_reading(made.folder).finished == done.finished
    both = finish_first(project, done)
    assert not both.blinded
    until = both.first_until
    annotate(project, clip, 3, {"bolus": DISC})
    assert finish_first(project, both).first_until == until == project.last_revision() - 1


def test_a_second_reader_is_kept_out_of_the_project_until_both_have_finished(project: Project) -> None:
    first, other = (record.id for record in project.clips())
    made = create_reading(project, "Bob", clip_ids=[first])
    expect_not_blinded(project, first, "Ada")
    expect_not_blinded(project, other, "Bob")
    expect_not_blinded(project, other, None)
    with pytest.raises(ProjectError, match="who opens it"):
        expect_not_blinded(project, first, None)
    with pytest.raises(ProjectError, match="must not see") as caught:
        expect_not_blinded(project, first, " bob ")
    assert str(made.folder) in str(caught.value)
    finish_reading(made.folder)
    with pytest.raises(ProjectError, match="must not see"):
        expect_not_blinded(project, first, "Bob")
    finish_first(project, made)
    expect_not_blinded(project, first, "Bob")


def test_readings_are_listed_found_and_refused_by_name(project: Project) -> None:
    assert readings(project) == []
    with pytest.raises(ProjectError, match="has no second reading"):
        find_reading(project, None)
    bob = create_reading(project, "Dr. Bob")
    assert find_reading(project, None) == bob == find_reading(project, "Dr. Bob") == find_reading(project, "Dr-Bob")
    cleo = create_reading(project, "Cleo", start="student")
    assert [reading.reader for reading in readings(project)] == ["Dr. Bob", "Cleo"]
    for name in (None, "Dan"):
        with pytest.raises(ProjectError, match="Dr-Bob, Cleo"):
            find_reading(project, name)
    for name in ("cleo", "  ", "..."):
        with pytest.raises(ProjectError):
            create_reading(project, name)
    with pytest.raises(ProjectError, match="at least one"):
        create_reading(project, "Eve", clip_ids=[])
    assert reading_of(project) is None
    with Project.open(cleo.folder) as opened:
        assert reading_of(opened) == cleo
        with pytest.raises(ProjectError, match="second reading itself"):
            create_reading(opened, "Eve")
    assert sorted(path.name for path in cleo.folder.parent.iterdir()) == ["Cleo", "Dr-Bob"]


def test_a_damaged_reading_hides_no_other(project: Project) -> None:
    create_reading(project, "Bob")
    cleo = create_reading(project, "Cleo")
    (project.folder / "readings" / "Bob" / "vfss.sqlite").write_bytes(b"no database" * 1000)
    assert readings(project) == [cleo]


def test_a_reading_on_a_read_only_disk_is_recognised(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    made = create_reading(project, "Bob")
    project.close()
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with Project.open(made.folder) as second:
        assert second.read_only
        assert reading_of(second).reader == "Bob"
        take_over_cases(reading_of(second))
    with Project.open(project.folder) as again:
        assert [reading.reader for reading in readings(again)] == ["Bob"]


def test_study_and_reading_move_together_and_the_reading_alone(project: Project, tmp_path: Path) -> None:
    made = create_reading(project, "Bob")
    clip = made.clips[0]
    project.close()
    shutil.move(tmp_path / "study", tmp_path / "elsewhere")
    moved = tmp_path / "elsewhere" / "project" / "readings" / "Bob"
    with Project.open(moved) as second:
        assert second.locate(clip).parent == tmp_path / "elsewhere" / "clips"
    alone = tmp_path / "stick" / "Bob"
    shutil.copytree(moved, alone)
    with Project.open(alone) as second:
        assert reading_of(second).reader == "Bob"
        assert second.split("case 0") == "train"
        annotate(second, clip, 0, {"bolus": DISC}, author="Bob")
        take_over_cases(reading_of(second))
