# SPDX-License-Identifier: Apache-2.0
"""Teaching the corrector: everything else of the network stays as it is."""

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

_FOLLOWED = 3  # every third step is of neighbours' masks
_CLICKS = (1, 1, 2, 3)
_EXAMINED = 3
_SURE = 0.95


@dataclass(frozen=True)
class Clicking:
    """What the corrector is taught from.

    Attributes:
        network: Taught in place; it must have a corrector.
        config: Its config.
        schema: Its schema.
        sources: Samples, as in Task.
        held_out: What to examine it on, by name.
    """

    network: StudentNetwork
    config: StudentConfig
    schema: Schema
    sources: tuple[Samples, ...]
    held_out: Mapping[str, HeldOutSamples]


def teach_clicks(task: Clicking, recipe: Recipe, run: Run, *, minutes: float | None = None) -> dict[str, Any]:
    """Teach the corrector for the recipe's steps; returns, for provenance, mean Dice by number of clicks.

    Args:
        task: What from.
        recipe: How: its part `clicks`, augmentation, styles and seed.
        run: Circumstances.
        minutes: Time limit of the schedule; None: by steps alone.

    Raises:
        TrainingError: The network has no corrector.
        TrainingCancelledError: Someone asked to stop.
    """
    if task.network.corrector is None:
        raise TrainingError("the network has no corrector", remedy="Set prompted: true in the recipe's student.")
    torch.set_num_threads(run.threads or max(1, os.cpu_count() or 1))
    torch.manual_seed(recipe.seed)
    return _Lessons(task, recipe, run, minutes).learn()


