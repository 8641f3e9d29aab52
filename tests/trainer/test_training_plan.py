# SPDX-License-Identifier: Apache-2.0
"""Time plans: the duration of a training, measured before it starts."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

import vfss_training.studies.time_plan
from small_student import small_checkpoint
from vfss.phantom import write_phantom
from vfss_training.cli.app import application
from vfss_training.studies.time_plan import available_teachers
from vfss_training.teachers.table import teacher_named


class ZeroTeacher:
    def targets(self, frames: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(frames), 256, 64, 64)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write_phantom(tmp_path, clips=2, frames=3, seed=5, size=96)
    small_checkpoint().save(tmp_path / "small.safetensors")
    return tmp_path / "project"


def planned(project: Path, *arguments: str) -> list[dict[str, object]]:
    folder = project.parent
    command = [
        "plan",
        str(project),
        "--student",
        str(folder / "small.safetensors"),
        "--cache",
        str(folder),
        "--threads",
        "1",
    ]
    done = CliRunner().invoke(application, [*command, *arguments])
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_quick_and_distil_are_planned(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [teacher_named("mobile-sam"), teacher_named("lite-medsam")]
    monkeypatch.setattr(vfss_training.studies.time_plan, "available_teachers", lambda weights: entries)
    monkeypatch.setattr(vfss_training.studies.time_plan, "teacher_loader", lambda name, place: ZeroTeacher)
    events = planned(project)
    quick, distil = [event for event in events if event["event"] == "plan"]
    assert (quick["recipe"], quick["frames"], quick["held_out"], quick["teachers"]) == ("quick", 3, 3, [])
    assert [one["name"] for one in distil["teachers"]] == ["mobile-sam", "lite-medsam"]
    assert distil["teachers"][0]["bytes"] == 120 * 2 * 256 * 64**2, (
        "all frames are labelled: the targets are of phantom frames"
    )
    assert float(str(quick["seconds"])) < float(str(distil["seconds"]))
    measured = [event["what"] for event in events if event["event"] == "measuring"]
    assert {"step", "phantom frame", "frame of mobile-sam"} <= set(measured)
    again = planned(project)
    assert [event for event in again if event["event"] == "measuring"] == []
    assert again == [quick, distil]
    os.utime(project.parent / "speeds.json", (0, 0))
    assert any(event["event"] == "measuring" for event in planned(project, "--recipe", "quick"))


def test_only_files_with_the_right_hash_are_available(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert available_teachers(tmp_path) == []
    (tmp_path / "mobile_sam.pt").write_bytes(b"another file")
    assert available_teachers(tmp_path) == []
    monkeypatch.setenv("VFSS_TEACHERS", str(tmp_path))
    assert available_teachers(None) == []


def test_a_plan_is_one_line_in_a_terminal() -> None:
    from vfss_training.cli.student_commands import plan_text
    from vfss_training.studies.time_plan import Plan, TeacherPlan

    plan = Plan("distil", 600, 24, 120, 12, 1200.0, (TeacherPlan("mobile-sam", 300.0, 1, "Apache-2.0"),))
    assert plan_text(plan) == "distil: 24 labelled frames, 120 without labels, 20 min, +5 min with mobile-sam"
