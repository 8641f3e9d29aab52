# SPDX-License-Identifier: Apache-2.0
"""Retraining on a project: the process that the plugin starts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from typer.testing import CliRunner

import vfss_training.studies.sources
from small_project import annotate, grey_frames, write_video
from small_student import small_checkpoint
from vfss.comparison.comparing import AGREEMENT, comparisons_of
from vfss.errors import TrainingError
from vfss.masks import MaskState
from vfss.phantom import write_phantom
from vfss.project import Edit, Project
from vfss.student import load_student, preprocess
from vfss_training.cli.app import application
from vfss_training.data.samples import project_samples, unlabelled_project_samples
from vfss_training.studies.project import refuse_leaks
from vfss_training.studies.sources import HELD_OUT, TRAINED

SHORT = {"name": "short", "steps": 2, "batch": 2, "phantom_frames": 2, "first_seed": 60_000, "held_out": {}}


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("student") / "small.safetensors"
    small_checkpoint().save(path)
    return path


@pytest.fixture(scope="module")
def annotated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Project of two phantom clips of three frames, a training patient and a held-out one."""
    out = tmp_path_factory.mktemp("phantom")
    write_phantom(out, clips=2, frames=3, seed=5, size=96)
    return out / "project"


def fit(*arguments: str) -> tuple[int, list[dict[str, object]], str]:
    """Run vfss-train fit in this process; return exit code, events and standard error."""
    result = CliRunner().invoke(application, ["fit", *arguments, "--workers", "0", "--threads", "1"])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    events = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
    return result.exit_code, events, result.stderr


@pytest.fixture
def short(tmp_path: Path) -> Path:
    path = tmp_path / "short.yaml"
    path.write_text(yaml.safe_dump(SHORT))
    return path


def test_a_project_gets_a_student_with_scores(annotated: Path, student: Path, short: Path) -> None:
    code, events, error = fit(str(annotated), "--student", str(student), "--recipe", str(short), "--no-choose")
    assert code == 0, error
    assert [entry["event"] for entry in events][-1] == "done"
    assert {"prepare", "start", "step"} <= {str(entry["event"]) for entry in events}
    done = events[-1]
    with Project.open(annotated) as project:
        (record,) = [student_record for student_record in project.students() if student_record.id == done["student"]]
        assert project.current_student() is None
        names = [name for clip in project.clips() for name in (clip.patient, clip.path.name)]
    header = record.path.read_bytes()[:500_000].decode("utf-8", "replace")
    assert not [name for name in (*names, str(annotated)) if name in header], "a student carries no names"
    assert f"vfss students {annotated} --choose {done['student']}" in error and not done["in_use"]
    assert str(record.path) == done["path"]
    assert record.parent == load_student(student, "cpu").id == done["previous"]
    assert record.scores["frames"] == 3
    assert set(done["previous_scores"]["structures"]) == set(done["scores"]["structures"])
    compared = comparisons_of(record)[str(done["previous"])]
    assert compared.verdict.to_dict() == done["gate"]
    assert compared.hold_out is not None and compared.hold_out.frames == 3
    assert compared.phantoms is not None, "one held-out patient is too few"
    assert any("only 1 patient" in remark for remark in compared.verdict.remarks)
    assert record.scores[AGREEMENT] >= 0.999 and record.added_by == "vfss-train"
    with Project.open(annotated) as project:
        assert project.hold_out.frames(project.splits()).count == 3
    new = load_student(record.path, "cpu")
    assert new.id == record.id
    assert new.provenance["parent"] == record.parent
    assert new.provenance["history"][0]["source"]["frames"] == 3


