# SPDX-License-Identifier: Apache-2.0
"""Actions of the timeline: each has an id, a title and a key that it comes with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_vfss.keys.action import Action
from vfss.consistency.judge import Trust
from vfss.masks import MaskState

if TYPE_CHECKING:
    from napari_vfss.controller.controller import Desk
    from napari_vfss.controller.timeline import ClipTime


def _time(do: Callable[[ClipTime], object]) -> Callable[[Desk], object]:
    return lambda desk: do(desk.time)


FRAMES, TIME = "Frames", "Time"
ACTIONS: tuple[Action, ...] = (
    Action("timeline.next_doubtful", "next doubtful mask", FRAMES, ("U",), _time(lambda time: time.go_to_doubtful(1))),
    Action(
        "timeline.previous_doubtful",
        "previous doubtful mask",
        FRAMES,
        ("Shift+U",),
        _time(lambda time: time.go_to_doubtful(-1)),
    ),
    Action(
        "timeline.next_open",
        "next mask that is not accepted",
        FRAMES,
        ("J",),
        _time(lambda time: time.go_to_unaccepted(1)),
    ),
    Action(
        "timeline.previous_open",
        "previous mask that is not accepted",
        FRAMES,
        ("Shift+J",),
        _time(lambda time: time.go_to_unaccepted(-1)),
    ),
    Action("timeline.next_swallow", "next swallow", FRAMES, ("W",), _time(lambda time: time.go_to_swallow(1))),
    Action(
        "timeline.previous_swallow",
        "previous swallow",
        FRAMES,
        ("Shift+W",),
        _time(lambda time: time.go_to_swallow(-1)),
    ),
    Action("timeline.play", "play, stop", TIME, ("K",), _time(lambda time: time.playback.toggle())),
    Action("timeline.slower", "play slower", TIME, ("Alt+Down",), _time(lambda time: time.playback.step_speed(-1))),
    Action("timeline.faster", "play faster", TIME, ("Alt+Up",), _time(lambda time: time.playback.step_speed(1))),
    Action(
        "timeline.loop", "loop over the swallow, or the range", TIME, ("L",), _time(lambda time: time.toggle_loop())
    ),
    Action("timeline.begin_swallow", "a swallow begins here", TIME, ("D",), _time(lambda time: time.begin_swallow())),
    Action("timeline.end_swallow", "the swallow ends here", TIME, ("Shift+D",), _time(lambda time: time.end_swallow())),
    Action("timeline.mark", "mark an event here", TIME, ("M",), _time(lambda time: time.ask_event())),
    Action(
        "timeline.steady", "hold the spine still, let it move", TIME, ("Y",), _time(lambda time: time.toggle_steady())
    ),
)

KEY_OF = {action.id.removeprefix("timeline."): action.keys[0] for action in ACTIONS}


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
