# SPDX-License-Identifier: Apache-2.0
"""Adapt a student to a clip of a project, and write its masks as proposals where no person has annotated."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import numpy as np
import torch

from vfss.clips import Clip
from vfss.clips.readable import unreadable_frames
from vfss.errors import ClipError, MaskError, ProjectError
from vfss.project import ClipRecord, Project
from vfss.proposals.adapted_student import AdaptedRun
from vfss.proposals.propagation import refuse_read_only
from vfss.proposals.soft_annotations import annotated_soft
from vfss.schema import Schema
from vfss.student import Student, load_checkpoint, shared_keys
from vfss.student.openvino_runtime import OpenVinoRuntime
from vfss_training.clip_adaptation.fine_tune import MOST_FRAMES, Example, evenly_spread, learn_clip
from vfss_training.events import Cancel, Events


def learn_project_clip(
    project: Project,
    clip_id: str,
    events: Events,
    cancel: Cancel,
    *,
    student: str | None = None,
    steps: int | None = None,
    threads: int = 0,
) -> int:
    """Adapt a student to a clip and write proposals of its soft structures; return the number of masks written.

    The clip-adapted student is not kept: on another clip it would be worse than the one it was adapted from.

    Args:
        project: Project with the clip.
        clip_id: Id of the clip.
        events: Receives "learn" and "spread" (done, total; of the latter also what was written), "learnt" at the end.
        cancel: Checked between steps; what is written by then stays.
        student: Student to start from: a file, an id or "default"; None: the project's.
        steps: Optimiser steps; None: by the number of frames.
        threads: Threads to compute with; 0: as many as there are processors.

    Raises:
        TrainingError: Too few annotated frames, or cancelled.
        SchemaError: The student and the project have no structure in common.
        VfssError: The project or clip cannot be read or written.
    """
    refuse_read_only(project)
    cores = threads or max(1, os.cpu_count() or 1)
    torch.set_num_threads(cores)
    parent = load_checkpoint(project.student_path(student))
    shared_keys(parent.learnt_keys, project.schema.keys)  # raises if there is none

    def report(done: int, total: int) -> None:
        cancel.check()
        events.emit("learn", done=done, total=total)

    def left_out(t: int, reason: str) -> None:
        events.emit("left_out", message=f"Frame {t} is left out, as it cannot be read: {reason}", frames=[t])

    with project.open_clip(clip_id) as clip:
        frames, annotated = examples(project, clip, parent.schema, parent.learnt_keys, left_out)
        adapted = learn_clip(parent, annotated, steps=steps, progress=report)
        runtime = OpenVinoRuntime(adapted, threads=cores)
        run = AdaptedRun(project, clip, Student(adapted, runtime), frames=frames, parent=parent.id)
        masks = 0
        for stage in run.run():
            masks += len(stage.written)
            events.emit("spread", done=stage.done, total=stage.total, written=stage.written)
            cancel.check()  # after the event: what is written without one could not be undone
        if message := unreadable_frames(run.unreadable):
            events.emit("left_out", message=f"{message}.", frames=sorted(run.unreadable))
    events.emit("learnt", frames=len(annotated), masks=masks)
    return masks


def examples(
    project: Project, clip: Clip, schema: Schema, learnt: Sequence[str], left_out: Callable[[int, str], None]
) -> tuple[list[int], list[Example]]:
    """Return the frames with annotated soft structures, evenly spread if there are many, and their masks.

    Args:
        project: Project with the masks.
        clip: Clip of the project.
        schema: Structures of the student, which give the order of the planes; those the project lacks are unknown.
        learnt: Keys of those that the student has learnt: a few frames of one clip do not teach it another structure.
        left_out: Called with each frame that cannot be read, or whose masks cannot be, and the reason.
    """
    shared = shared_keys(learnt, project.schema.keys)
    here = [project.schema[key].index for key in shared]
    there = [schema[key].index for key in shared]
    annotated = np.zeros((clip.n_frames, len(schema)), np.bool_)
    annotated[:, there] = annotated_soft(project.states(clip.id), project.schema)[:, here]
    frames = evenly_spread([int(frame) for frame in np.flatnonzero(annotated.any(axis=1))], MOST_FRAMES)
    found: dict[int, Example] = {}
    for t in frames:
        try:
            planes = np.zeros((len(schema), clip.height, clip.width), np.bool_)
            planes[there] = project.masks(clip.id, t).planes[here]
            found[t] = Example(clip.as_uint8(t), planes, annotated[t], clip.pixel_aspect)
        except (ClipError, MaskError) as error:
            left_out(t, error.what)
    return list(found), list(found.values())


def clip_named(project: Project, name: str) -> ClipRecord:
    """Return the clip with that id, or whose file has that name.

    Raises:
        ProjectError: There is none, or several files have that name.
    """
    records = project.clips()
    matches = [record for record in records if name == record.id] or [r for r in records if name == r.path.name]
    if len(matches) == 1:
        return matches[0]
    known = ", ".join(record.path.name for record in records[:10]) or "none"
    what = f"{len(matches)} clips of the project are called {name}" if matches else f"the project has no clip {name}"
    raise ProjectError(what, path=project.folder, remedy=f"Name one by its id, or by its file. It has: {known}.")
