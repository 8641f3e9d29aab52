# SPDX-License-Identifier: Apache-2.0
"""A student that learns one clip while a person corrects it: its decoder goes on from the frames that are done.

A student is wrong on a clip in the same way on every frame: an epiglottis drawn too small, a pharynx that ends too
high. A few corrected frames say how. Only the decoder learns, on features that the encoder is asked for once: that
takes seconds on a laptop. What comes of it is for this one clip alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from vfss.clips.exposed_field import exposed_field
from vfss.errors import TrainingError
from vfss.proposals.adapted_student import LEAST_FRAMES
from vfss.student.checkpoint import Checkpoint
from vfss.student.network.decoder import Features
from vfss.student.network.student import StudentNetwork
from vfss.student.preprocess import Placement, prepare
from vfss.student.torch_runtime import build_network

MOST_FRAMES = 32
"""Frames that are learnt from at most."""
_FEWEST_STEPS, _MOST_STEPS, _STEPS_A_FRAME = 80, 280, 12
# Share of the old decoder's weights in the new one. A decoder that learnt from few frames may see a bolus at its
# residue's place on all frames; the old one, which was sure that there is none, outvotes it.
_OLD = 0.05
_RATE, _WARM, _BATCH = 1e-3, 5, 4
_ENTROPY, _EDGE = 5.0, 8.0  # weight of the cross-entropy beside the Dice; how much more the outline counts

Thing = TypeVar("Thing")
Tell = Callable[[int, int], None]
"""Called with what is done and what there is to do; may raise in order to stop."""


@dataclass(frozen=True, eq=False)
class Example:
    """A frame of the clip and what a person said of it.

    Attributes:
        picture: uint8 (H, W).
        planes: bool (S, H, W).
        known: bool (S,), which of the planes are a person's word; an empty plane can be one too.
    """

    picture: npt.NDArray[np.uint8]
    planes: npt.NDArray[np.bool_]
    known: npt.NDArray[np.bool_]


def learn_clip(
    checkpoint: Checkpoint,
    examples: Sequence[Example],
    *,
    steps: int | None = None,
    seed: int = 0,
    tell: Tell = lambda _done, _total: None,
) -> Checkpoint:
    """The student with a decoder that has learnt the examples; its encoder and what takes clicks stay as they are.

    Args:
        checkpoint: The student to begin from; it is left as it is.
        examples: Frames of one clip, of one size.
        steps: Steps of the optimiser; None: the more, the more frames there are to learn from.
        seed: Decides the order in which the frames are shown.
        tell: Told of progress: frames encoded first, then steps.

    Raises:
        TrainingError: Fewer than LEAST_FRAMES examples, or they do not fit the student's schema.
    """
    chosen = evenly(examples, MOST_FRAMES)
    if steps is None:
        steps = min(_MOST_STEPS, max(_FEWEST_STEPS, _STEPS_A_FRAME * len(chosen)))
    total, n = len(chosen) + steps, len(checkpoint.schema)
    if len(chosen) < LEAST_FRAMES:
        raise TrainingError(
            f"a person has said something of soft structures on {len(chosen)} frames, too few to learn the clip from",
            remedy=f"Correct or accept bolus, pharynx, epiglottis or airway on {LEAST_FRAMES} frames or more.",
        )
    if any(len(example.planes) != n or len(example.known) != n for example in chosen):
        raise TrainingError(f"the masks are not of the student's {n} structures")
    network = build_network(checkpoint)
    shown: list[_Lesson] = []
    for example in chosen:
        tell(len(shown), total)
        shown.append(_shown(network, checkpoint, example))
    lesson = _Lesson.of(shown)
    weights = [weight for name, weight in network.decoder.named_parameters() if not name.startswith("iou_")]
    optimiser = torch.optim.AdamW(weights, lr=_RATE, weight_decay=0.0)
    random = np.random.default_rng(seed)
    for step in range(steps):
        tell(len(chosen) + step, total)
        for group in optimiser.param_groups:
            group["lr"] = _RATE * min(1.0, (step + 1) / _WARM) * (1.0 - step / steps)
        some = torch.from_numpy(random.choice(len(lesson.known), min(_BATCH, len(lesson.known)), replace=False))
        loss = lesson.loss(network, some)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return _with_decoder(checkpoint, network, len(chosen))


@dataclass(frozen=True)
class _Lesson:
    """Features of frames (and of their mirror images), with what is to be said of them."""

    features: Features
    target: Tensor  # float (N, S, size/2, size/2), share of each pixel that is covered
    weight: Tensor  # float, the same shape: the outline counts more
    known: Tensor  # float (N, S)

    @classmethod
    def of(cls, shown: Sequence[_Lesson]) -> _Lesson:
        """Several as one."""
        features = [one.features for one in shown]
        return cls(
            Features(
                torch.cat([one.embedding for one in features]),
                torch.cat([one.fine8 for one in features]),
                torch.cat([one.fine4 for one in features]),
            ),
            torch.cat([one.target for one in shown]),
            torch.cat([one.weight for one in shown]),
            torch.cat([one.known for one in shown]),
        )

    def loss(self, network: StudentNetwork, some: Tensor) -> Tensor:
        """Weighted cross-entropy and soft Dice of the known planes of some frames, float ()."""
        kept, target, known = self.features, self.target[some], self.known[some]
        logits, _ = network.unprompted(Features(kept.embedding[some], kept.fine8[some], kept.fine4[some]))
        logits = functional.interpolate(logits, size=target.shape[-2:], mode="bilinear")
        entropy = functional.binary_cross_entropy_with_logits(logits, target, self.weight[some], reduction="none")
        inside = logits.sigmoid()
        overlap, size = (inside * target).sum((2, 3)), inside.sum((2, 3)) + target.sum((2, 3))
        each = _ENTROPY * entropy.mean((2, 3)) + 1.0 - (2.0 * overlap + 1.0) / (size + 1.0)
        return (each * known).sum() / known.sum().clamp(min=1.0)


def _shown(network: StudentNetwork, checkpoint: Checkpoint, example: Example) -> _Lesson:
    """One frame, and its mirror image where the student looks at both."""
    config = checkpoint.config
    window = exposed_field(example.picture) if config.crop_to_field else (slice(None), slice(None))
    part = example.picture[window]
    placement = Placement.of(part.shape[0], part.shape[1], config.input_size)
    frame = torch.from_numpy(prepare(part, placement, config)[None])
    planes = np.stack([_covered(plane[window], placement) for plane in example.planes])
    target = torch.from_numpy(planes[None])
    known = torch.from_numpy(example.known[None].astype(np.float32))
    if config.mirrored:
        frame, target = torch.cat([frame, frame.flip(3)]), torch.cat([target, target.flip(3)])
        known = known.repeat(2, 1)
    outline = (functional.avg_pool2d(target, 5, 1, 2) - target).abs().clamp(max=0.5)
    with torch.no_grad():
        features = network.encoder(frame)
    return _Lesson(features, target, 1.0 + _EDGE * outline, known)


def _covered(plane: npt.NDArray[np.bool_], placement: Placement) -> npt.NDArray[np.float32]:
    """Share of each pixel of half the input's size that a plane covers, float32 (size/2, size/2)."""
    square = np.zeros((placement.size, placement.size), np.float32)
    if plane.any():
        scaled = cv2.resize(plane.astype(np.float32), (placement.columns, placement.rows), interpolation=cv2.INTER_AREA)
        square[placement.window] = scaled
    half = placement.size // 2
    found: npt.NDArray[np.float32] = square.reshape(half, 2, half, 2).mean(axis=(1, 3), dtype=np.float32)
    return found


def evenly(things: Sequence[Thing], most: int) -> list[Thing]:
    """At most so many of them, from first to last at even distances."""
    if len(things) <= most:
        return list(things)
    return [things[i] for i in np.linspace(0, len(things) - 1, most).round().astype(int)]


def _with_decoder(checkpoint: Checkpoint, network: StudentNetwork, frames: int) -> Checkpoint:
    """The checkpoint with the network's decoder; scores and confidence were another's, and are left away."""
    tensors = dict(checkpoint.tensors)
    for name, weight in network.decoder.state_dict().items():
        kept = checkpoint.tensors[f"decoder.{name}"]
        new = weight.numpy()
        mixed = new + _OLD * (kept.astype(np.float32) - new)  # what did not learn stays the same to the last bit
        tensors[f"decoder.{name}"] = mixed.astype(kept.dtype)
    provenance = {**checkpoint.provenance, "learnt_clip": {"parent": checkpoint.id, "frames": frames}}
    return replace(checkpoint, tensors=tensors, provenance=provenance, scores={}, precision={}, id="", path=None)
