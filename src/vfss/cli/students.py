# SPDX-License-Identifier: Apache-2.0
"""`vfss student`: which students a project has and what the gate says of them; use one, or go back."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from vfss.cli.console import CommandGroup, plain_table, print_result
from vfss.errors import StudentError
from vfss.wording import figure

# The rest of the engine is imported where it is needed: `vfss --help` must not wait for it.
if TYPE_CHECKING:
    from vfss.comparison.cards import StudentCard
    from vfss.project.records import HowSwitched

ProjectFolder = Annotated[Path, typer.Argument(metavar="PROJECT", help="Project folder.", show_default=False)]
StudentId = Annotated[
    str,
    typer.Argument(
        metavar="STUDENT", help="Name, id or beginning of an id; 'default': the one that ships.", show_default=False
    ),
]
Nevertheless = Annotated[bool, typer.Option("--nevertheless", help="Use it although the gate does not offer it.")]

student_app = typer.Typer(cls=CommandGroup, no_args_is_help=True, help="Which student a project proposes with.")


@student_app.command("list")
def list_students(project: ProjectFolder) -> None:
    """List the students of a project, with what the gate says of each."""
    from vfss.comparison.cards import student_cards
    from vfss.project import Project

    with Project.open(project) as opened:
        cards = student_cards(opened)
    table = plain_table("", "student", "id", "Dice on hold-out", "gate", "trained from")
    for card in cards:
        mean = None if card.mean is None else card.mean.value
        cells = ("*" if card.in_use else "", card.title, card.id, figure(mean, 3), _gate(card), *card.lineage[:1])
        table.add_row(*map(Text, cells))
    print_result(table)


@student_app.command("use")
def use_student(project: ProjectFolder, student: StudentId, nevertheless: Nevertheless = False) -> None:
    """Propose with a student from now on, if the gate offers it."""
    from vfss.comparison.cards import student_cards
    from vfss.project import Project

    with Project.open(project) as opened:
        card = _named(student_cards(opened), student)
        offered = card.record is None or (card.comparison is not None and card.comparison.verdict.passed)
        if not offered and not nevertheless and not card.in_use:
            raise StudentError(
                f"{card.title} is not offered: {_gate(card)}",
                remedy="Add --nevertheless to use it all the same.",
            )
        how: HowSwitched = "chosen" if offered else "chosen nevertheless"
        opened.shelf.choose(card.project_id, author=_author(), how=how)
        print_result(Text(f"{card.title} proposes from now on."))


@student_app.command("rollback")
def roll_back(project: ProjectFolder) -> None:
    """Go back to the student that was in use before."""
    from vfss.comparison.cards import SHIPPED
    from vfss.project import Project

    with Project.open(project) as opened:
        record = opened.shelf.roll_back(_author())
    print_result(Text(f"{SHIPPED if record is None else record.title} proposes again."))


def _named(cards: list[StudentCard], name: str) -> StudentCard:
    if name == "default":
        return cards[0]
    found = [card for card in cards[1:] if name in (card.id, card.title)] or [
        card for card in cards[1:] if card.id.startswith(name)
    ]
    if len(found) != 1:
        known = ", ".join(card.title for card in cards[1:]) or "none of its own"
        what = "no student" if not found else "several students"
        raise StudentError(f"the project has {what} {name!r}", remedy=f"It has: {known}.")
    return found[0]


def _gate(card: StudentCard) -> str:
    if card.in_use:
        return "in use"
    if card.problem:
        return card.problem
    if card.comparison is None:
        return "" if card.record is None else "not compared with the one in use"
    return "offered" if card.comparison.verdict.passed else " ".join(card.comparison.verdict.against)


def _author() -> str:
    """Return the name of the account, for the log of switches."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # an account without a name
        return ""
