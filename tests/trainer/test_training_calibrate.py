# SPDX-License-Identifier: Apache-2.0
"""`vfss-train calibrate`: one command writes a calibration into a student's file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from small_student import small_checkpoint
from vfss.student import load_checkpoint
from vfss.student.openvino_runtime import has_bf16
from vfss_training.cli.app import application
from vfss_training.evaluation import calibrate


@pytest.fixture
def phantoms(monkeypatch):
    """Replace phantom frames by cheap ones; return the list of seeds and styles drawn."""
    drawn = []

    def draw(seed, size, style):
        drawn.append((seed, style))
        random = np.random.default_rng(seed)
        planes = np.zeros((12, 96, 96), np.bool_)
        planes[:, 20:70, 20:70] = True
        return random.integers(0, 255, (96, 96), np.uint8), planes, np.ones(12, np.bool_)

    monkeypatch.setattr(calibrate, "draw_phantom", draw)
    return drawn


def test_one_command_calibrates_a_file(tmp_path, phantoms):
    before = small_checkpoint().save(tmp_path / "student.safetensors")
    done = CliRunner().invoke(application, ["calibrate", str(before.path), "--frames", "8", "--threads", "1"])
    assert done.exit_code == 0, done.output
    after = load_checkpoint(before.path)
    assert after.id in done.output
    measured = after.calibration.measured
    assert measured["frames"] == 8
    assert measured["expected_error_after"] <= measured["expected_error_before"]
    assert set(after.precision) == ({"bf16"} if has_bf16() else set())
    assert [seed for seed, _ in phantoms] == list(range(calibrate.FIRST_SEED, calibrate.FIRST_SEED + 8))
    assert {style for _, style in phantoms} > set(calibrate.COMMON)
    # A second measurement ignores the calibration that the file has by now.
    second = calibrate.measure(after, first_seed=calibrate.FIRST_SEED, frames=2, threads=1)
    first = calibrate.measure(before, first_seed=calibrate.FIRST_SEED, frames=2, threads=1)
    assert np.array_equal(second.confidence, first.confidence)


def test_what_a_file_says_of_precisions_is_kept(tmp_path, phantoms):
    path = tmp_path / "student.safetensors"
    replace(small_checkpoint(), precision={"bf16": 0.75}).save(path)
    assert calibrate.calibrate_file(path, frames=8, threads=1).precision == {"bf16": 0.75}


def test_with_an_output_file_the_input_is_unchanged(tmp_path, phantoms):
    path = tmp_path / "student.safetensors"
    before = small_checkpoint().save(path)
    out = tmp_path / "other.safetensors"
    done = CliRunner().invoke(application, ["calibrate", str(path), "--out", str(out), "--frames", "8"])
    assert done.exit_code == 0, done.output
    assert load_checkpoint(path).id == before.id
    assert load_checkpoint(out).calibration is not None


def test_a_missing_student_is_reported(tmp_path):
    done = CliRunner().invoke(application, ["calibrate", str(tmp_path / "none.safetensors")])
    assert done.exit_code != 0
    assert "no such student file" in done.output


def test_seeds_of_fitting_and_testing_do_not_overlap():
    assert calibrate.FIRST_SEED + calibrate.FRAMES <= calibrate.TEST_SEED
    assert min(calibrate.FIRST_SEED, calibrate.TEST_SEED) > 131_000
