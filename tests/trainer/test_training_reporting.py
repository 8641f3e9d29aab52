# SPDX-License-Identifier: Apache-2.0
"""Reporting of a training: progress bar, curves, and the files that make a run reproducible."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from small_training import RECIPE
from vfss.errors import TrainingError
from vfss_training.config.parts import HeldOut, Stage
from vfss_training.config.recipe import load_recipe
from vfss_training.events import Events
from vfss_training.loop.reporting import Curves, ProgressBar, versions, write_run_files

STEP = {"step": 3, "loss": 0.25, "remaining_s": 3900.0, "weights": {"a": 0.75, "b": 0.25}}


def test_a_terminal_shows_time_left_loss_and_the_path_of_the_student() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=120, color_system=None)
    with ProgressBar.shown(console) as bar:
        events = Events(None, bar)
        events.emit("disk", of="phantom frames", folder="/cache", bytes=2_700_000_000)
        events.emit("prepare", done=1, total=4)
        events.emit("start", total_steps=10, estimate_s=9.0)
        events.emit("step", **STEP)
        events.emit("validation", step=3, mean_dice=0.8125)
        events.emit("done", student="st-1", path="/out/st-1.safetensors")
    output = stream.getvalue()
    for text in ("2.7 GB in /cache", "Preparing", "1 h 05 min left", "loss 0.250", "0.812", "st-1.safetensors"):
        assert text in output


def test_a_run_folder_has_event_lines_and_tensorboard_curves(tmp_path: Path) -> None:
    for step in (3, 4):
        with Curves.kept(tmp_path) as curves:
            Events(None, curves).emit("step", **{**STEP, "step": step})
    lines = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [3, 4]
    written = b"".join(path.read_bytes() for path in (tmp_path / "tensorboard").iterdir())
    for name in (b"step/loss", b"step/weights/a", b"step/weights/b"):
        assert name in written
    assert b"step/step" not in written


def test_a_run_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="cannot write the run's folder"):
        Curves(tmp_path / "file" / "run")


def test_a_run_can_be_repeated_from_its_folder(tmp_path: Path) -> None:
    recipe = replace(RECIPE, seed=11, stages=(Stage(1.0, 64),), held_out={"harsh": HeldOut(1.0, 9, 2)})
    write_run_files(tmp_path, recipe, {"command": "vfss-train fit", "data": {"phantom": "a1"}})
    assert load_recipe(tmp_path / "recipe.yaml") == recipe
    about = json.loads((tmp_path / "run.json").read_text())
    assert (about["seed"], about["data"], about["versions"]) == (11, {"phantom": "a1"}, versions())
