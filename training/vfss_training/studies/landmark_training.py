# SPDX-License-Identifier: Apache-2.0
"""Landmark training: a head learns to find single points in a student's features; the rest of the network is fixed."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

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
from vfss.student.network.student import StudentNetwork
from vfss_training.config.recipe import Recipe
from vfss_training.data.samples import Samples
from vfss_training.loop.batches import Batch, Order, Views, share, view
from vfss_training.loop.run import Run
from vfss_training.loop.schedule import averaging, schedule
from vfss_training.loop.validation import HeldOutSamples
from vfss_training.losses.landmarks import landmark_loss

_SEEN = 0.2  # pixels of the map that a disc covers from which a landmark counts as there


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
    recipe = recipe.but(stages=(), mixup=0.0, loss_stride=4)
    task.network.eval()
    optimizer = torch.optim.AdamW(head.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    average = AveragedModel(head, multi_avg_fn=averaging(recipe.average), use_buffers=True)
    order = Order(recipe, tuple(len(source) for source in task.sources))
    began = reported = time.monotonic()
    done = 0
    for step, parts in enumerate(Views(task.sources, recipe, task.shown).loader(order, 0, run.workers)):
        run.cancel.check()
        spent = (time.monotonic() - began) / 60.0
        progress = max(step / recipe.steps, 0.0 if run.minutes is None else spent / run.minutes)
        if progress >= 1.0:
            break
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * schedule(progress, recipe.warm_up)
        head.train()
        loss = _loss(task, Batch(*parts))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(head.parameters(), recipe.clip_norm)
        optimizer.step()
        average.update_parameters(head)
        done = step + 1
        if time.monotonic() - reported > 1.0 or done == recipe.steps:
            reported = time.monotonic()
            left = (reported - began) * (1.0 / max(progress, 1e-3) - 1.0)
            found = round(float(loss.detach()), 5)
            run.events.emit("landmarks", step=done, total_steps=recipe.steps, loss=found, remaining_s=round(left))
    head.load_state_dict(average.module.state_dict())
    task.network.eval()
    errors = {name: errors_on(task, part.samples) for name, part in task.held_out.items()}
    run.events.emit("landmarks_examined", errors=errors)
    return {"steps": done, "recipe": recipe.name, "errors": errors}


def _loss(task: LandmarkTask, batch: Batch) -> Tensor:
    """Return the loss of the head on one batch."""
    n, network = len(task.schema), task.network
    with torch.inference_mode():
        seen = network.encoder(batch.frames.to(memory_format=torch.channels_last))
    # Tensors of inference mode cannot be kept for the gradient.
    features = Features(seen.embedding.clone(), seen.fine8.clone(), seen.fine4.clone())
    heat, presence = network.landmarks(features)
    return landmark_loss(heat, presence, share(batch.target[:, n:]), batch.known[:, n:])


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
