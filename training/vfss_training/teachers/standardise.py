# SPDX-License-Identifier: Apache-2.0
"""Standardisation: brings a teacher's features to a common scale.

There are two methods, both affine and invertible: mean and standard deviation per channel, or PHI-S (Ranzinger et al.,
arXiv 2410.01680), which also rotates the features so that one scale serves all channels, and no channel that is small
in the teacher is amplified.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from scipy.fft import dct
from scipy.linalg import hadamard as sylvester
from torch import Tensor

from vfss.errors import TrainingError
from vfss.plain_data import parse_json
from vfss.student.checkpoint import write_atomically
from vfss_training.teachers.feature_statistics import FeatureStatistics, hashed

Matrix = npt.NDArray[np.float64]


def hadamard(size: int) -> Matrix | None:
    """Return an orthogonal matrix whose entries are all +-1/sqrt(size), float64 (size, size).

    It is built from the smallest core that exists, a power of two (Sylvester) or a prime of the form 4k + 3 plus one
    (Paley's first construction), doubled as often as needed: 96 = 12 x 8, 160 = 20 x 8, 384 = 12 x 32, 768 = 12 x 64.

    Returns:
        The matrix; None for sizes without this construction: odd ones, 4k + 2, and a few others such as 36.
    """
    if size < 1:
        return None
    doublings = (size & -size).bit_length() - 1
    cores = [size >> k for k in range(doublings, -1, -1)]
    core = next((core for core in cores if core in (1, 2) or _is_paley(core)), None)
    if core is None:
        return None
    small = np.asarray(sylvester(core), np.float64) if core <= 2 else _paley(core)
    return np.asarray(np.kron(sylvester(size // core), small) / math.sqrt(size), np.float64)


def _is_paley(order: int) -> bool:
    prime = order - 1
    return prime % 4 == 3 and all(prime % divisor for divisor in range(2, math.isqrt(prime) + 1))


def _paley(order: int) -> Matrix:
    """Return a Hadamard matrix of +-1 from the quadratic residues of the prime order - 1."""
    prime = order - 1
    character = np.full(prime, -1.0)
    character[np.arange(1, prime) ** 2 % prime] = 1.0
    character[0] = 0.0
    index = np.arange(prime)
    skew = np.zeros((order, order))
    skew[0, 1:], skew[1:, 0] = 1.0, -1.0
    skew[1:, 1:] = character[(index[:, None] - index[None]) % prime]
    matrix: Matrix = skew + np.eye(order)
    return matrix


def levelling(variances: npt.NDArray[np.floating]) -> Matrix:
    """Return a rotation that gives every channel the mean of the variances, float64 (C, C).

    It is a Hadamard matrix if there is one, whatever the variances. Otherwise it is a cosine transform, which mixes all
    of them into each channel, and at most C - 1 plane rotations that move the rest from a channel above the mean to one
    below it (Bendel and Mickey 1978): equally exact, but specific to these variances, with entries of unequal size.

    Args:
        variances: float (C,), along the principal axes.
    """
    matrix = hadamard(len(variances))
    return _levelled(np.asarray(variances, np.float64)) if matrix is None else matrix


def _levelled(variances: Matrix) -> Matrix:
    """Return the rotation by a cosine transform and plane rotations."""
    size = len(variances)
    rotation = np.asarray(dct(np.eye(size), norm="ortho", axis=0), np.float64)
    covariance = (rotation * variances) @ rotation.T
    mean = float(variances.mean())
    near = 1e-12 * max(float(variances.max()), np.finfo(np.float64).tiny)
    for _ in range(size - 1):
        off = np.diag(covariance) - mean
        low, high = int(off.argmin()), int(off.argmax())
        if off[low] >= -near or off[high] <= near:
            break
        between = covariance[low, high]
        tangent = (between + math.sqrt(between**2 - off[low] * off[high])) / off[high]
        cosine = 1.0 / math.sqrt(1.0 + tangent**2)
        plane = np.array([[cosine, -cosine * tangent], [cosine * tangent, cosine]])
        pair = [low, high]
        rotation[pair] = plane @ rotation[pair]
        covariance[pair] = plane @ covariance[pair]
        covariance[:, pair] = covariance[:, pair] @ plane.T
    return rotation


_FORMAT = "vfss-standard/1"
_SMALLEST_DEVIATION = 1e-3


@dataclass(frozen=True)
class FeatureScaler:
    """A common scale for a teacher's features: rotation (features - mean) / scale.

    Attributes:
        teacher: Name of the teacher.
        method: "channel" or "phi-s".
        mean: float32 (C,).
        scale: float32 (C,), divisor of the rotated features, at least 1e-3.
        rotation: float32 (C, C), orthogonal; (0, 0): features are not rotated.
        cells: Number of cells it was computed over.
        patients: Hashes of the patients of those frames, sorted.
        frames: Hash of the set of those frames.
    """

    teacher: str
    method: str
    mean: Tensor
    scale: Tensor
    rotation: Tensor
    cells: int
    patients: tuple[str, ...]
    frames: str

    def __call__(self, features: Tensor) -> Tensor:
        """Standardise features, float (N, C, ...), to float32 (N, C, ...).

        Raises:
            TrainingError: They have another number of channels.
        """
        values = self._channels_last(features) - self.mean.to(features.device)
        if self.rotation.numel():
            values = _rotated(values, self.rotation.T)
        return (values / self.scale.to(features.device)).movedim(-1, 1)

    def _channels_last(self, features: Tensor) -> Tensor:
        if features.shape[1] != len(self.mean):
            raise TrainingError(
                f"features have {features.shape[1]} channels, not {len(self.mean)} like those of {self.teacher!r}",
                remedy="Compute the statistics of this teacher again.",
            )
        return features.float().movedim(1, -1)

    def check(self, held_out: Collection[str]) -> None:
        """Refuse a training that holds out a patient whose frames were used.

        Raises:
            TrainingError: It holds out such a patient.
        """
        leaked = [patient for patient in held_out if hashed(patient) in self.patients]
        if leaked:
            raise TrainingError(
                f"the features of {self.teacher!r} were standardised on frames of {len(leaked)} held-out patients",
                remedy="Compute the statistics again over the training patients.",
            )

    def save(self, path: str | Path) -> None:
        """Write one .safetensors file, complete or not at all; it contains patients as hashes only."""
        about = {name: getattr(self, name) for name in ("teacher", "method", "cells", "patients", "frames")}
        tensors = {name: getattr(self, name).contiguous() for name in ("mean", "scale", "rotation")}
        write_atomically(path, save(tensors, metadata={"format": _FORMAT, "about": json.dumps(about)}))


def _rotated(values: Tensor, rotation: Tensor) -> Tensor:
    """Multiply values, float32 (..., C), by a rotation, in full precision whatever the training's precision is."""
    with torch.autocast(values.device.type, enabled=False):
        return values @ rotation.to(values.device)


def load_standard(path: str | Path) -> FeatureScaler:
    """Load the common scale from a file.

    Raises:
        TrainingError: There is no such file, or it is another kind of file.
    """
    try:
        with safe_open(str(path), "pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
        if header.get("format") != _FORMAT:
            raise TrainingError(f"its format is {header.get('format')!r}, not {_FORMAT!r}", path=path)
        about = parse_json(header["about"])
        about["patients"] = tuple(about["patients"])
        return FeatureScaler(**about, **tensors)
    except (OSError, SafetensorError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise TrainingError(
            f"not readable as a teacher's standardisation ({error})", path=path, remedy="Compute the statistics again."
        ) from error


def per_channel(statistics: FeatureStatistics) -> FeatureScaler:
    """Return the scale that gives each channel mean 0 and standard deviation 1."""
    scale = statistics.covariance().diagonal().sqrt()
    return _scaler(statistics, "channel", scale, torch.zeros(0, 0))


def phi_s(statistics: FeatureStatistics) -> FeatureScaler:
    """Return the PHI-S scale: principal axes rotated so that all channels have one variance and one divisor."""
    variances, axes = torch.linalg.eigh(statistics.covariance())
    variances = variances.clamp(min=0.0)
    # The sign of an axis is arbitrary: its largest entry is made positive, so that all machines agree.
    axes = axes * axes.gather(0, axes.abs().argmax(0, keepdim=True)).sign()
    rotation = torch.from_numpy(levelling(variances.numpy())) @ axes.T
    return _scaler(statistics, "phi-s", variances.mean().sqrt().expand(len(variances)), rotation)


def _scaler(statistics: FeatureStatistics, method: str, scale: Tensor, rotation: Tensor) -> FeatureScaler:
    return FeatureScaler(
        teacher=statistics.teacher,
        method=method,
        mean=statistics.mean.float(),
        scale=scale.clamp(min=_SMALLEST_DEVIATION).float(),
        rotation=rotation.float(),
        cells=statistics.cells,
        patients=tuple(sorted(statistics.patients)),
        frames=hashed(*sorted(statistics.frames)),
    )


STANDARDS: dict[str, Callable[[FeatureStatistics], FeatureScaler]] = {"channel": per_channel, "phi-s": phi_s}
"""Methods of standardisation by name."""
