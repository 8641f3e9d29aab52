# SPDX-License-Identifier: Apache-2.0
"""The `vfss` command: registers all subcommands, and defines those that need a few lines only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer
from rich.table import Table
from rich.text import Text

from vfss.cli.console import (
    LEFT_OUT,
    CommandGroup,
    plain_table,
    print_error,
    print_result,
    print_warning,
    progress_bar,
)
from vfss.cli.deidentify import deidentify
from vfss.cli.export import export
from vfss.cli.import_masks import import_masks
from vfss.cli.project import project_app, splits
from vfss.cli.student_card import student_card
from vfss.cli.students import student_app
from vfss.errors import ClipError, DatasetError, ProjectError, StudentError, VfssError, printable
from vfss.version import __version__
from vfss.wording import figure, sentences

# The rest of the engine is imported where it is needed: `vfss --help` must not wait for it.
if TYPE_CHECKING:
    from vfss.clips import Clip
    from vfss.project import Project
    from vfss.project.integrity import Finding
    from vfss.student import Student

ProjectFolder = Annotated[Path, typer.Argument(metavar="PROJECT", help="Project folder.", show_default=False)]
StudentName = Annotated[
    str | None, typer.Option("--student", help="Student file, or id of a student of the project. [its current one]")
]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]

app = typer.Typer(
    cls=CommandGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Masks and datasets of swallowing studies.",
)
app.command()(deidentify)
app.command()(export)
app.command("import")(import_masks)
app.command()(splits)
app.add_typer(project_app, name="project")
app.add_typer(student_app, name="student")


def main() -> None:
    """Run the command; entry point of the console script."""
    app()


def _show_version(requested: bool) -> None:
    if requested:
        print_result(f"vfss {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version and exit.")
    ] = False,
) -> None:
    """Define the options of `vfss` itself."""


@app.command()
def info(
    clips: Annotated[list[Path], typer.Argument(metavar="CLIP...", help="Recordings.", show_default=False)],
) -> None:
    """Show properties of recordings: size, frames, times, bits, flags."""
    from vfss.clips import open_clip

    failed = False
    for path in clips:
        try:
            with open_clip(path) as clip:
                print_result(_facts_table(path.name, clip))
        except VfssError as error:  # the others may be readable
            failed = True
            print_error(str(error))
    if failed:
        raise typer.Exit(1)


def _facts_table(name: str, clip: Clip) -> Table:
    from vfss.clips.time_base import times_text

    seconds, said = float(clip.times_s[-1]), times_text(clip)
    table = Table(title=Text(printable(name).replace("\n", "\\n")), show_header=False, title_justify="left")
    table.add_row("size", f"{clip.height} x {clip.width} pixels (height x width)")
    if clip.pixel_aspect != 1.0:
        shown = f"{clip.height} x {round(clip.width * clip.pixel_aspect)}"
        table.add_row("pixels", f"{clip.pixel_aspect:.4g} times as wide as high; shown as {shown}")
    table.add_row("frames", f"{len(clip)}")
    table.add_row("time", f"0 to {seconds:.3f} s" + (f" at {said}" if said else ""))
    table.add_row("bits", f"{clip.bits}, shown from {clip.window[0]} to {clip.window[1]}")
    table.add_row("facing", clip.facing)
    table.add_row("polarity", "dense matter is bright" if clip.inverted else "dense matter is dark")
    table.add_row("id", clip.id)
    for note in clip.notes:
        table.add_row("note", Text(sentences([note])))
    return table


@app.command()
def propose(
    target: Annotated[
        Path, typer.Argument(metavar="CLIP|PROJECT", help="Recording, or project folder for all its clips.")
    ],
    project: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Project for a recording's proposals; created if missing."),
    ] = None,
    student: StudentName = None,
    device: Device = "auto",
    frames: Annotated[
        str,
        typer.Option(
            metavar="A:B", help="Zero-based frames from A up to, but not including, B. [all]", show_default=False
        ),
    ] = ":",
) -> None:
    """Propose masks by a student. Annotated masks stay; frames that the student proposed already are skipped.

    Frames and recordings that cannot be read are left out and named at the end, as are frames that are decoded
    otherwise than when they were first read; the exit code is then 3.
    """
    from vfss.project import Project
    from vfss.proposals.student import proposal_summary, propose_clip, unproposed

    if project is None and not target.is_dir():
        raise ProjectError("a recording needs a project for its proposals", path=target, remedy="Add --project DIR.")
    unread, damaged = list[str](), False
    with Project.open(target) if project is None else Project.open_or_create(project) as opened:
        records = opened.clips() if project is None else [opened.add_clip(target)]
        chosen = _student(opened, student, device)
        for record in records:
            todo = unproposed(opened, record.id, _range(frames, record.n_frames), chosen)
            try:
                with progress_bar(f"Proposing on {record.path.name}") as show:
                    proposed = propose_clip(opened, chosen, record.id, todo, show)
            except ClipError as error:  # the other recordings may be readable
                unread.append(f"{record.path.name} is left out: {error}")
                continue
            print_result(Text(proposal_summary(opened, record, proposed.frames, chosen)))
            unread += [f"{record.path.name}: {warning}" for warning in proposed.warnings()]
            damaged = damaged or bool(proposed.unreadable)
        if damaged:
            unread.append(f"Frames found damaged are not read again, unless by: vfss check --frames {opened.folder}")
    for message in unread:
        print_warning(message)
    if unread:
        raise typer.Exit(LEFT_OUT)


def _range(text: str, n_frames: int) -> range:
    first, colon, last = text.partition(":")
    try:
        start = int(first) if first else 0
        stop = (int(last) if last else n_frames) if colon else start + 1
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not a range of frames; write 10:20, 10: or :20") from error
    return range(n_frames)[start:stop]


def _student(project: Project, name: str | None, device: str) -> Student:
    """Load the student of that name; by default the project's current one, or else the one that ships."""
    from vfss.student import load_student

    current = project.current_student()
    if name is None:
        return load_student("default" if current is None else current.path, device=device)
    paths = {student.id: student.path for student in project.students()}
    return load_student(paths.get(name, name), device=device)


