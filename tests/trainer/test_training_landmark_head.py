# SPDX-License-Identifier: Apache-2.0
"""`vfss-train landmarks`: a head learns points, proposals stay, and students with other features drop it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from small_student import CONFIG, disc_frame, small_checkpoint
from vfss.landmarks import LANDMARKS
from vfss.student import load_student
from vfss_training.config.parts import HeldOut
from vfss_training.config.recipe import Recipe, load_recipe
from vfss_training.evaluation.averaging import average_weights
from vfss_training.events import Cancel, Events
from vfss_training.loop.run import Run
from vfss_training.studies import fit


def test_a_head_learns_and_proposals_stay(tmp_path: Path) -> None:
    plain = small_checkpoint().save(tmp_path / "plain.safetensors")
    recipe = Recipe(
        name="few landmarks",
        phantom_frames=8,
        held_out={"standard": HeldOut(first_seed=95000, frames=1)},
        steps=40,
        batch=8,
        learning_rate=3e-3,
        average=0.9,
    )
    with Events.open(str(tmp_path / "events.jsonl")) as events:
        run = Run(events, Cancel(), "test", tmp_path / "cache", workers=0)
        found = fit.fit_landmarks(recipe, tmp_path / "found.safetensors", run, student=str(plain.path))
    entries = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    losses = [event["loss"] for event in entries if event["event"] == "landmarks"]
    # The features are those of random weights, so that there is little to learn in them.
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.2
    assert found.config.landmark_head == len(LANDMARKS) and set(found.prompted) == {"encode", "landmarks"}
    assert set(found.provenance["landmarks"]["errors"]["standard"]) == {one.key for one in LANDMARKS}
    assert found.graph == plain.graph
    frame = disc_frame(64, 64)
    before, after = (load_student(one.path, "cpu").propose(frame[None])[0] for one in (plain, found))
    assert (before.masks.planes == after.masks.planes).all()
    assert (before.confidence == after.confidence).all()
    assert load_student(found.path, "cpu").find_landmarks(frame).points.shape == (len(LANDMARKS), 2)


def test_a_mean_of_students_has_no_head_of_either() -> None:
    finder = small_checkpoint(config=replace(CONFIG, landmark_head=4))
    mean = average_weights(finder, small_checkpoint(seed=1), 0.5)
    assert mean.config.landmark_head == 0 and "landmarks" not in mean.prompted
    assert set(mean.tensors) == set(small_checkpoint().tensors)
    token = "decoder.mask_tokens.weight"
    assert not np.array_equal(mean.tensors[token], finder.tensors[token])


def test_the_recipe_ships() -> None:
    assert load_recipe("landmarks").steps > 0
