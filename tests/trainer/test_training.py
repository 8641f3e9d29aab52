# SPDX-License-Identifier: Apache-2.0
"""The trainer: its parts, runs from start to end, cancelling and resuming."""

from __future__ import annotations

import io
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import timm
import torch

from made_up_neck import made_up_neck
from small_student import CONFIG, small_checkpoint
from small_training import RECIPE, disc_sample, lines, planes_of, run_in, task
from vfss.errors import TrainingError, VfssError
from vfss.schema import Schema
from vfss.student import load_student
from vfss.student.network.student import StudentNetwork
from vfss_training.config.parts import Start
from vfss_training.config.recipe import load_recipe
from vfss_training.data.augment import Augmentation
from vfss_training.data.phantoms import HIDDEN, PhantomSamples, draw_phantom
from vfss_training.data.samples import ListedSamples
from vfss_training.events import Cancel, Events, TrainingCancelledError
from vfss_training.loop.batches import Order, share, view
from vfss_training.loop.loop import Loop
from vfss_training.loop.schedule import schedule
from vfss_training.loop.task import Task
from vfss_training.loop.validation import HeldOutSamples, Validation, Validator, validate
from vfss_training.losses.masks import MaskLoss, hard_dice
from vfss_training.model.initialise import from_scratch, from_student, sha256
from vfss_training.model.training_setup import fast_depthwise, freeze
from vfss_training.studies.fit import fit_phantom, starting_student

STANDARD = {"standard": 1.0}


# Data


def test_phantom_frames_are_rendered_once_and_read_back_unchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = Schema.load()
    samples = PhantomSamples(tmp_path, schema, first_seed=7, n=3, size=64, styles=STANDARD)
    frame, planes, visible = draw_phantom(9, 64, "standard")
    np.testing.assert_array_equal(samples[2].frame, frame)
    np.testing.assert_array_equal(planes_of(samples[2]), planes)
    np.testing.assert_array_equal(samples[2].known == 1.0, visible)
    monkeypatch.setattr("vfss.phantom.Phantom", lambda *a, **k: pytest.fail("rendered twice"))
    again = PhantomSamples(tmp_path, schema, first_seed=7, n=3, size=64, styles=STANDARD)
    np.testing.assert_array_equal(again[2].bits, samples[2].bits)


def test_a_larger_number_of_phantom_frames_reuses_the_cached_ones(tmp_path: Path) -> None:
    few = PhantomSamples(tmp_path, Schema.load(), first_seed=0, n=1, size=64, styles=STANDARD)[0]
    more = PhantomSamples(tmp_path, Schema.load(), first_seed=0, n=3, size=64, styles=STANDARD)
    np.testing.assert_array_equal(more[0].frame, few.frame)
    np.testing.assert_array_equal(more[2].frame, draw_phantom(2, 64, "standard")[0])


def test_streams_of_other_lengths_seeds_and_weights_share_the_cached_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    styles = {"standard": 1.0, "harsh": 1.0}
    first = PhantomSamples(tmp_path, Schema.load(), first_seed=254, n=4, size=64, styles=styles)
    frames = [first[i].frame for i in range(4)]
    monkeypatch.setattr("vfss.phantom.Phantom", lambda *a, **k: pytest.fail("rendered again"))
    other = {"standard": 1.01, "harsh": 1.0}
    later = PhantomSamples(tmp_path, Schema.load(), first_seed=255, n=3, size=64, styles=other, hidden=1.0)
    for i in range(3):
        assert later.style(i) == first.style(i + 1)
        np.testing.assert_array_equal(later[i].frame, frames[i + 1])
    assert later.key != first.key


