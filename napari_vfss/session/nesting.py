# SPDX-License-Identifier: Apache-2.0
"""Watches whether corrections take a structure out of the one that it nests in. Changes nothing by itself."""

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
    """Breaks of nesting that a person's corrections made and nobody has decided on yet, frame by frame.

    Attributes:
        breaks: Open breaks by frame; frames without any are absent.
    """

    changed = Signal()
    message = Signal(str)

    def __init__(self, session: Session) -> None:
        """Watch a session, from what it is now; what was open when the clip was last closed is open again."""
        self.session = session
        self.breaks: dict[int, list[Break]] = {}
        self._before: dict[int, dict[str, bytes]] = {}  # packed: one for each frame that was looked at
        self._asked: set[tuple[int, str]] = set()
        self._left_open = self._recall()
        self._connections = Connections()
        self._connections.add(session.frame_changed, self._on_frame)
        self._connections.add(session.masks_changed, self._on_masks)
        session.acceptance_check = self.check_acceptance
        session.viewed.undecided = self.undecided
        self._on_frame(session.frame)

    def close(self) -> None:
        """Let go of the session."""
        self._connections.undo()
        self.session.acceptance_check = self.session.viewed.undecided = None

    def here(self) -> list[Break]:
        """Open breaks on the current frame."""
        return self.breaks.get(self.session.frame, [])

    def words(self, found: Break) -> str:
        """A break in a plain sentence."""
        schema = self.session.schema
        child, parent = schema[found.child].name, schema[found.parent].name
        place = f"most of it in {schema[found.lies_in].name}" if found.lies_in else "in no other structure"
        return f"A correction left {count(found.pixels, 'pixel')} of {child} outside {parent}, {place}."

    def grow_parent(self, found: Break) -> bool:
        """Add to the outer structure what lies outside of it."""
        return self._change(found, found.parent, add=True, what="grew by")

    def cut_child(self, found: Break) -> bool:
        """Take away from the inner structure what lies outside."""
        return self._change(found, found.child, add=False, what="was cut by")

    def leave(self, found: Break) -> None:
        """A person says that it is meant."""
        frame = self.session.frame
        before = self._before.setdefault(frame, {})
        kept = unpack_mask(before[found.child]) if found.child in before else np.zeros_like(found.outside)
        before[found.child] = pack_mask(kept | found.outside)
        self._look(frame)
        schema = self.session.schema
        self.message.emit(f"Kept as it is: part of {schema[found.child].name} outside {schema[found.parent].name}.")

    def check_acceptance(self, structures: Collection[str]) -> str:
        """What to ask before these structures are accepted on the current frame; asked once, then it is meant."""
        frame = self.session.frame
        concerned = [found for found in self.here() if found.child in structures or found.parent in structures]
        new = [found for found in concerned if (frame, found.child) not in self._asked]
        self._asked.update((frame, found.child) for found in new)
        if new:
            schema = self.session.schema
            what = " and ".join(f"{schema[f.child].name} lies outside {schema[f.parent].name}" for f in new)
            return f"Not accepted yet: {what}. Decide in the panel, or accept once more to keep it so."
        for found in concerned:
            self.leave(found)
        return ""

    def undecided(self, frame: int) -> set[str]:
        """Structures of a frame that are part of an open break, those that were open when the clip was closed too."""
        children = [found.child for found in self.breaks.get(frame, ())] + list(self._left_open.get(frame, ()))
        parents = [self.session.schema[child].nests_in for child in children]
        return {*children, *(parent for parent in parents if parent is not None)}

    def _change(self, found: Break, structure: str, *, add: bool, what: str) -> bool:
        session = self.session
        plane = session.work.planes[session.schema[structure].index]
        mask = plane | found.outside if add else plane & ~found.outside
        changed = session.stroke(mask, structure=structure)
        if changed:
            self.message.emit(f"{session.schema[structure].name} {what} {count(found.pixels, 'pixel')}.")
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
        if before is None:  # a frame that nobody has looked at: what is written there is judged when somebody does
            return
        work, schema = self.session.work_at(frame), self.session.schema
        for child, now in self._outside(frame).items():
            pair = (schema[child].index, schema[schema[child].nests_in or child].index)
            if not any(MaskState(work.state[i]).is_annotated for i in pair):
                before[child] = now  # the machine's word on both: no correction
        self._asked = {(at, child) for at, child in self._asked if at != frame}
        self._look(frame)

    def _outside(self, frame: int) -> dict[str, bytes]:
        work = self.session.work_at(frame)
        found = nesting.outside(self.session.schema, work.planes, work.state)
        return {child: pack_mask(mask) for child, mask in found.items()}

    def _look(self, frame: int) -> None:
        work = self.session.work_at(frame)
        before = {child: unpack_mask(packed) for child, packed in self._before.get(frame, {}).items()}
        found = nesting.breaks(self.session.schema, work.planes, work.state, before)
        was_open = self._open()
        if found:
            self.breaks[frame] = found
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
        """Structures with an open break by frame, as JSON can say it."""
        left = {str(frame): list(children) for frame, children in self._left_open.items()}
        return left | {str(frame): [found.child for found in breaks] for frame, breaks in self.breaks.items()}

    def _recall(self) -> dict[int, list[str]]:
        kept = self.session.project.recall(self.session.author, self._key)
        if not isinstance(kept, dict):
            return {}
        return {int(frame): [str(child) for child in children] for frame, children in kept.items()}
