# SPDX-License-Identifier: Apache-2.0
"""Balancing: how much each teacher's loss counts.

The student's loss is a weighted sum of the teachers' losses. Lowering that sum by changing the weights gives all weight
to the teacher that is easiest to fit (seen in AM-RADIO, arXiv 2312.06709), and the student stops learning from the
others. Therefore losses enter a gate detached, weights enter the student's loss detached, a gate has a loss of its own,
and no weight falls below a floor.
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
"""Bounds of a loss in a gate's input: standardised features give about 1, and one bad batch must not upset the gate."""


@recipe_part
class Balancing:
    """How teachers are balanced; a part of a recipe.

    Attributes:
        name: One of BALANCERS.
        floor: Share of the weight that is distributed evenly: with T teachers none falls below floor / T.
        cap: Largest weight of one teacher, 0..1; 1: no bound. Never less than an even share.
        aim: Aim of the gates "mlp" and "attention". "easiest": they lower the weighted sum, as in the paper, which
            pulls every weight but one down to the floor. "hardest": they raise it, against the student: the teacher
            that is fitted worst gets the most weight.
        entropy: Reward for even weights in the gate's loss, in units of a loss: larger is more even. With 0, both aims
            end with all weight but the floors on one teacher.
        kept: Probability that a teacher other than the worst-fitted one is kept on a frame, for "dropping".
        width: Hidden units of "mlp", and the width of query and keys of "attention".
        seed: Seed of the gates' first weights, and of the teachers that are dropped.
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
    """Balanced losses of a batch.

    Attributes:
        loss: Loss of the student, a scalar; the weights are constants in its gradient.
        gate: Loss of the balancer's own parameters, a scalar, 0 if it has none. It has no gradient in the student; add
            it as it is, whatever the student's loss is multiplied by.
        weights: float32 (T,), each teacher's mean weight on this batch, for the log; 0: it had no targets.
    """

    loss: Tensor
    gate: Tensor
    weights: Tensor


class Balancer(nn.Module):
    """Computes weights of T teachers from their losses.

    Attributes:
        last: float32 (T,), mean weights of the last call, for the log.
    """

    def __init__(self, teachers: int, settings: Balancing) -> None:
        """Start with even weights."""
        super().__init__()
        self.teachers, self.settings = teachers, settings
        self.last = torch.full((teachers,), 1.0 / teachers)

    def forward(self, losses: Tensor, known: Tensor | None = None) -> Tensor:
        """Return weights, float32 (T,), or (N, T) if they differ by frame; those of each row add up to 1.

        They have a gradient in the balancer's own parameters, and none in the losses.

        Args:
            losses: float (T,), or (N, T) of each frame.
            known: bool, of the same shape, where the teacher has targets; None: everywhere. Elsewhere the weight is 0
                and the loss may be anything; if no teacher has targets, all weights are 0.
        """
        if losses.shape[-1] != self.teachers:
            raise TrainingError(f"losses of {losses.shape[-1]} teachers for a balancer of {self.teachers}")
        rows, known = _rows(losses.detach(), known)
        weights = self._weigh(rows, known)
        by_frame = weights.dim() == 2
        self.last = _mean(weights.detach(), known.any(1)) if by_frame else weights.detach()
        return weights.reshape(losses.shape) if by_frame else weights

    def _weigh(self, losses: Tensor, known: Tensor) -> Tensor:
        """Return weights, float32 (T,) or (N, T), of losses, float32 (N, T), 0 where not known."""
        raise NotImplementedError

    def gate_loss(self, losses: Tensor, weights: Tensor) -> Tensor:
        """Return the loss of the balancer's own parameters, a scalar; 0 if there are none.

        Args:
            losses: float32 (T,), detached, mean over the frames.
            weights: float32 (T,), with gradient; 0 for a teacher without targets.
        """
        return losses.new_zeros(())


class Equal(Balancer):
    """One over the number of teachers: the baseline for all other balancers."""

    def _weigh(self, losses: Tensor, known: Tensor) -> Tensor:
        return _even(known.any(0))


class _Gate(Balancer):
    """Weights from a softmax, with floor and cap, trained to lower or to raise the weighted sum."""

    def _logits(self, losses: Tensor) -> Tensor:
        """Return logits, float32 (T,), of mean losses, float32 (T,)."""
        raise NotImplementedError

    def _weigh(self, losses: Tensor, known: Tensor) -> Tensor:
        mean = _mean(losses, known).clamp(max=_LARGEST)
        return _bounded(self._logits(mean), known.any(0), self.settings)

    def gate_loss(self, losses: Tensor, weights: Tensor) -> Tensor:
        """Return the weighted sum, or its negative, less the reward for even weights."""
        weighted = (weights * losses.clamp(max=_LARGEST)).sum()
        entropy = -torch.xlogy(weights, weights.clamp(min=1e-12)).sum()
        return (weighted if self.settings.aim == "easiest" else -weighted) - self.settings.entropy * entropy


class MlpGate(_Gate):
    """The paper's MLP (arXiv 2504.02351): softmax(W2 s(W1 L + b1) + b2), L the losses, W2 with one row per teacher.

    As printed, W2 has a single row, whose softmax would be 1. The paper does not define s; tanh keeps logits bounded.
    """

    def __init__(self, teachers: int, settings: Balancing) -> None:
        """Start with even weights, whatever the losses."""
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

    As printed, it does not depend on the batch: it amounts to T learnt numbers.
    """

    def __init__(self, teachers: int, settings: Balancing) -> None:
        """Start with even weights: keys are 0."""
        super().__init__(teachers, settings)
        random = torch.Generator().manual_seed(settings.seed)
        self.query = nn.Parameter(torch.randn(settings.width, generator=random))
        self.keys = nn.Parameter(torch.zeros(teachers, settings.width))

    def _logits(self, losses: Tensor) -> Tensor:
        return self.keys @ self.query / math.sqrt(self.settings.width)


