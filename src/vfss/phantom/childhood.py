# SPDX-License-Identifier: Apache-2.0
"""Persons who still grow: small necks below large heads, vertebral bodies like wedges with wide gaps between them.

Bodies of C3 and C4 are low in front before the spurt of growth, their lower end plates flat; later they become
rectangles, then higher than deep, and their lower end plates hollow (Baccetti, Franchi and McNamara, "The cervical
vertebral maturation method", Semin Orthod 11, 2005). The larynx of a child stands higher.
"""

from __future__ import annotations

from dataclasses import replace

from vfss.phantom.population import Person
from vfss.phantom.proportions import Vertebra


def as_child(person: Person, youth: float) -> Person:
    """The person at a younger age.

    Args:
        person: An adult.
        youth: 0 grown up, 1 about eight years old.
    """
    # The axis has nearly its full height while the bodies below it are low.
    above, below, *others = person.spacing
    return replace(
        person,
        age=18.0 - 10.0 * youth,
        spacing=(above * (1 + 0.45 * youth), below * (1 + 0.22 * youth), *others),
        neck=person.neck * (1 - 0.22 * youth),
        skull=person.skull * (1 - 0.06 * youth),
        vertebrae=(_young_axis(person.vertebrae[0], youth), *(_young(shape, youth) for shape in person.vertebrae[1:])),
        spurs=0.0,
        descent=max(person.descent - 0.25 * youth, -0.8),
        teeth=(max(person.teeth[0], 0.8), 0.5 * person.teeth[1]),
        calcified=0.0,
        bone=person.bone * (1 - 0.15 * youth),
        soft=person.soft * (1 - 0.2 * youth),
        shoulder=(person.shoulder[0] + 0.3 * youth, person.shoulder[1]),
    )


def _young(shape: Vertebra, youth: float) -> Vertebra:
    return replace(
        shape,
        depth=shape.depth * (1 + 0.08 * youth),
        front=shape.front * (1 - 0.28 * youth),
        back=shape.back * (1 - 0.12 * youth),
        slant=shape.slant + 1.2 * youth,
        lip=shape.lip * (1 - 0.85 * youth),
        beak=shape.beak * (1 - 0.9 * youth),
        waist=shape.waist * (1 - 0.6 * youth),
        length=shape.length * (1 - 0.1 * youth),
    )


def _young_axis(shape: Vertebra, youth: float) -> Vertebra:
    """The axis is high for its neck, its arch and process too; its lower end plate is flat."""
    return replace(
        shape,
        front=shape.front * (1 + 0.4 * youth),
        back=shape.back * (1 + 0.3 * youth),
        thick_root=shape.thick_root * (1 + 0.2 * youth),
        thick_middle=shape.thick_middle * (1 + 0.3 * youth),
        thick_tip=shape.thick_tip * (1 + 0.3 * youth),
        lip=shape.lip * (1 - 0.7 * youth),
        beak=shape.beak * (1 - 0.8 * youth),
        length=shape.length * (1 - 0.1 * youth),
    )
