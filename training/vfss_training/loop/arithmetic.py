# SPDX-License-Identifier: Apache-2.0
"""How a network's steps are computed: in bf16 or f32, and how its strided depthwise convolutions are.

Which is fastest depends on the processor and on torch: on an EPYC with AVX-512 BF16 a step of the shipped student takes
0.6 times as long in bf16; where bf16 is emulated it may be slower. A long run times the ways at its start.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, Literal

import torch

from vfss.errors import TrainingError
from vfss.plain_data import parse_json
from vfss.student.checkpoint import write_atomically
from vfss.student.config import StudentConfig
from vfss.student.network.student import StudentNetwork
from vfss_training.config.recipe import Recipe
from vfss_training.losses.masks import MaskLoss
from vfss_training.model.training_setup import fast_depthwise, freeze

PRECISION = "VFSS_TRAIN_PRECISION"
"""Environment variable that prescribes the precision, "bf16" or "f32", instead of choosing it."""
Precision = Literal["bf16", "f32"]
_PRECISIONS: tuple[Precision, ...] = ("bf16", "f32")
_FILE = "arithmetic.json"
_ROUNDS = 3  # timed ones, after one to warm up
_LARGEST_BATCH = 4
_LONGEST_S = 15.0
_LARGEST_SHARE = 0.03  # of a run, for timing


@dataclass(frozen=True)
class Arithmetic:
    """How the steps of a run are computed.

    Attributes:
        precision: "bf16", with weights and their updates in f32, or "f32".
        thinned: Strided depthwise convolutions compute every pixel and drop those in between; see fast_depthwise().
        why: Reason, as text.
        cpu_ms: CPU time of forward and backward pass, ms a picture, of each way that was timed; empty: none was.
    """

    # The names of these fields are keys in saved states and in a file of the cache.

    precision: Precision
    thinned: bool
    why: str
    cpu_ms: Mapping[str, float] = field(default_factory=dict)

    @property
    def fabric_precision(self) -> Any:
        """Return the precision under Fabric's name."""
        return "bf16-mixed" if self.precision == "bf16" else "32-true"

    @contextmanager
    def autocast(self, device: str) -> Iterator[None]:
        """Compute in this precision on a device while the block runs."""
        with torch.autocast(device, torch.bfloat16, enabled=self.precision == "bf16"):
            yield

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for an event, a state or the cache."""
        return asdict(self)


def usual_arithmetic() -> Arithmetic:
    """Return what is fastest on most machines like this one, without timing anything.

    Raises:
        TrainingError: The environment prescribes a precision that does not exist.
    """
    gpu = torch.cuda.is_available()
    on_cpu = not gpu and not torch.backends.mps.is_available()
    prescribed = _prescribed()
    if prescribed is not None:
        return Arithmetic(prescribed, on_cpu, f"prescribed by {PRECISION}")
    if gpu:
        return Arithmetic("bf16", thinned=False, why="usual on a GPU")
    if on_cpu and has_bf16_instructions():
        return Arithmetic("bf16", thinned=True, why="the processor has instructions for bf16")
    return Arithmetic("f32", on_cpu, "the processor has no instructions for bf16")


def chosen_arithmetic(
    network: StudentNetwork,
    config: StudentConfig,
    recipe: Recipe,
    *,
    cache: Path | None,
    minutes: float | None = None,
    may_time: bool = True,
    clock: Callable[[], float] = time.process_time,
) -> Arithmetic:
    """Choose how to compute the steps of a run: as prescribed, as timed before, timed now, or as usual.

    Only a CPU is timed, and only for a run that is long enough; the choice is kept in the cache for this machine, this
    version of torch and this network, so that shorter runs find it there.

    Args:
        network: The network; not changed.
        config: Config of the network.
        recipe: Training recipe: what stays fixed, batch, size and steps.
        cache: Folder to keep the choice in; None: it is not kept.
        minutes: Time limit of the run; None: none.
        may_time: False: nothing is timed now, as when several processes compete.
        clock: Gives the CPU time of this process, s: other work on a loaded machine does not decide.

    Raises:
        TrainingError: The environment prescribes a precision that does not exist.
    """
    usual = usual_arithmetic()
    if torch.cuda.is_available() or torch.backends.mps.is_available() or _prescribed() is not None:
        return usual
    key = _key(config, recipe)
    known = _cached(cache, key)
    if known is not None:
        return known
    rounds = len(_ways()) * (_ROUNDS + 1)
    shortest_s = _LONGEST_S / _LARGEST_SHARE
    if not may_time or recipe.steps * _LARGEST_SHARE < rounds or (minutes is not None and 60.0 * minutes < shortest_s):
        return usual
    cpu_ms = timed(network, recipe, clock=clock)
    precision, thinned = min(_ways(), key=lambda way: cpu_ms[_name(*way)])
    chosen = Arithmetic(precision, thinned, "the fastest of those that were timed", cpu_ms)
    _keep(cache, key, chosen)
    return chosen


def timed(
    network: StudentNetwork, recipe: Recipe, *, clock: Callable[[], float] = time.process_time
) -> dict[str, float]:
    """Return the CPU time of a step's forward and backward pass in each way, ms a picture, the least of several.

    Args:
        network: The network; not changed.
        recipe: Training recipe.
        clock: Gives the CPU time of this process, s.
    """
    step = _step(network, recipe)
    times: dict[str, list[float]] = {_name(*way): [] for way in _ways()}
    began = time.monotonic()
    with torch.random.fork_rng(devices=[]):
        for _ in range(_ROUNDS + 1):
            for way in _ways():
                started = clock()
                step(Arithmetic(*way, why=""))
                times[_name(*way)].append(clock() - started)
            if time.monotonic() - began > _LONGEST_S:
                break
    n = min(recipe.batch, _LARGEST_BATCH)
    # The first step of each way allocates and prepares: it counts only if time ran out after it.
    return {name: round(1e3 * min(each[1:] or each) / n, 1) for name, each in times.items()}


def _step(network: StudentNetwork, recipe: Recipe) -> Callable[[Arithmetic], None]:
    """Return a function that runs forward and backward pass of a batch on a copy of the network."""
    copied = copy.deepcopy(network).to(memory_format=torch.channels_last)
    copied.requires_grad_(requires_grad=True).train()
    for module in freeze(copied, recipe):
        module.eval()
    n, size = min(recipe.batch, _LARGEST_BATCH), recipe.size_at(recipe.steps - 1)
    random = torch.Generator().manual_seed(0)
    frames = torch.rand((n, 1, size, size), generator=random).to(memory_format=torch.channels_last)
    side = size // recipe.loss_stride
    structures = copied.decoder.num_mask_tokens
    target = torch.rand((n, structures, side, side), generator=random).round()
    known = torch.ones((n, structures))

    def step(arithmetic: Arithmetic) -> None:
        with fast_depthwise(copied, active=arithmetic.thinned):
            with arithmetic.autocast("cpu"):
                logits, quality = copied(frames)
            MaskLoss()(logits.float(), quality.float(), target, known).backward()  # type: ignore[no-untyped-call]
        copied.zero_grad(set_to_none=True)

    return step


def has_bf16_instructions() -> bool:
    """Return whether this processor computes with bf16 in hardware (AVX-512 BF16, AMX, or those of ARM)."""
    capabilities = _capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16"))


def _capabilities() -> dict[str, Any]:
    """Return what torch knows of this processor, by name; nothing if it does not tell."""
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return capabilities


def _ways() -> list[tuple[Precision, bool]]:
    """Return precision and thinning of each way that may pay here; emulated bf16 may take minutes a step."""
    precisions = _PRECISIONS if has_bf16_instructions() else ("f32",)
    return list(product(precisions, (True, False)))


def _name(precision: str, thinned: bool) -> str:
    return f"{precision}, thinned" if thinned else precision


def _prescribed() -> Precision | None:
    """Return the precision that the environment prescribes; None if it prescribes none."""
    value = os.environ.get(PRECISION, "")
    if not value:
        return None
    for precision in _PRECISIONS:
        if value == precision:
            return precision
    raise TrainingError(
        f"{PRECISION} is {value!r}, which is no precision of a training", remedy="Set it to bf16 or f32, or not at all."
    )


def _key(config: StudentConfig, recipe: Recipe) -> str:
    """Return a hash of all that the speed depends on."""
    setup = [recipe.batch, recipe.stages[-1].size if recipe.stages else config.input_size, recipe.loss_stride]
    fixed = [recipe.frozen_blocks, recipe.frozen_depthwise, recipe.frozen_norm]
    machine = [platform.node(), sorted((name, str(value)) for name, value in _capabilities().items())]
    parts = [config.to_json(), setup, fixed, machine, torch.__version__, torch.get_num_threads()]
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=10).hexdigest()


def _entries(cache: Path | None) -> dict[str, Any]:
    """Return all choices in the cache; none if there is no readable file."""
    if cache is None:
        return {}
    with suppress(OSError, ValueError):
        stored = parse_json((cache / _FILE).read_text("utf-8"))
        return dict(stored) if isinstance(stored, dict) else {}
    return {}


def _cached(cache: Path | None, key: str) -> Arithmetic | None:
    """Return a choice in the cache; None if there is none."""
    stored = _entries(cache).get(key)
    try:
        return None if stored is None else restored({**stored, "why": "the fastest of those timed before"})
    except TypeError:
        return None


def _keep(cache: Path | None, key: str, chosen: Arithmetic) -> None:
    """Add a choice to the cache, if it can be written."""
    if cache is None:
        return
    with suppress(OSError):
        cache.mkdir(parents=True, exist_ok=True)
        entries = {**_entries(cache), key: chosen.to_dict()}
        write_atomically(cache / _FILE, json.dumps(entries, indent=1).encode())


def restored(stored: Mapping[str, Any]) -> Arithmetic:
    """Return what to_dict() returned.

    Raises:
        TypeError: It is not that.
    """
    arithmetic = Arithmetic(**stored)
    if arithmetic.precision not in _PRECISIONS or not isinstance(arithmetic.thinned, bool):
        raise TypeError(f"no arithmetic: {dict(stored)!r}")
    return arithmetic
