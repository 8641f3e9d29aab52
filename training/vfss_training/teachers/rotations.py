# SPDX-License-Identifier: Apache-2.0
"""Rotations after which every channel has the same variance: Hadamard matrices, or what stands in for them."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.fft import dct
from scipy.linalg import hadamard as sylvester

Matrix = npt.NDArray[np.float64]


def hadamard(size: int) -> Matrix | None:
    """Orthogonal matrix whose entries are all +-1/sqrt(size), float64 (size, size).

    Built from the smallest core that exists, a power of two (Sylvester) or a prime of the form 4k + 3 plus one (Paley's
    first construction), doubled as often as needed: 96 = 12 x 8, 160 = 20 x 8, 384 = 12 x 32, 768 = 12 x 64.

    Returns:
        None where this finds none: odd sizes, 4k + 2, and a few others such as 36.
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
    """Hadamard matrix of +-1 from the quadratic residues of the prime order - 1."""
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
    """Rotation that gives every channel the mean of the variances, float64 (C, C).

    Hadamard's where there is one, whatever the variances. Else a cosine transform, which mixes all of them into each
    channel, and at most C - 1 plane rotations that move what is left from a channel above the mean to one below it
    (Bendel and Mickey 1978): as exact, but made for these variances, and its entries are of unequal size.

    Args:
        variances: float (C,), along the principal axes.
    """
    found = hadamard(len(variances))
    return _levelled(np.asarray(variances, np.float64)) if found is None else found


def _levelled(variances: Matrix) -> Matrix:
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
        turn = np.array([[cosine, -cosine * tangent], [cosine * tangent, cosine]])
        pair = [low, high]
        rotation[pair] = turn @ rotation[pair]
        covariance[pair] = turn @ covariance[pair]
        covariance[:, pair] = covariance[:, pair] @ turn.T
    return rotation
