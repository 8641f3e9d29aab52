# SPDX-License-Identifier: Apache-2.0
"""Landmark training: a head learns to find single points in a student's features; the rest of the network is fixed."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from vfss.errors import TrainingError
from vfss.landmarks import LANDMARKS
from vfss.schema import Schema
from vfss.student.config import LOGIT_STRIDE, StudentConfig
from vfss.student.heat_map import peaks
from vfss.student.network.decoder import Features
from vfss.student.network.landmark_head import LandmarkHead
from vfss.student.network.student import StudentNetwork
from vfss_training.config.recipe import Recipe
from vfss_training.data.samples import Samples
from vfss_training.loop.batches import Batch, Order, Views, share, view
from vfss_training.loop.run import Run
from vfss_training.loop.schedule import averaging, schedule
from vfss_training.loop.validation import HeldOutSamples
from vfss_training.losses.landmarks import landmark_loss

_TIMES = 4
"""How often a view is learnt from on average: to render and encode it costs four times as much as to learn from it."""
_POOL = 400
"""Encoded views that are kept, 0.6 MB each; the oldest is replaced first."""
_SEEN = 0.2  # pixels of the map that a disc covers from which a landmark counts as there


class _Encoded(NamedTuple):
    """One view of a frame as the head sees it: the encoder's features, float16, its discs, and which are known."""

    features: tuple[Tensor, ...]
    discs: Tensor
    known: Tensor


@dataclass(frozen=True)
class LandmarkTask:
    """What the landmark head is trained on.

    Attributes:
        network: Network whose head is trained in place; it must have one.
        config: Config of the network.
        schema: Structures of the network.
        sources: Samples, as in Task.
        held_out: Samples to measure on, by name.
    """

    network: StudentNetwork
    config: StudentConfig
    schema: Schema
    sources: tuple[Samples, ...]
    held_out: Mapping[str, HeldOutSamples]

    @property
    def shown(self) -> StudentConfig:
        """Config with which samples are prepared: planes of the head's landmarks follow those of the structures."""
        return replace(self.config, landmarks=self.config.landmark_head)


def train_landmark_head(task: LandmarkTask, recipe: Recipe, run: Run) -> dict[str, Any]:
    """Train the head for the recipe's steps, or for the minutes of the run; return what provenance keeps of it.

    Args:
        task: Network and samples.
        recipe: Training recipe; its steps, rate, augmentation, styles and seed are used.
        run: Run settings (events, cancellation, workers, threads, minutes).

    Raises:
        TrainingError: The network has no landmark head.
        TrainingCancelledError: The run was cancelled.
    """
    head = task.network.landmark_head
    if head is None:
        raise TrainingError("the network has no landmark head", remedy="vfss-train landmarks STUDENT adds one.")
    torch.set_num_threads(run.threads or max(1, os.cpu_count() or 1))
    torch.manual_seed(recipe.seed)
    task.network.eval()
    done = _HeadTraining(task, head, recipe.but(stages=(), mixup=0.0, loss_stride=LOGIT_STRIDE), run).take_steps()
    task.network.eval()
    errors = {name: errors_on(task, part.samples) for name, part in task.held_out.items()}
    run.events.emit("landmarks_examined", errors=errors)
    return {"steps": done, "recipe": recipe.name, "errors": errors}


class _HeadTraining:
    """One training of a head: its optimiser, its moving average, and the views that are learnt from by turns."""

    def __init__(self, task: LandmarkTask, head: LandmarkHead, recipe: Recipe, run: Run) -> None:
        self._task, self._head, self._recipe, self._run = task, head, recipe, run
        self._optimizer = torch.optim.AdamW(
            head.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        self._average = AveragedModel(head, multi_avg_fn=averaging(recipe.average), use_buffers=True)
        self._random = torch.Generator().manual_seed(recipe.seed)
        self._pool: deque[_Encoded] = deque(maxlen=_POOL)

    def take_steps(self) -> int:
        """Take all steps, or those of the run's minutes, and keep the averaged weights; return their number."""
        task, recipe, minutes = self._task, self._recipe, self._run.minutes
        fresh = recipe.but(batch=max(1, recipe.batch // _TIMES))
        order = Order(fresh, tuple(len(source) for source in task.sources))
        began = reported = time.monotonic()
        done = 0
        for step, parts in enumerate(Views(task.sources, fresh, task.shown).loader(order, 0, self._run.workers)):
            self._run.cancel.check()
            spent = (time.monotonic() - began) / 60.0
            progress = max(step / recipe.steps, 0.0 if minutes is None else spent / minutes)
            if progress >= 1.0:
                break
            self._encode(Batch(*parts))
            loss, done = self._step(progress), step + 1
            if time.monotonic() - reported > 1.0 or done == recipe.steps:
                reported = time.monotonic()
                left = (reported - began) * (1.0 / max(progress, 1e-3) - 1.0)
                self._run.events.emit(
                    "landmarks", step=done, total_steps=recipe.steps, loss=round(loss, 5), remaining_s=round(left)
                )
        self._head.load_state_dict(self._average.module.state_dict())
        return done

    @torch.inference_mode()
    def _encode(self, batch: Batch) -> None:
        """Add the features of new views to the pool; the oldest ones make room."""
        n = len(self._task.schema)
        seen = self._task.network.encoder(batch.frames.to(memory_format=torch.channels_last))
        for i in range(len(batch.frames)):
            parts = (seen.embedding[i], seen.fine8[i], seen.fine4[i])
            features = tuple(part.contiguous().half() for part in parts)
            self._pool.append(_Encoded(features, batch.target[i, n:], batch.known[i, n:]))

    def _step(self, progress: float) -> float:
        """Take one optimiser step on views drawn from the pool; return the loss."""
        for group in self._optimizer.param_groups:
            group["lr"] = self._recipe.learning_rate * schedule(progress, self._recipe.warm_up)
        rows = torch.randperm(len(self._pool), generator=self._random)[: self._recipe.batch].tolist()
        chosen = [self._pool[row] for row in rows]
        levels = zip(*(one.features for one in chosen), strict=True)
        features = Features(*(torch.stack(level).float() for level in levels))
        discs, known = (torch.stack(parts) for parts in zip(*((one.discs, one.known) for one in chosen), strict=True))
        self._head.train()
        heat, presence = self._task.network.landmarks(features)
        loss = landmark_loss(heat, presence, share(discs), known)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._head.parameters(), self._recipe.clip_norm)
        self._optimizer.step()
        self._average.update_parameters(self._head)
        return float(loss.detach())


@torch.inference_mode()
def errors_on(task: LandmarkTask, samples: Samples) -> dict[str, float | None]:
    """Return the median distance from landmarks that are there, shares of the side, by key; None where none is."""
    found: dict[str, list[float]] = {landmark.key: [] for landmark in LANDMARKS[: task.config.landmark_head]}
    for i in range(len(samples)):
        frame, covered, _ = view(samples[i], task.shown, task.config.input_size, LOGIT_STRIDE, len(found))
        heat, presence = task.network.landmarks(task.network.encoder(frame[None]))
        discs = share(covered)[len(task.schema) :].numpy()
        points, _ = peaks(heat[0].numpy(), presence[0].numpy())
        for key, point, disc in zip(found, points, discs, strict=True):
            if disc.sum() >= _SEEN:
                middle = np.array([(disc.sum(1 - axis) * np.arange(len(disc))).sum() / disc.sum() for axis in (0, 1)])
                found[key].append(float(np.hypot(*(point - middle))) / len(disc))
    return {key: round(float(np.median(errors)), 4) if errors else None for key, errors in found.items()}