class Uncertainty(Balancer):
    """A learnt variance per teacher (Kendall, Gal, Cipolla, CVPR 2018): the larger a loss stays, the less it weighs.

    The variances are trained by exp(-s) loss + s, whose minimum is s = log loss: all teachers pull with equal strength.
    The weights are exp(-s) over their sum, so that the student's loss has the same scale as with other balancers.
    """

    def __init__(self, teachers: int, settings: Balancing) -> None:
        """Start with a variance of 1 for each teacher."""
        super().__init__(teachers, settings)
        self.log_variance = nn.Parameter(torch.zeros(teachers))

    def _weigh(self, losses: Tensor, known: Tensor) -> Tensor:
        return _bounded(-self.log_variance, known.any(0), self.settings)

    def gate_loss(self, losses: Tensor, weights: Tensor) -> Tensor:
        """Return Kendall's sum over the teachers that have targets, twice as large as printed."""
        present = (weights.detach() > 0).to(losses.dtype)
        bounded = losses.clamp(_SMALLEST, _LARGEST)
        return ((torch.exp(-self.log_variance) * bounded + self.log_variance) * present).sum()


class Dropping(Balancer):
    """Teacher dropping (UNIC, arXiv 2408.05088): on each frame the worst-fitted teacher stays, others by chance.

    Those that stay weigh alike, and each frame counts alike (the authors' code divides by the number that stay in the
    whole batch). Nothing is learnt; floor and cap do not apply. What is dropped follows from the seed and the number of
    the call, which is saved with the weights, so that a resumed run continues in the same way. In evaluation all stay.
    """

    calls: Tensor

    def __init__(self, teachers: int, settings: Balancing) -> None:
        """Start with call 0."""
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
"""Balancers by name."""


def balancer_of(settings: Balancing, teachers: int) -> Balancer:
    """Create the balancer of a recipe's settings."""
    return BALANCERS[settings.name](teachers, settings)


def balance(balancer: Balancer, losses: Tensor, known: Tensor | None = None) -> Balanced:
    """Weigh the losses of a batch.

    Args:
        balancer: The balancer.
        losses: float (T,), or (N, T) of each frame, with the student's gradient.
        known: bool, of the same shape, where a teacher has targets; None: everywhere.
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
    """Return losses, float32 (N, T), 0 where not known, and where they are known, bool (N, T)."""
    counted = torch.ones_like(losses, dtype=torch.bool) if known is None else known
    counted = counted.reshape(-1, losses.shape[-1])
    return torch.where(counted, losses.float().reshape(counted.shape), 0.0), counted


def _mean(values: Tensor, counted: Tensor) -> Tensor:
    """Return the mean along the first axis of the values that count, bool (N,) or of their shape; 0 if none does."""
    weight = counted.to(values.dtype).reshape(*counted.shape, *(1,) * (values.dim() - counted.dim()))
    return (values * weight).sum(0) / weight.sum(0).clamp(min=1.0)


def _even(present: Tensor) -> Tensor:
    """Return one over the number of teachers present, float32 (..., T), 0 for the others."""
    share = present.float()
    return share / share.sum(-1, keepdim=True).clamp(min=1.0)


def _bounded(logits: Tensor, present: Tensor, settings: Balancing) -> Tensor:
    """Return a softmax over the teachers present, float32 (T,), kept above the floor and below the cap."""
    even = _even(present)
    weights = logits.masked_fill(~present, _FAR).softmax(0) * present
    weights = weights + settings.floor * (even - weights)
    if settings.cap < 1.0:
        highest, least = weights.max(), even.max()
        over = (highest - least.clamp(min=settings.cap)) / (highest - least).clamp(min=1e-6)
        weights = weights + over.clamp(0.0, 1.0) * (even - weights)
    return weights
