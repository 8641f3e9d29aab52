# SPDX-License-Identifier: Apache-2.0
"""In which precision a training computes: prescribed, timed, kept in the cache, kept by a run."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from small_student import CONFIG
from small_training import RECIPE, lines, task
from vfss.errors import TrainingError
from vfss.schema import Schema
from vfss.student.network.student import StudentNetwork
from vfss_training.events import Cancel, Events
from vfss_training.loop.arithmetic import (
    PRECISION,
    chosen_arithmetic,
    has_bf16_instructions,
    timed,
    usual_arithmetic,
)
from vfss_training.loop.loop import Loop
from vfss_training.model.initialise import from_scratch

LONG = replace(RECIPE, steps=5000)

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU always computes in bf16")


@pytest.fixture(scope="module")
def network() -> StudentNetwork:
    return from_scratch(CONFIG, Schema.load(), 0, None)


@pytest.fixture(autouse=True)
def nothing_prescribed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PRECISION, raising=False)


def with_bf16(monkeypatch: pytest.MonkeyPatch, *, present: bool) -> None:
    """Let the processor have instructions for bf16, or not."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": present})


def paced(*seconds: float) -> Callable[[], float]:
    """Return a clock by which steps take these seconds, over and over."""
    now, step, calls = 0.0, 0, 0

    def clock() -> float:
        nonlocal now, step, calls
        if calls % 2:
            now += seconds[step % len(seconds)]
            step += 1
        calls += 1
        return now

    return clock


@pytest.mark.parametrize(("present", "precision"), [(True, "bf16"), (False, "f32")])
def test_a_short_run_uses_what_the_processor_has_instructions_for(
    network: StudentNetwork, monkeypatch: pytest.MonkeyPatch, *, present: bool, precision: str
) -> None:
    with_bf16(monkeypatch, present=present)
    chosen = chosen_arithmetic(network, CONFIG, RECIPE, cache=None)
    assert (chosen.precision, chosen.thinned, chosen.cpu_ms) == (precision, True, {})
    assert chosen == usual_arithmetic()
    assert "bf16" in chosen.why


@pytest.mark.parametrize(
    ("seconds", "precision", "thinned"),
    [
        ((1, 2, 3, 4), "bf16", True),
        ((2, 1, 3, 4), "bf16", False),
        ((4, 3, 1, 2), "f32", True),
        ((4, 3, 2, 1), "f32", False),
    ],
)
def test_a_long_run_uses_the_fastest_way(
    network: StudentNetwork,
    monkeypatch: pytest.MonkeyPatch,
    seconds: tuple[float, ...],
    precision: str,
    *,
    thinned: bool,
) -> None:
    with_bf16(monkeypatch, present=True)
    chosen = chosen_arithmetic(network, CONFIG, LONG, cache=None, clock=paced(*seconds))
    assert (chosen.precision, chosen.thinned) == (precision, thinned)
    assert sorted(chosen.cpu_ms.values()) == [500.0, 1000.0, 1500.0, 2000.0]  # a batch of two


def test_emulated_bf16_is_not_timed(network: StudentNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    with_bf16(monkeypatch, present=False)
    chosen = chosen_arithmetic(network, CONFIG, LONG, cache=None, clock=paced(2, 1))
    assert (chosen.precision, chosen.thinned) == ("f32", False)
    assert set(chosen.cpu_ms) == {"f32", "f32, thinned"}


def test_timing_changes_neither_network_nor_random_state(network: StudentNetwork) -> None:
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    random = torch.random.get_rng_state()
    milliseconds = timed(network, replace(LONG, frozen_blocks=1))
    assert all(value > 0 for value in milliseconds.values())
    torch.testing.assert_close(dict(network.state_dict()), before, rtol=0, atol=0)
    assert torch.equal(torch.random.get_rng_state(), random)
    assert all(weight.grad is None for weight in network.parameters())


def test_a_choice_is_kept_for_shorter_runs_of_the_same_network(
    network: StudentNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_bf16(monkeypatch, present=True)
    folder = tmp_path / "cache"
    first = chosen_arithmetic(network, CONFIG, LONG, cache=folder, clock=paced(4, 3, 2, 1))
    again = chosen_arithmetic(network, CONFIG, RECIPE, cache=folder)
    assert (again.precision, again.thinned, again.cpu_ms) == ("f32", False, first.cpu_ms)
    assert "before" in again.why
    other = chosen_arithmetic(network, CONFIG, replace(RECIPE, frozen_blocks=2), cache=folder)
    assert other == usual_arithmetic()


@pytest.mark.parametrize("content", ["", "[]", "{", '{"precision": 3}'])
def test_a_damaged_cache_is_written_anew(
    network: StudentNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    with_bf16(monkeypatch, present=True)
    chosen_arithmetic(network, CONFIG, LONG, cache=tmp_path, clock=paced(4, 3, 2, 1))
    (file,) = tmp_path.iterdir()
    key = next(iter(json.loads(file.read_text("utf-8"))))
    for damaged in (content, json.dumps({key: {"precision": "f8", "thinned": True, "why": ""}}), json.dumps({key: 1})):
        file.write_text(damaged, "utf-8")
        chosen = chosen_arithmetic(network, CONFIG, LONG, cache=tmp_path, clock=paced(4, 3, 2, 1))
        assert (chosen.precision, chosen.thinned) == ("f32", False)
        assert "before" not in chosen.why
        assert json.loads(file.read_text("utf-8"))[key] == chosen.to_dict()


def test_competing_processes_and_short_time_limits_do_not_time(network: StudentNetwork) -> None:
    usual = usual_arithmetic()
    assert chosen_arithmetic(network, CONFIG, LONG, cache=None, may_time=False) == usual
    assert chosen_arithmetic(network, CONFIG, LONG, cache=None, minutes=2.0) == usual


def test_the_environment_prescribes_the_precision(network: StudentNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PRECISION, "f32")
    chosen = chosen_arithmetic(network, CONFIG, LONG, cache=None)
    assert (chosen.precision, chosen.cpu_ms) == ("f32", {})
    assert PRECISION in chosen.why
    monkeypatch.setenv(PRECISION, "f16")
    with pytest.raises(TrainingError, match="'f16', which is no precision"):
        chosen_arithmetic(network, CONFIG, LONG, cache=None)


def test_a_resumed_run_keeps_its_precision_and_tells_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PRECISION, "f32")
    Loop(task(tmp_path), Events(io.StringIO()), Cancel()).run()
    monkeypatch.setenv(PRECISION, "bf16")
    stream = io.StringIO()
    resumed = Loop(task(tmp_path), Events(stream), Cancel())
    assert resumed.arithmetic.precision == "f32"
    (told,) = [entry for entry in lines(stream) if entry["event"] == "arithmetic"]
    assert (told["precision"], told["thinned"]) == ("f32", True)
    assert PRECISION in str(told["why"])


@pytest.mark.skipif(not has_bf16_instructions(), reason="this processor has no instructions for bf16")
def test_a_run_in_bf16_keeps_its_weights_in_f32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PRECISION, "bf16")
    trained = Loop(task(), Events(io.StringIO()), Cancel()).run()
    assert all(weight.dtype == torch.float32 and weight.isfinite().all() for weight in trained.parameters())
