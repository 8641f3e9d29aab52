# SPDX-License-Identifier: Apache-2.0
"""Which structures a training can teach: those with a mask on some frame of it, and those that were learnt before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from vfss.masks import MaskState
from vfss.project import Project
from vfss.schema import Schema
from vfss.student.checkpoint import Checkpoint
from vfss.student.learnt import names_listed
from vfss_training.config.recipe import Recipe
from vfss_training.data.phantoms import PHANTOM_SCHEMA
from vfss_training.data.samples import Samples
from vfss_training.studies.sources import TRAINED


def annotated_masks(samples: Samples, schema: Schema) -> dict[str, int]:
    """Return by key on how many samples a structure has a mask with pixels that a person confirmed."""
    counts = np.zeros(len(schema), np.int64)
    for i in range(len(samples)):
        sample = samples[i]
        planes = np.unpackbits(sample.bits, axis=0, count=len(schema))
        counts += planes.any(axis=(1, 2)) & (sample.known >= 1)
    return dict(zip(schema.keys, counts.tolist(), strict=True))


def accepted_masks(projects: Sequence[Project]) -> dict[str, int]:
    """Return by key on how many frames of training patients a structure is accepted, without reading any frame."""
    counts = dict.fromkeys(projects[0].schema.keys, 0)
    for project in projects:
        sides = project.clip_splits()
        for record in project.clips():
            if sides[record.id] in TRAINED:
                accepted = (project.states(record.id) == MaskState.ACCEPTED).sum(axis=0)
                for key, n in zip(project.schema.keys, accepted.tolist(), strict=True):
                    counts[key] += n
    return counts


def learnt_by(
    annotated: Mapping[str, int], schema: Schema, recipe: Recipe, parent: Checkpoint | None
) -> dict[str, int]:
    """Return the structures that a student will have learnt, and from how many annotated frames each.

    A structure that is annotated as empty everywhere does not count: a student that never saw it can only propose
    nothing, and whoever accepts a frame would state that it is absent. Of a structure without a mask here counts what
    phantoms show, and what the student to start from had learnt.

    Args:
        annotated: Frames with a mask of each structure.
        schema: Structures of the student.
        recipe: Training recipe.
        parent: Student to start from; None for none.
    """
    phantom = Schema.load(PHANTOM_SCHEMA).keys if recipe.replay > 0 and recipe.phantom_frames > 0 else ()
    before = () if parent is None else parent.learnt_keys
    return {key: annotated[key] for key in schema.keys if annotated[key] or key in phantom or key in before}


def not_learnt_notice(schema: Schema, learnt: Mapping[str, int]) -> str:
    """Return a message that names the structures that will not be learnt; empty if all will be."""
    missing = [key for key in schema.keys if key not in learnt]
    if not missing:
        return ""
    names = names_listed(schema, missing)
    if len(missing) == 1:
        what = f"{names} has no accepted mask on any frame of the training patients, is not learnt and is not proposed."
        return f"{what} To have it learnt, accept masks of it there and train again."
    what = f"{names} have no accepted mask on any frame of the training patients, are not learnt and are not proposed."
    return f"{what} To have them learnt, accept masks of them there and train again."
