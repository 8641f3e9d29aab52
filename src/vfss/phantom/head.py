# SPDX-License-Identifier: Apache-2.0
"""Where the head is, and the outline of its skin: millimetres around the ear canal, facing left, y down."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from vfss.phantom.geometry import Points, turn
from vfss.phantom.motion import Moment
from vfss.phantom.population import Person

Place = Callable[[npt.ArrayLike], Points]

_ATLAS_AT = np.array((8.0, 35.0))  # the atlas, about which the head nods
PROFILE = (
    (-107, -80),
    (-104, -55),
    (-101, -33),
    (-112, -12),
    (-124, 8),
    (-119, 15),
    (-108, 20),
    (-114, 34),
    (-108, 46),
)
LOWER_PROFILE = ((-113, 57), (-105, 72), (-107, 88), (-100, 106), (-86, 113))
REAR_PROFILE = ((78, 40), (98, 8), (104, -40), (91, -96), (40, -144), (-25, -152), (-80, -128))


def head_place(person: Person, now: Moment) -> Place:
    """Map from the skull into the patient, whose atlas is the origin."""
    degrees = person.head_pitch + now.tilt

    def place(points: npt.ArrayLike) -> Points:
        return turn((np.asarray(points, np.float64) - _ATLAS_AT) * person.skull, degrees)

    return place
