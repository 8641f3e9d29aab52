# SPDX-License-Identifier: Apache-2.0
"""Actions of the timeline: each has an id, a title and a key that it comes with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from app_model.types import KeyBinding

from vfss.masks import MaskState
from vfss.trust import Trust

if TYPE_CHECKING:
    from napari_vfss.clip_time import ClipTime


@dataclass(frozen=True)
class TimelineAction:
    """Something a key does to the timeline.

    Attributes:
        id: Name for settings; never changes.
        title: Words for a person.
        key: Key it comes with, in app-model's words.
        do: What it does.
    """

    id: str
    title: str
    key: str
    do: Callable[[ClipTime], object]


ACTIONS: tuple[TimelineAction, ...] = (
    TimelineAction("next_doubtful", "next doubtful mask", "U", lambda time: time.go_to_doubtful(1)),
    TimelineAction("previous_doubtful", "previous doubtful mask", "Shift+U", lambda time: time.go_to_doubtful(-1)),
    TimelineAction("next_unaccepted", "next mask not accepted", "J", lambda time: time.go_to_unaccepted(1)),
    TimelineAction("previous_unaccepted", "previous one", "Shift+J", lambda time: time.go_to_unaccepted(-1)),
    TimelineAction("next_swallow", "next swallow", "W", lambda time: time.go_to_swallow(1)),
    TimelineAction("previous_swallow", "previous swallow", "Shift+W", lambda time: time.go_to_swallow(-1)),
    TimelineAction("play", "play, stop", "K", lambda time: time.playback.toggle()),
    TimelineAction("slower", "play slower", ",", lambda time: time.playback.step_speed(-1)),
    TimelineAction("faster", "play faster", ".", lambda time: time.playback.step_speed(1)),
    TimelineAction("loop", "loop over the swallow or the range", "L", lambda time: time.toggle_loop()),
    TimelineAction("begin_swallow", "a swallow begins here", "I", lambda time: time.begin_swallow()),
    TimelineAction("end_swallow", "the swallow ends here", "O", lambda time: time.end_swallow()),
    TimelineAction("mark_event", "mark an event here", "M", lambda time: time.event_asked.emit()),
    TimelineAction("steady", "hold the spine still", "Y", lambda time: time.toggle_steady()),
)

HELP: tuple[tuple[str, str], ...] = (
    ("U, Shift+U", "next, previous doubtful mask"),
    ("J, Shift+J", "next, previous mask that is not accepted"),
    ("W, Shift+W", "next, previous swallow"),
    ("K", "play, stop"),
    (", and .", "play slower, faster"),
    ("L", "loop over the swallow, or the range chosen in the timeline with Shift"),
    ("I, O", "a swallow begins here, ends here"),
    ("M", "mark an event here"),
    ("Y", "hold the spine still"),
)


def timeline_keys(time: ClipTime) -> dict[KeyBinding, Callable[[], object]]:
    """Keys of the timeline with what they do."""

    def calling(action: TimelineAction) -> Callable[[], object]:
        return lambda: action.do(time)

    return {KeyBinding.from_str(action.key): calling(action) for action in ACTIONS}


def cells_after(wanted: Any, frame: int, structure: int, direction: int) -> Iterator[tuple[int, int]]:
    """Cells (frame, structure) of wanted, bool (T, S), after a cell, frame by frame; direction -1: before it."""
    frames, structures = np.nonzero(wanted)
    at = frames * wanted.shape[1] + structures
    here = frame * wanted.shape[1] + structure
    chosen = at[at > here] if direction > 0 else at[at < here][::-1]
    return ((int(cell // wanted.shape[1]), int(cell % wanted.shape[1])) for cell in chosen)


def doubtful(trust: Any) -> Any:
    """Bool (T, S), where a mask deserves a second look."""
    return trust == Trust.DOUBTFUL


def unaccepted(states: Any) -> Any:
    """Bool (T, S), where a person has not yet confirmed anything."""
    return states < MaskState.ACCEPTED
