# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage

from vfss.phantom import Phantom
from vfss.phantom.childhood import as_child
from vfss.phantom.geometry import View, plane, turn
from vfss.phantom.head import head_place
from vfss.phantom.mandible import jaw_outlines, jaw_place, jaw_points
from vfss.phantom.motion import moment, sample_course
from vfss.phantom.population import Person, Population, sample_person
from vfss.phantom.proportions import REACH, Jaw, Vertebra, draw, limits, spreads, values, with_values
from vfss.phantom.spine import bones, stand
from vfss.phantom.style import STYLES
from vfss.phantom.throat import throat
from vfss.phantom.vertebrae import arch, body, usual

VIEW = View(160, 160, 0.9, 0.0, (0.0, 0.0), (70.0, 25.0), False)


def person(seed: int, population: Population | None = None) -> Person:
    return sample_person(np.random.default_rng((seed, 3)), population or Population())


def spine_planes(someone: Person) -> list[np.ndarray]:
    spine = stand(someone)
    return [plane([VIEW.pixels(o) for o in bones(someone, spine, level)], 160, 160) for level in range(1, 8)]


def test_numbers_come_back_in_order() -> None:
    shape = Jaw(length=80.0)
    assert with_values(Jaw(), values(shape)) == shape
    assert len(spreads(shape)) == len(values(shape))
    assert (spreads(shape) > 0).all()


def test_a_draw_stays_within_the_population() -> None:
    low, high = limits(Vertebra())
    far = values(draw(Vertebra(), np.full(len(low), 9.0)))
    assert np.allclose(far, high)
    assert np.allclose(values(draw(Vertebra(), np.zeros(len(low)))), values(Vertebra()))
    assert REACH >= 2.5


def test_persons_differ_and_come_again() -> None:
    assert person(1) == person(1)
    people = [person(s) for s in range(40)]
    assert np.std([p.vertebrae[2].length for p in people]) > 2.0
    assert np.std([p.jaw.slope for p in people]) > 3.0
    assert np.std([p.tilts[0] - p.tilts[6] for p in people]) > 6.0
    assert np.ptp([p.descent for p in people]) > 0.5


def lower_end_plates(someone: Person) -> np.ndarray:
    """Rear and front corner of the lower end plates of C2, C3, C4, (3, 2, 2)."""
    spine = stand(someone)
    placed = []
    for level in (2, 3, 4):
        shape = someone.vertebrae[level - 2]
        points = turn(body(shape)[[5, 8]] * someone.neck, float(spine.tilts[level - 1]) + shape.lean)
        placed.append(points + spine.centres[level - 1])
    return np.array(placed)


def test_c2_and_c3_lie_as_far_apart_as_on_film() -> None:
    """Middles of lower end plates, C2 to C3 over C3 to C4: 0.90 to 1.10 in 80 people, 1.02 on average."""
    ratios = []
    for seed in range(60):
        steps = np.hypot(*np.diff(lower_end_plates(person(seed)).mean(axis=1), axis=0).T)
        ratios.append(steps[0] / steps[1])
    assert np.mean(ratios) == pytest.approx(1.02, abs=0.04)
    assert 0.03 < np.std(ratios) < 0.15  # wider than in people, so that no ratio is a name


def test_a_pharynx_at_rest_is_as_wide_as_in_people() -> None:
    """Healthy people at rest: 62 % of the square of the distance from C2 to C4, 25 to 135."""
    shares, view = [], View(300, 300, 1.5, 0.0, (0.0, 0.0), (180.0, 60.0), False)
    for seed in range(40):
        someone = person(seed)
        course = sample_course(np.random.default_rng((seed, 4)), 1.0, "rest")
        now, spine = moment(course, 0.0), stand(someone)
        found = throat(someone, spine, course, now, head=head_place(someone, now)).truth["pharynx"]
        corners = lower_end_plates(someone)[[0, 2], 1]
        area = plane([view.pixels(o) for o in found], 300, 300).sum() / view.scale**2
        shares.append(100 * area / ((corners[0] - corners[1]) ** 2).sum())
    assert np.median(shares) == pytest.approx(62, abs=8)
    assert 15 < min(shares) < 40
    assert 95 < max(shares) < 150


def test_age_wears_the_spine() -> None:
    young = [person(s, Population(age=(20, 30))) for s in range(30)]
    old = [person(s, Population(age=(85, 95))) for s in range(30)]
    assert np.mean([p.spurs for p in young]) < 0.2 < np.mean([p.spurs for p in old])
    assert np.mean([p.spacing[4] for p in old]) < np.mean([p.spacing[4] for p in young])
    assert np.mean([p.calcified for p in old]) > np.mean([p.calcified for p in young])


def test_neighbours_hardly_overlap_and_every_vertebra_is_one_piece() -> None:
    shares = []
    for seed in range(12):
        planes = spine_planes(person(seed))
        for upper, lower in pairwise(planes):
            shares.append((upper & lower).sum() / max(1, min(upper.sum(), lower.sum())))
        assert all(ndimage.label(p)[1] <= 1 for p in planes)
    assert np.mean(shares) < 0.02
    assert max(shares) < 0.25


@pytest.mark.parametrize("level", range(2, 9))
def test_usual_vertebrae_have_a_process_behind_the_body(level: int) -> None:
    shape = usual(level)
    assert body(shape)[:, 0].max() < 0.6 * arch(shape)[:, 0].max()
    longer = replace(shape, length=shape.length + 6)
    assert arch(longer)[:, 0].max() > arch(shape)[:, 0].max() + 3


def test_only_the_painted_part_of_the_last_process_shrinks() -> None:
    full, partial = Person(), Person(shown=0.6)
    areas = [[p.sum() for p in spine_planes(someone)] for someone in (full, partial)]
    assert areas[0][:6] == areas[1][:6]
    assert areas[1][6] < 0.92 * areas[0][6]


def test_teeth_and_skin_follow_the_jaw() -> None:
    now = replace(moment(sample_course(np.random.default_rng(0), 2.0, "normal"), 0.0), jaw=0.0, tilt=0.0)
    usual_jaw = jaw_place(Person(), now, head_place(Person(), now))
    long_chin = Person(jaw=Jaw(length=84.0))
    moved = jaw_place(long_chin, now, head_place(long_chin, now))
    chin = ((-77.0, 104.0),)
    assert moved(chin)[0, 0] < usual_jaw(chin)[0, 0] - 6
    painted = jaw_outlines(long_chin, moved)[0]
    assert np.abs(painted - moved(chin)).sum(1).min() < 6
    assert len(jaw_points(Jaw())) == 17


@pytest.mark.parametrize("youth", [0.3, 1.0])
def test_a_child_has_low_bodies_with_wide_gaps_in_a_small_neck(youth: float) -> None:
    adult, child = Person(), as_child(Person(), youth)
    assert child.age < 18
    assert child.neck < adult.neck
    for older, younger in zip(adult.vertebrae[1:6], child.vertebrae[1:6], strict=True):
        assert younger.front / younger.back < older.front / older.back  # like a wedge
        assert younger.front < older.front  # and so the gap is wider at the same pitch
        assert younger.lip < older.lip


def test_only_styles_to_learn_from_have_children() -> None:
    assert STYLES["standard"].population.children > 0
    assert STYLES["wide"].population.children > 0
    assert all(STYLES[name].population.children == 0 for name in ("clinic", "harsh", "capture", "elderly"))
    ages = [Phantom(seed, n_frames=1, height=32, width=32, style="wide").patient.person.age for seed in range(60)]
    assert 5 < sum(age < 18 for age in ages) < 30
