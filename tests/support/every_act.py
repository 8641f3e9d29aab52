# SPDX-License-Identifier: Apache-2.0
"""Does in one process what people do with `vfss`: `python every_act.py FOLDER`, from recordings to datasets."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from typer.testing import CliRunner

from vfss.cli.app import app
from vfss.datasets import FORMATS
from vfss.deidentify import Redaction
from vfss.project import Project
from vfss.student import load_student
from vfss.student.prompts import Click, Prompts


def run(*arguments: object) -> None:
    """Run a command and expect it to succeed."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exit_code:
        raise SystemExit(f"{arguments}: {result.output} {result.exception!r}")


def main(folder: Path) -> None:
    """Open, propose, click, export in every format, de-identify, import, check."""
    run("phantom", "--out", folder / "phantom", "--clips", 2, "--frames", 1, "--size", 96, "--seed", 5)
    project = folder / "phantom" / "project"
    with Project.open(project) as opened:
        clips = [record.path for record in opened.clips()]
        for record in opened.clips():
            opened.reviews.accept(record.id, Redaction(), reviewer="reader")
    run("info", *clips)
    run("propose", project)
    student = load_student()
    frame = student.encode(np.zeros((96, 96), np.uint8))
    student.refine(frame, "bolus", Prompts((Click(40, 40, True),)), np.zeros((96, 96), np.bool_))
    for name in FORMATS:
        run("export", project, "--format", name, "--out", folder / name)
    run("deidentify", project, "--prepare", folder / "look")
    run("deidentify", project, "--out", folder / "leaves")
    run("import", project, folder / "coco", "--write")
    run("check", project)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
