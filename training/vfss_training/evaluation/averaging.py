# SPDX-License-Identifier: Apache-2.0
"""Weight averaging: the mean of a student's weights and its parent's.

A fine-tuned student is better on the data that it was trained on, and often worse on data far from it; the mean of its
weights and its parent's is more often than not better than both on either (Wortsman et al. 2022, "Robust fine-tuning of
zero-shot models", arXiv 2109.01903). It costs nothing when the student is used.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vfss.errors import TrainingError
from vfss.student import Student
from vfss.student.checkpoint import Checkpoint, load_checkpoint
from vfss.student.openvino_runtime import OpenVinoRuntime
from vfss.student.precision import measured_precision, whole_frames
from vfss_training.config.recipe import Recipe
from vfss_training.data.phantoms import draw_phantom
from vfss_training.evaluation.score import score_on_phantoms

_COMPARED = 3
"""Frames of each held-out style on which precisions are compared."""


def average_weights(parent: Checkpoint, child: Checkpoint, share: float) -> Checkpoint:
    """Return the mean of two students' weights, without scores and calibration, which belong to neither.

    A landmark head is left out: it finds its places in the features of the student it was trained for.

    Args:
        parent: Student that the child was trained from.
        child: The other student.
        share: Weight of the child, above 0 and below 1.

    Raises:
        TrainingError: They differ in architecture or schema, or the share is not between 0 and 1.
    """
    if not 0.0 < share < 1.0:
        raise TrainingError(
            f"the share is {share}, which gives no mean of two students", remedy="Give one between 0 and 1."
        )
    parent, child = _without_landmarks(parent), _without_landmarks(child)
    shapes = [{name: array.shape for name, array in one.tensors.items()} for one in (parent, child)]
    if parent.config != child.config or parent.schema.keys != child.schema.keys or shapes[0] != shapes[1]:
        raise TrainingError(
            f"students {parent.id} and {child.id} differ in architecture or schema",
            path=child.path,
            remedy="Average a student with one that was trained from it.",
        )
    tensors = {name: _mean(parent.tensors[name], child.tensors[name], share) for name in child.tensors}
    provenance = {**child.provenance, "average_of": {parent.id: 1.0 - share, child.id: share}}
    learnt = None
    if parent.learnt is not None or child.learnt is not None:  # the mean of learnt and random weights is worth nothing
        both = [key for key in child.learnt_keys if key in parent.learnt_keys]
        learnt = {key: (child.learnt or parent.learnt or {}).get(key, 0) for key in both}
    return Checkpoint(
        child.config,
        child.schema,
        tensors,
        child.graph,
        provenance,
        prompted=child.prompted,
        learnt=learnt,
        mirror=child.mirror,
        closer=child.closer,
    )


def _without_landmarks(checkpoint: Checkpoint) -> Checkpoint:
    """Return a student without its landmark head."""
    return replace(
        checkpoint,
        config=replace(checkpoint.config, landmark_head=0),
        tensors={name: one for name, one in checkpoint.tensors.items() if not name.startswith("landmark_head.")},
        prompted={name: graph for name, graph in checkpoint.prompted.items() if name != "landmarks"},
    )


def _mean(one: np.ndarray, other: np.ndarray, share: float) -> np.ndarray:
    """Return the weighted mean of two arrays; what is no weight, such as a counter, is the other's."""
    if not np.issubdtype(one.dtype, np.floating):
        return other
    mean: np.ndarray = (1.0 - share) * one.astype(np.float32) + share * other.astype(np.float32)
    return mean.astype(one.dtype)


def average_files(parent: Path, child: Path, out: Path, recipe: Recipe, *, share: float) -> Checkpoint:
    """Average two student files, measure the result on the recipe's held-out phantoms and write it.

    Measured are its scores, and how well its masks in a faster precision agree with f32.

    Raises:
        StudentError: A file is not a student file.
        TrainingError: The students differ in architecture or schema.
    """
    mean = average_weights(load_checkpoint(parent), load_checkpoint(child), share)
    mean = replace(mean, precision=measured_precision(mean, _compared_frames(mean, recipe)))
    scores = score_on_phantoms(Student(mean, OpenVinoRuntime(mean)), recipe)
    return replace(mean, scores=scores).save(out)


def _compared_frames(checkpoint: Checkpoint, recipe: Recipe) -> npt.NDArray[np.float32]:
    """Return a few held-out frames of each style as network inputs, float32 (N, 1, size, size)."""
    frames = [
        draw_phantom(part.first_seed + i, checkpoint.config.input_size, style)[0]
        for style, part in recipe.held_out.items()
        for i in range(min(part.frames, _COMPARED))
    ]
    return whole_frames(frames, checkpoint.config)
