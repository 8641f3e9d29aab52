# SPDX-License-Identifier: Apache-2.0
"""The training loop: optimiser steps, a moving average of weights, validation, and a state to resume from."""

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
from vfss.schema import Schema
from vfss.student.checkpoint import write_atomically
from vfss.student.network.decoder import Decoded
from vfss.student.network.student import StudentNetwork
from vfss_training.events import Cancel, Events, cancelled, rounded
from vfss_training.loop.arithmetic import Arithmetic, chosen_arithmetic, restored
from vfss_training.loop.batches import Batch, Draw, Order, Views, share
from vfss_training.loop.distributed import (
    all_reduce_max,
    all_reduce_sum,
    launched,
    mean_gradients,
    processes,
    shared_norms,
)
from vfss_training.loop.feature_targets import DistillationObjective, DistilledStudent
from vfss_training.loop.schedule import adamw, averaging, schedule
from vfss_training.loop.task import Task
from vfss_training.loop.validation import Best, Choice, Validator, validate
from vfss_training.losses.balancing import balancer_of
from vfss_training.losses.landmarks import landmark_loss
from vfss_training.losses.masks import MaskLoss
from vfss_training.model.training_setup import fast_depthwise, freeze
from vfss_training.saved_tensors import DAMAGED, load_tensors

_REMEDY = "Delete that file to begin again, or choose another --run."


