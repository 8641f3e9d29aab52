# SPDX-License-Identifier: Apache-2.0
"""Agreement of two readers: figures, intervals, and no result before both have finished."""

from __future__ import annotations

import contextlib
import csv
import json
import math
import sqlite3
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from prescribed_student import PrescribedStudent
from small_project import THREE, annotate, disc, grey_frames, write_video
from vfss.cli.app import app
from vfss.cli.console import LEFT_OUT
from vfss.errors import DatasetError, ProjectError
from vfss.evaluation.agreement import agree, compare, write_agreement
from vfss.evaluation.agreement_statistics import Comparison, cohen_kappa, summarise
from vfss.evaluation.evaluate import evaluate
from vfss.masks import MaskState
from vfss.masks.metrics import dice, hd95
from vfss.project import Project
from vfss.project.second_reading_record import Reading
from vfss.project.second_readings import create_reading, find_reading, finish_first, finish_reading

HEIGHT, WIDTH, FRAMES = 40, 48, 6
A, B = (disc(HEIGHT, WIDTH, y=15, x=x, radius=7) for x in (20, 23))
ACCEPTED, EMPTY, HIDDEN = MaskState.ACCEPTED, MaskState.EMPTY, MaskState.NOT_VISIBLE


@pytest.fixture
def study(tmp_path: Path) -> Iterator[tuple[Project, Reading]]:
    """A project and a second reading of it, both with annotations and neither finished."""
    with Project.create(tmp_path / "project", THREE) as project:
        for n in range(3):
            project.add_clip(
                write_video(tmp_path / f"{n}.mkv", grey_frames(FRAMES, HEIGHT, WIDTH, seed=n)), patient=f"case {n}"
            )
        reading = create_reading(project, "Bob")
        clips = [record.id for record in project.clips()]
        with Project.open(reading.folder) as second:
            for clip in clips:
                annotate(project, clip, 0, {"bolus": A, "pharynx": A, "mandible": A}, author="Ada")
                annotate(second, clip, 0, {"bolus": B, "pharynx": EMPTY, "mandible": HIDDEN}, author="Bob")
            annotate(project, clips[0], 1, {"bolus": EMPTY, "pharynx": A, "mandible": HIDDEN}, author="Ada")
            annotate(second, clips[0], 1, {"bolus": EMPTY, "pharynx": (A, MaskState.EDITED)}, author="Bob")
            annotate(second, clips[0], 1, {"mandible": HIDDEN}, author="Bob")
            annotate(project, clips[0], 2, {"bolus": A}, author="Ada")
        yield project, reading


def finished(study: tuple[Project, Reading]) -> tuple[Project, Reading]:
    project, reading = study
    finish_first(project, reading)
    return project, finish_reading(reading.folder)


def test_nothing_is_shown_before_both_have_finished(study: tuple[Project, Reading]) -> None:
    project, reading = study
    with pytest.raises(ProjectError, match="neither reader has finished"):
        agree(project, reading)
    with pytest.raises(ProjectError, match="second reader has not"):
        next(compare(project, finish_first(project, reading)))
    result = CliRunner().invoke(app, ["agreement", str(project.folder)])
    assert result.exit_code == 1
    assert "blinded" in result.stderr
    assert "Dice" not in result.output


def test_the_first_reader_must_have_finished_too(study: tuple[Project, Reading]) -> None:
    project, reading = study
    with pytest.raises(ProjectError, match="first reader has not"):
        agree(project, finish_reading(reading.folder))


def test_figures_of_what_both_have_finished(study: tuple[Project, Reading]) -> None:
    result = agree(*finished(study))
    assert result is not None
    assert (result.unit, result.units, result.frames) == ("patients", 3, 4)
    bolus, pharynx, mandible = result.structures
    assert bolus.dice == pytest.approx(dice(A, B))
    assert bolus.hd95 == pytest.approx(hd95(A, B))
    assert (bolus.compared, bolus.both_present, bolus.both_absent) == (4, 3, 1)
    assert bolus.kappa == 1
    # Drawn by one reader, empty for the other: no overlap, and no contour to measure to. Edited is not finished.
    assert (pharynx.compared, pharynx.only_first, pharynx.dice, pharynx.hd95) == (3, 3, 0, None)
    assert [(row.dice_frames, row.hd95_frames) for row in result.structures] == [(3, 3), (3, 0), (0, 0)]
    assert (result.mean.dice_frames, result.mean.hd95_frames) == (6, 3)
    # "Not visible" states nothing about pixels.
    assert (mandible.compared, mandible.dice, mandible.only_first, mandible.both_absent) == (4, None, 3, 1)
    assert mandible.not_visible == (1, 4)
    assert result.mean.dice == pytest.approx(dice(A, B) / 2)
    assert result.mean.compared == 11
    worst = result.worst
    assert [comparison.differs for comparison in worst] == [True] * 6 + [False] * 3
    assert all(comparison.structure == "bolus" for comparison in worst[6:])


