# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from keyed_student import (
    ONLY_A_VALVE,
    VFSS12,
    VFSS12_REVERSED,
    WITH_A_VALVE,
    KeyedStudent,
    confidence_of,
    mask_of,
)
from small_project import THREE, annotate, disc, grey_frames, write_video
from vfss.errors import SchemaError
from vfss.evaluation.evaluate import evaluate
from vfss.masks import MaskState
from vfss.project import Project
from vfss.proposals.adapted_student import AdaptedRun
from vfss.proposals.propagation import StoredClip
from vfss.proposals.student import ProposalRun, proposal_summary, propose_clip, unproposed
from vfss.schema import Schema
from vfss.student import Student, load_student

FRAMES = 20


@pytest.fixture(scope="module")
def student() -> Student:
    # A second pass looks at the neighbours of a frame in its clip, which a frame alone has not.
    return load_student(device="cpu", mirror="never")


@pytest.fixture
def project(tmp_path: Path):
    with Project.create(tmp_path / "project") as made:
        made.add_clip(write_video(tmp_path / "clip.mkv", grey_frames(FRAMES, 48, 40)))
        yield made


def test_every_requested_frame_gets_its_own_proposal(project: Project, student: Student) -> None:
    clip = project.clips()[0].id
    calls: list[tuple[int, int]] = []
    requested = [15, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    done = propose_clip(project, student, clip, requested, lambda n, total: calls.append((n, total)) or True)
    assert done.frames == len(requested)
    assert calls[-1] == (10, 10)
    states = project.states(clip)
    assert set(np.flatnonzero((states == MaskState.PROPOSED).all(axis=1))) == set(requested)
    with project.open_clip(clip) as frames:
        alone = student.propose(frames.as_uint8(15)[None])[0]
    np.testing.assert_allclose(project.confidence(clip, 15), alone.confidence, atol=0.02)


def test_proposed_frames_are_skipped_and_annotation_is_left(project: Project, student: Student) -> None:
    clip = project.clips()[0].id
    mask = disc(48, 40, y=20, x=20, radius=6)
    annotate(project, clip, 0, {"bolus": mask, "c1": MaskState.NOT_VISIBLE})
    annotate(project, clip, 1, dict.fromkeys(project.schema.keys, MaskState.EMPTY))
    assert unproposed(project, clip, range(4), student) == [0, 2, 3]
    propose_clip(project, student, clip, [0, 3])
    assert unproposed(project, clip, range(4), student) == [2]
    assert unproposed(project, clip, range(4), KeyedStudent(project.schema)) == [0, 2, 3]
    newest = project.newest(clip, 0)
    np.testing.assert_array_equal(newest["bolus"].mask, mask)
    assert newest["c1"].state is MaskState.NOT_VISIBLE
    assert newest["airway"].state is MaskState.PROPOSED


def test_a_student_leaves_imported_masks_and_the_summary_counts_them(project: Project, student: Student) -> None:
    record = project.clips()[0]
    mask = disc(48, 40, y=20, x=20, radius=6)
    for key in ("bolus", "c2"):
        annotate(project, record.id, 2, {key: (mask, MaskState.PROPOSED)}, author="ann", origin="import")
    assert unproposed(project, record.id, [2], student) == [2]
    propose_clip(project, student, record.id, [2])
    newest = project.newest(record.id, 2)
    np.testing.assert_array_equal(newest["bolus"].mask, mask)
    assert (newest["c2"].origin, newest["c3"].origin) == ("import", "proposal")
    assert unproposed(project, record.id, [2], student) == []
    summary = proposal_summary(project, record, 1, student)
    assert summary == f"clip.mkv: proposed on 1 frame of {FRAMES}; 2 imported masks are left as they are"


def test_stopping_keeps_what_is_done(project: Project, student: Student) -> None:
    clip = project.clips()[0].id
    done = propose_clip(project, student, clip, range(FRAMES), lambda n, total: False).frames
    assert 0 < done < FRAMES
    assert (project.states(clip) == MaskState.PROPOSED).all(axis=1).sum() == done


SCHEMAS = {
    "reversed": VFSS12_REVERSED,
    "smaller": Schema.from_dict(VFSS12.to_dict() | {"structures": VFSS12_REVERSED.to_dict()["structures"][::2]}),
    "larger": WITH_A_VALVE,
}


def by_project(project: Project, clip_id: str, student: KeyedStudent, frames: list[int]) -> None:
    with project.open_clip(clip_id) as clip:
        proposals = student.propose(np.stack([clip.as_uint8(t) for t in frames]))
    located = [replace(one, clip=clip_id, frame=t) for one, t in zip(proposals, frames, strict=True)]
    known = sum(key in project.schema.keys for key in student.schema.keys)
    assert project.write_proposals(clip_id, located) == known * len(frames)


def by_stream(project: Project, clip_id: str, student: KeyedStudent, frames: list[int]) -> None:
    assert propose_clip(project, student, clip_id, frames).frames == len(frames)


def by_step(project: Project, clip_id: str, student: KeyedStudent, frames: list[int]) -> None:
    with project.open_clip(clip_id) as clip:
        batches = list(ProposalRun(project, clip, student, frames).step())
    assert [len(batch) for batch in batches] == [1, 2]
    assert sum(batches, ()) == tuple(frames)


@pytest.mark.parametrize("way", [by_project, by_stream, by_step])
@pytest.mark.parametrize("name", SCHEMAS)
def test_masks_land_under_the_keys_of_the_student(project: Project, way, name: str) -> None:
    clip, student = project.clips()[0].id, KeyedStudent(SCHEMAS[name])
    way(project, clip, student, [3, 0, 2])
    assert unproposed(project, clip, range(4), student) == [1]
    shared = [key for key in project.schema.keys if key in student.schema.keys]
    for frame in (0, 2, 3):
        newest = project.newest(clip, frame)
        assert list(newest) == shared, "what the student does not know stays unseen"
        for key, revision in newest.items():
            np.testing.assert_array_equal(revision.mask, mask_of(key, 48, 40))
            assert revision.confidence == pytest.approx(confidence_of(key))


def test_structures_that_only_one_of_them_has_are_named(project: Project) -> None:
    with project.open_clip(project.clips()[0].id) as clip:
        same = ProposalRun(project, clip, KeyedStudent(VFSS12_REVERSED), [0])
        assert (same.left_out, same.never_proposed, same.differences) == ((), (), "")
        larger = ProposalRun(project, clip, KeyedStudent(WITH_A_VALVE), [0])
        assert (larger.left_out, larger.never_proposed) == (("valve",), ())
        assert larger.differences == "The project lacks valve, which the student proposes: left out."
        smaller = ProposalRun(project, clip, KeyedStudent(THREE), [0])
        assert set(smaller.never_proposed) == set(project.schema.keys) - set(THREE.keys)
        assert smaller.differences.startswith("The student does not know epiglottis, airway, c1, ")
    summary = proposal_summary(project, project.clips()[0], 1, KeyedStudent(WITH_A_VALVE))
    assert summary.endswith(f" of {FRAMES}. {larger.differences}")


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_student_is_examined_by_the_keys_of_its_structures(project: Project, name: str) -> None:
    clip, student = project.clips()[0].id, KeyedStudent(SCHEMAS[name])
    annotate(project, clip, 1, {key: mask_of(key, 48, 40) for key in project.schema.keys})
    result = evaluate(project, student)
    assert result["mean_dice"] == 1.0
    assert set(result["not_known_to_student"]) == set(project.schema.keys) - set(student.schema.keys)


@pytest.mark.parametrize("name", SCHEMAS)
def test_propagation_takes_a_students_masks_by_key(project: Project, name: str) -> None:
    clip_id, student = project.clips()[0].id, KeyedStudent(SCHEMAS[name])
    with project.open_clip(clip_id) as clip:
        source = StoredClip(project, clip, student)
        for _ in range(2):  # asked, then remembered
            asked = source.proposal(0)
            for key in project.schema.keys:
                expected = mask_of(key, 48, 40) if key in student.schema.keys else None
                np.testing.assert_array_equal(asked.plane(key), expected)
        propose_clip(project, student, clip_id, [0])
        read = StoredClip(project, clip, student).proposal(0)
    assert student.asked == 2, "the second time it is read from the project"
    for key in read.keys:
        np.testing.assert_array_equal(read.plane(key), mask_of(key, 48, 40))
        assert read.confidence_of(key) == pytest.approx(confidence_of(key))


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_clip_adapted_student_writes_under_its_keys(project: Project, name: str) -> None:
    clip_id, student = project.clips()[0].id, KeyedStudent(SCHEMAS[name])
    with project.open_clip(clip_id) as clip:
        list(AdaptedRun(project, clip, student, frames=(0, 4), parent="st-parent").run())
    newest = project.newest(clip_id, 2)
    assert set(newest) == {key for key in student.schema.keys if key in project.schema.soft}
    for key, revision in newest.items():
        np.testing.assert_array_equal(revision.mask, mask_of(key, 48, 40))


def test_a_student_of_other_structures_is_refused(tmp_path: Path) -> None:
    video = write_video(tmp_path / "clip.mkv", grey_frames(2, 48, 40))
    student = KeyedStudent(ONLY_A_VALVE)
    with Project.create(tmp_path / "three", THREE) as project:
        clip = project.add_clip(video).id
        refused = pytest.raises(
            SchemaError, match=r"structures are valve, the project's bolus, pharynx, mandible.*Choose"
        )
        with refused:
            propose_clip(project, student, clip, [0])
        with refused:
            unproposed(project, clip, [0], student)
        with refused:
            by_project(project, clip, student, [0])
        assert project.last_revision() == 0


def test_another_student_goes_on_where_one_fails(project: Project) -> None:
    class Failing(KeyedStudent):
        def propose(self, frames, **settings):
            if self.asked:
                raise RuntimeError("out of memory")
            return super().propose(frames, **settings)

    clip_id, asked = project.clips()[0].id, []
    second = KeyedStudent(VFSS12, id="st-second")

    def replacement(student, error):
        asked.append((student, str(error)))
        return second

    first = Failing(VFSS12)
    with project.open_clip(clip_id) as clip:
        run = ProposalRun(project, clip, first, range(4))
        assert list(run.step(replacement)) == [(0,), (1, 2, 3)]
        with pytest.raises(RuntimeError, match="out of memory"):
            list(ProposalRun(project, clip, first, range(4)).step())
    assert asked == [(first, "out of memory")]
    assert run.student is second
    assert [project.newest(clip_id, t)["bolus"].student for t in range(4)] == [first.id, *["st-second"] * 3]


@pytest.mark.parametrize("asked_for", [False, True])
def test_requested_masks_are_replaced_only_on_request(project: Project, asked_for: bool) -> None:
    clip_id = project.clips()[0].id
    mask = disc(48, 40, y=20, x=20, radius=6)
    annotate(project, clip_id, 0, {"c2": (mask, MaskState.PROPOSED)}, author="ann", origin="import")
    annotate(project, clip_id, 0, {"c3": mask}, author="ann")
    with project.open_clip(clip_id) as clip:
        list(ProposalRun(project, clip, KeyedStudent(VFSS12), [0], replace_requested=asked_for).step())
    assert project.newest(clip_id, 0)["c2"].origin == ("proposal" if asked_for else "import")
    assert project.newest(clip_id, 0)["c3"].author == "ann"
