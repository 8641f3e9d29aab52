# SPDX-License-Identifier: Apache-2.0
"""Frames to learn from: what a sample is, and what people accepted in a project."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from vfss.masks import MaskState
from vfss.project import Project, Split
from vfss.student.preprocess import Placement, fit

FrameArray = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Sample:
    """One frame with its truth, scaled into the square that the network sees.

    Attributes:
        frame: uint8 (size, size).
        bits: uint8 (ceil(S/8), size, size), planes packed along the structures (numpy.packbits).
        known: float32 (S,), how much each plane counts: 1 for truth, 0 where nobody has confirmed it, little where it
            is truly hidden, so that guessing behind a shoulder costs little and inventing a structure does not pay.
        window: Top, left, rows and columns of the frame in the square.
    """

    frame: FrameArray
    bits: npt.NDArray[np.uint8]
    known: npt.NDArray[np.float32]
    window: tuple[int, int, int, int]


class Samples(Protocol):
    """A list of samples of one size."""

    def __len__(self) -> int:
        """How many."""

    def __getitem__(self, i: int) -> Sample:
        """Sample i."""


class ListedSamples:
    """Samples held in memory."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        """Hold these."""
        self._samples = tuple(samples)

    def __len__(self) -> int:
        """Number of samples."""
        return len(self._samples)

    def __getitem__(self, i: int) -> Sample:
        """Sample i."""
        return self._samples[i]


class FirstSamples:
    """The first so many of some samples: those whose labels are known."""

    def __init__(self, samples: Samples, n: int) -> None:
        """The first n of these."""
        self._samples, self._n = samples, min(n, len(samples))

    def __len__(self) -> int:
        """How many."""
        return self._n

    def __getitem__(self, i: int) -> Sample:
        """Sample i."""
        if not 0 <= i < self._n:
            raise IndexError(f"sample {i} of {self._n}")
        return self._samples[i]


class Unlabelled:
    """Frames alone: whatever is known of their masks is left out."""

    def __init__(self, samples: Samples) -> None:
        """The frames of these."""
        self._samples = samples

    def __len__(self) -> int:
        """How many."""
        return len(self._samples)

    def __getitem__(self, i: int) -> Sample:
        """Frame i, with no plane known."""
        sample = self._samples[i]
        return replace(sample, bits=np.zeros_like(sample.bits), known=np.zeros_like(sample.known))


def project_samples(
    project: Project, splits: Collection[Split], size: int, *, tick: Callable[[int, int], None] | None = None
) -> ListedSamples:
    """What people accepted on clips of the patients of some splits.

    Args:
        project: The project.
        splits: Which patients.
        size: Side of the square, px.
        tick: Called with frames read and in all.
    """
    places = [
        (record, t)
        for record in project.clips()
        if project.split(record.patient) in splits
        for t in project.annotated_frames(record.id)
    ]
    samples: list[Sample] = []
    for clip_id in dict.fromkeys(record.id for record, _ in places):
        with project.open_clip(clip_id) as clip:
            placement = Placement.of(clip.height, clip.width, size)
            for record, t in places:
                if record.id != clip_id:
                    continue
                masks = project.masks(clip_id, t)
                known = np.array([MaskState(int(state)).is_truth for state in masks.state], np.float32)
                samples.append(_placed(clip.as_uint8(t), masks.planes, known, placement))
                if tick is not None:
                    tick(len(samples), len(places))
    return ListedSamples(samples)


def _placed(frame: FrameArray, planes: BoolArray, known: npt.NDArray[np.float32], placement: Placement) -> Sample:
    """Sample of a frame and its planes at their own size."""
    square = np.zeros((len(planes), placement.size, placement.size), np.bool_)
    for target, plane in zip(square, planes, strict=True):
        scaled = Image.fromarray(plane).resize((placement.columns, placement.rows), Image.Resampling.NEAREST)
        target[placement.window] = np.asarray(scaled)
    window = (placement.top, placement.left, placement.rows, placement.columns)
    return Sample(fit(frame, placement), np.packbits(square, axis=0), known, window)