def test_changes_after_finishing_are_ignored(study: tuple[Project, Reading]) -> None:
    project, reading = finished(study)
    before = agree(project, reading)
    for record in project.clips():
        annotate(project, record.id, 0, {"bolus": B, "pharynx": EMPTY}, author="Ada")
    assert agree(project, reading).to_dict() == before.to_dict()


def test_it_can_be_cancelled_and_needs_frames_to_compare(study: tuple[Project, Reading], tmp_path: Path) -> None:
    project, reading = finished(study)
    seen: list[tuple[int, int]] = []

    def stop(done: int, total: int) -> bool:
        seen.append((done, total))
        return done < 2

    assert agree(project, reading, progress=stop) is None
    assert seen == [(1, 4), (2, 4)]
    empty = create_reading(project, "Cleo")
    finish_reading(empty.folder)
    with pytest.raises(ProjectError, match="no structure is accepted"):
        agree(project, finish_first(project, empty))


def comparison_of(patient: str, clip: str, frame: int, overlap: float, structure: str = "bolus") -> Comparison:
    return Comparison(clip, clip, patient, frame, structure, ACCEPTED, ACCEPTED, (True, True), overlap, 1.0)


def test_intervals_are_over_patients_then_clips_then_frames() -> None:
    dices = [0.9, 0.8, 0.7, 0.6]
    by_patient = summarise([comparison_of(f"p{i}", f"c{i}", 0, d) for i, d in enumerate(dices)], ["bolus"])
    by_clip = summarise([comparison_of("p", f"c{i}", 0, d) for i, d in enumerate(dices)], ["bolus"])
    by_frame = summarise([comparison_of("p", "c", i, d) for i, d in enumerate(dices)], ["bolus"])
    assert [agreement.unit for agreement in (by_patient, by_clip, by_frame)] == ["patients", "clips", "frames"]
    for agreement in (by_patient, by_clip, by_frame):
        low, high = agreement.structures[0].dice_interval
        assert 0.6 <= low < 0.75 < high <= 0.9
    # All frames of one patient come and go together: many frames of few patients give no narrow interval.
    many = [comparison_of(f"p{i}", f"c{i}", t, d) for i, d in enumerate(dices) for t in range(50)]
    wide, narrow = (np.subtract(*s.structures[0].dice_interval[::-1]) for s in (by_patient, summarise(many, ["bolus"])))
    assert narrow == pytest.approx(wide)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_the_interval_lies_among_the_values_and_is_the_same_each_time(values: list[float]) -> None:
    comparisons = [comparison_of(f"p{i}", f"c{i}", 0, value) for i, value in enumerate(values)]
    row = summarise(comparisons, ["bolus", "pharynx"]).structures[0]
    low, high = row.dice_interval
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9
    assert summarise(comparisons, ["bolus", "pharynx"]).structures[0] == row


def test_kappa_of_known_tables() -> None:
    assert cohen_kappa(20, 5, 10, 15) == pytest.approx(0.4)  # the textbook's 50 proposals
    assert cohen_kappa(10, 0, 0, 10) == 1
    assert cohen_kappa(5, 5, 5, 5) == pytest.approx(0)
    assert cohen_kappa(0, 3, 3, 0) == pytest.approx(-1)
    assert cohen_kappa(7, 0, 0, 0) is None
    assert cohen_kappa(0, 0, 0, 0) is None


@given(st.tuples(*[st.integers(0, 40)] * 4))
def test_kappa_is_symmetric_and_at_most_one(table: tuple[int, int, int, int]) -> None:
    both, first, second, neither = table
    value = cohen_kappa(*table)
    assert value == cohen_kappa(both, second, first, neither) or math.isclose(
        value, cohen_kappa(both, second, first, neither)
    )
    if value is not None:
        assert -1 - 1e-9 <= value <= 1 + 1e-9
        assert math.isclose(value, cohen_kappa(neither, first, second, both), abs_tol=1e-9)


