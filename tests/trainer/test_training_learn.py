# SPDX-License-Identifier: Apache-2.0
"""`vfss-train learn`: a clip-adapted student proposes masks where no person has annotated."""

from __future__ import annotations

import json
import signal
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from moving_clip import SCHEMA, MovingClip, box
from small_student import CONFIG, disc_frame, small_checkpoint
from vfss.errors import TrainingError
from vfss.masks import Masks, MaskState, pack_mask
from vfss.masks.metrics import dice
from vfss.phantom import write_phantom
from vfss.project import Edit, Project, Provenance
from vfss.propagation.whole_clip import WholeClipPropagation, adapted_confidence, soft_predictions
from vfss.proposals.student import proposal_summary, propose_clip, unproposed
from vfss.student import Proposal, Student, load_student
from vfss.student.openvino_runtime import OpenVinoRuntime
from vfss_training.cli.app import application
from vfss_training.clip_adaptation.fine_tune import MOST_FRAMES, Example, learn_clip

SOFT = SCHEMA.soft
N = len(SCHEMA)


def disc(seed: int) -> Example:
    """Return a frame with a disc that is annotated as the bolus."""
    picture = disc_frame(64, 64, seed)
    planes = np.zeros((N, 64, 64), np.bool_)
    y, x = np.mgrid[:64, :64]
    centre = np.random.default_rng(seed).uniform(0.3, 0.7, 2) * 64
    planes[SCHEMA["bolus"].index] = np.hypot(y - centre[0], x - centre[1]) < 16
    known = np.zeros(N, np.bool_)
    known[SCHEMA["bolus"].index] = True
    return Example(picture, planes, known)


def dice_of(checkpoint, examples) -> float:
    """Return the mean Dice of the bolus."""
    index = SCHEMA["bolus"].index
    proposals = Student(checkpoint, OpenVinoRuntime(checkpoint)).propose(np.stack([one.picture for one in examples]))
    return float(
        np.mean([dice(p.masks.planes[index], e.planes[index]) for p, e in zip(proposals, examples, strict=True)])
    )


@pytest.mark.parametrize("config", [CONFIG, replace(CONFIG, mirrored=True, crop_to_field=True)])
def test_corrections_on_some_frames_improve_other_frames(config):
    parent, reported = small_checkpoint(config=config), []
    corrected = [disc(i) for i in range(6)]
    new = learn_clip(parent, corrected, steps=60, progress=lambda done, total: reported.append((done, total)))
    others = [disc(i) for i in range(20, 26)]
    before, after = dice_of(parent, others), dice_of(new, others)
    assert after > 0.8 > before + 0.1
    assert reported == [(i, 66) for i in range(66)]
    assert new.provenance["learnt_clip"] == {"parent": parent.id, "frames": 6}
    changed = {name for name, tensor in new.tensors.items() if not np.array_equal(tensor, parent.tensors[name])}
    assert changed
    assert all(name.startswith("decoder.") for name in changed), "the encoder is unchanged"
    assert not any(name.startswith("decoder.iou_") for name in changed), "the confidence head is unchanged"


def test_adaptation_is_reproducible_and_samples_frames_of_a_long_clip():
    parent, many = small_checkpoint(), [disc(i) for i in range(MOST_FRAMES + 8)]
    one, two = (learn_clip(parent, many, steps=3) for _ in range(2))
    assert one.provenance["learnt_clip"]["frames"] == MOST_FRAMES
    assert all(np.array_equal(tensor, two.tensors[name]) for name, tensor in one.tensors.items())


@given(confidence=st.floats(0, 1), frames=st.integers(1, MOST_FRAMES), key=st.sampled_from(SOFT))
def test_confidence_rises_with_the_number_of_corrected_frames_except_for_the_bolus(confidence, frames, key):
    adapted = adapted_confidence(SCHEMA[key], confidence, frames)
    assert confidence <= adapted + 1e-9
    assert adapted <= 1
    assert adapted_confidence(SCHEMA[key], confidence, frames + 1) >= adapted
    if key == "bolus":
        assert adapted == confidence
    elif confidence < 0.9 and frames >= 3:
        assert adapted > confidence + 0.01


