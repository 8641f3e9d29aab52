# SPDX-License-Identifier: Apache-2.0
"""Calibration: curves that fit, rise and stay in 0..1; in the student's file, where old files have none."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from small_student import disc_frame, small_checkpoint
from vfss.errors import StudentError
from vfss.student import Student, load_checkpoint
from vfss.student.calibration import Calibration, expected_error, fit_calibration
from vfss.student.openvino_runtime import OpenVinoRuntime


def overconfident(n=400, seed=0):
    """A student that overestimates structure a and is right on b: estimated, true (N, 2)."""
    random = np.random.default_rng(seed)
    estimated = random.uniform(0.3, 1.0, (n, 2))
    true = np.clip(np.stack([estimated[:, 0] - 0.25, estimated[:, 1]], axis=1) + random.normal(0, 0.05, (n, 2)), 0, 1)
    return estimated, true


def test_an_overconfident_student_is_calibrated_on_new_masks():
    calibration = fit_calibration(*overconfident(), ("a", "b"))
    estimated, true = overconfident(seed=1)
    calibrated = calibration.apply(estimated.astype(np.float32), ("a", "b"))
    assert expected_error(estimated[:, 0], true[:, 0]) > 0.2
    assert expected_error(calibrated[:, 0].astype(float), true[:, 0]) < 0.03
    assert expected_error(calibrated[:, 1].astype(float), true[:, 1]) < 0.03


@settings(deadline=None, max_examples=30)
@given(data=st.data(), n=st.integers(0, 30))
def test_curves_rise_and_stay_in_range_for_any_measurements(data, n):
    values = st.floats(0, 1) | st.just(float("nan"))
    estimated, true = (
        np.array(data.draw(st.lists(st.lists(values, min_size=2, max_size=2), min_size=n, max_size=n))).reshape(n, 2)
        for _ in range(2)
    )
    calibration = fit_calibration(estimated, true, ("a", "b"))
    assert Calibration.from_dict(json.loads(json.dumps(calibration.to_dict()))) == calibration
    line = calibration.apply(np.linspace(0, 1, 50, dtype=np.float32)[:, None].repeat(2, axis=1), ("a", "b"))
    assert (np.diff(line, axis=0) >= 0).all()
    assert line.min() >= 0
    assert line.max() <= 1


def test_where_little_was_measured_estimates_are_kept():
    estimated, true = np.array([[0.9]]), np.array([[0.2]])
    curve = fit_calibration(estimated, true, ("a",))
    assert curve.apply(np.array([0.3], np.float32), ("a",))[0] == pytest.approx(0.3, abs=0.05)
    assert curve.apply(np.array([0.9], np.float32), ("a",))[0] > 0.6


def test_what_is_unknown_stays_unknown_and_other_structures_as_they_are():
    calibration = Calibration({"a": ((0.0, 0.0), (1.0, 0.5))})
    calibrated = calibration.apply(np.array([np.nan, 0.8, 0.8], np.float32), ("a", "b", "a"))
    assert np.isnan(calibrated[0])
    assert calibrated[1:] == pytest.approx([0.8, 0.4])


@pytest.mark.parametrize(
    "points", [[[0, 0.5], [1, 0.4]], [[0, 0], [0, 1]], [[0, 0], [1, 1.2]], [], [[0, float("nan")]], "x", [[1]]]
)
def test_a_malformed_curve_is_refused(points):
    with pytest.raises(StudentError, match="Calibrate"):
        Calibration.from_dict({"curves": {"a": points}})


def test_it_is_stored_in_the_students_file_and_applied(tmp_path):
    bare = small_checkpoint().save(tmp_path / "bare.safetensors")
    assert bare.calibration is None
    halved = Calibration({key: ((0.0, 0.0), (1.0, 0.5)) for key in bare.schema.keys}, {"frames": 3})
    saved = replace(bare, calibration=halved).save(tmp_path / "calibrated.safetensors")
    read = load_checkpoint(saved.path)
    assert read.calibration == halved
    assert read.id != bare.id  # its estimates differ
    frame = disc_frame(80, 60)
    estimated, calibrated = (
        Student(made, OpenVinoRuntime(made, cache=None, precision="f32")).propose(frame[None])[0].confidence
        for made in (bare, read)
    )
    assert np.allclose(calibrated, estimated / 2, atol=1e-6)


def test_a_file_without_one_keeps_its_id(tmp_path):
    saved = small_checkpoint().save(tmp_path / "a.safetensors")
    calibrated = replace(saved, calibration=Calibration({})).save(tmp_path / "b.safetensors")
    assert replace(calibrated, calibration=None).save(tmp_path / "c.safetensors").id == saved.id


def test_the_expected_error_is_the_mean_distance_by_masks():
    assert expected_error(np.array([0.95, 0.95, 0.15]), np.array([1.0, 0.8, 0.15])) == pytest.approx(0.1 / 3)
    assert np.isnan(expected_error(np.array([np.nan]), np.array([0.5])))
