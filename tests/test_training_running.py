# SPDX-License-Identifier: Apache-2.0
"""Several processes learn what one would: the same batches, shared, and the same numbers."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_training import RECIPE, task

import vfss_training.running
from vfss.errors import TrainingError
from vfss_training.events import Cancel, Events
from vfss_training.loop import Loop
from vfss_training.running import processes, shared_norms

LONGEST_S = 600
"""Bound of a run of seconds, for a machine that does much else."""
RUN = """
import sys, torch
torch.set_num_threads(1)
sys.path.insert(0, {tests!r})
from test_training_running import refuses_an_odd_batch, trained
refuses_an_odd_batch()
loop, weights, losses = trained()
if loop.leads:
    torch.save(dict(weights=weights, losses=losses), {out!r})
"""


def trained(batch: int = 4) -> tuple[Loop, dict[str, torch.Tensor], list[float]]:
    """A short run, batch normalisation included: its loop, weights, and loss of each step."""
    recipe = replace(RECIPE, steps=4, batch=batch, learning_rate=1e-3, frozen_norm=False, clip_norm=0.5)
    loop, losses = Loop(task(recipe=recipe), Events(None), Cancel()), []
    learn = loop._learn

    def learning(*parts: object) -> dict[str, float]:
        losses.append(learn(*parts)["loss"])
        return {"loss": losses[-1]}

    loop._learn = learning
    network = loop.run()
    return loop, network.state_dict(), losses


def refuses_an_odd_batch() -> None:
    """Asked in each of two processes."""
    with pytest.raises(TrainingError, match="cannot be shared by 2 processes"):
        trained(3)


def test_two_processes_learn_what_one_does(tmp_path: Path) -> None:
    script, out = tmp_path / "run.py", tmp_path / "two.pt"
    script.write_text(RUN.format(tests=str(Path(__file__).parent), out=str(out)))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=LONGEST_S, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (_, one, losses), two = trained(), torch.load(out, weights_only=True)
    assert len(losses) == 4
    assert two["losses"] == pytest.approx(losses, rel=1e-3)
    assert any("running_mean" in name for name in one)
    # A gradient that is nearly 0 has no sign to rely on, and Adam's first steps follow the sign alone.
    apart = torch.cat([(two["weights"][name].float() - tensor.float()).abs().flatten() for name, tensor in one.items()])
    assert apart.mean() < 1e-5
    assert (apart > 2e-4).float().mean() < 1e-3


def test_who_started_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    assert processes() == (1, 1)
    torchrun, slurm = vfss_training.running.TorchElasticEnvironment, vfss_training.running.SLURMEnvironment
    monkeypatch.setattr(torchrun, "detect", staticmethod(lambda: True))
    assert processes({"LOCAL_WORLD_SIZE": "4", "WORLD_SIZE": "8"}) == (4, 2)
    monkeypatch.setattr(torchrun, "detect", staticmethod(lambda: False))
    monkeypatch.setattr(slurm, "detect", staticmethod(lambda: True))
    assert processes({"SLURM_NTASKS_PER_NODE": "8", "SLURM_NNODES": "3"}) == (8, 3)
    with pytest.raises(TrainingError, match="ntasks-per-node"):
        processes({})


def test_norms_are_themselves_again_afterwards() -> None:
    network = torch.nn.Sequential(torch.nn.BatchNorm2d(3))
    with shared_norms(network, active=True):
        assert type(network[0]) is not torch.nn.BatchNorm2d
    assert type(network[0]) is torch.nn.BatchNorm2d
