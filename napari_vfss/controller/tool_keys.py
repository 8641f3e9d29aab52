# SPDX-License-Identifier: Apache-2.0
"""Keys of the tools that correct a whole plane, and of clicks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from napari_vfss.keys.action import Action

if TYPE_CHECKING:
    from napari_vfss.controller.controller import Desk
    from napari_vfss.prompting.tool import ClickTool
    from napari_vfss.session.corrections import Corrections


def _correcting(do: Callable[[Corrections], object]) -> Callable[[Desk], object]:
    return lambda desk: None if desk.corrections is None else do(desk.corrections)


def _clicking(do: Callable[[ClickTool], object]) -> Callable[[Desk], object]:
    return lambda desk: None if desk.clicks is None else do(desk.clicks)


def _tool(name: str, title: str, key: str, do: Callable[[Corrections], object]) -> Action:
    return Action(f"correct.{name}", title, "Whole mask", (key,), _correcting(do))


ACTIONS = (
    Action(
        "correct.click", "click: left adds, right removes, drag a box", "Correct", ("C",), _clicking(lambda c: c.take())
    ),
    Action(
        "correct.take_back", "take the last click back", "Correct", ("Backspace",), _clicking(lambda c: c.take_back())
    ),
    _tool("smooth", "smooth the outline", "O", lambda tools: tools.smooth()),
    _tool("shrink", "shrink by the pixels in the panel", ",", lambda tools: tools.shrink()),
    _tool("grow", "grow by the pixels in the panel", ".", lambda tools: tools.grow()),
    _tool("fill_holes", "fill holes", "Shift+F", lambda tools: tools.fill_holes()),
    _tool("largest", "keep the largest part", "Shift+K", lambda tools: tools.keep_largest()),
    _tool("copy_previous", "copy from the previous frame", "V", lambda tools: tools.copy(-1)),
    _tool("copy_next", "copy from the next frame", "B", lambda tools: tools.copy(1)),
    _tool("copy_all_previous", "copy all open from the previous frame", "Shift+V", lambda tools: tools.copy_all(-1)),
    _tool("copy_all_next", "copy all open from the next frame", "Shift+B", lambda tools: tools.copy_all(1)),
    _tool("interpolate", "fill the frames between two accepted ones", "I", lambda tools: tools.interpolate()),
)

KEY_OF = {tool.id: tool.keys[0] for tool in ACTIONS}
