# SPDX-License-Identifier: Apache-2.0
"""`vfss-train learn`: a student learns one clip from its corrected frames, and speaks wherever nobody has."""

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

from moving_film import SCHEMA, Film, box
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
    """A frame with a disc, which a person called a bolus."""
    picture = disc_frame(64, 64, seed)
    planes = np.zeros((N, 64, 64), np.bool_)
    y, x = np.mgrid[:64, :64]
    centre = np.random.default_rng(seed).uniform(0.3, 0.7, 2) * 64
    planes[SCHEMA["bolus"].index] = np.hypot(y - centre[0], x - centre[1]) < 16
    known = np.zeros(N, np.bool_)
    known[SCHEMA["bolus"].index] = True
    return Example(picture, planes, known)


def dice_of(checkpoint, examples) -> float:
    index = SCHEMA["bolus"].index
    said = Student(checkpoint, OpenVinoRuntime(checkpoint)).propose(np.stack([one.picture for one in examples]))
    return float(np.mean([dice(p.masks.planes[index], e.planes[index]) for p, e in zip(said, examples, strict=True)]))


@pytest.mark.parametrize("config", [CONFIG, replace(CONFIG, mirrored=True, crop_to_field=True)])
def test_what_was_corrected_on_some_frames_is_right_on_others(config):
    parent, told = small_checkpoint(config=config), []
    learnt_from = [disc(i) for i in range(6)]
    new = learn_clip(parent, learnt_from, steps=60, progress=lambda done, total: told.append((done, total)))
    others = [disc(i) for i in range(20, 26)]
    before, after = dice_of(parent, others), dice_of(new, others)
    assert after > 0.8 > before + 0.1
    assert told == [(i, 66) for i in range(66)]
    assert new.provenance["learnt_clip"] == {"parent": parent.id, "frames": 6}
    changed = {name for name, tensor in new.tensors.items() if not np.array_equal(tensor, parent.tensors[name])}
    assert changed
    assert all(name.startswith("decoder.") for name in changed), "the encoder is as it was"
    assert not any(name.startswith("decoder.iou_") for name in changed), "its worth is judged as before"


def test_learning_is_the_same_each_time_and_takes_frames_from_all_of_a_long_clip():
    parent, many = small_checkpoint(), [disc(i) for i in range(MOST_FRAMES + 8)]
    one, two = (learn_clip(parent, many, steps=3) for _ in range(2))
    assert one.provenance["learnt_clip"]["frames"] == MOST_FRAMES
    assert all(np.array_equal(tensor, two.tensors[name]) for name, tensor in one.tensors.items())


@given(said=st.floats(0, 1), frames=st.integers(1, MOST_FRAMES), key=st.sampled_from(SOFT))
def test_a_student_is_surer_the_more_it_has_learnt_but_never_of_a_bolus(said, frames, key):
    sure = adapted_confidence(SCHEMA[key], said, frames)
    assert said <= sure + 1e-9
    assert sure <= 1
    assert adapted_confidence(SCHEMA[key], said, frames + 1) >= sure
    if key == "bolus":
        assert sure == said
    elif said < 0.9 and frames >= 3:
        assert sure > said + 0.01


def test_what_is_written_has_the_confidence_of_one_that_has_learnt():
    state = np.full(N, MaskState.PROPOSED, np.uint8)
    proposal = Proposal(SCHEMA.keys, Masks(np.zeros((N, 8, 8), np.bool_), state), np.full(N, 0.7, np.float32), "st")
    said = soft_predictions(proposal, SCHEMA, 12)
    assert {key: round(sure, 3) for key, (_, sure) in said.items()} == {
        key: round(adapted_confidence(SCHEMA[key], 0.7, 12), 3) for key in SOFT
    }


def test_what_cannot_be_learnt_is_said():
    parent = small_checkpoint()
    with pytest.raises(TrainingError, match="on 1 frames, too few"):
        learn_clip(parent, [disc(0)])
    wrong = Example(disc(0).picture, np.zeros((3, 64, 64), np.bool_), np.ones(3, np.bool_))
    with pytest.raises(TrainingError, match="not those of the student's"):
        learn_clip(parent, [wrong, wrong])


