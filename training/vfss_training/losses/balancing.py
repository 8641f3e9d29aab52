# SPDX-License-Identifier: Apache-2.0
"""Balancing: how much each teacher's loss counts, behind one interface.

The student's loss is a weighted sum of the teachers' losses. Lowering that sum by way of the weights gives all of it to
the teacher that is easiest to fit (seen in AM-RADIO, arXiv 2312.06709), and the student stops learning from the others.
So losses enter a gate detached, weights enter the student's loss detached, a gate has a loss of its own, and no weight
falls below a floor.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
import torch
from pydantic import field_validator
from torch import Tensor, nn

from vfss.errors import TrainingError
from vfss_training.recipe_part import AtLeastOne, NotNegative, Share, ShareAboveZero, recipe_part

Aim = Literal["easiest", "hardest"]
_FAR = -1e9
_LARGEST, _SMALLEST = 1e3, 1e-3
"""Bounds of a loss where a gate reads it: standardised features give about 1, and one bad batch must not throw it."""


@recipe_part
class Balancing:
    """How teachers are balanced; a part of a recipe.

    Attributes:
        name: One of BALANCERS.
        floor: Share of the weight that is dealt out evenly: with T teachers none falls below floor / T.
        cap: Most that one teacher may weigh, 0..1; 1: no bound. Never less than an even share.
        aim: Of the gates "mlp" and "attention". "easiest": they lower the weighted sum, as the paper has it, which
            pulls every weight but one down to the floor. "hardest": they raise it, against the student: the teacher
            that is fitted worst gets the most.
        entropy: Reward of even weights in the gate's loss, in units of a loss: larger is more even. With 0 either aim
            ends with all but the floors on one teacher.
        kept: Chance of a teacher that is not the worst-fitted to be kept on a frame, for "dropping".
        width: Hidden units of "mlp", and the width of query and keys of "attention".
        seed: Of what gates begin with, and of what is dropped.
    """

    name: str = "dropping"
    floor: Share = 0.1
    cap: ShareAboveZero = 1.0
    aim: Aim = "easiest"
    entropy: NotNegative = 0.0
    kept: Share = 0.5
    width: AtLeastOne = 16
    seed: int = 0

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in BALANCERS:
            raise ValueError(f"{name!r} is none of: {', '.join(BALANCERS)}")
        return name


class Balanced(NamedTuple):
    """The losses of a batch, balanced.

    Attributes:
        loss: Scalar for the student; its gradient knows the weights as constants.
        gate: Scalar for the balancer's own parameters, 0 where it has none. It has no gradient in the student; add it
            as it is, whatever the student's loss is multiplied by.
        weights: float32 (T,), each teacher's mean weight on this batch, for the log; 0: it had nothing to say.
    """

    loss: Tensor
    gate: Tensor
    weights: Tensor


class Balancer(nn.Module):
    """Weights of T teachers by their losses.

    Attributes:
        last: float32 (T,), mean weights of the last call, for the log.
    """

    def __init__(self, teachers: int, settings: Balancing) -> None:
        """Begin with even weights."""
        super().__init__()
        self.teachers, self.settings = teachers, settings
        self.last = torch.full((teachers,), 1.0 / teachers)

    def forward(self, losses: Tensor, known: Tensor | None = None) -> Tensor:
        """Weights, float32 (T,), or (N, T) where they differ by frame; those of each row add up to 1.

        They have a gradient in the balancer's own parameters, and none in the losses.

        Args:
            losses: float (T,), or (N, T) of each frame.
            known: bool, of the same shape, where the teacher said something; None: everywhere. Elsewhere the weight is
                0 and the loss may be anything; where nobody did, all weights are 0.
        """
        if losses.shape[-1] != self.teachers:
            raise TrainingError(f"losses of {losses.shape[-1]} teachers for a balancer of {self.teachers}")
        rows, known = _rows(losses.detach(), known)
        weights = self._weigh(rows, known)
        by_frame = weights.dim() == 2
        self.last = _mean(weights.detach(), known.any(1)) if by_frame else weights.detach()
        return weights.reshape(losses.shape) if by_frame else weights

    def _weigh(self, losses: Tensor, known: Tensor) -> Tensor:
        """Weights, float32 (T,) or (N, T), of losses, float32 (N, T), 0 where not known."""
        raise NotImplementedError

    def gate_loss(self, losses: Tensor, weights: Tensor) -> Tensor:
        """What the balancer's own parameters are trained by, a scalar; 0 where there are none.

        Args:
            losses: float32 (T,), detached, mean over the frames.
            weights: float32 (T,), with gradient; 0 where a teacher had nothing to say.
        """
        return losses.new_zeros(())


class Equal(Balancer):
    """One over the number of teachers: what everything else is to be compared with."""

    def _weigh(self, losses: Tensor, known: Tensor) -> Tensor:
        return _even(known.any(0))


class _Gate(Balancer):
    """Weights that are a softmax, with floor and cap, learnt for or against the weighted sum."""

    def _logits(self, losses: Tensor) -> Tensor:
        """Logits, float32 (T,), of mean losses, float32 (T,)."""
        raise NotImplementedError

    def _weigh(self, losses: Tensor, known: Tensor) -> Tensor:
        read = _mean(losses, known).clamp(max=_LARGEST)
        return _bounded(self._logits(read), known.any(0), self.settings)

    def gate_loss(self, losses: Tensor, weights: Tensor) -> Tensor:
        """The weighted sum, or its negative, less the reward of even weights."""
        weighted = (weights * losses.clamp(max=_LARGEST)).sum()
        entropy = -torch.xlogy(weights, weights.clamp(min=1e-12)).sum()
        return (weighted if self.settings.aim == "easiest" else -weighted) - self.settings.entropy * entropy


class MlpGate(_Gate):
    """The paper's MLP (arXiv 2504.02351): softmax(W2 s(W1 L + b1) + b2), L the losses, W2 with one row per teacher.

    As printed W2 has one row, whose softmax would be 1. The paper does not say what s is; tanh keeps logits bounded.
    """

    def __init__(self, teachers: int, settings: Balancing) -> None:
        """Begin with even weights, whatever the losses."""
        super().__init__(teachers, settings)
        self.hidden = nn.Linear(teachers, settings.width)
        self.out = nn.Linear(settings.width, teachers)
        random = torch.Generator().manual_seed(settings.seed)
        nn.init.normal_(self.hidden.weight, std=teachers**-0.5, generator=random)
        for tensor in (self.hidden.bias, self.out.weight, self.out.bias):
            nn.init.zeros_(tensor)

    def _logits(self, losses: Tensor) -> Tensor:
        logits: Tensor = self.out(self.hidden(losses).tanh())
        return logits


class AttentionGate(_Gate):
    """The paper's attention: softmax of q k_i / sqrt(d), a learnt query and a learnt key per teacher.

    As printed nothing of a batch enters it: it is T learnt numbers.
    """

    def __init__(self, teachers: int, settings: Balancing) -> None:
        """Begin with even weights: keys are 0."""
        super().__init__(teachers, settings)
        random = torch.Generator().manual_seed(settings.seed)
        self.query = nn.Parameter(torch.randn(settings.width, generator=random))
        self.keys = nn.Parameter(torch.zeros(teachers, settings.width))

    def _logits(self, losses: Tensor) -> Tensor:
        return self.keys @ self.query / math.sqrt(self.settings.width)


class Uncertainty(Balancer):
    """A learnt variance per teacher (Kendall, Gal, Cipolla, CVPR 2018): weights fall as the loss that is left grows.

    The variances are trained by exp(-s) loss + s, whose minimum is s = log loss: every teacher pulls alike. The weights
    are exp(-s) over their sum, so that the student's loss has the scale that other balancers give it.
    """

    def __init__(self, teachers: int, settings: Balancing) -> None:
        """Begin with a variance of 1 for each."""
        super().__init__(teachers, settings)
        self.log_variance = nn.Parameter(torch.zeros(teachers))

    def _weigh(self, losses: Tensor, known: Tensor) -> Tensor:
        return _bounded(-self.log_variance, known.any(0), self.settings)

    def gate_loss(self, losses: Tensor, weights: Tensor) -> Tensor:
        """Kendall's sum over the teachers that said something, twice as large as printed."""
        present = (weights.detach() > 0).to(losses.dtype)
        read = losses.clamp(_SMALLEST, _LARGEST)
        return ((torch.exp(-self.log_variance) * read + self.log_variance) * present).sum()


