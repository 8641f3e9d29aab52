# SPDX-License-Identifier: Apache-2.0
"""Frames to learn from: what a sample is, and what people accepted in a project."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from vfss.masks import MaskState
from vfss.project import ClipRecord, Project, Split
from vfss.student.preprocess import Placement, fit

FrameArray = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]
Tick = Callable[[int, int], None]


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


class FrameStream(Samples, Protocol):
    """Samples that teachers look at, whose features are kept.

    Attributes:
        key: Hash of all that the frames depend on.
    """

    @property
    def key(self) -> str:
        """Hash of all that the frames depend on."""

    def patient(self, i: int) -> str:
        """Whose frame i is."""


class ListedSamples:
    """Samples held in memory."""

    def __init__(self, samples: Sequence[Sample], patients: Sequence[str] = ()) -> None:
        """Hold these.

        Args:
            samples: The samples.
            patients: Whose each is; needed only where teachers look at them.
        """
        self._samples, self._patients = tuple(samples), tuple(patients)

    @cached_property
    def key(self) -> str:
        """Hash of frames and labels."""
        found = hashlib.blake2b(digest_size=10)
        for sample in self._samples:
            for part in (sample.frame, sample.bits, sample.known):
                found.update(np.ascontiguousarray(part).tobytes())
            found.update(repr(sample.window).encode())
        return found.hexdigest()

    def patient(self, i: int) -> str:
        """Whose sample i is."""
        return self._patients[i]

    @classmethod
    def joined(cls, lists: Sequence[ListedSamples]) -> ListedSamples:
        """All of several lists, one after the other."""
        samples = [sample for one in lists for sample in one._samples]
        return cls(samples, [patient for one in lists for patient in one._patients])

    def __len__(self) -> int:
        """Number of samples."""
        return len(self._samples)

    def __getitem__(self, i: int) -> Sample:
        """Sample i."""
        return self._samples[i]


class ChosenSamples:
    """Some of a list of samples, such as the first so many, whose labels are known.

    Attributes:
        items: Which of them.
        key: Hash of all that the samples depend on.
    """

    def __init__(self, samples: FrameStream, items: Sequence[int]) -> None:
        """Choose these."""
        self._samples, self.items = samples, tuple(items)
        whole = f"{samples.key} {self.items}"
        self.key = hashlib.blake2b(whole.encode(), digest_size=10).hexdigest()

    def patient(self, i: int) -> str:
        """Whose frame i is."""
        return self._samples.patient(self.items[i])

    def __len__(self) -> int:
        """How many."""
        return len(self.items)

    def __getitem__(self, i: int) -> Sample:
        """Sample i."""
        if not 0 <= i < len(self.items):
            raise IndexError(f"sample {i} of {len(self.items)}")
        return self._samples[self.items[i]]


def first(samples: FrameStream, n: int) -> ChosenSamples:
    """The first n of some samples, or all where they are fewer."""
    return ChosenSamples(samples, range(min(n, len(samples))))


class UnlabelledSamples:
    """Frames alone: whatever is known of their masks is left out."""

    def __init__(self, samples: Samples) -> None:
        """The frames of these."""
        self._samples = samples

    def __len__(self) -> int:
        """How many."""
        return len(self._samples)

    def __getitem__(self, i: int) -> Sample:
        """Frame i, with no plane known."""
        sample = self._samples[i]
        return replace(sample, bits=np.zeros_like(sample.bits), known=np.zeros_like(sample.known))


def project_samples(
    project: Project, splits: Collection[Split], size: int, *, tick: Tick | None = None
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
    patients: list[str] = []
    for clip_id in dict.fromkeys(record.id for record, _ in places):
        with project.open_clip(clip_id) as clip:
            placement = Placement.of(clip.height, clip.width, size)
            for record, t in places:
                if record.id != clip_id:
                    continue
                masks = project.masks(clip_id, t)
                known = np.array([MaskState(int(state)).is_truth for state in masks.state], np.float32)
                samples.append(_placed(clip.as_uint8(t), masks.planes, known, placement))
                patients.append(record.patient)
                if tick is not None:
                    tick(len(samples), len(places))
    return ListedSamples(samples, patients)


def unlabelled_project_samples(
    project: Project, splits: Collection[Split], size: int, n: int, *, tick: Tick | None = None
) -> ListedSamples:
    """Frames that nobody has painted, evenly over the clips of the patients of some splits.

    Args:
        project: The project.
        splits: Which patients.
        size: Side of the square, px.
        n: How many at most; each clip gives its share, or what it has.
        tick: Called with frames read and in all.
    """
    places: list[tuple[ClipRecord, int]] = []
    clips = [record for record in project.clips() if project.split(record.patient) in splits]
    for left, record in zip(range(len(clips), 0, -1), sorted(clips, key=lambda clip: clip.n_frames), strict=True):
        painted = set(project.annotated_frames(record.id))
        bare = [t for t in range(record.n_frames) if t not in painted]
        share = min(len(bare), (n - len(places)) // left)
        places += [(record, bare[i]) for i in np.linspace(0, len(bare) - 1, share).round().astype(int).tolist()]
    samples: list[Sample] = []
    for record in dict.fromkeys(record for record, _ in places):
        with project.open_clip(record.id) as clip:
            placement = Placement.of(clip.height, clip.width, size)
            window = (placement.top, placement.left, placement.rows, placement.columns)
            blank = np.zeros((-(-len(project.schema) // 8), size, size), np.uint8)
            unknown = np.zeros(len(project.schema), np.float32)
            for t in (t for other, t in places if other is record):
                samples.append(Sample(fit(clip.as_uint8(t), placement), blank, unknown, window))
                if tick is not None:
                    tick(len(samples), len(places))
    return ListedSamples(samples, [record.patient for record, _ in places])


def _placed(frame: FrameArray, planes: BoolArray, known: npt.NDArray[np.float32], placement: Placement) -> Sample:
    """Sample of a frame and its planes at their own size."""
    square = np.zeros((len(planes), placement.size, placement.size), np.bool_)
    for target, plane in zip(square, planes, strict=True):
        scaled = Image.fromarray(plane).resize((placement.columns, placement.rows), Image.Resampling.NEAREST)
        target[placement.window] = np.asarray(scaled)
    window = (placement.top, placement.left, placement.rows, placement.columns)
    return Sample(fit(frame, placement), np.packbits(square, axis=0), known, window)