def test_frames_of_one_clip_are_rendered_together_and_in_any_order_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stream(folder: str, kept_bytes: int | None = None) -> PhantomSamples:
        return PhantomSamples(
            tmp_path / folder,
            Schema.load(),
            first_seed=5,
            n=5,
            size=64,
            styles=STANDARD,
            frames_per_clip=3,
            kept_bytes=kept_bytes,
        )

    forwards, backwards, uncached = stream("a"), stream("b"), stream("c", kept_bytes=0)
    frames = [forwards[i].frame for i in range(5)]
    assert [forwards.patient(i) for i in range(5)] == [f"phantom standard {seed}" for seed in (5, 5, 5, 6, 6)]
    np.testing.assert_array_equal(frames[3], draw_phantom(6, 64, "standard")[0])
    assert all((a != b).any() for a, b in pairwise(frames[:3]))
    for i in (4, 1, 2, 3, 0):
        np.testing.assert_array_equal(backwards[i].frame, frames[i])
    np.testing.assert_array_equal(uncached[1].frame, frames[1])
    third = stream("d")
    assert third[2].frame.any()
    monkeypatch.setattr("vfss.phantom.Phantom", lambda *a, **k: pytest.fail("rendered again"))
    np.testing.assert_array_equal(third[0].frame, frames[0])


def test_hidden_structures_have_a_low_weight(tmp_path: Path) -> None:
    samples = PhantomSamples(tmp_path, Schema.load(), first_seed=0, n=40, size=64, styles=STANDARD)
    weights = np.stack([samples[i].known for i in range(len(samples))])
    assert set(np.unique(weights)) == {np.float32(HIDDEN), np.float32(1.0)}
    for sample in (samples[i] for i in range(len(samples))):
        assert not planes_of(sample)[sample.known < 1].any()


def test_a_custom_schema_gets_the_planes_it_shares(tmp_path: Path) -> None:
    data = Schema.load().to_dict()
    c2 = next(row for row in data["structures"] if row["key"] == "c2")
    custom = Schema.from_dict({**data, "structures": [{"key": "hyoid", "name": "Hyoid", "colour": "#FFFFFF"}, c2]})
    sample = PhantomSamples(tmp_path, custom, first_seed=3, n=1, size=64, styles=STANDARD)[0]
    planes = np.unpackbits(sample.bits, axis=0, count=2).astype(bool)
    np.testing.assert_array_equal(planes[1], draw_phantom(3, 64, "standard")[1][Schema.load()["c2"].index])
    assert not planes[0].any()
    assert sample.known.tolist() == [0.0, 1.0]


def test_styles_are_mixed_by_weight_and_each_frame_has_one(tmp_path: Path) -> None:
    mixed = {"standard": 3.0, "harsh": 1.0}
    samples = PhantomSamples(tmp_path, Schema.load(), styles=mixed, first_seed=0, n=400, size=64)
    styles = [samples.style(i) for i in range(400)]
    assert 96 <= styles.count("harsh") <= 104
    assert 7 <= styles[:40].count("harsh") <= 13
    rare = styles.index("harsh")
    np.testing.assert_array_equal(samples[rare].frame, draw_phantom(rare, 64, "harsh")[0])


def test_frames_of_other_meshes_have_another_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stream(styles: dict[str, float]) -> PhantomSamples:
        return PhantomSamples(tmp_path / "cache", Schema.load(), styles=styles, first_seed=0, n=1, size=64)

    monkeypatch.delenv("VFSS_MESHES", raising=False)
    with pytest.raises(VfssError, match="needs meshes"):
        stream({"standard": 1.0, "meshed": 1.0})
    drawn = stream({"standard": 1.0})
    monkeypatch.setenv("VFSS_MESHES", str(made_up_neck(tmp_path / "neck.npz")))
    first, plain = stream({"meshed": 1.0}), stream({"standard": 1.0})
    made_up_neck(tmp_path / "neck.npz", height=10.0)
    second = stream({"meshed": 1.0})
    assert plain.key == drawn.key
    assert plain.source == drawn.source
    assert first.key != second.key
    assert first.source != second.source
    assert second.source.startswith(plain.source)
    np.testing.assert_array_equal(second[0].frame, draw_phantom(0, 64, "meshed")[0])


