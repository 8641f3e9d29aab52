# SPDX-License-Identifier: Apache-2.0
"""Teacher adaptation: mask heads, low-rank corrections in the attention, and the weight of each teacher."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from small_student import CONFIG, small_checkpoint
from vfss.errors import TrainingError
from vfss.schema import Schema
from vfss_training.config.parts import Adaptation, Distillation, SelfTeaching
from vfss_training.config.recipe import Recipe
from vfss_training.data.augment import Augmentation
from vfss_training.data.phantoms import PhantomSamples
from vfss_training.data.samples import ListedSamples, Sample, first
from vfss_training.events import Cancel, Events, TrainingCancelledError
from vfss_training.loop.run import Run
from vfss_training.studies.pseudo_labels import PseudoLabeller
from vfss_training.studies.teacher_adaptation import TeacherAdaptation, augment_features
from vfss_training.teachers.adapted import LowRank, MaskHead, correct
from vfss_training.teachers.loading import build_teacher
from vfss_training.teachers.table import TEACHERS, teacher_named
from vfss_training.teachers.targets import CachedTargets

CHANNELS, GRID = 8, 16
ENTRY = replace(teacher_named("lite-medsam"), channels=CHANNELS, grid=GRID, input_size=64)
RECIPE = Recipe(
    name="adapting",
    student=CONFIG,
    phantom_frames=8,
    held_out={},
    steps=1,
    distill=Distillation(("lite-medsam",), frames=8),
    adapt=Adaptation(steps=60, width=16, batch=4, learning_rate=1e-2),
    augmentation=Augmentation(warp=0.3),
)


class GreyPowers(nn.Module):
    """A teacher whose features are powers of the grey values."""

    name = "lite-medsam"

    def __init__(self) -> None:
        super().__init__()
        self.attn = nn.Module()
        self.attn.qkv = nn.Linear(CHANNELS, CHANNELS)
        self.requires_grad_(False)

    def prepare(self, frames: Tensor) -> Tensor:
        return frames[:, None].float() / 255

    def features(self, inputs: Tensor) -> Tensor:
        grey = nn.functional.adaptive_avg_pool2d(inputs, GRID)
        powers = torch.cat([grey**i for i in range(1, CHANNELS + 1)], dim=1)
        return self.attn.qkv(powers.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    def targets(self, frames: Tensor) -> Tensor:
        with torch.no_grad():
            return self.features(self.prepare(frames))


def stream(folder: Path, n: int = 8) -> PhantomSamples:
    return PhantomSamples(folder, Schema.load(), styles={"standard": 1.0}, first_seed=0, n=n, size=64)


def run_in(folder: Path) -> Run:
    return Run(Events(io.StringIO()), Cancel(), "vfss-train test", folder, workers=0, threads=1)


def cached_targets(folder: Path) -> CachedTargets:
    torch.manual_seed(0)
    targets = CachedTargets(folder, ENTRY, stream(folder), frames=8, pool=1)
    targets.prepare(GreyPowers, lambda done, total: None)
    return targets


def adapting(folder: Path, recipe: Recipe = RECIPE) -> TeacherAdaptation:
    def load() -> GreyPowers:
        torch.manual_seed(0)
        return GreyPowers()

    arguments = (recipe, CONFIG, 12, run_in(folder))
    return TeacherAdaptation(ENTRY, load, first(stream(folder), 8), tuple(range(8)), cached_targets(folder), *arguments)


def predicted_and_true_masks(folder: Path, adaptation: TeacherAdaptation) -> tuple[Tensor, Tensor]:
    """Return predicted and true masks of all eight frames, float32 (8, 12, GRID, GRID)."""
    samples = [stream(folder)[i] for i in range(8)]
    frames = torch.from_numpy(np.stack([sample.frame for sample in samples]))
    masks = adaptation.teacher().masks(frames, [(i, 0) for i in range(8)])
    planes = np.stack([np.unpackbits(sample.bits, axis=0, count=12) for sample in samples])
    truth = nn.functional.adaptive_avg_pool2d(torch.from_numpy(planes).float(), GRID)
    return masks, truth


def test_a_head_learns_the_masks_and_is_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    untrained = adapting(tmp_path, RECIPE.but(adapt=replace(RECIPE.adapt, steps=1)))
    trained = adapting(tmp_path)
    before, truth = predicted_and_true_masks(tmp_path, untrained)
    after, _ = predicted_and_true_masks(tmp_path, trained)
    assert after.shape == (8, 12, GRID, GRID)
    assert (after - truth).square().mean() < 0.5 * (before - truth).square().mean()
    monkeypatch.setattr(TeacherAdaptation, "train", lambda *_: pytest.fail("trained again"))
    second, _ = predicted_and_true_masks(tmp_path, adapting(tmp_path))
    torch.testing.assert_close(second, after)
    assert len(list(tmp_path.glob("adapted-*.safetensors"))) == 2


def test_corrections_leave_the_teachers_own_weights_unchanged(tmp_path: Path) -> None:
    recipe = RECIPE.but(adapt=replace(RECIPE.adapt, rank=2, steps=4))
    after, _ = predicted_and_true_masks(tmp_path, adapting(tmp_path, recipe))
    teacher = adapting(tmp_path, recipe).teacher()
    (corrected,) = [layer for layer in teacher.teacher.modules() if isinstance(layer, LowRank)]
    assert corrected.up.weight.abs().sum() > 0
    assert torch.equal(corrected.layer.weight, adapting(tmp_path, recipe).load().attn.qkv.weight)
    second, _ = predicted_and_true_masks(tmp_path, adapting(tmp_path, recipe))
    torch.testing.assert_close(second, after)


@pytest.mark.parametrize("name", TEACHERS)
def test_every_teacher_has_attention_layers_to_correct(name: str) -> None:
    with torch.device("meta"):
        teacher = build_teacher(teacher_named(name))
    own = {key for key, _ in teacher.named_parameters()}
    layers = correct(teacher, 4)
    assert len(layers) >= 16
    trainable = {key for key, weight in teacher.named_parameters() if weight.requires_grad}
    assert len(trainable) == 2 * len(layers)
    assert not trainable & own


def test_a_correction_is_zero_at_first() -> None:
    layer = nn.Linear(6, 10)
    inputs = torch.randn(3, 6)
    torch.testing.assert_close(LowRank(layer, 2)(inputs), layer(inputs))
    with pytest.raises(TrainingError, match="no attention"):
        correct(nn.Sequential(layer), 2)


def test_cached_features_move_with_their_masks() -> None:
    features = torch.zeros(6, 1, 32, 32)
    features[:, :, 8:14, 4:12] = 1.0
    target = features.repeat(1, 1, 1, 1).clone()
    a, b = augment_features(features, target, Augmentation(flip=0.5, warp=1.0), (1, 7, 3))
    torch.testing.assert_close(a, b)
    assert not torch.allclose(a, features)
    unmoved, _ = augment_features(features, target, Augmentation(flip=0.0, warp=0.0), (1, 7, 3))
    torch.testing.assert_close(unmoved, features, atol=1e-4, rtol=0)
    flipped, _ = augment_features(features, target, Augmentation(flip=1.0, warp=0.0), (1, 7, 3))
    torch.testing.assert_close(flipped, features.flip(3), atol=1e-4, rtol=0)


def test_heads_give_masks_of_any_size() -> None:
    for side in (7, 14, 37, 64):
        assert MaskHead(5, 12, 8, 24)(torch.randn(2, 5, side, side)).shape == (2, 12, 24, 24)


class LeftPart:
    """A teacher whose masks fill a share of the frame from its left side."""

    grid = 16

    def __init__(self, share: float) -> None:
        self.key, self._share = f"left {share}", share

    def masks(self, frames: Tensor, places: Sequence[tuple[int, int]]) -> Tensor:
        masks = torch.zeros(len(frames), 12, self.grid, self.grid)
        masks[..., : round(self.grid * self._share)] = 1.0
        return masks


def test_teachers_are_weighted_by_agreement_with_the_labels(tmp_path: Path) -> None:
    bits = np.zeros((12, 64, 64), np.uint8)
    bits[:, :, :32] = 1
    frame = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    sample = Sample(frame, np.packbits(bits, axis=0), np.ones(12, np.float32), (0, 0, 64, 64))
    labelled = ListedSamples([sample] * 7, ["someone"] * 7)
    events = io.StringIO()
    run = replace(run_in(tmp_path), events=Events(events))
    labeller = PseudoLabeller(RECIPE, CONFIG, Schema.load(), run, labelled)
    assert labeller.agreement(LeftPart(0.5), (0, 5)).min() > 0.99
    assert labeller.agreement(LeftPart(1.0), (0, 5)).numpy() == pytest.approx(2 / 3, abs=0.01)
    assert (labeller.agreement(LeftPart(1.0), ()) == 1).all()
    with_parent = replace(labeller, parent=small_checkpoint())
    assert (with_parent.agreement(LeftPart(1.0), ()) == 0).all(), (
        "a teacher of unknown agreement does not change the masks of the parent"
    )
    partially_known = replace(sample, known=np.array([1.0] + [0.0] * 11, np.float32))
    few = replace(labeller, labelled=ListedSamples([partially_known] * 3, ["someone"] * 3))
    assert few.agreement(LeftPart(1.0), (0,)).numpy() == pytest.approx(2 / 3, abs=0.01), (
        "a structure without held-out labels has the mean agreement"
    )
    assert (few.held_out_items(4), few.training_items(4)) == ((1,), (0, 2))
    assert labeller.held_out_items(1) == (1, 6)
    assert labeller.training_items(1) == (0, 2, 3, 4, 5)
    entries = [json.loads(line) for line in events.getvalue().splitlines()]
    assert entries[0]["dice"]["c3"] == pytest.approx(1.0, abs=0.01)


def test_structures_that_nobody_annotated_get_no_pseudo_labels_but_those_of_a_parent_that_learnt_them(
    tmp_path: Path,
) -> None:
    bits = np.ones((12, 64, 64), np.uint8)
    frame = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    known = np.array([1.0] + [0.0] * 11, np.float32)  # the bolus alone
    labelled = ListedSamples([Sample(frame, np.packbits(bits, axis=0), known, (0, 0, 64, 64))] * 3, ["someone"] * 3)
    recipe = RECIPE.but(distill=Distillation(frames=1), adapt=Adaptation())
    keys = Schema.load().keys

    def weights(**changes: object) -> dict[str, float]:
        labeller = PseudoLabeller(recipe, CONFIG, Schema.load(), run_in(tmp_path), labelled)
        soft, _ = replace(labeller, **changes).pseudo_label(labelled, {}, {}).batch([(0, 0)])
        return dict(zip(keys, soft.weight[0].tolist(), strict=True))

    parent = replace(small_checkpoint(), id="st-parent")
    assert all(weight > 0 for weight in weights(parent=parent).values())
    part = weights(parent=replace(parent, id="st-part", learnt={"bolus": 1, "c2": 1}))
    assert {key for key, weight in part.items() if weight > 0} == {"bolus", "c2"}
    own = recipe.but(self_teaching=SelfTeaching(students=1, steps=1))
    assert {key for key, weight in weights(recipe=own).items() if weight > 0} <= {"bolus"}


def test_adaptation_can_be_cancelled(tmp_path: Path) -> None:
    adaptation = adapting(tmp_path)
    adaptation.run.cancel.requested = True
    with pytest.raises(TrainingCancelledError):
        adaptation.teacher()
    assert not list(tmp_path.glob("adapted-*"))


def test_invalid_adaptation_settings_are_refused() -> None:
    with pytest.raises(TrainingError, match="rank is -1"):
        Adaptation(rank=-1)
