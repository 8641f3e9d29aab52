# SPDX-License-Identifier: Apache-2.0
"""One person's anatomy as numbers, and the population they are drawn from."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import partial

import numpy as np

from vfss.phantom.proportions import Atlas, Doubles, Jaw, Vertebra, Voice, draw, values
from vfss.phantom.vertebrae import USUAL_ATLAS, usual

LEVELS = 14  # C1 to C7 and seven thoracic vertebrae, that carry the neck on below the picture
USUAL_SPACING = (1.13, 1.17, *(1.0,) * (LEVELS - 3))
USUAL_TILTS = tuple(20.0 + 2.2 * (min(i, 8) - 3.5) for i in range(LEVELS))
USUAL_VERTEBRAE = tuple(usual(level) for level in range(2, LEVELS + 1))
USUAL_JAW, USUAL_VOICE = Jaw(), Voice()
_GAPS = ("gap_top", "gap_glottis", "gap_trachea", "gap_chest")
_WIDTHS = ("vestibule", "glottis", "trachea")
_HEIGHTS = ("top", "root_level")
_ODD_AXES = 0.35  # share of persons in whom the height of the axis varies widely
_KINSHIP = 0.75  # share of a deviation that all vertebrae of one person have in common


@dataclass(frozen=True)
class Person:
    """Sizes in millimetres, angles in degrees, densities as factors; facing left, y down, the atlas at the origin.

    Without arguments it is the usual person.

    Attributes:
        age: Years.
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
        shown: Share of the spinous process of C7 that is painted; its tip is often lost in the nape.
        spurs: Size of osteophytes, 0 is none.
        rough: Roughness of painted outlines, 1 is usual.
        prevertebral: Thickness of soft tissue before the spine, factor.
        lumen: Width of the pharynx at rest, factor.
        descent: Levels by which larynx, hyoid and upper sphincter stand lower than usual.
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

    age: float = 50.0
    seed: int = 0
    neck: float = 1.0
    skull: float = 1.0
    pitch: float = 17.2
    tilts: tuple[float, ...] = USUAL_TILTS
    head_pitch: float = 5.0
    atlas_pitch: float = 8.0
    spacing: tuple[float, ...] = USUAL_SPACING
    atlas: Atlas = USUAL_ATLAS
    vertebrae: tuple[Vertebra, ...] = USUAL_VERTEBRAE
    shown: float = 1.0
    spurs: float = 0.0
    rough: float = 0.0
    prevertebral: float = 1.0
    lumen: float = 0.75
    descent: float = 0.0
    voice: Voice = USUAL_VOICE
    jaw: Jaw = USUAL_JAW
    double: tuple[float, float] = (0.0, 0.0)
    teeth: tuple[float, float] = (1.0, 0.3)
    mouth_gap: float = 2.0
    cheek: float = 0.35
    cranium: float = 0.55
    trachea: float = 0.8
    skin: tuple[float, float, float] = (1.0, 1.0, 1.0)
    shoulder: tuple[float, float] = (7.0, 12.0)
    shoulder_density: float = 1.8
    bone: float = 1.0
    calcified: float = 0.5
    soft: float = 2.1


@dataclass(frozen=True)
class Population:
    """Where persons come from: means and spreads that differ between styles.

    Attributes:
        age: Youngest and oldest, years.
        flexion: Mean and spread of the tilt of the spine.
        lordosis: Mean and spread of its change per level, degrees.
        wave: Spread of an S in that curve, degrees.
        head_pitch: Mean and spread, relative to the neck.
        size: Spread of all sizes.
        vary: Factor on how far all proportions spread around the usual ones.
        descent: Mean and spread of the height of the larynx, levels.
        shoulder: Mean and spread of the level the shoulder reaches.
        bone: Lowest and highest density.
        soft: Lowest and highest attenuation of soft tissue.
        children: Share of persons who still grow.
    """

    age: tuple[float, float] = (18.0, 82.0)
    flexion: tuple[float, float] = (19.0, 11.0)
    lordosis: tuple[float, float] = (1.8, 3.0)
    wave: float = 1.6
    head_pitch: tuple[float, float] = (-3.0, 10.5)
    size: float = 0.06
    vary: float = 1.0
    descent: tuple[float, float] = (0.0, 0.3)
    shoulder: tuple[float, float] = (7.0, 0.9)
    bone: tuple[float, float] = (0.7, 1.35)
    soft: tuple[float, float] = (1.7, 2.6)
    children: float = 0.0