@app.command()
def check(
    targets: Annotated[
        list[Path], typer.Argument(metavar="PROJECT|CLIP...", help="Projects or recordings.", show_default=False)
    ],
    frames: Annotated[
        bool,
        typer.Option(
            "--frames",
            help="Decode every frame of a project's recordings, not three of each, and keep in the project how each "
            "was read; frames found damaged before are tried again.",
        ),
    ] = False,
) -> None:
    """Check projects and recordings for damage; exits with code 1 if something is wrong.

    Of a recording every frame is decoded, of a project's recordings three each, or all with --frames.
    """
    from vfss.project.integrity import check_clip, check_project

    findings: list[Finding] = []
    for target in targets:
        with progress_bar(f"Checking {target.name}") as show:
            if (target / "vfss.sqlite").exists():
                findings += check_project(target, show, every_frame=frames)
            else:
                findings += check_clip(target, show)
    table = plain_table("what", "", "found")
    for finding in findings:
        table.add_row(Text(printable(finding.subject)), _sign(finding), Text(printable(finding.message)))
    print_result(table)
    if any(finding.wrong for finding in findings):
        raise typer.Exit(1)


def _sign(finding: Finding) -> Text:
    if finding.wrong:
        return Text("wrong", "bold red")
    return Text("note", "yellow") if finding.note else Text("ok", "green")


@app.command()
def phantom(
    *,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to create.", show_default=False)],
    clips: Annotated[int, typer.Option(min=1, help="Number of clips.")] = 1,
    frames: Annotated[int, typer.Option(min=1, help="Frames per clip.")] = 60,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first clip.")] = 0,
    size: Annotated[int, typer.Option(min=64, help="Height and width in pixels.")] = 512,
    style: Annotated[str, typer.Option(help="Style of image formation.")] = "standard",
    both: Annotated[
        bool, typer.Option("--both", help="Write each clip as video and as DICOM, instead of alternating.")
    ] = False,
) -> None:
    """Make phantom swallows, and a project whose accepted masks are their exact truth."""
    from vfss.phantom import write_phantom

    with progress_bar("Rendering") as show:
        folder = write_phantom(
            out, clips=clips, frames=frames, seed=seed, size=size, style=style, both=both, progress=show
        )
    print_result(Text(f"Wrote {clips} clips with {frames} frames each to {folder}"))


