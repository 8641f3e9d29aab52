# SPDX-License-Identifier: Apache-2.0
"""Distillation: targets that are computed once, and the loss between them and the student's features."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

import vfss_training.studies.sources
from small_student import CONFIG
from vfss.errors import TrainingError
from vfss.schema import Schema
from vfss.student import load_student
from vfss_training.config.parts import Distillation, HeldOut
from vfss_training.config.recipe import Recipe, load_recipe
from vfss_training.data.augment import Augmentation, TeacherViews
from vfss_training.data.phantoms import PhantomSamples
from vfss_training.events import Cancel, Events, TrainingCancelledError
from vfss_training.loop.batches import Draw, Order, Views
from vfss_training.loop.feature_targets import DistillationObjective, DistilledStudent, FeatureTargets
from vfss_training.loop.loop import Loop
from vfss_training.losses.balancing import Balancing, balancer_of
from vfss_training.losses.features import FEATURE_LOSSES
from vfss_training.model.initialise import from_scratch
from vfss_training.studies.fit import Run, fit_phantom
from vfss_training.studies.phantom import PhantomStudy
from vfss_training.studies.sources import cached_teacher_features, feature_targets
from vfss_training.teachers.table import TEACHERS
from vfss_training.teachers.targets import CachedTargets, exposed_cells

ENTRY = replace(TEACHERS["lite-medsam"], channels=6, grid=8)
RECIPE = Recipe(
    name="distilled",
    student=CONFIG,
    phantom_frames=4,
    held_out={"harsh": HeldOut(1.0, 0, 1)},
    steps=3,
    batch=4,
    distill=Distillation(("lite-medsam",), weight=1.0, frames=3, share=1.0, pool=2),
)


FIRST_VIEWS = [(0, 0), (1, 0), (2, 0)]


class Averages:
    """A teacher whose features are the frame averaged to its grid, times the number of the channel."""

    name, input_size, pixels, channels, grid = "averages", 64, "range", 6, 8

    def __init__(self) -> None:
        self.frames_seen = 0

    def targets(self, frames: Tensor) -> Tensor:
        self.frames_seen += len(frames)
        grey = functional.adaptive_avg_pool2d(frames[:, None].float() / 255, self.grid)
        return grey * torch.arange(1.0, 7.0).reshape(1, 6, 1, 1)

    def cuda(self) -> Averages:
        return self


def stream(folder: Path, n: int = 4) -> PhantomSamples:
    return PhantomSamples(folder, Schema.load(), styles={"standard": 1.0}, first_seed=0, n=n, size=64)


def prepared_targets(folder: Path, teacher: Averages, *, frames: int = 3, pool: int = 2) -> CachedTargets:
    targets = CachedTargets(folder, ENTRY, stream(folder), frames=frames, pool=pool)
    targets.prepare(lambda: teacher, lambda done, total: None)
    return targets


def test_targets_are_computed_once_and_their_size_is_known_before(tmp_path: Path) -> None:
    teacher = Averages()
    targets = CachedTargets(tmp_path, ENTRY, stream(tmp_path), frames=3, pool=2)
    assert not targets.folder.exists()
    assert (targets.grid, targets.missing()) == (4, [0, 1, 2])
    targets.prepare(lambda: teacher, lambda done, total: None)
    files = [path for path in targets.folder.iterdir() if path.suffix != ".safetensors"]
    assert sum(path.stat().st_size for path in files) == targets.bytes == 3 * (2 * 6 * 16 + 16 + 1)
    again = prepared_targets(tmp_path, teacher)
    assert teacher.frames_seen == 3
    for a, b in zip(targets.batch([(2, 0), (0, 0)]), again.batch([(2, 0), (0, 0)]), strict=True):
        torch.testing.assert_close(a, b)


def test_targets_are_standardised_over_the_exposed_field(tmp_path: Path) -> None:
    values, field = prepared_targets(tmp_path, Averages()).batch(FIRST_VIEWS)
    inside = values.permute(1, 0, 2, 3)[:, field]
    torch.testing.assert_close(inside.mean(1), torch.zeros(6), atol=2e-3, rtol=0)
    torch.testing.assert_close(inside.std(1), torch.ones(6), atol=3e-2, rtol=0)


def test_a_grid_that_pooling_does_not_divide_is_covered_completely(tmp_path: Path) -> None:
    entry, teacher = replace(ENTRY, grid=7), Averages()
    teacher.grid = 7
    targets = CachedTargets(tmp_path, entry, stream(tmp_path), frames=1, pool=2)
    targets.prepare(lambda: teacher, lambda done, total: None)
    values, field = targets.batch([(0, 0)])
    assert values.shape == (1, 6, 3, 3) and field.shape == (1, 3, 3)
    frame = torch.from_numpy(stream(tmp_path)[0].frame)[None]
    pooled = functional.adaptive_avg_pool2d(teacher.targets(frame), 3)[0, 0]
    spread = (values[0, 0] - values[0, 0].mean()) / values[0, 0].std()
    torch.testing.assert_close(spread, (pooled - pooled.mean()) / pooled.std(), atol=1e-2, rtol=0)


def test_an_interrupted_preparation_continues_where_it_stopped(tmp_path: Path) -> None:
    teacher = Averages()
    targets = CachedTargets(tmp_path, ENTRY, stream(tmp_path), frames=4, pool=1)

    def stop(done: int, total: int) -> None:
        if done >= 2:
            raise TrainingCancelledError("enough")

    with pytest.raises(TrainingCancelledError):
        targets.prepare(lambda: teacher, stop)
    assert targets.missing() == [2, 3]
    targets.prepare(lambda: teacher, lambda done, total: None)
    assert teacher.frames_seen == 4


def test_several_views_of_another_number_of_frames_are_computed_again(tmp_path: Path) -> None:
    """Rows of the second view start after the rows of all frames, so they depend on the number of frames."""

    def targets(frames: int, teacher: Averages) -> CachedTargets:
        views = TeacherViews(Augmentation(warp=1.0), seed=1, views=2)
        cached = CachedTargets(tmp_path, ENTRY, stream(tmp_path), frames=frames, pool=2, views=views)
        cached.prepare(lambda: teacher, lambda done, total: None)
        return cached

    first, second, third, again = (Averages() for _ in range(4))
    two = targets(2, first).batch([(1, 0), (1, 1)])
    targets(3, second)
    assert (first.frames_seen, second.frames_seen) == (4, 6)
    for a, b in zip(targets(2, third).batch([(1, 0), (1, 1)]), two, strict=True):
        torch.testing.assert_close(a, b)
    targets(2, again)
    assert (third.frames_seen, again.frames_seen) == (4, 0)


def test_another_phantom_or_pooling_has_separate_targets(tmp_path: Path) -> None:
    folders = {
        CachedTargets(tmp_path, ENTRY, samples, frames=1, pool=pool).folder
        for samples in (stream(tmp_path), stream_of_another_seed(tmp_path))
        for pool in (1, 2)
    }
    assert len(folders) == 4


def stream_of_another_seed(folder: Path) -> PhantomSamples:
    return PhantomSamples(folder, Schema.load(), styles={"standard": 1.0}, first_seed=9, n=2, size=64)


def test_flat_cells_outside_the_exposed_field_do_not_count() -> None:
    frame = torch.zeros(1, 64, 64, dtype=torch.uint8)
    frame[:, :, 32:] = torch.randint(60, 200, (64, 32), dtype=torch.uint8)
    field = exposed_cells(frame, 8)
    assert field[0, :, 4:].all()
    assert not field[0, :, :4].any()
    target, wrong = torch.randn(1, 5, 8, 8), torch.randn(1, 5, 8, 8)
    right_inside_field = torch.where(field[:, None], target, wrong)
    assert FEATURE_LOSSES["unic"](right_inside_field, target, field) < 1e-5
    assert FEATURE_LOSSES["unic"](wrong, target, field) > 0.5


def test_the_student_is_resized_to_the_targets() -> None:
    target = torch.randn(2, 5, 4, 4)
    adapted = functional.interpolate(target, size=(7, 7), mode="bilinear", align_corners=False)
    field = torch.ones(2, 4, 4, dtype=torch.bool)
    unic = FEATURE_LOSSES["unic"]
    assert (unic(adapted, target, field) < unic(adapted.roll(3, 2), target, field)).all()


def test_draws_with_targets_use_the_views_of_the_teacher() -> None:
    recipe = replace(RECIPE, steps=50, distill=replace(RECIPE.distill, share=0.5))
    draws = [draw for step in Order(recipe, (4,), (3,)).steps(0) for draw in step]
    views = [draw for draw in draws if draw.view >= 0]
    assert {draw.item for draw in views} == {0, 1, 2}
    assert 0.3 < len(views) / sum(draw.item < 3 for draw in draws) < 0.7
    assert {draw.view for draw in views} == {0}
    assert not any(draw.view >= 0 for step in Order(recipe, (4,)).steps(0) for draw in step)


def test_a_teacher_view_keeps_its_planes(tmp_path: Path) -> None:
    samples = stream(tmp_path)
    views = Views((samples,), RECIPE, CONFIG)
    first, other = (views[Draw(0, 1, number, 64, 0)] for number in (1, 2))
    torch.testing.assert_close(first[1], other[1])
    assert not torch.equal(first[0], other[0])


def test_only_teacher_views_have_a_feature_loss_and_its_gradient_reaches_the_backbone(tmp_path: Path) -> None:
    objective = DistillationObjective(
        (FeatureTargets("averages", prepared_targets(tmp_path, Averages()), 0),), RECIPE.distill
    )
    network = from_scratch(CONFIG, Schema.load(), 0, None)
    student = DistilledStudent(network, CONFIG.width, {"averages": 6})
    frames = torch.randn(2, 1, 64, 64)
    _, adapted = student(frames)
    assert adapted["averages"].shape == (2, 6, 4, 4)
    balancer = balancer_of(Balancing("equal"), 1)
    assert objective(balancer, adapted, frames, [Draw(0, 0, 0, 64), Draw(0, 1, 1, 64)]) is None
    distilled = objective(balancer, adapted, frames, [Draw(0, 0, 0, 64), Draw(0, 1, 1, 64, 0)])
    assert distilled is not None
    assert distilled.weights == {"averages": 1.0}
    distilled.loss.backward()
    assert network.encoder.backbone.conv_stem.weight.grad.abs().sum() > 0
    assert all(weight.grad is None for weight in network.decoder.parameters())


def test_a_distilled_student_is_trained_from_end_to_end_and_has_no_projector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher = Averages()
    monkeypatch.setattr(vfss_training.studies.sources, "teacher_named", lambda name: ENTRY)
    monkeypatch.setattr(vfss_training.studies.sources, "load_teacher", lambda name, place: teacher)
    stream_of_events = io.StringIO()
    run = Run(
        Events(stream_of_events),
        Cancel(),
        "vfss-train test",
        tmp_path / "cache",
        tmp_path / "run",
        workers=0,
        threads=1,
    )
    fit_phantom(RECIPE, tmp_path / "out.safetensors", run, backbone=None, student=None)
    events = [json.loads(line) for line in stream_of_events.getvalue().splitlines()]
    sizes = [event for event in events if event["event"] == "disk"]
    assert [size["of"] for size in sizes] == ["phantom frames", "targets of lite-medsam"]
    assert all("feature_loss" in event for event in events if event["event"] == "step")
    student = load_student(tmp_path / "out.safetensors", "cpu")
    assert student.provenance["recipe"]["distill"]["teachers"] == ["lite-medsam"]
    assert student.provenance["chosen"]["styles"].keys() == {"harsh"}


def test_online_targets_are_computed_from_the_inputs_of_the_student(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vfss_training.studies.sources, "teacher_named", lambda name: ENTRY)
    monkeypatch.setattr(vfss_training.studies.sources, "load_teacher", lambda name, place: Averages())
    recipe = RECIPE.but(distill=replace(RECIPE.distill, online=True, frames=2))
    run = Run(Events(io.StringIO()), Cancel(), "vfss-train test", tmp_path, workers=0, threads=1)
    samples = stream(tmp_path)
    (teacher_targets,) = feature_targets(recipe, cached_teacher_features(recipe, samples, run), 0, run)
    shown = torch.linspace(-1, 1, 64).expand(3, 1, 64, 64).clone()
    shown[1] = -shown[1]
    features, field = teacher_targets.provider.targets([(0, -1), (1, -1), (9, -1)], shown)
    assert field.all()
    torch.testing.assert_close(features[0], features[1].flip(2), atol=0.05, rtol=0)
    torch.testing.assert_close(features[0], features[2])
    assert [teacher_targets.covers(Draw(source, 5, 0, 64)) for source in (0, 1)] == [True, False]
    event_stream = io.StringIO()
    fit_phantom(
        recipe, tmp_path / "out.safetensors", replace(run, events=Events(event_stream)), backbone=None, student=None
    )
    steps = [event for event in map(json.loads, event_stream.getvalue().splitlines()) if event["event"] == "step"]
    assert all("feature_loss" in event for event in steps)


def test_the_weight_falls_over_the_schedule_and_invalid_settings_are_refused(tmp_path: Path) -> None:
    part = Distillation(("lite-medsam",), weight=0.5, final_weight=0.1)
    assert [round(part.weight_at(x), 3) for x in (-1, 0, 0.5, 1, 2)] == [0.5, 0.5, 0.3, 0.1, 0.1]
    path = tmp_path / "recipe.yaml"
    for text in (
        "distill: {pool: 3}",
        "distill: {share: 0.0}",
        "distill: lite-medsam",
        "distill: {teachers: [huge]}",
        "distill: {teachers: [lite-medsam, lite-medsam]}",
        "distill: {features_only: 0.6, labels_only: 0.5}",
        "distill: {loss: l3}",
        "balance: {name: luck}",
    ):
        path.write_text(text)
        with pytest.raises(TrainingError):
            load_recipe(path)


def test_exposed_cells_are_a_bool_map_per_frame(tmp_path: Path) -> None:
    _, field = prepared_targets(tmp_path, Averages()).batch(FIRST_VIEWS)
    assert field.any()
    assert isinstance(field, Tensor)
    assert field.dtype == torch.bool
    assert np.asarray(field).shape == (3, 4, 4)


def test_teachers_and_student_get_the_same_views(tmp_path: Path) -> None:
    """Both are transformed alike: features that are the frame itself correlate with the student's input."""
    recipe = replace(RECIPE, augmentation=Augmentation(flip=0.5, warp=1.0, bend=1.0, crop=0.0), seed=4)
    recipe = replace(recipe, distill=replace(RECIPE.distill, views=3))
    samples = stream(tmp_path)
    targets = CachedTargets(tmp_path, ENTRY, samples, frames=3, pool=1, views=recipe.teacher_views)
    targets.prepare(Averages, lambda done, total: None)
    plain = replace(recipe, augmentation=recipe.augmentation.placed())
    views = Views((samples,), plain, CONFIG)
    for item, view in ((0, 0), (1, 1), (2, 2)):
        shown, _, _ = views[Draw(0, item, 7, 64, view)]
        (features,), (field,) = targets.batch([(item, view)])
        cells = functional.adaptive_avg_pool2d(shown, 8)[0]
        correlation = np.corrcoef(cells[field].numpy(), features[0][field].numpy())[0, 1]
        assert correlation > 0.95
    moved = [views[Draw(0, 1, 7, 64, view)][1] for view in (0, 1, 2)]
    assert not torch.equal(moved[0], moved[1])
    assert not torch.equal(moved[1], moved[2])
    other = replace(recipe, seed=5).teacher_views
    assert CachedTargets(tmp_path, ENTRY, samples, frames=3, pool=1, views=other).folder != targets.folder


