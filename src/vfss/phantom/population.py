# SPDX-License-Identifier: Apache-2.0
"""One person's anatomy as numbers, and the population they are drawn from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from vfss.phantom.proportions import Atlas, Jaw, Vertebra, Voice, draw, values
from vfss.phantom.vertebrae import USUAL_ATLAS, usual

LEVELS = 14  # C1 to C7 and seven thoracic vertebrae, that carry the neck on below the picture
USUAL_SPACING = (1.26, 1.08, *(1.0,) * (LEVELS - 3))
USUAL_JAW, USUAL_VOICE = Jaw(), Voice()
_KINSHIP = 0.75  # share of a deviation that all vertebrae of one person have in common


@dataclass(frozen=True)
class Person:
    """Sizes in millimetres, angles in degrees, densities as factors; facing left, y down, the atlas at the origin.

    Attributes:
        seed: Seed of what has no name: roughness of outlines, air cells of the skull base.
        neck: Size of spine and throat, 1 is usual.
        skull: Size of the head.
        pitch: Distance between vertebral bodies.
        tilts: Direction of the spine below each vertebra from the vertical, C1 downwards, (LEVELS,).
        head_pitch: Turn of the head, positive is chin down.
        atlas_pitch: Turn of the atlas.
        spacing: Steps from each vertebra to the next as shares of the pitch, C1 to C2 first, (LEVELS - 1,).
        atlas: Proportions of C1.
        vertebrae: Proportions of the others, C2 first, (LEVELS - 1,).
        spurs: Size of osteophytes, 0 is none.
        rough: Roughness of painted outlines, 1 is usual.
        prevertebral: Thickness of soft tissue before the spine, factor.
        lumen: Width of the pharynx at rest, factor.
        voice: Proportions of airway and epiglottis.
        jaw: Proportions of the painted jaw.
        double: Offset of the far half of the jaw and of the far teeth (x, y).
        teeth: Share of teeth present, and share of them filled with metal.
        mouth_gap: Air between tongue and palate at rest.
        cheek: Attenuation of cheeks and tongue over that of the neck, nepers.
        cranium: The same of the brain case.
        trachea: Factor on the air of larynx and trachea.
        skin: Soft tissue before, below and behind: throat, submental, nape.
        shoulder: Level of the spine at which the shoulder covers it, and its slope in degrees.
        shoulder_density: Attenuation of the shoulder, nepers.
        bone: Density of bone.
        calcified: Calcification of the larynx, 0..1.
        soft: Attenuation of the thickest soft tissue, nepers.
    """

    seed: int
    neck: float
    skull: float
    pitch: float
    tilts: tuple[float, ...]
    head_pitch: float
    atlas_pitch: float
    spacing: tuple[float, ...]
    atlas: Atlas
    vertebrae: tuple[Vertebra, ...]
    spurs: float
    rough: float
    prevertebral: float
    lumen: float
    voice: Voice
    jaw: Jaw
    double: tuple[float, float]
    teeth: tuple[float, float]
    mouth_gap: float
    cheek: float
    cranium: float
    trachea: float
    skin: tuple[float, float, float]
    shoulder: tuple[float, float]
    shoulder_density: float
    bone: float
    calcified: float
    soft: float


@dataclass(frozen=True)
class Population:
    """Where persons come from: means and spreads that differ between styles.

    Attributes:
        flexion: Mean and spread of the tilt of the spine.
        lordosis: Mean and spread of its change per level.
        head_pitch: Mean and spread, relative to the neck.
        size: Spread of all proportions.
        shoulder: Mean and spread of the level the shoulder reaches.
        bone: Lowest and highest density.
        soft: Lowest and highest attenuation of soft tissue.
    """

    flexion: tuple[float, float] = (20.0, 8.0)
    lordosis: tuple[float, float] = (2.2, 1.8)
    head_pitch: tuple[float, float] = (-3.0, 7.0)
    size: float = 0.06
    shoulder: tuple[float, float] = (7.0, 0.9)
    bone: tuple[float, float] = (0.7, 1.35)
    soft: tuple[float, float] = (1.7, 2.6)


def sample_person(rng: np.random.Generator, population: Population) -> Person:
    """A person from the population."""
    factor, between = partial(_factor, rng, population.size), partial(_between, rng)
    tilts, head = _posture(rng, population)
    return Person(
        seed=int(rng.integers(2**31)),
        neck=factor(),
        skull=factor(),
        pitch=17.2 * factor(0.7),
        tilts=tilts,
        head_pitch=head,
        atlas_pitch=0.6 * head + 0.3 * tilts[0] + float(rng.normal(2, 3)),
        spacing=tuple(share * factor(0.5) for share in USUAL_SPACING),
        atlas=draw(USUAL_ATLAS, rng.normal(0, 1, len(values(USUAL_ATLAS)))),
        vertebrae=_vertebrae(rng),
        rough=between(0.3, 1.3),
        spurs=between(0, 3.0) if rng.random() < 0.45 else 0.0,
        prevertebral=between(0.75, 1.4),
        lumen=between(0.75, 1.45),
        voice=draw(USUAL_VOICE, rng.normal(0, 1, len(values(USUAL_VOICE)))),
        jaw=draw(USUAL_JAW, rng.normal(0, 1, len(values(USUAL_JAW)))),
        double=(between(-4, 5), between(-7, 2)),
        teeth=(between(0.0, 0.4) if rng.random() < 0.2 else between(0.7, 1.0), float(rng.beta(1, 2))),
        mouth_gap=between(0.3, 5.0),
        cheek=between(0.1, 0.6),
        cranium=between(0.25, 0.9),
        trachea=between(0.55, 1.0),
        skin=(between(0.85, 1.3), between(0.7, 1.5), between(0.8, 1.6)),
        shoulder=(float(np.clip(rng.normal(*population.shoulder), 5.3, 9.5)), between(-5, 28)),
        shoulder_density=between(0.9, 2.8),
        bone=between(*population.bone),
        calcified=between(0, 1),
        soft=between(*population.soft),
    )


def _factor(rng: np.random.Generator, size: float, spread: float = 1.0) -> float:
    """A factor around 1, no more than 3.5 standard deviations away."""
    return float(np.clip(rng.normal(1.0, size * spread), 1 - 3.5 * size * spread, 1 + 3.5 * size * spread))


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    return float(rng.uniform(low, high))


def _posture(rng: np.random.Generator, population: Population) -> tuple[tuple[float, ...], float]:
    """Direction of the spine below each vertebra and turn of the head, degrees."""
    flexion = float(np.clip(rng.normal(*population.flexion), -12, 45))
    lordosis = float(rng.normal(*population.lordosis))
    tilts = tuple(flexion + lordosis * (min(i, 8) - 3.5) + float(rng.normal(0, 1.3)) for i in range(LEVELS))
    head = 0.4 * flexion + float(rng.normal(*population.head_pitch))
    return tilts, head


def _vertebrae(rng: np.random.Generator) -> tuple[Vertebra, ...]:
    """C2 downwards: those of one person resemble each other."""
    count = len(values(usual(2)))
    common = rng.normal(0, 1, count)
    own = np.sqrt(1 - _KINSHIP**2)
    return tuple(
        draw(usual(level), _KINSHIP * common + own * rng.normal(0, 1, count)) for level in range(2, LEVELS + 1)
    )
