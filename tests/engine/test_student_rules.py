# SPDX-License-Identifier: Apache-2.0
"""Rules of proposals on made-up logits: disjoint vertebrae, one piece, presence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from keyed_student import ONLY_A_VALVE, VFSS12_REVERSED
from small_student import disc_frame, small_checkpoint
from vfss.schema import Schema
from vfss.student import Student
from vfss.student.level_chain import body_centres, counted_again, is_squeezed
from vfss.student.openvino_runtime import OpenVinoRuntime
from vfss.student.preprocess import Placement, restore
from vfss.student.rules import NO_RULES, ONE_PIECE, SPINE, RuleBook, Rules

VFSS12 = Schema.load()
SURE = np.ones(len(VFSS12), np.float32)
SPINE_PLANES = [s.index for s in VFSS12.structures if s.chain == SPINE]
SINGLE_PLANES = [s.index for s in VFSS12.structures if s.chain == SPINE or s.key in ONE_PIECE]
SEEDS = st.integers(0, 2**31)


def random_logits(seed: int, n: int = 12, size: int = 24) -> np.ndarray:
    """Smooth random fields of which about a third is positive, float32 (n, size, size)."""
    noise = np.random.default_rng(seed).normal(size=(n, size, size))
    smooth = ndimage.gaussian_filter(noise, (0, 1.5, 1.5))
    return (4 * smooth / smooth.std() - 2).astype(np.float32)


def ruled(logits: np.ndarray, rules: Rules, confidence: np.ndarray = SURE, schema: Schema = VFSS12) -> np.ndarray:
    return RuleBook(rules, schema.structures).apply(logits, confidence)[0]


def with_discs(key: str, *discs: tuple[int, int, int], inside: float = 5.0) -> np.ndarray:
    """Logits that are positive in discs (y, x, radius) of one structure."""
    logits = np.full((12, 48, 48), -5.0, np.float32)
    y, x = np.mgrid[:48, :48]
    for at_y, at_x, radius in discs:
        logits[VFSS12[key].index][np.hypot(y - at_y, x - at_x) <= radius] = inside
    return logits


@settings(deadline=None, max_examples=15)
@given(SEEDS, st.integers(20, 150), st.integers(20, 150))
def test_no_two_vertebrae_share_a_pixel_of_the_frame(seed: int, height: int, width: int) -> None:
    logits = ruled(random_logits(seed), Rules(one_piece=False))
    planes = restore(logits, Placement.of(height, width, 96))
    assert planes[SPINE_PLANES].sum(axis=0).max() <= 1


@settings(deadline=None, max_examples=15)
@given(SEEDS)
def test_a_pixel_that_one_vertebra_has_stays_its_own(seed: int) -> None:
    logits = random_logits(seed)
    before, after = (values[SPINE_PLANES] > 0 for values in (logits, ruled(logits, Rules(one_piece=False))))
    np.testing.assert_array_equal(after.any(axis=0), before.any(axis=0))
    alone = before.sum(axis=0) == 1
    np.testing.assert_array_equal(after[:, alone], before[:, alone])
    highest = logits[SPINE_PLANES].argmax(axis=0)
    np.testing.assert_array_equal(after.argmax(axis=0)[before.any(axis=0)], highest[before.any(axis=0)])


@settings(deadline=None, max_examples=15)
@given(SEEDS, st.booleans(), st.booleans())
def test_rules_add_nothing_and_a_second_time_change_nothing(seed: int, disjoint: bool, one_piece: bool) -> None:
    logits = random_logits(seed)
    kept = logits.copy()
    once = ruled(logits, Rules(disjoint=disjoint, one_piece=one_piece))
    np.testing.assert_array_equal(logits, kept)
    assert not ((once > 0) & ~(logits > 0)).any()
    twice = ruled(once, Rules(disjoint=disjoint, one_piece=one_piece))
    np.testing.assert_array_equal(twice > 0, once > 0)


@settings(deadline=None, max_examples=15)
@given(SEEDS)
def test_bones_airway_and_epiglottis_are_one_piece(seed: int) -> None:
    logits = ruled(random_logits(seed), Rules())
    for index in SINGLE_PLANES:
        assert ndimage.label(logits[index] > 0)[1] <= 1
    others = [s.index for s in VFSS12.structures if s.index not in SINGLE_PLANES]
    np.testing.assert_array_equal(logits[others], random_logits(seed)[others])


def test_the_piece_with_the_larger_sum_of_probabilities_stays() -> None:
    logits = with_discs("mandible", (12, 12, 6))
    logits[VFSS12["mandible"].index, 30:44, 20:40] = 0.01  # larger in pixels by a factor of 2.5, of probability 0.5
    logits[VFSS12["mandible"].index, 30:44, 20:23] = -5.0
    assert (with_discs("mandible", (12, 12, 6)) > 0).sum() < 0.5 * (logits > 0).sum()
    planes = ruled(logits, Rules()) > 0
    assert planes[VFSS12["mandible"].index, 36, 30]
    logits[VFSS12["mandible"].index, 38:44] = -5.0
    planes = ruled(logits, Rules()) > 0
    np.testing.assert_array_equal(planes, with_discs("mandible", (12, 12, 6)) > 0)


@pytest.mark.parametrize("key", ["bolus", "pharynx"])
def test_a_bolus_and_a_pharynx_may_be_several_pieces(key: str) -> None:
    logits = with_discs(key, (12, 12, 6), (34, 34, 3))
    np.testing.assert_array_equal(ruled(logits, Rules()), logits)


def test_a_structure_below_its_least_confidence_is_not_proposed() -> None:
    logits = with_discs("bolus", (12, 12, 6)) + 10 * (with_discs("c7", (30, 30, 5)) > 0)
    confidence = SURE.copy()
    confidence[VFSS12["bolus"].index] = 0.19
    planes = ruled(logits, Rules(least_confidence={"bolus": 0.2, "c7": 0.99}), confidence) > 0
    assert not planes[VFSS12["bolus"].index].any()
    np.testing.assert_array_equal(planes[VFSS12["c7"].index], logits[VFSS12["c7"].index] > 0)


def neck(heights: tuple[int, ...], facing: int = 1, size: int = 96) -> np.ndarray:
    """Logits of seven vertebrae of given heights without gaps, each a body and a process behind it, and an airway."""
    logits = np.full((12, size, size), -6.0, np.float32)
    top = 4
    for index, height in zip(SPINE_PLANES, heights, strict=True):
        logits[index, top : top + height, 30:40] = 6.0
        logits[index, top + height // 2 : top + height, 18:30] = 6.0
        top += height
    logits[VFSS12["airway"].index, 40:90, 50:58] = 6.0
    return logits[:, :, ::facing]


PLAUSIBLE, SQUEEZED = (8, 17, 11, 11, 11, 11, 11), (8, 8, 8, 11, 11, 11, 11)


@pytest.mark.parametrize("facing", [1, -1])
def test_a_neck_in_which_c2_is_two_vertebrae_is_counted_again(facing: int) -> None:
    before = neck(SQUEEZED, facing)
    confidence = np.linspace(0.3, 0.9, 12).astype(np.float32)
    after, trust = RuleBook(Rules(recount=True), VFSS12.structures).apply(before, confidence)
    c1, c2, c3, c4, *_, c7 = SPINE_PLANES
    np.testing.assert_array_equal(after[c1] > 0, before[c1] > 0)
    np.testing.assert_array_equal(after[c2] > 0, (before[c2] > 0) | (before[c3] > 0))
    for upper in range(c3, c7):
        np.testing.assert_array_equal(after[upper] > 0, before[upper + 1] > 0)
        assert trust[upper] == confidence[upper + 1]
    assert not (after[c7] > 0).any()
    assert trust[c2] == confidence[c2]
    assert trust[c7] == confidence[c1]
    np.testing.assert_array_equal(trust[:c1], confidence[:c1])
    assert (neck(PLAUSIBLE)[c4] > 0).any()


@pytest.mark.parametrize("facing", [1, -1])
def test_a_neck_that_is_counted_right_keeps_its_names(facing: int) -> None:
    before = neck(PLAUSIBLE, facing)
    np.testing.assert_array_equal(ruled(before, Rules(recount=True)) > 0, before > 0)


def test_a_neck_of_which_too_little_is_seen_keeps_its_names() -> None:
    for hidden in ("c2", "c4", "c6", "airway"):
        before = neck(SQUEEZED)
        before[VFSS12[hidden].index] = -6.0
        np.testing.assert_array_equal(ruled(before, Rules(recount=True)) > 0, before > 0)


def test_body_centres_lie_in_the_bodies_whichever_way_the_neck_faces() -> None:
    for facing, columns in ((1, (33, 37)), (-1, (95 - 37, 95 - 33))):
        logits = neck(PLAUSIBLE, facing)
        centres = body_centres(logits[SPINE_PLANES], logits[: SPINE_PLANES[0]])
        assert ((centres[:, 1] >= columns[0]) & (centres[:, 1] <= columns[1])).all()
        assert (np.diff(centres[:, 0]) > 0).all()


def test_unknown_centres_are_not_squeezed() -> None:
    assert not is_squeezed(np.full((5, 2), np.nan))


@settings(deadline=None, max_examples=15)
@given(SEEDS)
def test_counting_again_claims_the_same_pixels_and_leaves_vertebrae_disjoint(seed: int) -> None:
    spine = ruled(random_logits(seed), Rules(one_piece=False))[SPINE_PLANES]
    again, _ = counted_again(spine, np.ones(len(spine), np.float32), 1)
    assert (again > 0).sum(axis=0).max() <= 1
    np.testing.assert_array_equal((again[:-1] > 0).any(axis=0), (spine > 0).any(axis=0))


def test_two_looks_are_united_by_confidence_but_vertebrae_are_those_of_the_closer_one() -> None:
    shape, placement = (64, 64), Placement.of(64, 64, 64).around((31.5, 31.5), 2.0)  # sees rows and columns 16 to 48
    bolus, mandible, airway, c3 = (VFSS12[key].index for key in ("bolus", "mandible", "airway", "c3"))
    whole, closer = np.zeros((2, 12, *shape), np.bool_)
    trust, confidence = np.full(12, 0.6, np.float32), np.full(12, 0.6, np.float32)
    whole[bolus, 20:30, 20:30] = closer[bolus, 32:40, 32:40] = True
    trust[bolus], confidence[bolus] = 0.7, 0.5
    whole[mandible, 30:36, 4:40] = closer[mandible, 29:37, 16:38] = True
    whole[mandible, 2:5, 2:5] = True
    whole[airway, 2:8, 2:8] = closer[airway, 20:40, 20:24] = True
    trust[[mandible, airway]], confidence[[mandible, airway]] = 0.5, 0.7
    whole[c3, 20:30, 2:30] = closer[c3, 24:34, 20:30] = True
    trust[c3], confidence[c3] = 0.9, 0.3
    planes, united = RuleBook(Rules(), VFSS12.structures).united(
        closer.copy(), confidence.copy(), whole.copy(), trust, placement
    )
    # The first look is more confident of the bolus: its mask and its confidence count.
    np.testing.assert_array_equal(planes[bolus], whole[bolus])
    assert united[bolus] == np.float32(0.7)
    # The jaw goes on beyond the closer look as the first one has it; a speck there does not.
    assert planes[mandible, 29:37, 16:38].all() and planes[mandible, 30:36, 4:16].all()
    assert planes[mandible].sum() == 8 * 22 + 6 * 12 and united[mandible] == np.float32(0.7)
    # One piece stays one piece: the larger one.
    np.testing.assert_array_equal(planes[airway], closer[airway])
    np.testing.assert_array_equal(planes[c3], closer[c3])
    assert united[c3] == np.float32(0.3)


def test_vertebrae_are_those_of_the_first_look_where_the_closer_one_lost_the_spine() -> None:
    placement = Placement.of(64, 64, 64).around((31.5, 31.5), 2.0)
    whole, closer = np.zeros((2, 12, 64, 64), np.bool_)
    whole[SPINE_PLANES, 20:24, 20:30], closer[SPINE_PLANES, 30:32, 40:44] = True, True
    for sure, first in ((0.45, True), (0.6, False)):
        planes, united = RuleBook(Rules(), VFSS12.structures).united(
            closer.copy(), np.full(12, sure, np.float32), whole.copy(), np.full(12, 0.6, np.float32), placement
        )
        np.testing.assert_array_equal(planes[SPINE_PLANES], (whole if first else closer)[SPINE_PLANES])
        np.testing.assert_allclose(united[SPINE_PLANES], 0.6)


@pytest.mark.parametrize("rules", [NO_RULES, Rules()])
def test_nothing_stays_nothing(rules: Rules) -> None:
    logits = np.full((12, 16, 16), -3.0, np.float32)
    assert not (ruled(logits, rules) > 0).any()


def test_structures_are_known_by_key_and_chain_in_any_order() -> None:
    logits = random_logits(3)
    backwards = ruled(logits[::-1], Rules(), schema=VFSS12_REVERSED)
    np.testing.assert_array_equal(backwards[::-1], ruled(logits, Rules()))


def test_structures_of_another_schema_are_left_as_they_are() -> None:
    logits = random_logits(5, n=1)
    np.testing.assert_array_equal(ruled(logits, Rules(), SURE[:1], ONLY_A_VALVE), logits)


def test_a_student_proposes_by_its_rules(tmp_path: Path) -> None:
    checkpoint = small_checkpoint().save(tmp_path / "small.safetensors")
    runtime = OpenVinoRuntime(checkpoint)
    frames = np.stack([disc_frame(64, 64, seed) for seed in range(4)])
    plain, obedient = Student(checkpoint, runtime, rules=NO_RULES), Student(checkpoint, runtime)
    before, after = (np.stack([p.masks.planes for p in s.propose(frames)]) for s in (plain, obedient))
    assert (before[:, SPINE_PLANES].sum(axis=1) > 1).any()
    assert (after[:, SPINE_PLANES].sum(axis=1) <= 1).all()
    assert after.any()
    streamed = np.stack([p.masks.planes for p in obedient.propose_each(iter(frames))])
    np.testing.assert_array_equal(streamed, after)


def test_a_vertebra_that_was_not_learnt_takes_no_pixel_from_another(tmp_path: Path) -> None:
    learnt = {key: 5 for key in VFSS12.keys if key != "c2"}
    whole = small_checkpoint().save(tmp_path / "whole.safetensors")
    part = replace(whole, learnt=learnt).save(tmp_path / "part.safetensors")
    frame, rules = disc_frame(64, 64, 1)[None], Rules(one_piece=False)
    with_c2, without = (Student(c, OpenVinoRuntime(c), rules=rules).propose(frame)[0] for c in (whole, part))
    others = [key for key in without.keys if VFSS12[key].chain == SPINE]
    assert with_c2.masks.planes[VFSS12["c2"].index].any()
    assert all(not (with_c2.plane(key) & ~without.plane(key)).any() for key in others)
    assert any((without.plane(key) & ~with_c2.plane(key)).any() for key in others)
