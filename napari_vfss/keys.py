# SPDX-License-Identifier: Apache-2.0
"""Keys of the picture: bound in code while a clip is open, because napari ignores those of a manifest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from app_model.types import KeyBinding, KeyCode, KeyMod

from napari_vfss.layers import ClipLayers
from napari_vfss.session import Session
from napari_vfss.tool_keys import TOOL_KEYS
from vfss.masks import MaskState

CTRL, SHIFT = KeyMod.CtrlCmd, KeyMod.Shift

HELP: tuple[tuple[str, str], ...] = (
    ("1 ... 9, 0, -, =", "choose the structure to correct (as listed in the panel)"),
    ("Left, Right", "previous, next frame"),
    ("Q, Shift+Q", "propose this frame, the whole clip"),
    ("P, E, G, F", "paint, erase, polygon, fill"),
    ("Z, or hold Space", "move the picture"),
    ("[ , ]", "smaller, larger brush"),
    ("Ctrl+Z, Ctrl+Shift+Z", "undo, redo: this structure on this frame"),
    ("R", "back to the proposal"),
    ("S", "accept the structure"),
    ("A", "accept the frame"),
    ("N", "not visible on this frame"),
    ("X", "empty on this frame: visible place, no pixels"),
    ("H", "hide all masks, show them again"),
    *((", ".join(tool.keys), tool.title) for tool in TOOL_KEYS),
    ("Escape", "give up the polygon under way"),
)


class KeyBindings:
    """Binds keys on the viewer and on a clip's layers to the work on that clip, and unbinds them on close."""

    def __init__(
        self,
        viewer: Any,
        session: Session,
        layers: ClipLayers,
        *,
        propose: Callable[[int, int], None],
        telling: Callable[[], AbstractContextManager[None]],
        tools: Mapping[str, Callable[[], object]] | None = None,
    ) -> None:
        """Bind.

        Args:
            viewer: Where keys are pressed.
            session: What they change.
            layers: What they show, and bind on.
            propose: Called with the first and last frame to propose.
            telling: Context that tells a person of an error instead of raising it.
            tools: What more keys do, such as "Shift+F".
        """
        self._viewer, self._session, self._layers = viewer, session, layers
        self._propose, self._telling = propose, telling
        self._tools = dict(tools or {})
        self._actions = self._table()
        self._bound: list[Any] = []
        self.bind()

    def bind(self) -> None:
        """Bind on the viewer and on every layer of the clip; again after a layer was put back."""
        layers = self._layers
        for target in (self._viewer, layers.image, layers.overlay, layers.editor):
            if any(target is bound for bound in self._bound):
                continue
            for key, action in self._actions.items():
                target.bind_key(key, action, overwrite=True)
            self._bound.append(target)

    def close(self) -> None:
        """Unbind everything."""
        for target in self._bound:
            for key in self._actions:
                target.bind_key(key, None)
        self._bound.clear()

    def _table(self) -> dict[KeyBinding, Callable[[Any], None]]:
        session, layers, propose = self._session, self._layers, self._propose
        last = session.clip.n_frames - 1
        plain: dict[Any, Callable[[], object]] = {
            KeyCode.KeyQ: lambda: propose(session.frame, session.frame),
            SHIFT | KeyCode.KeyQ: lambda: propose(0, last),
            KeyCode.KeyP: lambda: layers.set_tool("paint"),
            KeyCode.KeyE: lambda: layers.set_tool("erase"),
            KeyCode.KeyG: lambda: layers.set_tool("polygon"),
            KeyCode.KeyF: lambda: layers.set_tool("fill"),
            KeyCode.KeyZ: lambda: layers.set_tool("pan_zoom"),
            KeyCode.KeyR: session.restore_proposal,
            KeyCode.KeyS: session.accept_structure,
            KeyCode.KeyA: session.accept_frame,
            KeyCode.KeyN: lambda: session.mark(MaskState.NOT_VISIBLE),
            KeyCode.KeyX: lambda: session.mark(MaskState.EMPTY),
            KeyCode.KeyH: layers.toggle_masks,
            CTRL | KeyCode.KeyZ: session.undo,
            CTRL | SHIFT | KeyCode.KeyZ: session.redo,
            CTRL | KeyCode.KeyY: session.redo,
        }
        for structure in session.schema.structures:
            if structure.shortcut is not None:
                code = KeyCode.from_string(structure.shortcut)
                plain[code] = _choosing(session, structure.key)
        table = {KeyBinding.from_int(int(code)): self._wrapped(action) for code, action in plain.items()}
        return table | {KeyBinding.from_str(key): self._wrapped(action) for key, action in self._tools.items()}

    def _wrapped(self, action: Callable[[], object]) -> Callable[[Any], None]:
        def run(_target: Any) -> None:
            with self._telling():
                self._layers.flush()
                action()

        return run


def _choosing(session: Session, key: str) -> Callable[[], object]:
    return lambda: session.choose(key)
