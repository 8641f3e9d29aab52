# SPDX-License-Identifier: Apache-2.0
"""A clip of a project as it is named on the command line."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

from vfss.errors import DatasetError

# The rest of the engine is imported where it is needed: `vfss --help` must not wait for it.
if TYPE_CHECKING:
    from vfss.project import ClipRecord, Project


def named_clip(project: Project, name: str) -> ClipRecord:
    """Return the clip with that id, beginning of an id, or file name, or whose file that is.

    Raises:
        DatasetError: None or several clips of the project match.
        VfssError: The project or the file cannot be read.
    """
    records = project.clips()
    plain = unicodedata.normalize("NFC", name)  # file systems differ in how they write an umlaut
    matches = [r for r in records if name == r.id or plain == unicodedata.normalize("NFC", r.path.name)]
    if not matches and len(name) > 5:
        matches = [record for record in records if record.id.startswith(name)]
    if len(matches) == 1:
        return matches[0]
    if not matches and Path(name).exists():
        from vfss.clips import content_id

        return project.clip(content_id(name))
    raise DatasetError(
        f"{len(matches) or 'no'} clips of the project match {name!r}",
        remedy=f"Give an id or file name: {', '.join(f'{r.path.name} ({r.id})' for r in records) or 'it has none'}.",
    )
