# SPDX-License-Identifier: Apache-2.0
"""Soft masks: teachers that agree have more weight; structures that no teacher knows have none."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from vfss.errors import TrainingError
from vfss_training.loop.soft_masks import Blend, LabelAgreement, SoftMaskLoss, blend, mutual_agreement
from vfss_training.teachers.feature_statistics import Origin


def disc(radius: float, size: int = 16, middle: float = 7.5) -> Tensor:
    y, x = torch.meshgrid(torch.arange(float(size)), torch.arange(float(size)), indexing="ij")
    return torch.sigmoid(radius - ((y - middle) ** 2 + (x - middle) ** 2).sqrt())


def three_teachers() -> tuple[Tensor, Tensor]:
    """Return masks (3, 1, 2, 16, 16): two agree, the third is elsewhere and does not know the second structure."""
    masks = torch.stack([torch.stack([disc(r), disc(r, middle=3.0)])[None] for r in (4.0, 4.2, 4.0)])
    masks[2] = disc(3.0, middle=12.0)
    return masks, torch.tensor([[True, True], [True, True], [True, False]])


FIELD = torch.ones(1, 16, 16, dtype=torch.bool)


def test_an_outlier_has_little_weight_and_a_teacher_without_a_structure_none() -> None:
    masks, knows = three_teachers()
    masks[2, :, 1] = torch.nan
    agreement = mutual_agreement(masks, knows, FIELD)
    assert agreement.shape == (3, 1, 2)
    assert agreement[2, 0, 0] < 0.6 * agreement[0, 0, 0]
    blended = blend(masks, agreement, knows)
    off = (blended.planes[0, 0] - masks[0, 0, 0]).abs().mean()
    even = (masks[:, 0, 0].mean(0) - masks[0, 0, 0]).abs().mean()
    assert off < 0.7 * even
    torch.testing.assert_close(blended.planes[0, 1], masks[:2, 0, 1].mean(0))
    assert blended.weight.tolist() == [[1.0, 1.0]]


def test_a_single_teacher_has_weight_1_and_two_have_equal_weights() -> None:
    masks, _ = three_teachers()
    knows = torch.tensor([[True, False], [True, False], [False, False]])
    agreement = mutual_agreement(masks, knows, FIELD)
    assert agreement[0, 0, 0] == agreement[1, 0, 0]
    equal_masks = mutual_agreement(masks[:1].expand(2, -1, -1, -1, -1), knows[:2], FIELD)
    assert equal_masks[:, 0, 0].tolist() == pytest.approx([1.0, 1.0])
    single = torch.tensor([[True, False], [False, False], [False, False]])
    assert float(mutual_agreement(masks, single, FIELD)[0, 0, 0]) == 1.0
    blended = blend(masks, mutual_agreement(masks, single, FIELD), single)
    torch.testing.assert_close(blended.planes[0, 0], masks[0, 0, 0])
    assert blended.weight.tolist() == [[1.0, 0.0]]
    assert not blended.planes[0, 1].any()


def test_labels_of_training_patients_weight_teachers_and_a_leak_is_refused() -> None:
    masks, knows = three_teachers()
    labels = (masks[0] > 0.5).clone()
    known = torch.tensor([[True, False]])
    agreement = LabelAgreement(3, 2, held_out=("zoe",))
    agreement.add(masks, labels, known, FIELD, [Origin("ann", "0")])
    before = agreement.value()
    assert before[0, 0] > 0.6
    assert before[2, 0] < 0.2
    assert before[:, 1].tolist() == [1.0, 1.0, 1.0]
    assert blend(masks, before, knows).planes[0, 0].sub(masks[0, 0, 0]).abs().max() < 0.2
    with pytest.raises(TrainingError, match="'zoe'"):
        agreement.add(1.0 - masks, ~labels, known, FIELD, [Origin("zoe", "0")])
    torch.testing.assert_close(agreement.value(), before)


def test_label_agreement_is_the_dice_of_all_frames_together_in_the_exposed_field() -> None:
    masks = torch.zeros(1, 2, 1, 2, 2)
    masks[0, 0, 0, 0] = 1.0
    masks[0, 1, 0, :, 1] = torch.tensor([1.0, torch.nan])
    labels = torch.zeros(2, 1, 2, 2, dtype=torch.bool)
    labels[0, 0, 0, 0] = labels[1, 0, 0, 1] = labels[1, 0, 1, 1] = True
    field = torch.ones(2, 2, 2, dtype=torch.bool)
    field[1, 1, 1] = False
    agreement = LabelAgreement(1, 1, ())
    agreement.add(masks, labels, torch.ones(2, 1, dtype=torch.bool), field, [Origin("ann", "0"), Origin("ann", "1")])
    # 1 + 1 shared pixels, 2 + 1 predicted and 1 + 1 true.
    assert float(agreement.value()) == pytest.approx(2 * 2 / 5)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4), st.integers(0, 99))
def test_a_blend_lies_between_its_teachers(teachers: int, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    masks = torch.rand(teachers, 2, 3, 4, 4, generator=random).round(decimals=1)
    knows = torch.rand(teachers, 3, generator=random) > 0.4
    blended = blend(masks, torch.rand(teachers, 3, generator=random).round(), knows)
    for s in range(3):
        known = masks[knows[:, s]][:, :, s]
        assert blended.weight[:, s].tolist() == [float(len(known) > 0)] * 2
        if len(known):
            assert (blended.planes[:, s] <= known.amax(0) + 1e-6).all()
            assert (blended.planes[:, s] >= known.amin(0) - 1e-6).all()
    loss = SoftMaskLoss()(torch.zeros(2, 3, 4, 4), blended, torch.ones(2, 4, 4, dtype=torch.bool))
    assert loss.isfinite()


def test_weights_that_add_up_to_a_little_more_than_1_leave_the_loss_finite() -> None:
    field = torch.ones(1, 64, 4, dtype=torch.bool)
    agreement = torch.rand(3, 64, generator=torch.Generator().manual_seed(0))
    blended = blend(torch.ones(3, 1, 64, 64, 4), agreement, torch.ones(3, 64, dtype=torch.bool))
    assert float(blended.planes.max()) <= 1.0
    above = Blend(torch.full((1, 2, 64, 4), 1.0 + 1e-6), torch.ones(1, 2))
    assert SoftMaskLoss()(torch.zeros(1, 2, 64, 4), above, field).isfinite()


def test_equal_masks_have_loss_0_which_is_the_minimum_for_soft_targets_too() -> None:
    planes = torch.full((1, 1, 8, 8), 0.3)
    blended = Blend(planes, torch.ones(1, 1))
    field = torch.ones(1, 8, 8, dtype=torch.bool)
    values = {
        p: float(SoftMaskLoss()(torch.full((1, 1, 8, 8), p).logit(), blended, field)) for p in (0.02, 0.2, 0.3, 0.5)
    }
    assert values[0.3] == pytest.approx(0.0, abs=1e-5)
    assert min(values, key=values.__getitem__) == 0.3
    # The same holds for each part alone: the usual soft Dice would prefer 1 to .3.
    only_dice = SoftMaskLoss(cross_entropy=0.0)
    assert float(only_dice(planes.logit(), blended, field)) < float(
        only_dice(torch.full_like(planes, 9.0), blended, field)
    )


def test_unknown_structures_and_pixels_outside_the_exposed_field_do_not_count() -> None:
    masks, knows = three_teachers()
    blended = blend(masks, torch.ones(3, 2), knows & torch.tensor([True, False]))
    field = FIELD.clone()
    field[:, 8:] = False
    logits = torch.randn(1, 2, 16, 16).requires_grad_()
    loss = SoftMaskLoss()(logits, blended, field)
    loss.backward()
    assert logits.grad is not None
    assert logits.grad[0, 0, :8].any()
    assert not logits.grad[0, 1].any()
    assert not logits.grad[0, 0, 8:].any()
    nothing = SoftMaskLoss()(logits, Blend(blended.planes, torch.zeros(1, 2)), field)
    dark = SoftMaskLoss()(logits, blended, torch.zeros_like(field))
    assert (float(nothing), float(dark)) == (0.0, 0.0)


def test_structures_are_weighted_and_logits_are_resized_to_the_masks() -> None:
    masks, knows = three_teachers()
    blended = blend(masks, torch.ones(3, 2), knows)
    logits = torch.stack([blended.planes[0, 0].clamp(0.01, 0.99).logit(), torch.full((16, 16), 5.0)])[None]
    loss = SoftMaskLoss()
    first, second = (
        loss(logits, blended, FIELD, weights) for weights in (torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1]))
    )
    assert float(first) < 0.1 * float(second)
    torch.testing.assert_close(loss(logits, blended, FIELD, torch.tensor([3.0, 1.0])), (3 * first + second) / 4)
    coarse = torch.nn.functional.avg_pool2d(logits, 2)
    assert float(loss(coarse, blended, FIELD, torch.tensor([1.0, 0.0]))) < 0.1 * float(second)
    with pytest.raises(TrainingError, match="do not fit"):
        loss(logits[:, :1], blended, FIELD)
