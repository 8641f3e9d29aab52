# SPDX-License-Identifier: Apache-2.0
"""The same film is found again after it was encoded anew and resized; other people's are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from vfss.clips import ArrayClip, open_clip
from vfss.clips.film_hash import FRAMES, film_hash, is_same_film, same_film
from vfss.phantom import Phantom, write_video


def hash_of(frames: np.ndarray) -> str:
    found = film_hash(ArrayClip(frames))
    assert found is not None
    return found


def film(seed: int) -> np.ndarray:
    phantom = Phantom(seed, n_frames=16, height=96, width=96)
    return np.stack([phantom.frame(t) for t in range(16)])


def test_a_film_is_found_again_as_video_and_smaller(tmp_path: Path) -> None:
    phantom = Phantom(5, n_frames=16, height=96, width=96)
    write_video(phantom, tmp_path / "a.mp4")
    with open_clip(tmp_path / "a.mp4") as clip:
        encoded = film_hash(clip)
    original = film(5)
    small = np.stack([np.asarray(Image.fromarray(frame).resize((64, 64))) for frame in original])
    hashes = {"film": hash_of(original), "video": encoded or "", "small": hash_of(small)}
    hashes |= {str(seed): hash_of(film(seed)) for seed in range(6, 10)}
    assert same_film(hashes) == [frozenset({"film", "video", "small"})]


def test_what_cannot_be_told_apart_has_no_hash() -> None:
    assert film_hash(ArrayClip(film(5)[: FRAMES - 1])) is None
    assert film_hash(ArrayClip(np.repeat(film(5)[:1], FRAMES, axis=0))) is None


def test_a_damaged_hash_is_of_no_film() -> None:
    good = hash_of(film(5))
    assert is_same_film(good, good)
    for damaged in ("", "zz", good[:-2]):
        assert not is_same_film(good, damaged)
