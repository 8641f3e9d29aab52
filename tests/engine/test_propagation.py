# SPDX-License-Identifier: Apache-2.0
"""Propagation of masks: extent, accuracy, and no overwriting of annotation."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moving_clip import SCHEMA, SIZE, FixedStudent, MovingClip, N, box, moved, texture
from small_project import annotate, write_video
from vfss.errors import ClipError, ProjectError
from vfss.masks import Masks, MaskState
from vfss.masks.metrics import dice
from vfss.project import Edit, Project, Provenance
from vfss.propagation.confidence import LEAST_CONFIDENCE, propagated_confidence
from vfss.propagation.key_frame import PackedPropagatedMask, PropagatedMask, blend, blend_with_student, signed_distance
from vfss.propagation.propagation import Propagation, PropagationRequest
from vfss.proposals import adapted_student
from vfss.proposals.adapted_student import AdaptedRun
from vfss.proposals.propagation import ProjectPropagation
from vfss.proposals.student import without_outranking
from vfss.student import Proposal

BONE = box(60, 50)


def propagated(source, start, direction, *keys):
    """Return all masks that a run brings, by (frame, key), and its endings by (key, forward)."""
    run = Propagation(source, PropagationRequest(start, direction, keys))
    out = {(new.frame, key): plane for new in run.run() for key, plane in new.planes.items()}
    return out, {(ending.structure, ending.forward): ending for ending in run.endings}, run


def test_a_bone_is_propagated_to_both_ends_of_the_clip_accurately():
    source = MovingClip(12)
    source.annotate(4, "c3", BONE)
    masks, endings, run = propagated(source, 4, "both", "c3")
    assert sorted(frame for frame, _ in masks) == [t for t in range(12) if t != 4]
    assert all(dice(plane, source.truth(BONE, frame - 4)) > 0.93 for (frame, _), plane in masks.items())
    assert (endings["c3", True].last, endings["c3", True].reason) == (11, "end")
    assert (endings["c3", False].last, endings["c3", False].frames) == (0, 4)
    assert run.done == run.total == 11
    assert source.asked == []  # bones need no student


@pytest.mark.parametrize("state", [MaskState.ACCEPTED, MaskState.EDITED, MaskState.EMPTY, MaskState.NOT_VISIBLE])
def test_annotation_is_a_barrier_for_its_structure_alone(state):
    source = MovingClip(10)
    source.annotate(1, "c3", BONE)
    source.annotate(1, "c4", box(85, 50))
    source.annotate(6, "c3", source.truth(BONE, 5) if state in (MaskState.ACCEPTED, MaskState.EDITED) else None, state)
    masks, endings, _ = propagated(source, 1, "forward", "c3", "c4")
    assert sorted(frame for frame, key in masks if key == "c3") == [2, 3, 4, 5]
    assert sorted(frame for frame, key in masks if key == "c4") == list(range(2, 10))
    assert endings["c3", True].reason == "annotated"
    assert endings["c4", True].reason == "end"


@pytest.mark.parametrize("damaged", [{5}, {5, 6, 9}, {11}])
def test_masks_are_propagated_past_frames_that_cannot_be_read(damaged):
    source = MovingClip(12)
    source.damaged = damaged
    source.annotate(3, "c3", BONE)
    masks, endings, run = propagated(source, 3, "both", "c3")
    assert sorted(frame for frame, _ in masks) == [t for t in range(12) if t != 3 and t not in damaged]
    assert all(dice(plane, source.truth(BONE, frame - 3)) > 0.93 for (frame, _), plane in masks.items())
    assert endings["c3", True].reason == "end"
    assert run.unreadable == tuple(sorted(damaged))
    assert run.done == run.total == 11


def test_a_gap_is_filled_from_one_end_where_the_other_key_frame_cannot_be_read():
    source = MovingClip(10)
    source.annotate(2, "c3", BONE)
    source.annotate(7, "c3", source.truth(BONE, 5))
    source.damaged = {5, 7}
    masks, _, run = propagated(source, 2, "forward", "c3")
    assert sorted(frame for frame, _ in masks) == [3, 4, 6]
    assert all(dice(plane, source.truth(BONE, frame - 2)) > 0.93 for (frame, _), plane in masks.items())
    assert run.unreadable == (5, 7)


def test_nothing_is_propagated_from_a_key_frame_that_cannot_be_read():
    source = MovingClip(6)
    source.annotate(2, "c3", BONE)
    source.damaged = {2}
    with pytest.raises(ClipError, match="frame 2"):
        propagated(source, 2, "forward", "c3")


def test_in_a_gap_each_end_is_weighted_by_its_distance():
    source = MovingClip(11, 0, 0)  # nothing moves, and two annotators drew the bone differently
    source.annotate(0, "c3", box(60, 50, 12, 12))
    source.annotate(10, "c3", box(60, 50, 20, 20))
    masks, _, run = propagated(source, 0, "forward", "c3")
    areas = [int(masks[t, "c3"].sum()) for t in range(1, 10)]
    assert areas == sorted(areas)
    assert areas[0] <= 12 * 14
    assert areas[-1] >= 18 * 20
    assert run.done == run.total == 18  # nine frames from each end


def test_annotation_during_the_run_ends_it_there():
    source = MovingClip(10)
    source.annotate(0, "c3", BONE)
    run, seen = Propagation(source, PropagationRequest(0, "forward", ("c3",))), []
    for new in run.run():
        seen.append(new.frame)
        if new.frame == 3:
            source.annotate(5, "c3", None, MaskState.NOT_VISIBLE)
    assert seen == [1, 2, 3, 4]
    assert run.endings[0].reason == "meanwhile"


def test_propagation_ends_where_a_structure_leaves_the_picture():
    source = MovingClip(30, 2.0, 0.0)
    source.annotate(0, "c3", box(60, 100))
    masks, endings, _ = propagated(source, 0, "forward", "c3")
    assert endings["c3", True].reason in ("out_of_view", "confidence")
    assert 5 <= len(masks) < 25


def test_confidence_is_too_low_after_a_cut():
    source = MovingClip(10)
    source.pictures = {t: texture(9) for t in range(5, 10)}
    source.annotate(0, "c3", BONE)
    source.annotate(0, "airway", box(60, 90, 30, 16))
    masks, endings, _ = propagated(source, 0, "forward", "c3", "airway")
    assert max(frame for frame, _ in masks) == 4
    assert {ending.reason for ending in endings.values()} == {"confidence"}


def test_each_side_of_a_cut_is_propagated_from_its_own_end():
    source = MovingClip(12)
    source.pictures = {t: moved(texture(9), t, 0) for t in range(6, 12)}
    source.annotate(0, "c3", BONE)
    source.annotate(11, "c3", BONE)
    masks, endings, _ = propagated(source, 0, "forward", "c3")
    assert endings["c3", True].reason == "annotated"
    assert endings["c3", True].left_out == 0
    assert all(dice(masks[t, "c3"], source.truth(BONE, t)) > 0.93 for t in range(1, 6))
    assert all(dice(masks[t, "c3"], moved(BONE, t - 11, 0)) > 0.93 for t in range(6, 11))


def test_frames_between_contradicting_ends_are_left_out():
    source = MovingClip(12, 0, 0)
    source.annotate(0, "c3", BONE)
    source.annotate(11, "c3", box(100, 100))
    masks, endings, _ = propagated(source, 0, "forward", "c3")
    assert masks == {}
    assert (endings["c3", True].left_out, endings["c3", True].reason) == (10, "annotated")


def test_repeated_frames_take_the_mask_of_the_frame_that_they_repeat():
    source = MovingClip(8)
    source.pictures = {3: source.picture(2), 4: source.picture(2)}
    source.annotate(0, "c3", BONE)
    masks, _, _ = propagated(source, 0, "forward", "c3")
    assert np.array_equal(masks[2, "c3"], masks[3, "c3"])
    assert np.array_equal(masks[2, "c3"], masks[4, "c3"])


def test_a_proposal_is_not_propagated():
    source = MovingClip(5)
    source.annotate(0, "c3", BONE, MaskState.PROPOSED)
    with pytest.raises(ProjectError, match=r"C3 has no annotated mask.*accept"):
        propagated(source, 0, "forward", "c3")


ANNOTATION = st.dictionaries(
    st.tuples(st.integers(0, 9), st.sampled_from(["c3", "airway"])), st.sampled_from(list(MaskState)), max_size=8
)


@settings(max_examples=12, deadline=None)
@given(annotation=ANNOTATION, start=st.integers(0, 9), direction=st.sampled_from(["backward", "both", "forward"]))
def test_no_mask_ever_lands_on_annotation_or_beyond_it(annotation, start, direction):
    source = MovingClip(10)
    for (frame, key), state in annotation.items():
        source.annotate(frame, key, BONE if state in (MaskState.ACCEPTED, MaskState.EDITED) else None, state)
    source.annotate(start, "c3", BONE)
    masks, _, _ = propagated(source, start, direction, "c3")
    for frame, key in masks:
        between_them = source.states_now[min(frame, start) : max(frame, start) + 1, SCHEMA[key].index]
        assert key == "c3"
        assert sum(MaskState(state).is_annotated for state in between_them) == 1


# One frame


def test_distance_fields_and_packing_keep_a_mask():
    plane = box(40, 30, 13, 9)
    assert np.array_equal(signed_distance(plane) > 0, plane)
    assert not (signed_distance(np.zeros((SIZE, SIZE), np.bool_)) > 0).any()
    original = PropagatedMask(signed_distance(plane), signed_distance(box(41, 30)) - signed_distance(plane), 4, 3, 0.5)
    unpacked = PackedPropagatedMask.pack(original).unpack()
    assert np.array_equal(unpacked.mask, plane)
    assert np.allclose(unpacked.field, original.field, atol=0.01)
    assert (unpacked.frames, unpacked.steps, unpacked.consistency) == (4, 3, 0.5)


def test_the_nearer_key_frame_has_the_larger_weight():
    one, other = signed_distance(box(60, 60, 10, 10)), signed_distance(box(60, 60, 20, 20))
    near = blend(PropagatedMask(one, None, 1, 1, 1.0), PropagatedMask(other, None, 9, 9, 1.0))
    far = blend(PropagatedMask(one, None, 9, 9, 1.0), PropagatedMask(other, None, 1, 1, 1.0))
    assert near.mask.sum() < far.mask.sum()
    assert near.steps == far.steps == 1
    assert near.agreement == pytest.approx(2 * 100 / 500)


def test_the_students_corrected_mask_gains_weight_with_time():
    known, wrong = box(60, 60, 20, 20), box(60, 64, 20, 20)
    field, correction = signed_distance(known), signed_distance(known) - signed_distance(wrong)
    same = blend_with_student(
        SCHEMA["epiglottis"], PropagatedMask(field, correction, 1, 0, 1.0), wrong
    )  # the frame only repeats the key frame
    soon = blend_with_student(SCHEMA["epiglottis"], PropagatedMask(field, correction, 1, 1, 1.0), wrong)
    later = blend_with_student(SCHEMA["epiglottis"], PropagatedMask(field, None, 30, 30, 1.0), wrong)
    corrected = blend_with_student(SCHEMA["epiglottis"], PropagatedMask(field, correction, 30, 30, 1.0), wrong)
    assert np.array_equal(same, known)
    assert dice(soon, known) > dice(corrected, known)
    assert dice(later, wrong) > 0.99
    assert dice(corrected, known) > dice(wrong, known)
    assert np.array_equal(blend_with_student(SCHEMA["c3"], PropagatedMask(field, None, 30, 30, 1.0), wrong), known)


@given(
    steady=st.floats(0, 1),
    steps=st.integers(1, 100),
    student=st.none() | st.floats(0, 1),
    both=st.none() | st.floats(0, 1),
    adapted=st.booleans(),
)
def test_confidence_is_a_share_and_grows_with_every_good_predictor(steady, steps, student, both, adapted):
    field = np.zeros((2, 2), np.float32)
    for structure in (SCHEMA["c3"], SCHEMA["bolus"]):
        none, less, more = (
            propagated_confidence(
                structure,
                PropagatedMask(field, None, steps, steps, consistency, both),
                student=student,
                adapted=adapted,
            )
            for consistency in (0.0, steady, min(1.0, steady + 0.1))
        )
        assert 0 <= less <= more <= 1
        assert none < LEAST_CONFIDENCE


# In a project


@pytest.fixture
def project(tmp_path):
    """A project with a clip of eight frames; a person accepted its bone and airway on frame 2."""
    source = MovingClip(8)
    write_video(tmp_path / "film.mkv", np.stack([source.picture(t) for t in range(8)]))
    with Project.create(tmp_path / "project", SCHEMA) as made:
        clip = made.add_clip(tmp_path / "film.mkv").id
        annotate(made, clip, 2, {"c3": BONE, "airway": box(60, 90, 30, 16)}, author="ann")
        yield made


def run_on(project, direction="both", structures=("c3", "airway"), student=None, start=2):
    clip_id = project.clips()[0].id
    with project.open_clip(clip_id) as clip:
        run = ProjectPropagation(project, clip, PropagationRequest(start, direction, structures), student)
        stages = list(run.run())
    return stages, run


def test_what_is_written_is_a_proposal_with_its_confidence(project):
    clip = project.clips()[0].id
    stages, run = run_on(project, student=FixedStudent(box(60, 90, 30, 16)))
    assert len(stages[0].written) == 2  # one frame first, so that a person sees a result at once
    assert sum(len(stage.written) for stage in stages) == 14
    assert stages[-1].done == stages[-1].total == 7
    for frame, key, revision_id in (place for stage in stages for place in stage.written):
        revision = project.newest(clip, frame)[key]
        assert revision.id == revision_id
        assert (revision.origin, revision.state) == ("proposal", MaskState.PROPOSED)
        assert revision.author == "propagation"
        assert revision.provenance == Provenance("propagation", source_frame=2, student="fixed")
        assert LEAST_CONFIDENCE <= revision.confidence <= 1
    assert {ending.reason for ending in run.endings} == {"end"}


def test_stored_proposals_of_the_student_are_reused(project):
    class Asked(FixedStudent):
        asked = 0

        def propose(self, frames, **settings):
            self.asked += len(frames)
            return super().propose(frames, **settings)

    student, clip = Asked(), project.clips()[0].id
    for frame in (2, 3, 4):
        planes = np.stack([box(60, 90, 30, 16)] * N)
        state = np.full(N, MaskState.PROPOSED, np.uint8)
        confidence = np.full(N, 0.9, np.float32)
        project.write_proposals(clip, [Proposal(SCHEMA.keys, Masks(planes, state), confidence, "fixed", clip, frame)])
    run_on(project, "forward", ("airway",), student)
    assert student.asked == 8 - 5 + 1  # the last frames, and the first: there an annotation has replaced the proposal


def test_proposing_a_clip_leaves_propagated_masks(project):
    clip = project.clips()[0].id
    run_on(project, structures=("c3",))
    state, confidence = np.full(N, MaskState.PROPOSED, np.uint8), np.full(N, 0.9, np.float32)
    proposal = Proposal(SCHEMA.keys, Masks(np.stack([box(20, 20)] * N), state), confidence, "student-a", clip, 5)
    assert project.write_proposals(clip, [without_outranking(project, proposal)]) == N - 1
    assert project.newest(clip, 5)["c3"].provenance.source_frame == 2
    assert project.newest(clip, 5)["airway"].author == "student-a"


ANNOTATED = {
    "accepted": (box(61, 51), MaskState.ACCEPTED),
    "edited": (box(61, 51), MaskState.EDITED),
    "empty": MaskState.EMPTY,
    "not visible": MaskState.NOT_VISIBLE,
}


def by_proposals(project, clip):
    planes, state = np.stack([BONE] * N), np.zeros(N, np.uint8)
    state[SCHEMA["c3"].index] = MaskState.PROPOSED
    confidence = np.full(N, 0.9, np.float32)
    assert (
        project.write_proposals(clip, [Proposal(SCHEMA.keys, Masks(planes, state), confidence, "student-a", clip, 4)])
        == 0
    )


def by_write(project, clip):
    with pytest.raises(ProjectError, match="is annotated"):
        project.write([Edit(clip, 4, "c3", BONE, MaskState.PROPOSED)], author="st", origin="proposal", student="st")


def by_leaving_write(project, clip):
    edits = [Edit(clip, frame, "c3", BONE, MaskState.PROPOSED, 0.9) for frame in (4, 7)]
    written = project.write(edits, author="st", origin="proposal", student="st", leave=True)
    assert [revision.frame for revision in written] == [7]


def by_leaving_write_as_truth(project, clip):
    with pytest.raises(ProjectError):
        project.write(
            [Edit(clip, 7, "c3", BONE, MaskState.ACCEPTED)],
            author="st",
            origin="proposal",
            student="st",
            leave=True,
        )


def by_a_run(project, clip):
    run_on(project, student=FixedStudent())
    assert project.newest(clip, 3)["c3"].provenance.source_frame == 2


def by_a_run_backward(project, clip):
    annotate(project, clip, 7, {"c3": BONE})
    run_on(project, "backward", ("c3",), start=7)
    assert project.newest(clip, 6)["c3"].provenance.source_frame == 7


def by_raw_sql(project, clip):
    insert = (
        "INSERT INTO revisions (clip, frame, structure, state, author, time, origin, method, source_frame) VALUES "
        f"(?, 4, 'c3', {MaskState.PROPOSED:d}, 'st', '2026-01-01 00:00:00.000000', 'proposal', 'propagation', 2)"
    )
    with closing(sqlite3.connect(project.folder / "vfss.sqlite", isolation_level=None)) as raw:
        for statement in (insert, insert.replace("INSERT", "INSERT OR REPLACE", 1)):
            with pytest.raises(sqlite3.IntegrityError, match="never replaces an annotation"):
                raw.execute(statement, (clip,))
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            raw.execute("UPDATE revisions SET state = 1 WHERE frame = 4")
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            raw.execute("DELETE FROM revisions WHERE frame = 4")


WAYS = (by_proposals, by_write, by_leaving_write, by_leaving_write_as_truth, by_a_run, by_a_run_backward, by_raw_sql)


@pytest.mark.parametrize("annotated", ANNOTATED.values(), ids=ANNOTATED.keys())
def test_no_write_path_replaces_annotation(project, annotated):
    clip = project.clips()[0].id
    annotate(project, clip, 4, {"c3": annotated}, author="ann")
    before = project.newest(clip, 4)["c3"]
    for way in WAYS:
        way(project, clip)
        after = project.newest(clip, 4)["c3"]
        assert (after.id, after.author, after.state) == (before.id, "ann", before.state), way.__name__
        assert (after.mask is None) == (before.mask is None)
        assert after.mask is None or np.array_equal(after.mask, before.mask)
    assert len(project.history(clip, 4, "c3")) == 1


@pytest.mark.parametrize("annotated", ANNOTATED.values(), ids=ANNOTATED.keys())
def test_no_clip_adapted_student_writes_over_annotation(project, annotated, monkeypatch):
    """Neither over annotation made before the run, nor over annotation made during it."""
    monkeypatch.setattr(adapted_student, "BATCH", 1)
    clip_id, late = project.clips()[0].id, 7
    annotate(project, clip_id, 4, {"airway": annotated}, author="ann")
    with project.open_clip(clip_id) as clip:
        stages = AdaptedRun(project, clip, FixedStudent(), frames=(2, 4), parent="parent").run()
        first = next(stage for stage in stages if stage.written)  # one frame is written, the others are worked out
        assert all(frame != late for frame, _, _ in first.written)
        annotate(project, clip_id, late, {"airway": annotated}, author="bob")
        written = {(frame, key) for stage in (first, *stages) for frame, key, _ in stage.written}
    assert (5, "airway") in written
    assert not written & {(2, "airway"), (4, "airway"), (late, "airway")}
    assert [project.newest(clip_id, t)["airway"].author for t in (2, 4, late)] == ["ann", "ann", "bob"]


def test_annotation_between_reading_and_writing_is_left(project, monkeypatch):
    """A person accepts frame 4 while frame 7 of the same batch is computed; then the batch is written."""
    clip_id = project.clips()[0].id
    with project.open_clip(clip_id) as clip:
        picture, read = clip.as_uint8, []

        def read_and_accept(frame):
            read.append(frame)
            if read.count(7) == 1 and frame == 7:
                assert 6 in read and "c3" not in project.newest(clip_id, 4), "computed, and not yet written"
                annotate(project, clip_id, 4, {"c3": box(20, 20)}, author="bob")
            return picture(frame)

        monkeypatch.setattr(clip, "as_uint8", read_and_accept)
        first, second = ProjectPropagation(project, clip, PropagationRequest(2, "forward", ("c3",)), None).run()
    assert [frame for frame, _, _ in first.written] == [3]
    assert [frame for frame, _, _ in second.written] == [5, 6, 7]
    assert project.newest(clip_id, 4)["c3"].author == "bob"


def test_a_read_only_project_is_refused_before_anything_is_computed(project, monkeypatch):
    monkeypatch.setattr(project, "read_only", True)
    with pytest.raises(ProjectError, match=r"can only be read.*Copy"):
        run_on(project)
