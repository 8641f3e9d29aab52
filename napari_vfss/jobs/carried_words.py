# SPDX-License-Identifier: Apache-2.0
"""What a propagation did, in words."""

from __future__ import annotations

from collections.abc import Sequence

from napari_vfss.session.session import Session
from vfss.masks import MaskState
from vfss.propagation.propagation import KEY_STATES, CarryOrder, Ending, Reason

_WHY: dict[Reason, str] = {
    "person": "a person's word follows",
    "end": "the clip ends",
    "trust": "trust fell",
    "gone": "it is out of the picture",
    "spoken": "someone spoke there meanwhile",
    "stopped": "stopped",
}
_MANY = 3  # names that are still said one by one


def what_was_carried(session: Session, order: CarryOrder, endings: Sequence[Ending], *, undoable: bool) -> str:
    """How far each structure was carried, and why no further.

    Args:
        session: Whose clip.
        order: What was to be carried.
        endings: How far each structure came.
        undoable: True where there is something to undo.
    """
    parts = [f"Carried from frame {order.start + 1}."]
    for forward in (False, True):
        groups: dict[tuple[int | None, Reason, bool], list[Ending]] = {}
        for ending in endings:
            if ending.forward == forward:
                # How far those came that have gaps matters less than the gaps.
                gaps = ending.left_out > 0
                groups.setdefault((None if gaps else ending.last, ending.reason, gaps), []).append(ending)
        said = [_group(session, group, len(order.structures)) for group in groups.values()]
        if said:
            parts.append(f"{'Forward' if forward else 'Backward'}: " + "; ".join(said) + ".")
    waiting = _only_proposed(session, order)
    if waiting:
        parts.append(f"{waiting} only proposed on frame {order.start + 1}: accept first what shall be carried.")
    if undoable:
        parts.append("Ctrl+Z takes it all back.")
    return " ".join(parts)


def _group(session: Session, group: list[Ending], of: int) -> str:
    names, first = [session.schema[ending.structure].name for ending in group], group[0]
    who = f"all {of} structures" if len(names) == of > 1 else f"{len(names)} structures"
    if len(names) <= min(_MANY, of if of == 1 else of - 1):
        who = ", ".join(names)
    if first.left_out:
        most = max(ending.left_out for ending in group)
        return f"{who} with {'up to ' if len(group) > 1 else ''}{_frames(most)} left out (trust is low there)"
    where = "not at all" if first.last is None else f"to frame {first.last + 1}"
    return f"{who} {where} ({_WHY[first.reason]})"


def _frames(n: int) -> str:
    return "1 frame" if n == 1 else f"{n} frames"


def _only_proposed(session: Session, order: CarryOrder) -> str:
    states = session.states[order.start]
    n = sum(states[s.index] == MaskState.PROPOSED for s in session.schema.structures if s.key not in order.structures)
    return "" if not n else "One structure is" if n == 1 else f"{n} structures are"


def carried_structures(session: Session, *, only_active: bool) -> tuple[str, ...]:
    """Structures of the current frame that would be carried: those a person painted or accepted."""
    work = session.work
    return tuple(
        s.key
        for s in session.schema.structures
        if work.state[s.index] in KEY_STATES
        if work.planes[s.index].any() and (s.key == session.structure or not only_active)
    )


def nothing_to_carry(session: Session, *, only_active: bool) -> str:
    """What to tell where no structure would be carried."""
    whose = f"{session.active.name} has" if only_active else "There is"
    return (
        f"{whose} no mask on this frame that a person painted or accepted: paint it, or accept what is "
        "proposed (S, or A for the frame), and carry it then."
    )