class Spoken(Film):
    """A film with what a student that has learnt it says: a box that does not move."""

    def __init__(self, n_frames: int = 12) -> None:
        super().__init__(n_frames)
        self.said = {t: {key: (pack_mask(box(90, 30)), 0.7) for key in SOFT} for t in range(n_frames)}


def test_each_open_place_is_written_once_and_no_other():
    film = Spoken()
    film.annotate(4, "bolus", box(60, 60))
    film.annotate(8, "epiglottis", box(40, 60))
    film.states_now[6, SCHEMA["bolus"].index] = MaskState.EMPTY
    film.states_now[2, SCHEMA["pharynx"].index] = MaskState.NOT_VISIBLE
    spreading, places = WholeClipPropagation(film, film.said), []
    for found in spreading.run():
        places += [(found.frame, key) for key in found.planes]
    person = {(4, "bolus"), (8, "epiglottis"), (6, "bolus"), (2, "pharynx")}
    assert sorted(places) == sorted({(t, key) for t in range(12) for key in SOFT} - person)
    assert spreading.done <= spreading.total


def test_where_a_person_only_said_that_nothing_is_there_the_student_speaks_alone():
    film = Spoken()
    film.states_now[3, SCHEMA["bolus"].index] = MaskState.EMPTY
    film.annotate(2, "c3", box(60, 60))
    found = list(WholeClipPropagation(film, film.said).run())
    assert len(found) == 12
    assert all(np.array_equal(one.planes["pharynx"], box(90, 30)) for one in found)
    assert [one.frame for one in found if "bolus" not in one.planes] == [3]


@pytest.fixture
def study(tmp_path):
    """Project of one phantom clip of eight frames, of which 1 and 5 are accepted; a person spoke on frame 3, too."""
    write_phantom(tmp_path / "film", clips=1, frames=8, seed=5, size=96)
    with Project.open(tmp_path / "film" / "project") as truth:
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


def learn(*words: object):
    return CliRunner().invoke(application, ["learn", *map(str, words), "--threads", "1", "--events", "-"])


def test_one_command_learns_a_clip_and_leaves_what_people_said(study):
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
        person = ~np.isin(before, (MaskState.UNSEEN, MaskState.PROPOSED))
        np.testing.assert_array_equal(before[person], after[person])
        soft = np.array([not structure.is_rigid for structure in project.schema.structures])
        assert (after[~person & soft[None]] == MaskState.PROPOSED).all()
        assert (after[~person & ~soft[None]] == MaskState.UNSEEN).all(), "bones are carried, not learnt"
        assert project.newest(clip_id, 6)["pharynx"].origin == "import", "a person chose that"
        written = project.changes_since(newest)
        assert {(r.frame, r.structure, r.id) for r in written} == {
            tuple(w) for e in events for w in e.get("written", ())
        }
        made = Provenance.adapted((1, 5), load_student(student, "cpu").id)
        assert {(r.author, r.origin, r.provenance) for r in written} == {("clip-adapted student", "proposal", made)}
        # A student that works through the clip leaves what was learnt, and has the bones to say.
        small = load_student(student, "cpu")
        todo = unproposed(project, clip_id, range(8), small)
        assert todo == [0, 2, 3, 4, 6, 7]
        propose_clip(project, small, clip_id, todo)
        standing = [project.newest(clip_id, t)["bolus"] for t in todo]
        assert {revision.provenance for revision in standing} == {made}
        assert "adapted masks are left" in proposal_summary(project, project.clip(clip_id), 6, small)


def test_too_little_and_wrong_names_are_said_with_what_to_do(study, tmp_path):
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


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_stopped_or_killed_it_loses_nothing(study, how, trainer):
    folder, clip_id, student = study
    words = [*trainer, "learn", str(folder), clip_id, "--student", str(student)]
    with subprocess.Popen([*words, "--steps", "100000", "--events", "-"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line)["done"] > 5:
                process.send_signal(how)
                break
        rest = process.stdout.read()
        process.wait(60)
    if how == signal.SIGTERM:
        assert process.returncode == 130
        assert json.loads(rest.splitlines()[-1])["event"] == "cancelled"
    with Project.open(folder) as project:
        assert (project.states(clip_id)[[0, 2, 4]] == MaskState.UNSEEN).all()
        project.check()
