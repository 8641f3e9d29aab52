# SPDX-License-Identifier: Apache-2.0
"""The five large teachers, each against another library's implementation, from weights under their published names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from published_teachers import (
    Weights,
    dino,
    filled,
    hiera,
    published,
    published_dino,
    published_hiera,
    published_swin,
    swin,
)
from vfss.errors import TrainingError
from vfss_training.teachers.loading import BUILDERS, build_teacher
from vfss_training.teachers.networks.hiera import HieraTeacher
from vfss_training.teachers.networks.rad_dino import DinoTeacher
from vfss_training.teachers.networks.sam_vit import SamVitTeacher
from vfss_training.teachers.networks.swin import SwinTeacher
from vfss_training.teachers.preprocess import Window, preprocess_frames, window
from vfss_training.teachers.table import TEACHERS, TeacherEntry
from vfss_training.teachers.teacher import FrozenTeacher, Teacher

CLOSE = {"atol": 1e-4, "rtol": 1e-4}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@cache
def meta_teacher(name: str) -> FrozenTeacher:
    """Create a teacher of its true size, without values."""
    with torch.device("meta"):
        return build_teacher(TEACHERS[name])


@cache
def names(name: str) -> Weights:
    """Return the names and shapes of a teacher's file."""
    return {key: tensor.to("meta") for key, tensor in published(name).items()}


def uninitialised(kind: type[FrozenTeacher], entry: TeacherEntry) -> FrozenTeacher:
    """Create a teacher with uninitialised weights: drawing random ones twice takes long."""
    with torch.device("meta"):
        teacher = kind(entry)
    return teacher.to_empty(device="cpu")


def loaded(module: nn.Module, weights: Mapping[str, Tensor]) -> nn.Module:
    module.load_state_dict(weights, strict=True, assign=True)
    return module


def test_every_teacher_of_the_table_can_be_built() -> None:
    assert list(BUILDERS) == list(TEACHERS)
    for name, entry in TEACHERS.items():
        assert entry.name == name and entry.url.startswith("https://") and entry.source and entry.licence


@pytest.mark.parametrize("name", list(TEACHERS))
def test_published_weights_fit_at_true_shapes_and_give_the_grid_of_the_table(name: str) -> None:
    entry, teacher = TEACHERS[name], meta_teacher(name)
    teacher.load_published(names(name))
    with torch.device("meta"):
        features = teacher.features(torch.zeros(2, 3, entry.input_size, entry.input_size))
    assert features.shape == (2, entry.channels, entry.grid, entry.grid)
    protocol: Teacher = teacher
    assert (protocol.name, protocol.input_size, protocol.grid) == (name, entry.input_size, entry.grid)
    assert not teacher.training and not any(weight.requires_grad for weight in teacher.parameters())


def test_sam_has_the_314_tensors_of_its_file() -> None:
    assert len(published("medsam")) == 314


PREFIXES = {"medclip": "vision_model.", "medsam2": "image_encoder."}
"""Prefixes of the weights that are used; the others belong to a text encoder, or to prompts and memory."""
MESSAGES = {"dropped": "missing", "renamed": "missing", "extra": "something.else", "shape": ""}
IGNORED = ("relative_position_index", "mask_token", "head.", "num_batches_tracked")


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(list(TEACHERS)),
    change=st.sampled_from(["dropped", "renamed", "extra", "shape"]),
    data=st.data(),
)
def test_a_name_that_is_dropped_renamed_or_added_is_refused(name: str, change: str, data: st.DataObject) -> None:
    weights = dict(names(name))
    prefix = PREFIXES.get(name, "")
    eligible = [key for key in weights if key.startswith(prefix) and not any(part in key for part in IGNORED)]
    key = data.draw(st.sampled_from(eligible))
    tensor = weights[key]
    if change in {"dropped", "renamed"}:
        del weights[key]
    if change == "renamed":
        weights[f"{key}_2"] = tensor
    if change == "extra":
        weights[f"{prefix}something.else"] = tensor
    if change == "shape":
        weights[key] = torch.empty((*tensor.shape, 2), device="meta")
    with pytest.raises(TrainingError, match=f"do not fit teacher '{name}'") as error:
        meta_teacher(name).load_published(weights)
    assert MESSAGES[change] in str(error.value)


def test_two_names_that_map_to_one_are_refused() -> None:
    weights = dict(names("rad-dino"))
    weights["norm.weight"] = weights["layernorm.weight"]
    with pytest.raises(TrainingError, match="two of the weights are named"):
        meta_teacher("rad-dino").load_published(weights)


def test_sam_vit_b_equals_timms() -> None:
    """True weight shapes on a smaller picture, with position embeddings cropped and resized alike in both."""
    weights = filled(published("sam-vit-b"), 1)
    teacher = uninitialised(SamVitTeacher, TEACHERS["sam-vit-b"])
    teacher.load_published(weights)
    encoder = {key.removeprefix("image_encoder."): t for key, t in weights.items() if key.startswith("image_encoder.")}
    encoder["pos_embed"] = encoder["pos_embed"][:, :8, :8].contiguous()
    for key, tensor in encoder.items():
        if "rel_pos" in key and len(tensor) == 2 * 64 - 1:
            encoder[key] = functional.interpolate(tensor.T[None], size=2 * 8 - 1, mode="linear")[0].T.contiguous()
    with torch.device("meta"):
        other = timm.create_model("samvit_base_patch16", num_classes=0, img_size=128, global_pool="").eval()
    other = loaded(other, {key.replace("mlp.lin", "mlp.fc"): tensor for key, tensor in encoder.items()})
    teacher.sam.image_encoder.pos_embed = nn.Parameter(encoder["pos_embed"])
    inputs = torch.randn(1, 3, 128, 128)
    with torch.inference_mode():
        torch.testing.assert_close(teacher.features(inputs), other.forward_features(inputs), **CLOSE)


