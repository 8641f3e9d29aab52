# SPDX-License-Identifier: Apache-2.0
"""Retraining on a project: the process that the plugin starts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_student import small_checkpoint
from typer.testing import CliRunner

import vfss_training.recipe
from vfss.masks import MaskState
from vfss.phantom import write_phantom
from vfss.project import Edit, Project
from vfss.student import load_student
from vfss_training.cli import application
from vfss_training.data import project_samples
from vfss_training.recipe import QUICK
from vfss_training.sources import HELD_OUT

SHORT = replace(QUICK, steps=2, batch=2, phantom_frames=2)


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
    """Exit code, events and standard error of vfss-train fit, in this process."""
    result = CliRunner().invoke(application, ["fit", *arguments, "--workers", "0", "--threads", "1"])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    told = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
    return result.exit_code, told, result.stderr


def test_a_project_gets_a_student_with_scores(annotated: Path, student: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vfss_training.recipe, "QUICK", SHORT)
    code, told, error = fit(str(annotated), "--student", str(student))
    assert code == 0, error
    assert [entry["event"] for entry in told][-1] == "done"
    assert {"prepare", "start", "step"} <= {str(entry["event"]) for entry in told}
    done = told[-1]
    with Project.open(annotated) as project:
        (record,) = [found for found in project.students() if found.id == done["student"]]
        assert project.current_student() is None, "a person chooses, not the training"
    assert str(record.path) == done["path"]
    assert record.parent == load_student(student, "cpu").id == done["previous"]
    assert record.scores["frames"] == 3
    assert set(done["previous_scores"]["structures"]) == set(done["scores"]["structures"])
    new = load_student(record.path, "cpu")
    assert new.id == record.id
    assert new.provenance["parent"] == record.parent
    assert new.provenance["history"][0]["source"]["frames"] == 3


def test_only_what_people_confirmed_is_learnt(annotated: Path) -> None:
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


def test_a_project_with_nothing_accepted_is_told_what_to_do(tmp_path: Path, student: Path) -> None:
    Project.create(tmp_path / "project").close()
    code, told, error = fit(str(tmp_path / "project"), "--student", str(student))
    assert code == 1
    assert told[-1]["event"] == "error"
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
def test_a_command_that_cannot_be_meant_is_refused(arguments: list[str]) -> None:
    code, _, error = fit(*arguments)
    assert code in (1, 2)
    assert "Traceback" not in error


def test_cancelling_the_process_leaves_everything_as_it_was(annotated: Path, student: Path, tmp_path: Path) -> None:
    with Project.open(annotated) as project:
        before = [record.id for record in project.students()]
    command = [sys.executable, "-m", "vfss_training.cli", "fit", str(annotated)]
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
        left = sorted(path.suffix for path in (annotated / "students").glob("*"))
    assert left == [".safetensors"] * len(before)
    assert not list(tmp_path.glob("vfss-train-*"))
