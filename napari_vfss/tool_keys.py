# SPDX-License-Identifier: Apache-2.0
"""Keys of the tools that correct a whole plane, and of clicks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_vfss.click_tool import ClickTool
    from napari_vfss.corrections import Corrections
    from napari_vfss.desk import Desk


@dataclass(frozen=True)
class ToolKey:
    """One thing that a key does.

    Attributes:
        id: Name that stays, such as "correct.smooth".
        title: What it does, as a phrase in lower case.
        keys: Keys that do it by default; the first one is shown on the button.
        do: Called with the desk, after what is under the pen was written.
    """

    id: str
    title: str
    keys: tuple[str, ...]
    do: Callable[[Desk], object]


def _correcting(do: Callable[[Corrections], object]) -> Callable[[Desk], object]:
    return lambda desk: None if desk.corrections is None else do(desk.corrections)


def _clicking(do: Callable[[ClickTool], object]) -> Callable[[Desk], object]:
    return lambda desk: None if desk.clicks is None else do(desk.clicks)


TOOL_KEYS = (
    ToolKey(
        "correct.click", "click: left adds, right removes, drag a box", ("C",), _clicking(lambda clicks: clicks.take())
    ),
    ToolKey(
        "correct.take_back", "take the last click back", ("Backspace",), _clicking(lambda clicks: clicks.take_back())
    ),
    ToolKey("correct.smooth", "smooth the outline", ("O",), _correcting(lambda tools: tools.smooth())),
    ToolKey("correct.shrink", "shrink by the pixels in the panel", (",",), _correcting(lambda tools: tools.shrink())),
    ToolKey("correct.grow", "grow by the pixels in the panel", (".",), _correcting(lambda tools: tools.grow())),
    ToolKey("correct.fill_holes", "fill holes", ("Shift+F",), _correcting(lambda tools: tools.fill_holes())),
    ToolKey("correct.largest", "keep the largest part", ("Shift+K",), _correcting(lambda tools: tools.keep_largest())),
    ToolKey("correct.copy_previous", "copy from the previous frame", ("V",), _correcting(lambda tools: tools.copy(-1))),
    ToolKey("correct.copy_next", "copy from the next frame", ("B",), _correcting(lambda tools: tools.copy(1))),
    ToolKey(
        "correct.copy_all_previous",
        "copy all open structures from the previous frame",
        ("Shift+V",),
        _correcting(lambda tools: tools.copy_all(-1)),
    ),
    ToolKey(
        "correct.copy_all_next",
        "copy all open structures from the next frame",
        ("Shift+B",),
        _correcting(lambda tools: tools.copy_all(1)),
    ),
    ToolKey(
        "correct.interpolate",
        "fill the frames between two accepted ones",
        ("I",),
        _correcting(lambda tools: tools.interpolate()),
    ),
)

KEY_OF = {tool.id: tool.keys[0] for tool in TOOL_KEYS}
