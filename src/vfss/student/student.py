# SPDX-License-Identifier: Apache-2.0
"""The student in use: proposals for frames, refined masks for prompts."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vfss.clips.exposed_field import Window, exposed_field
from vfss.errors import MaskError, SchemaError, StudentError
from vfss.masks import BoolArray, Masks, MaskState
from vfss.schema import Schema
from vfss.student import prompt_maps
from vfss.student.checkpoint import Checkpoint
from vfss.student.closer_look import CloserLook, SpineFinder
from vfss.student.landmark_points import FoundLandmarks, landmarks_from
from vfss.student.mirror_policy import MirrorPolicy
from vfss.student.passes import Look, Passes, Seen
from vfss.student.preprocess import Placement, prepare, restore
from vfss.student.prompts import Prompts
from vfss.student.refinement import EncodedFrame, Refinement, changed_near_clicks
from vfss.student.rules import ADAPTED_RULES, RuleBook, Rules
from vfss.student.runtime import Runtime
from vfss.student.temporal_median import Steadied

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Proposal:
    """Masks of one frame by a student: they become truth only when a person accepts them.

    Attributes:
        keys: Keys of the structures, in the order of the planes.
        masks: Planes bool (S, H, W) at the frame's own size, every state PROPOSED.
        confidence: float32 (S,), the student's estimate of each plane's Dice, 0..1, calibrated if it has a calibration.
        student: Id of the student that made it.
        clip: Id of the clip, if known.
        frame: Zero-based frame index, if known.
    """

    keys: tuple[str, ...]
    masks: Masks
    confidence: npt.NDArray[np.float32]
    student: str
    clip: str | None = None
    frame: int | None = None

    def __post_init__(self) -> None:
        """Check that there is exactly one plane and one confidence per key."""
        n = len(self.keys)
        if len(set(self.keys)) != n or len(self.masks.planes) != n or len(self.confidence) != n:
            raise MaskError(
                f"a proposal of {len(self.masks.planes)} planes and {len(self.confidence)} confidences for the "
                f"structures {', '.join(self.keys) or 'none'}",
                frame=self.frame,
                remedy="Give one plane and one confidence for each structure.",
            )

    def plane(self, key: str) -> BoolArray | None:
        """Return the mask of a structure, bool (H, W); None if the student does not know it."""
        return self.masks.planes[self.keys.index(key)] if key in self.keys else None

    def confidence_of(self, key: str) -> float | None:
        """Return the confidence of a structure, 0..1; None if there is none."""
        value = float(self.confidence[self.keys.index(key)]) if key in self.keys else float("nan")
        return None if np.isnan(value) else value


def shared_keys(student: Sequence[str], project: Sequence[str]) -> tuple[str, ...]:
    """Return the keys of structures that a student or its proposal and a project both have, in the project's order.

    Raises:
        SchemaError: They have none in common.
    """
    keys = tuple(key for key in project if key in student)
    if not keys:
        raise SchemaError(
            f"the student's structures are {', '.join(student) or 'none'}, the project's {', '.join(project)}",
            remedy="Choose a student that was trained for the project's schema, or train one with `vfss-train fit`.",
        )
    return keys


class Student:
    """A network that proposes masks of the structures of a schema.

    Several threads may use one student; a lock lets one compute at a time.

    Attributes:
        id: Hash of the file's content.
        schema: Structures of its network.
        keys: Keys of the structures that it has learnt, in the order of the planes of a proposal; on others it proposes
            nothing at all.
        provenance: How the file was made; see Checkpoint.
        scores: Scores it was saved with.
        path: File it was read from.
        device: Device it runs on, to be shown to a person.
        can_refine: Whether it takes clicks and boxes.
        can_find_landmarks: Whether it finds landmarks.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        runtime: Runtime,
        *,
        mirror: str | None = None,
        closer: str | None = None,
        rules: Rules | None = None,
    ) -> None:
        """Bind a checkpoint to the runtime that was built from it.

        Args:
            checkpoint: The student.
            runtime: Runs its network.
            mirror: Where the mirror image of a frame is computed too, "never", "unsure" or "always"; None: as the
                student's file says. Without effect on a student whose network is not mirrored, or whose graph always
                is, as older files have it.
            closer: Where a frame is looked at again with the spine in its usual size, in the same words; None: as the
                student's file says. Without effect on a student whose file does not say how large that is.
            rules: What its proposals obey (corrections by prompts do not); None: the default rules, or those of
                a student that is adapted to a clip.

        Raises:
            StudentError: There is no such mirror pass or closer look.
        """
        self.id = checkpoint.id
        self.schema: Schema = checkpoint.schema
        self.keys = checkpoint.learnt_keys
        self._columns = [checkpoint.schema[key].index for key in self.keys]
        self.provenance: Mapping[str, Any] = checkpoint.provenance
        self.scores: Mapping[str, Any] = checkpoint.scores
        self.path: Path | None = checkpoint.path
        self.device = runtime.device
        self.can_refine = checkpoint.config.prompted and set(checkpoint.prompted) >= {"encode", "correct"}
        has_head = checkpoint.config.landmark_head > 0
        self.can_find_landmarks = has_head and set(checkpoint.prompted) >= {"encode", "landmarks"}
        self._config = checkpoint.config
        self._calibration = checkpoint.calibration
        usual = ADAPTED_RULES if "learnt_clip" in checkpoint.provenance else Rules()
        self._rules = RuleBook(rules or usual, [checkpoint.schema[key] for key in self.keys])
        self._runtime = runtime
        policy = MirrorPolicy("never") if checkpoint.mirror is None else checkpoint.mirror.changed(mirror)
        look = CloserLook("never") if checkpoint.closer is None else checkpoint.closer.changed(closer)
        finder = SpineFinder(look, [checkpoint.schema[key] for key in self.keys])
        self._passes = Passes(runtime, policy, finder, self._columns)
        self._placement: Placement | None = None
        self._lock = threading.Lock()

    def propose(
        self,
        frames: npt.NDArray[np.uint8],
        *,
        pixel_aspect: float = 1.0,
        steadied: Steadied | None = None,
    ) -> list[Proposal]:
        """Return masks and confidence of every learnt structure on each frame.

        Args:
            frames: uint8 (N, H, W).
            pixel_aspect: Width of a pixel divided by its height, as Clip.pixel_aspect; the network sees the frames in
                their true proportions, the planes lie on the pixels of the frames.
            steadied: Returns the median of frame i and its neighbours in the clip, or None, for frames that the student
                is unsure of; None: the frames have no neighbours.

        Returns:
            One proposal per frame, in order, planes bool (S, H, W).

        Raises:
            StudentError: frames has another dtype or number of axes, or is empty in height or width; or the student
                computes NaN or infinity.
        """
        _check(frames)
        proposals: list[Proposal] = []
        for start in range(0, len(frames), self._runtime.batch):
            part = range(start, min(start + self._runtime.batch, len(frames)))
            looks = [self._look(frames[i], i, pixel_aspect, steadied) for i in part]
            with self._lock:
                found = self._passes.run([look for look, _ in looks])
            for seen, (_, window) in zip(found, looks, strict=True):
                proposals.append(self._proposal(seen, window, frames.shape[1:]))
        return proposals

    def propose_each(
        self,
        frames: Iterable[npt.NDArray[np.uint8]],
        *,
        pixel_aspect: float = 1.0,
        steadied: Steadied | None = None,
    ) -> Iterator[Proposal]:
        """Yield a proposal for each frame, in order, for whole clips.

        On a CPU several frames are computed in parallel, while the next ones are requested (and decoded).

        Args:
            frames: uint8 (H, W) each.
            pixel_aspect: Width of a pixel divided by its height, as Clip.pixel_aspect.
            steadied: As for propose.

        Raises:
            StudentError: A frame has another dtype or number of axes, or is empty in height or width.
        """
        pending: deque[tuple[Window, tuple[int, ...]]] = deque()

        def looks() -> Iterator[Look]:
            for i, frame in enumerate(frames):
                _check(frame[np.newaxis])
                look, window = self._look(frame, i, pixel_aspect, steadied)
                pending.append((window, frame.shape))
                yield look

        for seen in self._passes.run_each(looks()):
            window, shape = pending.popleft()
            yield self._proposal(seen, window, shape)

    def find_landmarks(
        self, frame: npt.NDArray[np.uint8], *, pixel_aspect: float = 1.0, steadied: Steadied | None = None
    ) -> FoundLandmarks:
        """Return single points of the anatomy on a frame (vfss.landmarks), with a confidence each.

        The frame is looked at as for a proposal; where that is a closer look, landmarks are those of it. Nothing of
        this is computed for a proposal.

        Args:
            frame: uint8 (H, W).
            pixel_aspect: Width of a pixel divided by its height, as Clip.pixel_aspect.
            steadied: As for propose; called with 0.

        Raises:
            StudentError: The frame has another dtype or number of axes, or the student finds no landmarks.
        """
        if not self.can_find_landmarks:
            raise StudentError(
                "this student finds no landmarks",
                path=self.path,
                remedy="Choose one that does, such as the default student.",
            )
        _check(frame[np.newaxis])
        look, window = self._look(frame, 0, pixel_aspect, steadied)
        with self._lock:
            (seen,) = self._passes.run([look])
            heat, presence = self._runtime.landmarks(self._runtime.encode(look.prepare(seen.placement)))
        self._expect_numbers(heat, presence)
        return landmarks_from(heat, presence, seen.placement, window, self.id)

    def encode(self, frame: npt.NDArray[np.uint8], *, pixel_aspect: float = 1.0) -> EncodedFrame:
        """Compute the encoder's features of a frame for refine.

        Args:
            frame: uint8 (H, W).
            pixel_aspect: Width of a pixel divided by its height, as Clip.pixel_aspect.

        Raises:
            StudentError: The frame has another dtype or number of axes, or the student takes no prompts.
        """
        self._expect_prompts()
        _check(frame[np.newaxis])
        window = self._window(frame, pixel_aspect)
        placement = self._placement_of(frame[window], pixel_aspect)
        with self._lock:
            features = self._runtime.encode(prepare(frame[window], placement, self._config))
        return EncodedFrame(features, window, placement, (frame.shape[0], frame.shape[1]), self.id)

    def refine(self, encoded: EncodedFrame, structure: str, prompts: Prompts, current: BoolArray) -> Refinement:
        """Return the mask of one structure, corrected by prompts.

        Args:
            encoded: The frame, encoded by this student.
            structure: Key of the structure.
            prompts: Prompts in pixels of the frame.
            current: bool (H, W), the structure's current mask.

        Raises:
            StudentError: The frame was encoded by another student, or the mask has another size.
            SchemaError: The student does not know the structure.
        """
        if structure not in self.keys:
            raise SchemaError(
                f"the student {'has not learnt' if structure in self.schema.keys else 'does not know'} {structure!r}",
                remedy=f"Draw it by hand, or choose another student. This one knows: {', '.join(self.keys)}.",
            )
        index, n = self.schema[structure].index, len(self.schema)
        self._expect_own(encoded, current.shape)
        relative = prompt_maps.relative_to_window(prompts, encoded.window)
        maps = prompt_maps.correction_maps(index, current[encoded.window], relative, encoded.placement, n)
        asked = np.zeros(n, np.float32)
        asked[index] = 1.0
        with self._lock:
            logits, quality = self._runtime.correct(encoded.features, maps, asked)
        self._expect_numbers(logits, quality)
        planes = restore(logits[index : index + 1], encoded.placement)
        corrected = _in_frame(planes, encoded.window, encoded.shape)[0]
        mask = changed_near_clicks(current, corrected, prompts.clicks, encoded.placement.pixel_aspect)
        return Refinement(mask, float(self._confidence(quality)[index]))

    def _expect_numbers(self, *answers: FloatArray) -> None:
        """Refuse NaN and infinity: thresholded, they would look like masks of nothing or of everything."""
        if not all(np.isfinite(answer).all() for answer in answers):
            raise StudentError(
                "the student computes no numbers on this frame, but NaN or infinity",
                path=self.path,
                remedy="Choose another student: the weights of this one are of no use.",
            )

    def _expect_prompts(self) -> None:
        if not self.can_refine:
            raise StudentError(
                "this student takes no clicks",
                path=self.path,
                remedy="Choose one that does, such as the default student.",
            )

    def _expect_own(self, encoded: EncodedFrame, shape: tuple[int, ...]) -> None:
        self._expect_prompts()
        if encoded.student != self.id or encoded.shape != shape:
            raise StudentError(
                f"masks of {shape} do not fit a frame of {encoded.shape} encoded by {encoded.student}",
                remedy="Encode the frame again.",
            )

    def _look(
        self, frame: npt.NDArray[np.uint8], i: int, pixel_aspect: float, steadied: Steadied | None
    ) -> tuple[Look, Window]:
        """Return what the network may see of frame i, and the part of the frame that it is.

        The steadied frame is seen through the same window, and only prepared where it is wanted.
        """
        window = self._window(frame, pixel_aspect)
        part = frame[window]

        def prepared(placement: Placement) -> FloatArray:
            return prepare(part, placement, self._config)

        def prepared_steadied(placement: Placement) -> FloatArray | None:
            picture = None if steadied is None else steadied(i)
            return None if picture is None else prepare(picture[window], placement, self._config)

        return Look(self._placement_of(part, pixel_aspect), prepared, prepared_steadied), window

    def _window(self, frame: npt.NDArray[np.uint8], pixel_aspect: float) -> Window:
        if self._config.crop_to_field:
            return exposed_field(frame, pixel_aspect)
        return slice(0, frame.shape[0]), slice(0, frame.shape[1])

    def _placement_of(self, part: npt.NDArray[np.uint8], pixel_aspect: float) -> Placement:
        """Return the placement of a part of that size; the last one is cached, as size and field rarely change."""
        placement = self._placement
        wanted = (*part.shape, pixel_aspect)
        if placement is None or (placement.height, placement.width, placement.pixel_aspect) != wanted:
            placement = Placement.of(part.shape[0], part.shape[1], self._config.input_size, pixel_aspect)
            self._placement = placement
        return placement

    def _proposal(self, seen: Seen, window: Window, shape: tuple[int, ...]) -> Proposal:
        """Return the proposal on a frame of a shape (H, W), from what was computed of the part of it in a window."""
        self._expect_numbers(seen.logits, seen.quality)
        columns = self._columns
        ruled, confidence = self._rules.apply(seen.logits[columns], self._confidence(seen.quality)[columns])
        planes = restore(ruled, seen.placement)
        if seen.first is not None:
            first = seen.first
            ruled, trust = self._rules.apply(first.logits[columns], self._confidence(first.quality)[columns])
            whole = restore(ruled, first.placement)
            planes, confidence = self._rules.united(planes, confidence, whole, trust, seen.placement)
        state = np.full(len(self.keys), MaskState.PROPOSED, np.uint8)
        return Proposal(self.keys, Masks(_in_frame(planes, window, shape), state), confidence, self.id)

    def _confidence(self, quality: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the confidence of every structure of the schema, float32 (S,), calibrated if it can be."""
        estimated = np.clip(quality.astype(np.float32), 0.0, 1.0)
        return estimated if self._calibration is None else self._calibration.apply(estimated, self.schema.keys)


def _check(frames: npt.NDArray[np.uint8]) -> None:
    if frames.dtype != np.uint8 or frames.ndim != 3 or 0 in frames.shape[1:]:
        raise StudentError(
            f"frames must be uint8 (N, H, W), got {frames.dtype} {frames.shape}",
            remedy="Use clip.as_uint8(t)[None] for one frame of a clip.",
        )


def _in_frame(planes: BoolArray, window: Window, shape: tuple[int, ...]) -> BoolArray:
    """Paste planes of a part of a frame, bool (S, h, w), into planes of the frame, bool (S, H, W)."""
    if planes.shape[1:] == shape:
        return planes
    full = np.zeros((len(planes), *shape), np.bool_)
    full[(slice(None), *window)] = planes
    return full
