# SPDX-License-Identifier: Apache-2.0
"""Mask targets: soft masks that several mask teachers predict together on views of unlabelled frames, kept on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from vfss_training.data.array_store import RowLayout
from vfss_training.data.augment import TeacherViews
from vfss_training.data.samples import FrameStream, Sample
from vfss_training.data.view_store import ViewStore
from vfss_training.loop.batches import Draw
from vfss_training.loop.soft_masks import Blend, SoftMaskLoss, blend, mutual_agreement
from vfss_training.teachers.targets import exposed_cells

_AT_ONCE = 4
_LEVELS = 255
"""Soft masks and confidences of 0..1 are stored as bytes of 0.._LEVELS."""
_HALF = 0.5
_STRICTNESS = 4.0
"""Power of a teacher's agreement with the labels, on top of the blend's own power: a clearly worse teacher spoils the
mean with a better one."""
_VERSION = 3  # of how masks are blended and weighted


class MaskTeacher(Protocol):
    """A network that has learnt the structures and predicts their masks.

    Attributes:
        key: Hash of all that its masks depend on.
        grid: Side of its masks, px.
    """

    @property
    def key(self) -> str:
        """Hash of all that its masks depend on."""

    @property
    def grid(self) -> int:
        """Side of its masks, px."""

    def masks(self, frames: Tensor, places: Sequence[tuple[int, int]]) -> Tensor:
        """Return the sigmoid of each structure, float32 (N, S, grid, grid).

        Args:
            frames: uint8 (N, size, size).
            places: Frame and view number of each in their stream.
        """


class SoftTargets:
    """Blended soft masks of views of the first frames of a stream, in a folder named after all they depend on.

    The confidence of each plane, the mean agreement of the teachers on it, is its weight in training: where teachers
    predict different masks, there is little to learn from their mean.

    Attributes:
        frames: Number of first frames that have targets.
        bytes: Size on disk when all are there.
        folder: Folder of the files.
    """

    def __init__(
        self,
        folder: Path,
        teachers: Sequence[MaskTeacher],
        samples: FrameStream,
        *,
        structures: int,
        frames: int,
        views: TeacherViews,
        agreement: Tensor | None = None,
    ) -> None:
        """Describe the targets; nothing is computed or written yet.

        Args:
            folder: Folder of all caches.
            teachers: At least one; masks of other sizes are resized to the first one's.
            samples: The frames.
            structures: Number of structures.
            frames: Number of frames to use, from the first on.
            views: Which views of each frame.
            agreement: float (T, S), Dice of each teacher with the labels, 0..1; None: unknown, and teachers are
                weighted by their agreement with each other.
        """
        self._agreement = agreement
        self._teachers = tuple(teachers)
        self._structures, self._grid = structures, teachers[0].grid
        rounded = None if agreement is None else [round(value, 4) for value in agreement.flatten().tolist()]
        depends = [_VERSION, [teacher.key for teacher in teachers], rounded, self._grid, samples.key, views.key]
        key = json.dumps(depends)
        grid = self._grid
        arrays = {
            "planes": RowLayout(np.uint8, (structures, grid, grid)),
            "trust": RowLayout(np.uint8, (structures,)),
            "field": RowLayout(np.uint8, (grid, grid)),
        }
        self.folder = folder / f"masks-{hashlib.blake2b(key.encode(), digest_size=10).hexdigest()}"
        self._store = ViewStore(self.folder, samples, frames=frames, views=views, arrays=arrays)
        self.frames, self.bytes = self._store.frames, self._store.bytes

    def missing(self) -> list[int]:
        """Return the views whose masks are still to be computed, by row: all first views come first."""
        return self._store.missing()

    def prepare(self, tick: Callable[[int, int], None]) -> None:
        """Compute what is missing; an interrupted call continues where it stopped.

        Args:
            tick: Called with the number of views done and in total before each step; may raise to stop.

        Raises:
            TrainingError: The folder cannot be written to.
        """
        self._store.fill(self._computed, tick, batch=_AT_ONCE)

    def _computed(self, frames: Tensor, places: Sequence[tuple[int, int]]) -> Mapping[str, npt.NDArray[Any]]:
        """Return the arrays to store for frames, uint8 (N, H, W), of these places."""
        field = exposed_cells(frames, self._grid)
        masks = torch.stack([self._resized(teacher.masks(frames, places)) for teacher in self._teachers])
        knows = torch.ones(len(masks), self._structures, dtype=torch.bool)
        mutual = mutual_agreement(masks, knows, field)
        with_labels = torch.ones_like(mutual)
        if self._agreement is not None:
            with_labels = self._agreement[:, None].expand_as(mutual)
        weights = mutual if self._agreement is None else with_labels.pow(_STRICTNESS)
        blended = blend(masks, weights, knows)
        # Where teachers are poor, confidence is low, even for a single teacher or for teachers that all agree.
        confidence = (weights * with_labels * mutual).sum(0) / weights.sum(0).clamp(min=1e-9)
        return {
            "planes": (blended.planes * _LEVELS).round().to(torch.uint8).numpy(),
            "trust": (confidence * _LEVELS).round().to(torch.uint8).numpy(),
            "field": field.to(torch.uint8).numpy(),
        }

    def _resized(self, masks: Tensor) -> Tensor:
        """Return masks at the size that is stored."""
        masks = masks.float().cpu()
        if masks.shape[-1] == self._grid:
            return masks
        return functional.interpolate(masks, (self._grid, self._grid), mode="bilinear")

    def batch(self, places: Sequence[tuple[int, int]]) -> tuple[Blend, Tensor]:
        """Return soft masks with their confidence as weight, and exposed field, bool (N, grid, grid).

        The blend holds planes, float32 (N, S, grid, grid), and weight, float32 (N, S).

        Args:
            places: Frame and view number of each.
        """
        planes = torch.from_numpy(self._store.read("planes", places)).float() / _LEVELS
        confidence = torch.from_numpy(self._store.read("trust", places)).float() / _LEVELS
        field = torch.from_numpy(self._store.read("field", places)) > 0
        return Blend(planes, confidence), field


class PseudoLabelled:
    """Unlabelled frames with pseudo-labels: the teachers' masks as if they were labels, weighted by confidence.

    Unlike the soft masks of a cached view they can be augmented geometrically for each draw.
    """

    def __init__(self, unlabelled: FrameStream, targets: SoftTargets) -> None:
        """Add pseudo-labels to a stream; frames beyond the targets have no known plane."""
        self._unlabelled, self._targets = unlabelled, targets

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._unlabelled)

    def __getitem__(self, i: int) -> Sample:
        """Return frame i with its pseudo-labels."""
        sample = self._unlabelled[i]
        bits, known = np.zeros_like(sample.bits), np.zeros_like(sample.known)
        if i < self._targets.frames:
            soft, _ = self._targets.batch([(i, 0)])
            size = (sample.frame.shape[0], sample.frame.shape[1])
            planes = functional.interpolate(soft.planes, size, mode="bilinear")[0] > _HALF
            bits, known = np.packbits(planes.numpy(), axis=0), soft.weight[0].numpy()
        return replace(sample, bits=bits, known=known, landmarks=0)


@dataclass(frozen=True)
class MaskTargets:
    """Soft masks that the student's masks are trained towards, for the frames of one source.

    Attributes:
        targets: Soft masks of the first frames of the source.
        source: Index of the source.
    """

    targets: SoftTargets
    source: int

    @property
    def frames(self) -> int:
        """Number of first frames of the source that have soft masks."""
        return self.targets.frames

    def loss(self, logits: Tensor, draws: Sequence[Draw]) -> Tensor | None:
        """Return the loss of the samples that have mask targets; None if no sample has any.

        Args:
            logits: float (N, S, h, w) of the student.
            draws: The samples of the batch.
        """
        rows = [row for row, draw in enumerate(draws) if draw.view >= 0 and draw.source == self.source]
        if not rows:
            return None
        soft, field = self.targets.batch([(draws[row].item, draws[row].view) for row in rows])
        chosen = logits[torch.tensor(rows, device=logits.device)]
        soft = Blend(soft.planes.to(logits.device), soft.weight.to(logits.device))
        return SoftMaskLoss()(chosen, soft, field.to(logits.device))
