# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vfss.phantom import STYLES, Phantom
from vfss.phantom.anatomy import Patient
from vfss.phantom.course import dry, sample_course
from vfss.phantom.geometry import View
from vfss.phantom.headgear import NOSE_TO_PHARYNX, feeding_tube
from vfss.phantom.matter import Matter
from vfss.phantom.plate import plate
from vfss.phantom.population import Population, sample_person
from vfss.phantom.style import one_way
from vfss.phantom.teeth import row
from vfss.phantom.trappings import (
    Trappings,
    TrappingsRange,
    cephalostat,
    doubled,
    sample_trappings,
)

LEARNT = ("standard", "wide")


def patient(seed: int) -> Patient:
    rng = np.random.default_rng(seed)
    return Patient(sample_person(rng, Population()), sample_course(rng, 2.0, "normal"))


def sampled(seed: int, **shares: object) -> Trappings:
    someone = patient(seed)
    ranges = TrappingsRange(**shares)  # type: ignore[arg-type]
    return sample_trappings(np.random.default_rng((seed, 1)), ranges, someone.around, someone.spine)


@pytest.mark.parametrize("seed", range(4))
def test_dry_swallows_move_everything_and_show_no_contrast(seed: int) -> None:
    someone = patient(seed)
    course = dry(someone.course)
    without = Patient(someone.person, course)
    at = [course.onset + u * course.pace for u in (-0.5, 0.0, 0.3, 0.6, 1.0)]
    for seconds in at:
        scene = without.scene(seconds)
        assert not scene.truth["bolus"]
        assert not scene.barium
    rest, high = (without.scene(at[i]).truth["epiglottis"][0] for i in (0, 2))
    assert np.abs(rest - high).max() > 3
    assert not {event.name for event in without.events} & {"bpm", "fed", "airway"}
    assert {event.name for event in without.events} >= {"hyb", "ueso"}


def test_many_frames_to_learn_from_have_no_contrast_and_of_those_many_have_metal() -> None:
    for style in LEARNT:
        clips = [Phantom(seed, n_frames=57, height=32, width=32, style=style) for seed in range(60)]
        empty = [not c.patient.scene(0.9).truth["bolus"] for c in clips]
        assert 0.12 < np.mean(empty) < 0.55
        assert sum(e and c.patient.around.metal > 0.9 for e, c in zip(empty, clips, strict=True)) > 3


def test_a_variant_that_is_asked_for_is_not_dry() -> None:
    for seed in range(25):
        phantom = Phantom(seed, n_frames=57, height=32, width=32, variant="residue")
        assert phantom.patient.scene(1.8).truth["bolus"]


def test_what_lies_on_the_spine_lies_on_vertebrae_from_the_second_down() -> None:
    distances, heights = [], []
    for seed in range(60):
        someone = patient(seed)
        ranges = TrappingsRange(discs=1.0)
        things = sample_trappings(np.random.default_rng(seed), ranges, someone.around, someone.spine).on_spine
        assert things
        middle = things[0].outline.mean(axis=0)
        off = np.hypot(*(someone.spine.centres[:7] - middle).T)
        distances.append(off.min())
        heights.append(int(off.argmin()) + 1)
    assert np.median(distances) < 14
    assert set(heights) >= {2, 3, 4, 5, 6}


def test_dental_work_is_denser_than_teeth() -> None:
    def densest(trappings: Trappings) -> float:
        parts = row(trappings.around, 1.0, upper=True, seed=405)
        return max(part.nepers for part in parts if isinstance(part, Matter))

    assert all(densest(sampled(seed, dental=1.0)) > 0.4 for seed in range(12))
    kinds = {sampled(seed, dental=1.0).around.upper for seed in range(60)}
    assert kinds == {"crowned", "braces", "implants", "natural"}


def test_braces_are_brackets_on_a_wire() -> None:
    around = replace(patient(1).around, upper="braces", present=1.0, metal=2.0)
    plain = len(row(replace(around, upper="natural", filled=0.0), 1.0, upper=True, seed=405))
    worn = row(around, 1.0, upper=True, seed=405)
    assert len(worn) >= plain + 8
    wire = worn[-1]
    assert np.ptp(wire.outline[:, 0]) > 40
    assert wire.nepers > 1


def test_catheters_carry_beads_and_feeding_tubes_do_not() -> None:
    someone = patient(2)
    parts = {
        kind: feeding_tube(someone.person, replace(someone.around, tube=kind), someone.spine, NOSE_TO_PHARYNX)
        for kind in ("none", "feeding", "catheter")
    }
    assert not parts["none"]
    assert len(parts["feeding"]) == 1
    tube, *beads = parts["catheter"]
    assert len(beads) >= 4
    for bead in beads:
        assert np.hypot(*(tube.outline - bead.outline.mean(axis=0)).T).min() < 6


def test_a_head_that_is_held_has_rods_in_both_ears() -> None:
    parts = cephalostat(patient(3).around)
    assert sum(bool(np.hypot(*part.outline.mean(axis=0)) < 8) for part in parts) == 2


def test_two_contours_where_a_patient_is_not_in_profile() -> None:
    square = np.array(((-10.0, -10), (10, -10), (10, 10), (-10, 10)))
    single = plate([Matter(square, 1.0)], 0)
    twice = doubled(single, 4.0)
    assert doubled(single, 0.0) is single
    view = View(height=64, width=64, scale=2.0, degrees=0, focus=(0, 0), centre=(32, 32), mirrored=False)
    one, two = (part.onto(view.matrix, 64, 64) for part in (single, twice))
    # Where only one half lies there is half as much.
    assert two[32, 32 + 20] == pytest.approx(0.5 * one[32, 32 + 16], abs=0.12)
    assert two[32, 32] == pytest.approx(one[32, 32], abs=0.12)
    assert two.sum() == pytest.approx(one.sum(), rel=0.02)


def test_some_clips_to_learn_from_are_cephalograms_of_the_same_population() -> None:
    for name in LEARNT:
        style = STYLES[name]
        ways = [one_way(np.random.default_rng(seed), style) for seed in range(300)]
        others = [way for way in ways if way is not style]
        assert 8 < len(others) < 50
        assert all(way.population == style.population and way.dry == 1.0 for way in others)


def test_styles_never_learnt_have_none_of_these() -> None:
    for name in set(STYLES) - set(LEARNT):
        style = STYLES[name]
        assert style.trappings == TrappingsRange()
        assert style.dry == 0
        assert one_way(np.random.default_rng(0), style) is style
