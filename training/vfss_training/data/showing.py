# SPDX-License-Identifier: Apache-2.0
"""Showing: the views of a frame that teachers see and keep, which the student is then shown in the same place."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

import numpy as np

from vfss_training.data.augment import Augmentation
from vfss_training.data.samples import Sample

_STREAM = 3  # sets these draws apart from those of augmentation as it comes


@dataclass(frozen=True)
class Showing:
    """Which views: the first is the frame as it is, each further one is moved, and always the same way.

    A teacher's targets cost a second a frame and are kept on disk, so its views are few; grey values may differ each
    time, as they move nothing.

    Attributes:
        augmentation: How far frames are moved.
        seed: Of the moves.
        views: How many views of each frame.
    """

    augmentation: Augmentation = field(default_factory=Augmentation)
    seed: int = 0
    views: int = 1

    def __call__(self, sample: Sample, item: int, view: int) -> Sample:
        """View of sample number `item`."""
        if view == 0:
            return sample
        return self.augmentation.placed()(sample, np.random.default_rng((self.seed, _STREAM, item, view)))

    @property
    def key(self) -> str:
        """All that the moved views depend on, as text."""
        return json.dumps([self.seed, self.views, asdict(self.augmentation.placed())] if self.views > 1 else [])
