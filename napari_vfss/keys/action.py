# SPDX-License-Identifier: Apache-2.0
"""Action: one thing that can be done by a key, as data; and the spelling of keys.

The tables of actions stand in napari_vfss/controller/actions.py, together with what each action does. Keys are shown,
bound, changed and written on buttons from these tables; `button(..., key="W")` follows the action whose standard key
is W. A test compares all keys of both layouts: no two actions share one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, Literal, TypeVar

from app_model.types import KeyBinding, KeyCode, OperatingSystem

from vfss.errors import VfssError

T = TypeVar("T")
"""What actions act on: the controller of a viewer, of which nothing needs to be known here."""

Layout = Literal["right", "left"]
"""The hand that holds the mouse. The most frequent keys lie under the other one."""

Place = Literal["clip", "window", "napari"]
"""clip: bound while a clip is open; window: always bound; napari: napari's own key, shown here and never bound."""

GROUPS = ("Structures", "Frames", "Time", "Propose", "Correct", "Whole mask", "Propagate", "Accept", "View", "Window")

PAGE_GROUPS = ("Students page",)
"""Headings of actions of one page: its buttons show their keys, so that the list over the picture leaves them out."""

# Letters on the left of the keyboard are exchanged with letters on the right; all others stay. Two keys that differ in
# one layout therefore differ in the other. Period and comma are right of M on most keyboards.
_LEFT, _RIGHT = "QWERASFCZX", "OYIULKJM.,"
_SWAPPED = dict(zip(_LEFT + _RIGHT, _RIGHT + _LEFT, strict=True))


class KeyTextError(VfssError):
    """Text that is not the name of a key, or of one that cannot be bound."""


def _always(_target: Any) -> bool:
    return True


@dataclass(frozen=True)
class Action(Generic[T]):
    """One thing that can be done by a key.

    Attributes:
        id: Name in the user's key file, such as "accept.frame"; never changed once it is published.
        title: What it does, as a phrase in lower case.
        group: Heading under which it is listed, one of GROUPS or a new one.
        keys: Keys of the standard layout, such as "Ctrl+Shift+Z"; Ctrl is the command key on a Mac. The first
            one is shown on buttons.
        do: Called with the controller, after the stroke in progress was written. May raise VfssError, which is shown.
        when: Called with the controller; False if the action has no effect now, and the key is ignored.
        left: Keys of the left-handed layout; None for the mirrored standard keys.
        place: Where the key is bound.
    """

    id: str
    title: str
    group: str
    keys: tuple[str, ...]
    do: Callable[[T], object]
    when: Callable[[T], bool] = _always
    left: tuple[str, ...] | None = None
    place: Place = "clip"

    def default_keys(self, layout: Layout) -> tuple[str, ...]:
        """Return the keys of a layout, without the user's changes."""
        if layout == "right" or self.place == "napari":
            return self.keys
        return tuple(mirrored(key) for key in self.keys) if self.left is None else self.left


def mirrored(key: str) -> str:
    """Return the key mirrored to the other side of the keyboard.

    Keys with Ctrl, Alt or Meta stay, and so do all but letters.
    """
    *modifiers, last = key.split("+") if len(key) > 1 else [key]
    if set(modifiers) - {"Shift"}:
        return key
    swapped = _SWAPPED.get(last, last)
    # Shift with a punctuation mark is another character on every keyboard and cannot be bound.
    return key if modifiers and not swapped.isalpha() else "+".join([*modifiers, swapped])


def binding(key: str) -> KeyBinding:
    """Return the key as napari binds it; "Ctrl" is the command key on a Mac.

    Raises:
        KeyTextError: There is no such key, or it cannot be distinguished from another one.
    """
    parsed = KeyBinding.from_str(key or "none")
    part = parsed.part0
    if len(parsed.parts) != 1 or part.key in (None, KeyCode.UNKNOWN) or part.is_modifier_key():
        raise KeyTextError(f"{key!r} is no key that can be bound", remedy="Take a letter, a digit or a function key.")
    if part.shift and not (part.ctrl or part.meta) and len(str(part.key)) == 1 and not str(part.key).isalpha():
        raise KeyTextError(f"{key!r} is another character on each keyboard", remedy="Take it without Shift.")
    return KeyBinding.from_int(part.to_int(OperatingSystem.LINUX))


@cache
def normal(key: str) -> str:
    """Return the canonical spelling of a key, for comparison; "?" and other punctuation marks are kept."""
    return key if len(key) == 1 and not key.isalnum() else str(KeyBinding.from_str(key))


def shown(keys: Iterable[str]) -> str:
    """Return keys as displayed on this computer, such as "Ctrl+Z or U"; empty for none."""
    return " or ".join(key if len(key) == 1 else binding(key).to_text() for key in keys)