def test_files_and_the_command_line(study: tuple[Project, Reading], tmp_path: Path) -> None:
    project, reading = finished(study)
    result = agree(project, reading)
    out = tmp_path / "agreement.json"
    done = CliRunner().invoke(app, ["agreement", str(project.folder), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "Bob" in done.output
    assert "3 patients" in done.output
    assert f"{dice(A, B):.3f}" in done.output
    assert json.loads(out.read_text("utf-8")) == result.to_dict()
    write_agreement(result, tmp_path / "agreement.csv")
    with (tmp_path / "agreement.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["structure"] for row in rows] == ["bolus", "pharynx", "mandible", "mean"]
    assert float(rows[0]["dice"]) == pytest.approx(dice(A, B))
    assert rows[1]["hd95_px"] == ""
    with pytest.raises(DatasetError):
        write_agreement(result, tmp_path / "nowhere" / "agreement.csv")
    assert CliRunner().invoke(app, ["agreement", str(project.folder), "--reading", "Zoe"]).exit_code == 1
    assert find_reading(project, "Bob") == reading


def test_evaluation_and_agreement_have_one_definition(tmp_path: Path) -> None:
    """The same pairs of masks give the same means, numbers of frames and counts in both."""
    frames = grey_frames(FRAMES, HEIGHT, WIDTH)
    pairs = [(A, B), (A, A), (A, None), (None, B), (None, None)]
    with Project.create(tmp_path / "project", THREE) as project:
        clip = project.add_clip(write_video(tmp_path / "a.mkv", frames), patient="a").id
        reading = create_reading(project, "Bob")
        with Project.open(reading.folder) as second:
            for t, (first, other) in enumerate(pairs):
                annotate(project, clip, t, {"bolus": EMPTY if first is None else first}, author="Ada")
                annotate(second, clip, t, {"bolus": EMPTY if other is None else other}, author="Bob")
        row = agree(*finished((project, reading))).structures[0]
        nothing = np.zeros((HEIGHT, WIDTH), np.bool_)
        answers = {t: np.stack([nothing if b is None else b, nothing, nothing]) for t, (_, b) in enumerate(pairs)}
        scores = evaluate(project, PrescribedStudent(frames, answers))["structures"]["bolus"]
    assert (scores["dice"], scores["planes"]) == (pytest.approx(row.dice), row.dice_frames)
    assert (scores["hd95"], scores["distances"]) == (pytest.approx(row.hd95), row.hd95_frames)
    assert row.hd95 == pytest.approx(hd95(A, B) / 2)
    assert (scores["missed"], scores["false"], scores["both_empty"]) == (
        row.only_first,
        row.only_second,
        row.both_absent,
    )


def test_distances_are_as_wide_as_the_pixels(tmp_path: Path) -> None:
    """Masks three columns apart whose pixels are twice as wide as high are up to six heights of a pixel apart."""
    expected = hd95(A, B, (1.0, 2.0))
    assert hd95(A, B) == 3.0 < expected <= 6.0
    with Project.create(tmp_path / "project", THREE) as project:
        video = write_video(tmp_path / "wide.mp4", grey_frames(1, HEIGHT, WIDTH), aspect=Fraction(2))
        clip = project.add_clip(video, patient="one").id
        reading = create_reading(project, "Bob")
        with Project.open(reading.folder) as second:
            annotate(project, clip, 0, {"bolus": A}, author="Ada")
            annotate(second, clip, 0, {"bolus": B}, author="Bob")
        finish_first(project, reading)
        agreement = agree(project, finish_reading(reading.folder))
        assert agreement is not None
        assert next(row for row in agreement.structures if row.key == "bolus").hd95 == expected
        with project.open_clip(clip) as opened:
            student = PrescribedStudent(np.stack([opened.as_uint8(0)]), {0: np.stack([B, B, B])})
        assert evaluate(project, student)["structures"]["bolus"]["hd95"] == expected


def test_a_damaged_mask_is_left_out_of_the_comparison_and_named(study: tuple[Project, Reading]) -> None:
    project, reading = finished(study)
    with contextlib.closing(sqlite3.connect(project.folder / "vfss.sqlite")) as connection, connection:
        connection.execute("DROP TRIGGER revisions_stay")
        connection.execute("UPDATE revisions SET mask = x'00' WHERE structure = 'pharynx' AND frame = 0 AND id < 4")
    figures = agree(project, reading)
    assert figures is not None
    assert len(figures.left_out) == 1 and "0.mkv, frame 0, pharynx: " in figures.left_out[0]
    assert "1 damaged mask was left out: 0.mkv, frame 0, pharynx" in figures.summary
    result = CliRunner().invoke(app, ["agreement", str(project.folder)])
    assert result.exit_code == LEFT_OUT and "damaged" in result.stderr
