# SPDX-License-Identifier: Apache-2.0
"""Looking through a recording for text and the exposed field, beside the window."""

from __future__ import annotations

from pathlib import Path

from napari_vfss.jobs.files import Making
from vfss.deidentify.suggest_redaction import ProposedRedaction, propose_redaction
from vfss.deidentify.text_detection import TextDetector
from vfss.errors import VfssError
from vfss.project import Project


class PixelSearch(Making):
    """Goes through one recording; ends with a note and a ProposedRedaction, None where it was cancelled."""

    def start(self, project: Path, clip_id: str, *, text: bool) -> None:
        """Begin; nothing while another search goes on.

        Args:
            project: Folder of the project.
            clip_id: The recording.
            text: Whether text is looked for, which takes longest.
        """
        self._begin(self._search, project, clip_id, text)

    def _search(self, folder: Path, clip_id: str, text: bool) -> tuple[str, ProposedRedaction | None]:
        detector, note = None, ""
        if text:
            try:
                detector = TextDetector()
            except VfssError as error:
                note = str(error)
        with Project.open(folder) as project, project.open_clip(clip_id) as clip:
            return note, propose_redaction(project, clip, detector, self._on_progress)
