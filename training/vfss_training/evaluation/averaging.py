# SPDX-License-Identifier: Apache-2.0
"""Two students of one descent become one: the mean of their weights.

A student that went on learning is better on what it learnt from, and often worse on what is far from that; half-way
between it and its parent lies, more often than not, a student better than both on either (Wortsman et al. 2022, "Robust
fine-tuning of zero-shot models", arXiv 2109.01903). It costs nothing when the student is used.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from vfss.errors import TrainingError
from vfss.student import Student
from vfss.student.checkpoint import Checkpoint, load_checkpoint
from vfss.student.openvino_runtime import OpenVinoRuntime
from vfss_training.config.recipe import Recipe
from vfss_training.evaluation.score import score_on_phantoms


def averaged(parent: Checkpoint, child: Checkpoint, share: float) -> Checkpoint:
    """The mean of two students' weights; scores, confidence and prompts are those of neither, and left away.

    Args:
        parent: The student that the other one went on from.
        child: The other one.
        share: Share of the child's weights, above 0 and below 1.

    Raises:
        TrainingError: They are not of one architecture and schema, or the share is not between 0 and 1.
    """
    if not 0.0 < share < 1.0:
        raise TrainingError(f"a share of {share} is no mean of two students", remedy="Give one between 0 and 1.")
    shapes = [{name: array.shape for name, array in one.tensors.items()} for one in (parent, child)]
    if parent.config != child.config or parent.schema.keys != child.schema.keys or shapes[0] != shapes[1]:
        raise TrainingError(
            f"students {parent.id} and {child.id} are of different architecture or schema",
            path=child.path,
            remedy="Average a student with one that went on from it.",
        )
    tensors = {name: _mean(parent.tensors[name], child.tensors[name], share) for name in child.tensors}
    provenance = {**child.provenance, "average_of": {parent.id: 1.0 - share, child.id: share}}
    return Checkpoint(child.config, child.schema, tensors, child.graph, provenance, prompted=child.prompted)


def _mean(one: np.ndarray, other: np.ndarray, share: float) -> np.ndarray:
    if not np.issubdtype(one.dtype, np.floating):
        return other
    mean: np.ndarray = (1.0 - share) * one.astype(np.float32) + share * other.astype(np.float32)
    return mean.astype(one.dtype)


def average_files(parent: Path, child: Path, out: Path, recipe: Recipe, *, share: float) -> Checkpoint:
    """Average two files, score the result on the recipe's held-out phantoms and write it.

    Raises:
        StudentError: A file is no student.
        TrainingError: The two do not go together.
    """
    mean = averaged(load_checkpoint(parent), load_checkpoint(child), share)
    scores = score_on_phantoms(Student(mean, OpenVinoRuntime(mean)), recipe)
    return replace(mean, scores=scores).save(out)