class Dropping(Balancer):
    """Teacher dropping (UNIC, arXiv 2408.05088): on each frame the worst-fitted stays, and each other by chance.

    What stays weighs alike, and each frame counts alike (the authors' code divides by the number that stay in the whole
    batch). Nothing is learnt; floor and cap do not apply. What is dropped follows from the seed and the number of the
    call, which is kept with the weights, so that a run that is taken up again goes on alike. In evaluation all stay.
    """

    calls: Tensor

    def __init__(self, teachers: int, settings: Balancing) -> None:
        """Begin with call 0."""
        super().__init__(teachers, settings)
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def _weigh(self, losses: Tensor, known: Tensor) -> Tensor:
        if not self.training:
            return _even(known)
        random = np.random.default_rng((self.settings.seed, int(self.calls)))
        self.calls += 1
        kept = torch.from_numpy(random.random(tuple(losses.shape)) < self.settings.kept).to(losses.device)
        worst = losses.masked_fill(~known, -torch.inf).argmax(1, keepdim=True)
        return _even(kept.scatter(1, worst, True) & known)


BALANCERS: dict[str, type[Balancer]] = {
    "equal": Equal,
    "mlp": MlpGate,
    "attention": AttentionGate,
    "uncertainty": Uncertainty,
    "dropping": Dropping,
}
"""Ways to balance teachers, by name."""


