# SPDX-License-Identifier: Apache-2.0
"""`vfss-train export`: a file of an earlier version gets graphs of this one, and stays the same student."""

from __future__ import annotations

import importlib.util
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from small_student import CONFIG, disc_frame, small_checkpoint
from vfss.student import load_checkpoint, load_student
from vfss.student.calibration import Calibration
from vfss.student.mirror_policy import MirrorPolicy
from vfss.student.openvino_runtime import has_bf16
from vfss_training.cli.app import application
from vfss_training.studies import export_again


@pytest.fixture(autouse=True)
def cheap_phantoms(monkeypatch):
    monkeypatch.setattr(
        export_again, "draw_phantom", lambda seed, size, style: (disc_frame(size, size, seed), None, None)
    )


def test_one_command_exports_a_student_again(tmp_path):
    old = replace(
        small_checkpoint(config=replace(CONFIG, mirrored=True)),
        mirror=None,
        scores={"mean_dice": 0.5},
        calibration=Calibration({"bolus": ((0.0, 0.1), (1.0, 0.9))}),
        learnt={"bolus": 3, "c2": 0},
    ).save(tmp_path / "old.safetensors")
    out = tmp_path / "new.safetensors"
    done = CliRunner().invoke(application, ["export", str(old.path), "--out", str(out)])
    assert done.exit_code == 0, done.output
    new = load_checkpoint(out)
    assert new.id in done.output and new.id != old.id
    assert new.mirror == MirrorPolicy()
    assert set(new.precision) == ({"bf16"} if has_bf16() else set())
    assert (new.scores, new.calibration, new.learnt, new.provenance) == (
        old.scores,
        old.calibration,
        old.learnt,
        old.provenance,
    )
    assert all(np.array_equal(new.tensors[name], tensor) for name, tensor in old.tensors.items())
    frame = disc_frame(64, 64)[None]
    (graph,), (torch,) = (load_student(out, device, mirror="never").propose(frame) for device in ("cpu", "cpu-torch"))
    assert np.mean(graph.masks.planes == torch.masks.planes) > 0.995


def test_int8_stays_or_is_made_where_nncf_is_installed(tmp_path):
    old = replace(small_checkpoint(), int8=b"kept", precision={"int8": 0.999}).save(tmp_path / "a.safetensors")
    done = CliRunner().invoke(application, ["export", str(old.path), "--out", str(tmp_path / "b.safetensors")])
    assert done.exit_code == 0, done.output
    new = load_checkpoint(tmp_path / "b.safetensors")
    assert (new.int8, new.precision["int8"]) == (b"kept", 0.999)
    out = tmp_path / "c.safetensors"
    done = CliRunner().invoke(application, ["export", str(old.path), "--int8", "--out", str(out)])
    if importlib.util.find_spec("nncf") is None:
        assert done.exit_code != 0 and "napari-vfss[int8]" in done.output
        assert not out.exists()
    else:
        assert 0.9 < load_checkpoint(out).precision["int8"] <= 1.0


def test_a_person_says_where_mirror_images_are_computed(tmp_path):
    path = small_checkpoint(config=replace(CONFIG, mirrored=True)).save(tmp_path / "student.safetensors").path
    for when in ("never", "always"):
        done = CliRunner().invoke(application, ["export", str(path), "--mirror", when])
        assert done.exit_code == 0, done.output
        assert load_checkpoint(path).mirror.when == when
    assert CliRunner().invoke(application, ["export", str(path), "--mirror", "perhaps"]).exit_code != 0
