# SPDX-License-Identifier: Apache-2.0
"""Clip adaptation: fine-tune a student's decoder on the annotated frames of one clip, while a person corrects it.

A student makes the same errors on all frames of a clip: an epiglottis that is too small, a pharynx that ends too high.
A few corrected frames show them. Only the decoder is trained, on features that the encoder computes once: that takes
seconds on a laptop. The clip-adapted student is used for this one clip only.
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
from vfss.proposals.soft_annotations import LEAST_FRAMES
from vfss.student.checkpoint import Checkpoint
from vfss.student.network.decoder import Features
from vfss.student.network.student import StudentNetwork
from vfss.student.preprocess import Placement, prepare
from vfss.student.torch_runtime import build_network

MOST_FRAMES = 32
"""Frames to train on at most."""
_FEWEST_STEPS, _MOST_STEPS, _STEPS_A_FRAME = 80, 280, 12
# Share of the old decoder's weights in the new one. A decoder fitted to few frames may propose a bolus where its
# residue lies on all frames; the old one, which is confident that there is none, prevents it.
_OLD = 0.05
_RATE, _WARM, _BATCH = 1e-3, 5, 4
_ENTROPY, _EDGE = 5.0, 8.0  # weight of the cross-entropy against the Dice; extra weight of the outline

Item = TypeVar("Item")
Progress = Callable[[int, int], None]
"""Called with the number of parts done and in total; may raise in order to stop."""


@dataclass(frozen=True, eq=False)
class Example:
    """An annotated frame of the clip.

    Attributes:
        picture: uint8 (H, W).
        planes: bool (S, H, W), its masks.
        known: bool (S,), which of the planes are annotated; an annotated plane may be empty.
        pixel_aspect: Width of a pixel divided by its height.
    """

    picture: npt.NDArray[np.uint8]
    planes: npt.NDArray[np.bool_]
    known: npt.NDArray[np.bool_]
    pixel_aspect: float = 1.0


def learn_clip(
    checkpoint: Checkpoint,
    examples: Sequence[Example],
    *,
    steps: int | None = None,
    seed: int = 0,
    progress: Progress = lambda _done, _total: None,
) -> Checkpoint:
    """Return the student with a decoder fine-tuned on the examples; encoder and corrector stay as they are.

    Args:
        checkpoint: Student to start from; it is not changed.
        examples: Annotated frames of one clip, of one size.
        steps: Optimiser steps; None: in proportion to the number of frames, within bounds.
        seed: Seed of the order of the frames.
        progress: Reports progress: frames encoded first, then steps.

    Raises:
        TrainingError: Fewer than LEAST_FRAMES examples, or they do not fit the student's schema.
    """
    chosen = evenly_spread(examples, MOST_FRAMES)
    _refuse_unfit(chosen, len(checkpoint.schema))
    if steps is None:
        steps = min(_MOST_STEPS, max(_FEWEST_STEPS, _STEPS_A_FRAME * len(chosen)))
    total = len(chosen) + steps
    network = build_network(checkpoint)
    encoded: list[_Encoded] = []
    for example in chosen:
        progress(len(encoded), total)
        encoded.append(_encode(network, checkpoint, example))
    batch = _Encoded.joined(encoded)
    weights = [weight for name, weight in network.decoder.named_parameters() if not name.startswith("iou_")]
    optimiser = torch.optim.AdamW(weights, lr=_RATE, weight_decay=0.0)
    random = np.random.default_rng(seed)
    for step in range(steps):
        progress(len(chosen) + step, total)
        for group in optimiser.param_groups:
            group["lr"] = _RATE * min(1.0, (step + 1) / _WARM) * (1.0 - step / steps)
        rows = torch.from_numpy(random.choice(len(batch.known), min(_BATCH, len(batch.known)), replace=False))
        loss = batch.loss(network, rows)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return _with_decoder(checkpoint, network, len(chosen))


def _refuse_unfit(examples: Sequence[Example], n: int) -> None:
    """Raise if there are too few examples, or their masks are not those of n structures."""
    if len(examples) < LEAST_FRAMES:
        raise TrainingError(
            f"soft structures are annotated on {len(examples)} frames, too few to adapt the student to the clip",
            remedy=f"Correct or accept bolus, pharynx, epiglottis or airway on {LEAST_FRAMES} frames or more.",
        )
    if any(len(example.planes) != n or len(example.known) != n for example in examples):
        raise TrainingError(f"the masks are not those of the student's {n} structures")


@dataclass(frozen=True)
class _Encoded:
    """Features of frames (and of their mirror images), with their targets."""

    features: Features
    target: Tensor  # float (N, S, size/2, size/2), share of each pixel that is covered
    weight: Tensor  # float, the same shape: the outline counts more
    known: Tensor  # float (N, S)

    @classmethod
    def joined(cls, parts: Sequence[_Encoded]) -> _Encoded:
        """Return several as one."""
        features = [one.features for one in parts]
        return cls(
            Features(
                torch.cat([one.embedding for one in features]),
                torch.cat([one.fine8 for one in features]),
                torch.cat([one.fine4 for one in features]),
            ),
            torch.cat([one.target for one in parts]),
            torch.cat([one.weight for one in parts]),
            torch.cat([one.known for one in parts]),
        )

    def loss(self, network: StudentNetwork, rows: Tensor) -> Tensor:
        """Return the weighted cross-entropy and soft Dice of the known planes of some frames, float ()."""
        features, target, known = self.features, self.target[rows], self.known[rows]
        logits, *_ = network.unprompted(Features(features.embedding[rows], features.fine8[rows], features.fine4[rows]))
        logits = functional.interpolate(logits, size=target.shape[-2:], mode="bilinear")
        entropy = functional.binary_cross_entropy_with_logits(logits, target, self.weight[rows], reduction="none")
        inside = logits.sigmoid()
        overlap, size = (inside * target).sum((2, 3)), inside.sum((2, 3)) + target.sum((2, 3))
        each = _ENTROPY * entropy.mean((2, 3)) + 1.0 - (2.0 * overlap + 1.0) / (size + 1.0)
        return (each * known).sum() / known.sum().clamp(min=1.0)


def _encode(network: StudentNetwork, checkpoint: Checkpoint, example: Example) -> _Encoded:
    """Encode one frame, and its mirror image if the student uses both."""
    config = checkpoint.config
    aspect = example.pixel_aspect
    window = exposed_field(example.picture, aspect) if config.crop_to_field else (slice(None), slice(None))
    part = example.picture[window]
    placement = Placement.of(part.shape[0], part.shape[1], config.input_size, aspect)
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
    return _Encoded(features, target, 1.0 + _EDGE * outline, known)


def _covered(plane: npt.NDArray[np.bool_], placement: Placement) -> npt.NDArray[np.float32]:
    """Return the share of each pixel that a plane covers, at half the input size, float32 (size/2, size/2)."""
    square = np.zeros((placement.size, placement.size), np.float32)
    if plane.any():
        scaled = cv2.resize(plane.astype(np.float32), (placement.columns, placement.rows), interpolation=cv2.INTER_AREA)
        square[placement.window] = scaled
    half = placement.size // 2
    covered: npt.NDArray[np.float32] = square.reshape(half, 2, half, 2).mean(axis=(1, 3), dtype=np.float32)
    return covered


def evenly_spread(items: Sequence[Item], most: int) -> list[Item]:
    """Return at most so many items, from first to last at even distances."""
    if len(items) <= most:
        return list(items)
    return [items[i] for i in np.linspace(0, len(items) - 1, most).round().astype(int)]


def _with_decoder(checkpoint: Checkpoint, network: StudentNetwork, frames: int) -> Checkpoint:
    """Return the checkpoint with the network's decoder, without its scores, which are no longer valid."""
    tensors = dict(checkpoint.tensors)
    for name, weight in network.decoder.state_dict().items():
        old = checkpoint.tensors[f"decoder.{name}"]
        new = weight.numpy()
        mixed = new + _OLD * (old.astype(np.float32) - new)  # weights that were not trained stay bit for bit
        tensors[f"decoder.{name}"] = mixed.astype(old.dtype)
    provenance = {**checkpoint.provenance, "learnt_clip": {"parent": checkpoint.id, "frames": frames}}
    return replace(checkpoint, tensors=tensors, provenance=provenance, scores={}, precision={}, id="", path=None)