def test_predictions_have_the_adapted_confidence():
    state = np.full(N, MaskState.PROPOSED, np.uint8)
    proposal = Proposal(SCHEMA.keys, Masks(np.zeros((N, 8, 8), np.bool_), state), np.full(N, 0.7, np.float32), "st")
    predictions = soft_predictions(proposal, SCHEMA, 12)
    assert {key: round(confidence, 3) for key, (_, confidence) in predictions.items()} == {
        key: round(adapted_confidence(SCHEMA[key], 0.7, 12), 3) for key in SOFT
    }


def test_too_few_frames_and_wrong_structures_are_refused():
    parent = small_checkpoint()
    with pytest.raises(TrainingError, match="on 1 frames, too few"):
        learn_clip(parent, [disc(0)])
    wrong = Example(disc(0).picture, np.zeros((3, 64, 64), np.bool_), np.ones(3, np.bool_))
    with pytest.raises(TrainingError, match="not those of the student's"):
        learn_clip(parent, [wrong, wrong])


class AdaptedClip(MovingClip):
    """A moving clip with the predictions of a clip-adapted student: a box that does not move."""

    def __init__(self, n_frames: int = 12) -> None:
        super().__init__(n_frames)
        self.predictions = {t: {key: (pack_mask(box(90, 30)), 0.7) for key in SOFT} for t in range(n_frames)}


def test_each_mask_without_annotation_is_written_once_and_no_other():
    clip = AdaptedClip()
    clip.annotate(4, "bolus", box(60, 60))
    clip.annotate(8, "epiglottis", box(40, 60))
    clip.states_now[6, SCHEMA["bolus"].index] = MaskState.EMPTY
    clip.states_now[2, SCHEMA["pharynx"].index] = MaskState.NOT_VISIBLE
    propagation, masks = WholeClipPropagation(clip, clip.predictions), []
    for propagated in propagation.run():
        masks += [(propagated.frame, key) for key in propagated.planes]
    annotated = {(4, "bolus"), (8, "epiglottis"), (6, "bolus"), (2, "pharynx")}
    assert sorted(masks) == sorted({(t, key) for t in range(12) for key in SOFT} - annotated)
    assert propagation.done <= propagation.total


def test_without_annotated_soft_masks_the_student_is_used_alone():
    clip = AdaptedClip()
    clip.states_now[3, SCHEMA["bolus"].index] = MaskState.EMPTY
    clip.annotate(2, "c3", box(60, 60))
    propagated = list(WholeClipPropagation(clip, clip.predictions).run())
    assert len(propagated) == 12
    assert all(np.array_equal(one.planes["pharynx"], box(90, 30)) for one in propagated)
    assert [one.frame for one in propagated if "bolus" not in one.planes] == [3]


@pytest.fixture
def study(tmp_path):
    """Project of one phantom clip of eight frames: 1 and 5 are accepted, on 3 the pharynx is marked as not visible."""
    write_phantom(tmp_path / "phantom", clips=1, frames=8, seed=5, size=96)
    with Project.open(tmp_path / "phantom" / "project") as truth:
        (record,) = truth.clips()
        masks = {t: truth.masks(record.id, t) for t in range(8)}
        recording = truth.locate(record.id)
    folder = tmp_path / "study"
    with Project.create(folder) as project:
        clip_id = project.add_clip(recording).id
        for t in (1, 5):
            edits = [
                Edit(clip_id, t, key, masks[t].planes[i], MaskState.ACCEPTED)
                if masks[t].planes[i].any()
                else Edit(clip_id, t, key, None, MaskState.EMPTY)
                for i, key in enumerate(project.schema.keys)
            ]
            project.write(edits, author="Ada", origin="hand")
        project.write([Edit(clip_id, 3, "pharynx", None, MaskState.NOT_VISIBLE)], author="Ada", origin="hand")
    return folder, clip_id, small_checkpoint().save(tmp_path / "small.safetensors").path


