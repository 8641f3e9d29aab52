# SPDX-License-Identifier: Apache-2.0
"""`vfss-train average`: the mean of two students is scored and records its parents."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from small_student import CONFIG, disc_frame, small_checkpoint
from vfss.errors import TrainingError
from vfss.student import load_checkpoint, load_student
from vfss.student.mirror_policy import MirrorPolicy
from vfss.student.openvino_runtime import has_bf16
from vfss_training.cli.app import application
from vfss_training.evaluation import averaging
from vfss_training.evaluation.averaging import average_weights


def test_one_command_averages_two_files(tmp_path, monkeypatch):
    def score(student, recipe):
        assert np.isfinite(student.propose(disc_frame(64, 64)[None])[0].confidence).all()
        return {"mean_dice": 0.5, "styles": {"standard": {"mean_dice": 0.5}}, "held_out": recipe.name}

    def draw(seed, size, style):
        return disc_frame(size, size, seed), None, None

    monkeypatch.setattr(averaging, "score_on_phantoms", score)
    monkeypatch.setattr(averaging, "draw_phantom", draw)
    parent = small_checkpoint().save(tmp_path / "parent.safetensors")
    child = small_checkpoint(seed=1).save(tmp_path / "child.safetensors")
    out = tmp_path / "mean.safetensors"
    arguments = ["average", str(parent.path), str(child.path), "--out", str(out), "--share", "0.25"]
    done = CliRunner().invoke(application, arguments)
    assert done.exit_code == 0, done.output
    mean = load_checkpoint(out)
    assert mean.id in done.output
    assert mean.provenance["average_of"] == {parent.id: 0.75, child.id: 0.25}
    assert mean.scores["mean_dice"] == 0.5
    for name, tensor in mean.tensors.items():
        expected = 0.75 * parent.tensors[name].astype(np.float32) + 0.25 * child.tensors[name].astype(np.float32)
        np.testing.assert_allclose(tensor.astype(np.float32), expected, rtol=2e-3, atol=1e-4, err_msg=name)
    # Its weights are others than its parents', so its precisions are measured anew.
    assert set(mean.precision) == ({"bf16"} if has_bf16() else set())
    # The graph that runs on a CPU is that of the mean, too.
    frame = disc_frame(64, 64)[None]
    graph, torch = (load_student(out, device).propose(frame)[0] for device in ("cpu", "cpu-torch"))
    assert np.mean(graph.masks.planes == torch.masks.planes) > 0.995


def test_students_of_other_architectures_and_invalid_shares_are_refused():
    checkpoint = small_checkpoint()
    with pytest.raises(TrainingError, match="differ in architecture"):
        average_weights(checkpoint, small_checkpoint(config=replace(CONFIG, width=48)), 0.5)
    for share in (0.0, 1.0, -1.0):
        with pytest.raises(TrainingError, match="no mean"):
            average_weights(checkpoint, checkpoint, share)


def test_the_mean_of_a_student_with_itself_is_itself():
    checkpoint = small_checkpoint()
    mean = average_weights(checkpoint, checkpoint, 0.5)
    assert all(np.array_equal(mean.tensors[name], tensor) for name, tensor in checkpoint.tensors.items())


def test_the_mean_of_mirrored_students_is_mirrored_where_the_child_is():
    mirrored = replace(CONFIG, mirrored=True)
    parent, child = (small_checkpoint(config=mirrored, seed=seed) for seed in (0, 1))
    child = replace(child, mirror=MirrorPolicy("never"))
    assert average_weights(parent, child, 0.5).mirror == MirrorPolicy("never")
