# SPDX-License-Identifier: Apache-2.0
"""Phantom frames as a stream: rendered when they are needed, and kept on disk up to a size limit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import vfss.phantom
from vfss.landmarks import LANDMARKS
from vfss.masks import BoolArray
from vfss.phantom.meshes import load_meshes
from vfss.phantom.style import style_named
from vfss.phantom_fingerprint import phantom_source
from vfss.schema import Schema
from vfss_training.data.array_store import ArrayStore, RowLayout, row_bytes
from vfss_training.data.samples import FrameArray, Sample

PHANTOM_SCHEMA = "vfss12"
HIDDEN = 0.2
"""Usual weight of phantom planes that are empty because the structure is hidden or outside the picture."""
GIGABYTE = 10**9
DISC = 0.013
"""Radius of the discs that stand for landmarks, as a share of the side."""
MOST_FRAMES = 8
"""Most frames of one clip in a stream."""
_CLIP_FRAMES = 60
_GOLDEN = 0.6180339887498949
_BLOCK = 256  # seeds in one folder of the cache: few enough for file systems that fill the holes of a file


@dataclass(frozen=True)
class Disk:
    """Disk space of a stream.

    Attributes:
        folder: Folder of its frames.
        frames: Frames of the stream.
        kept: How many of them are kept on disk; the others are rendered again each time.
        bytes: Size when all of those are there.
        filled_bytes: Size of the folder now, frames of other streams included.
        others_bytes: Size of the neighbouring folders: frames of other phantoms and sizes. They are never removed
            automatically.
    """

    folder: str
    frames: int
    kept: int
    bytes: int
    filled_bytes: int
    others_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for an event."""
        return asdict(self)


class PhantomSamples:
    """Phantom frames by seed, of several styles mixed by weight.

    Several processes may fill one folder: a frame is marked as ready after it was written, and rendering it twice gives
    the same bytes. The folder is named after the phantom's own source and the size; in it a frame has its place by
    style, seed and number in its clip, so that streams of other lengths, weights and first seeds share what is there.

    Attributes:
        source: Hash of the phantom's source, and of the file of meshes where a style needs it.
        key: Hash of all that the stream depends on.
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
        hidden: float = HIDDEN,
        frames_per_clip: int = 1,
    ) -> None:
        """Open or create the files of a stream.

        Args:
            folder: Folder of all caches.
            schema: Structures to return, in their order; those that the phantom lacks are unknown.
            styles: Weight of each style of the phantom, above 0.
            first_seed: Seed of the first clip; each further one has the next seed.
            n: Number of frames.
            size: Side of the frames, px.
            kept_bytes: Limit of the size on disk; None: no limit, 0: nothing is kept.
            hidden: Weight of planes that are empty because the structure is hidden or outside the picture.
            frames_per_clip: Frames of each clip, 1..MOST_FRAMES, spread over its time: they cost less than as many
                clips, as what does not move is drawn once.

        Raises:
            TrainingError: The folder cannot be written to.
            VfssError: A style needs meshes, and there are none.
        """
        rendered = Schema.load(PHANTOM_SCHEMA)
        self._first_seed, self._n, self.size, self._hidden = first_seed, n, size, hidden
        self._styles = tuple(styles)
        self._bounds = np.cumsum([styles[name] for name in self._styles]) / sum(styles.values())
        self._planes = [rendered[key].index if key in rendered.keys else -1 for key in schema.keys]
        self._n_rendered = len(rendered)
        self._per_clip = frames_per_clip
        self.source = _source(styles)
        depends = [self.source, _CLIP_FRAMES, size, DISC, len(LANDMARKS)]
        stream = [*depends, first_seed, dict(styles), frames_per_clip]
        self.key = hashlib.blake2b(json.dumps(stream).encode(), digest_size=10).hexdigest()
        self._folder = folder / hashlib.blake2b(json.dumps(depends).encode(), digest_size=10).hexdigest()
        self._arrays = {
            "frames": RowLayout(np.uint8, (size, size)),
            "planes": RowLayout(np.uint8, (-(-(self._n_rendered + len(LANDMARKS)) // 8), size, size)),
            "visible": RowLayout(np.uint8, (self._n_rendered,)),
        }
        self._blocks: dict[Path, ArrayStore] = {}
        self._n_kept = n if kept_bytes is None else min(n, kept_bytes // row_bytes(self._arrays))
        if self._n_kept:
            self._place(0)

    @property
    def disk(self) -> Disk:
        """Disk space that the stream takes up, and may come to take up."""
        own, others = _filled_bytes(self._folder), _filled_bytes(self._folder.parent)
        size = self._n_kept * row_bytes(self._arrays)
        return Disk(str(self._folder), self._n, self._n_kept, size, own, others - own)

    def style(self, i: int) -> str:
        """Return the style of frame i: a golden-ratio sequence, so that any stretch of seeds has the mixture."""
        return self._styles[int(np.searchsorted(self._bounds, (0.5 + self._seed(i) * _GOLDEN) % 1.0, "right"))]

    def patient(self, i: int) -> str:
        """Return the patient of frame i: every clip of a stream is of another one."""
        return f"phantom {self.style(i)} {self._seed(i)}"

    def _seed(self, i: int) -> int:
        """Return the seed of the clip of frame i."""
        return self._first_seed + i // self._per_clip

    def _place(self, i: int) -> tuple[ArrayStore, int]:
        """Return where frame i is kept: the files, made where they are missing, and the row."""
        block, row = divmod(self._seed(i), _BLOCK)
        folder = self._folder / f"{self.style(i)}-{block:04d}-{i % self._per_clip}"
        if folder not in self._blocks:
            store = ArrayStore(folder, _BLOCK, self._arrays)
            store.create()
            self._blocks[folder] = store
        return self._blocks[folder], row

    def __len__(self) -> int:
        """Return the number of frames."""
        return self._n

    def __getitem__(self, i: int) -> Sample:
        """Return frame i with all planes."""
        frame, packed, visible = self._kept(i) if i < self._n_kept else self._rendered(i, self._clip(i))
        known = [0.0 if plane < 0 else (1.0 if visible[plane] else self._hidden) for plane in self._planes]
        window = (0, 0, self.size, self.size)
        return Sample(frame, self._ordered(packed), np.array(known, np.float32), window, len(LANDMARKS))

    def _clip(self, i: int) -> vfss.phantom.Phantom:
        """Return the clip of frame i."""
        return _clip(self._seed(i), self.size, self.style(i))

    def _rendered(
        self, i: int, phantom: vfss.phantom.Phantom
    ) -> tuple[FrameArray, npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        """Render frame i: frame, packed planes of structures and landmarks, and visibility of structures."""
        t = _time(self._seed(i), i % self._per_clip)
        frame, planes, visible = phantom.sample(t)
        discs = landmark_discs(phantom.landmarks(t), self.size)
        return frame, np.packbits(np.concatenate([planes, discs]), axis=0), visible.astype(np.uint8)

    def _kept(self, i: int) -> tuple[FrameArray, npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        """Return the same from disk; render and write all frames of its clip first if it is not there yet."""
        store, row = self._place(i)
        if not store.is_ready(row):
            self._keep_clip(i)
        return store.read("frames", row), store.read("planes", row), store.read("visible", row)

    def _keep_clip(self, i: int) -> None:
        """Render and write all frames of the clip of frame i that are kept and missing."""
        phantom = self._clip(i)
        first = i - i % self._per_clip
        for j in range(first, min(first + self._per_clip, self._n_kept)):
            store, row = self._place(j)
            if not store.is_ready(row):
                frame, packed, visible = self._rendered(j, phantom)
                store.write(row, {"frames": frame, "planes": packed, "visible": visible})

    def _ordered(self, packed: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Return packed planes in the order of the wanted schema."""
        if self._planes == list(range(self._n_rendered)):
            return packed
        rendered = np.unpackbits(packed, axis=0, count=self._n_rendered + len(LANDMARKS))
        blank = np.zeros(packed.shape[1:], np.uint8)
        wanted = [rendered[plane] if plane >= 0 else blank for plane in self._planes]
        return np.packbits(np.stack([*wanted, *rendered[self._n_rendered :]]), axis=0)


