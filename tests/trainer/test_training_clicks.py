# SPDX-License-Identifier: Apache-2.0
"""Prompts: simulated clicks lie on errors, the corrector learns from them, proposals stay unchanged."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from small_student import CONFIG, small_checkpoint
from vfss.errors import TrainingError
from vfss.student import load_student
from vfss.student.openvino_runtime import has_bf16
from vfss.student.preprocess import Placement
from vfss.student.prompt_maps import click_map
from vfss.student.prompts import Click
from vfss_training.config.parts import Clicks, HeldOut
from vfss_training.config.recipe import Recipe, load_recipe
from vfss_training.data.click_examples import PromptedFrames, blotted, boxes, coverage, deepest, moved
from vfss_training.events import Cancel, Events
from vfss_training.loop.run import Run
from vfss_training.studies import fit


def _square(n: int = 1, side: int = 24) -> torch.Tensor:
    area = torch.zeros(n, side, side)
    area[:, 6:16, 8:18] = 1.0
    return area


def _prompted(truth: torch.Tensor, current: torch.Tensor) -> PromptedFrames:
    blank = torch.zeros_like(truth)
    return PromptedFrames(torch.zeros(len(truth), dtype=torch.int64), truth, current, blank, blank, blank)


@given(st.integers(0, 1000))
def test_clicks_lie_inside_the_error_and_have_its_sign(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    truth = _square()
    missing = _prompted(truth, torch.zeros_like(truth)).with_click(random)
    clicked = np.unravel_index(int(missing.adding.argmax()), (24, 24))
    assert truth[0][clicked] == 1 and not missing.removing.any()
    excess = _prompted(torch.zeros_like(truth), truth).with_click(random)
    assert excess.removing.any() and not excess.adding.any()


def test_right_masks_get_no_clicks() -> None:
    clicked = _prompted(_square(), _square()).with_click(torch.Generator())
    assert not clicked.adding.any() and not clicked.removing.any()


def test_the_deepest_pixel_is_in_the_thickest_part() -> None:
    area = torch.zeros(1, 32, 32, dtype=torch.bool)
    area[0, 2, 2:30] = True
    area[0, 10:21, 12:23] = True
    y, x = deepest(area, torch.Generator())
    assert (int(y), int(x)) == (15, 17)


def test_click_maps_in_training_equal_those_at_inference() -> None:
    truth = torch.zeros(1, 32, 32)
    truth[0, 20, 9] = 1.0
    prompted_frames = _prompted(truth, torch.zeros_like(truth)).with_click(torch.Generator().manual_seed(3))
    training_map = prompted_frames.adding[0].numpy()
    inference_map = click_map((Click(20, 9, True),), Placement.of(32, 32, 128), adds=True)
    assert np.unravel_index(training_map.argmax(), training_map.shape) == np.unravel_index(
        inference_map.argmax(), inference_map.shape
    )
    assert (training_map > 0).sum() == pytest.approx((inference_map > 0).sum(), abs=12)


def test_boxes_enclose_the_masks_and_empty_masks_have_none() -> None:
    truth = torch.cat([_square(), torch.zeros(1, 24, 24)])
    result = boxes(truth, torch.Generator().manual_seed(0))
    assert result[0, 11, 13] == 1 and result[0, 0, 0] == -1 and not result[1].any()


@given(st.integers(0, 200))
def test_moved_planes_stay_near_and_keep_their_size(seed: int) -> None:
    truth = _square(3, 48)[:, None]
    before = moved(truth, torch.Generator().manual_seed(seed), 0.5)
    assert before.shape == truth.shape and before.min() >= 0 and before.max() <= 1.0001
    assert (before.sum((1, 2, 3)) / truth.sum((1, 2, 3)) - 1).abs().max() < 0.6
    corrupted = blotted(truth[:, 0], torch.Generator().manual_seed(seed))
    assert ((corrupted != truth[:, 0]).float().mean((1, 2)) < 0.2).all()


def test_coverage_is_the_share_of_subpixels() -> None:
    logits = torch.full((1, 1, 8, 8), -1.0)
    logits[..., 2:6] = 3.0
    result = coverage(logits)
    assert result.shape == logits.shape and 0 < result[0, 0, 4, 1] < 0.5 and result[0, 0, 4, 3] == 1


def _recipe(steps: int) -> Recipe:
    return Recipe(
        name="few clicks",
        phantom_frames=24,
        held_out={"standard": HeldOut(first_seed=95000, frames=4)},
        clicks=Clicks(steps=steps, batch=4, learning_rate=3e-3, average=0.9),
    )


def test_prompt_training_lowers_the_loss_and_keeps_proposals(tmp_path: Path) -> None:
    plain = small_checkpoint().save(tmp_path / "plain.safetensors")
    with Events.open(str(tmp_path / "events.jsonl")) as events:
        run = Run(events, Cancel(), "test", tmp_path / "cache", workers=0)
        prompted_student = fit.fit_prompts(_recipe(40), tmp_path / "taught.safetensors", run, student=str(plain.path))
    assert prompted_student.config.prompted and set(prompted_student.prompted) == {"encode", "correct"}
    entries = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    losses = [event["loss"] for event in entries if event["event"] == "clicks"]
    assert losses and losses[-1] < 4.0
    (scores,) = [event["dice_by_clicks"]["standard"] for event in entries if event["event"] == "clicks_examined"]
    assert len(scores) == 4
    assert prompted_student.provenance["prompts"]["clicks"]["dice_by_clicks"]["standard"] == scores
    assert set(prompted_student.precision) == ({"bf16"} if has_bf16() else set())
    frame = np.random.default_rng(0).integers(0, 255, (1, 64, 64), np.uint8)
    before, after = (
        load_student(checkpoint.path, "cpu-torch").propose(frame)[0] for checkpoint in (plain, prompted_student)
    )
    assert (before.masks.planes == after.masks.planes).all()
    assert (before.confidence == after.confidence).all()


def test_a_student_keeps_its_corrector_when_trained_further(tmp_path: Path) -> None:
    from vfss_training.model.initialise import from_student

    prompted = small_checkpoint(config=replace(CONFIG, prompted=True))
    network = from_student(prompted, prompted.schema, 0)
    new = from_student(small_checkpoint(), prompted.schema, 0, replace(CONFIG, prompted=True))
    assert network.corrector is not None and new.corrector is not None
    corrector = network.corrector.state_dict()
    for name, tensor in corrector.items():
        stored = torch.from_numpy(np.array(prompted.tensors[f"corrector.{name}"])).to(tensor.dtype)
        assert torch.equal(tensor, stored), name
    initial = new.corrector.decoder.state_dict()
    assert all(torch.equal(initial[name], tensor) for name, tensor in new.decoder.state_dict().items())


def test_invalid_settings_are_refused_and_the_recipe_ships() -> None:
    with pytest.raises(TrainingError):
        Clicks(steps=-1)
    with pytest.raises(TrainingError):
        Clicks(boxes=2.0)
    assert load_recipe("clicks").clicks.steps > 0
