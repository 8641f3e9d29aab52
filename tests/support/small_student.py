# SPDX-License-Identifier: Apache-2.0
"""A student small enough to build in a test: random weights, a tenth of the default student's size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vfss.schema import Schema
from vfss.student.checkpoint import Checkpoint
from vfss.student.config import StudentConfig

CONFIG = StudentConfig(backbone="mobilenetv3_small_050", input_size=64, width=32, heads=2, depth=1, mlp_width=32)


def small_checkpoint(
    *, schema: Schema | None = None, seed: int = 0, config: StudentConfig = CONFIG, frames: np.ndarray | None = None
) -> Checkpoint:
    """Return a checkpoint of random weights whose masks are neither empty nor full."""
    # Imported here: most tests that collect this file do not need torch.
    import torch

    from vfss.student.network.student import StudentNetwork
    from vfss_training.model.export import pack

    torch.manual_seed(seed)
    chosen = schema if schema is not None else Schema.load()
    network = StudentNetwork(config, len(chosen)).eval()
    with torch.no_grad():
        for mlp in network.decoder.output_hypernetworks_mlps:
            mlp.layers[-1].weight.mul_(20.0)
    # What it takes for a spine is as random as its weights: looked at again, frames would be seen at random sizes.
    return replace(pack(network, config, chosen, provenance={"command": "test"}, frames=frames), closer=None)


def disc_frame(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Return a grey picture with a disc and some noise, uint8 (height, width)."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    centre = random.uniform(0.3, 0.7, 2) * (height, width)
    inside = np.hypot(y - centre[0], x - centre[1]) < 0.25 * min(height, width)
    values = 60 + 120 * inside + 30 * x / width + random.normal(0, 6, (height, width))
    return np.clip(values, 0, 255).astype(np.uint8)
