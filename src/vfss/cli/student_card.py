# SPDX-License-Identifier: Apache-2.0
"""Card of a student: where it comes from, what it has learnt and from how many frames, how it scored."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from vfss.cli.console import plain_table
from vfss.wording import figure

if TYPE_CHECKING:
    from vfss.student.checkpoint import Checkpoint


def student_card(path: Path) -> Group:
    """Return the card of the student of a file.

    Raises:
        StudentError: There is no such file, or it is no student.
    """
    from vfss.student import load_checkpoint

    checkpoint = load_checkpoint(path)
    facts = plain_table("student", checkpoint.id)
    for name, value in _facts(checkpoint):
        facts.add_row(name, Text(value))
    structures = plain_table("structure", "learnt from", "Dice where it was scored")
    for structure in checkpoint.schema.structures:
        structures.add_row(Text(structure.name), _learnt(checkpoint, structure.key), _dice(checkpoint, structure.key))
    return Group(facts, structures)


def _facts(checkpoint: Checkpoint) -> list[tuple[str, str]]:
    made = checkpoint.provenance
    recipe = made.get("recipe")
    named = recipe.get("name", "") if isinstance(recipe, dict) else ""
    rows = [
        ("file", str(checkpoint.path)),
        ("structures", f"{checkpoint.schema.id} {checkpoint.schema.version}"),
        ("trained from", str(made.get("parent") or "scratch")),
        ("finished", str(made.get("finished", ""))),
        ("recipe", str(named)),
        ("left out", f"{made.get('left_out')} recordings, frames or masks that could not be read"),
        ("scored on", f"{checkpoint.scores.get('frames', 0)} frames, mean Dice {_mean(checkpoint)}"),
    ]
    return [(name, value) for name, value in rows if value and (name != "left out" or made.get("left_out"))]


def _mean(checkpoint: Checkpoint) -> str:
    value = checkpoint.scores.get("mean_dice")
    return figure(value if isinstance(value, float) else None, 3)


def _dice(checkpoint: Checkpoint, key: str) -> str:
    """Return the score of a structure; what a file records as scores can be anything."""
    scored = checkpoint.scores.get("structures")
    row = scored.get(key) if isinstance(scored, dict) else None
    value = row.get("dice") if isinstance(row, dict) else None
    return figure(value if isinstance(value, float) else None, 3)


def _learnt(checkpoint: Checkpoint, key: str) -> str:
    """Return from what a structure was learnt."""
    if checkpoint.learnt is None:
        return "learnt; the number of frames is not recorded"
    if key not in checkpoint.learnt:
        return "not learnt: nothing is proposed of it"
    frames = checkpoint.learnt[key]
    return f"annotated frames: {frames}" if frames else "phantoms or an earlier student, no annotated frame"
