# SPDX-License-Identifier: Apache-2.0
"""Samples to train on: frames with masks, streams of them, and the annotated and unlabelled frames of a project."""

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
"""Called with the number of things done and in total; may raise to stop."""


@dataclass(frozen=True)
class Sample:
    """One frame with its masks, scaled into the square that the network sees.

    Attributes:
        frame: uint8 (size, size).
        bits: uint8 (ceil(S/8), size, size), planes packed along the structures (numpy.packbits).
        known: float32 (S,), weight of each plane: 1 if annotated, 0 if not, and little if the structure is hidden, so
            that a guess behind a shoulder costs little, while inventing a structure does not pay.
        window: Top, left, rows and columns of the frame in the square.
    """

    frame: FrameArray
    bits: npt.NDArray[np.uint8]
    known: npt.NDArray[np.float32]
    window: tuple[int, int, int, int]


class Samples(Protocol):
    """A sequence of samples of one size."""

    def __len__(self) -> int:
        """Return the number of samples."""

    def __getitem__(self, i: int) -> Sample:
        """Return sample i."""


class FrameStream(Samples, Protocol):
    """Samples that teachers compute targets for, which are kept on disk.

    Attributes:
        key: Hash of all that the frames depend on.
    """

    @property
    def key(self) -> str:
        """Hash of all that the frames depend on."""

    def patient(self, i: int) -> str:
        """Return the patient of frame i."""


class ListedSamples:
    """Samples held in memory."""

    def __init__(self, samples: Sequence[Sample], patients: Sequence[str] = ()) -> None:
        """Hold samples.

        Args:
            samples: The samples.
            patients: Patient of each; needed only if teachers compute targets for them.
        """
        self._samples, self._patients = tuple(samples), tuple(patients)

    @cached_property
    def key(self) -> str:
        """Hash of frames, masks and windows."""
        digest = hashlib.blake2b(digest_size=10)
        for sample in self._samples:
            for part in (sample.frame, sample.bits, sample.known):
                digest.update(np.ascontiguousarray(part).tobytes())
            digest.update(repr(sample.window).encode())
        return digest.hexdigest()

    def patient(self, i: int) -> str:
        """Return the patient of sample i."""
        return self._patients[i]

    @classmethod
    def joined(cls, lists: Sequence[ListedSamples]) -> ListedSamples:
        """Concatenate several lists."""
        samples = [sample for one in lists for sample in one._samples]
        return cls(samples, [patient for one in lists for patient in one._patients])

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self._samples)

    def __getitem__(self, i: int) -> Sample:
        """Return sample i."""
        return self._samples[i]


class ChosenSamples:
    """A selection of a stream's samples.

    Attributes:
        items: Indices of the samples in the stream.
        key: Hash of all that the samples depend on.
    """

    def __init__(self, samples: FrameStream, items: Sequence[int]) -> None:
        """Select samples by their indices."""
        self._samples, self.items = samples, tuple(items)
        depends = f"{samples.key} {self.items}"
        self.key = hashlib.blake2b(depends.encode(), digest_size=10).hexdigest()

    def patient(self, i: int) -> str:
        """Return the patient of frame i."""
        return self._samples.patient(self.items[i])

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.items)

    def __getitem__(self, i: int) -> Sample:
        """Return sample i."""
        if not 0 <= i < len(self.items):
            raise IndexError(f"sample {i} of {len(self.items)}")
        return self._samples[self.items[i]]


def first(samples: FrameStream, n: int) -> ChosenSamples:
    """Return the first n samples of a stream, or all if it has fewer."""
    return ChosenSamples(samples, range(min(n, len(samples))))


class UnlabelledSamples:
    """Samples whose masks are left out: frames without annotation."""

    def __init__(self, samples: Samples) -> None:
        """Hide the masks of these samples."""
        self._samples = samples

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self._samples)

    def __getitem__(self, i: int) -> Sample:
        """Return frame i, with no plane known."""
        sample = self._samples[i]
        return replace(sample, bits=np.zeros_like(sample.bits), known=np.zeros_like(sample.known))


def project_samples(
    project: Project, splits: Collection[Split], size: int, *, tick: Tick | None = None
) -> ListedSamples:
    """Read the annotated frames of the patients of some splits.

    Args:
        project: The project.
        splits: Splits of the patients.
        size: Side of the square, px.
        tick: Called with the number of frames read and in total.
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
            placement = Placement.of(clip.height, clip.width, size, clip.pixel_aspect)
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
    """Read unlabelled frames of the patients of some splits, spread evenly over their clips.

    Args:
        project: The project.
        splits: Splits of the patients.
        size: Side of the square, px.
        n: Largest number of frames; each clip gives its share, or all that it has.
        tick: Called with the number of frames read and in total.
    """
    places: list[tuple[ClipRecord, int]] = []
    clips = [record for record in project.clips() if project.split(record.patient) in splits]
    for left, record in zip(range(len(clips), 0, -1), sorted(clips, key=lambda clip: clip.n_frames), strict=True):
        annotated = set(project.annotated_frames(record.id))
        others = [t for t in range(record.n_frames) if t not in annotated]
        share = min(len(others), (n - len(places)) // left)
        places += [(record, others[i]) for i in np.linspace(0, len(others) - 1, share).round().astype(int).tolist()]
    samples: list[Sample] = []
    for record in dict.fromkeys(record for record, _ in places):
        with project.open_clip(record.id) as clip:
            placement = Placement.of(clip.height, clip.width, size, clip.pixel_aspect)
            window = (placement.top, placement.left, placement.rows, placement.columns)
            blank = np.zeros((-(-len(project.schema) // 8), size, size), np.uint8)
            unknown = np.zeros(len(project.schema), np.float32)
            for t in (t for other, t in places if other is record):
                samples.append(Sample(fit(clip.as_uint8(t), placement), blank, unknown, window))
                if tick is not None:
                    tick(len(samples), len(places))
    return ListedSamples(samples, [record.patient for record, _ in places])


def _placed(frame: FrameArray, planes: BoolArray, known: npt.NDArray[np.float32], placement: Placement) -> Sample:
    """Scale a frame and its planes into the square of a sample."""
    square = np.zeros((len(planes), placement.size, placement.size), np.bool_)
    for target, plane in zip(square, planes, strict=True):
        scaled = Image.fromarray(plane).resize((placement.columns, placement.rows), Image.Resampling.NEAREST)
        target[placement.window] = np.asarray(scaled)
    window = (placement.top, placement.left, placement.rows, placement.columns)
    return Sample(fit(frame, placement), np.packbits(square, axis=0), known, window)