def balancer_of(settings: Balancing, teachers: int) -> Balancer:
    """A new balancer."""
    return BALANCERS[settings.name](teachers, settings)


def balance(balancer: Balancer, losses: Tensor, known: Tensor | None = None) -> Balanced:
    """Weigh the losses of a batch.

    Args:
        balancer: What weighs them.
        losses: float (T,), or (N, T) of each frame, with the student's gradient.
        known: bool, of the same shape, where a teacher said something; None: everywhere.
    """
    weights = balancer(losses, known)
    rows, known = _rows(losses, known)
    mean = _mean(rows, known)
    if weights.dim() == 2:
        loss = _mean((weights.detach() * rows).sum(1), known.any(1))
    else:
        loss = (weights.detach() * mean).sum()
    return Balanced(loss, balancer.gate_loss(mean.detach(), weights), balancer.last)


def _rows(losses: Tensor, known: Tensor | None) -> tuple[Tensor, Tensor]:
    """Losses, float32 (N, T), 0 where not known, and where they are, bool (N, T)."""
    counted = torch.ones_like(losses, dtype=torch.bool) if known is None else known
    counted = counted.reshape(-1, losses.shape[-1])
    return torch.where(counted, losses.float().reshape(counted.shape), 0.0), counted


def _mean(values: Tensor, counted: Tensor) -> Tensor:
    """Mean along the first axis of what counts, bool (N,) or of the values' shape; 0 where nothing does."""
    weight = counted.to(values.dtype).reshape(*counted.shape, *(1,) * (values.dim() - counted.dim()))
    return (values * weight).sum(0) / weight.sum(0).clamp(min=1.0)


def _even(present: Tensor) -> Tensor:
    """One over the number of those present, float32 (..., T), 0 for the others."""
    share = present.float()
    return share / share.sum(-1, keepdim=True).clamp(min=1.0)


def _bounded(logits: Tensor, present: Tensor, settings: Balancing) -> Tensor:
    """Softmax over those present, float32 (T,), of which none falls below the floor or rises above the cap."""
    even = _even(present)
    weights = logits.masked_fill(~present, _FAR).softmax(0) * present
    weights = weights + settings.floor * (even - weights)
    if settings.cap < 1.0:
        highest, least = weights.max(), even.max()
        over = (highest - least.clamp(min=settings.cap)) / (highest - least).clamp(min=1e-6)
        weights = weights + over.clamp(0.0, 1.0) * (even - weights)
    return weights
