# SPDX-License-Identifier: Apache-2.0
"""Phantom frames as a stream: each is rendered when it is asked for, and as many as fit a bound are kept on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import vfss.phantom
from vfss.masks import BoolArray
from vfss.phantom_fingerprint import phantom_source
from vfss.schema import Schema
from vfss_training.data.samples import FrameArray, Sample

PHANTOM_SCHEMA = "vfss12"
HIDDEN = 0.2
"""Weight of phantom planes that are empty because the structure is hidden or outside the picture."""
GIGABYTE = 10**9
_CLIP_FRAMES = 60
_GOLDEN = 0.6180339887498949


@dataclass(frozen=True)
class Disk:
    """What a stream may take up on disk.

    Attributes:
        folder: Where its frames lie.
        frames: Frames of the stream.
        kept: How many of them stay on disk; the others are rendered again each time.
        bytes: Size when all of those are there.
        filled_bytes: Size now.
        others_bytes: What lies beside it: frames of other phantoms, sizes and seeds, which nothing here removes.
    """

    folder: str
    frames: int
    kept: int
    bytes: int
    filled_bytes: int
    others_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """Plain data for an event."""
        return asdict(self)


class PhantomSamples:
    """Phantom frames by seed, of several styles mixed by weight.

    Several processes may fill one folder: a frame is marked as there after it was written, and rendering it twice gives
    the same bytes. The folder is named after what the frames depend on, the phantom's own source included.

    Attributes:
        source: Hash of the phantom's source.
        key: Hash of all that the frames depend on.
        size: Side of the frames, px.
    """

    def __init__(
        self,
        folder: Path,
        schema: Schema,
        *,
        styles: Mapping[str, float],
        first_seed: int,
        n: int,
        size: int,
        kept_bytes: int | None = None,
    ) -> None:
        """Open or begin the files of frames first_seed .. first_seed + n - 1.

        Args:
            folder: Where caches lie.
            schema: Structures wanted, in their order; those the phantom lacks are unknown.
            styles: Weight of each style of the phantom, above 0.
            first_seed: Seed of frame 0.
            n: Number of frames.
            size: Side of the frames, px.
            kept_bytes: Most that may lie on disk; None: no bound, 0: nothing is kept.
        """
        drawn = Schema.load(PHANTOM_SCHEMA)
        self._first_seed, self._n, self.size = first_seed, n, size
        self._styles = tuple(styles)
        self._bounds = np.cumsum([styles[name] for name in self._styles]) / sum(styles.values())
        self._planes = [drawn[key].index if key in drawn.keys else -1 for key in schema.keys]
        self._depth = -(-len(drawn) // 8)
        self._n_drawn = len(drawn)
        self.source = phantom_source()
        key = json.dumps([self.source, _CLIP_FRAMES, first_seed, size, dict(styles)])
        self.key = hashlib.blake2b(key.encode(), digest_size=10).hexdigest()
        each = (1 + self._depth) * size**2 + self._n_drawn + 1
        self._kept = n if kept_bytes is None else min(n, kept_bytes // each)
        self._bytes = self._kept * each
        self._folder = folder / self.key
        if self._kept:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._grow()

    def _grow(self) -> None:
        """Make the files long enough."""
        for name, item in (("frames", 1), ("planes", self._depth)):
            _lengthen(self._folder / name, self._kept * item * self.size**2)
        _lengthen(self._folder / "ready", self._kept)
        _lengthen(self._folder / "visible", self._kept * self._n_drawn)

    def _map(self, name: str, *shape: int) -> npt.NDArray[np.uint8]:
        """File as uint8 (kept, *shape); mapped anew at each use, so that worker processes share but the file."""
        return np.memmap(self._folder / name, np.uint8, "r+", shape=(self._kept, *shape))

    @property
    def disk(self) -> Disk:
        """What it takes up, and may come to take up."""
        own, others = _filled(self._folder), _filled(self._folder.parent)
        return Disk(str(self._folder), self._n, self._kept, self._bytes, own, others - own)

    def style(self, i: int) -> str:
        """Style of frame i: a golden-ratio sequence, so that any stretch of frames has the mixture."""
        return self._styles[int(np.searchsorted(self._bounds, (0.5 + i * _GOLDEN) % 1.0, "right"))]

    def patient(self, i: int) -> str:
        """Whose frame i is: every frame of a stream is another patient's."""
        return f"phantom {self.style(i)} {self._first_seed + i}"

    def __len__(self) -> int:
        """Number of frames."""
        return self._n

    def __getitem__(self, i: int) -> Sample:
        """Frame i with all planes."""
        frame, packed, visible = self._kept_frame(i) if i < self._kept else self._drawn(i)
        known = [0.0 if plane < 0 else (1.0 if visible[plane] else HIDDEN) for plane in self._planes]
        return Sample(frame, self._ordered(packed), np.array(known, np.float32), (0, 0, self.size, self.size))

    def _drawn(self, i: int) -> tuple[FrameArray, npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        """Frame, packed planes and visibility of frame i, rendered now."""
        frame, planes, visible = draw_phantom(self._first_seed + i, self.size, self.style(i))
        return frame, np.packbits(planes, axis=0), visible.astype(np.uint8)

    def _kept_frame(self, i: int) -> tuple[FrameArray, npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        """The same from disk, rendered and written where it is not there yet."""
        size = self.size
        frames, planes = self._map("frames", size, size), self._map("planes", self._depth, size, size)
        ready, visible = self._map("ready"), self._map("visible", self._n_drawn)
        if not ready[i]:
            frames[i], planes[i], visible[i] = self._drawn(i)
            ready[i] = 1
        return np.array(frames[i]), np.array(planes[i]), np.array(visible[i])

    def _ordered(self, packed: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Planes in the order of the wanted schema, packed again where that differs."""
        if self._planes == list(range(self._n_drawn)):
            return packed
        drawn = np.unpackbits(packed, axis=0, count=self._n_drawn)
        blank = np.zeros(packed.shape[1:], np.uint8)
        return np.packbits(np.stack([drawn[plane] if plane >= 0 else blank for plane in self._planes]), axis=0)


def draw_phantom(seed: int, size: int, style: str) -> tuple[FrameArray, BoolArray, BoolArray]:
    """A frame of a random clip at a random time: uint8 (size, size), planes bool (S, size, size), visible bool (S,)."""
    phantom = vfss.phantom.Phantom(seed, n_frames=_CLIP_FRAMES, height=size, width=size, style=style)
    return phantom.sample(int(np.random.default_rng((seed, 1)).integers(_CLIP_FRAMES)))


def _lengthen(path: Path, size: int) -> None:
    """Make a file at least that long; holes cost nothing until they are filled."""
    with path.open("ab") as file:
        if file.tell() < size:
            file.truncate(size)


def _filled(folder: Path) -> int:
    """Bytes that the files below a folder occupy, holes not counted."""
    stats = [path.stat() for path in folder.rglob("*") if path.is_file()]
    return sum(getattr(stat, "st_blocks", stat.st_size // 512) * 512 for stat in stats)
