# SPDX-License-Identifier: Apache-2.0
"""The `napari-vfss` program: napari with the panel docked."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vfss.errors import VfssError
from vfss.version import __version__

LAST_WAIT_MS = 20_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Open the window, or run the scripted tour; return the exit status of the program."""
    chosen = _parser().parse_args(arguments)
    wrong = [path for path in chosen.paths if not _openable(path)]
    if wrong:
        return _complain(f"{wrong[0]}: {'neither a recording nor a project' if wrong[0].exists() else 'not found'}.")
    if len(chosen.paths) > 1 and chosen.project is None and any(_is_project(path) for path in chosen.paths):
        return _complain("Give one project, or recordings.")
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return _complain("There is no display. Without one: xvfb-run -a napari-vfss --tour DIR")
    try:
        if chosen.tour is not None:
            _bring_in_gpu()
            from napari_vfss.demo.tour import run_tour

            return run_tour(chosen.tour)
        return _run(chosen)
    except VfssError as error:
        return _complain(str(error))
    finally:
        _end_workers()


def _end_workers() -> None:
    """Wait for background threads of a closed window: Qt's cleanup at exit would crash while they run."""
    if "qtpy.QtCore" not in sys.modules:
        return
    from qtpy.QtCore import QCoreApplication, QEvent, QThreadPool

    pool = QThreadPool.globalInstance()
    if pool is not None:
        pool.waitForDone(LAST_WAIT_MS)
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def _run(chosen: argparse.Namespace) -> int:
    application = _application()
    from napari_vfss.program.splash import Splash

    splash = Splash()
    splash.show()
    splash.say("Starting...")
    _bring_in_gpu()
    import napari

    from napari_vfss.program.opening import open_program
    from napari_vfss.program.warm_up import warm_up

    splash.say("Opening the window...")
    program = open_program(chosen.project)
    splash.finish(program.window)
    application.processEvents()
    if chosen.sample:
        program.panel.clip.open_sample(chosen.sample)
    if chosen.paths:
        program.open_paths(chosen.paths)
    if chosen.project is not None and not chosen.paths and not chosen.sample:
        program.controller.choose_project(chosen.project)
    warm_up()
    napari.run()
    return 0


def _bring_in_gpu() -> None:
    from vfss.student import bring_in_gpu

    bring_in_gpu()


def _application() -> Any:
    """Return the Qt application, made as napari makes it, but before napari is imported."""
    from qtpy.QtWidgets import QApplication

    application = QApplication.instance() or QApplication(sys.argv[:1])
    application.setApplicationName("napari-vfss")
    application.setApplicationVersion(__version__)
    return application


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="napari-vfss", description="Annotate videofluoroscopic swallowing studies in napari."
    )
    parser.add_argument("paths", nargs="*", type=Path, metavar="CLIP_OR_PROJECT", help="recordings, or one project")
    parser.add_argument("--project", type=Path, metavar="DIR", help="project that the recordings join")
    parser.add_argument(
        "--sample",
        nargs="?",
        const="normal",
        choices=("normal", "aspiration"),
        help="open a phantom swallow, made by the program",
    )
    parser.add_argument(
        "--tour", type=Path, metavar="DIR", help="run a scripted tour; screenshots and a dataset go to DIR"
    )
    parser.add_argument("--version", action="version", version=f"napari-vfss {__version__}")
    return parser


def _is_project(path: Path) -> bool:
    from napari_vfss.session.opening import is_project

    return is_project(path)


def _openable(path: Path) -> bool:
    from vfss.clips import can_open, recordings_in

    return _is_project(path) or can_open(path) or (path.is_dir() and bool(recordings_in(path)))


def _complain(message: str) -> int:
    sys.stderr.write(f"napari-vfss: {message}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
