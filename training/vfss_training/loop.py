# SPDX-License-Identifier: Apache-2.0
"""The loop: steps, a moving average of the weights, validation, and a state to take a broken run up from."""

from __future__ import annotations

import io
import json
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning.fabric import Fabric
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from vfss.errors import TrainingError
from vfss.schema import Schema
from vfss.student.checkpoint import write_whole
from vfss.student.config import StudentConfig
from vfss.student.network import StudentNetwork
from vfss_training.data import Samples
from vfss_training.events import Cancel, Events
from vfss_training.losses import MaskLoss, hard_dice
from vfss_training.recipe import Recipe
from vfss_training.start import freeze
from vfss_training.views import Batch, Order, Views, view

_BETWEEN_STEPS_S = 1.0
_FINAL_RATE = 0.01


@dataclass(frozen=True)
class Task:
    """What is to be learnt, and where the run lives.

    Attributes:
        network: Starting weights; trained in place.
        config: Its config.
        schema: Its schema.
        recipe: How.
        sources: What is learnt, and optionally what is replayed.
        validation: What to validate on; may be empty.
        source: Where the samples come from, for the run's history.
        run: Folder for the state of the run; None: it cannot be taken up again.
        change: A run in that folder may go on under another recipe, which its history then says.
        minutes: Time after which the schedule ends early; None: all steps are done.
        workers: Processes that make batches.
        validate_s: Seconds between validations, and between saved states.
    """

    network: StudentNetwork
    config: StudentConfig
    schema: Schema
    recipe: Recipe
    sources: tuple[Samples, ...]
    validation: Samples
    source: Mapping[str, object] = field(default_factory=dict)
    run: Path | None = None
    change: bool = False
    minutes: float | None = None
    workers: int = 1
    validate_s: float = 240.0


