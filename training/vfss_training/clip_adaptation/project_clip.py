# SPDX-License-Identifier: Apache-2.0
"""Learn a clip of a project: a student goes on from its corrected frames, and proposes anew where nobody has spoken."""

from __future__ import annotations

import os

import numpy as np
import torch

from vfss.clips import Clip
from vfss.errors import ProjectError
from vfss.project import ClipRecord, Project
from vfss.proposals.adapted_student import AdaptedRun, annotated_soft
from vfss.proposals.propagation import refuse_read_only
from vfss.schema import Schema
from vfss.student import Student, load_checkpoint, shared_keys
from vfss.student.openvino_runtime import OpenVinoRuntime
from vfss_training.clip_adaptation.fine_tune import MOST_FRAMES, Example, evenly, learn_clip
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
    """Learn a clip from its corrected frames and write proposals of its soft structures; returns how many masks.

    The student that has learnt is not kept: on another clip it would be worth less than the one it came from.

    Args:
        project: Holds the clip.
        clip_id: The clip.
        events: Told of "learn" and "spread" (done, total, and of the latter what was written), "learnt" at the end.
        cancel: Asked between steps. What is written by then stays.
        student: Student to begin from: a file, an id or "default"; None: the project's.
        steps: Steps of the optimiser; None: by the number of frames to learn from.
        threads: Threads to compute with; 0: as many as there are processors.

    Raises:
        TrainingError: Too few frames to learn from, or cancelled.
        SchemaError: The student and the project have no structure in common.
        VfssError: The project or clip cannot be read or written.
    """
    refuse_read_only(project)
    cores = threads or max(1, os.cpu_count() or 1)
    torch.set_num_threads(cores)
    parent = load_checkpoint(project.student_path(student))
    shared_keys(parent.schema.keys, project.schema.keys)  # raises where it knows none of them

    def tell(done: int, total: int) -> None:
        cancel.check()
        events.emit("learn", done=done, total=total)

    with project.open_clip(clip_id) as clip:
        frames, found = examples(project, clip, parent.schema)
        learnt = learn_clip(parent, found, steps=steps, tell=tell)
        runtime = OpenVinoRuntime(learnt, threads=cores)
        run = AdaptedRun(project, clip, Student(learnt, runtime), frames=frames, parent=parent.id)
        masks = 0
        for stage in run.run():
            masks += len(stage.written)
            events.emit("spread", done=stage.done, total=stage.total, written=stage.written)
            cancel.check()  # after telling: what is written and not told of could not be undone
    events.emit("learnt", frames=len(found), masks=masks)
    return masks


def examples(project: Project, clip: Clip, schema: Schema) -> tuple[list[int], list[Example]]:
    """Return the frames of a clip on which soft structures are annotated, evenly spread where many, and their masks.

    Args:
        project: Holds the masks.
        clip: One of its clips.
        schema: Structures of the student that learns: planes are in its order; those the project lacks are not known.
    """
    shared = shared_keys(schema.keys, project.schema.keys)
    here = [project.schema[key].index for key in shared]
    there = [schema[key].index for key in shared]
    annotated = np.zeros((clip.n_frames, len(schema)), np.bool_)
    annotated[:, there] = annotated_soft(project.states(clip.id), project.schema)[:, here]
    frames = evenly([int(frame) for frame in np.flatnonzero(annotated.any(axis=1))], MOST_FRAMES)
    found = []
    for t in frames:
        planes = np.zeros((len(schema), clip.height, clip.width), np.bool_)
        planes[there] = project.masks(clip.id, t).planes[here]
        found.append(Example(clip.as_uint8(t), planes, annotated[t]))
    return frames, found


def clip_named(project: Project, name: str) -> ClipRecord:
    """The clip with that id, or whose file has that name.

    Raises:
        ProjectError: There is none, or several files have that name.
    """
    records = project.clips()
    found = [record for record in records if name == record.id] or [r for r in records if name == r.path.name]
    if len(found) == 1:
        return found[0]
    known = ", ".join(record.path.name for record in records[:10]) or "none"
    what = f"{len(found)} clips of the project are called {name}" if found else f"the project has no clip {name}"
    raise ProjectError(what, path=project.folder, remedy=f"Name one by its id, or by its file. It has: {known}.")
