# SPDX-License-Identifier: Apache-2.0
"""Short trainings that differ in one thing, and how often each names C2 to C4 right on film afterwards.

A trial starts from a student and goes on for a few hundred steps on phantoms, with one part of the phantom or of the
recipe changed. Which part helps is then seen on film of people, as phantoms do not tell: their Dice has risen while
levels on film got worse. A trial takes minutes; names joined by "+" change several things.

Run: python benchmarks/level_trials.py TRIAL --folder FOLDER [--student FILE] [--steps N] [--size PX] [--seed N]
Then: python benchmarks/levels.py --quick --student FOLDER/TRIAL-SEED.safetensors ...
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from vfss.errors import VfssError
from vfss.phantom.chance import NEVER
from vfss.phantom.overlays import OverlayRange
from vfss.phantom.style import STYLES, Style
from vfss.phantom.trappings import TrappingsRange
from vfss_training.config.parts import Stage
from vfss_training.config.recipe import Recipe, load_recipe
from vfss_training.data.appearance_by_structure import AppearanceByStructure
from vfss_training.events import Cancel, Events
from vfss_training.loop.run import Run
from vfss_training.studies.fit import fit_phantom

LEARNT = ("standard", "wide")

Change = Callable[[Style], Style]


def _adults(style: Style) -> Style:
    return replace(style, population=replace(style.population, children=0.0))


def _half_children(style: Style) -> Style:
    return replace(style, population=replace(style.population, children=0.5))


def _plain(style: Style) -> Style:
    """Without what goes with a patient or is written on film, always with contrast."""
    return replace(
        style,
        trappings=TrappingsRange(),
        overlays=OverlayRange(),
        display=replace(style.display, deep=NEVER),
        dry=0.0,
        other=None,
    )


def _aimed(style: Style) -> Style:
    return replace(style, framing=replace(style.framing, moved=NEVER))


def _films(style: Style) -> Style:
    """Four times as many films of whole heads."""
    return style if style.other is None else replace(style, other=(0.32, style.other[1]))


def _usual(style: Style) -> Style:
    """Framed as the closer look shows frames: sizes of necks hardly differ."""
    return replace(style, framing=replace(style.framing, field_mm=(130.0, 230.0)))


PHANTOM: Mapping[str, Change] = {
    "adults": _adults,
    "half_children": _half_children,
    "plain": _plain,
    "aimed": _aimed,
    "films": _films,
    "usual": _usual,
}
"""Changes of the styles that are learnt."""

RECIPE: Mapping[str, Mapping[str, Any]] = {
    "base": {},
    "level_loss": {"level_loss": 0.3},
    "hidden": {"hidden": 0.5},
    "by_structure": {"by_structure": AppearanceByStructure(share=0.3)},
    "meshed": {"styles": {"standard": 0.4, "wide": 0.3, "meshed": 0.3}},
    "meshed_half": {"styles": {"standard": 0.3, "wide": 0.2, "meshed": 0.5}},
    "slow": {"learning_rate": 2e-4},
    "frozen": {"frozen_blocks": 4},
}
"""Changes of the recipe; "base" changes nothing."""


def apply(trial: str, recipe: Recipe) -> Recipe:
    """Change the phantom, for this process, and the recipe as a trial says.

    Raises:
        VfssError: A part of its name stands for no change.
    """
    for name in trial.split("+"):
        if name in PHANTOM:
            STYLES.update({learnt: PHANTOM[name](STYLES[learnt]) for learnt in LEARNT})
        elif name in RECIPE:
            recipe = recipe.but(**RECIPE[name])
        else:
            known = ", ".join((*PHANTOM, *RECIPE))
            raise VfssError(f"there is no trial {name!r}", remedy=f"Join some of these by +: {known}.")
    return recipe


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("trial", help="changes, joined by +: " + ", ".join((*PHANTOM, *RECIPE)))
    parser.add_argument("--folder", type=Path, required=True, help="for the student; frames are kept there, too")
    parser.add_argument("--student", default="default", help="file to start from")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--size", type=int, default=256, help="side of the input while training, px")
    parser.add_argument("--seed", type=int, default=11)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Train one trial and write its student."""
    options = arguments(argv)
    recipe = load_recipe(Path(__file__).with_suffix(".yaml")).but(
        steps=options.steps,
        validate_steps=options.steps,
        seed=options.seed,
        stages=(Stage(1.0, options.size),),
    )
    recipe = apply(options.trial, recipe)
    options.folder.mkdir(parents=True, exist_ok=True)
    # Frames are named after the source of the phantom, which does not tell of styles that were changed here.
    changed = "+".join(name for name in options.trial.split("+") if name in PHANTOM) or "base"
    with Events.open("-") as events, Cancel().on_signals() as cancel:
        run = Run(events, cancel, " ".join(sys.argv), options.folder / f"frames-{changed}")
        out = options.folder / f"{options.trial}-{options.seed}.safetensors"
        fit_phantom(recipe, out, run, backbone=None, student=options.student)


if __name__ == "__main__":
    try:
        main()
    except VfssError as error:
        sys.exit(str(error))
