# SPDX-License-Identifier: Apache-2.0
"""Prompt training: the corrector learns to take prompts; the rest of the network is fixed."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from vfss.errors import TrainingError
from vfss.schema import Schema
from vfss.student.config import StudentConfig
from vfss.student.network.decoder import Features
from vfss.student.network.student import StudentNetwork
from vfss_training.config.recipe import Recipe
from vfss_training.data.click_examples import PromptedFrames, blotted, boxes, coverage, moved
from vfss_training.data.samples import Samples
from vfss_training.loop.batches import Batch, Order, Views, share, view
from vfss_training.loop.run import Run
from vfss_training.loop.schedule import averaging, schedule
from vfss_training.loop.validation import HeldOutSamples
from vfss_training.losses.masks import MaskLoss, hard_dice

_NEIGHBOUR_STEP = 3  # every third step trains on a neighbour frame's masks
_CLICKS = (1, 1, 2, 3)  # numbers of clicks to draw from
_MOST_CLICKS = 3  # that are scored
_GIVEN = 0.95  # share of a neighbour's masks that are given


@dataclass(frozen=True)
class PromptTask:
    """What the corrector is trained on.

    Attributes:
        network: Network whose corrector is trained in place; it must have one.
        config: Config of the network.
        schema: Structures of the network.
        sources: Samples, as in Task.
        held_out: Samples to score on, by name.
    """

    network: StudentNetwork
    config: StudentConfig
    schema: Schema
    sources: tuple[Samples, ...]
    held_out: Mapping[str, HeldOutSamples]


def train_corrector(task: PromptTask, recipe: Recipe, run: Run, *, minutes: float | None = None) -> dict[str, Any]:
    """Train the corrector for the recipe's steps; return, for provenance, mean Dice by number of clicks.

    Args:
        task: Network and samples.
        recipe: Training recipe; its part `clicks`, augmentation, styles and seed are used.
        run: Run settings (events, cancellation, workers, threads).
        minutes: Time limit of the schedule; None: by steps alone.

    Raises:
        TrainingError: The network has no corrector.
        TrainingCancelledError: The run was cancelled.
    """
    if task.network.corrector is None:
        raise TrainingError("the network has no corrector", remedy="Set prompted: true in the recipe's student.")
    torch.set_num_threads(run.threads or max(1, os.cpu_count() or 1))
    torch.manual_seed(recipe.seed)
    return _CorrectorTraining(task, recipe, run, minutes).run()


class _CorrectorTraining:
    """One training of a corrector: its optimiser, its moving average and its random state."""

    def __init__(self, task: PromptTask, recipe: Recipe, run: Run, minutes: float | None) -> None:
        self._task, self._run, self._minutes = task, run, minutes
        how = recipe.clicks
        # Of the recipe only the order and augmentation of the samples are used.
        self._recipe = recipe.but(steps=how.steps, batch=how.batch, stages=(), mixup=0.0, loss_stride=4)
        self._how = how
        corrector = task.network.corrector
        if corrector is None:
            raise TrainingError("the network has no corrector")
        self._corrector = corrector.to(memory_format=torch.channels_last)
        self._optimizer = torch.optim.AdamW(corrector.parameters(), lr=how.learning_rate, weight_decay=0.01)
        self._average = AveragedModel(corrector, multi_avg_fn=averaging(how.average), use_buffers=True)
        self._loss = MaskLoss()
        self._random = torch.Generator().manual_seed(recipe.seed)
        self._n = len(task.schema)

    def run(self) -> dict[str, Any]:
        """Take all steps, put the averaged weights into the network, and score them."""
        task, steps = self._task, self._how.steps
        task.network.eval()
        order = Order(self._recipe, tuple(len(source) for source in task.sources))
        loader = Views(task.sources, self._recipe, task.config).loader(order, 0, self._run.workers)
        began = reported = time.monotonic()
        done = 0
        for step, parts in enumerate(loader):
            self._run.cancel.check()
            spent = (time.monotonic() - began) / 60.0
            progress = max(step / steps, 0.0 if self._minutes is None else spent / self._minutes)
            if progress >= 1.0:
                break
            loss = self._step(Batch(*parts), step, progress)
            done = step + 1
            if time.monotonic() - reported > 1.0 or done == steps:
                reported = time.monotonic()
                left = (reported - began) * (1.0 / max(progress, 1e-3) - 1.0)
                self._run.events.emit(
                    "clicks", step=done, total_steps=steps, loss=round(loss, 5), remaining_s=round(left)
                )
        self._corrector.load_state_dict(self._average.module.state_dict())
        task.network.eval()
        dice = {name: dice_by_clicks(task, part.samples) for name, part in task.held_out.items()}
        self._run.events.emit("clicks_examined", dice_by_clicks=dice)
        return {"steps": done, "recipe": self._recipe.name, "dice_by_clicks": dice}

    def _step(self, batch: Batch, step: int, progress: float) -> float:
        """Take one optimiser step; return the loss."""
        network, how = self._task.network, self._how
        for group in self._optimizer.param_groups:
            group["lr"] = how.learning_rate * schedule(progress, 0.05)
        frames, target = batch.frames.to(memory_format=torch.channels_last), share(batch.target)
        with torch.inference_mode():
            features = network.encoder(frames)
            proposed, *_ = network.unprompted(features)
        features = Features(features.embedding.clone(), features.fine8.clone(), features.fine4.clone())
        if step % _NEIGHBOUR_STEP == 0:
            maps, prompted, known = self._neighbour_masks(target, batch.known)
        else:
            maps, prompted, known = self._clicks_on_errors(features, target, batch.known, proposed.clone())
        self._corrector.train()
        logits, quality = network.correct(features, maps, prompted)
        loss: Tensor = self._loss(logits, quality, target, known)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._corrector.parameters(), 1.0)
        self._optimizer.step()
        self._average.update_parameters(self._corrector)
        return float(loss.detach())

    def _neighbour_masks(self, target: Tensor, known: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return prompts that are the masks of all structures as a neighbour frame would have them."""
        given = (torch.rand(known.shape, generator=self._random) < _GIVEN) & (known == 1.0)
        before = moved(target, self._random, 0.7)
        maps = PromptedFrames(*_no_prompts(target)).maps(self._n)
        maps[:, : self._n] = (2.0 * before - 1.0) * given[:, :, None, None]
        return maps, torch.zeros_like(known), known

    def _clicks_on_errors(
        self, features: Features, target: Tensor, known: Tensor, proposed: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return prompts for one structure of each frame: its current mask, and clicks on the errors of that mask."""
        wrong = 1.05 - hard_dice(proposed, target)
        weight = wrong * (known == 1.0) + 1e-6
        index = torch.multinomial(weight, 1, generator=self._random)[:, 0]
        rows = torch.arange(len(index))
        truth = target[rows, index]
        current = self._current_masks(truth, coverage(proposed[rows, index][:, None])[:, 0])
        drawn = torch.rand(len(index), generator=self._random) < self._how.boxes
        box = boxes(truth, self._random) * drawn[:, None, None]
        prompted = PromptedFrames(index, truth, current, torch.zeros_like(truth), torch.zeros_like(truth), box)
        clicks = _CLICKS[int(torch.randint(len(_CLICKS), (1,), generator=self._random))]
        self._corrector.eval()
        for _ in range(clicks - 1):
            prompted = prompted.with_click(self._random)
            prompted = prompted.with_answer(_corrected(self._task.network, features, prompted, self._n))
        prompted = prompted.with_click(self._random)
        chosen = prompted.one_hot(self._n)
        return prompted.maps(self._n), chosen, chosen * known

    def _current_masks(self, truth: Tensor, proposed: Tensor) -> Tensor:
        """Return masks before the first click: most often the proposal, else a careless mask, or an empty one."""
        careless = blotted(moved(truth[:, None], self._random, 1.0)[:, 0], self._random)
        which = torch.rand(len(truth), 1, 1, generator=self._random)
        return torch.where(which < 0.55, proposed, torch.where(which < 0.88, careless, torch.zeros_like(truth)))


def _no_prompts(target: Tensor) -> Sequence[Tensor]:
    """Return the fields of an PromptedFrames without prompts."""
    n, _, height, width = target.shape
    blank = target.new_zeros(n, height, width)
    return torch.zeros(n, dtype=torch.int64), blank, blank, blank, blank, blank


@torch.no_grad()
def _corrected(network: StudentNetwork, features: Features, prompted: PromptedFrames, n: int) -> Tensor:
    """Return the corrector's logits, float (N, S, h, w)."""
    logits, _ = network.correct(features, prompted.maps(n), prompted.one_hot(n))
    return logits


@torch.no_grad()
def dice_by_clicks(task: PromptTask, samples: Samples) -> list[float]:
    """Return the mean Dice over structures and samples before and after 1, 2 and 3 clicks for each structure.

    Structures are left out where they are unknown, or neither present nor proposed.
    """
    random = torch.Generator().manual_seed(0)
    n = len(task.schema)
    totals, count = torch.zeros(_MOST_CLICKS + 1), 0
    for i in range(len(samples)):
        frame, covered, known = view(samples[i], task.config, task.config.input_size, 4)
        features, target = task.network.encoder(frame[None]), share(covered)
        proposed = coverage(task.network.unprompted(features)[0])[0]
        present = ((proposed > 0.5).any(2).any(1) | (target > 0.5).any(2).any(1)) & (known == 1.0)
        index = present.nonzero()[:, 0]
        if not len(index):
            continue
        blank = torch.zeros_like(target[index])
        prompted = PromptedFrames(index, target[index], proposed[index], blank, blank, blank)
        repeated = Features(*(part.expand(len(index), -1, -1, -1) for part in _parts(features)))
        for k in range(_MOST_CLICKS + 1):
            totals[k] += _dice(prompted.current, prompted.truth).sum()
            if k < _MOST_CLICKS:
                prompted = prompted.with_click(random)
                prompted = prompted.with_answer(_corrected(task.network, repeated, prompted, n))
        count += len(index)
    return [round(float(total) / max(count, 1), 4) for total in totals]


def _parts(features: Features) -> tuple[Tensor, Tensor, Tensor]:
    """Return the tensors of features."""
    return features.embedding, features.fine8, features.fine4


def _dice(covered: Tensor, truth: Tensor) -> Tensor:
    """Return the Dice of areas, float (N,), given the covered share of each pixel."""
    return hard_dice((covered - 0.5)[None], truth[None])[0]
