# SPDX-License-Identifier: Apache-2.0
"""The table of actions: everything a person can do by a key, in one list that keys, overlay and key page share.

To add actions, write them as a tuple in the file that does the work, and name that tuple in `all_actions`:

    ACTIONS = (
        Action("timeline.next_swallow", "next swallow", "Frames", ("W",), lambda desk: next_swallow(desk)),
    )

Their keys are shown, bound, rebound and written on buttons from here; `button(..., key="W")` follows the action whose
standard key is W. A test compares all keys of both layouts: no two actions share one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from app_model.types import KeyBinding, KeyCode, OperatingSystem

from vfss.errors import VfssError

if TYPE_CHECKING:
    from napari_vfss.controller.controller import AnnotationController
    from vfss.schema import Schema

Layout = Literal["right", "left"]
"""The hand that holds the mouse. The keys used most lie under the other one."""

Place = Literal["clip", "window", "napari"]
"""clip: bound while a clip is open; window: always; napari: a key of napari's own, shown here and never bound."""

GROUPS = ("Structures", "Frames", "Time", "Propose", "Correct", "Whole mask", "Propagate", "Accept", "View", "Window")

# Letters that lie left on the keyboard change places with letters that lie right; all others stay. Two keys that
# differ in one layout therefore differ in the other. Period and comma lie right of M on most keyboards of the world.
_LEFT, _RIGHT = "QWERASFCZX", "OYIULKJM.,"
_SWAPPED = dict(zip(_LEFT + _RIGHT, _RIGHT + _LEFT, strict=True))


class KeyTextError(VfssError):
    """Text that names no key, or one that cannot be bound."""


def _always(_controller: AnnotationController) -> bool:
    return True


@dataclass(frozen=True)
class Action:
    """One thing that a person can do.

    Attributes:
        id: Name in the file of a person's own keys, such as "accept.frame"; never changed once it is published.
        title: What it does, as a phrase in lower case.
        group: Heading under which it is shown, one of GROUPS or a new one.
        keys: Keys of the standard layout, such as "Ctrl+Shift+Z"; Ctrl is the command key on a Mac. The first one is
            shown on buttons.
        do: Called with the desk, after what is under the pen was written. May raise VfssError, which is told.
        when: False where it would do nothing now; the key is then silent.
        left: Keys of the left-handed layout; None for the standard ones, mirrored.
        place: Where the key is bound.
    """

    id: str
    title: str
    group: str
    keys: tuple[str, ...]
    do: Callable[[AnnotationController], object]
    when: Callable[[AnnotationController], bool] = _always
    left: tuple[str, ...] | None = None
    place: Place = "clip"

    def default_keys(self, layout: Layout) -> tuple[str, ...]:
        """Keys of a layout, before a person changed any."""
        if layout == "right" or self.place == "napari":
            return self.keys
        return tuple(mirrored(key) for key in self.keys) if self.left is None else self.left


def all_actions(schema: Schema) -> tuple[Action, ...]:
    """Every action, in the order in which they are shown; those that choose structures are the schema's."""
    # Imported here: these files need Action.
    from napari_vfss.controller.actions import MASK_TOOL_ACTIONS, TIMELINE_ACTIONS, WORK_ACTIONS
    from napari_vfss.ui.keys import button_actions

    return (
        *structure_actions(schema),
        *WORK_ACTIONS,
        *MASK_TOOL_ACTIONS,
        *TIMELINE_ACTIONS,
        *button_actions.ACTIONS,
    )


def structure_actions(schema: Schema) -> tuple[Action, ...]:
    """Actions that choose a structure by the key that the schema gives it."""
    made: list[Action] = []
    for structure in schema.structures:
        keys = () if structure.shortcut is None else (structure.shortcut,)
        do = partial(_choose, key=structure.key)
        made.append(Action(f"structure.{structure.key}", structure.name, "Structures", keys, do, left=keys))
    return tuple(made)


def _choose(controller: AnnotationController, key: str) -> None:
    if controller.session is not None:
        controller.session.choose(key)


def mirrored(key: str) -> str:
    """The same key on the other side of the keyboard; keys with Ctrl, Alt or Meta stay, and so do all but letters."""
    *modifiers, last = key.split("+") if len(key) > 1 else [key]
    if set(modifiers) - {"Shift"}:
        return key
    swapped = _SWAPPED.get(last, last)
    # Shift and a punctuation mark is another character on every keyboard: no key that can be bound.
    return key if modifiers and not swapped.isalpha() else "+".join([*modifiers, swapped])


def binding(key: str) -> KeyBinding:
    """The key as napari binds it; "Ctrl" is the command key on a Mac.

    Raises:
        KeyTextError: There is no such key, or it cannot be told from another one.
    """
    parsed = KeyBinding.from_str(key or "none")
    part = parsed.part0
    if len(parsed.parts) != 1 or part.key in (None, KeyCode.UNKNOWN) or part.is_modifier_key():
        raise KeyTextError(f"{key!r} is no key that can be bound", remedy="Take a letter, a digit or a function key.")
    if part.shift and not (part.ctrl or part.meta) and len(str(part.key)) == 1 and not str(part.key).isalpha():
        raise KeyTextError(f"{key!r} is another character on each keyboard", remedy="Take it without Shift.")
    return KeyBinding.from_int(part.to_int(OperatingSystem.LINUX))


def normal(key: str) -> str:
    """One spelling for each key, to compare keys by; "?" and its like are themselves."""
    return key if len(key) == 1 and not key.isalnum() else str(KeyBinding.from_str(key))


def shown(keys: Iterable[str]) -> str:
    """Keys as a person reads them on this computer, such as "Ctrl+Z or U"; empty for none."""
    return " or ".join(key if len(key) == 1 else binding(key).to_text() for key in keys)
