# SPDX-License-Identifier: Apache-2.0
"""The walk that all formats share: frames out of the project, into a folder that is whole or not there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import imageio.v3 as iio

from vfss.datasets.manifest import NOTICE, Manifest
from vfss.datasets.report import ExportReport, Progress
from vfss.datasets.selection import AnnotatedFrame, Selection
from vfss.errors import ClipError, DatasetError, MaskError
from vfss.project import ClipRecord, Project

_MARK = "EXPORT_NOT_FINISHED"


class Writer(Protocol):
    """What a format does with the frames it is given."""

    def add(self, frame: AnnotatedFrame, fields: dict[str, Any]) -> None:
        """Write the planes of a frame; `fields` describe it (Manifest.add), its picture is written already."""

    def finish(self, manifest: dict[str, Any]) -> None:
        """Write what comes last."""


class PartialFolder:
    """A folder in the making: `<out>.partial` until finish() gives it its name; removed when that never comes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.path = self.folder.parent / f"{self.folder.name}.partial"
        self._finished = False

    def __enter__(self) -> PartialFolder:
        try:
            self._begin()
        except OSError as error:
            raise _not_writable(self.folder, error) from error
        return self

    def _begin(self) -> None:
        if self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise DatasetError(
                "the folder to export into is not empty", path=self.folder, remedy="Name a new one, or empty it first."
            )
        if self.path.exists():  # of an export that was killed, or something that is none of our business
            if not (self.path / _MARK).is_file():
                raise DatasetError(
                    "stands in the way, and is no unfinished export", path=self.path, remedy="Move or rename it."
                )
            shutil.rmtree(self.path)
        self.path.mkdir(parents=True)
        (self.path / _MARK).touch()

    def finish(self) -> None:
        """Give the folder its name."""
        (self.path / _MARK).unlink()
        if self.folder.exists():  # empty, as checked; Windows does not rename onto it
            self.folder.rmdir()
        self.path.rename(self.folder)
        self._finished = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._finished:
            shutil.rmtree(self.path, ignore_errors=True)
        if isinstance(error, OSError):
            raise _not_writable(self.folder, error) from error


def _not_writable(folder: Path, error: OSError) -> DatasetError:
    return DatasetError(
        f"cannot be written ({error.strerror or error})",
        path=folder,
        remedy="Check the free space and the rights of the folder; no half export was left there.",
    )


class Export:
    """One export under way: frames go to a writer, counts into a manifest and a report."""

    def __init__(self, project: Project, format_name: str, *, include_edited: bool) -> None:
        self._project = project
        self._format = format_name
        self._selection = Selection(project, include_edited=include_edited)
        self._manifest = Manifest(project, include_edited=include_edited)
        self._problems: list[str] = []
        self._done = 0

    def run(self, folder: Path, make_writer: Callable[[Path], Writer], progress: Progress | None) -> ExportReport:
        """Write everything, or nothing.

        Raises:
            DatasetError: The folder is taken, there is nothing to export, or writing failed.
        """
        if not len(self._selection):
            raise DatasetError(
                "no frame has an accepted structure: there is nothing to export",
                path=self._project.folder,
                remedy="Accept frames or structures first.",
            )
        with PartialFolder(folder) as partial:
            (partial.path / "images").mkdir()
            writer = make_writer(partial.path)
            for record, frames in self._selection.frames:
                if not self._clip(record, frames, partial.path, writer, progress):
                    return self._report(None)
            if not self._manifest.images:
                raise DatasetError(
                    f"none of {len(self._selection)} frames could be read; the first: {self._problems[0]}", path=folder
                )
            writer.finish(self._manifest.to_dict(self._selection.left_out))
            (partial.path / "README.txt").write_text(NOTICE + "\n", "utf-8")
            partial.finish()
        return self._report(folder)

    def _clip(
        self, record: ClipRecord, frames: list[int], folder: Path, writer: Writer, progress: Progress | None
    ) -> bool:
        """False where the export was cancelled."""
        try:
            clip = self._project.open_clip(record.id)
        except ClipError as error:
            self._leave_out(error, "frames of clips that could not be opened", len(frames))
            return self._tell(progress, len(frames))
        with clip:
            for t in frames:
                try:
                    frame = self._selection.read(record, clip, t)
                except (ClipError, MaskError) as error:
                    self._leave_out(error, "frames that could not be read", 1)
                else:
                    fields = self._manifest.add(frame)
                    iio.imwrite(folder / fields["file_name"], frame.pixels, extension=".png")
                    writer.add(frame, fields)
                if not self._tell(progress, 1):
                    return False
        return True

    def _leave_out(self, error: ClipError | MaskError, reason: str, frames: int) -> None:
        self._problems.append(str(error))
        self._selection.left_out[reason] += frames

    def _tell(self, progress: Progress | None, frames: int) -> bool:
        self._done += frames
        return progress is None or progress(self._done, len(self._selection)) is not False

    def _report(self, folder: Path | None) -> ExportReport:
        return ExportReport(
            format=self._format,
            folder=folder,
            images=self._manifest.images,
            structures=dict(self._manifest.structures),
            patients=self._manifest.patients,
            splits=dict(self._manifest.splits),
            left_out=dict(self._selection.left_out),
            problems=tuple(self._problems),
        )


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Plain data as JSON in UTF-8; numbers that JSON does not know are refused."""
    with path.open("w", encoding="utf-8") as file:
        json.dump(data, file, ensure_ascii=False, allow_nan=False)
