# SPDX-License-Identifier: Apache-2.0
"""Background jobs of the window: proposing, exporting, retraining."""

from __future__ import annotations

import sys

import numpy as np
import psutil
import pytest

from keyed_student import ONLY_A_VALVE, VFSS12_REVERSED, WITH_A_VALVE, KeyedStudent, mask_of
from napari_vfss.jobs.files import ExportOrder
from napari_vfss.jobs.proposing import ProposalOrder, Proposing
from napari_vfss.jobs.training import Retraining
from napari_vfss.ui.sections import student as student_section
from small_project import THREE
from vfss.datasets import read_coco
from vfss.masks import MaskState
from vfss.redaction import Redaction

WAIT_MS = 60_000


def wait_until_idle(qtbot, window):
    qtbot.waitUntil(lambda: not window.controller.student_jobs.proposing.running, timeout=WAIT_MS)


def test_the_current_frame_is_proposed_first_and_masks_are_stored_as_proposals(window, qtbot):
    session, order = window.controller.session, []
    session.go_to(5)
    window.controller.student_jobs.proposing.proposed.connect(lambda student, frames: order.extend(frames))
    window.propose.first.setValue(4)
    window.propose.last.setValue(9)
    window.propose.range_button.click()
    assert window.propose.cancel_button.isVisibleTo(window)
    wait_until_idle(qtbot, window)
    assert order[0] == 5
    assert sorted(order) == list(range(3, 9))
    states = session.project.states(session.clip.id)
    assert (states[3:9] == MaskState.PROPOSED).all()
    assert (states[:3] == MaskState.UNSEEN).all()
    assert np.array_equal(states, session.states)
    revision = session.project.newest(session.clip.id, 5)["pharynx"]
    assert revision.origin == "proposal"
    assert revision.author == session.student.id
    assert window.controller.layers.overlay.data.any()
    assert session.student.device in window.propose.summary.text()
    assert not window.propose.cancel_button.isVisibleTo(window)


def test_proposing_again_never_changes_annotated_masks(window, qtbot):
    session, layers = window.controller.session, window.controller.layers
    layers.editor.data[20:40, 20:40] = 1
    layers.flush()
    session.choose("c1")
    session.mark(MaskState.NOT_VISIBLE)
    before = session.project.newest(session.clip.id, 0)
    window.propose.frame_button.click()
    wait_until_idle(qtbot, window)
    after = session.project.newest(session.clip.id, 0)
    for key in ("bolus", "c1"):
        assert after[key].id == before[key].id
    assert session.work.planes[0].sum() == 400
    assert after["pharynx"].state == MaskState.PROPOSED


def test_fully_annotated_frames_are_not_proposed(window, qtbot):
    session = window.controller.session
    for structure in session.schema.structures:
        session.choose(structure.key)
        session.mark(MaskState.NOT_VISIBLE)
    window.controller.student_jobs.propose(0, 0)
    assert not window.controller.student_jobs.proposing.running
    assert "already annotated" in window.message.text()


def test_cancelling_keeps_the_proposals_written_so_far(window, qtbot):
    session = window.controller.session
    with qtbot.waitSignal(window.controller.student_jobs.proposing.proposed, timeout=WAIT_MS):
        window.propose.clip_button.click()
    window.propose.cancel_button.click()
    wait_until_idle(qtbot, window)
    proposed = (session.project.states(session.clip.id) == MaskState.PROPOSED).all(axis=1).sum()
    assert 1 <= proposed < session.clip.n_frames
    assert "Cancelled" in window.message.text()


