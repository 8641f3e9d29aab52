# SPDX-License-Identifier: Apache-2.0
"""What a propagation did, in words."""

from __future__ import annotations

from collections.abc import Iterable

from napari_vfss.session import Session
from vfss.masks import MaskState
from vfss.propagation import CarryOrder, Ending, Reason

_WHY: dict[Reason, str] = {
    "person": "a person has spoken on the next frame",
    "end": "the clip ends there",
    "trust": "it could not be trusted further",
    "gone": "it is not to be seen further",
    "spoken": "someone spoke on the next frame meanwhile",
    "stopped": "stopped",
}
_MANY = 4  # names that are still said one by one


def what_was_carried(session: Session, order: CarryOrder, endings: Iterable[Ending], *, undoable: bool) -> str:
    """How far each structure was carried, and why no further.

    Args:
        session: Whose clip.
        order: What was to be carried.
        endings: How far each structure came.
        undoable: True where there is something to undo.
    """
    parts = [f"Carried from frame {order.start + 1}."]
    for forward in (False, True):
        ways = [ending for ending in endings if ending.forward == forward]
        groups: dict[tuple[int | None, Reason, bool], list[Ending]] = {}
        for ending in ways:
            groups.setdefault((ending.last, ending.reason, ending.left_out > 0), []).append(ending)
        said = [_group(session, group) for group in groups.values()]
        if said:
            parts.append(f"{'Forward' if forward else 'Backward'}: " + "; ".join(said) + ".")
    waiting = _only_proposed(session, order)
    if waiting:
        parts.append(f"{waiting} only proposed on frame {order.start + 1}: accept first what shall be carried.")
    if undoable:
        parts.append("Ctrl+Z takes all of it back.")
    return " ".join(parts)


def _group(session: Session, group: list[Ending]) -> str:
    names = [session.schema[ending.structure].name for ending in group]
    who = ", ".join(names) if len(names) <= _MANY else f"{len(names)} structures ({', '.join(names[:2])}, ...)"
    first = group[0]
    if first.last is None:
        return f"{who} not at all ({_WHY[first.reason]})"
    gaps = f", {max(ending.left_out for ending in group)} frames left out where trust was low" if first.left_out else ""
    return f"{who} to frame {first.last + 1} ({_WHY[first.reason]}{gaps})"


def _only_proposed(session: Session, order: CarryOrder) -> str:
    states = session.states[order.start]
    n = sum(states[s.index] == MaskState.PROPOSED for s in session.schema.structures if s.key not in order.structures)
    return "" if not n else "One structure is" if n == 1 else f"{n} structures are"