@app.command()
def evaluate(
    project: ProjectFolder,
    student: StudentName = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Also write the scores to this file.")
    ] = None,
    device: Device = "auto",
    split: Annotated[
        list[str] | None, typer.Option(help="Only patients of train, validation or test; may be repeated. [all]")
    ] = None,
) -> None:
    """Score a student against the accepted masks; exits with code 3 if something could not be read and was left out."""
    from vfss.evaluation.evaluate import evaluate as measure
    from vfss.project import Project, Split

    if unknown := set(split or ()) - set(get_args(Split)):
        choices = ", ".join(get_args(Split))
        raise typer.BadParameter(f"unknown split {', '.join(sorted(unknown))}; choose from {choices}")
    with Project.open(project) as opened, progress_bar("Evaluating") as show:
        scores = measure(opened, _student(opened, student, device), splits=split or None, progress=show)
    if not scores["frames"] and scores["left_out"]:
        what = f"nothing that is accepted can be read; the first: {scores['left_out'][0]}"
        raise ProjectError(what, path=project, remedy="Run `vfss check --frames` on it.")
    if not scores["frames"]:
        raise ProjectError(
            "no frame has an accepted structure to compare with", path=project, remedy="Accept some masks first."
        )
    if json_file is not None:
        _write_json(json_file, scores)
    dice = figure(scores["mean_dice"], 3)
    print_result(Text(f"Student {scores['student']} on {scores['frames']} frames: mean Dice {dice}"))
    print_result(_scores_table(scores))
    if scores["left_out"]:
        for message in scores["left_out"]:
            print_warning(f"Left out, as it cannot be read: {message}")
        raise typer.Exit(LEFT_OUT)


def _write_json(path: Path, scores: dict[str, Any]) -> None:
    try:
        path.write_text(json.dumps(scores, indent=2, allow_nan=False) + "\n", "utf-8")
    except OSError as error:
        raise DatasetError(f"cannot be written ({error.strerror})", path=path) from error


def _scores_table(scores: dict[str, Any]) -> Table:
    table = plain_table("structure", "Dice", "n", "HD95 (px)", "n", "missed", "false", "both empty")
    for key, row in scores["structures"].items():
        counts = (str(row[name]) for name in ("missed", "false", "both_empty"))
        overlap, distance = (
            (figure(row["dice"], 3), str(row["planes"])),
            (figure(row["hd95"], 1), str(row["distances"])),
        )
        table.add_row(key, *overlap, *distance, *counts)
    return table


@app.command()
def agreement(
    project: ProjectFolder,
    reading: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the second reading. [the only one]")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the figures to this file, .json or .csv.")
    ] = None,
) -> None:
    """Show the agreement of a second reader with the first, once both have finished."""
    from vfss.evaluation.agreement import HEADINGS, agree, cells, write_agreement
    from vfss.project import Project
    from vfss.project.second_readings import find_reading

    with Project.open(project) as opened, progress_bar("Comparing") as show:
        if (figures := agree(opened, find_reading(opened, reading), progress=show)) is None:
            return
    if out is not None:
        write_agreement(figures, out)
    print_result(Text(figures.summary))
    table = plain_table(*HEADINGS)
    for row in (*figures.structures, figures.mean):
        table.add_row(*cells(row))
    print_result(table)
    if figures.left_out:
        print_warning("Some masks are damaged and were not compared.")
        raise typer.Exit(LEFT_OUT)


@app.command()
def students(
    project: ProjectFolder,
    choose: Annotated[str | None, typer.Option(metavar="ID", help="Make this student the current one.")] = None,
    about: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help="Show what is recorded of this student, or of 'default': origin, structures, scores."
        ),
    ] = None,
) -> None:
    """List the students of a project, after choosing the current one if asked."""
    from vfss.project import Project

    with Project.open(project) as opened:
        if about is not None:
            print_result(student_card(opened.student_path(about)))
            return
        if choose is not None:
            opened.choose_student(choose)
        current = opened.current_student()
        table = plain_table("", "student", "mean Dice", "structures learnt", "trained from", "added")
        for student in opened.students():
            mark = "*" if current is not None and current.id == student.id else ""
            score = figure(student.scores.get("mean_dice"), 3)
            added = f"{student.added:%Y-%m-%d %H:%M}"
            table.add_row(mark, student.id, score, _learnt(student.path, opened), student.parent or "scratch", added)
    print_result(table if table.row_count else Text("No students yet: the one that ships is used."))


def _learnt(path: Path, project: Project) -> str:
    """Return how many structures of a project the student of a file has learnt, and which it has not."""
    from vfss.student.learnt import read_learnt_keys

    try:
        learnt = read_learnt_keys(path)
    except StudentError:
        return "unreadable file"
    schema = project.schema
    missing = [structure.name for structure in schema.structures if structure.key not in learnt]
    known = f"{len(schema) - len(missing)} of {len(schema)}"
    return f"{known}; not {', '.join(missing)}" if missing else known