def learn(*arguments: object):
    return CliRunner().invoke(application, ["learn", *map(str, arguments), "--threads", "1", "--events", "-"])


def test_one_command_adapts_to_a_clip_and_leaves_annotations_unchanged(study):
    folder, clip_id, student = study
    with Project.open(folder) as project:
        plane = np.zeros((96, 96), np.bool_)
        plane[10:20, 10:20] = True
        project.write([Edit(clip_id, 6, "pharynx", plane, MaskState.PROPOSED)], author="Ada", origin="import")
        before, newest = project.states(clip_id), project.last_revision()
        name = project.clip(clip_id).path.name
    done = learn(folder, name, "--student", student, "--steps", 4)
    assert done.exit_code == 0, done.output
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert events[-1] == {"event": "learnt", "frames": 2, "masks": sum(len(e.get("written", ())) for e in events)}
    with Project.open(folder) as project:
        after = project.states(clip_id)
        annotated = ~np.isin(before, (MaskState.UNSEEN, MaskState.PROPOSED))
        np.testing.assert_array_equal(before[annotated], after[annotated])
        soft = np.array([not structure.is_rigid for structure in project.schema.structures])
        assert (after[~annotated & soft[None]] == MaskState.PROPOSED).all()
        assert (after[~annotated & ~soft[None]] == MaskState.UNSEEN).all(), "bones are propagated, not proposed"
        assert project.newest(clip_id, 6)["pharynx"].origin == "import", "imported masks are kept"
        written = project.changes_since(newest)
        assert {(r.frame, r.structure, r.id) for r in written} == {
            tuple(w) for e in events for w in e.get("written", ())
        }
        provenance = Provenance.adapted((1, 5), load_student(student, "cpu").id)
        assert {(r.author, r.origin, r.provenance) for r in written} == {
            ("clip-adapted student", "proposal", provenance)
        }
        # A student that proposes on the clip leaves the adapted masks, and proposes the bones.
        plain = load_student(student, "cpu")
        open_frames = unproposed(project, clip_id, range(8), plain)
        assert open_frames == [0, 2, 3, 4, 6, 7]
        propose_clip(project, plain, clip_id, open_frames)
        newest_masks = [project.newest(clip_id, t)["bolus"] for t in open_frames]
        assert {revision.provenance for revision in newest_masks} == {provenance}
        assert "adapted masks are left" in proposal_summary(project, project.clip(clip_id), 6, plain)


def test_too_few_frames_and_unknown_clips_are_reported(study, tmp_path):
    folder, clip_id, student = study
    done = learn(folder, "other.mp4", "--student", student)
    assert done.exit_code == 1
    assert "no clip other.mp4" in " ".join(done.stderr.split())
    empty = tmp_path / "empty"
    with Project.open(folder) as project, Project.create(empty) as other:
        recording = project.locate(clip_id)
        other.add_clip(recording)
    done = learn(empty, recording.name, "--student", student)
    assert done.exit_code == 1
    assert json.loads(done.stdout.splitlines()[-1])["event"] == "error"
    assert "on 0 frames, too few" in " ".join(done.stderr.split())


@pytest.mark.parametrize("stop_signal", [signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_or_killed_process_leaves_the_project_intact(study, stop_signal, trainer):
    folder, clip_id, student = study
    arguments = [*trainer, "learn", str(folder), clip_id, "--student", str(student)]
    with subprocess.Popen(
        [*arguments, "--steps", "100000", "--events", "-"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line)["done"] > 5:
                process.send_signal(stop_signal)
                break
        rest = process.stdout.read()
        process.wait(60)
    if stop_signal == signal.SIGTERM:
        assert process.returncode == 130
        assert json.loads(rest.splitlines()[-1])["event"] == "cancelled"
    with Project.open(folder) as project:
        assert (project.states(clip_id)[[0, 2, 4]] == MaskState.UNSEEN).all()
        project.check()