class _Lessons:
    def __init__(self, task: Clicking, recipe: Recipe, run: Run, minutes: float | None) -> None:
        self._task, self._run, self._minutes = task, run, minutes
        how = recipe.clicks
        # Of the recipe only order and looks of the samples are used.
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

    def learn(self) -> dict[str, Any]:
        task, steps = self._task, self._how.steps
        task.network.eval()
        order = Order(self._recipe, tuple(len(source) for source in task.sources))
        loader = Views(task.sources, self._recipe, task.config).loader(order, 0, self._run.workers)
        began = told = time.monotonic()
        done = 0
        for step, parts in enumerate(loader):
            self._run.cancel.check()
            spent = (time.monotonic() - began) / 60.0
            progress = max(step / steps, 0.0 if self._minutes is None else spent / self._minutes)
            if progress >= 1.0:
                break
            loss = self._step(Batch(*parts), step, progress)
            done = step + 1
            if time.monotonic() - told > 1.0 or done == steps:
                told = time.monotonic()
                left = (told - began) * (1.0 / max(progress, 1e-3) - 1.0)
                self._run.events.emit(
                    "clicks", step=done, total_steps=steps, loss=round(loss, 5), remaining_s=round(left)
                )
        self._corrector.load_state_dict(self._average.module.state_dict())
        task.network.eval()
        found = {name: examine(task, part.samples) for name, part in task.held_out.items()}
        self._run.events.emit("clicks_examined", dice_by_clicks=found)
        return {"steps": done, "recipe": self._recipe.name, "dice_by_clicks": found}

    def _step(self, batch: Batch, step: int, progress: float) -> float:
        network, how = self._task.network, self._how
        for group in self._optimizer.param_groups:
            group["lr"] = how.learning_rate * schedule(progress, 0.05)
        frames, target = batch.frames.to(memory_format=torch.channels_last), share(batch.target)
        with torch.inference_mode():
            features = network.encoder(frames)
            proposed, _ = network.unprompted(features)
        features = Features(features.embedding.clone(), features.fine8.clone(), features.fine4.clone())
        if step % _FOLLOWED == 0:
            maps, asked, known = self._following(target, batch.known)
        else:
            maps, asked, known = self._asking(features, target, batch.known, proposed.clone())
        self._corrector.train()
        logits, quality = network.correct(features, maps, asked)
        loss: Tensor = self._loss(logits, quality, target, known)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._corrector.parameters(), 1.0)
        self._optimizer.step()
        self._average.update_parameters(self._corrector)
        return float(loss.detach())

    def _following(self, target: Tensor, known: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Masks of all structures as a neighbour frame would have them."""
        told = (torch.rand(known.shape, generator=self._random) < _SURE) & (known == 1.0)
        before = moved(target, self._random, 0.7)
        maps = PromptedFrames(*_nothing_asked(target)).maps(self._n)
        maps[:, : self._n] = (2.0 * before - 1.0) * told[:, :, None, None]
        return maps, torch.zeros_like(known), known

    def _asking(
        self, features: Features, target: Tensor, known: Tensor, proposed: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One structure of each frame, what is there of it now, and clicks on what is wrong with that."""
        wrong = 1.05 - hard_dice(proposed, target)
        weight = wrong * (known == 1.0) + 1e-6
        index = torch.multinomial(weight, 1, generator=self._random)[:, 0]
        rows = torch.arange(len(index))
        truth = target[rows, index]
        current = self._now(truth, coverage(proposed[rows, index][:, None])[:, 0])
        drawn = torch.rand(len(index), generator=self._random) < self._how.boxes
        box = boxes(truth, self._random) * drawn[:, None, None]
        asked = PromptedFrames(index, truth, current, torch.zeros_like(truth), torch.zeros_like(truth), box)
        clicks = _CLICKS[int(torch.randint(len(_CLICKS), (1,), generator=self._random))]
        self._corrector.eval()
        for _ in range(clicks - 1):
            asked = asked.with_click(self._random)
            asked = asked.with_answer(_answer(self._task.network, features, asked, self._n))
        asked = asked.with_click(self._random)
        chosen = asked.one_hot(self._n)
        return asked.maps(self._n), chosen, chosen * known

    def _now(self, truth: Tensor, proposed: Tensor) -> Tensor:
        """What is there before the first click: most often the proposal, else a careless mask, or nothing."""
        careless = blotted(moved(truth[:, None], self._random, 1.0)[:, 0], self._random)
        which = torch.rand(len(truth), 1, 1, generator=self._random)
        return torch.where(which < 0.55, proposed, torch.where(which < 0.88, careless, torch.zeros_like(truth)))


def _nothing_asked(target: Tensor) -> Sequence[Tensor]:
    n, _, height, width = target.shape
    blank = target.new_zeros(n, height, width)
    return torch.zeros(n, dtype=torch.int64), blank, blank, blank, blank, blank


@torch.no_grad()
def _answer(network: StudentNetwork, features: Features, asked: PromptedFrames, n: int) -> Tensor:
    logits, _ = network.correct(features, asked.maps(n), asked.one_hot(n))
    return logits


@torch.no_grad()
def examine(task: Clicking, samples: Samples) -> list[float]:
    """Mean Dice over structures and samples before and after 1, 2 and 3 clicks for each structure.

    Structures are left out where they are unknown, or neither there nor proposed.
    """
    random = torch.Generator().manual_seed(0)
    n = len(task.schema)
    totals, count = torch.zeros(_EXAMINED + 1), 0
    for i in range(len(samples)):
        frame, covered, known = view(samples[i], task.config, task.config.input_size, 4)
        features, target = task.network.encoder(frame[None]), share(covered)
        proposed = coverage(task.network.unprompted(features)[0])[0]
        there = ((proposed > 0.5).any(2).any(1) | (target > 0.5).any(2).any(1)) & (known == 1.0)
        index = there.nonzero()[:, 0]
        if not len(index):
            continue
        blank = torch.zeros_like(target[index])
        asked = PromptedFrames(index, target[index], proposed[index], blank, blank, blank)
        same = Features(*(part.expand(len(index), -1, -1, -1) for part in _parts(features)))
        for k in range(_EXAMINED + 1):
            totals[k] += _dice(asked.current, asked.truth).sum()
            if k < _EXAMINED:
                asked = asked.with_click(random)
                asked = asked.with_answer(_answer(task.network, same, asked, n))
        count += len(index)
    return [round(float(total) / max(count, 1), 4) for total in totals]


def _parts(features: Features) -> tuple[Tensor, Tensor, Tensor]:
    return features.embedding, features.fine8, features.fine4


def _dice(share_of: Tensor, truth: Tensor) -> Tensor:
    """Dice of areas, float (N,)."""
    return hard_dice((share_of - 0.5)[None], truth[None])[0]
