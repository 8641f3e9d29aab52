# SPDX-License-Identifier: Apache-2.0
"""Streaming mean and covariance of a teacher's features over training frames.

Frames of held-out patients are refused: scores on them would otherwise depend on features fitted to them.
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
    """Patient and frame that features come from.

    Attributes:
        patient: Patient; of a phantom its style and seed.
        frame: Clip and frame of that patient.
    """

    patient: str
    frame: str = ""


@dataclass(frozen=True)
class Chunk:
    """A teacher's features of a few frames.

    Attributes:
        features: float (N, C, h, w).
        field: bool (N, h, w), exposed field: the cells that count.
        origins: Origin of each frame, N.
    """

    features: Tensor
    field: Tensor
    origins: tuple[Origin, ...]

    def __post_init__(self) -> None:
        n, _, *grid = self.features.shape
        if tuple(self.field.shape) != (n, *grid) or self.field.dtype != torch.bool or len(self.origins) != n:
            raise TrainingError(
                f"features {tuple(self.features.shape)} with an exposed field {tuple(self.field.shape)} of "
                f"{self.field.dtype} and {len(self.origins)} origins",
                remedy="Give an exposed field, bool (N, h, w), and an origin per frame.",
            )


def refuse_held_out(origins: Sequence[Origin], held_out: Collection[str], what: str) -> None:
    """Refuse to fit anything on frames of held-out patients.

    Args:
        origins: Origin of each frame.
        held_out: Held-out patients.
        what: What would be fitted, for the message.

    Raises:
        TrainingError: A frame is of a held-out patient.
    """
    leaked = sorted({origin.patient for origin in origins} & set(held_out))
    if leaked:
        raise TrainingError(
            f"{what} would be fitted on frames of {len(leaked)} held-out patients, {leaked[0]!r} the first",
            remedy="Leave out the frames of validation and test patients.",
        )


class FeatureStatistics:
    """Mean and covariance of a teacher's features in the exposed field of training frames, chunk by chunk, in float64.

    Chunks are centred on their own mean and then merged (Chan, Golub, LeVeque 1983): a sum of squares would lose all
    digits if the mean is far from 0.

    Attributes:
        teacher: Name of the teacher.
        cells: Number of cells.
        mean: float64 (C,).
        scatter: float64 (C, C), sum of the products of deviations from the mean.
        patients: Hashes of the patients.
        frames: Hashes of the frames.
    """

    def __init__(self, teacher: str, channels: int, held_out: Collection[str]) -> None:
        """Start without cells.

        Args:
            teacher: Name of the teacher.
            channels: Channels of the features.
            held_out: Patients of the validation and test splits, whose frames are refused.
        """
        self.teacher = teacher
        self.cells = 0
        self.mean = torch.zeros(channels, dtype=torch.float64)
        self.scatter = torch.zeros(channels, channels, dtype=torch.float64)
        self.patients: set[str] = set()
        self.frames: set[str] = set()
        self._held_out = frozenset(held_out)

    def add(self, chunk: Chunk) -> None:
        """Add the cells of a chunk; if it raises, none was added.

        Raises:
            TrainingError: A frame is held out or was added before, features are not finite or have other channels.
        """
        refuse_held_out(chunk.origins, self._held_out, f"the feature statistics of {self.teacher!r}")
        frames = [hashed(*origin) for origin in chunk.origins]
        self._refuse_repeated(frames)
        if chunk.features.shape[1] != len(self.mean):
            raise TrainingError(
                f"features of {self.teacher!r} have {chunk.features.shape[1]} channels, not {len(self.mean)}"
            )
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
        """Add the statistics of another process.

        Raises:
            TrainingError: They are of another teacher, or a frame is in both or held out in either.
        """
        if (other.teacher, len(other.mean)) != (self.teacher, len(self.mean)):
            raise TrainingError(f"the feature statistics of {other.teacher!r} are not of {self.teacher!r}")
        held_out = self._held_out | other._held_out
        if {hashed(patient) for patient in held_out} & (self.patients | other.patients):
            raise TrainingError(
                f"one part of the feature statistics of {self.teacher!r} includes patients that the other holds out",
                remedy="Split once, and give all parts the same held-out patients.",
            )
        self._refuse_repeated(sorted(other.frames))
        self._merge(other.cells, other.mean, other.scatter)
        self.frames |= other.frames
        self.patients |= other.patients
        self._held_out = held_out

    def _refuse_repeated(self, frames: Sequence[str]) -> None:
        if len(set(frames)) < len(frames) or self.frames & set(frames):
            raise TrainingError(
                f"a frame was added twice to the feature statistics of {self.teacher!r}",
                remedy="Add each frame once; give several views of one frame a name each.",
            )

    def _merge(self, cells: int, mean: Tensor, scatter: Tensor) -> None:
        if cells == 0:
            return
        total, shift = self.cells + cells, mean - self.mean
        self.scatter += scatter + torch.outer(shift, shift) * (self.cells * cells / total)
        self.mean = self.mean + shift * (cells / total)
        self.cells = total

    def covariance(self) -> Tensor:
        """Return the covariance of the channels, float64 (C, C).

        Raises:
            TrainingError: No cell was added.
        """
        if self.cells == 0:
            raise TrainingError(
                f"no cell of a training frame was added for {self.teacher!r}",
                remedy="Add frames with an exposed field.",
            )
        return self.scatter / self.cells


def hashed(*parts: str) -> str:
    """Return a hash that replaces a patient or a frame in files that are passed on."""
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=10).hexdigest()
