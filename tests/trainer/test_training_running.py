# SPDX-License-Identifier: Apache-2.0
"""Distributed and resumed training: several processes give the same numbers as one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
import yaml
from typer.testing import CliRunner

from shared_run import train
from small_student import CONFIG
from vfss.errors import TrainingError
from vfss_training.cli.app import application
from vfss_training.loop.distributed import processes, shared_norms

LONGEST_S = 600
"""Time limit of a run that takes seconds, for a busy machine."""
RUN = """
import sys, torch
torch.set_num_threads(1)
sys.path.insert(0, {tests!r})
from shared_run import check_odd_batch_is_refused, train
check_odd_batch_is_refused()
loop, weights, losses = train()
if loop.leads:
    torch.save(dict(weights=weights, losses=losses), {out!r})
"""


def test_two_processes_give_the_same_weights_as_one(tmp_path: Path) -> None:
    script, out = tmp_path / "run.py", tmp_path / "two.pt"
    script.write_text(RUN.format(tests=str(Path(__file__).parents[1] / "support"), out=str(out)))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=LONGEST_S, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (_, one, losses), two = train(), torch.load(out, weights_only=True)
    assert len(losses) == 4
    assert two["losses"] == pytest.approx(losses, rel=1e-3)
    assert any("running_mean" in name for name in one)
    # The sign of a gradient near 0 is not reliable, and Adam's first steps depend on the sign alone.
    apart = torch.cat([(two["weights"][name].float() - tensor.float()).abs().flatten() for name, tensor in one.items()])
    assert apart.mean() < 1e-5
    assert (apart > 2e-4).float().mean() < 1e-3


def test_processes_started_by_torchrun_or_slurm_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TORCHELASTIC_RUN_ID", "SLURM_NTASKS", "SLURM_JOB_NAME", "SLURM_NTASKS_PER_NODE"):
        monkeypatch.delenv(name, raising=False)
    assert processes() == (1, 1)
    with monkeypatch.context() as torchrun:
        torchrun.setenv("TORCHELASTIC_RUN_ID", "one")
        assert processes({"LOCAL_WORLD_SIZE": "4", "WORLD_SIZE": "8"}) == (4, 2)
    monkeypatch.setenv("SLURM_NTASKS", "24")
    assert processes({"SLURM_NTASKS_PER_NODE": "8", "SLURM_NNODES": "3"}) == (8, 3)
    with pytest.raises(TrainingError, match="ntasks-per-node"):
        processes({})


def test_batch_norms_are_restored_afterwards() -> None:
    network = torch.nn.Sequential(torch.nn.BatchNorm2d(3))
    with shared_norms(network, active=True):
        assert type(network[0]) is not torch.nn.BatchNorm2d
    assert type(network[0]) is torch.nn.BatchNorm2d


def test_a_killed_run_resumes_with_the_same_curve(tmp_path: Path, trainer: list[str]) -> None:
    recipe = tmp_path / "recipe.yaml"
    settings = {
        "name": "killed",
        "student": asdict(CONFIG),
        "phantom_frames": 6,
        "steps": 40,
        "validate_steps": 3,
        "batch": 2,
    }
    held_out = {"standard": {"weight": 1.0, "first_seed": 95_000, "frames": 1}}
    recipe.write_text(yaml.safe_dump(settings | {"held_out": held_out}))
    cache = ["--cache", str(tmp_path / "cache"), "--workers", "0", "--threads", "1", "--events", "-"]

    def command(name: str) -> list[str]:
        out = ["--out", str(tmp_path / f"{name}.safetensors"), "--run", str(tmp_path / name)]
        return ["fit", "--phantom", "--recipe", str(recipe), *out, *cache]

    def curve(text: str) -> dict[tuple[str, int], float]:
        events = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
        fields = {"step": "loss", "validation": "mean_dice"}
        return {(one["event"], one["step"]): one[fields[one["event"]]] for one in events if one["event"] in fields}

    uninterrupted = CliRunner().invoke(application, command("uninterrupted"))
    assert uninterrupted.exit_code == 0, uninterrupted.output
    process = subprocess.Popen([*trainer, *command("killed")], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if '"validation"' in line and json.loads(line)["step"] >= 6:
            process.kill()
            break
    process.stdout.read()  # the pipe ends when every process that writes to it has ended
    process.stdout.close()
    assert process.wait() == -signal.SIGKILL
    second = CliRunner().invoke(application, command("killed"))
    assert second.exit_code == 0, second.output
    assert '"resume"' in second.stdout
    resumed, expected = curve(second.stdout), curve(uninterrupted.stdout)
    validated = {key for key in expected if key[0] == "validation" and key[1] > 6}
    assert validated <= set(resumed)
    for key in set(resumed) & set(expected):
        assert resumed[key] == pytest.approx(expected[key], abs=1e-4), key