def test_the_cache_is_bounded_and_frames_beyond_it_are_rendered_again(tmp_path: Path) -> None:
    frame_bytes = (1 + 3) * 64**2 + 12 + 1  # frame, packed planes of structures and landmarks, visible, ready
    bounded = PhantomSamples(
        tmp_path, Schema.load(), styles=STANDARD, first_seed=0, n=5, size=64, kept_bytes=2 * frame_bytes + 1
    )
    assert (bounded.disk.kept, bounded.disk.bytes, bounded.disk.frames) == (2, 2 * frame_bytes, 5)
    frames = [bounded[i].frame for i in range(5)]
    for i in (1, 4):
        np.testing.assert_array_equal(frames[i], draw_phantom(i, 64, "standard")[0])
    assert sum(path.read_bytes().count(1) for path in tmp_path.rglob("ready")) == 2
    uncached = PhantomSamples(
        tmp_path / "none", Schema.load(), styles=STANDARD, first_seed=0, n=5, size=64, kept_bytes=0
    )
    np.testing.assert_array_equal(uncached[4].frame, frames[4])
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("seed", range(8))
def test_augmentation_moves_picture_and_planes_together(seed: int) -> None:
    geometry = Augmentation(invert=0, grey=0, field=0, blur=0, noise=0, warp=1, flip=0.5, crop=0.5)
    augmented = geometry(disc_sample(seed), np.random.default_rng(seed))
    bright, disc = augmented.frame > 120, planes_of(augmented)[0]
    overlap = 2 * (bright & disc).sum() / (bright.sum() + disc.sum())
    assert overlap > 0.93


