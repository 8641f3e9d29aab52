# SPDX-License-Identifier: Apache-2.0
"""Soft targets: what teachers of masks paint together on views of frames that nobody has painted, kept on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from vfss_training.data.augment import TeacherViews
from vfss_training.data.samples import FrameArray, FrameStream, Sample
from vfss_training.loop.batches import Draw
from vfss_training.loop.soft_masks import Blend, SoftMaskLoss, blend, mutual_agreement
from vfss_training.teachers.targets import textured

_AT_ONCE = 4
_WHOLE = 255.0
_HALF = 0.5
_LEVELS = 255
_STRICTNESS = 4.0
"""Power of a painter's worth, beside the blend's own: one that is clearly worse spoils what a better one says."""
_VERSION = 3  # of how masks are blended and trusted


class MaskTeacher(Protocol):
    """Something that was taught the structures and paints them.

    Attributes:
        key: Hash of all that its masks depend on.
        grid: Side of its masks, px.
    """

    @property
    def key(self) -> str:
        """Hash of its weights."""

    @property
    def grid(self) -> int:
        """Side of its masks."""

    def masks(self, frames: Tensor, places: Sequence[tuple[int, int]]) -> Tensor:
        """Sigmoid of each structure, float32 (N, S, grid, grid).

        Args:
            frames: uint8 (N, size, size).
            places: Frame and view of each in the stream they are of.
        """


class SoftTargets:
    """Blended soft masks of views of the first frames of a stream, in a folder named after all they depend on.

    Each plane has a trust, the teachers' mean agreement on it, which is its weight: where they paint different things
    there is little to learn from their mean.

    Attributes:
        frames: How many first frames have targets.
        bytes: Size on disk when all are there.
        folder: Where they lie.
    """

    def __init__(
        self,
        folder: Path,
        teachers: Sequence[MaskTeacher],
        samples: FrameStream,
        *,
        structures: int,
        frames: int,
        showing: TeacherViews,
        agreement: Tensor | None = None,
    ) -> None:
        """Open or begin; nothing is computed or written yet.

        Args:
            folder: Where caches lie.
            teachers: At least one; masks of other sizes are brought to the first one's.
            samples: The frames.
            structures: How many.
            frames: How many of them, from the first on.
            showing: Which views of each.
            agreement: float (T, S), how far each teacher agrees with what people painted, 0..1; None: unknown, and they
                weigh as they agree with each other.
        """
        self._agreement = agreement
        self._teachers, self._samples, self._showing = tuple(teachers), samples, showing
        self._structures, self._grid = structures, teachers[0].grid
        self.frames = min(frames, len(samples))
        self._n = self.frames * showing.views
        worth = None if agreement is None else [round(value, 4) for value in agreement.flatten().tolist()]
        whole = [_VERSION, [teacher.key for teacher in teachers], worth, self._grid, samples.key, showing.key]
        key = json.dumps(whole)
        self.folder = folder / f"masks-{hashlib.blake2b(key.encode(), digest_size=10).hexdigest()}"
        self.bytes = self._n * (structures * (self._grid**2 + 1) + self._grid**2 + 1)

    def missing(self) -> list[int]:
        """Views whose masks are still to be painted, by number: all first views come first."""
        if not (self.folder / "ready").is_file():
            return list(range(self._n))
        ready = np.fromfile(self.folder / "ready", np.uint8)[: self._n]
        return [*np.flatnonzero(ready == 0).tolist(), *range(len(ready), self._n)]

    def prepare(self, tick: Callable[[int, int], None]) -> None:
        """Paint what is missing, so that it can be broken off and taken up again.

        Args:
            tick: Called with views done and in all before each step; may raise to stop.
        """
        missing = self.missing()
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, (_, shape) in self._files().items():
            with (self.folder / name).open("ab") as file:
                if file.tell() < self._n * int(np.prod(shape)):
                    file.truncate(self._n * int(np.prod(shape)))
        for start in range(0, len(missing), _AT_ONCE):
            tick(self._n - len(missing) + start, self._n)
            self._paint(missing[start : start + _AT_ONCE])
        tick(self._n, self._n)

    def _paint(self, numbers: Sequence[int]) -> None:
        frames = torch.from_numpy(np.stack([self._frame(number) for number in numbers]))
        field = textured(frames, self._grid)
        places = [(number % self.frames, number // self.frames) for number in numbers]
        masks = torch.stack([self._sized(teacher.masks(frames, places)) for teacher in self._teachers])
        knows = torch.ones(len(masks), self._structures, dtype=torch.bool)
        agreement = mutual_agreement(masks, knows, field)
        worth = torch.ones_like(agreement)
        if self._agreement is not None:
            worth = self._agreement[:, None].expand_as(agreement)
        counts = agreement if self._agreement is None else worth.pow(_STRICTNESS)
        said = blend(masks, counts, knows)
        # A painter that is worth little is to be trusted little, also where it is alone or all are of one mind.
        trust = (counts * worth * agreement).sum(0) / counts.sum(0).clamp(min=1e-9)
        found = {
            "planes": (said.planes * _LEVELS).round().to(torch.uint8).numpy(),
            "trust": (trust * _LEVELS).round().to(torch.uint8).numpy(),
            "field": field.to(torch.uint8).numpy(),
            "ready": np.ones(len(numbers), np.uint8),
        }
        kept = {name: self._map(name) for name in found}
        for row, number in enumerate(numbers):
            for name, values in found.items():
                kept[name][number] = values[row]

    def _sized(self, masks: Tensor) -> Tensor:
        """Masks at the size that is kept."""
        masks = masks.float().cpu()
        if masks.shape[-1] == self._grid:
            return masks
        return functional.interpolate(masks, (self._grid, self._grid), mode="bilinear")

    def _frame(self, number: int) -> FrameArray:
        view, item = divmod(number, self.frames)
        return np.ascontiguousarray(self._showing(self._samples[item], item, view).frame)

    def _files(self) -> dict[str, tuple[type, tuple[int, ...]]]:
        """Type and shape of what each file holds of one view."""
        grid, s = self._grid, self._structures
        shapes = {"planes": (s, grid, grid), "trust": (s,), "field": (grid, grid), "ready": ()}
        return {name: (np.uint8, shape) for name, shape in shapes.items()}

    def _map(self, name: str) -> npt.NDArray[np.uint8]:
        """A file as an array (views, ...), mapped anew at each use; "ready" is written last."""
        kind, shape = self._files()[name]
        found: npt.NDArray[np.uint8] = np.memmap(self.folder / name, kind, "r+", shape=(self._n, *shape))
        return found

    def batch(self, places: Sequence[tuple[int, int]]) -> tuple[Blend, Tensor]:
        """Soft masks, planes float32 (N, S, grid, grid) and weight float32 (N, S), and field, bool (N, grid, grid).

        Args:
            places: Frame and view of each.
        """
        rows = np.array([view * self.frames + item for item, view in places])
        planes = torch.from_numpy(np.array(self._map("planes")[rows])).float() / _WHOLE
        trust = torch.from_numpy(np.array(self._map("trust")[rows])).float() / _WHOLE
        field = torch.from_numpy(np.array(self._map("field")[rows])) > 0
        return Blend(planes, trust), field


class PseudoLabelled:
    """Frames that nobody has painted, with what teachers painted on them as if it were known, as far as it is trusted.

    They can be moved as they come, which the soft masks of a view that is kept cannot.
    """

    def __init__(self, film: FrameStream, targets: SoftTargets) -> None:
        """The frames of that film; those beyond the targets have no plane known."""
        self._film, self._targets = film, targets

    def __len__(self) -> int:
        """How many."""
        return len(self._film)

    def __getitem__(self, i: int) -> Sample:
        """Frame i with painted planes."""
        sample = self._film[i]
        bits, known = np.zeros_like(sample.bits), np.zeros_like(sample.known)
        if i < self._targets.frames:
            said, _ = self._targets.batch([(i, 0)])
            size = (sample.frame.shape[0], sample.frame.shape[1])
            planes = functional.interpolate(said.planes, size, mode="bilinear")[0] > _HALF
            bits, known = np.packbits(planes.numpy(), axis=0), said.weight[0].numpy()
        return replace(sample, bits=bits, known=known)


@dataclass(frozen=True)
class MaskTargets:
    """What teachers of masks have to say.

    Attributes:
        targets: Masks of the first frames of one source.
        source: Number of that source.
    """

    targets: SoftTargets
    source: int

    @property
    def frames(self) -> int:
        """Number of first frames of the source that have soft masks."""
        return self.targets.frames

    def loss(self, logits: Tensor, draws: Sequence[Draw]) -> Tensor | None:
        """Loss of the views in a batch that were painted; None where there is none.

        Args:
            logits: float (N, S, h, w) of the student.
            draws: What the batch is made of.
        """
        rows = [row for row, draw in enumerate(draws) if draw.view >= 0 and draw.source == self.source]
        if not rows:
            return None
        said, field = self.targets.batch([(draws[row].item, draws[row].view) for row in rows])
        chosen = logits[torch.tensor(rows, device=logits.device)]
        there = Blend(said.planes.to(logits.device), said.weight.to(logits.device))
        return SoftMaskLoss()(chosen, there, field.to(logits.device))