def sample_person(rng: np.random.Generator, population: Population) -> Person:
    """A person from the population."""
    age = float(rng.uniform(*population.age))
    worn = float(np.clip((age - 35) / 50, 0, 1) * rng.uniform(0.3, 1.0))
    factor, between = partial(_factor, rng, population.size), partial(_between, rng)
    # Necks are long or short for their width far more than bodies are.
    pitch = 17.2 * float(np.clip(factor(1.5), 0.82, 1.2))
    spacing = _spacing(rng, worn)
    spacing, vertebrae = _with_axis(
        _axis_height(rng), spacing, _vertebrae(rng, population, _heights(spacing) * pitch / 17.2)
    )
    bones = Person(
        age=age,
        seed=int(rng.integers(2**31)),
        neck=factor(),
        skull=factor(),
        pitch=pitch,
        spacing=spacing,
        atlas=draw(USUAL_ATLAS, _deviations(rng, USUAL_ATLAS, population)),
        vertebrae=vertebrae,
        shown=between(0.5, 1.0) if rng.random() < 0.4 else 1.0,
        spurs=3.0 * worn * between(0.2, 1.0) if rng.random() < 0.25 + 0.7 * worn else 0.0,
        rough=between(0.3, 1.3),
        jaw=draw(USUAL_JAW, _deviations(rng, USUAL_JAW, population)),
        double=(between(-4, 5), between(-7, 2)),
        bone=between(*population.bone),
        soft=between(*population.soft),
    )
    return _with_flesh(rng, population, _with_posture(rng, population, bones, worn), worn)


def _with_posture(rng: np.random.Generator, population: Population, person: Person, worn: float) -> Person:
    """Direction of the spine below each vertebra, and turn of head and atlas, degrees."""
    flexion = float(np.clip(rng.normal(*population.flexion) + 8 * worn * rng.random(), -15, 48))
    lordosis = float(np.clip(rng.normal(*population.lordosis), -5.0, 7.0))
    wave, phase = float(rng.normal(0, population.wave)), float(rng.uniform(0, 2 * np.pi))
    steps = np.minimum(np.arange(LEVELS), 8)
    tilts = flexion + lordosis * (steps - 3.5) + wave * np.sin(steps + phase) + rng.normal(0, 1.2, LEVELS)
    head = 0.4 * flexion + float(np.clip(rng.normal(*population.head_pitch), -26, 20))
    atlas = 0.6 * head + 0.3 * float(tilts[0]) + float(rng.normal(2, 3.5))
    return replace(person, tilts=tuple(tilts.tolist()), head_pitch=head, atlas_pitch=atlas)


def _with_flesh(rng: np.random.Generator, population: Population, person: Person, worn: float) -> Person:
    """Pharynx, larynx, skin and shoulders, and how dense everything is."""
    between = partial(_between, rng)
    descent = float(rng.normal(*population.descent)) + 0.5 * worn * float(rng.random())
    return replace(
        person,
        prevertebral=between(0.7, 1.45),
        lumen=_lumen(rng),
        descent=float(np.clip(descent, -0.8, 1.2)),
        voice=_voice(rng, population),
        teeth=(between(0.0, 0.4) if rng.random() < 0.1 + 0.3 * worn else between(0.7, 1.0), float(rng.beta(1, 2))),
        mouth_gap=between(0.3, 5.0),
        cheek=between(0.1, 0.6),
        cranium=between(0.25, 0.9),
        trachea=between(0.55, 1.0),
        skin=(between(0.85, 1.3), between(0.7, 1.5), between(0.8, 1.6)),
        shoulder=(float(np.clip(rng.normal(*population.shoulder), 5.3, 9.5)), between(-5, 28)),
        shoulder_density=between(0.9, 2.8),
        calcified=float(np.clip(0.8 * worn + between(-0.2, 0.5), 0, 1)),
    )