def test_draws_show_every_cached_view() -> None:
    recipe = replace(RECIPE, steps=60, distill=replace(RECIPE.distill, views=3))
    draws = [draw for step in Order(recipe, (4,), (3,)).steps(0) for draw in step]
    assert {(draw.item, draw.view) for draw in draws if draw.item < 3} == {(i, v) for i in range(3) for v in range(3)}
    assert {draw.view for draw in draws if draw.item == 3} == {-1}


def test_stages_define_when_masks_and_features_are_learnt() -> None:
    part = Distillation(("lite-medsam",), weight=0.5, final_weight=0.5, features_only=0.2, labels_only=0.1)
    assert [part.learns_masks(at) for at in (0.0, 0.19, 0.2, 0.95)] == [False, False, True, True]
    assert [part.weight_at(at) for at in (0.0, 0.5, 0.91)] == [0.5, 0.5, 0.0]
    assert [part.rate_at(at) for at in (0.5, 0.95)] == [1.0, 0.1]
    assert replace(part, teachers=()).learns_masks(0.0)


@pytest.mark.parametrize("name", ["equal", "mlp", "attention", "uncertainty", "dropping"])
def test_several_teachers_are_balanced_and_their_weights_reported(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = {"lite-medsam": ENTRY, "mobile-sam": replace(ENTRY, name="mobile-sam", sha256="00")}
    monkeypatch.setattr(vfss_training.studies.sources, "teacher_named", entries.__getitem__)
    monkeypatch.setattr(vfss_training.studies.sources, "load_teacher", lambda name, place: Averages())
    distill = replace(RECIPE.distill, teachers=tuple(entries), projector="mlp", relation=0.1, standard="phi-s", views=2)
    recipe = replace(RECIPE, distill=distill, balance=Balancing(name))
    stream_of_events = io.StringIO()
    run = Run(Events(stream_of_events), Cancel(), "vfss-train test", tmp_path / "cache", workers=0, threads=1)
    task = PhantomStudy(recipe, CONFIG, run).task(from_scratch(CONFIG, Schema.load(), 0, None))
    Loop(replace(task, workers=0), Events(stream_of_events), Cancel()).run()
    steps = [line for line in map(json.loads, stream_of_events.getvalue().splitlines()) if line["event"] == "step"]
    for step in steps:
        assert set(step["weights"]) == set(step["teachers"]) == set(entries)
        assert sum(step["weights"].values()) == pytest.approx(1.0, abs=1e-3)
