# SPDX-License-Identifier: Apache-2.0
"""vfss-train learn: a student learns one clip from its corrected frames, and proposes the rest of it anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vfss_training.cli.errors import complaining, telling


def learn(  # noqa: PLR0917  (typer calls it by name)
    project: Annotated[Path, typer.Argument(help="Project with the clip.")],
    clip: Annotated[str, typer.Argument(help="The clip: its id, or the name of its file.")],
    student: Annotated[str | None, typer.Option(help="Student to begin from: a file, an id, or 'default'.")] = None,
    steps: Annotated[int | None, typer.Option(help="Optimiser steps; by default by the frames.", min=1)] = None,
    events: Annotated[str, typer.Option(help="Where progress goes as JSON lines: a file, or -.")] = "",
    threads: Annotated[int, typer.Option(help="Threads to compute with; 0: all processors.")] = 0,
) -> None:
    """Learn a CLIP from what people corrected on it, and propose its soft structures anew where nobody has spoken."""
    from vfss.project import Project
    from vfss_training.clip_adaptation.project_clip import clip_named, learn_project_clip
    from vfss_training.events import Cancel, Events

    with (
        complaining(),
        Events.opened(events) as told,
        Cancel().listening() as cancel,
        telling(told),
        Project.open(project) as opened,
    ):
        record = clip_named(opened, clip)
        masks = learn_project_clip(opened, record.id, told, cancel, student=student, steps=steps, threads=threads)
        if events != "-":
            typer.echo(f"{record.path.name}: {masks} masks proposed anew")
