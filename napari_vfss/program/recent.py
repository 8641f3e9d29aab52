# SPDX-License-Identifier: Apache-2.0
"""Projects that were open last, with what the start page shows of them."""

from __future__ import annotations

import contextlib
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from napari_vfss.user_config import UserConfigFile

MOST = 8


@dataclass(frozen=True)
class RecentProject:
    """A project as it was when it was last open.

    Attributes:
        folder: Its folder.
        opened: When, ISO 8601, UTC.
        clips: Number of its recordings.
        frames: Frames of the clip that was open.
        accepted: Frames of it on which a person confirmed something.
        phantom: True if that clip is a phantom, of which a picture may be shown.
    """

    folder: str
    opened: str
    clips: int = 0
    frames: int = 0
    accepted: int = 0
    phantom: bool = False

    @property
    def exists(self) -> bool:
        """True if the project is where it was."""
        return (Path(self.folder) / "vfss.sqlite").is_file()

    @property
    def day(self) -> str:
        """Date on which it was open last, in local time; empty if that is not known."""
        with contextlib.suppress(ValueError):
            return f"{datetime.fromisoformat(self.opened).astimezone():%d %b %Y}"
        return ""


class RecentProjects:
    """The list in the user's configuration folder, newest first; holds paths and counts, no pictures and no names."""

    def __init__(self, file: UserConfigFile) -> None:
        self._file = file

    def all(self) -> list[RecentProject]:
        """Return the projects that are still there; entries of any other form are left out."""
        listed = self._file.values.get("projects")
        read = [_read(entry) for entry in listed] if isinstance(listed, list) else []
        return [project for project in read if project is not None and project.exists]

    def add(self, project: RecentProject) -> None:
        """Put a project first; the list is not kept where the folder cannot be written."""

        def change(values: dict[str, Any]) -> dict[str, Any]:
            before = values.get("projects")
            others = [entry for entry in before if _folder(entry) != project.folder] if isinstance(before, list) else []
            return {**values, "projects": [asdict(project), *others][:MOST]}

        with contextlib.suppress(OSError):
            self._file.update(change)

    def forget(self, folder: str) -> None:
        """Take a project off the list; the project itself stays as it is."""

        def change(values: dict[str, Any]) -> dict[str, Any]:
            before = values.get("projects")
            kept = [entry for entry in before if _folder(entry) != folder] if isinstance(before, list) else []
            return {**values, "projects": kept}

        with contextlib.suppress(OSError):
            self._file.update(change)


def now() -> str:
    """Return the present moment as RecentProject keeps it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _folder(entry: Any) -> Any:
    return entry.get("folder") if isinstance(entry, dict) else None


def _read(entry: Any) -> RecentProject | None:
    if not isinstance(entry, dict) or not isinstance(entry.get("folder"), str):
        return None
    counts = {key: entry[key] for key in ("clips", "frames", "accepted") if type(entry.get(key)) is int}
    return RecentProject(entry["folder"], str(entry.get("opened", "")), phantom=entry.get("phantom") is True, **counts)
