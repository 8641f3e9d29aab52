# SPDX-License-Identifier: Apache-2.0
"""Signal connections of one object, kept in a list and disconnected when it closes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any


class Connections:
    """List of signals (Qt, psygnal or napari events) with the slots connected to them."""

    def __init__(self) -> None:
        self._made: list[tuple[Any, Callable[..., Any]]] = []

    def __len__(self) -> int:
        return len(self._made)

    def add(self, signal: Any, slot: Callable[..., Any]) -> None:
        """Connect a slot, to be disconnected by `undo`."""
        signal.connect(slot)
        self._made.append((signal, slot))

    def forget(self, *signals: Any) -> None:
        """Disconnect all slots of these signals."""
        going = [made for made in self._made if any(made[0] is signal for signal in signals)]
        self._made = [made for made in self._made if not any(made is gone for gone in going)]
        for signal, slot in going:
            _disconnect(signal, slot)

    def undo(self) -> None:
        """Disconnect everything, the newest first."""
        while self._made:
            _disconnect(*self._made.pop())


def _disconnect(signal: Any, slot: Callable[..., Any]) -> None:
    # The sender may be deleted already (Qt: RuntimeError, TypeError), or not know the slot (ValueError).
    with contextlib.suppress(RuntimeError, TypeError, ValueError):
        signal.disconnect(slot)
