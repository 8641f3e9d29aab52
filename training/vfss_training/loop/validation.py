# SPDX-License-Identifier: Apache-2.0
"""Validation on held-out styles, and the choice of the step whose weights are kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from vfss.schema import Schema
from vfss.student.config import LOGIT_STRIDE, StudentConfig
from vfss_training.data.samples import Samples
from vfss_training.loop.batches import share, view
from vfss_training.losses.masks import hard_dice


@dataclass(frozen=True)
class HeldOutSamples:
    """Samples to validate on.

    Attributes:
        samples: Samples that are never learnt.
        weight: Weight in the choice of the step that is kept; 0: their Dice is only reported.
    """

    samples: Samples
    weight: float = 0.0


@dataclass(frozen=True)
class Validation:
    """Dice on held-out samples, at the input size that the student is used with.

    Attributes:
        structures: Weighted mean over styles, by structure; None if a structure is known in none of them.
        styles: Mean over structures, by style.
        mean_dice: Weighted mean over styles.
        chooses: True if any style has a weight.
    """

    structures: Mapping[str, float | None]
    styles: Mapping[str, float]
    mean_dice: float
    chooses: bool


Validator = Callable[[nn.Module, Mapping[str, HeldOutSamples], StudentConfig, Fabric, Schema], Validation | None]
"""Validates a network in evaluation mode; see validate()."""


def validate(
    network: nn.Module, parts: Mapping[str, HeldOutSamples], config: StudentConfig, fabric: Fabric, schema: Schema
) -> Validation | None:
    """Validate a network in evaluation mode; return None if nothing is held out or known.

    Args:
        network: The network.
        parts: Samples to validate on, by style.
        config: Config of the network.
        fabric: Device and precision to compute with.
        schema: Structures of the network.
    """
    by_style: dict[str, dict[str, float | None]] = {}
    for name, part in parts.items():
        samples = part.samples
        batches = (view(samples[i], config, config.input_size, LOGIT_STRIDE) for i in range(len(samples)))
        by_style[name] = dice_by_structure(network, batches, fabric, schema)
    means = {name: _mean([(value, 1.0) for value in dice.values()]) for name, dice in by_style.items()}
    styles = {name: mean for name, mean in means.items() if mean is not None}
    if not styles:
        return None
    chooses = any(parts[name].weight > 0 for name in styles)
    weight = {name: parts[name].weight if chooses else 1.0 for name in styles}
    structures = {key: _mean([(by_style[name][key], weight[name]) for name in styles]) for key in schema.keys}
    mean = _mean([(styles[name], weight[name]) for name in styles])
    return Validation(structures, styles, mean if mean is not None else 0.0, chooses)


def _mean(pairs: Iterable[tuple[float | None, float]]) -> float | None:
    """Return the weighted mean of the values that are known; None if there is none."""
    known = [(value, weight) for value, weight in pairs if value is not None and weight > 0]
    total = sum(weight for _, weight in known)
    return round(sum(value * weight for value, weight in known) / total, 4) if total else None


def dice_by_structure(
    network: nn.Module, samples: Iterable[tuple[Tensor, Tensor, Tensor]], fabric: Fabric, schema: Schema
) -> dict[str, float | None]:
    """Return the mean Dice of every structure at the logits' size, over the samples where it is known.

    Samples where a structure is neither present nor predicted do not count; None if none is left.
    """
    total, count = torch.zeros(len(schema)), torch.zeros(len(schema))
    with torch.inference_mode(), fabric.autocast():
        for frame, covered, known in samples:
            logits, _ = network(fabric.to_device(frame[None]))
            logits, target = logits.float().cpu(), share(covered)
            counted = (known == 1.0) & ((logits[0] > 0).any(2).any(1) | (target > 0.5).any(2).any(1))
            total += torch.where(counted, hard_dice(logits, target[None])[0], 0.0)
            count += counted
    pairs = zip(schema.keys, total.tolist(), count.tolist(), strict=True)
    return {key: round(part / n, 4) if n else None for key, part, n in pairs}


@dataclass(frozen=True)
class Choice:
    """The step whose averaged weights are kept.

    Attributes:
        step: The step.
        mean_dice: Weighted mean Dice of the held-out styles at that step.
        styles: Mean Dice by style.
        validations: Number of steps that were compared.
        why: Reason, as text.
    """

    # The names of these fields are keys in the saved state of a run and in a student's provenance.

    step: int
    mean_dice: float | None = None
    styles: Mapping[str, float] | None = None
    validations: int = 0
    why: str = "the last step, as no held-out style has a weight"

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for provenance."""
        return asdict(self)


class Best:
    """The averaged weights of the best step so far.

    Attributes:
        choice: That step; None before the first validation that chooses.
    """

    def __init__(self) -> None:
        """Start without any weights."""
        self.choice: Choice | None = None
        self._weights: dict[str, Tensor] = {}

    def offer(self, step: int, validation: Validation, network: nn.Module) -> bool:
        """Keep the network's weights if they are better than all before; return whether they are."""
        if not validation.chooses:
            return False
        compared = 1 if self.choice is None else self.choice.validations + 1
        best = None if self.choice is None else self.choice.mean_dice
        if self.choice is not None and best is not None and validation.mean_dice <= best:
            self.choice = replace(self.choice, validations=compared)
            return False
        why = "the best mean Dice over the held-out styles by their weights"
        self.choice = Choice(step, validation.mean_dice, dict(validation.styles), compared, why)
        self._weights = {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}
        return True

    def load_into(self, network: nn.Module) -> bool:
        """Load those weights into the network; return False if there are none."""
        if self.choice is None:
            return False
        network.load_state_dict(self._weights)
        return True

    def state(self) -> dict[str, Any]:
        """Return tensors and JSON, for a state that is loaded without executing anything."""
        return {"choice": json.dumps(None if self.choice is None else self.choice.to_dict()), "weights": self._weights}

    def load(self, state: Mapping[str, Any]) -> None:
        """Restore what state() returned."""
        choice = json.loads(state["choice"])
        self.choice = None if choice is None else Choice(**choice)
        self._weights = dict(state["weights"])
