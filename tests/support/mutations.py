# SPDX-License-Identifier: Apache-2.0
"""Damage of files as it happens: flipped bits, lost and foreign bytes, early ends, and sizes that are lies."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

LIES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
"""Values at which counts and signs go wrong."""
HEAD_BYTES = 2048
"""Containers keep their sizes here; half of the damage goes there."""


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """Return damaged content, the same for the same state of `rng`: one kind of damage, sometimes two."""
    for _ in range(1 + int(rng.random() < 0.25)):
        if len(data) < 4:
            break
        data = _KINDS[int(rng.integers(len(_KINDS)))](data, rng)
    return data


def _place(data: bytes, rng: np.random.Generator, width: int = 1) -> int:
    last = max(1, len(data) - width)
    return int(rng.integers(min(last, HEAD_BYTES) if rng.random() < 0.5 else last))


def _flip_bits(data: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(data)
    for _ in range(int(rng.choice([1, 1, 1, 2, 8, 32]))):
        changed[_place(data, rng)] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _set_bytes(data: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(data)
    at, count = _place(data, rng), int(rng.choice([1, 2, 4, 16, 256]))
    changed[at : at + count] = rng.integers(0, 256, len(changed[at : at + count]), np.uint8).tobytes()
    return bytes(changed)


def _lie(data: bytes, rng: np.random.Generator) -> bytes:
    width = int(rng.choice([1, 2, 4]))
    value = int(rng.choice(LIES)) & ((1 << 8 * width) - 1)
    at = _place(data, rng, width)
    return data[:at] + value.to_bytes(width, "little" if rng.random() < 0.7 else "big") + data[at + width :]


def _cut(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: int(rng.integers(len(data)))]


def _remove(data: bytes, rng: np.random.Generator) -> bytes:
    at = _place(data, rng)
    return data[:at] + data[at + int(rng.choice([1, 2, 4, 64, 512])) :]


def _insert(data: bytes, rng: np.random.Generator) -> bytes:
    at = _place(data, rng)
    return data[:at] + rng.integers(0, 256, int(rng.choice([1, 2, 4, 64, 512])), np.uint8).tobytes() + data[at:]


def _repeat(data: bytes, rng: np.random.Generator) -> bytes:
    at, count = _place(data, rng), int(rng.choice([4, 64, 512]))
    return data[: at + count] + data[at : at + count] * int(rng.integers(1, 4)) + data[at + count :]


def _blank(data: bytes, rng: np.random.Generator) -> bytes:
    at, count = _place(data, rng), int(rng.choice([16, 512, 4096]))
    return data[:at] + bytes(len(data[at : at + count])) + data[at + count :]


_KINDS: tuple[Callable[[bytes, np.random.Generator], bytes], ...] = (
    _flip_bits,
    _flip_bits,
    _set_bytes,
    _lie,
    _lie,
    _cut,
    _remove,
    _insert,
    _repeat,
    _blank,
)
