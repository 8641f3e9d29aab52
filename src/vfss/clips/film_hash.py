# SPDX-License-Identifier: Apache-2.0
"""Perceptual hash of a film, by which the same film is found again after it was encoded anew or resized.

Frames at the same shares of the length are shrunk to small pictures. Of each the signs of the lowest frequencies of its
discrete cosine transform are kept (pHash), and the same of what changes between them: patients in one frame look alike
at rest, but no two of them swallow alike. Single pictures have no hash: head films of different people differ in as few
of the lowest frequencies as copies of one film do (benchmarks/duplicates.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import numpy.typing as npt
from PIL import Image

from vfss.clips.clip import Clip
from vfss.errors import ClipError

FRAMES = 8
"""Frames of a film that are looked at, evenly spaced."""
MOST_STILL, MOST_MOTION = 0.10, 0.20
"""Shares of bits that may differ between hashes of the same film, of the pictures and of what changes between them."""
_SMALL = 32  # px, side of the small pictures
_LOWEST = 8  # frequencies along each side that are kept, as in pHash
_BYTES = FRAMES * _LOWEST * _LOWEST // 8  # of the pictures, and as many of the changes

FloatArray = npt.NDArray[np.float32]


def film_hash(clip: Clip) -> str | None:
    """Return the hash of a clip as hexadecimal digits; None for one that cannot be told from others.

    It has fewer than FRAMES frames, or nothing changes in them, or one of those looked at cannot be decoded.

    Args:
        clip: The clip; FRAMES of its frames are decoded.
    """
    if clip.n_frames < FRAMES:
        return None
    try:
        pictures = [clip.as_uint8(t) for t in looked_at(clip.n_frames)]
    except ClipError:
        return None
    if all(np.array_equal(picture, pictures[0]) for picture in pictures):
        return None
    return hash_of_frames(pictures)


def looked_at(n_frames: int) -> list[int]:
    """Return the frames of a film that are looked at: in the middle of equal parts, ascending."""
    return [min(n_frames - 1, int((part + 0.5) * n_frames / FRAMES)) for part in range(FRAMES)]


def hash_of_frames(frames: list[npt.NDArray[np.uint8]]) -> str:
    """Return the hash of FRAMES frames of a film, uint8 (H, W) each."""
    size = (_SMALL, _SMALL)
    small = np.stack(
        [np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BOX), np.float32) for frame in frames]
    )
    return (_signs(small) + _signs(small - small.mean(axis=0))).hex()


def distance(one: str, other: str) -> tuple[float, float]:
    """Return the shares of bits in which two hashes differ, 0..1: of the pictures, and of what changes between them.

    Args:
        one: A hash.
        other: A hash; where it or the first one is not as film_hash returns it, they differ in all bits.
    """
    try:
        bits = [np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8)) for text in (one, other)]
    except ValueError:
        return 1.0, 1.0
    if any(len(kept) != 16 * _BYTES for kept in bits):
        return 1.0, 1.0
    differs = bits[0] != bits[1]
    return float(differs[: 8 * _BYTES].mean()), float(differs[8 * _BYTES :].mean())


def is_same_film(one: str, other: str) -> bool:
    """Return whether two hashes are of the same film."""
    still, motion = distance(one, other)
    return still <= MOST_STILL and motion <= MOST_MOTION


def same_film(hashes: Mapping[str, str]) -> list[frozenset[str]]:
    """Return groups of two or more clips that are the same film, each with the ids of its clips.

    Args:
        hashes: Hashes by the id of the clip.
    """
    group = {clip: {clip} for clip in hashes}
    for one, other in combinations(hashes, 2):
        if group[one] is not group[other] and is_same_film(hashes[one], hashes[other]):
            joined = group[one] | group[other]
            group |= dict.fromkeys(joined, joined)
    return [frozenset(clips) for clips in {id(found): found for found in group.values()}.values() if len(clips) > 1]


def _signs(small: FloatArray) -> bytes:
    """Return which of the lowest frequencies of each picture, float32 (N, S, S), lie above their median, packed."""
    from scipy.fft import dctn  # takes longer to import than the command line to start

    frequencies = dctn(small, axes=(1, 2), norm="ortho")[:, :_LOWEST, :_LOWEST].reshape(len(small), -1)
    frequencies[:, 0] = 0  # the mean brightness, which encoders and windows change
    above = frequencies > np.median(frequencies, axis=1, keepdims=True)
    return np.packbits(above).tobytes()
