# SPDX-License-Identifier: Apache-2.0
"""The user's choices about the window, in small JSON files in the user's configuration folder."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import platformdirs
from qtpy.QtCore import QFileSystemWatcher, QLockFile, QObject, Signal

from vfss.output.atomic_file import atomic_file
from vfss.plain_data import parse_json

WAIT_FOR_OTHER_MS = 1000


def config_folder() -> Path:
    """Return the configuration folder of the user."""
    return platformdirs.user_config_path("napari-vfss")


class UserConfigFile(QObject):
    """One JSON object in a file, shared by all windows of a user.

    A damaged file is renamed, never overwritten, and counts as empty.

    Attributes:
        path: The file.
        warning: Message about a damaged file; empty for none.
        values: Contents of the file.
    """

    changed = Signal()

    def __init__(self, name: str, parent: QObject | None = None, *, folder: Path | None = None) -> None:
        super().__init__(parent)
        self.path = (folder or config_folder()) / name
        self.warning = ""
        self.values: dict[str, Any] = self._read()
        self._watcher = QFileSystemWatcher(self)
        self._watcher.directoryChanged.connect(self._on_folder)
        self._watch()

    def update(self, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        """Change the present contents of the file, whichever window wrote them.

        Args:
            change: Given the contents, returns the new ones.

        Raises:
            OSError: The file cannot be written.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = QLockFile(str(self.path) + ".lock")
        locked = lock.tryLock(WAIT_FOR_OTHER_MS)
        try:
            values = change(self._read())
            with atomic_file(self.path) as file:
                file.write((json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode())
        finally:
            if locked:
                lock.unlock()
        self._watch()
        self._take(values)

    def _read(self) -> dict[str, Any]:
        try:
            text = self.path.read_text("utf-8")
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as error:
            return self._put_aside(str(error))
        try:
            values = parse_json(text)
        except ValueError as error:
            return self._put_aside(str(error))
        return values if isinstance(values, dict) else self._put_aside("it holds no JSON object")

    def _put_aside(self, why: str) -> dict[str, Any]:
        aside = self.path.with_name(f"{self.path.stem}-damaged-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}{self.path.suffix}")
        try:
            self.path.rename(aside)
            kept = f"It is kept as {aside.name}."
        except OSError as error:
            kept = f"It could not be moved away ({error.strerror or error})."
        self.warning = f"{self.path} cannot be read ({why}): the defaults are used. {kept}"
        return {}

    def _watch(self) -> None:
        folder = str(self.path.parent)
        if os.path.isdir(folder) and folder not in self._watcher.directories():  # noqa: PTH112  a text for Qt
            self._watcher.addPath(folder)

    def _on_folder(self, _folder: str) -> None:
        self._take(self._read())

    def _take(self, values: dict[str, Any]) -> None:
        if values != self.values:
            self.values = values
            self.changed.emit()