def test_rad_dino_equals_transformers() -> None:
    """The complete network on a picture of 8x8 patches."""
    with torch.device("meta"):
        other = dino(112)
    weights = filled(other.state_dict(), 2)
    other = loaded(other, weights)
    teacher = uninitialised(DinoTeacher, replace(TEACHERS["rad-dino"], input_size=112, grid=8))
    teacher.load_published(published_dino(weights))
    frames = torch.randint(0, 256, (2, 112, 112), dtype=torch.uint8)
    with torch.inference_mode():
        tokens = other(teacher.prepare(frames)).last_hidden_state
    patches = tokens[:, 1:].reshape(2, 8, 8, 768).permute(0, 3, 1, 2)
    torch.testing.assert_close(teacher.targets(frames), patches, **CLOSE)


def test_medclip_equals_transformers() -> None:
    other, teacher = swin(), SwinTeacher(TEACHERS["medclip"])
    weights = filled(other.state_dict(), 3)
    other = loaded(other, weights)
    file = published_swin(weights)
    teacher.load_published(file)
    frames = torch.randint(0, 256, (1, 200, 224), dtype=torch.uint8)
    outputs: list[Tensor] = []

    def record(module: nn.Module, inputs: object, output: Tensor | tuple[Tensor, ...]) -> None:
        outputs.append(output if isinstance(output, Tensor) else output[0])

    # transformers returns the output of a stage only after the patch merging to the next one.
    other.encoder.layers[2].blocks[-1].register_forward_hook(record)
    with torch.inference_mode():
        other(teacher.prepare(frames))
    stage = outputs[0].reshape(1, 14, 14, 384).permute(0, 3, 1, 2)
    torch.testing.assert_close(teacher.targets(frames), stage, **CLOSE)


def test_medsam2_equals_transformers() -> None:
    with torch.device("meta"):
        other = hiera()
    weights = filled(other.state_dict(), 4)
    other, teacher = hiera(), uninitialised(HieraTeacher, TEACHERS["medsam2"])
    other.load_state_dict(weights, strict=True)
    teacher.load_published(published_hiera(weights))
    frames = torch.randint(0, 256, (1, 256, 256), dtype=torch.uint8)
    with torch.inference_mode():
        levels = other(teacher.prepare(frames)).fpn_hidden_states
    (level,) = [features for features in levels if features.shape == (1, 256, 32, 32)]
    torch.testing.assert_close(teacher.targets(frames), level, **CLOSE)


GREY = {"range": 1.0, "imagenet": (200 - 123.675) / 58.395, "rad-dino": (200 / 255 - 0.5307) / 0.2583}
GREY["medclip"] = (200 / 255 - 0.5862785803043838) / 0.27950088968644304


@pytest.mark.parametrize("name", list(TEACHERS))
def test_a_frame_is_fitted_and_normalised_as_in_the_table(name: str) -> None:
    """A frame twice as wide as high, dark with a bright middle."""
    entry = replace(TEACHERS[name], input_size=64)
    frame = torch.full((2, 32, 64), 50, dtype=torch.uint8)
    frame[:, :, 16:48] = 200
    seen = preprocess_frames(frame, entry)
    assert seen.shape == (2, 3, 64, 64) and seen.dtype == torch.float32
    middle = {"pad": 16, "squash": 32, "crop": 32, "square": 32}[entry.fit]
    assert float(seen[0, 0, middle, 32]) == pytest.approx(GREY[entry.pixels], abs=1e-5)
    bright = seen[0, 0] > (seen[0, 0, middle, 32] + seen[0, 0, 0, 0]) / 2
    rows, columns = {
        "pad": (slice(0, 32), slice(16, 48)),
        "squash": (slice(0, 64), slice(16, 48)),
        "crop": (slice(0, 64), slice(0, 64)),
        "square": (slice(16, 48), slice(16, 48)),
    }[entry.fit]
    if entry.fit == "crop":
        assert (seen[0, 0, :, 4:60] == seen[0, 0, 32, 32]).all()
        return
    expected = torch.zeros(64, 64, dtype=torch.bool)
    expected[rows, columns] = True
    assert (bright == expected).all()


def test_the_window_is_the_part_of_a_frame_that_the_grid_covers() -> None:
    assert window("squash", 30, 60) == Window(0, 0, 1, 1)
    assert window("pad", 30, 60) == Window(0, 0, 2, 1)
    assert window("square", 30, 60) == Window(-0.5, 0, 1.5, 1)
    assert window("crop", 30, 60) == Window(0, 0.25, 1, 0.75)
    for name, entry in TEACHERS.items():
        assert window(entry.fit, 48, 48) == Window(0, 0, 1, 1)
        assert meta_teacher(name).window(48, 48) == Window(0, 0, 1, 1)


def test_square_frames_are_covered_completely_by_every_teacher() -> None:
    frame = torch.randint(0, 256, (1, 96, 96), dtype=torch.uint8)
    seen = {name: preprocess_frames(frame, replace(entry, input_size=48)) for name, entry in TEACHERS.items()}
    grey = functional.interpolate(frame[:, None], size=(48, 48), mode="bilinear", antialias=True)[0, 0].float()
    for inputs in seen.values():
        assert torch.corrcoef(torch.stack([inputs[0, 0].flatten(), grey.flatten()]))[0, 1] > 0.95
