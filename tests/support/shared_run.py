# SPDX-License-Identifier: Apache-2.0
"""A short training run that several processes share; each of them imports this file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from unittest import mock

import pytest
import torch

from small_training import RECIPE, task
from vfss.errors import TrainingError
from vfss_training.events import Cancel, Events
from vfss_training.loop.arithmetic import PRECISION
from vfss_training.loop.loop import Loop


def train(batch: int = 4) -> tuple[Loop, dict[str, torch.Tensor], list[float]]:
    """Train a short run with batch normalisation; return its loop, weights, and the loss of each step."""
    recipe = replace(RECIPE, steps=4, batch=batch, learning_rate=1e-3, frozen_norm=False, clip_norm=0.5)
    losses: list[float] = []

    def listener(event: str, fields: Mapping[str, Any]) -> None:
        if event == "step":
            losses.append(fields["loss"])

    # In bf16, which some processors would be given, the order of a sum shows in the third digit.
    with mock.patch.dict(os.environ, {PRECISION: "f32"}):
        loop = Loop(task(recipe=recipe, report_s=0.0), Events(None, listener), Cancel())
        network = loop.run()
    return loop, network.state_dict(), losses


def check_odd_batch_is_refused() -> None:
    """Check that a batch of 3 is refused in each of two processes."""
    with pytest.raises(TrainingError, match="cannot be shared by 2 processes"):
        train(3)