def _source(styles: Iterable[str]) -> str:
    """Return what frames of some styles come from: hash of the phantom, and of the meshes if they are used."""
    meshed = any(style_named(style).scan.share for style in styles)
    return "+".join([phantom_source(), load_meshes().digest] if meshed else [phantom_source()])


def draw_phantom(seed: int, size: int, style: str) -> tuple[FrameArray, BoolArray, BoolArray]:
    """Render a random frame of a random clip.

    Args:
        seed: Seed of clip and frame.
        size: Side of the frame, px.
        style: Style of the phantom.

    Returns:
        Frame, uint8 (size, size), planes, bool (S, size, size), and visibility of each structure, bool (S,).
    """
    return _clip(seed, size, style).sample(_time(seed, 0))


def _clip(seed: int, size: int, style: str) -> vfss.phantom.Phantom:
    """Return a random clip."""
    return vfss.phantom.Phantom(seed, n_frames=_CLIP_FRAMES, height=size, width=size, style=style)


def _time(seed: int, number: int) -> int:
    """Return the frame of a clip that a stream shows as its number 0, 1, ...: a random one, and then far from those."""
    first = int(np.random.default_rng((seed, 1)).integers(_CLIP_FRAMES))
    return (first + round(number * _GOLDEN * _CLIP_FRAMES)) % _CLIP_FRAMES


def landmark_discs(points: npt.NDArray[np.float64], size: int) -> BoolArray:
    """Return discs at landmarks, bool (L, size, size).

    Args:
        points: float64 (L, 2), x, y in pixels, counted from pixel centres; NaN: no disc.
        size: Side, px.
    """
    discs = np.zeros((len(points), size, size), np.bool_)
    reach = int(np.ceil(DISC * size)) + 1
    for disc, (x, y) in zip(discs, points, strict=True):
        if np.isfinite(x) and np.isfinite(y):
            rows = slice(max(0, round(y) - reach), round(y) + reach + 1)
            columns = slice(max(0, round(x) - reach), round(x) + reach + 1)
            part = disc[rows, columns]
            down, right = (
                np.arange(n) + start for n, start in zip(part.shape, (rows.start, columns.start), strict=True)
            )
            part[:] = (down[:, None] - y) ** 2 + (right - x) ** 2 <= (DISC * size) ** 2
    return discs


def _filled_bytes(folder: Path) -> int:
    """Return the disk space of all files below a folder, holes not counted."""
    stats = [path.stat() for path in folder.rglob("*") if path.is_file()]
    return sum(getattr(stat, "st_blocks", stat.st_size // 512) * 512 for stat in stats)
