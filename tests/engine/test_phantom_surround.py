# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vfss.phantom.anatomy import Patient
from vfss.phantom.coating import bubbles, coating
from vfss.phantom.course import sample_course
from vfss.phantom.matter import Matter
from vfss.phantom.motion import moment
from vfss.phantom.plate import Cells, plate
from vfss.phantom.population import Person, Population, sample_person
from vfss.phantom.surroundings import sample_surroundings
from vfss.phantom.teeth import row

SQUARE = np.array(((10.0, 10.0), (30.0, 10.0), (30.0, 30.0), (10.0, 30.0)))
DOUBLE = np.array(((2.0, 0.0, 0.0), (0.0, 2.0, 0.0)))  # two pixels a millimetre


def person(seed: int, age: float = 50.0) -> Person:
    return sample_person(np.random.default_rng(seed), Population(age=(age, age)))


def patient(seed: int) -> Patient:
    rng = np.random.default_rng(seed)
    return Patient(sample_person(rng, Population()), sample_course(rng, 2.0, "normal"))


def test_plate_lies_where_its_parts_are() -> None:
    drawn = plate([Matter(SQUARE, 0.5)], 0, mottle=0.0)
    picture = drawn.onto(DOUBLE, 90, 80)
    assert picture.shape == (90, 80)
    assert picture.dtype == np.float32
    assert picture[40, 40] == pytest.approx(0.5, abs=0.01)
    assert picture[24:56, 24:56].min() > 0.48
    assert np.abs(picture[:16]).max() < 0.01
    assert picture.sum() == pytest.approx(0.5 * 40 * 40, rel=0.02)


def test_plate_follows_its_anchors() -> None:
    drawn = plate([Matter(SQUARE, 1.0)], 0, mottle=0.0)
    anchors = np.array(((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)))
    moved = drawn.moved(anchors, anchors + np.array((5.0, 2.0)))
    shifted = moved.onto(DOUBLE, 90, 90)
    assert np.abs(shifted[4:, 10:] - drawn.onto(DOUBLE, 90, 90)[:-4, :-10]).max() < 0.05


def test_plate_in_a_straight_picture_is_the_same_by_mesh() -> None:
    drawn = plate([Matter(SQUARE, 1.0, blur=1)], 0)
    middles = (np.mgrid[:90, :90][::-1] + 0.5).transpose(1, 2, 0).astype(np.float32)
    assert np.abs(drawn.onto(DOUBLE, 90, 90) - drawn.onto(DOUBLE, 90, 90, middles)).max() < 0.05


def test_no_parts_no_attenuation() -> None:
    assert not plate([], 0).onto(DOUBLE, 20, 20).any()


def test_cells_are_air_between_walls() -> None:
    picture = plate([Cells(SQUARE, 0.4, 0.1, 3.0, 7)], 0).onto(DOUBLE, 80, 80)
    inside = picture[24:56, 24:56]
    assert inside.min() < -0.3
    assert inside.max() > 0.03
    assert np.abs(picture[:10]).max() < 0.02


def test_surroundings_belong_to_the_person() -> None:
    assert sample_surroundings(person(1)) == sample_surroundings(person(1))
    assert sample_surroundings(person(1)) != sample_surroundings(person(2))


def test_old_people_have_lost_teeth() -> None:
    lost = {
        age: np.mean([sample_surroundings(person(s, age)).upper in ("edentulous", "denture") for s in range(60)])
        for age in (25.0, 90.0)
    }
    assert lost[25.0] < 0.25
    assert lost[90.0] > 0.3


def test_no_teeth_in_an_edentulous_jaw() -> None:
    around = replace(sample_surroundings(person(1)), upper="edentulous", lower="natural", present=1.0)
    assert row(around, 1.0, upper=True, seed=1) == []
    assert len(row(around, 1.0, upper=False, seed=1)) > 20


def test_crowned_rows_are_dark_with_metal() -> None:
    around = replace(sample_surroundings(person(1)), upper="crowned", metal=1.8, present=1.0)
    assert sum(part.nepers >= 1.8 for part in row(around, 1.0, upper=True, seed=1)) >= 3


def test_rigid_parts_are_drawn_once_and_only_moved() -> None:
    someone = patient(3)
    early, late = someone.scene(0.1), someone.scene(1.0)
    assert len(early.plates) == 5
    for a, b in zip(early.plates, late.plates, strict=True):
        assert a.values is b.values
    assert not np.array_equal(early.plates[0].place, late.plates[0].place)
    # Spine and soft tissue lean together; the seat stays.
    np.testing.assert_allclose(early.plates[2].place, early.plates[3].place)
    assert not np.array_equal(early.plates[3].place, late.plates[3].place)
    assert np.array_equal(early.plates[4].place, late.plates[4].place)


def test_lower_teeth_follow_the_jaw() -> None:
    someone = patient(4)
    apart = [
        float(np.abs(scene.plates[0].place - scene.plates[1].place).max())
        for scene in map(someone.scene, np.linspace(0, 2, 9).tolist())
    ]
    assert np.ptp(apart) > 0.05


def test_coating_and_bubbles_are_in_the_picture_but_not_in_the_truth() -> None:
    shown = 0
    for seed in range(6):
        someone = patient(seed)
        course = replace(someone.course, coating=1.0, consistency="solid", hold=True)
        scene = Patient(someone.person, course).scene(course.onset + 0.5 * course.pace)
        bare = Patient(someone.person, replace(course, coating=0.0)).scene(course.onset + 0.5 * course.pace)
        assert len(scene.truth["bolus"]) == len(bare.truth["bolus"])
        now = moment(course, course.onset + 0.5 * course.pace)
        coated = coating(scene.truth, course, now)
        assert all(0 < share <= 1 for _, share in coated)
        shown += bool(coated) and bool(bubbles(scene.truth, course))
        assert len(scene.barium) >= len(scene.truth["bolus"]) + len(coated)
    assert shown >= 3