@pytest.mark.parametrize("schema", [VFSS12_REVERSED, WITH_A_VALVE, THREE], ids=["reversed", "larger", "smaller"])
def test_masks_are_stored_under_the_keys_of_the_students_schema(session, qtbot, schema):
    jobs, messages, student = Proposing(), [], KeyedStudent(schema)
    jobs.message.connect(messages.append)
    jobs.start(ProposalOrder(session.project.folder, session.clip, (2, 0, 1), "unused", "cpu", student))
    qtbot.waitUntil(lambda: not jobs.running, timeout=WAIT_MS)
    for frame in range(3):
        newest = session.project.newest(session.clip.id, frame)
        assert set(newest) == set(schema.keys) & set(session.schema.keys)
        for key, revision in newest.items():
            assert np.array_equal(revision.mask, mask_of(key, session.clip.height, session.clip.width))
    assert bool(messages) == (set(schema.keys) != set(session.schema.keys))


def test_a_student_without_common_structures_is_refused(session, qtbot):
    jobs, outcomes = Proposing(), []
    jobs.ended.connect(outcomes.append)
    student = KeyedStudent(ONLY_A_VALVE)
    jobs.start(ProposalOrder(session.project.folder, session.clip, (0,), "unused", "cpu", student))
    qtbot.waitUntil(lambda: not jobs.running, timeout=WAIT_MS)
    assert "structures are valve, the project's" in outcomes[0]
    assert session.project.last_revision() == 0


def test_a_missing_student_file_is_reported(session, qtbot, tmp_path):
    jobs, outcomes = Proposing(), []
    jobs.ended.connect(outcomes.append)
    jobs.start(ProposalOrder(session.project.folder, session.clip, (0,), str(tmp_path / "none.safetensors"), "cpu"))
    qtbot.waitUntil(lambda: not jobs.running, timeout=WAIT_MS)
    assert "none.safetensors" in outcomes[0]
    assert "Traceback" not in outcomes[0]


def test_an_export_from_the_panel_reads_back_with_the_same_masks(window, qtbot, tmp_path):
    session, layers = window.controller.session, window.controller.layers
    layers.editor.data[20:40, 20:40] = 1
    layers.flush()
    session.accept_frame()
    session.go_to(3)
    session.choose("mandible")
    layers.editor.data[60:90, 60:90] = 1  # a stroke not finished when the export begins
    folder = tmp_path / "set"
    session.project.reviews.accept(session.clip.id, Redaction(), reviewer="Ada")
    with qtbot.waitSignal(window.controller.exporting.ended, timeout=WAIT_MS):
        window.export.export(ExportOrder(session.project.folder, "coco", folder))
    dataset = read_coco(folder)
    assert [image.frame for image in dataset] == [0]
    assert np.array_equal(dataset[0].masks.planes, session.project.masks(session.clip.id, 0).planes)
    assert str(folder) in window.message.text()
    assert session.project.masks(session.clip.id, 3).planes[session.active.index].sum() == 900


def test_an_empty_export_names_the_remedy(window, qtbot, tmp_path):
    with qtbot.waitSignal(window.controller.exporting.ended, timeout=WAIT_MS) as caught:
        window.export.export(ExportOrder(window.controller.session.project.folder, "coco", tmp_path / "set"))
    assert "Accept frames" in caught.args[0]
    assert window.export.export_button.isEnabled()


TRAINER = """
import json, sys, time
def emit(**event): print(json.dumps(event), flush=True)
emit(event="prepare", done=1, total=2)
emit(event="validation", step=0, mean_dice=None, structures={})
emit(event="start", total_steps=3, estimate_s=200)
print("a line that is no event", flush=True)
for i in range(3): emit(event="step", step=i + 1, loss=1.0 / (i + 1))
emit(event="validation", step=3, mean_dice=0.8, structures={})
"""
DONE = """
emit(event="done", student={student!r}, path="x", scores={{"mean_dice": 0.912}}, previous_scores={{"mean_dice": 0.7}})
"""


def run(window, qtbot, code):
    with qtbot.waitSignal(window.controller.retraining.ended, timeout=WAIT_MS) as caught:
        window.controller.retraining.start(
            window.controller.session.project.folder, command=[sys.executable, "-c", code]
        )
    return caught.args[0]


