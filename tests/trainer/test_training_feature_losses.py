# SPDX-License-Identifier: Apache-2.0
"""Feature losses: known values, and cells outside the exposed field do not count."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from vfss.errors import TrainingError
from vfss_training.losses.features import (
    FEATURE_LOSSES,
    CellLoss,
    RelationLoss,
)

NAMES = list(FEATURE_LOSSES)


def pair(seed: int = 0, n: int = 2, channels: int = 5, grid: int = 6) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(n, channels, grid, grid, generator=random) for _ in range(2))  # type: ignore[return-value]


def everywhere(target: Tensor) -> Tensor:
    return torch.ones(len(target), *target.shape[2:], dtype=torch.bool)


def test_cell_losses_have_values_computed_by_hand() -> None:
    student = torch.tensor([3.0, 0.0]).reshape(1, 2, 1, 1)
    target = torch.tensor([0.0, 0.5]).reshape(1, 2, 1, 1)
    # Right angle: 1. Squares 9 and .25. Smooth: 3 - .5 and .5 x .25.
    expected = {"cosine": 1.0, "mse": 4.625, "smooth-l1": 1.3125, "unic": 1.15625, "radio": 1.03125}
    for name, value in expected.items():
        loss = FEATURE_LOSSES[name](student, target, everywhere(target))
        assert loss.tolist() == pytest.approx([value], abs=1e-6), name


def test_the_relation_loss_equals_the_divergence_computed_cell_by_cell() -> None:
    student, target = pair(n=1, grid=3)
    field = everywhere(target)
    field[0, 0, 0] = False
    rows = []
    cells = [(y, x) for y in range(3) for x in range(3) if field[0, y, x]]
    for cell in cells:
        logits = []
        for features in (target, student):
            near = [
                functional.cosine_similarity(features[0, :, *cell], features[0, :, *other], dim=0) / 0.07
                for other in cells
                if other != cell
            ]
            logits.append(torch.stack(near).log_softmax(0))
        rows.append((logits[0].exp() * (logits[0] - logits[1])).sum())
    expected = torch.stack(rows).mean()
    torch.testing.assert_close(FEATURE_LOSSES["relation"](student, target, field)[0], expected, rtol=1e-4, atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(
    name=st.sampled_from(NAMES),
    inside=st.lists(st.booleans(), min_size=32, max_size=32),
    junk=st.sampled_from([1e4, math.inf, math.nan]),
    seed=st.integers(0, 9),
)
def test_cells_outside_the_exposed_field_do_not_count(name: str, inside: list[bool], junk: float, seed: int) -> None:
    student, target = pair(seed, grid=4)
    field = torch.tensor(inside).reshape(2, 4, 4)
    results, corrupted = [], target.clone()
    corrupted.movedim(1, -1)[~field] = junk
    for goal in (target, corrupted):
        trained = student.clone().requires_grad_()
        loss = FEATURE_LOSSES[name](trained, goal, field, seed=3)
        loss.sum().backward()
        assert trained.grad is not None
        assert trained.grad.isfinite().all()
        assert not trained.grad.movedim(1, -1)[~field].any()
        results.append((loss.detach(), trained.grad))
    torch.testing.assert_close(results[0], results[1])
    assert (results[0][0][~field.flatten(1).any(1)] == 0).all()
    assert not results[0][0].isnan().any()
    changed = student.clone()
    changed.movedim(1, -1)[~field] = -9.0
    torch.testing.assert_close(FEATURE_LOSSES[name](changed, target, field, seed=3), results[0][0])


@pytest.mark.parametrize("name", NAMES)
def test_equal_features_have_loss_0_and_training_approaches_it(name: str) -> None:
    student, target = pair(grid=4)
    field = everywhere(target)
    assert FEATURE_LOSSES[name](target.clone(), target, field).abs().max() < 1e-5
    trained = student.clone().requires_grad_()
    first = FEATURE_LOSSES[name](student, target, field).mean()
    optimizer = torch.optim.Adam([trained], lr=0.05)
    for _ in range(60):
        loss = FEATURE_LOSSES[name](trained, target, field).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.5 * first
    zeros = torch.zeros_like(target).requires_grad_()
    FEATURE_LOSSES[name](zeros, target, field).sum().backward()
    assert zeros.grad is not None
    assert zeros.grad.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_the_student_is_resized_and_the_target_is_not(name: str) -> None:
    _, target = pair(grid=4)
    field = everywhere(target)
    # Each cell of the target is repeated four times, so that averaging gives the target again.
    fine = target.repeat_interleave(4, 2).repeat_interleave(4, 3)
    for student in (fine, functional.interpolate(target, size=(3, 3), mode="bilinear")):
        loss = FEATURE_LOSSES[name](student, target, field)
        assert loss.shape == (2,)
        assert (loss < FEATURE_LOSSES[name](student.roll(1, 0), target, field)).all()


def test_a_finer_map_is_averaged_to_the_teachers_grid() -> None:
    target = torch.zeros(1, 1, 2, 2)
    student = torch.zeros(1, 1, 16, 16)
    student[..., 0, 0] = 64.0
    loss = FEATURE_LOSSES["smooth-l1"](student, target, everywhere(target))
    # One bright pixel of 64 in a cell: without averaging the cell would be 0 or all of it.
    assert 0 < float(loss) < 1.0


def test_each_frame_has_its_own_loss() -> None:
    target = torch.zeros(2, 3, 2, 2)
    student = torch.stack([torch.ones(3, 2, 2), torch.full((3, 2, 2), 2.0)])
    field = everywhere(target)
    field[1] = torch.tensor([[True, False], [False, False]])
    each = FEATURE_LOSSES["mse"](student, target, field)
    assert each.tolist() == [1.0, 4.0]


def test_relations_do_not_depend_on_channels_and_are_drawn_by_seed_within_the_field() -> None:
    student, target = pair(n=2, channels=4, grid=8)
    field = everywhere(target)
    loss = RelationLoss(cells=12)
    wide = torch.cat([student, torch.zeros(2, 3, 8, 8)], 1)
    assert torch.equal(loss(student, target, field, 1), loss(student, target, field, 1))
    assert not torch.equal(loss(student, target, field, 1), loss(student, target, field, 2))
    torch.testing.assert_close(loss(wide, target, field, 1), loss(student, target, field, 1))
    field[:] = False
    field[:, 2, 3:6] = True
    few = RelationLoss(cells=3)(student, target, field, 5)
    torch.testing.assert_close(few, RelationLoss(cells=64)(student, target, field, 6))
    field[:, 2, 4:] = False
    assert RelationLoss()(student, target, field).tolist() == [0.0, 0.0]


def test_relations_of_many_cells_stay_within_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    student, target = pair(n=1, channels=2, grid=64)
    largest = []
    plain = Tensor.log_softmax

    def spy(self: Tensor, dim: int) -> Tensor:
        largest.append(self.numel())
        return plain(self, dim)

    monkeypatch.setattr(Tensor, "log_softmax", spy)
    assert RelationLoss(cells=100)(student, target, everywhere(target)) > 0
    assert largest == [100**2, 100**2]


def test_one_cell_for_the_whole_frame_counts_if_it_is_in_the_field() -> None:
    vector = torch.randn(2, 5, 1, 1)
    field = torch.tensor([True, False])[:, None, None]
    student = torch.where(field[:, None], vector, vector + 99.0)
    loss = CellLoss(cosine=0.5, smooth=0.5)(student, vector, field)
    assert loss.tolist() == pytest.approx([0.0, 0.0], abs=1e-5)
    assert CellLoss(cosine=1.0)(-student, vector, field)[0] == pytest.approx(2.0, abs=1e-5)


def test_losses_stay_in_full_precision_under_autocast() -> None:
    student, target = pair()
    for name in NAMES:
        plain = FEATURE_LOSSES[name](student.bfloat16().float(), target, everywhere(target))
        with torch.autocast("cpu", torch.bfloat16):
            half = FEATURE_LOSSES[name](student.bfloat16(), target, everywhere(target))
        assert half.dtype == torch.float32
        torch.testing.assert_close(half, plain)


def test_shapes_that_do_not_fit_are_refused() -> None:
    student, target = pair()
    with pytest.raises(TrainingError, match="projector"):
        FEATURE_LOSSES["mse"](student[:, :3], target, everywhere(target))
    with pytest.raises(TrainingError, match="field"):
        FEATURE_LOSSES["cosine"](student, target, everywhere(target)[:, :3])
