# SPDX-License-Identifier: Apache-2.0
"""Frames to learn from: phantoms rendered once and kept, and what people accepted in a project."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

import vfss.phantom
from vfss.masks import MaskState
from vfss.phantom_source import phantom_source
from vfss.project import Project, Split
from vfss.schema import Schema
from vfss.student.preprocess import Placement, fit

FrameArray = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]
PHANTOM_SCHEMA = "vfss12"
HIDDEN = 0.2
"""Weight of phantom planes that are empty because the structure is hidden or outside the picture."""
_CLIP_FRAMES = 60


@dataclass(frozen=True)
class Sample:
    """One frame with its truth, scaled into the square that the network sees.

    Attributes:
        frame: uint8 (size, size).
        bits: uint8 (ceil(S/8), size, size), planes packed along the structures (numpy.packbits).
        known: float32 (S,), how much each plane counts: 1 for truth, 0 where nobody has confirmed it, little where it
            is truly hidden, so that guessing behind a shoulder costs little and inventing a structure does not pay.
        window: Top, left, rows and columns of the frame in the square.
    """

    frame: FrameArray
    bits: npt.NDArray[np.uint8]
    known: npt.NDArray[np.float32]
    window: tuple[int, int, int, int]


class Samples(Protocol):
    """A list of samples of one size."""

    def __len__(self) -> int:
        """How many."""

    def __getitem__(self, i: int) -> Sample:
        """Sample i."""


class PhantomSamples:
    """Phantom frames by seed, each rendered when first asked for and then kept in two files on disk.

    Several processes may fill one folder: a frame is marked as there after it was written, and rendering it twice gives
    the same bytes. The folder is named after what the frames depend on, the phantom's own source included.

    Attributes:
        source: Hash of the phantom's source.
    """

    def __init__(self, folder: Path, schema: Schema, *, first_seed: int, n: int, size: int, style: str) -> None:
        """Open or begin the files of frames first_seed .. first_seed + n - 1.

        Args:
            folder: Where caches lie.
            schema: Structures wanted, in their order; those the phantom lacks are unknown.
            first_seed: Seed of frame 0.
            n: Number of frames.
            size: Side of the frames, px.
            style: Style of the phantom.
        """
        drawn = Schema.load(PHANTOM_SCHEMA)
        self._first_seed, self._n, self._size, self._style = first_seed, n, size, style
        self._planes = [drawn[key].index if key in drawn.keys else -1 for key in schema.keys]
        self._depth = -(-len(drawn) // 8)
        self._n_drawn = len(drawn)
        self.source = phantom_source()
        key = json.dumps([self.source, _CLIP_FRAMES, first_seed, size, style])
        self._folder = folder / hashlib.blake2b(key.encode(), digest_size=10).hexdigest()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._grow()

    def _grow(self) -> None:
        """Make the files long enough."""
        for name, item in (("frames", 1), ("planes", self._depth)):
            _lengthen(self._folder / name, self._n * item * self._size**2)
        _lengthen(self._folder / "ready", self._n)
        _lengthen(self._folder / "visible", self._n * self._n_drawn)

    def _map(self, name: str, *shape: int) -> npt.NDArray[np.uint8]:
        """File as uint8 (n, *shape); mapped anew at each use, so that worker processes share nothing but the file."""
        return np.memmap(self._folder / name, np.uint8, "r+", shape=(self._n, *shape))

    def __len__(self) -> int:
        """Number of frames."""
        return self._n

    def __getitem__(self, i: int) -> Sample:
        """Frame i with all planes."""
        size = self._size
        frames, planes = self._map("frames", size, size), self._map("planes", self._depth, size, size)
        ready, visible = self._map("ready"), self._map("visible", self._n_drawn)
        if not ready[i]:
            frames[i], drawn, visible[i] = draw_phantom(self._first_seed + i, size, self._style)
            planes[i] = np.packbits(drawn, axis=0)
            ready[i] = 1
        known = [0.0 if plane < 0 else (1.0 if visible[i, plane] else HIDDEN) for plane in self._planes]
        bits = self._ordered(np.array(planes[i]))
        return Sample(np.array(frames[i]), bits, np.array(known, np.float32), (0, 0, size, size))

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


class ListedSamples:
    """Samples held in memory."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        """Hold these."""
        self._samples = tuple(samples)

    def __len__(self) -> int:
        """Number of samples."""
        return len(self._samples)

    def __getitem__(self, i: int) -> Sample:
        """Sample i."""
        return self._samples[i]


def project_samples(
    project: Project, splits: Collection[Split], size: int, *, tick: Callable[[int, int], None] | None = None
) -> ListedSamples:
    """What people accepted on clips of the patients of some splits.

    Args:
        project: The project.
        splits: Which patients.
        size: Side of the square, px.
        tick: Called with frames read and in all.
    """
    places = [
        (record, t)
        for record in project.clips()
        if project.split(record.patient) in splits
        for t in project.annotated_frames(record.id)
    ]
    samples: list[Sample] = []
    for clip_id in dict.fromkeys(record.id for record, _ in places):
        with project.open_clip(clip_id) as clip:
            placement = Placement.of(clip.height, clip.width, size)
            for record, t in places:
                if record.id != clip_id:
                    continue
                masks = project.masks(clip_id, t)
                known = np.array([MaskState(int(state)).is_truth for state in masks.state], np.float32)
                samples.append(_placed(clip.as_uint8(t), masks.planes, known, placement))
                if tick is not None:
                    tick(len(samples), len(places))
    return ListedSamples(samples)


def _placed(frame: FrameArray, planes: BoolArray, known: npt.NDArray[np.float32], placement: Placement) -> Sample:
    """Sample of a frame and its planes at their own size."""
    square = np.zeros((len(planes), placement.size, placement.size), np.bool_)
    for target, plane in zip(square, planes, strict=True):
        scaled = Image.fromarray(plane).resize((placement.columns, placement.rows), Image.Resampling.NEAREST)
        target[placement.window] = np.asarray(scaled)
    window = (placement.top, placement.left, placement.rows, placement.columns)
    return Sample(fit(frame, placement), np.packbits(square, axis=0), known, window)
