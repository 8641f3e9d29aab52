# SPDX-License-Identifier: Apache-2.0
"""Training in one process, or in several that torchrun or Slurm started, each with its share of every batch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from lightning.fabric import Fabric
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.fabric.strategies.ddp import DDPStrategy
from timm.layers import BatchNormAct2d
from torch import Tensor, nn

from vfss.errors import TrainingError


def processes(environment: Mapping[str, str] = os.environ) -> tuple[int, int]:
    """Return the number of processes per machine and of machines, from torchrun or Slurm; (1, 1) without either.

    Raises:
        TrainingError: Slurm does not give the number of tasks per machine.
    """
    if TorchElasticEnvironment.detect():
        local = int(environment["LOCAL_WORLD_SIZE"])
        return local, int(environment["WORLD_SIZE"]) // local
    if SLURMEnvironment.detect():
        if "SLURM_NTASKS_PER_NODE" not in environment:
            raise TrainingError("Slurm gives no number of tasks per node", remedy="Give srun --ntasks-per-node.")
        return int(environment["SLURM_NTASKS_PER_NODE"]), int(environment.get("SLURM_NNODES", "1"))
    return 1, 1


def launched(precision: Any) -> Fabric:
    """Launch Fabric in this process: the device, a precision, and the other processes if there are any."""
    local, machines = processes()
    several = local * machines > 1
    # The weights for prompts have no gradient in batches without prompts.
    strategy = DDPStrategy(find_unused_parameters=True) if several else "auto"
    fabric = Fabric(accelerator="auto", devices=local, num_nodes=machines, strategy=strategy, precision=precision)
    fabric.launch()
    return fabric


def leads() -> bool:
    """True if this process is the one that reports, validates and writes; can be called before Fabric is launched."""
    local, machines = processes()
    return local * machines == 1 or int(os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0"))) == 0


def all_reduce_sum(fabric: Fabric, value: Tensor) -> Tensor:
    """Return the sum of a scalar over all processes, without gradient."""
    if fabric.world_size == 1:
        return value.detach()
    summed = value.detach().clone()
    torch.distributed.all_reduce(summed)
    return summed


def all_reduce_max(fabric: Fabric, *values: float) -> tuple[float, ...]:
    """Return the largest of each value over all processes, so that all of them decide alike."""
    if fabric.world_size == 1:
        return values
    largest = torch.tensor(values, dtype=torch.float64, device=fabric.device if fabric.device.type == "cuda" else "cpu")
    torch.distributed.all_reduce(largest, torch.distributed.ReduceOp.MAX)
    return tuple(largest.tolist())


def mean_gradients(fabric: Fabric, module: nn.Module) -> None:
    """Set the gradients of a small module that Fabric does not wrap to their mean over all processes."""
    if fabric.world_size == 1:
        return
    for weight in module.parameters():
        gradient = torch.zeros_like(weight) if weight.grad is None else weight.grad
        torch.distributed.all_reduce(gradient)
        weight.grad = gradient / fabric.world_size


class _AllReduceSum(torch.autograd.Function):
    """Sum over all processes; the gradient is summed as well."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        """Return the sum of values, float (n,)."""
        summed = values.clone()
        torch.distributed.all_reduce(summed)
        return summed

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """Return the sum of the gradients, float (n,)."""
        return _AllReduceSum.forward(ctx, gradient)


class _SyncBatchNorm(nn.BatchNorm2d):
    """Batch normalisation over the batches of all processes together; unlike torch's own it also works on a CPU."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the normalised input, float (N, C, h, w)."""
        if not self.training:
            return super().forward(input)
        values = input.float()
        count = torch.tensor([values.numel() / values.shape[1]], device=values.device)
        sums: Tensor = _AllReduceSum.apply(torch.cat([values.sum((0, 2, 3)), values.square().sum((0, 2, 3)), count]))
        n = sums[-1]
        mean = sums[: self.num_features] / n
        variance = (sums[self.num_features : -1] / n - mean.square()).clamp(min=0.0)
        self._update_statistics(mean.detach(), variance.detach() * n / (n - 1).clamp(min=1.0))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        shape = (1, -1, 1, 1)
        return ((values - mean.reshape(shape)) * scale.reshape(shape) + self.bias.reshape(shape)).to(input.dtype)

    def _update_statistics(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean.detach(), self.momentum or 0.0)
        self.running_var.lerp_(variance.detach(), self.momentum or 0.0)


class _SyncBatchNormAct(_SyncBatchNorm):
    """The same for timm's layer, which includes the activation."""

    act: nn.Module
    drop: nn.Module

    def forward(self, input: Tensor) -> Tensor:
        """Return the normalised and activated input, float (N, C, h, w)."""
        activated: Tensor = self.act(self.drop(super().forward(input)))
        return activated


_SYNCHRONISED: dict[type[nn.Module], type[nn.Module]] = {
    nn.BatchNorm2d: _SyncBatchNorm,
    BatchNormAct2d: _SyncBatchNormAct,
}


@contextmanager
def shared_norms(network: nn.Module, *, active: bool) -> Iterator[None]:
    """Normalise over the batches of all processes while the block runs, which gives the same numbers as one process."""
    norms = [module for module in network.modules() if active and type(module) in _SYNCHRONISED]
    kinds = [type(module) for module in norms]
    for module in norms:
        module.__class__ = _SYNCHRONISED[type(module)]
    try:
        yield
    finally:
        for module, kind in zip(norms, kinds, strict=True):
            module.__class__ = kind
