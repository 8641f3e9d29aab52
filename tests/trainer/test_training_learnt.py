# SPDX-License-Identifier: Apache-2.0
"""Structures that nobody annotated are not learnt: they are named, and nothing is proposed of them."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from damaged_clip import smooth, write_damaged
from small_project import annotate, write_stack
from small_student import small_checkpoint
from vfss.cli.app import app
from vfss.masks import MaskState
from vfss.project import Project
from vfss.schema import Schema
from vfss.student import load_checkpoint, load_student
from vfss.student.learnt import read_learnt_keys
from vfss_training.cli.app import application
from vfss_training.config.recipe import Recipe
from vfss_training.evaluation.averaging import average_weights
from vfss_training.evaluation.calibrate import measure
from vfss_training.studies.learnt import learnt_by, not_learnt_notice

OWN = Schema.from_dict(
    {
        "id": "own",
        "version": "1.0.0",
        "title": "Own",
        "structures": [
            {"key": "stent", "name": "Stent", "colour": "#FF8C1A"},
            {"key": "valve", "name": "Valve", "colour": "#35C4F0"},
            {"key": "clip", "name": "Clip", "colour": "#F2E24B"},
        ],
    }
)
RECIPE = {"name": "short", "steps": 2, "batch": 2, "phantom_frames": 2, "first_seed": 60_000, "held_out": {}}
FRAMES, HEIGHT, WIDTH = 6, 48, 64


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("student") / "small.safetensors"
    small_checkpoint().save(path)
    return path


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "short.yaml"
    path.write_text(yaml.safe_dump(RECIPE))
    return path


@pytest.fixture
def project(tmp_path: Path):
    """A project in which valves are annotated, stents are empty everywhere, and clips were never looked for."""
    frames = smooth(FRAMES, HEIGHT, WIDTH)
    with Project.create(tmp_path / "project", OWN) as made:
        clip = made.add_clip(write_stack(tmp_path / "a.tif", frames), patient="P1").id
        made.assign_split("P1", "train")
        for t in range(4):
            annotate(made, clip, t, {"valve": frames[t] > 100, "stent": MaskState.EMPTY})
        yield made


def fit(project: Project, *arguments: object) -> tuple[int, list[dict], str]:
    command = ["fit", str(project.folder), *map(str, arguments), "--workers", "0", "--threads", "1", "--events", "-"]
    result = CliRunner().invoke(application, command)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    events = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
    return result.exit_code, events, " ".join(result.stderr.split())


def vfss(*arguments: object):
    return CliRunner().invoke(app, [str(one) for one in arguments], env={"COLUMNS": "300"})


def test_a_structure_without_a_mask_is_named_kept_from_proposing_and_recorded(
    project: Project, student: Path, recipe: Path
) -> None:
    code, events, error = fit(project, "--student", student, "--recipe", recipe)
    assert code == 0, error
    kinds = [event["event"] for event in events]
    notice = next(event for event in events if event.get("not_learnt"))
    assert notice["not_learnt"] == ["stent", "clip"]
    assert kinds.index("notice") < kinds.index("start"), "before the training"
    assert "Stent and Clip have no accepted mask on any frame of the training patients" in error

    made = load_checkpoint(events[-1]["path"])
    assert made.learnt == {"valve": 4} and made.not_learnt == ("stent", "clip")
    assert read_learnt_keys(Path(events[-1]["path"])) == ("valve",)
    (proposal,) = load_student(events[-1]["path"], "cpu").propose(smooth(1, HEIGHT, WIDTH))
    assert proposal.keys == ("valve",) and proposal.masks.planes.shape == (1, HEIGHT, WIDTH)

    result = vfss("propose", project.folder, "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert "The student has not learnt stent, clip, which nobody had annotated: never proposed." in result.stdout
    clip = project.clips()[0].id
    states = project.states(clip)
    assert (states[4:] == [MaskState.UNSEEN, MaskState.PROPOSED, MaskState.UNSEEN]).all()
    assert "1 of 3; not Stent, Clip" in vfss("students", project.folder).stdout
    card = vfss("students", project.folder, "--about", events[-1]["student"])
    assert card.exit_code == 0, card.output
    assert "annotated frames: 4" in card.stdout and card.stdout.count("not learnt: nothing is proposed of it") == 2
    before = project.last_revision()
    vfss("propose", project.folder, "--device", "cpu")
    assert project.last_revision() == before, "these frames are done, though two structures stay unseen"


def test_a_new_student_is_chosen_where_there_was_none_and_else_the_command_to_choose_it_is_told(
    project: Project, student: Path, recipe: Path
) -> None:
    _, events, error = fit(project, "--student", student, "--recipe", recipe)
    first = events[-1]["student"]
    assert events[-1]["in_use"] and project.current_student().id == first
    assert f"Student {first} was added to {project.folder} and proposes from now on." in error
    assert "Nothing is held out" in error and "vfss splits" in error and "--assign PATIENT=test" in error

    _, events, error = fit(project, "--recipe", recipe, "--seed", "5")
    second = events[-1]["student"]
    assert not events[-1]["in_use"] and project.current_student().id == first
    assert f"student {first} goes on proposing" in error
    assert f"vfss students {project.folder} --choose {second}" in error
    assert load_checkpoint(events[-1]["path"]).provenance["parent"] == first

    project.choose_student(None)
    result = vfss("propose", project.folder, "--device", "cpu")
    advice = " ".join(result.stderr.split())
    assert result.exit_code == 1
    assert first in advice and second in advice and f"vfss students {project.folder} --choose" in advice
    assert "vfss-train fit" not in advice


def test_training_leaves_out_what_cannot_be_read_and_names_it(tmp_path: Path, student: Path, recipe: Path) -> None:
    frames = smooth(FRAMES, HEIGHT, WIDTH)
    with Project.create(tmp_path / "project", OWN) as project:
        clips = [
            project.add_clip(write_damaged(tmp_path / "a", "png", frames, [2]), patient="P1").id,
            project.add_clip(write_stack(tmp_path / "lost.tif", frames[::-1]), patient="P1").id,
        ]
        project.assign_split("P1", "train")
        for clip in clips:
            for t in range(4):
                annotate(project, clip, t, {"valve": frames[t] > 100, "stent": frames[t] > 100})
        (tmp_path / "lost.tif").unlink()
        with sqlite3.connect(project.folder / "vfss.sqlite") as connection:
            connection.execute("DROP TRIGGER revisions_stay")
            connection.execute("UPDATE revisions SET mask = x'00' WHERE structure = 'stent' AND frame = 1")
        code, events, error = fit(project, "--student", student, "--recipe", recipe)
        assert code == 3, error
        named = [event["message"] for event in events if event["event"] == "left_out"]
        assert len(named) == 3
        assert any("pictures, frame 2: " in message for message in named)
        assert any("lost.tif, 4 frames: " in message for message in named)
        assert any("pictures, frame 1, Stent: " in message for message in named)
        assert all(message in error for message in (" ".join(one.split()) for one in named))
        made = load_checkpoint(events[-1]["path"])
        assert made.learnt == {"stent": 2, "valve": 3}
        assert made.provenance["left_out"] == 3
        assert "lost.tif" not in json.dumps(dict(made.provenance)) + json.dumps(dict(made.scores))


def test_what_an_earlier_student_or_phantoms_taught_stays_learnt() -> None:
    recipe, vfss12 = Recipe(name="test", phantom_frames=4, replay=0.5), Schema.load()
    nothing = dict.fromkeys(vfss12.keys, 0)
    assert learnt_by(nothing, vfss12, recipe, None) == nothing
    alone = recipe.but(replay=0.0)
    assert learnt_by(nothing | {"bolus": 3}, vfss12, alone, None) == {"bolus": 3}
    parent = replace(small_checkpoint(), learnt={"bolus": 9, "c2": 1})
    assert learnt_by(nothing | {"c3": 2}, vfss12, alone, parent) == {"bolus": 0, "c2": 0, "c3": 2}
    assert list(learnt_by(nothing, vfss12, alone, small_checkpoint())) == list(vfss12.keys)
    assert not_learnt_notice(OWN, {"stent": 0, "valve": 1, "clip": 0}) == ""
    assert not_learnt_notice(OWN, {"stent": 1, "valve": 1}).startswith("Clip has no accepted mask")


def test_a_mean_of_students_and_a_calibration_keep_what_was_learnt() -> None:
    whole = small_checkpoint()
    part = replace(whole, learnt={"bolus": 9, "c2": 1})
    other = replace(whole, learnt={"c2": 4, "c3": 4})
    assert average_weights(whole, whole, 0.5).learnt is None
    assert average_weights(whole, part, 0.5).learnt == {"bolus": 9, "c2": 1}
    assert average_weights(part, other, 0.5).learnt == {"c2": 4}
    measured = measure(part, first_seed=5, frames=1, threads=1)
    assert measured.keys == ("bolus", "c2")
    assert np.isfinite(measured.confidence).all()
