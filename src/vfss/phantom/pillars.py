# SPDX-License-Identifier: Apache-2.0
"""What stands beside the vertebral bodies and is projected on them: articular pillars, facet joints, processes.

Left and right lie on each other but for the parallax of the beam and the turn of the neck, and make the darkest part of
a cervical vertebra seen from the side, just behind its body, with the joints as pale oblique slits.
"""

from __future__ import annotations

import numpy as np

from vfss.phantom.geometry import Points, ellipse, ribbon, smooth, turn
from vfss.phantom.matter import Matter
from vfss.phantom.population import Person
from vfss.phantom.spine import Spine
from vfss.phantom.surroundings import Surroundings

# Around the middle of the body, a pillar from its upper joint (towards the front) to its lower one, in shares of the
# pitch of the spine: x towards the back, y down. The front third lies on the body.
_PILLAR = (
    (0.3, -0.28),
    (0.48, -0.62),
    (0.68, -0.52),
    (0.94, -0.2),
    (0.98, 0.26),
    (0.96, 0.7),
    (0.8, 0.64),
    (0.54, 0.34),
    (0.32, 0.2),
)
_AXIS_PILLAR = (
    (0.26, -0.3),
    (0.6, -0.34),
    (0.86, -0.1),
    (0.98, 0.4),
    (0.98, 0.86),
    (0.82, 0.8),
    (0.56, 0.5),
    (0.32, 0.3),
)
_JOINT = ((0.5, -0.68), (0.74, -0.5), (0.98, -0.26))
_PROCESS = ((0.05, -0.05), (0.3, -0.1), (0.5, 0.02), (0.4, 0.22), (0.12, 0.2), (-0.02, 0.1))


def pillars(person: Person, around: Surroundings, spine: Spine) -> list[Matter]:
    """Articular pillars and transverse processes of C2 to C7, both sides; millimetres in the patient."""
    rng = np.random.default_rng((person.seed, 304))
    b, worn = person.bone * around.facets / 0.1, person.spurs / 3.0
    turn_of_neck = np.array(person.double) * rng.uniform(0.2, 0.6)
    blur = int(rng.integers(0, 2))
    out: list[Matter] = []
    for level in range(2, 9):
        centre, tilt = spine.centres[level - 1], float(spine.tilts[level - 1])
        for side in (-0.5, 0.5):
            shift = turn_of_neck * side + rng.normal(0, 0.4, 2)

            def put(points: object, centre: Points = centre, tilt: float = tilt, shift: Points = shift) -> Points:
                p = np.array(points, np.float64) * spine.pitch
                return turn(p + rng.normal(0, 0.5, p.shape), tilt) + centre + shift

            pillar = smooth(put(_AXIS_PILLAR if level == 2 else _PILLAR), 3)
            out.append(Matter(pillar, 0.075 * b, rim=0.045 * b, rim_mm=1.1, blur=blur))
            if level == 2:
                continue
            joint = put(_JOINT)
            out.append(Matter(ribbon(joint, 0.6), -0.1 * b, blur=1))
            if worn and rng.random() < worn:
                out.append(Matter(ribbon(joint + np.array((0.0, 1.5)), 1.1), 0.16 * worn * b, blur=1))
            process = smooth(put(_PROCESS), 3)
            out.append(Matter(process, 0.04 * b, rim=0.07 * b, rim_mm=0.9, blur=1))
            hole = put(((0.24, 0.05),))[0]
            out.append(Matter(ellipse((hole[0], hole[1]), (2.0, 2.4), 0, 10), -0.05 * b, blur=1))
    return out