def test_only_accepted_masks_are_training_labels(annotated: Path) -> None:
    with Project.open(annotated) as project:
        clip = next(record for record in project.clips() if project.split(record.patient) == "train")
        before = project_samples(project, ("train",), 64)[0].known
        project.write(
            [
                Edit(clip.id, 0, "c2", np.ones((clip.height, clip.width), np.bool_), MaskState.EDITED),
                Edit(clip.id, 0, "c3", None, MaskState.NOT_VISIBLE),
                Edit(clip.id, 0, "c4", None, MaskState.EMPTY),
            ],
            author="a person",
            origin="hand",
        )
        sample = project_samples(project, ("train",), 64)[0]
        keys = list(project.schema.keys)
        held_out = project_samples(project, HELD_OUT, 64)
    assert before[keys.index("c2")]
    assert not sample.known[keys.index("c2")]
    assert not sample.known[keys.index("c3")]
    assert sample.known[keys.index("c4")]
    planes = np.unpackbits(sample.bits, axis=0, count=len(keys))
    assert not planes[keys.index("c4")].any()
    assert len(held_out) == 3


def test_a_project_without_accepted_frames_is_refused_with_advice(tmp_path: Path, student: Path) -> None:
    Project.create(tmp_path / "project").close()
    code, events, error = fit(str(tmp_path / "project"), "--student", str(student))
    assert code == 1
    assert events[-1]["event"] == "error"
    assert "Accept some frames" in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--phantom"],
        ["PROJECT", "--phantom", "--out", "x"],
        ["/nowhere/at/all"],
        ["/nowhere", "--events", "/dev/null/x"],
    ],
)
def test_invalid_arguments_are_refused_without_a_traceback(arguments: list[str]) -> None:
    code, _, error = fit(*arguments)
    assert code in (1, 2)
    assert "Traceback" not in error


