# SPDX-License-Identifier: Apache-2.0
"""Balancing: no collapse onto the easiest teacher, no gradient through a gate, and weights that add up."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from vfss.errors import TrainingError
from vfss_training.losses.balancing import BALANCERS, Aim, Balancer, Balancing, balance, balancer_of

EASY_AND_HARD = torch.tensor([0.1, 1.0])


def gate_after(steps: int, losses: Tensor, **changes: object) -> Balancer:
    """Train a balancer by its own loss on constant losses of the teachers."""
    balancer = balancer_of(Balancing(**changes), len(losses))  # type: ignore[arg-type]
    optimizer = torch.optim.Adam(balancer.parameters(), lr=0.05)
    for _ in range(steps):
        optimizer.zero_grad()
        balance(balancer, losses).gate.backward()
        optimizer.step()
    balancer(losses)
    return balancer


@pytest.mark.parametrize("name", ["mlp", "attention"])
def test_a_gate_collapses_onto_the_easiest_teacher_and_a_floor_keeps_the_others(name: str) -> None:
    collapsed = gate_after(500, EASY_AND_HARD, name=name, floor=0.0).last
    assert collapsed[0] > 0.99
    kept = gate_after(500, EASY_AND_HARD, name=name, floor=0.1).last
    assert kept[1] == pytest.approx(0.05, abs=0.005)
    assert kept[1] >= 0.05


def test_a_cap_bounds_the_weight_of_the_easiest_teacher() -> None:
    capped = gate_after(100, EASY_AND_HARD, name="attention", floor=0.0, cap=0.7).last
    assert capped[0] == pytest.approx(0.7, abs=1e-5)


@pytest.mark.parametrize("name", ["mlp", "attention"])
def test_a_gate_against_the_student_gives_most_weight_to_the_hard_teacher(name: str) -> None:
    against = gate_after(200, EASY_AND_HARD, name=name, floor=0.0, aim="hardest", entropy=0.5).last
    # The maximum of sum alpha l + t H(alpha) is the softmax of l / t.
    torch.testing.assert_close(against, (EASY_AND_HARD / 0.5).softmax(0), atol=1e-2, rtol=0)
    rewarded = gate_after(200, EASY_AND_HARD, name=name, floor=0.0, entropy=0.5).last
    torch.testing.assert_close(rewarded, (-EASY_AND_HARD / 0.5).softmax(0), atol=1e-2, rtol=0)


def train_student(balancing: Balancing, steps: int = 250) -> tuple[Tensor, Tensor]:
    """Return distances from two opposed teachers after training, and the last weights; the second is 10 x farther."""
    student = nn.Parameter(torch.zeros(2))
    target = torch.tensor([0.5, 5.0])
    balancer = balancer_of(balancing, 2)
    optimizer = torch.optim.SGD([student], lr=0.03)
    gate = torch.optim.Adam([*balancer.parameters(), nn.Parameter(torch.zeros(1))], lr=0.05)
    for _ in range(steps):
        balanced = balance(balancer, (student - target).square())
        optimizer.zero_grad()
        gate.zero_grad()
        (balanced.loss + balanced.gate).backward()
        optimizer.step()
        gate.step()
    return (student - target).detach().abs(), balanced.weights


def test_with_a_gate_a_student_learns_from_the_hard_teacher_only_with_a_floor() -> None:
    without, weights = train_student(Balancing("attention", floor=0.0))
    assert weights[1] < 0.01
    assert without[1] > 3.0
    with_floor, weights = train_student(Balancing("attention", floor=0.4))
    assert weights[1] >= 0.2 - 1e-6
    assert with_floor[1] < 0.5
    for name in ("equal", "dropping"):
        assert train_student(Balancing(name))[0].max() < 0.05


@pytest.mark.parametrize("name", BALANCERS)
@pytest.mark.parametrize("aim", ["easiest", "hardest"])
def test_the_students_gradient_takes_the_weights_as_constants(name: str, aim: Aim) -> None:
    torch.manual_seed(0)
    chosen = Balancing(name, aim=aim, entropy=0.1, cap=0.6)
    balancer, second, third = (balancer_of(chosen, 3) for _ in range(3))
    for parameter in balancer.parameters():
        nn.init.normal_(parameter)
    for other in (second, third):
        other.load_state_dict(balancer.state_dict())
    student = nn.Parameter(torch.randn(4, 3))

    def losses() -> Tensor:
        return student.square() * torch.tensor([1.0, 2.0, 3.0])

    balanced = balance(balancer, losses())
    (balanced.loss + balanced.gate).backward()
    constant = (second(losses()).detach() * losses()).sum() / 4
    (expected,) = torch.autograd.grad(constant, student)
    torch.testing.assert_close(student.grad, expected)
    torch.testing.assert_close(balanced.loss.detach(), constant.detach())
    # Multiplying losses and weights without balance() gives the same gradient.
    (direct,) = torch.autograd.grad((third(losses()) * losses()).sum() / 4, student)
    torch.testing.assert_close(direct, expected)


@pytest.mark.parametrize("name", ["mlp", "attention", "uncertainty"])
def test_a_gate_learns_from_its_own_loss_alone(name: str) -> None:
    balancer = balancer_of(Balancing(name), 2)
    student = nn.Parameter(torch.ones(2))
    balanced = balance(balancer, student * EASY_AND_HARD)
    balanced.gate.backward()
    assert student.grad is None
    assert any(parameter.grad is not None and parameter.grad.any() for parameter in balancer.parameters())
    parameters = list(balancer.parameters())
    touched = torch.autograd.grad(balanced.loss, parameters, allow_unused=True)
    assert all(gradient is None for gradient in touched)


def test_uncertainty_gives_all_teachers_equal_strength() -> None:
    losses = torch.tensor([0.2, 1.0, 4.0])
    balancer = gate_after(300, losses, name="uncertainty", floor=0.0)
    torch.testing.assert_close(
        balancer.last * losses, torch.full((3,), float((balancer.last * losses).mean())), rtol=0.02, atol=0
    )
    # The minimum of exp(-s) l + s is at s = log l.
    torch.testing.assert_close(
        dict(balancer.named_parameters())["log_variance"].detach(), losses.log(), atol=0.02, rtol=0
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 999))
def test_dropping_never_drops_the_worst(teachers: int, frames: int, seed: int) -> None:
    losses = torch.rand(frames, teachers, generator=torch.Generator().manual_seed(seed))
    weights = balancer_of(Balancing("dropping", seed=seed, kept=0.2), teachers)(losses)
    assert (weights.gather(1, losses.argmax(1, keepdim=True)) > 0).all()
    kept = weights > 0
    torch.testing.assert_close(weights, kept / kept.sum(1, keepdim=True))


def test_dropping_keeps_the_others_half_of_the_time_and_resumes_from_its_state() -> None:
    losses = torch.tensor([[0.1, 0.9, 0.2]]).repeat(2000, 1)
    balancer = balancer_of(Balancing("dropping", seed=4), 3)
    kept = (balancer(losses) > 0).float().mean(0)
    torch.testing.assert_close(kept, torch.tensor([0.5, 1.0, 0.5]), atol=0.04, rtol=0)
    state = {name: tensor.clone() for name, tensor in balancer.state_dict().items()}
    second, third = balancer(losses), balancer(losses)
    assert not torch.equal(second, third)
    resumed = balancer_of(Balancing("dropping", seed=4), 3)
    resumed.load_state_dict(state)
    assert torch.equal(resumed(losses), second)
    assert not torch.equal(balancer_of(Balancing("dropping", seed=5), 3)(losses), second)
    torch.testing.assert_close(resumed.eval()(losses), torch.full_like(losses, 1 / 3))


VALUES = st.one_of(st.sampled_from([0.0, 1.0, 1e-30, 1e30]), st.floats(0.0, 1e6, width=32))


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(list(BALANCERS)),
    losses=st.lists(VALUES, min_size=1, max_size=6),
    bounds=st.tuples(st.sampled_from([0.0, 0.1, 1.0]), st.sampled_from([0.3, 1.0])),
    equal=st.booleans(),
    seed=st.integers(0, 99),
)
def test_weights_add_up_to_1_and_respect_floor_and_cap(
    name: str, losses: list[float], bounds: tuple[float, float], equal: bool, seed: int
) -> None:
    teachers, (floor, cap) = len(losses), bounds
    values = torch.tensor([losses[0]] * teachers if equal else losses)
    balancer = balancer_of(Balancing(name, floor=floor, cap=cap, seed=seed), teachers)
    random = torch.Generator().manual_seed(seed)
    for parameter in balancer.parameters():
        nn.init.normal_(parameter, std=3.0, generator=random)
    balanced = balance(balancer, values)
    assert balanced.weights.shape == (teachers,)
    assert float(balanced.weights.sum()) == pytest.approx(1.0, abs=1e-5)
    assert (balanced.weights >= 0).all()
    assert balanced.gate.isfinite()
    if list(balancer.parameters()):
        assert (balanced.weights >= floor / teachers - 1e-6).all()
        assert (balanced.weights <= max(cap, 1.0 / teachers) + 1e-5).all()
        balanced.gate.backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in balancer.parameters())


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(list(BALANCERS)),
    known=st.lists(st.booleans(), min_size=12, max_size=12),
    cap=st.sampled_from([0.4, 1.0]),
)
def test_a_teacher_without_targets_has_no_weight(name: str, known: list[bool], cap: float) -> None:
    has_targets = torch.tensor(known).reshape(4, 3)
    student = torch.rand(4, 3).requires_grad_()
    losses = torch.where(has_targets, student, torch.nan)
    balanced = balance(balancer_of(Balancing(name, cap=cap), 3), losses, has_targets)
    assert balanced.loss.isfinite()
    assert balanced.gate.isfinite()
    assert not balanced.weights[~has_targets.any(0)].any()
    assert float(balanced.weights.sum()) == pytest.approx(float(has_targets.any()), abs=1e-5)
    balanced.loss.backward()
    assert student.grad is not None
    assert student.grad.isfinite().all()
    assert not student.grad[~has_targets].any()
    if name == "equal" and has_targets.any():
        means = [float(student[has_targets[:, t], t].mean()) for t in range(3) if has_targets[:, t].any()]
        assert float(balanced.loss) == pytest.approx(math.fsum(means) / len(means), abs=1e-5)


@pytest.mark.parametrize("name", ["mlp", "attention", "uncertainty"])
def test_one_very_large_loss_gives_a_bounded_gate_gradient(name: str) -> None:
    balancer = balancer_of(Balancing(name), 2)
    balance(balancer, torch.tensor([1e30, 1.0])).gate.backward()
    gradients = [parameter.grad for parameter in balancer.parameters() if parameter.grad is not None]
    assert 0 < max(float(gradient.abs().max()) for gradient in gradients) < 1e4


def test_teachers_are_dropped_separately_on_each_frame() -> None:
    losses = torch.rand(64, 3)
    weights = balancer_of(Balancing("dropping"), 3)(losses)
    assert weights.shape == (64, 3)
    assert len({tuple(row) for row in (weights > 0).tolist()}) > 3
    assert balancer_of(Balancing("mlp"), 3)(losses).tolist() == pytest.approx([1 / 3] * 3)


def test_the_mlp_depends_on_the_losses_and_the_attention_does_not() -> None:
    for name, depends in (("mlp", True), ("attention", False)):
        balancer = balancer_of(Balancing(name), 2)
        for parameter in balancer.parameters():
            nn.init.normal_(parameter, generator=torch.Generator().manual_seed(1))
        low, high = balancer(torch.tensor([0.1, 0.1])), balancer(torch.tensor([0.1, 3.0]))
        assert torch.allclose(low, high) != depends


def test_invalid_settings_are_refused() -> None:
    for wrong in ({"name": "mpl"}, {"aim": "both"}, {"floor": 1.5}, {"cap": 0.0}, {"kept": -1.0}, {"entropy": -0.1}):
        with pytest.raises(TrainingError):
            Balancing(**wrong)  # type: ignore[arg-type]
    with pytest.raises(TrainingError, match="2 teachers"):
        balancer_of(Balancing("equal"), 3)(EASY_AND_HARD)
