# SPDX-License-Identifier: Apache-2.0
"""Few labels and many unlabelled frames: pseudo-labels by extra students, and a student trained on both."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import vfss_training.studies.pseudo_labels
from small_student import CONFIG, small_checkpoint
from vfss.errors import TrainingError
from vfss.schema import Schema
from vfss_training.config.parts import Distillation, SelfTeaching
from vfss_training.config.recipe import Recipe
from vfss_training.data.augment import Augmentation, TeacherViews
from vfss_training.data.phantoms import PhantomSamples
from vfss_training.data.samples import UnlabelledSamples, first
from vfss_training.events import Cancel, Events, TrainingCancelledError
from vfss_training.loop.batches import Draw, Order, Views, view
from vfss_training.loop.loop import Loop
from vfss_training.loop.run import Run
from vfss_training.loop.soft_targets import MaskTargets, PseudoLabelled, SoftTargets
from vfss_training.model.initialise import from_scratch
from vfss_training.studies.phantom import PhantomStudy
from vfss_training.studies.pseudo_labels import StudentTeacher

RECIPE = Recipe(
    name="few labels",
    student=CONFIG,
    phantom_frames=6,
    labels=0.5,
    held_out={},
    steps=3,
    batch=4,
    self_teaching=SelfTeaching(students=2, steps=1),
    distill=Distillation(share=1.0, views=2, labels_only=0.3),
)


def stream(folder: Path, n: int = 4) -> PhantomSamples:
    return PhantomSamples(folder, Schema.load(), styles={"standard": 1.0}, first_seed=0, n=n, size=64)


class BrightnessTeacher:
    """A teacher whose mask of structure i is where the frame is brighter than i / 12."""

    grid = 16

    def __init__(self, key: str = "brightness", softness: float = 0.1) -> None:
        self.key, self._softness = key, softness
        self.frames_seen = 0

    def masks(self, frames: Tensor, places: Sequence[tuple[int, int]]) -> Tensor:
        self.frames_seen += len(frames)
        grey = torch.nn.functional.adaptive_avg_pool2d(frames[:, None].float() / 255, self.grid)
        return ((grey - torch.arange(12).reshape(1, 12, 1, 1) / 12) / self._softness).sigmoid()


def pseudo_labels_of(folder: Path, *teachers: BrightnessTeacher, views: int = 1) -> SoftTargets:
    targets = SoftTargets(folder, teachers, stream(folder), structures=12, frames=4, views=TeacherViews(views=views))
    targets.prepare(lambda done, total: None)
    return targets


def test_pseudo_labels_are_the_masks_of_the_teacher(tmp_path: Path) -> None:
    teacher = BrightnessTeacher()
    targets = pseudo_labels_of(tmp_path, teacher)
    blended, field = targets.batch([(2, 0), (0, 0)])
    frames = torch.from_numpy(np.stack([stream(tmp_path)[i].frame for i in (2, 0)]))
    torch.testing.assert_close(blended.planes, teacher.masks(frames, [(2, 0), (0, 0)]), atol=0.003, rtol=0)
    assert (blended.weight == 1).all()
    assert field.shape == (2, 16, 16)


def test_pseudo_labels_have_less_weight_where_teachers_disagree(tmp_path: Path) -> None:
    class InvertedTeacher(BrightnessTeacher):
        def masks(self, frames: Tensor, places: Sequence[tuple[int, int]]) -> Tensor:
            return 1.0 - super().masks(frames, places)

    agreed = pseudo_labels_of(tmp_path, BrightnessTeacher("a"), BrightnessTeacher("b")).batch([(0, 0)])[0].weight
    disagreed = pseudo_labels_of(tmp_path, BrightnessTeacher("a"), InvertedTeacher("c")).batch([(0, 0)])[0].weight
    assert agreed.min() > 0.99
    assert (disagreed < agreed - 0.2).all()


def test_interrupted_pseudo_labelling_continues_where_it_stopped(tmp_path: Path) -> None:
    teacher = BrightnessTeacher()
    targets = SoftTargets(
        tmp_path, [teacher], stream(tmp_path), structures=12, frames=4, views=TeacherViews(views=2, seed=1)
    )

    def stop(done: int, total: int) -> None:
        if done >= 4:
            raise TrainingCancelledError("enough")

    assert not targets.folder.exists()
    with pytest.raises(TrainingCancelledError):
        targets.prepare(stop)
    assert targets.missing() == [4, 5, 6, 7]
    targets.prepare(lambda done, total: None)
    assert teacher.frames_seen == 8
    assert sum(path.stat().st_size for path in targets.folder.iterdir()) == targets.bytes
    warped, unmoved = targets.batch([(1, 1)])[0].planes, targets.batch([(1, 0)])[0].planes
    assert not torch.allclose(warped, unmoved)


def test_only_views_with_targets_of_that_source_have_a_mask_loss(tmp_path: Path) -> None:
    mask_targets = MaskTargets(pseudo_labels_of(tmp_path, BrightnessTeacher()), 1)
    logits = torch.randn(3, 12, 24, 24, requires_grad=True)
    assert mask_targets.loss(logits, [Draw(0, 0, 0, 96, 0), Draw(1, 0, 1, 96), Draw(0, 1, 2, 96)]) is None
    loss = mask_targets.loss(logits, [Draw(0, 0, 0, 96, 0), Draw(1, 0, 1, 96, 0), Draw(1, 1, 2, 96)])
    assert loss is not None
    loss.backward()
    assert logits.grad is not None
    assert [bool(grad.abs().sum() > 0) for grad in logits.grad] == [False, True, False]


def test_unlabelled_samples_have_no_known_masks(tmp_path: Path) -> None:
    drawn = stream(tmp_path)
    unlabelled = UnlabelledSamples(drawn)[1]
    assert not unlabelled.bits.any()
    assert not unlabelled.known.any()
    np.testing.assert_array_equal(unlabelled.frame, drawn[1].frame)
    two_samples = first(drawn, 2)
    assert len(two_samples) == 2
    with pytest.raises(IndexError):
        two_samples[2]


def test_a_student_as_teacher_gives_the_masks_of_its_proposals() -> None:
    teacher = StudentTeacher(small_checkpoint())
    frames = torch.randint(0, 255, (2, 64, 64), dtype=torch.uint8)
    masks = teacher.masks(frames)
    assert masks.shape == (2, 12, teacher.grid, teacher.grid)
    assert 0 <= masks.min() <= masks.max() <= 1
    torch.testing.assert_close(teacher.masks(frames.flip(2)), masks.flip(3), atol=1e-4, rtol=1e-3)


def test_extra_students_are_trained_once_and_label_the_remaining_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    run = Run(Events(stream), Cancel(), "vfss-train test", tmp_path, workers=0, threads=1)
    study = PhantomStudy(RECIPE, CONFIG, run)
    network = from_scratch(CONFIG, Schema.load(), 0, None)
    task = study.task(network)
    assert [len(source) for source in task.sources] == [3, 6]
    assert task.target_frames == (0, 6)
    assert len(list(tmp_path.glob("own-*.safetensors"))) == 2
    stream.truncate(0)
    Loop(replace(task, workers=0), Events(stream), Cancel()).run()
    steps = [line for line in map(json.loads, stream.getvalue().strip("\0").splitlines()) if line["event"] == "step"]
    assert [("mask_loss" in step) for step in steps] == [True, True, True]
    stream.seek(0)
    stream.truncate()
    staged = replace(RECIPE, distill=replace(RECIPE.distill, features_only=0.3, labels_only=0.5))
    Loop(replace(task, workers=0, recipe=staged), Events(stream), Cancel()).run()
    steps = [line for line in map(json.loads, stream.getvalue().splitlines()) if line["event"] == "step"]
    assert [("mask_loss" in step) for step in steps] == [True, True, False]
    monkeypatch.setattr(vfss_training.studies.pseudo_labels, "train", lambda *_: pytest.fail("trained again"))
    study.task(network)
    with pytest.raises(TrainingError, match=r"labels is 0\.0"):
        replace(RECIPE, labels=0.0)


def test_pseudo_labelled_samples_are_known_as_far_as_teachers_agree(tmp_path: Path) -> None:
    targets = pseudo_labels_of(tmp_path, BrightnessTeacher("a", softness=0.01), BrightnessTeacher("b", softness=0.01))
    labelled = PseudoLabelled(stream(tmp_path, 6), targets)
    assert len(labelled) == 6
    sample, drawn = labelled[1], stream(tmp_path)[1]
    np.testing.assert_array_equal(sample.frame, drawn.frame)
    planes = np.unpackbits(sample.bits, axis=0, count=12)
    expected = targets.batch([(1, 0)])[0].planes[0].numpy() > 0.5
    assert ((planes[:, 2::4, 2::4] > 0) == expected).mean() > 0.99
    assert sample.known.min() > 0.95
    assert not labelled[5].known.any(), "frames without targets have no known masks"


def test_teachers_with_higher_agreement_have_more_weight(tmp_path: Path) -> None:
    class EmptyTeacher(BrightnessTeacher):
        def masks(self, frames: Tensor, places: Sequence[tuple[int, int]]) -> Tensor:
            return torch.zeros(len(frames), 12, self.grid, self.grid)

    agreement = torch.tensor([[1.0] * 12, [0.75] * 12])
    samples = stream(tmp_path)
    options = {"structures": 12, "frames": 4, "views": TeacherViews()}
    targets = SoftTargets(
        tmp_path / "a", (BrightnessTeacher("a"), EmptyTeacher("b")), samples, **options, agreement=agreement
    )
    targets.prepare(lambda done, total: None)
    frames = torch.from_numpy(samples[0].frame)[None]
    torch.testing.assert_close(
        targets.batch([(0, 0)])[0].planes,
        BrightnessTeacher().masks(frames, [(0, 0)]) / (1 + 0.75**8),
        atol=0.003,
        rtol=0,
    )


def test_the_order_leaves_out_unlabelled_frames_in_the_labels_only_stage() -> None:
    recipe = RECIPE.but(steps=10, batch=8, film=0.25, replay=0.5, distill=Distillation(labels_only=0.2))
    order = Order(recipe, (5, 6, 7), (), 2)
    counts = [[draw.source for draw in order.step(step)] for step in range(10)]
    assert all(len(sources) == 8 for sources in counts)
    assert [sources.count(2) for sources in counts] == [2] * 8 + [0, 0]
    assert [sources.count(1) for sources in counts] == [3] * 8 + [4, 4]
    bare = RECIPE.but(batch=8, film=0.5, self_teaching=SelfTeaching(), distill=Distillation(("mobile-sam",), share=0.1))
    draws = Order(bare, (5, 7), (0, 7), 1).step(0)
    assert [draw.view >= 0 for draw in draws] == [False] * 4 + [True] * 4, "unlabelled frames have teacher targets only"


def test_mixed_samples_are_the_weighted_mean_of_two(tmp_path: Path) -> None:
    recipe = RECIPE.but(mixup=1.0, augmentation=Augmentation(0, 0, 0, crop=0, grey=0, field=0, blur=0, noise=0))
    samples = stream(tmp_path)
    draw = Draw(0, 1, 5, 64)  # mixed with another than itself
    frame, target, known = Views((samples,), recipe, CONFIG)[draw]
    errors = []
    for other in range(4):
        one = view(samples[1], CONFIG, 64, recipe.loss_stride)
        two = view(samples[other], CONFIG, 64, recipe.loss_stride)
        for share in np.linspace(0.5, 1, 501):
            errors.append((float((frame - torch.lerp(two[0], one[0], float(share))).abs().max()), other, float(share)))
    error, other, share = min(errors)
    assert error < 0.01
    one, two = (view(samples[i], CONFIG, 64, recipe.loss_stride) for i in (1, other))
    torch.testing.assert_close(target.float(), torch.lerp(two[1].float(), one[1].float(), share), atol=1.5, rtol=0)
    torch.testing.assert_close(known, torch.minimum(one[2], two[2]))
    plain = Views((samples,), recipe.but(mixup=0.0), CONFIG)
    for a, b in zip(
        plain[draw._replace(view=0)], Views((samples,), recipe, CONFIG)[draw._replace(view=0)], strict=True
    ):
        torch.testing.assert_close(a, b)