def test_cancelling_the_process_leaves_the_project_unchanged(
    annotated: Path, student: Path, tmp_path: Path, trainer: list[str]
) -> None:
    with Project.open(annotated) as project:
        before = [record.id for record in project.students()]
    command = [*trainer, "fit", str(annotated)]
    options = ["--student", str(student), "--steps", "100000", "--workers", "0", "--threads", "1"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["event"] == "step":
            break
    process.send_signal(signal.SIGTERM)
    rest, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert json.loads(rest.splitlines()[-1])["event"] == "cancelled"
    with Project.open(annotated) as project:
        assert [record.id for record in project.students()] == before
        suffixes = sorted(path.suffix for path in (annotated / "students").glob("*"))
    assert suffixes == [".safetensors"] * len(before)
    assert not list(tmp_path.glob("vfss-train-*"))


# Unlabelled frames, and teachers with targets on them


class GreyPowers:
    """A teacher of the usual shape whose features are powers of the grey values."""

    def targets(self, frames: torch.Tensor) -> torch.Tensor:
        grey = torch.nn.functional.adaptive_avg_pool2d(frames[:, None].float() / 255, 64)
        return torch.cat([grey ** (1 + i / 32) for i in range(256)], dim=1)


@pytest.fixture
def unlabelled(tmp_path: Path) -> Path:
    """A project with six frames of a training patient, two of them annotated, and a held-out patient."""
    write_phantom(tmp_path, clips=2, frames=6, seed=5, size=96)
    with Project.open(tmp_path / "project") as project:
        (clip,) = [record for record in project.clips() if project.split(record.patient) == "train"]
        edits = [Edit(clip.id, t, key, None, MaskState.UNSEEN) for t in (1, 2, 4, 5) for key in project.schema.keys]
        project.write(edits, author="a person", origin="undo")
        assert project.annotated_frames(clip.id) == [0, 3]
    return tmp_path / "project"


def test_unlabelled_frames_are_those_of_training_patients_without_annotation(unlabelled: Path) -> None:
    with Project.open(unlabelled) as project:
        every_frame = unlabelled_project_samples(project, TRAINED, 64, 100)
        two_frames = unlabelled_project_samples(project, TRAINED, 64, 2)
        (clip,) = [record for record in project.clips() if project.split(record.patient) == "train"]
    assert (len(every_frame), len(two_frames)) == (4, 2)
    assert not any(sample.known.any() or sample.bits.any() for sample in (every_frame[i] for i in range(4)))
    assert {every_frame.patient(i) for i in range(4)} == {clip.patient}
    np.testing.assert_array_equal(two_frames[1].frame, every_frame[3].frame)
    assert every_frame.key != two_frames.key


def test_teachers_and_the_parent_student_give_pseudo_labels(
    unlabelled: Path, student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vfss_training.studies.sources, "teacher_loader", lambda name, weights: GreyPowers)
    recipe = tmp_path / "distil.yaml"
    distill = {"teachers": ["mobile-sam", "lite-medsam"], "frames": 8, "pool": 4, "share": 0.5}
    recipe.write_text(
        yaml.safe_dump(
            SHORT | {"steps": 6, "batch": 4, "distill": distill, "adapt": {"steps": 2, "width": 8}, "mixup": 0.5}
        )
    )
    code, events, error = fit(str(unlabelled), "--student", str(student), "--recipe", str(recipe))
    assert code == 0, error
    teachers = [entry for entry in events if entry["event"] == "painter"]
    assert len(teachers) == 3
    assert any("feature_loss" in entry for entry in events if entry["event"] == "step")
    assert any("mask_loss" in entry for entry in events if entry["event"] == "step")
    new = load_student(str(events[-1]["path"]), "cpu")
    assert new.provenance["history"][0]["source"]["film_frames"] == 4


def test_a_student_is_trained_on_several_projects(
    annotated: Path, unlabelled: Path, student: Path, short: Path
) -> None:
    with Project.open(annotated) as one, Project.open(unlabelled) as other:
        for record in other.clips():
            other.assign_split(record.patient, one.split(record.patient))
        count = sum(len(project_samples(project, TRAINED, 64)) for project in (one, other))
        last = other.last_revision()
    code, events, error = fit(str(annotated), str(unlabelled), "--student", str(student), "--recipe", str(short))
    assert code == 0, error
    source = load_student(str(events[-1]["path"]), "cpu").provenance["history"][0]["source"]
    assert source["frames"] == count > 3
    assert [one["last_revision"] for one in source["others"]] == [last]


def test_a_patient_trained_on_in_one_project_and_held_out_in_another_is_refused(
    unlabelled: Path, tmp_path: Path
) -> None:
    write_phantom(tmp_path / "third", clips=1, frames=2, seed=9, size=96)
    with Project.open(tmp_path / "third" / "project") as one, Project.open(unlabelled) as other:
        for project, split in ((one, "train"), (other, "test")):
            project.update_clip(project.clips()[0].id, patient="someone")
            project.assign_split("someone", split)
        with pytest.raises(TrainingError, match=r"patient 'someone' is trained on in .*third.* and held out in"):
            refuse_leaks([one, other])
        refuse_leaks([one])


def test_training_sees_the_proportions_that_use_sees(tmp_path: Path) -> None:
    """Pixels twice as wide as high: a round structure is round for the network, in training as in use."""
    with Project.create(tmp_path / "wide") as project:
        video = write_video(tmp_path / "wide.mp4", grey_frames(2, 96, 64), aspect=Fraction(2))
        clip = project.add_clip(video, patient="one").id
        project.assign_split("one", "train")
        rows, columns = np.mgrid[:96, :64]
        round_one = (rows - 48) ** 2 + (2 * (columns - 32)) ** 2 <= 20**2
        annotate(project, clip, 0, {"mandible": round_one})
        labelled = project_samples(project, TRAINED, 64)[0]
        unlabelled = unlabelled_project_samples(project, TRAINED, 64, 1)[0]
        assert labelled.window == unlabelled.window == (8, 0, 48, 64)  # 96 by 128 heights of a pixel
        plane = np.unpackbits(labelled.bits, axis=0)[project.schema["mandible"].index]
        y, x = np.nonzero(plane)
        assert np.ptp(y) == pytest.approx(np.ptp(x), abs=1.5)
        with project.open_clip(clip) as opened:
            placement = preprocess.Placement.of(opened.height, opened.width, 64, opened.pixel_aspect)
            assert np.array_equal(labelled.frame, preprocess.fit(opened.as_uint8(0), placement))
