# SPDX-License-Identifier: Apache-2.0
"""The loop: steps, a moving average of weights, the best of them by what is held out, a state to take a run up from."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from vfss.errors import TrainingError
from vfss.student.checkpoint import write_whole
from vfss.student.network.student import StudentNetwork
from vfss_training.events import Cancel, Events, cancelled
from vfss_training.loop.batches import Batch, Draw, Order, Views, share
from vfss_training.loop.distributed import all_reduce_max, all_reduce_sum, launched, mean_gradients, shared_norms
from vfss_training.loop.feature_targets import DistillationObjective, DistilledStudent
from vfss_training.loop.schedule import averaging, rounded, schedule
from vfss_training.loop.task import Task
from vfss_training.loop.validation import Best, Choice, validate
from vfss_training.losses.balancing import balancer_of
from vfss_training.losses.masks import MaskLoss
from vfss_training.model.fast_depthwise import fast_depthwise
from vfss_training.model.initialise import freeze

_BETWEEN_STEPS_S = 1.0


class Loop:
    """One training run.

    Attributes:
        history: Under which recipe and from which source it went on from which step.
        choice: Which step's weights run() gave; the last one before.
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
        channels = {targets.teacher: targets.provider.channels for targets in task.feature_targets}
        how = recipe.distill
        self._taught = DistilledStudent(task.network, task.config.width, channels, how.projector)
        self._taught.to(memory_format=torch.channels_last)
        # Not a part of what Fabric wraps, as it is asked after the forward pass.
        self._balancer = balancer_of(recipe.balance, len(channels)) if channels else None
        trained = [weight for weight in self._taught.parameters() if weight.requires_grad]
        groups: list[dict[str, Any]] = [{"params": trained}]
        if self._balancer is not None and list(self._balancer.parameters()):
            groups.append({"params": list(self._balancer.parameters()), "weight_decay": 0.0})
        optimizer = torch.optim.AdamW(groups, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True)
        self._fabric = launched()
        if recipe.batch % self._fabric.world_size:
            raise TrainingError(
                f"a batch of {recipe.batch} cannot be shared by {self._fabric.world_size} processes",
                remedy="Let the recipe's batch be a multiple of their number.",
            )
        self._model, self._optimizer = self._fabric.setup(self._taught, optimizer)
        if self._balancer is not None:
            self._balancer.to(self._fabric.device)
        self._average = AveragedModel(task.network, multi_avg_fn=averaging(recipe.average), use_buffers=True)
        self._loss: Callable[..., Tensor] = MaskLoss()
        self._best = Best()
        if task.compiled:
            self._taught.compile()
            self._loss = torch.compile(self._loss)
        self._order = Order(recipe, tuple(len(source) for source in task.sources), task.target_frames, task.unlabelled)
        self._step, self._seconds, self._longest, self._validated = 0, 0.0, 0.0, -1
        self.history: list[dict[str, Any]] = []
        self._resume()
        self._remember()

    @property
    def leads(self) -> bool:
        """Whether this process tells, validates and writes; the others only help it to learn."""
        return bool(self._fabric.is_global_zero)

    @property
    def choice(self) -> Choice:
        """Which step's averaged weights are kept, and why."""
        return Choice(self._step) if self._best.choice is None else self._best.choice

    def run(self) -> StudentNetwork:
        """Train to the end of the schedule; returns the network with the weights of choice, in evaluation mode.

        Raises:
            TrainingCancelledError: Someone asked to stop; the state is kept where there is a folder for it.
        """
        try:
            self._steps()
        except RuntimeError as error:
            # Where a whole group of processes is asked to stop, those that make batches die first.
            if not self._cancel.asked:
                raise
            raise cancelled() from error
        if self._validated != self._step and self.leads:
            self._validate()
        self._keep()
        if not self._best.put_into(self._task.network):
            self._task.network.load_state_dict(self._average.module.state_dict())
        return self._task.network.eval()

    def _steps(self) -> None:
        """Take the steps that are left."""
        views = Views(self._task.sources, self._task.recipe, self._task.config)
        part = (self._fabric.global_rank, self._fabric.world_size)
        loader = views.loader(self._order, self._step, self._task.workers, part)
        with (
            fast_depthwise(self._task.network, active=self._fabric.device.type == "cpu"),
            shared_norms(self._task.network, active=self._fabric.world_size > 1),
        ):
            told = kept = began = time.monotonic()
            for parts in loader:
                if self._done():
                    break
                losses = self._learn(Batch(*parts), self._order.step(self._step)[part[0] :: part[1]])
                self._step += 1
                now = time.monotonic()
                self._seconds += now - began
                began = now
                if self._step <= 2 or now - told > _BETWEEN_STEPS_S or self._step == self._task.recipe.steps:
                    told = now
                    self._tell(losses)
                due = now - kept > self._task.validate_s
                if self._validate_now(due=due) or due:
                    self._keep()
                    kept = time.monotonic()
                if all_reduce_max(self._fabric, float(self._cancel.asked))[0]:
                    self._keep()
                    raise cancelled()

    def _validate_now(self, *, due: bool) -> bool:
        """Validate where the recipe wants it after this step, or, if it names no steps, where it is time."""
        every = self._task.recipe.validate_steps
        if not (due if every == 0 else self._step % every == 0):
            return False
        if self.leads:
            self._validate()
        return True

    def _progress(self) -> float:
        """Share of the schedule that is done, by steps or by time, whichever is further."""
        by_steps = self._step / self._task.recipe.steps
        minutes = self._task.minutes
        return by_steps if minutes is None else max(by_steps, self._longest / (60.0 * minutes))

    def _done(self) -> bool:
        if self._task.minutes is not None:
            (self._longest,) = all_reduce_max(self._fabric, self._seconds)
        return self._progress() >= 1.0

    def _learn(self, batch: Batch, draws: Sequence[Draw]) -> dict[str, Any]:
        """One optimiser step; returns the losses."""
        recipe = self._task.recipe
        progress, how = self._progress(), recipe.distill
        rate = recipe.learning_rate * schedule(progress, recipe.warm_up) * how.rate_at(progress)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._model.train()
        for module in self._fixed:
            module.eval()
        frames, covered, known = (self._fabric.to_device(part) for part in batch)
        logits, quality, adapted = self._model(frames.to(memory_format=torch.channels_last))
        if how.is_last_stage(progress):
            known = known * known.new_tensor([[draw.source != self._task.unlabelled] for draw in draws])
        # Gradients of several processes are averaged: each divides by the mean of what all of them know.
        among = all_reduce_sum(self._fabric, known.sum()) / self._fabric.world_size
        loss: Tensor = self._loss(logits.float(), quality.float(), share(covered), known, among)
        told: dict[str, Any] = {"loss": float(all_reduce_sum(self._fabric, loss) / self._fabric.world_size)}
        if not how.learns_masks(progress):
            loss = 0.0 * loss
        weight = how.weight_at(progress)
        if weight > 0 and self._balancer is not None:
            distilled = DistillationObjective(self._task.feature_targets, how)(
                self._balancer, adapted, frames, draws, self._step
            )
            if distilled is not None:
                told["feature_loss"] = float(distilled.loss.detach())
                told |= {"teachers": distilled.losses, "weights": distilled.weights}
                loss = loss + weight * distilled.loss + distilled.gate
        mask_targets = self._task.mask_targets
        if mask_targets is not None and how.learns_masks(progress) and not how.is_last_stage(progress):
            mask_loss = mask_targets.loss(logits.float(), draws)
            if mask_loss is not None:
                told["mask_loss"] = float(mask_loss.detach())
                loss = loss + how.mask_weight * mask_loss
        self._fabric.backward(loss)
        if self._balancer is not None:
            mean_gradients(self._fabric, self._balancer)
        self._fabric.clip_gradients(self._model, self._optimizer, max_norm=recipe.clip_norm)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._average.update_parameters(self._task.network)
        return told

    def _tell(self, losses: Mapping[str, Any]) -> None:
        per_step = self._seconds / max(self._step, 1)
        left = (self._task.recipe.steps - self._step) * per_step
        if self._task.minutes is not None:
            left = min(left, max(0.0, 60.0 * self._task.minutes - self._seconds))
        if self._step == 1:
            self._events.tell("start", total_steps=self._task.recipe.steps, estimate_s=round(left, 1))
        told = {name: rounded(value) for name, value in losses.items()}
        self._events.tell("step", step=self._step, **told, remaining_s=round(left, 1))

    def _validate(self) -> None:
        """Tell the Dice on what is held out, and keep the averaged weights if they are the best so far."""
        self._validated = self._step
        task, network = self._task, self._average.module.eval()
        found = validate(network, task.held_out, task.config, self._fabric, task.schema)
        if found is None:
            return
        best = self._best.offer(self._step, found, network)
        self._events.tell(
            "validation",
            step=self._step,
            size=task.config.input_size,
            mean_dice=found.mean_dice,
            structures=found.structures,
            styles=found.styles,
            best=best,
        )

    def _state_path(self) -> Path | None:
        return None if self._task.run is None else self._task.run / "state.pt"

    def _keep(self) -> None:
        """Write all that a later process needs to go on as if nothing had happened."""
        path = self._state_path()
        if path is None or not self.leads:
            return
        buffer = io.BytesIO()
        state: dict[str, Any] = {
            "history": json.dumps(self.history),
            "step": self._step,
            "seconds": self._seconds,
            "network": self._taught.state_dict(),
            "average": self._average.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "balancer": {} if self._balancer is None else self._balancer.state_dict(),
            "best": self._best.state(),
            "validated": self._validated,
        }
        torch.save(state, buffer)
        write_whole(path, buffer.getvalue())

    def _resume(self) -> None:
        path = self._state_path()
        if path is None or not path.is_file():
            return
        state = torch.load(path, map_location="cpu", weights_only=True)
        if "best" not in state:
            raise TrainingError(
                "the folder holds a run of an earlier version", path=path, remedy="Choose another --run."
            )
        self.history = json.loads(state["history"])
        if not self._task.allow_recipe_change and self.history[-1]["recipe"] != self._plain_recipe():
            raise TrainingError(
                "the folder holds a run of another recipe",
                path=path,
                remedy="Choose another --run, or --change-recipe.",
            )
        self._taught.load_state_dict(state["network"])
        self._average.load_state_dict(state["average"])
        self._optimizer.load_state_dict(state["optimizer"])
        if self._balancer is not None:
            self._balancer.load_state_dict(state["balancer"])
        self._best.load(state["best"])
        self._validated = int(state["validated"])
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
