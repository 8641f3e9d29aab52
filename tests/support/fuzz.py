# SPDX-License-Identifier: Apache-2.0
"""Damaged input by the ten thousand: what is not read must be refused by an error of ours, soon and in little memory.

Each input is made from a number, so that a finding can be made again. Inputs run in processes of their own, which are
killed when they hang or die when a library crashes; both are findings. Counted as faults are exceptions other than
VfssError, crashes, more than 10 s, more than 2 GB, and frames that depend on the order of reading.

    nice python tests/support/fuzz.py --inputs 100000 --workers 2 --out benchmarks/results/fuzz.json
    python tests/support/fuzz.py --only video --first 4711 --inputs 1      # one input again, with its traceback
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import math
import multiprocessing
import multiprocessing.connection
import os
import platform
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from fuzz_subject import FaultError, Subject
from vfss.errors import VfssError

TOO_LONG_S, TOO_MUCH_MB = 10.0, 2048.0
_HUNG_S = 2 * TOO_LONG_S
"""After so long a process is killed."""
_BATCH = 200
"""Inputs of one kind in a row: short enough that all kinds get their share of a run that is stopped early."""


@dataclass
class Tally:
    """What happened to the inputs of one kind."""

    inputs: int = 0
    read: int = 0
    refused: int = 0
    slowest_s: float = 0.0
    peak_mb: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    examples: list[dict[str, Any]] = field(default_factory=list)


def run(
    subjects: list[Subject],
    inputs: int,
    *,
    workers: int = 1,
    seconds: float = 1e9,
    first: int = 0,
    module: str = "fuzz_subjects",
) -> dict[str, Tally]:
    """Run inputs of all kinds; stop early after some seconds. Workers find the kinds in `SUBJECTS` of the module."""
    tallies = {subject.name: Tally() for subject in subjects}
    batches = _batches(subjects, inputs, first)
    running = [_Worker(module) for _ in range(workers)]
    until = time.monotonic() + seconds
    try:
        while any([worker.advance(batches, tallies, until) for worker in running]):  # each of them, every time
            multiprocessing.connection.wait([worker.results for worker in running], timeout=0.2)
    finally:
        for worker in running:
            worker.stop()
    return tallies


def _batches(subjects: list[Subject], inputs: int, first: int) -> Iterator[tuple[str, int, int]]:
    total = sum(subject.share for subject in subjects)
    left = {subject.name: math.ceil(inputs * subject.share / total) for subject in subjects}
    at = dict.fromkeys(left, first)
    while any(left.values()):
        for name, remaining in left.items():
            count = min(_BATCH, remaining)
            if count:
                yield name, at[name], count
                at[name], left[name] = at[name] + count, remaining - count


class _Worker:
    """A process that runs batches, started again after each that had to be killed or died."""

    def __init__(self, module: str) -> None:
        self._module = module
        self._batch: tuple[str, int, int] | None = None
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.results, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._module), daemon=True)
        self._process.start()
        theirs.close()
        self._running: tuple[int, float] | None = None  # number, and when its reading began

    def advance(self, batches: Iterator[tuple[str, int, int]], tallies: dict[str, Tally], until: float) -> bool:
        """Take what the process reports, give it work, kill it if it hangs; False when there is nothing left to do."""
        try:
            while self.results.poll():
                self._take(self.results.recv(), tallies)
        except (EOFError, OSError):
            self._process.join()
            self._lost(f"the process died with {self._process.exitcode}", tallies)
        if self._running is not None and time.monotonic() - self._running[1] > _HUNG_S:
            self._process.kill()
            self._process.join()
            self._lost(f"longer than {TOO_LONG_S:g} s", tallies)
        if self._batch is None and time.monotonic() < until:
            self._batch = next(batches, None)
            if self._batch is not None:
                self.results.send(self._batch)
        return self._batch is not None

    def _take(self, message: tuple[Any, ...], tallies: dict[str, Tally]) -> None:
        assert self._batch is not None
        name, number, count = self._batch
        if message[0] == "begin":
            self._running = message[1], time.monotonic()
            return
        self._running = None
        done, outcome, text, seconds, peak_mb = message[1:]
        tally = tallies[name]
        tally.inputs += 1
        tally.slowest_s, tally.peak_mb = max(tally.slowest_s, seconds), max(tally.peak_mb, peak_mb)
        faults = [text] if outcome == "fault" else []
        faults += [f"longer than {TOO_LONG_S:g} s"] * (seconds > TOO_LONG_S)
        faults += [f"more than {TOO_MUCH_MB:g} MB"] * (peak_mb > TOO_MUCH_MB)
        for fault in faults:
            _note(tally, done, fault)
        if not faults:
            tally.read += outcome == "read"
            tally.refused += outcome == "refused"
        rest = number + count - done - 1
        self._batch = (name, done + 1, rest) if rest else None

    def _lost(self, fault: str, tallies: dict[str, Tally]) -> None:
        if self._batch is not None:
            name, number, count = self._batch
            done = number if self._running is None else self._running[0]
            tallies[name].inputs += 1
            _note(tallies[name], done, fault)
            rest = number + count - done - 1
            self._batch = (name, done + 1, rest) if rest else None
        self._start()
        if self._batch is not None:
            self.results.send(self._batch)

    def stop(self) -> None:
        self._process.kill()
        self._process.join()


def _note(tally: Tally, number: int, fault: str) -> None:
    kind = fault.splitlines()[-1][:160]
    tally.faults[kind] += 1
    if tally.faults[kind] <= 3:
        tally.examples.append({"number": number, "fault": fault})
        print(f"  {number}: {fault}", file=sys.stderr, flush=True)  # noqa: T201


def _serve(requests: Connection, module: str) -> None:
    makers = {subject.name: subject.make for subject in importlib.import_module(module).SUBJECTS}
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 2)  # libraries in C write about each damaged byte
    while True:
        name, first, count = requests.recv()
        for number in range(first, first + count):
            folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
            try:
                read = makers[name](number, folder)
                _forget_peak()
                requests.send(("begin", number))
                began = time.perf_counter()
                outcome, text = "read", ""
                try:
                    read()
                except VfssError as error:
                    outcome, text = "refused", str(error)
                except FaultError as error:
                    outcome, text = "fault", str(error)
                except Exception as error:  # noqa: BLE001 - what this program is there to find
                    where = traceback.format_exception(error)
                    outcome, text = "fault", f"{''.join(where[-3:-1])}{type(error).__name__}: {error}"
                requests.send(("end", number, outcome, text, time.perf_counter() - began, _peak_mb()))
            finally:
                shutil.rmtree(folder, ignore_errors=True)


def _forget_peak() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_mb() -> float:
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0.0
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def main() -> None:
    """Run from the command line; the exit status is 1 if there were faults."""
    from fuzz_subjects import SUBJECTS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="number of the first input of each kind")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1e9, help="stop early after so long")
    parser.add_argument("--only", nargs="*", help=f"of {', '.join(subject.name for subject in SUBJECTS)}")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    subjects = [subject for subject in SUBJECTS if not options.only or subject.name in options.only]
    began = time.monotonic()
    tallies = run(subjects, options.inputs, workers=options.workers, seconds=options.seconds, first=options.first)
    kinds = {
        name: {
            "inputs": tally.inputs,
            "read": tally.read,
            "refused": tally.refused,
            "slowest_s": round(tally.slowest_s, 2),
            "peak_mb": round(tally.peak_mb),
            "faults": dict(tally.faults),
            "examples": tally.examples,
        }
        for name, tally in tallies.items()
    }
    result = {
        "inputs": sum(tally.inputs for tally in tallies.values()),
        "faults": sum(sum(tally.faults.values()) for tally in tallies.values()),
        "limits": {"seconds": TOO_LONG_S, "mb": TOO_MUCH_MB},
        "seconds": round(time.monotonic() - began),
        "workers": options.workers,
        "machine": platform.platform(),
        "kinds": kinds,
    }
    text = json.dumps(result, indent=1)
    print(text)  # noqa: T201
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")
    sys.exit(bool(result["faults"]))


if __name__ == "__main__":
    main()