def test_a_new_student_is_offered_with_both_scores_and_can_be_chosen(window, qtbot):
    session = window.controller.session
    from importlib import resources

    shipped = resources.files("vfss.student") / "default.safetensors"
    record = session.project.add_student(str(shipped), scores={"mean_dice": 0.912}, parent=None)
    assert run(window, qtbot, TRAINER + DONE.format(student=record.id)) == ""
    section = window.student
    assert section.bar.maximum() == 3
    assert section.curve.losses == [(1.0, 1.0), (2.0, 0.5), (3.0, 1 / 3)]
    assert section.curve.dice == [(3.0, 0.8)]
    assert "0.912" in section.offer.text()
    assert "0.700" in section.offer.text()
    assert session.project.current_student() is None
    section.use_button.click()
    assert session.project.current_student().id == record.id
    assert section.students.currentData() == record.id
    assert not section.offer.isVisibleTo(window)
    section.students.activated.emit(0)
    assert session.project.current_student() is None


def test_a_student_of_another_project_is_not_offered_here(window, qtbot, tmp_path):
    with qtbot.waitSignal(window.controller.retraining.ended, timeout=WAIT_MS):
        window.controller.retraining.start(tmp_path, command=[sys.executable, "-c", TRAINER + DONE.format(student="s")])
    assert not window.student.offer.isVisibleTo(window)
    assert str(tmp_path) in window.message.text()


def test_a_failed_trainer_is_reported_with_the_end_of_its_log(window, qtbot):
    message = run(window, qtbot, TRAINER + "sys.stderr.write('no space left\\n'); sys.exit(3)")
    assert "code 3" in message
    assert "no space left" in message
    assert "a line that is no event" in message
    assert window.student.retrain_button.isEnabled()
    failure = run(window, qtbot, TRAINER + "emit(event='error', message='Accept frames first.'); sys.exit(1)")
    assert failure == "Retraining failed. Accept frames first."


def test_cancelling_a_trainer_ends_its_process(window, qtbot):
    job = window.controller.retraining
    with qtbot.waitSignal(job.event_received, timeout=WAIT_MS):
        job.start(window.controller.session.project.folder, command=[sys.executable, "-c", TRAINER + "time.sleep(600)"])
    process = job.process_id
    assert psutil.pid_exists(process)
    with qtbot.waitSignal(job.ended, timeout=WAIT_MS) as caught:
        window.student.cancel_button.click()
    assert not psutil.pid_exists(process)
    assert "cancelled" in caught.args[0]
    assert not job.running


def test_a_missing_program_is_reported(qtbot, tmp_path):
    job = Retraining()
    with qtbot.waitSignal(job.ended, timeout=WAIT_MS) as caught:
        job.start(tmp_path, command=[str(tmp_path / "no_such_program")])
    assert "did not start" in caught.args[0]
    assert not job.running


def test_the_real_trainer_accepts_the_options_of_the_panel(qtbot, tmp_path):
    job = Retraining()
    with qtbot.waitSignal(job.ended, timeout=WAIT_MS) as caught:
        job.start(tmp_path, ("--help",))
    assert "code 0" in caught.args[0]
    assert "No such option" not in caught.args[0]


def test_unknown_scores_are_described_as_unknown():
    event = {"scores": {"mean_dice": 0.5}, "previous_scores": {"mean_dice": None}}
    assert "0.500" in student_section.offer_text(event)
    assert "unknown" in student_section.offer_text(event)
    assert "could not be evaluated" in student_section.offer_text({"scores": {"mean_dice": None}})


@pytest.mark.parametrize(("estimate", "shown"), [(30, "about 30 s"), (600, "about 10 min"), (None, "of %m")])
def test_the_estimate_is_shown_in_seconds_or_minutes(window, estimate, shown):
    window.controller.retraining.event_received.emit({"event": "start", "total_steps": 3, "estimate_s": estimate})
    assert window.student.bar.format().endswith(shown)