def test_augmentation_is_reproducible_by_seed() -> None:
    augment = Augmentation()
    first, again, other = (augment(disc_sample(0), np.random.default_rng(s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.frame, again.frame)
    assert not np.array_equal(first.frame, other.frame)
    assert first.frame.dtype == np.uint8


def test_a_view_has_the_covered_share_at_any_size() -> None:
    sample = disc_sample(0)
    for size, stride in ((64, 4), (64, 2), (32, 4), (96, 4)):
        frame, target, known = view(sample, CONFIG, size, stride)
        assert frame.shape == (1, size, size)
        assert target.shape == (12, size // stride, size // stride)
        np.testing.assert_allclose(share(target).mean((1, 2)).numpy(), planes_of(sample).mean((1, 2)), atol=0.01)
        assert (known == 1).all()


def test_every_sample_is_drawn_once_per_round_and_half_of_each_batch_is_replay() -> None:
    order = Order(replace(RECIPE, batch=4, steps=6, replay=0.5), (4, 6))
    draws = [draw for step in order.steps(0) for draw in step]
    training = [draw.item for draw in draws if draw.source == 0]
    replayed = [draw.item for draw in draws if draw.source == 1]
    assert [sorted(training[i : i + 4]) for i in (0, 4, 8)] == [[0, 1, 2, 3]] * 3
    assert [sorted(replayed[i : i + 6]) for i in (0, 6)] == [list(range(6))] * 2
    assert len({draw.number for draw in draws}) == len(draws)
    assert list(order.steps(3)) == list(order.steps(0))[3:]


# Losses


def perfect(target: torch.Tensor) -> torch.Tensor:
    return (target * 2 - 1) * 20


def test_the_loss_is_low_for_right_masks_with_right_quality() -> None:
    target = torch.zeros(2, 3, 8, 8)
    target[:, :2, 2:6, 2:6] = 1
    known = torch.ones(2, 3, dtype=torch.bool)
    loss, one = MaskLoss(), torch.ones(2, 3)
    right = loss(perfect(target), one, target, known)
    assert right < 1e-3
    wrong = perfect(target.flip(3).roll(2, 2))
    assert loss(wrong, hard_dice(wrong, target), target, known) > 0.5
    assert loss(perfect(target), one * 0.2, target, known) > right + 0.1


def test_unknown_planes_have_no_gradient() -> None:
    target = torch.zeros(1, 2, 8, 8)
    logits = torch.randn(1, 2, 8, 8, requires_grad=True)
    known = torch.tensor([[True, False]])
    MaskLoss()(logits, torch.rand(1, 2), target, known).backward()
    assert logits.grad is not None
    assert logits.grad[0, 0].abs().sum() > 0
    assert logits.grad[0, 1].abs().sum() == 0
    assert MaskLoss()(logits, torch.rand(1, 2), target, torch.zeros(1, 2, dtype=torch.bool)) == 0


def test_the_quality_loss_has_no_gradient_to_the_masks() -> None:
    logits = torch.randn(1, 1, 8, 8, requires_grad=True)
    quality = torch.rand(1, 1, requires_grad=True)
    only_quality = MaskLoss(cross_entropy=0.0, dice=0.0)
    only_quality(logits, quality, torch.ones(1, 1, 8, 8), torch.ones(1, 1, dtype=torch.bool)).backward()
    assert quality.grad is not None
    assert quality.grad.abs().sum() > 0
    assert logits.grad is None or logits.grad.abs().sum() == 0


def test_the_dice_of_two_empty_masks_is_1() -> None:
    empty = torch.zeros(1, 1, 4, 4)
    assert hard_dice(empty - 1, empty) == 1
    assert hard_dice(empty + 1, empty) == 0


# Start


def test_another_schema_keeps_the_weights_of_shared_structures() -> None:
    data = Schema.load().to_dict()
    rows = {row["key"]: row for row in data["structures"]}
    hyoid = {"key": "hyoid", "name": "Hyoid", "colour": "#FFFFFF"}
    custom = Schema.from_dict({**data, "structures": [hyoid, rows["c3"], rows["bolus"] | {"nests_in": None}]})
    checkpoint = small_checkpoint()
    old = from_student(checkpoint, checkpoint.schema, 0).eval()
    new = from_student(checkpoint, custom, 0).eval()
    frames = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        features = old.encoder(frames).embedding, new.encoder(frames).embedding
    torch.testing.assert_close(*features)
    before, after = old.decoder, new.decoder
    keys = checkpoint.schema.keys
    for to, key in ((1, "c3"), (2, "bolus")):
        source = keys.index(key)
        torch.testing.assert_close(after.mask_tokens.weight[to], before.mask_tokens.weight[source])
        for a, b in zip(
            after.output_hypernetworks_mlps[to].parameters(),
            before.output_hypernetworks_mlps[source].parameters(),
            strict=True,
        ):
            torch.testing.assert_close(a, b)


def test_a_grown_student_changes_only_its_fine_layers() -> None:
    checkpoint = small_checkpoint()
    wider = Start(fine_width=24, detail=True).grown(checkpoint.config)
    old, new = from_student(checkpoint, checkpoint.schema, 0), from_student(checkpoint, checkpoint.schema, 0, wider)
    before, after = old.state_dict(), new.state_dict()
    changed = {name for name in after if name not in before or after[name].shape != before[name].shape}
    assert any(name.startswith("encoder.detail.") for name in changed)
    assert all(name.startswith(("encoder.detail.", "encoder.fine", "decoder.output_")) for name in changed)
    for name in set(after) - changed:
        torch.testing.assert_close(after[name], before[name])
    assert new.eval()(torch.zeros(1, 1, 64, 64))[0].shape == (1, 12, 16, 16)
    other = replace(checkpoint.config, width=checkpoint.config.width * 2)
    with pytest.raises(TrainingError, match="no counterpart"):
        from_student(checkpoint, checkpoint.schema, 0, other)


def test_frozen_parts_have_no_gradient() -> None:
    network = StudentNetwork(CONFIG, 12)
    frozen_norms = freeze(network, replace(RECIPE, frozen_blocks=1, frozen_depthwise=5, frozen_norm=True))
    frozen = {name for name, weight in network.named_parameters() if not weight.requires_grad}
    assert "encoder.backbone.conv_stem.weight" in frozen
    assert any("blocks.3" in name and "conv_dw" in name for name in frozen)
    assert not any(name.startswith("decoder") for name in frozen)
    assert sum(isinstance(module, torch.nn.BatchNorm2d) for module in frozen_norms) > 10


def test_weights_of_another_backbone_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save({"a": torch.zeros(3)}, path)
    with pytest.raises(TrainingError, match="mobilenetv3_small_050"):
        from_scratch(CONFIG, Schema.load(), 0, path)


def test_weights_of_another_port_are_matched_by_position(tmp_path: Path) -> None:
    """Ports rename layers, and write the last convolution as a linear layer."""
    model = timm.create_model(CONFIG.backbone, pretrained=False).state_dict()
    renamed = {f"layer {i}": tensor for i, tensor in enumerate(model.values())}
    head = list(model).index("conv_head.weight")
    renamed[f"layer {head}"] = renamed[f"layer {head}"].flatten(1)
    torch.save(renamed, tmp_path / "weights.pth")
    own = from_scratch(CONFIG, Schema.load(), 0, tmp_path / "weights.pth").encoder.backbone.state_dict()
    torch.testing.assert_close(own["conv_stem.weight"], model["conv_stem.weight"].sum(dim=1, keepdim=True))
    torch.testing.assert_close(own["blocks.1.0.conv_pw.weight"], model["blocks.1.0.conv_pw.weight"])


# Schedule


def test_the_learning_rate_rises_and_falls() -> None:
    rates = [schedule(i / 100, 0.1) for i in range(101)]
    assert rates.index(max(rates)) == 10
    assert rates[0] < 0.05
    assert rates[-1] == pytest.approx(0.01)


# The loop


def weights(network: torch.nn.Module) -> torch.Tensor:
    return torch.cat([weight.detach().flatten() for weight in network.parameters()])


def test_a_short_run_lowers_the_loss() -> None:
    stream = io.StringIO()
    recipe = replace(RECIPE, steps=30, batch=4, learning_rate=3e-3, average=0.8)
    held_out = ListedSamples([disc_sample(seed) for seed in range(20, 24)])
    Loop(task(recipe=recipe, held_out={"discs": HeldOutSamples(held_out)}), Events(stream), Cancel()).run()
    entries = lines(stream)
    assert [entry["event"] for entry in entries[:3]] == ["arithmetic", "start", "step"]
    losses = [entry["loss"] for entry in entries if entry["event"] == "step"]
    assert losses[-1] < 0.7 * losses[0]
    assert entries[-1]["event"] == "validation"
    assert set(entries[-1]["structures"]) == set(Schema.load().keys)


class StopAfter(Cancel):
    """Requests cancellation after it was checked a given number of times."""

    def __init__(self, steps: int) -> None:
        self._left = steps

    @property
    def requested(self) -> bool:
        self._left -= 1
        return self._left < 0


def test_a_stopped_run_resumes_with_the_same_result(tmp_path: Path) -> None:
    events = Events(io.StringIO())
    uninterrupted = weights(Loop(task(), events, Cancel()).run())
    with pytest.raises(TrainingCancelledError):
        Loop(task(tmp_path), events, StopAfter(1)).run()
    stream = io.StringIO()
    resumed = weights(Loop(task(tmp_path), Events(stream), Cancel()).run())
    assert lines(stream)[0] == {"event": "resume", "step": 2}
    torch.testing.assert_close(resumed, uninterrupted, atol=1e-5, rtol=1e-4)


def validated_task(styles: dict[str, float], folder: Path | None = None, **changes: object) -> Task:
    """Return a task that validates after each step on held-out styles with these weights."""
    held_out = {
        name: HeldOutSamples(ListedSamples([disc_sample(seed) for seed in (30 + i, 40 + i)]), weight)
        for i, (name, weight) in enumerate(styles.items())
    }
    recipe = replace(RECIPE, steps=5, batch=3, validate_steps=1, learning_rate=3e-3, average=0.5)
    return task(folder, **{"recipe": recipe, "held_out": held_out} | changes)


def dice_falls_after(step: int) -> Validator:
    """Return a validator whose Dice rises up to a step and falls afterwards, as when a student overfits the phantom."""
    steps = iter(range(1, 1000))

    def validator(*arguments: object) -> Validation | None:
        validation = validate(*arguments)
        return validation and replace(validation, mean_dice=0.5 - 0.1 * abs(next(steps) - step))

    return validator


def constant_dice(*arguments: object) -> Validation | None:
    validation = validate(*arguments)
    return validation and replace(validation, mean_dice=0.1)


def test_the_best_step_on_held_out_styles_is_kept() -> None:
    third = weights(
        Loop(validated_task({}, recipe=replace(RECIPE, steps=5, batch=3)), Events(io.StringIO()), Cancel()).run()
    )
    stream = io.StringIO()
    loop = Loop(validated_task({"a": 1.0, "b": 3.0}), Events(stream), Cancel(), validator=dice_falls_after(3))
    chosen = weights(loop.run())
    entries = [entry for entry in lines(stream) if entry["event"] == "validation"]
    assert [entry["step"] for entry in entries if entry["best"]] == [1, 2, 3]
    assert set(entries[0]["styles"]) == {"a", "b"}
    assert (loop.choice.step, loop.choice.mean_dice, loop.choice.validations) == (3, 0.5, 5)
    assert "held-out" in loop.choice.why
    assert not torch.allclose(chosen, third)


def test_styles_without_weight_are_reported_and_do_not_choose_the_step() -> None:
    stream = io.StringIO()
    loop = Loop(validated_task({"a": 0.0}), Events(stream), Cancel())
    loop.run()
    assert "best" in lines(stream)[-1] and not lines(stream)[-1]["best"]
    assert (loop.choice.step, loop.choice.mean_dice) == (5, None)


def test_a_killed_run_keeps_its_best_step(tmp_path: Path) -> None:
    uninterrupted = Loop(
        validated_task({"a": 1.0, "b": 1.0}), Events(io.StringIO()), Cancel(), validator=dice_falls_after(2)
    )
    expected = weights(uninterrupted.run())

    class Killed(BaseException):
        pass

    class KilledAtStep4(Events):
        def emit(self, event: str, **fields: object) -> None:
            if event == "validation" and fields["step"] == 4:
                raise Killed
            super().emit(event, **fields)

    with pytest.raises(Killed):
        Loop(
            validated_task({"a": 1.0, "b": 1.0}, tmp_path),
            KilledAtStep4(io.StringIO()),
            Cancel(),
            validator=dice_falls_after(2),
        ).run()
    resumed = Loop(
        validated_task({"a": 1.0, "b": 1.0}, tmp_path), Events(io.StringIO()), Cancel(), validator=constant_dice
    )
    torch.testing.assert_close(weights(resumed.run()), expected, atol=1e-5, rtol=1e-4)
    assert resumed.choice.step == uninterrupted.choice.step == 2


def test_fast_depthwise_convolutions_give_the_same_outputs_and_gradients() -> None:
    network = StudentNetwork(CONFIG, 12).eval()
    kinds = [type(module) for module in network.modules()]
    frames = torch.randn(1, 1, 64, 64)
    results = []
    for active in (False, True):
        with fast_depthwise(network, active=active):
            network.zero_grad()
            logits, _ = network(frames)
            logits.square().sum().backward()
        results.append((logits.detach(), [w.grad.clone() for w in network.parameters() if w.grad is not None]))
    torch.testing.assert_close(results[0], results[1], atol=1e-4, rtol=1e-3)
    assert [type(module) for module in network.modules()] == kinds


def test_a_folder_with_another_run_is_refused(tmp_path: Path) -> None:
    Loop(task(tmp_path), Events(io.StringIO()), Cancel()).run()
    with pytest.raises(TrainingError, match="another recipe"):
        Loop(task(tmp_path, recipe=replace(RECIPE, steps=9)), Events(io.StringIO()), Cancel())


def test_a_run_may_continue_with_another_recipe_and_records_it(tmp_path: Path) -> None:
    Loop(task(tmp_path), Events(io.StringIO()), Cancel()).run()
    longer = replace(RECIPE, steps=6, batch=2)
    loop = Loop(
        task(tmp_path, recipe=longer, allow_recipe_change=True, source={"phantom": "x"}),
        Events(io.StringIO()),
        Cancel(),
    )
    loop.run()
    assert [(entry["from_step"], entry["recipe"]["steps"]) for entry in loop.history] == [(0, 4), (4, 6)]
    assert loop.history[1]["source"] == {"phantom": "x"}


def test_a_time_limit_ends_the_schedule_early() -> None:
    ticks = iter(float(i) for i in range(10_000))
    stream = io.StringIO()
    limited = task(minutes=0.1, recipe=replace(RECIPE, steps=5000))
    Loop(limited, Events(stream), Cancel(), clock=lambda: next(ticks)).run()
    assert max(entry["step"] for entry in lines(stream) if entry["event"] == "step") < 10


def test_an_empty_source_is_refused() -> None:
    with pytest.raises(TrainingError, match="nothing to learn"):
        Loop(task(sources=(ListedSamples(()),)), Events(io.StringIO()), Cancel())


# Complete runs


def test_fit_on_phantoms_writes_a_working_student(tmp_path: Path) -> None:
    stream = io.StringIO()
    saved = fit_phantom(RECIPE, tmp_path / "out.safetensors", run_in(tmp_path, stream), backbone=None, student=None)
    student = load_student(tmp_path / "out.safetensors", "cpu")
    assert student.id == saved.id
    assert student.provenance["recipe"]["name"] == "test"
    assert student.provenance["chosen"]["step"] in (1, 2)
    assert set(student.provenance["chosen"]["styles"]) == set(student.scores["styles"]) == {"standard"}
    assert student.provenance["command"] == "vfss-train test"
    assert set(student.scores["structures"]) == set(student.schema.keys)
    assert lines(stream)[-1]["event"] == "done"
    child = fit_phantom(
        RECIPE,
        tmp_path / "more.safetensors",
        run_in(tmp_path),
        backbone=None,
        student=str(tmp_path / "out.safetensors"),
    )
    assert child.provenance["parent"] == student.id


def test_a_recipe_names_the_student_it_starts_from(tmp_path: Path) -> None:
    small_checkpoint().save(tmp_path / "first.safetensors")
    text = "start: {student: first.safetensors, sha256: %s, input_size: 96}\nstages: [{until: 1.0, size: 96}]\n"
    (tmp_path / "recipe.yaml").write_text(text % sha256(tmp_path / "first.safetensors"))
    recipe = load_recipe(tmp_path / "recipe.yaml")
    parent = starting_student(recipe, None)
    assert parent is not None
    config = recipe.start.grown(parent.config)
    assert (config.input_size, config.backbone) == (96, CONFIG.backbone)
    assert from_student(parent, parent.schema, 0, config)(torch.zeros(1, 1, 96, 96))[0].shape == (1, 12, 24, 24)
    with pytest.raises(TrainingError, match="starts from another student"):
        starting_student(replace(recipe, start=Start(str(tmp_path / "first.safetensors"), "00")), None)
    assert starting_student(replace(recipe, start=Start()), None) is None
