# SPDX-License-Identifier: Apache-2.0
"""Export a student's graphs again, as this version does, and measure in which precisions it can be computed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from vfss.student import load_checkpoint
from vfss.student.checkpoint import Checkpoint
from vfss.student.closer_look import CloserLook
from vfss.student.mirror_policy import MirrorPolicy
from vfss.student.precision import whole_frames
from vfss.student.torch_runtime import build_network
from vfss_training.data.phantoms import draw_phantom
from vfss_training.evaluation.calibrate import FIRST_SEED, style_of
from vfss_training.model.export import pack

FRAMES = 12
"""Phantom frames on which precisions are compared."""


def export_file(
    path: Path, out: Path | None = None, mirror: MirrorPolicy | None = None, closer: CloserLook | None = None
) -> Checkpoint:
    """Export the student of a file again and write it back, or to another file; its id changes.

    Files of earlier versions hold a graph that always computes the mirror image, and some lack the agreement of their
    masks in faster precisions. Weights, scores and calibration stay.

    Args:
        path: The student's file.
        out: File to write; None: the same.
        mirror: Where mirror images are computed too; None: as the file says, or as new students do.
        closer: Where frames are looked at again with the spine in its usual size; None: as the file says.

    Raises:
        StudentError: The file cannot be read or written, or is not a student file.
    """
    old = load_checkpoint(path)
    size = old.config.input_size
    frames = whole_frames((draw_phantom(FIRST_SEED + i, size, style_of(i))[0] for i in range(FRAMES)), old.config)
    new = pack(build_network(old), old.config, old.schema, provenance=old.provenance, frames=frames, learnt=old.learnt)
    return replace(
        new,
        scores=old.scores,
        calibration=old.calibration,
        precision=new.precision or old.precision,
        mirror=mirror or old.mirror or new.mirror,
        closer=closer or old.closer,
    ).save(path if out is None else out)
