# SPDX-License-Identifier: Apache-2.0
"""`vfss project` makes a project and corrects what it knows of a clip; `vfss splits` assigns patients to splits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from vfss.cli.console import CommandGroup, plain_table, print_result

# The rest of the engine is imported where it is needed: `vfss --help` must not wait for it.
if TYPE_CHECKING:
    from vfss.project.patients import PatientRecord

OWN_TIMES = "file"
"""What stands on the command line for the times that the recording itself states."""

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of the new project.", show_default=False)]
SchemaName = Annotated[
    str,
    typer.Option(
        "--schema", metavar="FILE", help="Schema: a YAML file as in docs/schema.md, or the name of one that ships."
    ),
]
ProjectFolder = Annotated[Path, typer.Argument(metavar="PROJECT", help="Project folder.", show_default=False)]
Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--assign",
        metavar="PATIENT=SPLIT",
        help="Assign a patient to train, validation or test; may be repeated. A split is fixed once assigned.",
    ),
]

ClipName = Annotated[
    str, typer.Argument(metavar="CLIP", help="Clip of the project: file name or id.", show_default=False)
]
FrameRate = Annotated[
    str,
    typer.Option(
        "--frame-rate",
        metavar="RATE",
        help=f"Frames per second, 1 to 500; {OWN_TIMES!r}: the recording's own times.",
        show_default=False,
    ),
]

project_app = typer.Typer(
    cls=CommandGroup, no_args_is_help=True, help="Make a project, or correct what it knows of a clip."
)


@project_app.command("new")
def new_project(folder: Folder, schema: SchemaName = "vfss12") -> None:
    """Make a project whose structures are those of a schema; they cannot be changed afterwards."""
    from vfss.project import Project
    from vfss.schema import Schema

    with Project.create(folder, Schema.load(schema)) as made:
        title = f"{made.schema.id} {made.schema.version}"
        print_result(Text(f"Made project {made.folder} with {len(made.schema)} structures of {title}."))


@project_app.command("set")
def set_clip(project: ProjectFolder, clip: ClipName, frame_rate: FrameRate) -> None:
    """Set the frame rate of a clip whose recording does not state it, or states it wrongly."""
    from vfss.cli.named_clip import named_clip
    from vfss.clips.time_base import times_text
    from vfss.project import Project

    rate = _frame_rate(frame_rate)
    with Project.open(project) as opened:
        record = opened.set_frame_rate(named_clip(opened, clip).id, rate)
        with opened.open_clip(record.id) as recording:
            print_result(Text(f"{record.path.name}: {times_text(recording) or 'a single frame'}."))


def _frame_rate(text: str) -> float | None:
    """Return the rate that was typed; None for the recording's own times."""
    if text == OWN_TIMES:
        return None
    try:
        return float(text.replace(",", "."))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no rate; give a number, or {OWN_TIMES!r}") from None


def splits(project: ProjectFolder, assign: Assignments = None) -> None:
    """List the patients of a project with their splits, after assigning those named by --assign."""
    from vfss.project import Project
    from vfss.project.patients import assign_splits, list_patients

    wanted = _assignments(assign or [])
    with Project.open(project) as opened:
        if wanted:
            assign_splits(opened, wanted)
        patients = list_patients(opened)
    if not patients:
        print_result(Text("No patients yet: the project has no clips."))
        return
    table = plain_table("patient", "clips", "annotated frames", "split")
    for patient in patients:
        table.add_row(*_cells(patient))
    print_result(table)
    if any(patient.split is None for patient in patients):
        print_result(Text("An open split is chosen when training, evaluation or an export first needs it."))


def _assignments(pairs: list[str]) -> dict[str, str]:
    """Split by patient, from PATIENT=SPLIT."""
    wanted: dict[str, str] = {}
    for pair in pairs:
        patient, equals, split = pair.rpartition("=")
        if not equals or not patient or not split:
            raise typer.BadParameter(f"{pair!r} is no assignment; write PATIENT=SPLIT, e.g. P007=test")
        split = {"val": "validation"}.get(split, split)
        if wanted.setdefault(patient, split) != split:
            raise typer.BadParameter(f"{patient!r} cannot be both in {wanted[patient]} and in {split}")
    return wanted


def _cells(patient: PatientRecord) -> tuple[Text, ...]:
    row = (patient.name, str(patient.clips), str(patient.annotated_frames), patient.split or "open")
    return tuple(map(Text, row))
