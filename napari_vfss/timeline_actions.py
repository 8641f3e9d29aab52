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
    from napari_vfss.desk import Desk


@dataclass(frozen=True)
class TimelineAction:
    """One thing that a key does to the timeline.

    Attributes:
        id: Name that stays, such as "timeline.play".
        title: What it does, as a phrase in lower case.
        group: Heading under which it is shown.
        keys: Keys that do it by default; the first one is shown on the button.
        do: Called with the desk, after what is under the pen was written.
    """

    id: str
    title: str
    group: str
    keys: tuple[str, ...]
    do: Callable[[Desk], object]


def _time(do: Callable[[ClipTime], object]) -> Callable[[Desk], object]:
    return lambda desk: do(desk.time)


FRAMES, TIME = "Frames", "Time"
ACTIONS: tuple[TimelineAction, ...] = (
    TimelineAction(
        "timeline.next_doubtful", "next doubtful mask", FRAMES, ("U",), _time(lambda time: time.go_to_doubtful(1))
    ),
    TimelineAction(
        "timeline.previous_doubtful",
        "previous doubtful mask",
        FRAMES,
        ("Shift+U",),
        _time(lambda time: time.go_to_doubtful(-1)),
    ),
    TimelineAction(
        "timeline.next_open",
        "next mask that is not accepted",
        FRAMES,
        ("J",),
        _time(lambda time: time.go_to_unaccepted(1)),
    ),
    TimelineAction(
        "timeline.previous_open",
        "previous mask that is not accepted",
        FRAMES,
        ("Shift+J",),
        _time(lambda time: time.go_to_unaccepted(-1)),
    ),
    TimelineAction("timeline.next_swallow", "next swallow", FRAMES, ("W",), _time(lambda time: time.go_to_swallow(1))),
    TimelineAction(
        "timeline.previous_swallow",
        "previous swallow",
        FRAMES,
        ("Shift+W",),
        _time(lambda time: time.go_to_swallow(-1)),
    ),
    TimelineAction("timeline.play", "play, stop", TIME, ("K",), _time(lambda time: time.playback.toggle())),
    TimelineAction(
        "timeline.slower", "play slower", TIME, ("Alt+Down",), _time(lambda time: time.playback.step_speed(-1))
    ),
    TimelineAction(
        "timeline.faster", "play faster", TIME, ("Alt+Up",), _time(lambda time: time.playback.step_speed(1))
    ),
    TimelineAction(
        "timeline.loop", "loop over the swallow, or the range", TIME, ("L",), _time(lambda time: time.toggle_loop())
    ),
    TimelineAction(
        "timeline.begin_swallow", "a swallow begins here", TIME, ("D",), _time(lambda time: time.begin_swallow())
    ),
    TimelineAction(
        "timeline.end_swallow", "the swallow ends here", TIME, ("Shift+D",), _time(lambda time: time.end_swallow())
    ),
    TimelineAction("timeline.mark", "mark an event here", TIME, ("M",), _time(lambda time: time.ask_event())),
    TimelineAction(
        "timeline.steady", "hold the spine still, let it move", TIME, ("Y",), _time(lambda time: time.toggle_steady())
    ),
)

KEY_OF = {action.id.removeprefix("timeline."): action.keys[0] for action in ACTIONS}

HELP: tuple[tuple[str, str], ...] = (
    ("U, Shift+U", "next, previous doubtful mask"),
    ("J, Shift+J", "next, previous mask that is not accepted"),
    ("W, Shift+W", "next, previous swallow"),
    ("K", "play, stop"),
    ("Alt+Down, Alt+Up", "play slower, faster"),
    ("L", "loop over the swallow, or the range chosen in the timeline with Shift"),
    ("D, Shift+D", "a swallow begins here, ends here"),
    ("M", "mark an event here"),
    ("Y", "hold the spine still"),
)


def timeline_keys(desk: Desk) -> dict[KeyBinding, Callable[[], object]]:
    """Keys of the timeline with what they do."""

    def calling(action: TimelineAction) -> Callable[[], object]:
        return lambda: action.do(desk)

    return {KeyBinding.from_str(key): calling(action) for action in ACTIONS for key in action.keys}


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
