# SPDX-License-Identifier: Apache-2.0
"""What surrounds the structures of one person as numbers, and how it is drawn: teeth, hair, tubes, face, trunk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from vfss.phantom.population import Person

Arch = Literal["natural", "crowned", "edentulous", "denture", "implants", "braces"]
Hair = Literal["short", "bun", "tail", "long"]
Chair = Literal["none", "rest", "pole"]
Tube = Literal["none", "feeding", "tracheostomy", "catheter"]


@dataclass(frozen=True)
class Surroundings:
    """Lengths in millimetres, attenuations in nepers, shares 0..1.

    Attributes:
        seed: Of what has no name.
        old: 0 is young, 1 is very old.
        upper: State of the upper row of teeth.
        lower: State of the lower row.
        present: Share of natural teeth left.
        filled: Share of those with metal in them.
        metal: Attenuation of that metal.
        crown: Height of the crowns, factor.
        parallax: Shift (x, y) of what lies 45 mm off the middle on the far side, for near against far.
        sinus: Air of one maxillary sinus.
        nose: Air of the nasal cavity.
        ethmoid: Air of the ethmoid and sphenoid cells.
        mastoid: Air of the mastoid cells; 0 where they never formed.
        petrous: Density of the petrous bones.
        vault_mm: Thickness of the skull's bone.
        face: Bone of the face, factor.
        styloid_mm: Length of the styloid process.
        ear: Density of the external ear.
        hair: How it is worn.
        hair_density: Its attenuation.
        folds: Folds of skin at nape and throat.
        chair: What of the chair is in the picture.
        tube: A tube through nose or neck.
        earring: Metal in the ear lobe.
        clothes: Seams, straps and buttons on the shoulders.
        facets: Density of the articular pillars.
        shoulder_shape: 0 sloping, 1 round.
        arms: How far the near shoulder stands before the far one, millimetres.
    """

    seed: int
    old: float
    upper: Arch
    lower: Arch
    present: float
    filled: float
    metal: float
    crown: float
    parallax: tuple[float, float]
    sinus: float
    nose: float
    ethmoid: float
    mastoid: float
    petrous: float
    vault_mm: float
    face: float
    styloid_mm: float
    ear: float
    hair: Hair
    hair_density: float
    folds: int
    chair: Chair
    tube: Tube
    earring: bool
    clothes: int
    facets: float
    shoulder_shape: float
    arms: float


def sample_surroundings(person: Person) -> Surroundings:
    """The surroundings of a person, by the person's seed and age."""
    rng = np.random.default_rng((person.seed, 400))
    old = oldness(person)
    upper, lower = _arches(rng, old)
    return Surroundings(
        seed=person.seed,
        old=old,
        upper=upper,
        lower=lower,
        present=float(np.clip(rng.uniform(0.75, 1.05) - 0.7 * old * rng.random(), 0.1, 1)),
        filled=float(rng.beta(1, 2)),
        metal=float(rng.uniform(0.5, 2.4)),
        crown=float(rng.uniform(0.85, 1.15) - 0.25 * old * rng.random()),
        parallax=person.double,
        sinus=float(rng.uniform(0.05, 0.45)),
        nose=float(rng.uniform(0.1, 0.5)),
        ethmoid=float(rng.uniform(0.1, 0.45)),
        mastoid=float(rng.uniform(0.05, 0.28) if rng.random() < 0.8 else 0.0),
        petrous=float(rng.uniform(0.25, 0.9)),
        vault_mm=float(rng.uniform(3.0, 7.5)),
        face=float(rng.uniform(0.6, 1.3)),
        styloid_mm=float(rng.uniform(10, 30) + (25 * rng.random() if rng.random() < 0.15 + 0.3 * old else 0)),
        ear=float(rng.uniform(0.02, 0.16)),
        hair=str(rng.choice(("short", "bun", "tail", "long"), p=(0.68, 0.1, 0.1, 0.12))),  # type: ignore[arg-type]
        hair_density=float(rng.uniform(0.04, 0.25)),
        folds=int(rng.integers(0, 4) + (rng.random() < old)),
        chair=str(rng.choice(("none", "rest", "pole"), p=(0.76, 0.14, 0.1))),  # type: ignore[arg-type]
        tube=str(  # type: ignore[arg-type]
            rng.choice(("none", "feeding", "tracheostomy"), p=(0.9 - 0.06 * old, 0.07 + 0.05 * old, 0.03 + 0.01 * old))
        ),
        earring=bool(rng.random() < 0.15),
        clothes=int(rng.choice((0, 1, 2, 3), p=(0.5, 0.25, 0.15, 0.1))),
        facets=float(rng.uniform(0.07, 0.26)),
        shoulder_shape=float(rng.random()),
        arms=float(rng.normal(0, 14)),
    )


def oldness(person: Person) -> float:
    """0 up to middle age, 1 at the end of life."""
    return float(np.clip((person.age - 45.0) / 45.0, 0, 1))


def _arches(rng: np.random.Generator, old: float) -> tuple[Arch, Arch]:
    """Both rows; the lower one follows the upper one more often than not."""
    kinds: tuple[Arch, ...] = ("natural", "crowned", "edentulous", "denture", "implants")
    young_share, old_share = np.array((0.74, 0.17, 0.04, 0.03, 0.02)), np.array((0.25, 0.2, 0.25, 0.25, 0.05))
    share = young_share * (1 - old) + old_share * old
    upper = kinds[int(rng.choice(5, p=share))]
    lower = upper if rng.random() < 0.6 else kinds[int(rng.choice(5, p=share))]
    return upper, lower
