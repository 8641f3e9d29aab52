# SPDX-License-Identifier: Apache-2.0
"""Spread: mean and covariance of a teacher's features over training frames, and over no others.

Frames of patients that are held out never take part: what is scored on them would know them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from vfss.errors import TrainingError


class Origin(NamedTuple):
    """Where a frame comes from.

    Attributes:
        patient: Who; a phantom's style and seed.
        frame: Which clip and frame of that patient.
    """

    patient: str
    frame: str = ""


@dataclass(frozen=True)
class Chunk:
    """A teacher's features of a few frames.

    Attributes:
        features: float (N, C, h, w).
        field: bool (N, h, w), cells that count.
        origins: Origin of each frame, N.
    """

    features: Tensor
    field: Tensor
    origins: tuple[Origin, ...]

    def __post_init__(self) -> None:
        n, _, *grid = self.features.shape
        if tuple(self.field.shape) != (n, *grid) or self.field.dtype != torch.bool or len(self.origins) != n:
            raise TrainingError(
                f"features {tuple(self.features.shape)} with a field {tuple(self.field.shape)} of {self.field.dtype} "
                f"and {len(self.origins)} origins",
                remedy="Give a bool field (N, h, w) and an origin per frame.",
            )

    def without(self, patients: Collection[str]) -> Chunk:
        """The chunk without the frames of these patients."""
        rows = [row for row, origin in enumerate(self.origins) if origin.patient not in patients]
        return Chunk(self.features[rows], self.field[rows], tuple(self.origins[row] for row in rows))


def refuse_held_out(origins: Sequence[Origin], held_out: Collection[str], what: str) -> None:
    """Stop where something is fitted on frames of patients that are held out.

    Raises:
        TrainingError: One of them is.
    """
    leaked = sorted({origin.patient for origin in origins} & set(held_out))
    if leaked:
        raise TrainingError(
            f"{what} would be fitted on frames of {len(leaked)} held-out patients, {leaked[0]!r} the first",
            remedy="Leave the frames of validation and test patients out of it.",
        )


class FeatureStatistics:
    """Mean and covariance of a teacher's features over the field of training frames, chunk by chunk, in float64.

    Chunks are centred on their own mean and then merged (Chan, Golub, LeVeque 1983): a sum of squares would lose all
    digits where the mean is far from 0.

    Attributes:
        teacher: Whose features.
        cells: How many cells were counted.
        mean: float64 (C,).
        scatter: float64 (C, C), sum of the products of deviations from the mean.
        patients: Hashes of the patients.
        frames: Hashes of the frames.
    """

    def __init__(self, teacher: str, channels: int, held_out: Collection[str]) -> None:
        """Begin with nothing.

        Args:
            teacher: Whose features.
            channels: Of the features.
            held_out: Patients of the validation and test splits, who must not take part.
        """
        self.teacher = teacher
        self.cells = 0
        self.mean = torch.zeros(channels, dtype=torch.float64)
        self.scatter = torch.zeros(channels, channels, dtype=torch.float64)
        self.patients: set[str] = set()
        self.frames: set[str] = set()
        self._held_out = frozenset(held_out)

    def add(self, chunk: Chunk) -> None:
        """Count the cells of a chunk; where it raises, nothing was counted.

        Raises:
            TrainingError: A frame is held out or was counted before, features are not finite or of other channels.
        """
        refuse_held_out(chunk.origins, self._held_out, f"the spread of {self.teacher!r}")
        frames = [hashed(*origin) for origin in chunk.origins]
        self._refuse_again(frames)
        if chunk.features.shape[1] != len(self.mean):
            raise TrainingError(f"{chunk.features.shape[1]} channels of {self.teacher!r}, not {len(self.mean)}")
        values = chunk.features.movedim(1, -1)[chunk.field].double()
        if not values.isfinite().all():
            raise TrainingError(
                f"features of {self.teacher!r} are not finite", remedy="Keep them in float32: half precision overflows."
            )
        mean = values.sum(0) / max(len(values), 1)
        centred = values - mean
        self._merge(len(values), mean.cpu(), (centred.T @ centred).cpu())
        self.frames.update(frames)
        self.patients.update(hashed(origin.patient) for origin in chunk.origins)

    def merge(self, other: FeatureStatistics) -> None:
        """Count what another process has counted.

        Raises:
            TrainingError: It is of another teacher, or holds frames that are counted here or held out here or there.
        """
        if (other.teacher, len(other.mean)) != (self.teacher, len(self.mean)):
            raise TrainingError(f"the spread of {other.teacher!r} is not one of {self.teacher!r}")
        held_out = self._held_out | other._held_out
        if {hashed(patient) for patient in held_out} & (self.patients | other.patients):
            raise TrainingError(
                f"one part of the spread of {self.teacher!r} holds patients that are held out in the other",
                remedy="Split once, and give all parts the same held-out patients.",
            )
        self._refuse_again(sorted(other.frames))
        self._merge(other.cells, other.mean, other.scatter)
        self.frames |= other.frames
        self.patients |= other.patients
        self._held_out = held_out

    def _refuse_again(self, frames: Sequence[str]) -> None:
        if len(set(frames)) < len(frames) or self.frames & set(frames):
            raise TrainingError(
                f"a frame was counted before in the spread of {self.teacher!r}",
                remedy="Count each once; give several views of one frame a name each.",
            )

    def _merge(self, cells: int, mean: Tensor, scatter: Tensor) -> None:
        if cells == 0:
            return
        total, apart = self.cells + cells, mean - self.mean
        self.scatter += scatter + torch.outer(apart, apart) * (self.cells * cells / total)
        self.mean = self.mean + apart * (cells / total)
        self.cells = total

    def covariance(self) -> Tensor:
        """Covariance of the channels, float64 (C, C).

        Raises:
            TrainingError: No cell was counted.
        """
        if self.cells == 0:
            raise TrainingError(
                f"no cell of a training frame was counted for {self.teacher!r}", remedy="Add frames with a field first."
            )
        return self.scatter / self.cells


def hashed(*parts: str) -> str:
    """What stands for a patient or a frame in a file that is passed on."""
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=10).hexdigest()
