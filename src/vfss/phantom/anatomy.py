# SPDX-License-Identifier: Apache-2.0
"""The patient at one time: bones, throat and soft tissue put together."""

from __future__ import annotations

import numpy as np

from vfss.phantom.geometry import Points, smooth, turn
from vfss.phantom.head import LOWER_PROFILE, PROFILE, REAR_PROFILE, Place, head_place, skull
from vfss.phantom.mandible import jaw_place, mandible
from vfss.phantom.matter import Matter, Scene
from vfss.phantom.motion import Course, Moment, moment
from vfss.phantom.population import Person
from vfss.phantom.spine import Spine, stand, vertebra
from vfss.phantom.throat import throat


class Patient:
    """One person swallowing in one way; what does not move is built once.

    Attributes:
        person: The anatomy.
        course: The swallow.
        spine: Where the vertebrae stand.
    """

    def __init__(self, person: Person, course: Course) -> None:
        self.person = person
        self.course = course
        self.spine = stand(person)
        self._bones: dict[str, list[Points]] = {}
        self._matter: list[Matter] = []
        for level in range(1, 11):
            outlines, matter = vertebra(person, self.spine, level)
            if level <= 7:
                self._bones[f"c{level}"] = outlines
            self._matter += matter
        self._trunk = _trunk(person, self.spine)

    def scene(self, seconds: float) -> Scene:
        """The patient so many seconds into the clip."""
        now = moment(self.course, seconds)
        head = head_place(self.person, now)
        jaw = jaw_place(self.person, now, head)
        gullet = throat(self.person, self.spine, self.course, now, head=head)
        jaw_outlines, jaw_matter = mandible(self.person, jaw)
        return Scene(
            truth={**self._bones, **gullet.truth, "mandible": jaw_outlines},
            matter=[*self._matter, *skull(self.person, head), *jaw_matter, *gullet.matter],
            air=gullet.air,
            barium=gullet.barium,
            skin=_skin(self.person, self.spine, head, jaw, now),
            trunk=self._trunk,
            soft=self.person.soft,
        )


def _skin(person: Person, spine: Spine, head: Place, jaw: Place, now: Moment) -> Points:
    throat_front, under_chin, nape = person.skin
    n = person.neck
    neck = spine.front((4.6, 5.6, 6.6, 7.6), np.array((50.0, 47, 45, 47)) * n * throat_front)
    neck[0] += now.hyoid[0] * np.array((-0.4, 0.1))
    chest = spine.front(np.array((8.6, 9.8)), np.array((62.0, 92.0)) * n)
    below = np.array((chest[-1] + (-60, 90), chest[-1] + (60, 320), spine.centres[-1] + (230, 240)))
    back = spine.front((9.6, 8.4, 7.2, 5.6, 4.0, 2.6), -np.array((118.0, 98, 84, 70, 62, 62)) * n)
    middle = spine.centres[3]
    back = middle + (back - middle) * (0.9 + 0.12 * nape)
    submental = jaw(((-60.0, 108.0 + 6 * under_chin), (-40, 100 + 12 * under_chin)))
    return smooth(
        np.concatenate([head(PROFILE), jaw(LOWER_PROFILE), submental, neck, chest, below, back, head(REAR_PROFILE)]),
        4,
    )


def _trunk(person: Person, spine: Spine) -> list[tuple[Points, float]]:
    rng = np.random.default_rng((person.seed, 300))
    level, slope = person.shoulder
    out = []
    for side in range(2):
        pivot = spine.front(level + side * rng.uniform(0.1, 0.9), 0.0)
        edge = np.array(
            ((330.0, 30), (200, 6), (110, -2), (60, -3), (25, 0), (0, 4), (-22, 18), (-45, 40), (-75, 80), (-120, 160))
        )
        edge[:, 1] += rng.normal(0, 2.5, len(edge))
        edge = turn(edge, slope) + pivot
        outline = np.concatenate([edge, [edge[-1] + (0, 300), edge[0] + (60, 400)]])
        out.append((smooth(outline, 4), person.shoulder_density * (0.65 if side == 0 else 0.5)))
    return out
