# SPDX-License-Identifier: Apache-2.0
"""Choose by timing how a student is computed on this processor, once, and remember it beside the compiled networks.

What is usually faster is the default; another way is chosen only if it is clearly faster, so that a busy moment does
not decide. Ways are timed in turn, and the shortest time of each counts.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vfss.output.atomic_file import atomic_file
from vfss.plain_data import parse_json

BUDGET_S = 1.5
"""Seconds that a choice may take, once."""
_ROUNDS = 3
_CLEARLY = 0.9
"""A way that is not the default must take less than this share of the default's time."""
_LARGEST = 10_000  # bytes of a file of choices


class CpuChoices:
    """Choices for one student on one processor, in a small JSON file; one that cannot be kept is made again."""

    def __init__(self, folder: Path | None, depends_on: Sequence[object]) -> None:
        """Open the choices.

        Args:
            folder: Folder of the files; None: choices are neither read nor kept.
            depends_on: Everything that a choice depends on, of plain types.
        """
        key = hashlib.blake2b(repr(list(depends_on)).encode(), digest_size=10).hexdigest()
        self._path = None if folder is None else folder / f"choice-{key}.json"

    def known(self, name: str, options: Sequence[str]) -> str | None:
        """Return what was chosen for a name, None if nothing was that is among the options."""
        chosen = self._read().get(name)
        return chosen if isinstance(chosen, str) and chosen in options else None

    def keep(self, name: str, chosen: str, times: Mapping[str, float]) -> None:
        """Remember a choice with the seconds it was made by; the first one stays, so that all processes agree."""
        if self._path is None:
            return
        figures = {option: round(1000.0 * seconds, 2) for option, seconds in times.items()}
        kept = {name: chosen, f"{name}_ms": figures, **self._read()}
        try:
            with atomic_file(self._path) as file:
                file.write((json.dumps(kept, indent=1, sort_keys=True) + "\n").encode())
        except OSError:  # it is chosen again next time
            return

    def _read(self) -> dict[str, Any]:
        try:
            if self._path is None or self._path.stat().st_size > _LARGEST:
                return {}
            content = parse_json(self._path.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}


def fastest(
    ways: Mapping[str, Callable[[], object]], *, clock: Callable[[], float] = time.perf_counter
) -> tuple[str, dict[str, float]]:
    """Return the fastest of several ways to do the same, and the shortest time of each in seconds.

    Args:
        ways: The ways by name, the default first; each is called a few times, in turn.
        clock: Returns seconds.
    """
    times = {name: float("inf") for name in ways}
    for compute in ways.values():
        compute()  # the first call allocates
    started = clock()
    for _ in range(_ROUNDS):
        for name, compute in ways.items():
            begun = clock()
            compute()
            times[name] = min(times[name], clock() - begun)
        if clock() - started > BUDGET_S / 2:
            break
    default, *others = times
    best = min(others, key=lambda name: times[name], default=default)
    return (best if times[best] < _CLEARLY * times[default] else default), times
