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

# Around the middle of the body, a pillar between its upper and its lower joint, which both run from the rear of a body
# down and backwards, in shares of the pitch of the spine: x towards the back, y down. On film the pillar stands higher
# than the body: its upper joint begins at the height of the body above, behind the middle of that.
_PILLAR = (
    (0.36, -0.42),
    (0.47, -0.86),
    (0.62, -0.76),
    (0.88, -0.58),
    (1.08, -0.42),
    (1.12, 0.02),
    (1.1, 0.46),
    (0.88, 0.36),
    (0.62, 0.18),
    (0.46, 0.06),
)
_AXIS_PILLAR = (
    (0.28, -0.36),
    (0.6, -0.4),
    (0.92, -0.16),
    (1.1, 0.16),
    (1.1, 0.48),
    (0.88, 0.38),
    (0.6, 0.16),
    (0.34, 0.08),
)
_JOINT = ((0.48, -0.93), (0.76, -0.74), (1.08, -0.5))
_FORAMEN = (0.58, 0.22)  # behind the lower half of the body, before the next joint
_PROCESS = ((0.1, -0.3), (0.36, -0.36), (0.54, -0.24), (0.44, -0.04), (0.18, -0.06), (0.04, -0.16))
_HOLE = (0.3, -0.2)
_HIGHER, _STEEPER = 0.15, 0.25  # spreads between persons of the height of all pillars, and of their slope


def pillars(person: Person, around: Surroundings, spine: Spine) -> list[Matter]:
    """Articular pillars and transverse processes of C2 to C7, both sides; millimetres in the patient."""
    rng = np.random.default_rng((person.seed, 304))
    b, worn = person.bone * around.facets / 0.1, person.spurs / 3.0
    turn_of_neck = np.array(person.double) * rng.uniform(0.1, 0.9)
    # From a shade without edges to plates as bright as those of the bodies.
    inside, edge = b * rng.uniform((0.045, 0.02), (0.11, 0.15))
    blur = int(rng.integers(0, 2))
    higher, steeper = rng.normal(0, (_HIGHER, _STEEPER))
    slit, cross = b * rng.uniform((0.06, 0.03), (0.2, 0.16))
    out: list[Matter] = []
    for level in range(2, 9):
        centre, tilt = spine.centres[level - 1], float(spine.tilts[level - 1])
        for side in (-0.5, 0.5):
            shift = turn_of_neck * side + rng.normal(0, 0.4, 2)

            def put(points: object, centre: Points = centre, tilt: float = tilt, shift: Points = shift) -> Points:
                p = np.array(points, np.float64)
                p[:, 1] += higher + steeper * (p[:, 0] - 0.5)
                p *= spine.pitch
                return turn(p + rng.normal(0, 0.5, p.shape), tilt) + centre + shift

            pillar = smooth(put(_AXIS_PILLAR if level == 2 else _PILLAR), 3)
            out.append(Matter(pillar, inside, rim=edge, rim_mm=1.0, blur=blur))
            if level == 2:
                continue
            joint = put(_JOINT)
            out.append(Matter(ribbon(joint, 0.8), -slit, blur=blur))
            if worn and rng.random() < worn:
                out.append(Matter(ribbon(joint + np.array((0.0, 1.5)), 1.1), 0.16 * worn * b, blur=1))
            process = smooth(put(_PROCESS), 3)
            out.append(Matter(process, cross, rim=0.07 * b, rim_mm=0.9, blur=1))
            for place, radii in ((_HOLE, (2.0, 2.4)), (_FORAMEN, (1.6, 3.0))):
                hole = put((place,))[0]
                out.append(Matter(ellipse((hole[0], hole[1]), radii, 0, 10), -0.5 * slit, blur=1))
    return out
