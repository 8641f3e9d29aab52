# SPDX-License-Identifier: Apache-2.0
"""Case ids by a rule: what each rule finds, which is guessed, and what a clip gets of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest

from small_project import THREE, grey_frames, write_video
from vfss.errors import ProjectError
from vfss.phantom import Phantom, write_dicom
from vfss.project import Project
from vfss.project.case_rule import FIRST_PART, WHOLE, CaseRule, RecordingNames, guess_rule, recording_names


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.create(tmp_path / "project", THREE) as made:
        yield made


def film(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(exist_ok=True)
    return write_video(path, grey_frames(2, 16, 16, seed=seed))


@pytest.mark.parametrize(
    ("rule", "case"),
    [
        (CaseRule("file", FIRST_PART), "P01"),
        (CaseRule("file", r"_(\w+)_"), "thin"),
        (CaseRule("file", r"case-\d+"), None),
        (CaseRule("file", r"(x)?P01"), None),
        (CaseRule("folder"), "visit 2"),
        (CaseRule("dicom"), "4711"),
    ],
)
def test_a_rule_takes_a_part_of_a_name(rule: CaseRule, case: str | None) -> None:
    assert rule.case_of(RecordingNames("P01_thin_01", "visit 2", "4711")) == case


def test_a_recording_without_patient_id_has_no_case_by_it() -> None:
    assert CaseRule("dicom").case_of(RecordingNames("a", "b")) is None


def test_a_pattern_that_is_none_is_refused_in_plain_words() -> None:
    with pytest.raises(ProjectError, match="no regular expression"):
        CaseRule("file", "(P")


@pytest.mark.parametrize(
    ("recordings", "rule", "cases"),
    [
        ([("P01_thin_01", "study"), ("P01_thick", "study"), ("P02-thin", "study")], "file", ["P01", "P01", "P02"]),
        ([("film", "P01"), ("film2", "P01"), ("film", "P02")], "folder", ["P01", "P01", "P02"]),
        ([("film", "P01"), ("film", "P02")], "folder", ["P01", "P02"]),
        ([("swallow_01", "study"), ("swallow_02", "study")], "file", ["swallow_01", "swallow_02"]),
        ([("P07_thin", "study")], "file", ["P07"]),
    ],
)
def test_the_rule_that_fits_is_guessed(recordings: list[tuple[str, str]], rule: str, cases: list[str]) -> None:
    names = [RecordingNames(*name) for name in recordings]
    guessed = guess_rule(names)
    assert guessed.source == rule
    assert [guessed.case_of(name) for name in names] == cases


def test_patient_ids_come_first_where_all_recordings_have_one() -> None:
    names = [RecordingNames(f"P0{i // 2}_{i}", "study", f"id {i // 2}") for i in range(4)]
    assert guess_rule(names) == CaseRule("dicom")
    mixed = [*names, RecordingNames("P02_x", "study")]
    assert guess_rule(mixed).source == "file"
    anonymous = [RecordingNames(f"P0{i // 2}_{i}", "study", "ANONYMOUS") for i in range(4)]
    assert guess_rule(anonymous) == CaseRule("file", FIRST_PART)


def test_names_are_read_from_the_recording(tmp_path: Path) -> None:
    write_dicom(Phantom(3, n_frames=2, height=64, width=64), tmp_path / "a.dcm")
    dataset = pydicom.dcmread(tmp_path / "a.dcm")
    dataset.PatientID = " MRN 12 "
    dataset.save_as(tmp_path / "P01_b.dcm")
    assert recording_names(tmp_path / "P01_b.dcm") == RecordingNames("P01_b", tmp_path.name, "MRN 12")
    assert recording_names(film(tmp_path / "c.mkv")).dicom is None
    assert recording_names(tmp_path / "missing.dcm").dicom is None


def test_a_clip_gets_its_case_by_the_rule_of_the_project_and_a_person_confirms_it(
    project: Project, tmp_path: Path
) -> None:
    before = project.add_clip(film(tmp_path / "P01_a.mkv"))
    assert before.patient.startswith("patient-")
    project.choose_case_rule(CaseRule("file", FIRST_PART))
    with Project.open(project.folder) as again:
        assert again.case_rule() == CaseRule("file", FIRST_PART)
    added = project.add_clip(film(tmp_path / "P02_a.mkv", 1))
    assert (added.patient, added.case_confirmed) == ("P02", False)
    assert project.clip(before.id) == before  # the rule changes no clip that is there
    assert project.update_clip(added.id, facing="left").case_confirmed is False
    assert project.update_clip(added.id, patient="P02").case_confirmed is True
    assert project.add_clip(film(tmp_path / "P03.mkv", 2), patient="typed").case_confirmed is True


def test_a_recording_that_the_rule_does_not_fit_gets_a_case_from_its_content(project: Project, tmp_path: Path) -> None:
    project.choose_case_rule(CaseRule("dicom", WHOLE))
    added = project.add_clip(film(tmp_path / "P02_a.mkv"))
    assert (added.patient[:8], added.case_confirmed) == ("patient-", False)
