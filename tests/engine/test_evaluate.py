# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from prescribed_student import PrescribedStudent
from small_project import THREE, annotate, disc, grey_frames, write_video
from vfss.errors import SchemaError
from vfss.evaluation.evaluate import evaluate
from vfss.masks import MaskState
from vfss.masks.metrics import hd95
from vfss.project import Project
from vfss.schema import Schema, Structure

HEIGHT, WIDTH, FRAMES = 40, 30, 12
DISC = disc(HEIGHT, WIDTH, y=15, x=15, radius=8)
NOTHING = np.zeros((HEIGHT, WIDTH), np.bool_)
NO_FIGURES = {"dice": None, "hd95": None} | dict.fromkeys(("planes", "distances", "missed", "false", "both_empty"), 0)


@pytest.fixture
def frames() -> np.ndarray:
    return grey_frames(FRAMES, HEIGHT, WIDTH)


@pytest.fixture
def project(tmp_path: Path, frames: np.ndarray):
    with Project.create(tmp_path / "project", THREE) as made:
        made.add_clip(write_video(tmp_path / "one.mkv", frames), patient="one")
        yield made


def test_figures_computed_by_hand(project: Project, frames: np.ndarray) -> None:
    clip = project.clips()[0].id
    lower = np.roll(DISC, 3, axis=0)
    overlap = 2 * (DISC & lower).sum() / (DISC.sum() + lower.sum())
    annotate(project, clip, 0, {"bolus": DISC, "pharynx": DISC, "mandible": MaskState.NOT_VISIBLE})
    annotate(project, clip, 3, {"bolus": DISC, "pharynx": MaskState.EMPTY, "mandible": (DISC, MaskState.EDITED)})
    annotate(project, clip, 5, {"bolus": MaskState.EMPTY})
    student = PrescribedStudent(
        frames,
        {
            0: np.stack([DISC, lower, DISC]),  # right; 3 pixels off; not comparable
            3: np.stack([NOTHING, DISC, DISC]),  # missed; false; not accepted
            5: np.stack([NOTHING, NOTHING, NOTHING]),  # rightly empty: nothing to measure
        },
    )
    result = evaluate(project, student)
    assert result["student"] == "st-parrot"
    assert result["frames"] == 3
    bolus, pharynx, mandible = (result["structures"][key] for key in THREE.keys)
    # A missed structure costs overlap and is counted; there is no distance to a mask that is not there.
    counts = {"planes": 2, "distances": 1, "missed": 1, "false": 0, "both_empty": 1}
    assert bolus == {"dice": 0.5, "hd95": 0.0, **counts}
    assert pharynx["dice"] == pytest.approx(overlap / 2)
    assert pharynx["hd95"] == hd95(DISC, lower) == 3.0
    assert {name: pharynx[name] for name in counts} == counts | {"missed": 0, "false": 1, "both_empty": 0}
    assert mandible == NO_FIGURES
    assert result["mean_dice"] == pytest.approx((0.5 + overlap / 2) / 2)
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_progress_is_reported_and_can_stop(project: Project, frames: np.ndarray) -> None:
    clip = project.clips()[0].id
    for t in range(FRAMES):
        annotate(project, clip, t, {"bolus": DISC})
    student = PrescribedStudent(frames, {t: np.stack([DISC] * 3) for t in range(FRAMES)})
    calls: list[tuple[int, int]] = []
    result = evaluate(project, student, progress=lambda done, total: calls.append((done, total)) or True)
    assert result["frames"] == FRAMES
    assert result["mean_dice"] == 1.0
    assert calls[-1] == (FRAMES, FRAMES)
    assert [total for _, total in calls] == [FRAMES] * len(calls)
    assert evaluate(project, student, progress=lambda done, total: False)["frames"] == 1
    assert student.asked == FRAMES + 1


def test_only_patients_of_the_chosen_splits(project: Project, frames: np.ndarray, tmp_path: Path) -> None:
    others = grey_frames(2, HEIGHT, WIDTH, seed=1)
    second = project.add_clip(write_video(tmp_path / "two.mkv", others), patient="two").id
    first = next(record.id for record in project.clips() if record.id != second)
    project.assign_split("one", "train")
    project.assign_split("two", "test")
    annotate(project, first, 0, {"bolus": DISC})
    annotate(project, second, 0, {"bolus": DISC})
    both = np.concatenate([frames, others])
    student = PrescribedStudent(both, {0: np.stack([NOTHING] * 3), FRAMES: np.stack([DISC] * 3)})
    assert evaluate(project, student, splits=["test"])["mean_dice"] == 1.0
    assert evaluate(project, student, splits=["train"])["mean_dice"] == 0.0
    scores = evaluate(project, student)
    assert scores["mean_dice"] == 0.5
    assert scores["patients"] == {"one": {"frames": 1, "mean_dice": 0.0}, "two": {"frames": 1, "mean_dice": 1.0}}
    assert evaluate(project, student, splits=["validation"]) == {
        "student": "st-parrot",
        "frames": 0,
        "mean_dice": None,
        "structures": {key: NO_FIGURES for key in THREE.keys},
        "patients": {},
        "not_known_to_student": [],
        "left_out": [],
    }


def schema_of(*keys: str) -> Schema:
    return Schema("other", "1", "Other", tuple(Structure(key, key, i, "#102030") for i, key in enumerate(keys)))


def test_structures_are_matched_by_key_not_by_index(project: Project, frames: np.ndarray) -> None:
    annotate(project, project.clips()[0].id, 0, {"bolus": DISC, "mandible": ~DISC, "pharynx": DISC})
    answers = {0: np.stack([~DISC, NOTHING, DISC])}
    result = evaluate(project, PrescribedStudent(frames, answers, schema_of("mandible", "tongue", "bolus")))
    assert {key: row["dice"] for key, row in result["structures"].items()} == {"mandible": 1.0, "bolus": 1.0}
    assert result["not_known_to_student"] == ["pharynx"]


def test_a_student_of_other_structures_cannot_be_evaluated(project: Project, frames: np.ndarray) -> None:
    with pytest.raises(SchemaError, match=r"structures are tongue, the project's bolus.*Choose"):
        evaluate(project, PrescribedStudent(frames, {}, schema_of("tongue")))
