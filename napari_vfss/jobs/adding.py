# SPDX-License-Identifier: Apache-2.0
"""Background job that adds recordings to a project one by one, and opens a session on the first of them."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QObject, Signal

from napari_vfss.jobs.worker import explain, worker_for
from napari_vfss.session.opening import is_project, open_session, project_folder_for
from napari_vfss.session.session import Session
from vfss.clips import Clip, open_clip, recordings_in
from vfss.clips.thumbnail import thumbnail
from vfss.errors import ClipError, ProjectError, SeveralRecordingsError, VfssError

PAUSE_S = 0.02  # after each recording, in which the window draws
MOST_WAIT_S = 30.0  # for the window to show the first recording
FOR_LAYERS = (
    "pandas",
    "scipy.linalg",
    "scipy.ndimage",
    "scipy.special",
    "skimage.util",
    "vfss.propagation.propagation",
)
"""Libraries that napari, or the layers of a clip, import late."""


@dataclass(frozen=True)
class AddingOrder:
    """What to add, and to which project.

    Attributes:
        paths: Files, folders and at most one project.
        project: Project that all of them join; None for the one of their folder.
        author: Who annotates.
        frames_kept: Number of frames whose masks the session keeps in memory.
        shown: To be set once the first session is shown, or will not be: only then the others are added, as the window
            makes layers meanwhile and would be slowed down.
    """

    paths: tuple[Path, ...]
    project: Path | None
    author: str
    frames_kept: int
    shown: Event = field(default_factory=Event, compare=False)


@dataclass(frozen=True, eq=False)
class AddingStep:
    """One recording was added, or could not be.

    Attributes:
        folder: The project.
        done: Recordings dealt with so far.
        total: Recordings in all.
        clip: Content id; None where it could not be added, or before the first one.
        thumbnail: uint8 (H, W) of the clip; None where it was not decoded.
        session: Session on the first recording that could be opened, to be shown or closed; else None.
        problem: Why it could not be added, for the person; empty where it was.
    """

    folder: Path
    done: int
    total: int
    clip: str | None = None
    thumbnail: npt.NDArray[np.uint8] | None = None
    session: Session | None = field(default=None, repr=False)
    problem: str = ""


def add_recordings(order: AddingOrder) -> Generator[AddingStep, None, None]:
    """Add all recordings to one project; the first one that can be opened comes with a session on it.

    Raises:
        ProjectError: The paths name two projects, or the project cannot be opened.
    """
    from vfss.project import Project

    recordings, folder = _recordings(order)
    total = len(recordings)
    yield AddingStep(folder, 0, total, problem="" if recordings else "There is no recording among them.")
    with ExitStack() as open_project:
        project: Project | None = None  # made with the first recording that can be opened, not for nothing
        for done, path in enumerate(recordings, 1):
            try:
                if project is None:
                    session = open_session(path, order.author, project_folder=folder, frames_kept=order.frames_kept)
                    import_for_layers()
                    yield AddingStep(folder, done, total, session.clip.id, _thumbnail(session.clip), session)
                    order.shown.wait(MOST_WAIT_S)
                    project = open_project.enter_context(Project.open(folder))
                else:
                    with open_clip(path) as clip:
                        record = project.add_clip(clip)
                        picture = _thumbnail(clip)
                    yield AddingStep(folder, done, total, record.id, picture)
            except (VfssError, OSError) as error:
                yield AddingStep(folder, done, total, problem=f"{path.name}: {_short(error)}")
            time.sleep(PAUSE_S)


def import_for_layers() -> None:
    """Do here what napari would do with its first layer, for seconds, in the thread of the window."""
    for name in FOR_LAYERS:
        with suppress(ImportError):
            import_module(name)
    with suppress(ImportError, AttributeError):
        import_module("pint").get_application_registry().Unit("pixel")  # reads its definitions of units


def _recordings(order: AddingOrder) -> tuple[list[Path], Path]:
    """Return the recordings that paths stand for, each once, and the project that they join."""
    projects = list(dict.fromkeys(path.absolute() for path in order.paths if is_project(path)))
    if len(projects) > 1:
        raise ProjectError(
            f"these are {len(projects)} projects, and one window shows one",
            path=projects[1],
            remedy="Open one of them; recordings that come with it join it.",
        )
    recordings, homes = list[Path](), list[Path]()
    for path in order.paths:
        if not is_project(path):
            found = _within(path)
            homes += [path / "recording" if found != [path] else path]
            recordings += found
    folder = projects[0] if projects else order.project or project_folder_for(homes[0])
    return list(dict.fromkeys(path.absolute() for path in recordings)), folder.absolute()


def _within(path: Path) -> list[Path]:
    """Return the recordings of a folder of several; a file, or a folder that is one recording, is returned itself."""
    if not path.is_dir():
        return [path]
    try:
        with open_clip(path) as clip:
            return [path if clip.source is None else clip.source]
    except SeveralRecordingsError as several:
        return list(several.recordings)
    except (ClipError, OSError):
        return recordings_in(path) or [path]


def _thumbnail(clip: Clip) -> npt.NDArray[np.uint8] | None:
    try:
        return thumbnail(clip)
    except ClipError:
        return None


def _short(error: Exception) -> str:
    """Return what is wrong, without the path, which the report names before."""
    if isinstance(error, VfssError):
        return f"{error.what}{'. ' + error.remedy if error.remedy else ''}"
    return explain(error)


class Adding(QObject):
    """Adds recordings, one order at a time."""

    stepped = Signal(object)  # AddingStep
    ended = Signal(str)  # why it failed; empty where it did not

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._worker: Any = None
        self._problem = ""

    @property
    def running(self) -> bool:
        """True while recordings are added."""
        return self._worker is not None

    def start(self, order: AddingOrder) -> None:
        """Start; ignored while another order runs."""
        if self.running:
            return
        self._problem = ""
        self._worker = worker_for(add_recordings, order)
        self._worker.yielded.connect(self.stepped)
        self._worker.errored.connect(self._on_error)
        self._worker.finished.connect(self._on_finished)
        self._worker.start()

    def cancel(self) -> None:
        """Stop after the present recording; what was added stays."""
        if self._worker is not None:
            self._worker.quit()

    def _on_error(self, error: Exception) -> None:
        self._problem = explain(error)

    def _on_finished(self) -> None:
        self._worker = None
        self.ended.emit(self._problem)
