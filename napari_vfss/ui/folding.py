# SPDX-License-Identifier: Apache-2.0
"""Which sections of the panel are folded: as a person left them, on this computer."""

from __future__ import annotations

from collections.abc import Sequence

from napari_vfss.connections import Connections
from napari_vfss.ui.section import Section
from napari_vfss.user_config import ChoiceFile


class Folding:
    """Folds sections as they were left, and remembers when a person folds one; what unfolds by itself is not kept."""

    def __init__(self, sections: Sequence[Section], file: ChoiceFile) -> None:
        self._file = file
        self._connections = Connections()
        folded = file.values.get("folded")
        for section in sections:
            left = folded.get(section.title) if isinstance(folded, dict) else None
            if isinstance(left, bool):
                (section.fold if left else section.unfold)()
            self._connections.add(section.folded_by_hand, self._remember)

    def close(self) -> None:
        """Remember no more."""
        self._connections.undo()

    def _remember(self, title: str, folded: bool) -> None:
        def change(values: dict[str, object]) -> dict[str, object]:
            before = values.get("folded")
            return {**values, "folded": {**(before if isinstance(before, dict) else {}), title: folded}}

        try:
            self._file.update(change)
        except OSError:  # a folder that cannot be written: it is folded for as long as the window is open
            return
