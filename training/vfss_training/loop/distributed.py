# SPDX-License-Identifier: Apache-2.0
"""Where a training runs: one process, or several that torchrun or Slurm started, each with its share of every batch."""

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
    """Processes on this machine, and machines, as torchrun or Slurm say; (1, 1) where neither started this one.

    Raises:
        TrainingError: Slurm does not say how many tasks a machine has.
    """
    if TorchElasticEnvironment.detect():
        local = int(environment["LOCAL_WORLD_SIZE"])
        return local, int(environment["WORLD_SIZE"]) // local
    if SLURMEnvironment.detect():
        if "SLURM_NTASKS_PER_NODE" not in environment:
            raise TrainingError("Slurm tells no number of tasks per node", remedy="Give srun --ntasks-per-node.")
        return int(environment["SLURM_NTASKS_PER_NODE"]), int(environment.get("SLURM_NNODES", "1"))
    return 1, 1


def launched() -> Fabric:
    """Fabric for this process: the device, its precision, and the other processes where there are any."""
    local, machines = processes()
    several = local * machines > 1
    # The prompts' weights have no gradient where nobody clicks.
    strategy = DDPStrategy(find_unused_parameters=True) if several else "auto"
    fabric = Fabric(accelerator="auto", devices=local, num_nodes=machines, strategy=strategy, precision=_precision())
    fabric.launch()
    return fabric


def leads() -> bool:
    """Whether this process is the one that tells, validates and writes; asked before a Fabric is there too."""
    local, machines = processes()
    return local * machines == 1 or int(os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0"))) == 0


def all_reduce_sum(fabric: Fabric, value: Tensor) -> Tensor:
    """Sum of a scalar over all processes, without gradient."""
    if fabric.world_size == 1:
        return value.detach()
    summed = value.detach().clone()
    torch.distributed.all_reduce(summed)
    return summed


def all_reduce_max(fabric: Fabric, *values: float) -> tuple[float, ...]:
    """The largest of each value over all processes, so that all of them decide alike."""
    if fabric.world_size == 1:
        return values
    largest = torch.tensor(values, dtype=torch.float64, device=fabric.device if fabric.device.type == "cuda" else "cpu")
    torch.distributed.all_reduce(largest, torch.distributed.ReduceOp.MAX)
    return tuple(largest.tolist())


def mean_gradients(fabric: Fabric, module: nn.Module) -> None:
    """Give a small module that Fabric does not wrap the mean of all processes' gradients."""
    if fabric.world_size == 1:
        return
    for weight in module.parameters():
        gradient = torch.zeros_like(weight) if weight.grad is None else weight.grad
        torch.distributed.all_reduce(gradient)
        weight.grad = gradient / fabric.world_size


class _Summed(torch.autograd.Function):
    """Sum over all processes; the gradient is summed as well."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        """Sum of values, float (n,)."""
        summed = values.clone()
        torch.distributed.all_reduce(summed)
        return summed

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """Sum of the gradients, float (n,)."""
        return _Summed.forward(ctx, gradient)


class _Shared(nn.BatchNorm2d):
    """Batch normalisation over the batch of all processes together, also on a CPU, where torch has none."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalised input, float (N, C, h, w)."""
        if not self.training:
            return super().forward(input)
        values = input.float()
        count = torch.tensor([values.numel() / values.shape[1]], device=values.device)
        sums: Tensor = _Summed.apply(torch.cat([values.sum((0, 2, 3)), values.square().sum((0, 2, 3)), count]))
        n = sums[-1]
        mean = sums[: self.num_features] / n
        variance = (sums[self.num_features : -1] / n - mean.square()).clamp(min=0.0)
        self._follow(mean.detach(), variance.detach() * n / (n - 1).clamp(min=1.0))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        shape = (1, -1, 1, 1)
        return ((values - mean.reshape(shape)) * scale.reshape(shape) + self.bias.reshape(shape)).to(input.dtype)

    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean.detach(), self.momentum or 0.0)
        self.running_var.lerp_(variance.detach(), self.momentum or 0.0)


class _SharedAct(_Shared):
    """The same where timm keeps the activation in it."""

    act: nn.Module
    drop: nn.Module

    def forward(self, input: Tensor) -> Tensor:
        """Normalised and activated input, float (N, C, h, w)."""
        found: Tensor = self.act(self.drop(super().forward(input)))
        return found


_SHARED: dict[type[nn.Module], type[nn.Module]] = {nn.BatchNorm2d: _Shared, BatchNormAct2d: _SharedAct}


@contextmanager
def shared_norms(network: nn.Module, *, active: bool) -> Iterator[None]:
    """Let batch normalisation see all processes' batches as long as the block lasts: the same numbers as in one."""
    found = [module for module in network.modules() if active and type(module) in _SHARED]
    kinds = [type(module) for module in found]
    for module in found:
        module.__class__ = _SHARED[type(module)]
    try:
        yield
    finally:
        for module, kind in zip(found, kinds, strict=True):
            module.__class__ = kind


def _precision() -> Any:
    """bf16 on a GPU, and on a CPU that multiplies it; else f32."""
    if torch.cuda.is_available():
        return "bf16-mixed"
    capable = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)()
    return "bf16-mixed" if capable else "32-true"
