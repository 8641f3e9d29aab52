# SPDX-License-Identifier: Apache-2.0
"""Detects corrections that move a structure out of the one that it nests in. Changes nothing by itself."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from psygnal import Signal

from napari_vfss.connections import Connections
from napari_vfss.session.session import Session
from vfss.masks import MaskState, nesting, pack_mask, unpack_mask
from vfss.masks.nesting import Break
from vfss.wording import count


class NestingWatch:
    """Undecided breaks of nesting that were made by corrections, frame by frame.

    Attributes:
        breaks: Undecided breaks by frame; frames without any are absent.
    """

    changed = Signal()
    message = Signal(str)

    def __init__(self, session: Session) -> None:
        """Watch a session from its present state on; breaks that were undecided when the clip was closed still are."""
        self.session = session
        self.breaks: dict[int, list[Break]] = {}
        self._before: dict[int, dict[str, bytes]] = {}  # packed masks outside, of frames that were shown
        self._asked: set[tuple[int, str]] = set()
        self._left_open = self._recall()
        self._connections = Connections()
        self._connections.add(session.frame_changed, self._on_frame)
        self._connections.add(session.masks_changed, self._on_masks)
        session.acceptance_check = self.check_acceptance
        session.viewed.undecided = self.undecided
        self._on_frame(session.frame)

    def close(self) -> None:
        """Disconnect from the session."""
        self._connections.undo()
        self.session.acceptance_check = self.session.viewed.undecided = None

    def here(self) -> list[Break]:
        """Return the undecided breaks on the current frame."""
        return self.breaks.get(self.session.frame, [])

    def describe(self, broken: Break) -> str:
        """Return a break as a sentence."""
        schema = self.session.schema
        child, parent = schema[broken.child].name, schema[broken.parent].name
        place = f"most of it in {schema[broken.lies_in].name}" if broken.lies_in else "in no other structure"
        return f"A correction left {count(broken.pixels, 'pixel')} of {child} outside {parent}, {place}."

    def grow_parent(self, broken: Break) -> bool:
        """Add the part outside to the outer structure; return whether anything changed."""
        return self._change(broken, broken.parent, add=True, what="grew by")

    def cut_child(self, broken: Break) -> bool:
        """Remove the part outside from the inner structure; return whether anything changed."""
        return self._change(broken, broken.child, add=False, what="was cut by")

    def leave(self, broken: Break) -> None:
        """Record that a break is intended."""
        frame = self.session.frame
        before = self._before.setdefault(frame, {})
        kept = unpack_mask(before[broken.child]) if broken.child in before else np.zeros_like(broken.outside)
        before[broken.child] = pack_mask(kept | broken.outside)
        self._look(frame)
        schema = self.session.schema
        self.message.emit(f"Kept as it is: part of {schema[broken.child].name} outside {schema[broken.parent].name}.")

    def check_acceptance(self, structures: Collection[str]) -> str:
        """Return why these structures are not accepted on the current frame yet, or "".

        Each break holds acceptance back once; accepting again means that the break is intended.
        """
        frame = self.session.frame
        concerned = [b for b in self.here() if b.child in structures or b.parent in structures]
        new = [b for b in concerned if (frame, b.child) not in self._asked]
        self._asked.update((frame, b.child) for b in new)
        if new:
            schema = self.session.schema
            what = " and ".join(f"{schema[b.child].name} lies outside {schema[b.parent].name}" for b in new)
            return f"Not accepted yet: {what}. Decide in the panel, or accept again to keep it as it is."
        for broken in concerned:
            self.leave(broken)
        return ""

    def undecided(self, frame: int) -> set[str]:
        """Return the structures of a frame in an undecided break, now or when the clip was last closed."""
        children = [b.child for b in self.breaks.get(frame, ())] + list(self._left_open.get(frame, ()))
        parents = [self.session.schema[child].nests_in for child in children]
        return {*children, *(parent for parent in parents if parent is not None)}

    def _change(self, broken: Break, structure: str, *, add: bool, what: str) -> bool:
        session = self.session
        plane = session.work.planes[session.schema[structure].index]
        mask = plane | broken.outside if add else plane & ~broken.outside
        changed = session.stroke(mask, structure=structure)
        if changed:
            self.message.emit(f"{session.schema[structure].name} {what} {count(broken.pixels, 'pixel')}.")
        return changed

    def _on_frame(self, frame: int) -> None:
        if frame not in self._before:
            now = self._outside(frame)
            for child in self._left_open.get(frame, ()):
                now.pop(child, None)
            self._before[frame] = now
        self._look(frame)

    def _on_masks(self, frame: int) -> None:
        before = self._before.get(frame)
        if before is None:  # a frame that was never shown is judged when it is
            return
        work, schema = self.session.work_at(frame), self.session.schema
        for child, now in self._outside(frame).items():
            pair = (schema[child].index, schema[schema[child].nests_in or child].index)
            if not any(MaskState(work.state[i]).is_annotated for i in pair):
                before[child] = now  # both are proposals, so nothing was corrected
        self._asked = {(at, child) for at, child in self._asked if at != frame}
        self._look(frame)

    def _outside(self, frame: int) -> dict[str, bytes]:
        work = self.session.work_at(frame)
        outside = nesting.outside(self.session.schema, work.planes, work.state)
        return {child: pack_mask(mask) for child, mask in outside.items()}

    def _look(self, frame: int) -> None:
        work = self.session.work_at(frame)
        before = {child: unpack_mask(packed) for child, packed in self._before.get(frame, {}).items()}
        breaks = nesting.breaks(self.session.schema, work.planes, work.state, before)
        was_open = self._open()
        if breaks:
            self.breaks[frame] = breaks
        else:
            self.breaks.pop(frame, None)
        self._left_open.pop(frame, None)
        if self._open() != was_open:
            self.session.project.remember(self.session.author, self._key, self._open())
        self.changed.emit()

    @property
    def _key(self) -> str:
        return f"nesting/{self.session.clip.id}"

    def _open(self) -> dict[str, Any]:
        """Return structures with an undecided break by frame, in JSON types."""
        left = {str(frame): list(children) for frame, children in self._left_open.items()}
        return left | {str(frame): [b.child for b in breaks] for frame, breaks in self.breaks.items()}

    def _recall(self) -> dict[int, list[str]]:
        kept = self.session.project.recall(self.session.author, self._key)
        if not isinstance(kept, dict):
            return {}
        lists = {
            frame: children for frame, children in kept.items() if frame.isdecimal() and isinstance(children, list)
        }
        return {int(frame): [str(child) for child in children] for frame, children in lists.items()}