class Loop:
    """One training run.

    Attributes:
        history: The recipes and sources that the run continued with, and the step that each began at.
        leads: True if this process reports, validates and writes; the others only share the training.
        arithmetic: In which precision steps are computed, and why.
        choice: The step whose weights run() returned; before run(), the last step.
    """

    def __init__(
        self,
        task: Task,
        events: Events,
        cancel: Cancel,
        *,
        validator: Validator = validate,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Set up device, precision, optimiser and average, and resume the run of the task's folder, if there is one.

        Args:
            task: What to train.
            events: Receives the progress.
            cancel: Request to cancel.
            validator: Computes the validation scores of a network.
            clock: Gives the time, s.

        Raises:
            TrainingError: There are no samples to learn from, or the folder holds another run.
        """
        if len(task.sources[0]) == 0:
            raise TrainingError("nothing to learn from", remedy="Accept frames of a training patient first.")
        self._task, self._events, self._cancel = task, events, cancel
        self._validator, self._clock = validator, clock
        recipe = task.recipe
        self._frozen = freeze(task.network, recipe)
        channels = {targets.teacher: targets.provider.channels for targets in task.feature_targets}
        self._student = DistilledStudent(task.network, task.config.width, channels, recipe.distill.projector)
        self._student.to(memory_format=torch.channels_last)
        # Not a part of the model that Fabric wraps, as it is called after the forward pass.
        self._balancer = balancer_of(recipe.balance, len(channels)) if channels else None
        optimizer = adamw(self._student, self._balancer, recipe)
        stored = self._stored_state()
        self.arithmetic = self._arithmetic(stored)
        self._fabric = launched(self.arithmetic.fabric_precision)
        self._check_batch()
        self._model, self._optimizer = self._fabric.setup(self._student, optimizer)
        if self._balancer is not None:
            self._balancer.to(self._fabric.device)
        self._average = AveragedModel(task.network, multi_avg_fn=averaging(recipe.average), use_buffers=True)
        self._loss: Callable[..., Tensor] = MaskLoss(levels=recipe.level_loss, chains=_chains(task.schema))
        self._best = Best()
        if task.compiled:
            self._student.compile()
            self._loss = torch.compile(self._loss)
        self._order = Order(recipe, tuple(len(source) for source in task.sources), task.target_frames, task.unlabelled)
        self._step, self._seconds, self._longest_s, self._validated_step = 0, 0.0, 0.0, -1
        self.history: list[dict[str, Any]] = []
        self._resume(stored)
        self._record_history()
        self._events.emit("arithmetic", **self.arithmetic.to_dict())

    def _arithmetic(self, stored: Mapping[str, Any] | None) -> Arithmetic:
        """Return how steps are computed: as the run began, or as it is chosen now."""
        if stored is not None and "arithmetic" in stored:
            try:
                return restored(json.loads(stored["arithmetic"]))
            except DAMAGED as error:
                path = self._state_path()
                raise TrainingError(
                    f"the state of the run is damaged ({error!r})", path=path, remedy=_REMEDY
                ) from error
        task = self._task
        alone = processes() == (1, 1)
        return chosen_arithmetic(
            task.network, task.config, task.recipe, cache=task.cache, minutes=task.minutes, may_time=alone
        )

    def _check_batch(self) -> None:
        batch, processes = self._task.recipe.batch, self._fabric.world_size
        if batch % processes:
            raise TrainingError(
                f"a batch of {batch} cannot be shared by {processes} processes",
                remedy="Let the recipe's batch be a multiple of their number.",
            )

    @property
    def leads(self) -> bool:
        """True if this process reports, validates and writes; the others only share the training."""
        return bool(self._fabric.is_global_zero)

    @property
    def choice(self) -> Choice:
        """The step whose averaged weights are kept, and why."""
        return Choice(self._step) if self._best.choice is None else self._best.choice

    def run(self) -> StudentNetwork:
        """Train to the end of the schedule; return the network with the weights of `choice`, in evaluation mode.

        Raises:
            TrainingCancelledError: The training was cancelled; its state is kept if the task names a folder.
        """
        try:
            self._run_steps()
        except RuntimeError as error:
            # If a whole group of processes is cancelled, those that make batches end first.
            if not self._cancel.requested:
                raise
            raise cancelled() from error
        if self._validated_step != self._step and self.leads:
            self._validate()
        self._save_state()
        if not self._best.load_into(self._task.network):
            self._task.network.load_state_dict(self._average.module.state_dict())
        return self._task.network.eval()

    def _run_steps(self) -> None:
        """Run the remaining steps."""
        task = self._task
        views = Views(task.sources, task.recipe, task.config)
        part = (self._fabric.global_rank, self._fabric.world_size)
        loader = views.loader(self._order, self._step, task.workers, part)
        with (
            fast_depthwise(task.network, active=self.arithmetic.thinned),
            shared_norms(task.network, active=self._fabric.world_size > 1),
        ):
            reported = saved = began = self._clock()
            for tensors in loader:
                if self._is_done():
                    break
                losses = self._train_step(Batch(*tensors), self._order.step(self._step)[part[0] :: part[1]])
                self._step += 1
                now = self._clock()
                self._seconds += now - began
                began = now
                if self._step <= 2 or now - reported > task.report_s or self._step == task.recipe.steps:
                    reported = now
                    self._report(losses)
                due = now - saved > task.validate_s
                if self._validate_if_due(due=due) or due:
                    self._save_state()
                    saved = self._clock()
                if all_reduce_max(self._fabric, float(self._cancel.requested))[0]:
                    self._save_state()
                    raise cancelled()

    def _validate_if_due(self, *, due: bool) -> bool:
        """Validate if the recipe asks for it after this step, or, if it gives no steps, if `due`."""
        every = self._task.recipe.validate_steps
        if not (due if every == 0 else self._step % every == 0):
            return False
        if self.leads:
            self._validate()
        return True

    def _progress(self) -> float:
        """Return the share of the schedule that is done, by steps or by time, whichever is larger."""
        by_steps = self._step / self._task.recipe.steps
        minutes = self._task.minutes
        return by_steps if minutes is None else max(by_steps, self._longest_s / (60.0 * minutes))

    def _is_done(self) -> bool:
        if self._task.minutes is not None:
            (self._longest_s,) = all_reduce_max(self._fabric, self._seconds)
        return self._progress() >= 1.0

    def _train_step(self, batch: Batch, draws: Sequence[Draw]) -> dict[str, Any]:
        """Run one optimiser step; return the losses for an event."""
        progress, recipe = self._progress(), self._task.recipe
        self._set_learning_rate(progress)
        self._model.train()
        for module in self._frozen:
            module.eval()
        frames, covered, known = (self._fabric.to_device(part) for part in batch)
        decoded, projected = self._model(frames.to(memory_format=torch.channels_last))
        n, logits = len(self._task.schema), decoded.logits
        covered, known, discs, marked = covered[:, :n], known[:, :n], covered[:, n:], known[:, n:]
        if recipe.distill.is_last_stage(progress):
            known = known * known.new_tensor([[draw.source != self._task.unlabelled] for draw in draws])
        # Gradients are averaged over processes: each divides by the mean of the weights of all of them.
        among = all_reduce_sum(self._fabric, known.sum()) / self._fabric.world_size
        loss: Tensor = self._loss(logits.float(), decoded.quality.float().sigmoid(), share(covered), known, among)
        losses: dict[str, Any] = {"loss": float(all_reduce_sum(self._fabric, loss) / self._fabric.world_size)}
        if not recipe.distill.learns_masks(progress):
            loss = 0.0 * loss
        loss = self._add_landmark_loss(loss, losses, decoded, share(discs), marked)
        loss = self._add_feature_loss(loss, losses, projected, frames, draws)
        loss = self._add_soft_mask_loss(loss, losses, logits, draws)
        self._fabric.backward(loss)
        if self._balancer is not None:
            mean_gradients(self._fabric, self._balancer)
        self._fabric.clip_gradients(self._model, self._optimizer, max_norm=recipe.clip_norm)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._average.update_parameters(self._task.network)
        return losses

    def _set_learning_rate(self, progress: float) -> None:
        recipe = self._task.recipe
        rate = recipe.learning_rate * schedule(progress, recipe.warm_up) * recipe.distill.rate_at(progress)
        for group in self._optimizer.param_groups:
            group["lr"] = rate

    def _add_landmark_loss(
        self, loss: Tensor, losses: dict[str, Any], decoded: Decoded, discs: Tensor, known: Tensor
    ) -> Tensor:
        """Return the loss with that of the landmarks added, which is also noted in `losses`."""
        if not discs.shape[1]:
            return loss
        found = landmark_loss(decoded.heat.float(), decoded.presence.float(), discs, known)
        losses["landmark_loss"] = float(found.detach())
        return loss + self._task.recipe.landmark_loss * found

    def _add_feature_loss(
        self,
        loss: Tensor,
        losses: dict[str, Any],
        projected: Mapping[str, Tensor],
        shown: Tensor,
        draws: Sequence[Draw],
    ) -> Tensor:
        """Return the loss with that of the teachers' features added, which is also noted in `losses`."""
        distill = self._task.recipe.distill
        weight = distill.weight_at(self._progress())
        if weight <= 0 or self._balancer is None:
            return loss
        objective = DistillationObjective(self._task.feature_targets, distill)
        distilled = objective(self._balancer, projected, shown, draws, self._step)
        if distilled is None:
            return loss
        losses["feature_loss"] = float(distilled.loss.detach())
        losses |= {"teachers": distilled.losses, "weights": distilled.weights}
        return loss + weight * distilled.loss + distilled.gate

    def _add_soft_mask_loss(
        self, loss: Tensor, losses: dict[str, Any], logits: Tensor, draws: Sequence[Draw]
    ) -> Tensor:
        """Return the loss with that of the teachers' soft masks added, which is also noted in `losses`."""
        distill, progress = self._task.recipe.distill, self._progress()
        targets = self._task.mask_targets
        if targets is None or not distill.learns_masks(progress) or distill.is_last_stage(progress):
            return loss
        mask_loss = targets.loss(logits.float(), draws)
        if mask_loss is None:
            return loss
        losses["mask_loss"] = float(mask_loss.detach())
        return loss + distill.mask_weight * mask_loss

    def _report(self, losses: Mapping[str, Any]) -> None:
        """Emit the losses of the last step and the time that remains."""
        per_step = self._seconds / max(self._step, 1)
        remaining = (self._task.recipe.steps - self._step) * per_step
        if self._task.minutes is not None:
            remaining = min(remaining, max(0.0, 60.0 * self._task.minutes - self._seconds))
        if self._step == 1:
            self._events.emit("start", total_steps=self._task.recipe.steps, estimate_s=round(remaining, 1))
        values = {name: rounded(value) for name, value in losses.items()}
        self._events.emit("step", step=self._step, **values, remaining_s=round(remaining, 1))

    def _validate(self) -> None:
        """Emit the Dice on the held-out samples, and keep the averaged weights if they are the best so far."""
        self._validated_step = self._step
        task, network = self._task, self._average.module.eval()
        validation = self._validator(network, task.held_out, task.config, self._fabric, task.schema)
        if validation is None:
            return
        best = self._best.offer(self._step, validation, network)
        self._events.emit(
            "validation",
            step=self._step,
            size=task.config.input_size,
            mean_dice=validation.mean_dice,
            structures=validation.structures,
            styles=validation.styles,
            best=best,
        )

    def _state_path(self) -> Path | None:
        return None if self._task.run is None else self._task.run / "state.pt"

    def _save_state(self) -> None:
        """Write everything that a later process needs to continue as if there had been no interruption."""
        path = self._state_path()
        if path is None or not self.leads:
            return
        buffer = io.BytesIO()
        state: dict[str, Any] = {
            "history": json.dumps(self.history),
            "arithmetic": json.dumps(self.arithmetic.to_dict()),
            "step": self._step,
            "seconds": self._seconds,
            "network": self._student.state_dict(),
            "average": self._average.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "balancer": {} if self._balancer is None else self._balancer.state_dict(),
            "best": self._best.state(),
            "validated": self._validated_step,
        }
        torch.save(state, buffer)
        write_atomically(path, buffer.getvalue())

    def _stored_state(self) -> dict[str, Any] | None:
        """Load the state of the run's folder; None if there is none."""
        path = self._state_path()
        if path is None or not path.is_file():
            return None
        state = load_tensors(path, remedy=_REMEDY)
        if not isinstance(state, dict) or "best" not in state:
            raise TrainingError(
                "the folder holds a run of an earlier version", path=path, remedy="Choose another --run."
            )
        return state

    def _resume(self, state: Mapping[str, Any] | None) -> None:
        """Go on from a state of the run's folder, if there is one."""
        path = self._state_path()
        if state is None or path is None:
            return
        try:
            self._restore(state, path)
        except DAMAGED as error:
            raise TrainingError(f"the state of the run is damaged ({error!r})", path=path, remedy=_REMEDY) from error
        self._events.emit("resume", step=self._step)

    def _restore(self, state: Mapping[str, Any], path: Path) -> None:
        """Take over the state of an interrupted run of the same recipe."""
        self.history = json.loads(state["history"])
        if not self._task.allow_recipe_change and self.history[-1]["recipe"] != self._plain_recipe():
            raise TrainingError(
                "the folder holds a run of another recipe",
                path=path,
                remedy="Choose another --run, or --change-recipe.",
            )
        self._student.load_state_dict(state["network"])
        self._average.load_state_dict(state["average"])
        self._optimizer.load_state_dict(state["optimizer"])
        if self._balancer is not None:
            self._balancer.load_state_dict(state["balancer"])
        self._best.load(state["best"])
        self._validated_step = int(state["validated"])
        self._step, self._seconds = int(state["step"]), float(state["seconds"])

    def _record_history(self) -> None:
        """Append recipe and source of this process to the history, if they differ from the last entry."""
        now = {"recipe": self._plain_recipe(), "source": dict(self._task.source)}
        if not self.history or {name: self.history[-1][name] for name in now} != now:
            self.history.append({"from_step": self._step, **now})

    def _plain_recipe(self) -> dict[str, Any]:
        """Return the recipe as it is after a round trip through JSON, where tuples become lists."""
        plain: dict[str, Any] = json.loads(json.dumps(self._task.recipe.to_dict()))
        return plain


def _chains(schema: Schema) -> tuple[tuple[int, ...], ...]:
    """Return the planes of each chain of structures, such as the vertebrae."""
    return tuple(tuple(schema[key].index for key in chain) for chain in schema.chains)
