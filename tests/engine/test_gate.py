# SPDX-License-Identifier: Apache-2.0
"""The gate: which new student is offered, which is not, and why, from scores on the same frames."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from small_project import THREE, cohort
from vfss.comparison.comparing import KEPT, compare, comparisons_of, keep_comparison, newest_figures
from vfss.evaluation.evaluate import PlaneScore
from vfss.evaluation.gate import Evidence, Verdict, judge
from vfss.evaluation.paired import Figure, Paired, pair
from vfss.project import Project
from vfss.student.checkpoint import Checkpoint
from vfss.student.config import StudentConfig

NAMES = {"bolus": "Bolus", "epiglottis": "Epiglottis", "hyoid": "Hyoid"}
PATIENTS = ("P1", "P2", "P3", "P4", "P5")


def planes(dice: dict[str, float], *, patients=PATIENTS, frames: int = 8, seed: int = 0, hd95: float = 4.0):
    """Return scores around these Dice, the same noise for whoever has the same seed."""
    random = np.random.default_rng(seed)
    rows = []
    for patient in patients:
        hard = random.normal(0, 0.03)
        for t in range(frames):
            for key, value in dice.items():
                score = float(np.clip(value + hard + random.normal(0, 0.01), 0, 1))
                rows.append(PlaneScore(patient, (f"clip of {patient}", t), key, score, hd95))
    return rows


def paired(old: dict[str, float], new: dict[str, float], **kwargs) -> Paired:
    return pair(planes(old, **kwargs), planes(new, **kwargs), list(old))


def test_the_fault_of_november_is_not_offered() -> None:
    """A retraining came out at 0.886 after 0.898, with the epiglottis down from 0.752 to 0.688."""
    old = {"bolus": 0.95, "epiglottis": 0.752, "hyoid": 0.95}
    new = {"bolus": 0.955, "epiglottis": 0.688, "hyoid": 0.95}
    verdict = judge(Evidence(paired(old, new), agreement=1.0), NAMES)
    assert not verdict.passed
    told = " ".join(verdict.against)
    assert "mean Dice on the hold-out" in told and "Epiglottis falls from 0.7" in told
    assert "Bolus" not in told and "Hyoid" not in told


def test_a_structure_that_falls_is_named_even_where_the_mean_rises() -> None:
    old = {"bolus": 0.80, "epiglottis": 0.75, "hyoid": 0.80}
    new = {"bolus": 0.90, "epiglottis": 0.735, "hyoid": 0.90}
    verdict = judge(Evidence(paired(old, new), agreement=1.0), NAMES)
    assert not verdict.passed and len(verdict.against) == 1
    assert "Epiglottis" in verdict.against[0]


def test_a_student_that_kept_everything_is_offered() -> None:
    old = {"bolus": 0.80, "epiglottis": 0.75}
    for new in (old, {"bolus": 0.83, "epiglottis": 0.749}):
        verdict = judge(Evidence(paired(old, new), agreement=0.9995), NAMES)
        assert verdict == Verdict(True)


def test_a_mean_that_is_equal_but_uncertain_is_not_offered() -> None:
    """Better on two patients, as much worse on three: the interval reaches too far down."""
    old, new = planes({"bolus": 0.8}), []
    shift = {"P1": 0.06, "P2": 0.06, "P3": -0.04, "P4": -0.04, "P5": -0.04}
    for one in old:
        new.append(replace(one, dice=one.dice + shift[one.unit]))
    both = pair(old, new, ["bolus"])
    assert both.difference[""].value == pytest.approx(0.0, abs=1e-9)
    verdict = judge(Evidence(both, agreement=1.0), NAMES)
    assert not verdict.passed and "lower end of the 95 % interval" in verdict.against[0]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"agreement": 0.998}, "99.80 % of pixels only"),
        ({"latency": (0.010, 0.013)}, "13 ms a frame, before 10 ms"),
        ({"lost": ("Hyoid",)}, "does not propose Hyoid any more"),
        ({"phantoms": paired({"bolus": 0.9}, {"bolus": 0.7})}, "something was forgotten"),
    ],
)
def test_each_other_loss_is_told(changes: dict, told: str) -> None:
    whole = Evidence(paired({"bolus": 0.8}, {"bolus": 0.82}), agreement=1.0, latency=(0.010, 0.011))
    assert judge(whole, NAMES).passed
    verdict = judge(replace(whole, **changes), NAMES)
    assert not verdict.passed and told in " ".join(verdict.against)


def test_outlines_that_are_further_off_are_told() -> None:
    both = pair(planes({"bolus": 0.8}), planes({"bolus": 0.8}, hd95=6.0), ["bolus"])
    verdict = judge(Evidence(both, agreement=1.0), NAMES)
    assert not verdict.passed and "HD95 6.0 pixels, before 4.0" in verdict.against[0]


def test_too_few_patients_are_said_and_phantoms_decide_whether_something_was_forgotten() -> None:
    few = paired({"bolus": 0.8}, {"bolus": 0.8}, patients=("P1",))
    assert (few.units, few.drawn) == (1, "frames")
    drawn = paired({"bolus": 0.9}, {"bolus": 0.9})
    verdict = judge(Evidence(few, drawn, agreement=1.0), NAMES)
    assert verdict.passed
    assert any("only 1 patient" in remark for remark in verdict.remarks)
    assert any("Phantoms were compared" in remark for remark in verdict.remarks)
    nothing = judge(Evidence(None, drawn, agreement=1.0), NAMES)
    assert nothing.passed and "nothing can be said of real film" in nothing.remarks[0]
    assert verdict.on_film and not nothing.on_film
    assert Verdict.from_dict(nothing.to_dict()) == nothing
    assert not judge(Evidence(None, None, agreement=1.0), NAMES).passed


def test_masks_without_pixels_count_as_in_evaluate() -> None:
    """Where neither has pixels nothing counts; where one invents a mask, that is a 0 of its own."""
    old = [PlaneScore("P1", ("c", t), "bolus", value, math.nan) for t, value in enumerate((0.8, math.nan))]
    new = [PlaneScore("P1", ("c", t), "bolus", value, math.nan) for t, value in enumerate((0.8, 0.0))]
    both = pair(old, new, ["bolus"])
    assert (both.old["bolus"].value, both.new["bolus"].value) == (0.8, 0.4)
    assert (both.old["bolus"].n, both.new["bolus"].n) == (1, 2)
    assert both.old_hd95 is None


@given(st.lists(st.floats(-0.2, 0.2), min_size=3, max_size=8), st.integers(0, 5))
def test_difference_and_interval_agree_with_each_patient(shifts: list[float], seed: int) -> None:
    old = [PlaneScore(f"P{i}", (f"c{i}", t), "bolus", 0.5, 1.0) for i in range(len(shifts)) for t in range(3)]
    new = [replace(one, dice=0.5 + shifts[int(one.unit[1:])]) for one in old]
    mean = pair(old, new, ["bolus"], seed=seed).difference[""]
    assert mean.value == pytest.approx(np.mean(shifts), abs=1e-9)
    assert mean.interval is not None
    assert min(shifts) - 1e-9 <= mean.interval[0] <= mean.interval[1] <= max(shifts) + 1e-9


# The frozen hold-out, and comparisons kept in a project


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with cohort(tmp_path, {"A": "train", "B": "validation", "C": "test"}) as made:
        yield made


def test_the_hold_out_is_frozen_when_first_used(project: Project) -> None:
    splits = project.splits()
    assert project.hold_out.frames(splits).count == 0
    frozen = project.hold_out.freeze(splits)
    assert (frozen.count, frozen.patients, frozen.waiting) == (6, ("B", "C"), 0)
    clip = next(record for record in project.clips() if record.patient == "B")
    assert frozen.frames[clip.id] == (0, 1, 2)
    train = next(record.id for record in project.clips() if record.patient == "A")
    assert train not in frozen.frames


def test_frames_annotated_later_wait_until_a_person_takes_them_in(project: Project) -> None:
    splits = project.splits()
    early = {patient: side for patient, side in splits.items() if patient != "C"} | {"C": "train"}
    assert project.hold_out.freeze(early).count == 3
    later = project.hold_out.freeze(splits)
    assert (later.count, later.waiting) == (3, 3)
    extended = project.hold_out.freeze(splits, extend=True)
    assert (extended.count, extended.waiting, extended.patients) == (6, 0, ("B", "C"))
    with Project.open(project.folder) as again:
        assert again.hold_out.frames(splits) == extended


def test_a_comparison_is_kept_with_the_new_student(project: Project, tmp_path: Path) -> None:
    weights = {"neck.weight": np.zeros((4, 4), np.float16)}
    Checkpoint(StudentConfig(), THREE, weights, b"graph", {}).save(tmp_path / "a.safetensors")
    record = project.add_student(tmp_path / "a.safetensors", scores={"mean_dice": 0.5}, parent=None)
    measured = {"bolus": 0.8, "pharynx": 0.7}
    sides = planes(measured), planes(measured, seed=0)
    keys = (THREE.keys, ("bolus", "pharynx"))
    evidence = Evidence(None, agreement=1.0)
    comparison = compare(THREE, ("st-old", record.id), keys, evidence, phantoms=sides)
    assert comparison.verdict.against == ("It does not propose Mandible any more.",)
    kept = keep_comparison(project, comparison)
    assert kept.scores["mean_dice"] == 0.5
    assert comparisons_of(kept) == {"st-old": comparison}
    assert newest_figures(record.id, [kept]) is None, "phantoms are no hold-out"
    broken = project.shelf.keep_scores(record.id, {KEPT: {"st-old": {"verdict": 3}, "st-x": None}})
    assert comparisons_of(broken) == {}


def test_where_the_student_in_use_knows_nothing_of_the_project_there_is_nothing_to_lose() -> None:
    comparison = compare(THREE, ("st-a", "st-b"), (("airway",), ("bolus",)), Evidence(None, agreement=1.0))
    assert comparison.verdict.passed and "nothing to compare" in comparison.verdict.remarks[0]
    forgotten = compare(THREE, ("st-a", "st-b"), (("bolus",), ("airway",)), Evidence(None, agreement=1.0))
    assert not forgotten.verdict.passed


def test_figures_of_both_students_are_found_from_what_was_kept() -> None:
    both = paired({"bolus": 0.8}, {"bolus": 0.9})
    again = Paired.from_dict(both.to_dict())
    assert again == both
    assert Figure.from_json("x") == Figure(None)
    with pytest.raises(ValueError, match="no comparison"):
        Paired.from_dict({"old": 1})