class Loop:
    """One training run.

    Attributes:
        history: Under which recipe and from which source it went on from which step.
    """

    def __init__(self, task: Task, events: Events, cancel: Cancel) -> None:
        """Set up device, precision, optimiser and average.

        Raises:
            TrainingError: There is nothing to learn from, or the run's folder holds another run.
        """
        if len(task.sources[0]) == 0:
            raise TrainingError("nothing to learn from", remedy="Accept frames of a training patient first.")
        self._task, self._events, self._cancel = task, events, cancel
        recipe = task.recipe
        self._fixed = freeze(task.network, recipe)
        trained = [weight for weight in task.network.parameters() if weight.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
        self._fabric = Fabric(accelerator="auto", devices=1, precision=_precision())
        network = task.network.to(memory_format=torch.channels_last)
        self._model, self._optimizer = self._fabric.setup(network, optimizer)
        self._average = AveragedModel(network, avg_fn=_averaging(recipe.average), use_buffers=True)
        self._loss = MaskLoss()
        self._step, self._seconds = 0, 0.0
        self.history: list[dict[str, Any]] = []
        self._resume()
        self._remember()

    def run(self) -> StudentNetwork:
        """Train to the end of the schedule; returns the network with the averaged weights, in evaluation mode.

        Raises:
            TrainingCancelledError: Someone asked to stop; the state is kept where there is a folder for it.
        """
        recipe = self._task.recipe
        views = Views(self._task.sources, recipe, self._task.config)
        order = Order(recipe, tuple(len(source) for source in self._task.sources))
        loader = views.loader(order, self._step, self._task.workers)
        told = validated = began = time.monotonic()
        for parts in loader:
            if self._done():
                break
            loss = self._learn(Batch(*parts))
            self._step += 1
            now = time.monotonic()
            self._seconds += now - began
            began = now
            if self._step <= 2 or now - told > _BETWEEN_STEPS_S or self._step == recipe.steps:
                told = now
                self._tell(loss)
            if now - validated > self._task.validate_s:
                self._validate()
                self._keep()
                validated = time.monotonic()
            if self._cancel.asked:
                self._keep()
                self._cancel.check()
        self._validate()
        self._keep()
        self._task.network.load_state_dict(self._average.module.state_dict())
        return self._task.network.eval()

    def _progress(self) -> float:
        """Share of the schedule that is done, by steps or by time, whichever is further."""
        by_steps = self._step / self._task.recipe.steps
        minutes = self._task.minutes
        return by_steps if minutes is None else max(by_steps, self._seconds / (60.0 * minutes))

    def _done(self) -> bool:
        return self._progress() >= 1.0

    def _learn(self, batch: Batch) -> float:
        """One optimiser step; returns the loss."""
        rate = self._task.recipe.learning_rate * schedule(self._progress(), self._task.recipe.warm_up)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._model.train()
        for module in self._fixed:
            module.eval()
        frames, target, known = (self._fabric.to_device(part) for part in batch)
        logits, quality = self._model(frames.to(memory_format=torch.channels_last))
        loss: Tensor = self._loss(logits.float(), quality.float(), target, known)
        self._fabric.backward(loss)
        self._fabric.clip_gradients(self._model, self._optimizer, max_norm=self._task.recipe.clip_norm)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._average.update_parameters(self._task.network)
        return float(loss.detach())

    def _tell(self, loss: float) -> None:
        per_step = self._seconds / max(self._step, 1)
        left = (self._task.recipe.steps - self._step) * per_step
        if self._task.minutes is not None:
            left = min(left, max(0.0, 60.0 * self._task.minutes - self._seconds))
        if self._step == 1:
            self._events.tell("start", total_steps=self._task.recipe.steps, estimate_s=round(left, 1))
        self._events.tell("step", step=self._step, loss=round(loss, 5), remaining_s=round(left, 1))

    def _validate(self) -> None:
        samples = self._task.validation
        if len(samples) == 0:
            return
        size = self._task.recipe.size_at(self._step - 1)
        network = self._average.module.eval()
        batches = (view(samples[i], self._task.config, size, 4) for i in range(len(samples)))
        scores = dice_by_structure(network, batches, self._fabric, self._task.schema)
        known = [score for score in scores.values() if score is not None]
        if not known:
            return
        mean = round(sum(known) / len(known), 4)
        self._events.tell("validation", step=self._step, size=size, mean_dice=mean, structures=scores)

    def _state_path(self) -> Path | None:
        return None if self._task.run is None else self._task.run / "state.pt"

    def _keep(self) -> None:
        """Write all that a later process needs to go on as if nothing had happened."""
        path = self._state_path()
        if path is None:
            return
        buffer = io.BytesIO()
        state: dict[str, Any] = {
            "history": json.dumps(self.history),
            "step": self._step,
            "seconds": self._seconds,
            "network": self._task.network.state_dict(),
            "average": self._average.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }
        torch.save(state, buffer)
        write_whole(path, buffer.getvalue())

    def _resume(self) -> None:
        path = self._state_path()
        if path is None or not path.is_file():
            return
        state = torch.load(path, map_location="cpu", weights_only=True)
        self.history = json.loads(state["history"])
        if not self._task.change and self.history[-1]["recipe"] != self._plain_recipe():
            raise TrainingError(
                "the folder holds a run of another recipe",
                path=path,
                remedy="Choose another --run, or --change-recipe.",
            )
        self._task.network.load_state_dict(state["network"])
        self._average.load_state_dict(state["average"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._step, self._seconds = int(state["step"]), float(state["seconds"])
        self._events.tell("resume", step=self._step)

    def _remember(self) -> None:
        """Note what this process goes on with, where that is new."""
        now = {"recipe": self._plain_recipe(), "source": dict(self._task.source)}
        if not self.history or {name: self.history[-1][name] for name in now} != now:
            self.history.append({"from_step": self._step, **now})

    def _plain_recipe(self) -> dict[str, Any]:
        """The recipe as it looks after a turn through JSON, where tuples become lists."""
        plain: dict[str, Any] = json.loads(json.dumps(self._task.recipe.to_dict()))
        return plain


def schedule(progress: float, warm_up: float) -> float:
    """Share of the peak rate: a line up, then a cosine down to a hundredth."""
    if progress < warm_up:
        return max(progress / warm_up, _FINAL_RATE)
    along = (progress - warm_up) / max(1.0 - warm_up, 1e-9)
    return _FINAL_RATE + (1.0 - _FINAL_RATE) * 0.5 * (1.0 + math.cos(math.pi * min(along, 1.0)))


def dice_by_structure(
    network: nn.Module, samples: Iterable[tuple[Tensor, Tensor, Tensor]], fabric: Fabric, schema: Schema
) -> dict[str, float | None]:
    """Mean Dice of every structure at the logits' size; None where it is nowhere known and present or claimed."""
    total, count = torch.zeros(len(schema)), torch.zeros(len(schema))
    with torch.inference_mode(), fabric.autocast():
        for frame, target, known in samples:
            logits, _ = network(fabric.to_device(frame[None]))
            logits = logits.float().cpu()
            counted = (known == 1.0) & ((logits[0] > 0).any(2).any(1) | (target > 0.5).any(2).any(1))
            total += torch.where(counted, hard_dice(logits, target[None])[0], 0.0)
            count += counted
    pairs = zip(schema.keys, total.tolist(), count.tolist(), strict=True)
    return {key: round(part / n, 4) if n else None for key, part, n in pairs}


def _averaging(decay: float) -> Callable[[Tensor, Tensor, Tensor | int], Tensor]:
    """Moving average that forgets its random beginning quickly; counters are copied."""

    def average(mean: Tensor, new: Tensor, n: Tensor | int) -> Tensor:
        if not mean.is_floating_point():
            return new
        kept = min(decay, (1.0 + float(n)) / (10.0 + float(n)))
        return mean.lerp(new, 1.0 - kept)

    return average


def _precision() -> Any:
    """bf16 on a GPU, and on a CPU that multiplies it; else f32."""
    if torch.cuda.is_available():
        return "bf16-mixed"
    capable = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)()
    return "bf16-mixed" if capable else "32-true"
