# SPDX-License-Identifier: Apache-2.0
"""Samples to train on: frames with masks, streams of them, and the annotated and unlabelled frames of a project."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from vfss.clips import Clip
from vfss.errors import ClipError, MaskError
from vfss.project import ClipRecord, Project, Split
from vfss.student.preprocess import Placement, fit
from vfss.wording import count

FrameArray = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]
Tick = Callable[[int, int], None]
"""Called with the number of things done and in total; may raise to stop."""
Note = Callable[[str], None]
"""Called with a message for a person."""


@dataclass(frozen=True)
class Sample:
    """One frame with its masks, scaled into the square that the network sees.

    Attributes:
        frame: uint8 (size, size).
        bits: uint8 (ceil((S + landmarks)/8), size, size), planes packed along the structures (numpy.packbits).
        known: float32 (S,), weight of each plane: 1 if annotated, 0 if not, and little if the structure is hidden, so
            that a guess behind a shoulder costs little, while inventing a structure does not pay.
        window: Top, left, rows and columns of the frame in the square.
        landmarks: Number of landmarks that are known: each is a small disc in a plane of its own, after those of the
            structures, so that whatever moves planes moves them too; empty where the landmark is not to be seen.
    """

    frame: FrameArray
    bits: npt.NDArray[np.uint8]
    known: npt.NDArray[np.float32]
    window: tuple[int, int, int, int]
    landmarks: int = 0


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
    project: Project, splits: Collection[Split], size: int, *, tick: Tick | None = None, left_out: Note | None = None
) -> ListedSamples:
    """Read the annotated frames of the patients of some splits; what cannot be read is left out and named.

    Args:
        project: The project.
        splits: Splits of the patients.
        size: Side of the square, px.
        tick: Called with the number of frames read and in total.
        left_out: Called with a message on each recording, frame or mask that cannot be read.
    """
    note = left_out or (lambda _message: None)
    sides = project.clip_splits()
    places = [
        (record, t)
        for record in project.clips()
        if sides[record.id] in splits
        for t in project.annotated_frames(record.id)
    ]
    samples: list[Sample] = []
    patients: list[str] = []
    done = 0
    for record, frames in _by_clip(places):
        with _opened(project, record, len(frames), note) as clip:
            for t in frames:
                done += 1
                picture = None if clip is None else _picture(clip, record, t, note)
                annotation = None if picture is None else _annotation(project, record, t, note)
                if clip is not None and picture is not None and annotation is not None:
                    placement = Placement.of(clip.height, clip.width, size, clip.pixel_aspect)
                    samples.append(_placed(picture, *annotation, placement))
                    patients.append(record.patient)
                if tick is not None:
                    tick(done, len(places))
    return ListedSamples(samples, patients)


def _by_clip(places: Sequence[tuple[ClipRecord, int]]) -> Iterator[tuple[ClipRecord, list[int]]]:
    """Yield each clip of these places with its frames."""
    records = {record.id: record for record, _ in places}
    for clip_id, record in records.items():
        yield record, [t for other, t in places if other.id == clip_id]


@contextmanager
def _opened(project: Project, record: ClipRecord, frames: int, note: Note) -> Iterator[Clip | None]:
    """Open a clip; None, and a message, if it cannot be opened."""
    try:
        clip = project.open_clip(record.id)
    except ClipError as error:
        note(f"{record.path.name}, {count(frames, 'frame')}: {error}")
        yield None
        return
    with clip:
        yield clip


def _picture(clip: Clip, record: ClipRecord, t: int, note: Note) -> FrameArray | None:
    """Return a frame, uint8 (H, W); None, and a message, if it cannot be decoded."""
    try:
        return clip.as_uint8(t)
    except ClipError as error:
        note(f"{record.path.name}, frame {t}: {error.what}")
        return None


def _annotation(
    project: Project, record: ClipRecord, t: int, note: Note
) -> tuple[BoolArray, npt.NDArray[np.float32]] | None:
    """Return the planes of a frame, bool (S, H, W), and which of them a person confirmed, float32 (S,).

    A damaged mask is no annotation: its plane is unknown, and a message names it. None if nothing else is confirmed.
    """
    damaged = False
    planes = np.zeros((len(project.schema), record.height, record.width), np.bool_)
    known = np.zeros(len(planes), np.float32)
    for key, revision in project.newest(record.id, t).items():
        structure = project.schema[key]
        try:
            mask = revision.mask
            if mask is not None and mask.shape != planes.shape[1:]:
                raise MaskError(f"the mask is {mask.shape}, the clip {planes.shape[1:]}")
        except MaskError as error:
            if revision.state.is_truth:
                damaged = True
                note(f"{record.path.name}, frame {t}, {structure.name}: {error.what}")
            continue
        if mask is not None:
            planes[structure.index] = mask
        known[structure.index] = revision.state.is_truth
    return None if damaged and not known.any() else (planes, known)


def unlabelled_project_samples(
    project: Project,
    splits: Collection[Split],
    size: int,
    n: int,
    *,
    tick: Tick | None = None,
    left_out: Note | None = None,
) -> ListedSamples:
    """Read unlabelled frames of the patients of some splits, spread evenly over their clips.

    What cannot be read is left out and named.

    Args:
        project: The project.
        splits: Splits of the patients.
        size: Side of the square, px.
        n: Largest number of frames; each clip gives its share, or all that it has.
        tick: Called with the number of frames read and in total.
        left_out: Called with a message on each recording or frame that cannot be read.
    """
    note = left_out or (lambda _message: None)
    places: list[tuple[ClipRecord, int]] = []
    sides = project.clip_splits()
    clips = [record for record in project.clips() if sides[record.id] in splits]
    for left, record in zip(range(len(clips), 0, -1), sorted(clips, key=lambda clip: clip.n_frames), strict=True):
        annotated = set(project.annotated_frames(record.id))
        others = [t for t in range(record.n_frames) if t not in annotated]
        share = min(len(others), (n - len(places)) // left)
        places += [(record, others[i]) for i in np.linspace(0, len(others) - 1, share).round().astype(int).tolist()]
    samples: list[Sample] = []
    patients: list[str] = []
    done = 0
    for record, frames in _by_clip(places):
        with _opened(project, record, len(frames), note) as clip:
            for t in frames:
                done += 1
                picture = None if clip is None else _picture(clip, record, t, note)
                if clip is not None and picture is not None:
                    samples.append(_unlabelled(picture, clip, len(project.schema), size))
                    patients.append(record.patient)
                if tick is not None:
                    tick(done, len(places))
    return ListedSamples(samples, patients)


def _unlabelled(picture: FrameArray, clip: Clip, structures: int, size: int) -> Sample:
    """Return a sample without annotation."""
    placement = Placement.of(clip.height, clip.width, size, clip.pixel_aspect)
    window = (placement.top, placement.left, placement.rows, placement.columns)
    blank = np.zeros((-(-structures // 8), size, size), np.uint8)
    return Sample(fit(picture, placement), blank, np.zeros(structures, np.float32), window)


def _placed(frame: FrameArray, planes: BoolArray, known: npt.NDArray[np.float32], placement: Placement) -> Sample:
    """Scale a frame and its planes into the square of a sample."""
    square = np.zeros((len(planes), placement.size, placement.size), np.bool_)
    for target, plane in zip(square, planes, strict=True):
        scaled = Image.fromarray(plane).resize((placement.columns, placement.rows), Image.Resampling.NEAREST)
        target[placement.window] = np.asarray(scaled)
    window = (placement.top, placement.left, placement.rows, placement.columns)
    return Sample(fit(frame, placement), np.packbits(square, axis=0), known, window)
