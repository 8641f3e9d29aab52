# SPDX-License-Identifier: Apache-2.0
"""The patient at one time: bones, throat and soft tissue put together."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np

from vfss.phantom.coating import bubbles, coating
from vfss.phantom.course import Course
from vfss.phantom.events import Event, events
from vfss.phantom.face import face
from vfss.phantom.geometry import Points, smooth
from vfss.phantom.head import LOWER_PROFILE, PROFILE, REAR_PROFILE, Place, head_place
from vfss.phantom.headgear import NOSE_TO_PHARYNX, feeding_tube, hair
from vfss.phantom.leaning import leaned
from vfss.phantom.mandible import floor_of_mouth, jaw_place, mandible
from vfss.phantom.matter import Matter, Scene
from vfss.phantom.motion import Moment, moment
from vfss.phantom.pillars import pillars
from vfss.phantom.plate import Cells, Plate, plate
from vfss.phantom.points import symphysis, vertebral_landmarks
from vfss.phantom.population import Person
from vfss.phantom.scan import Scanned
from vfss.phantom.scanned_jaw import jaw_shadow
from vfss.phantom.scanned_spine import spine_shadow
from vfss.phantom.skull import base, braincase
from vfss.phantom.spine import Spine, bones, stand
from vfss.phantom.surroundings import Surroundings, sample_surroundings
from vfss.phantom.teeth import row
from vfss.phantom.throat import throat
from vfss.phantom.trappings import Trappings, cephalostat, doubled
from vfss.phantom.trunk import furniture, nape, prevertebral, ribs, shoulders
from vfss.phantom.vertebral_bone import vertebra_matter

# Three points by which a rigid part is followed, millimetres of the skull.
_ANCHORS = np.array(((0.0, 0.0), (-90.0, 0.0), (0.0, 90.0)))
_REACH = (np.array((-180.0, -200.0)), np.array((190.0, 270.0)))  # around the atlas, what a field of view can show
_SLACK_MM = 30.0  # how far rigid parts move in a clip
_COARSE_MM = 0.75
_LOWEST = 12  # vertebra drawn below the painted ones: the lowest in the picture is often a thoracic one


class Patient:
    """One person swallowing in one way; what does not move is built once.

    Attributes:
        person: The anatomy.
        course: The swallow.
        spine: Where the vertebrae stand.
        trappings: What goes with the patient and is no anatomy. To be set before the first scene.
        shown: Lowest and highest (x, y), millimetres, that the picture shows; rigid parts beyond it are not drawn.
            To be set before the first scene.
    """

    def __init__(self, person: Person, course: Course, scanned: Scanned | None = None) -> None:
        """Build what does not move.

        Args:
            person: The anatomy.
            course: The swallow.
            scanned: Bones that stand in place of the drawn ones; None: all are drawn.
        """
        self.person = person
        self.trappings = Trappings(sample_surroundings(person))
        self.course = course
        self.spine = stand(person)
        self.shown: tuple[Points, Points] = _REACH
        self._bones: dict[str, list[Points]] = {}
        self._matter: list[Matter] = []
        self._bodies: dict[str, list[Points]] = self._bones
        self._shadows: tuple[Plate, ...] = ()
        if scanned is not None:
            shadow = spine_shadow(person, self.spine, scanned)
            self._bones, self._bodies, self._shadows = shadow.outlines, shadow.bodies, (shadow.plate,)
        for level in range(1 if scanned is None else 8, _LOWEST + 1):
            outlines = bones(person, self.spine, level)
            if level <= 7:
                self._bones[f"c{level}"] = outlines
            self._matter += vertebra_matter(person, self.spine, outlines, level)
        self._scanned = scanned
        self._trunk, self._trunk_bones = shoulders(person, self.around, self.spine)

    @property
    def around(self) -> Surroundings:
        """What surrounds the structures."""
        return self.trappings.around

    def scene(self, seconds: float) -> Scene:
        """The patient so many seconds into the clip."""
        now = moment(self.course, seconds)
        head = head_place(self.person, now)
        jaw = jaw_place(self.person, now, head)
        gullet = throat(self.person, self.spine, self.course, now, head=head)
        jaw_outlines, jaw_matter, jaw_plates = self._mandible(jaw)
        (skull, lower_teeth, *still), fixed = self._plates
        upright = Scene(
            truth={**self._bones, **gullet.truth, "mandible": jaw_outlines},
            matter=[*jaw_matter, *gullet.matter],
            air=gullet.air,
            barium=[*coating(gullet.truth, self.course, now), *gullet.barium, *bubbles(gullet.truth, self.course)],
            skin=_skin(self.person, self.spine, head, jaw, now),
            trunk=self._trunk,
            soft=self.person.soft,
            landmarks={**self._corners, **gullet.landmarks, "symphysis": symphysis(jaw_outlines)},
            plates=[
                skull.moved(self._head(_ANCHORS), head(_ANCHORS)),
                lower_teeth.moved(self._jaw(_ANCHORS), jaw(_ANCHORS)),
                *jaw_plates,
                *still,
            ],
        )
        return leaned(upright, now.lean, now.forward, hinge=self.spine.centres[8], fixed=fixed)

    def _mandible(self, jaw: Place) -> tuple[list[Points], list[Matter], list[Plate]]:
        """What is painted of the jaw, and its matter."""
        if self._jaw_shadow is None:
            return *mandible(self.person, jaw), []
        outlines, shadow = self._jaw_shadow
        moved = shadow.moved(self._jaw(_ANCHORS), jaw(_ANCHORS))
        return [moved.carried(outline) for outline in outlines], [floor_of_mouth(self.person, jaw)], [moved]

    @cached_property
    def _jaw_shadow(self) -> tuple[list[Points], Plate] | None:
        """The jaw of the meshes as it is closed; None where it is drawn."""
        if self._scanned is None or "jaw" not in self._scanned.meshes.parts:
            return None
        return jaw_shadow(self.person, self._jaw, self._scanned, self.spine.front(3.5, 15.0))

    @cached_property
    def _corners(self) -> dict[str, Points]:
        """Landmarks of the vertebrae."""
        return vertebral_landmarks(self.spine, self._bodies)

    @cached_property
    def events(self) -> tuple[Event, ...]:
        """What happens when, by time."""
        return events(self.course)

    @cached_property
    def _rest(self) -> Moment:
        """Head and jaw as the rigid parts are drawn."""
        return replace(moment(self.course, 0.0), tilt=0.0, jaw=0.0)

    @cached_property
    def _head(self) -> Place:
        return head_place(self.person, self._rest)

    @cached_property
    def _jaw(self) -> Place:
        return jaw_place(self.person, self._rest, self._head)

    @cached_property
    def _plates(self) -> tuple[tuple[Plate, ...], tuple[Plate, ...]]:
        """Skull with face and upper teeth, lower teeth, vertebrae, other tissue; and apart what is no patient."""
        person, around, bone, seed = self.person, self.around, self.person.bone, self.person.seed
        skull = [
            *braincase(around, person.cranium, bone),
            *base(around, bone),
            *face(around, bone, person.cheek),
            *row(around, bone, upper=True, seed=405),
            *hair(around),
            *(cephalostat(around) if self.trappings.cephalostat else ()),
        ]
        lower = row(around, bone, upper=False, seed=406)
        back = _back(person, self.spine)
        within = np.maximum(_REACH[0], self.shown[0] - _SLACK_MM), np.minimum(_REACH[1], self.shown[1] + _SLACK_MM)
        still = [
            *self.trappings.on_spine,
            *self._trunk_bones,
            *ribs(person, self.spine),
            *(pillars(person, around, self.spine) if self._scanned is None else ()),
            *prevertebral(person, self.spine),
            *nape(person, around, self.spine, back),
            *feeding_tube(person, around, self.spine, self._head(NOSE_TO_PHARYNX)),
        ]
        patient = (
            plate([_placed(part, self._head) for part in skull], seed, within=within),
            plate([_placed(part, self._jaw) for part in lower], seed + 1, within=within),
            doubled(plate(self._matter, seed + 3, within=within), self.trappings.twist),
            plate(still, seed + 2, step=_COARSE_MM, within=within),
            *self._shadows,
        )
        seat = furniture(person, around, self.spine)
        return patient, (plate(seat, seed + 4, step=_COARSE_MM, within=within),) if seat else ()


def _placed(part: Matter | Cells, place: Place) -> Matter | Cells:
    return replace(part, outline=place(part.outline))


def _back(person: Person, spine: Spine) -> Points:
    """Skin of back and nape, upwards, float64 (6, 2)."""
    nape_fat = person.skin[2]
    back = spine.front((9.6, 8.4, 7.2, 5.6, 4.0, 2.6), -np.array((118.0, 98, 84, 70, 62, 62)) * person.neck)
    middle = spine.centres[3]
    return np.asarray(middle + (back - middle) * (0.9 + 0.12 * nape_fat))


def _skin(person: Person, spine: Spine, head: Place, jaw: Place, now: Moment) -> Points:
    throat_front, under_chin, _ = person.skin
    n = person.neck
    neck = spine.front((4.6, 5.6, 6.6, 7.6), np.array((50.0, 47, 45, 47)) * n * throat_front)
    neck[0] += now.hyoid[0] * np.array((-0.4, 0.1))
    chest = spine.front(np.array((8.6, 9.8)), np.array((62.0, 92.0)) * n)
    below = np.array((chest[-1] + (-60, 90), chest[-1] + (60, 320), spine.centres[-1] + (230, 240)))
    submental = jaw(((-60.0, 108.0 + 6 * under_chin), (-40, 100 + 12 * under_chin)))
    front = [head(PROFILE), jaw(LOWER_PROFILE), submental, neck, chest, below]
    return smooth(np.concatenate([*front, _back(person, spine), head(REAR_PROFILE)]), 4)
