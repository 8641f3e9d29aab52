# SPDX-License-Identifier: Apache-2.0
"""Styles: a population of patients and a way of forming pictures; and one draw of the latter."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from vfss.errors import VfssError
from vfss.phantom.population import Population

Span = tuple[float, float]


@dataclass(frozen=True)
class Style:
    """Ranges from which a patient and an apparatus are drawn.

    Attributes:
        population: Of the patients.
        field_mm: Shorter side of the picture, millimetres in the patient.
        degrees: Spread of the turn of the patient in the picture.
        barium: Attenuation of the thickest contrast, nepers.
        air: Attenuation that a full lumen takes away, nepers.
        scatter: Share of the signal that is scatter.
        blur_mm: Blur of focus and detector.
        noise: Relative noise in bright parts.
        grain: Correlation of the noise, in 512ths of the picture.
        gamma: Exponent of the lookup table.
        white: Percentile of the picture shown white.
        black: Percentile shown black.
        inverted: Share of clips with dense matter bright.
        shutter: Share of clips with rectangular shutters; and with a circular field.
        blocks: Side of the detector's pixels, in 512ths of the picture; 1 is fine.
    """

    population: Population = field(default_factory=Population)
    field_mm: Span = (138.0, 275.0)
    degrees: float = 6.0
    barium: Span = (0.9, 2.6)
    air: Span = (0.35, 0.8)
    scatter: Span = (0.1, 0.5)
    blur_mm: Span = (0.25, 0.8)
    noise: Span = (0.004, 0.045)
    grain: Span = (0.5, 1.3)
    gamma: Span = (0.35, 1.0)
    white: Span = (93.0, 99.9)
    black: Span = (0.2, 3.0)
    inverted: float = 0.3
    shutter: tuple[float, float] = (0.35, 0.35)
    blocks: float = 1.0


STYLES: dict[str, Style] = {
    "standard": Style(),
    # Kept out of training: low contrast by scatter, a coarse noisy detector, dense matter bright,
    # necks bent back and seen from afar.
    "harsh": Style(
        population=Population(
            flexion=(-3.0, 5.0),
            lordosis=(5.0, 1.2),
            head_pitch=(-16.0, 5.0),
            size=0.09,
            bone=(0.8, 1.2),
            soft=(1.5, 2.2),
        ),
        field_mm=(225.0, 300.0),
        degrees=10.0,
        barium=(0.6, 1.2),
        air=(0.3, 0.55),
        scatter=(0.35, 0.5),
        blur_mm=(0.7, 1.1),
        noise=(0.012, 0.03),
        grain=(1.4, 2.2),
        gamma=(0.5, 0.85),
        white=(88.0, 95.0),
        black=(4.0, 10.0),
        inverted=0.9,
        blocks=2.5,
    ),
}


def style_named(name: str) -> Style:
    """The style of that name.

    Raises:
        VfssError: There is none.
    """
    if name not in STYLES:
        raise VfssError(f"no phantom style {name!r}", remedy=f"Choose one of: {', '.join(STYLES)}.")
    return STYLES[name]


@dataclass(frozen=True)
class Apparatus:
    """One apparatus and how it was set: a draw from a style; meanings as there.

    Attributes:
        barium: Nepers.
        air: Nepers.
        scatter: Share.
        blur_mm: Millimetres.
        noise: Relative.
        grain: 512ths of the picture.
        gamma: Exponent.
        white: Percentile.
        black: Percentile.
        inverted: True where dense matter is bright.
        shutters: Edges (left, top, right, bottom) as shares of the picture; None without.
        circle: Centre (x, y) and radius as shares of the shorter side; None without.
        outside: Brightness outside the field, 0..1.
        blocks: Side of the detector's pixels in 512ths of the picture.
        texture: Strength of unevenness in soft tissue, a share.
        bone_texture: The same of bone.
        seed: Of texture, markers and text.
        objects: Number of markers, coins, clips and wires.
        text: True where text is burned in.
    """

    barium: float
    air: float
    scatter: float
    blur_mm: float
    noise: float
    grain: float
    gamma: float
    white: float
    black: float
    inverted: bool
    shutters: tuple[float, float, float, float] | None
    circle: tuple[float, float, float] | None
    outside: float
    blocks: float
    texture: float
    bone_texture: float
    seed: int
    objects: int
    text: bool


def sample_apparatus(rng: np.random.Generator, style: Style) -> Apparatus:
    """An apparatus from a style."""
    shutters = circle = None
    if rng.random() < style.shutter[0]:
        left, top, right, bottom = rng.uniform(0.0, 0.13, 4)
        shutters = (float(left), float(top), float(1 - right), float(1 - bottom))
    if rng.random() < style.shutter[1]:
        x, y = rng.uniform(0.46, 0.54, 2)
        circle = (float(x), float(y), float(rng.uniform(0.47, 0.6)))
    return Apparatus(
        barium=float(rng.uniform(*style.barium)),
        air=float(rng.uniform(*style.air)),
        scatter=float(rng.uniform(*style.scatter)),
        blur_mm=float(rng.uniform(*style.blur_mm)),
        noise=float(np.exp(rng.uniform(*np.log(style.noise)))),
        grain=float(rng.uniform(*style.grain)),
        gamma=float(rng.uniform(*style.gamma)),
        white=float(rng.uniform(*style.white)),
        black=float(rng.uniform(*style.black)),
        inverted=bool(rng.random() < style.inverted),
        shutters=shutters,
        circle=circle,
        outside=float(rng.uniform(0, 0.06)),
        blocks=style.blocks,
        texture=float(rng.uniform(0.01, 0.06)),
        bone_texture=float(rng.uniform(0.04, 0.25)),
        seed=int(rng.integers(2**31)),
        objects=int(rng.choice((0, 1, 2, 3, 4), p=(0.3, 0.25, 0.2, 0.15, 0.1))),
        text=bool(rng.random() < 0.25),
    )
