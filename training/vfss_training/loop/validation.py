# SPDX-License-Identifier: Apache-2.0
"""Validation by held-out styles, and the choice of the step whose weights are kept."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from vfss.schema import Schema
from vfss.student.config import StudentConfig
from vfss_training.data.samples import Samples
from vfss_training.loop.batches import share, view
from vfss_training.losses.masks import hard_dice

_STRIDE = 4


@dataclass(frozen=True)
class HeldOutSamples:
    """Samples to validate on.

    Attributes:
        samples: Never learnt.
        weight: What they count for in the choice of the step that is kept; 0: they are only told.
    """

    samples: Samples
    weight: float = 0.0


@dataclass(frozen=True)
class Validation:
    """Dice on held-out samples, at the size the student is used at.

    Attributes:
        structures: Mean over styles by their weight, by structure; None where it is nowhere known.
        styles: Mean over structures, by style.
        mean_dice: Mean over styles by their weight.
        chooses: Whether any style has a weight.
    """

    structures: Mapping[str, float | None]
    styles: Mapping[str, float]
    mean_dice: float
    chooses: bool


def validate(
    network: nn.Module, parts: Mapping[str, HeldOutSamples], config: StudentConfig, fabric: Fabric, schema: Schema
) -> Validation | None:
    """Validation of a network in evaluation mode; None where nothing is held out or known."""
    by_style: dict[str, dict[str, float | None]] = {}
    for name, part in parts.items():
        samples = part.samples
        batches = (view(samples[i], config, config.input_size, _STRIDE) for i in range(len(samples)))
        by_style[name] = dice_by_structure(network, batches, fabric, schema)
    means = {name: _mean([(dice, 1.0) for dice in found.values()]) for name, found in by_style.items()}
    styles = {name: mean for name, mean in means.items() if mean is not None}
    if not styles:
        return None
    chooses = any(parts[name].weight > 0 for name in styles)
    weight = {name: parts[name].weight if chooses else 1.0 for name in styles}
    structures = {key: _mean([(by_style[name][key], weight[name]) for name in styles]) for key in schema.keys}
    mean = _mean([(styles[name], weight[name]) for name in styles])
    return Validation(structures, styles, mean if mean is not None else 0.0, chooses)


def _mean(pairs: Iterable[tuple[float | None, float]]) -> float | None:
    """Mean of the values that are known, by their weights."""
    known = [(value, weight) for value, weight in pairs if value is not None and weight > 0]
    total = sum(weight for _, weight in known)
    return round(sum(value * weight for value, weight in known) / total, 4) if total else None


def dice_by_structure(
    network: nn.Module, samples: Iterable[tuple[Tensor, Tensor, Tensor]], fabric: Fabric, schema: Schema
) -> dict[str, float | None]:
    """Mean Dice of every structure at the logits' size; None where it is nowhere known and present or claimed."""
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
    """Which step's averaged weights are kept.

    Attributes:
        step: The step.
        mean_dice: Of the held-out styles by their weight, at that step.
        styles: By style.
        validations: How many steps were compared.
        why: In words.
    """

    step: int
    mean_dice: float | None = None
    styles: Mapping[str, float] | None = None
    validations: int = 0
    why: str = "the last step, as no held-out style has a weight"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for provenance."""
        return asdict(self)


class Best:
    """The averaged weights of the best step so far.

    Attributes:
        choice: That step; None before the first validation that chooses.
    """

    def __init__(self) -> None:
        """Nothing has been seen."""
        self.choice: Choice | None = None
        self._weights: dict[str, Tensor] = {}

    def offer(self, step: int, found: Validation, network: nn.Module) -> bool:
        """Keep the network's weights where they are better than any before; returns whether they are."""
        if not found.chooses:
            return False
        seen = 1 if self.choice is None else self.choice.validations + 1
        if self.choice is not None and self.choice.mean_dice is not None and found.mean_dice <= self.choice.mean_dice:
            self.choice = replace(self.choice, validations=seen)
            return False
        why = "the best mean Dice over the held-out styles by their weights"
        self.choice = Choice(step, found.mean_dice, dict(found.styles), seen, why)
        self._weights = {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}
        return True

    def put_into(self, network: nn.Module) -> bool:
        """Give the network those weights, where there are any."""
        if self.choice is None:
            return False
        network.load_state_dict(self._weights)
        return True

    def state(self) -> dict[str, Any]:
        """Tensors and JSON, for a state that is read without executing anything."""
        return {"choice": json.dumps(None if self.choice is None else self.choice.to_dict()), "weights": self._weights}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from state()."""
        told = json.loads(state["choice"])
        self.choice = None if told is None else Choice(**told)
        self._weights = dict(state["weights"])