def _factor(rng: np.random.Generator, size: float, spread: float = 1.0) -> float:
    """A factor around 1, no more than 3.5 standard deviations away."""
    return float(np.clip(rng.normal(1.0, size * spread), 1 - 3.5 * size * spread, 1 + 3.5 * size * spread))


def _lumen(rng: np.random.Generator) -> float:
    """Pharynges at rest of healthy people are 25 to 135 % of the square from C2 to C4, 62 on average."""
    return float(np.clip(rng.lognormal(np.log(0.72), 0.36), 0.3, 1.7))


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    return float(rng.uniform(low, high))


def _deviations(rng: np.random.Generator, usual_shape: Atlas | Jaw | Voice, population: Population) -> Doubles:
    return np.asarray(rng.normal(0, population.vary, len(values(usual_shape))))


def _voice(rng: np.random.Generator, population: Population) -> Voice:
    """Airway and epiglottis: walls do not wander to and fro, and what stands higher does so together."""
    free = dict(zip((f.name for f in fields(Voice)), _deviations(rng, USUAL_VOICE, population), strict=True))
    for group in (_GAPS, _WIDTHS, _HEIGHTS):
        common = float(rng.normal(0, population.vary))
        free |= {name: 0.8 * common + 0.6 * free[name] for name in group}
    return draw(USUAL_VOICE, np.array(list(free.values())))


def _spacing(rng: np.random.Generator, worn: float) -> tuple[float, ...]:
    """Steps between vertebrae; with age the discs from C4 to C7 lose height."""
    spread = np.array((0.1, 0.06, *(0.02,) * (LEVELS - 3)))
    steps = np.array(USUAL_SPACING) * (1 + spread * np.clip(rng.normal(0, 1, LEVELS - 1), -2.5, 2.5))
    steps[3:6] *= 1 - 0.13 * worn * rng.random(3)
    return tuple(steps.tolist())


def _heights(spacing: tuple[float, ...]) -> Doubles:
    """Room of the vertebrae from C2 down over that of the usual ones, float64 (LEVELS - 1,)."""
    room = np.append(np.array(spacing) / np.array(USUAL_SPACING), 1.0)
    return np.asarray(0.5 * (room[:-1] + room[1:]))


def _axis_height(rng: np.random.Generator) -> float:
    """Height of the body of the axis over its usual one; in some persons it is as high as two of those below it."""
    spread = 0.24 if rng.random() < _ODD_AXES else 0.08
    return float(np.clip(np.exp(rng.normal(0.0, spread)), 0.78, 1.65))


def _with_axis(
    height: float, spacing: tuple[float, ...], vertebrae: tuple[Vertebra, ...]
) -> tuple[tuple[float, ...], tuple[Vertebra, ...]]:
    """The same spine with a higher or lower axis; the gaps above and below it stay as they are."""
    axis, *lower = vertebrae
    above, below, *others = spacing
    more = (height - 1) * axis.front / 17.2
    thicker = height**0.7  # its arch and process are, too
    axis = replace(
        axis,
        front=axis.front * height,
        back=axis.back * height,
        thick_root=axis.thick_root * thicker,
        thick_middle=axis.thick_middle * thicker,
        thick_tip=axis.thick_tip * thicker,
        drop=axis.drop * thicker,
    )
    return (above + 0.4 * more, below + 0.6 * more, *others), (axis, *lower)


def _vertebrae(rng: np.random.Generator, population: Population, heights: Doubles) -> tuple[Vertebra, ...]:
    """C2 downwards: those of one person resemble each other, and are as high as there is room."""
    count = len(values(usual(2)))
    common = rng.normal(0, population.vary, count)
    own = np.sqrt(1 - _KINSHIP**2)
    found = []
    for level, height in zip(range(2, LEVELS + 1), heights.tolist(), strict=True):
        drawn = draw(usual(level), _KINSHIP * common + own * rng.normal(0, population.vary, count))
        found.append(replace(drawn, front=drawn.front * height, back=drawn.back * height))
    return tuple(found)
