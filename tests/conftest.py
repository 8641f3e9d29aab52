# SPDX-License-Identifier: Apache-2.0
"""Fixtures: a place of their own for settings and caches, a small phantom clip, sessions and windows; no network."""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import refused_contacts

if TYPE_CHECKING:
    from napari_vfss.session.session import Session
    from napari_vfss.ui.panel import AnnotationPanel

# Before napari is imported: tests neither read nor write the settings of whoever runs them.
_SETTINGS = tempfile.TemporaryDirectory(prefix="napari_vfss_test_")
os.environ["NAPARI_CONFIG"] = str(Path(_SETTINGS.name) / "settings.yaml")
os.environ["LOGNAME"] = "ada"  # an account that names a person, who is not asked for a name
os.environ["XDG_CONFIG_HOME"] = _SETTINGS.name  # of windows, too, that live longer than one test
_CONTACTS = Path(_SETTINGS.name) / "contacts.txt"
os.environ.update(refused_contacts.environment(_CONTACTS))
refused_contacts.refuse()

FRAMES, SIZE = 24, 160
TORCH = {"small_checkpoint", "torch", "vfss_training"}
"""Names in a test module by which it will import torch."""
WARM_TRAINER = Path(__file__).resolve().parent / "support" / "warm_trainer.py"


def pytest_configure(config: pytest.Config) -> None:
    """Give each of several workers its own virtual display: windows on one display take each other's focus."""
    if sys.platform == "linux" and hasattr(config, "workerinput") and shutil.which("Xvfb"):
        ours, theirs = os.pipe()
        command = ["Xvfb", "-displayfd", str(theirs), "-screen", "0", "1600x1000x24", "-nolisten", "tcp"]
        display = subprocess.Popen(command, pass_fds=(theirs,), stderr=subprocess.DEVNULL)
        os.close(theirs)
        with os.fdopen(ours) as number:
            os.environ["DISPLAY"] = f":{number.readline().strip()}"
        atexit.register(display.kill)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests of windows and of torch; skip windows without a display; import torch before the first window."""
    windows = [item for item in items if "qapp" in getattr(item, "fixturenames", ())]
    torch = [item for item in items if hasattr(item, "module") and TORCH & set(vars(item.module))]
    display = sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    for item in torch:
        item.add_marker("torch")
    for item in windows:
        item.add_marker("window")
        if not display:
            item.add_marker(pytest.mark.skip(reason="no display: run under xvfb-run"))
    if display and windows and torch:
        # Importing torch, torchvision and timm after a software OpenGL context exists kills the process.
        importlib.import_module("vfss.student.network.student")
        importlib.import_module("vfss_training.model.export")


@pytest.fixture(autouse=True)
def own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Caches and data of the user go to a folder of the test run."""
    base = tmp_path_factory.getbasetemp()
    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(base / name.lower()))


@pytest.fixture(autouse=True)
def no_contacts() -> Iterator[None]:
    """Nothing contacts another computer, whether it says so or not."""
    yield
    if _CONTACTS.exists():
        tried = _CONTACTS.read_text("utf-8")
        _CONTACTS.unlink()
        pytest.fail(f"another computer would have been contacted: {tried}")


@pytest.fixture(scope="session")
def phantom_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A phantom swallow as MP4, 24 frames of 160x160."""
    from vfss.phantom import Phantom
    from vfss.phantom.write import write_video

    path = tmp_path_factory.mktemp("phantom") / "swallow.mp4"
    write_video(Phantom(3, n_frames=FRAMES, height=SIZE, width=SIZE, variant="normal", style="clinic"), path)
    return path


@pytest.fixture
def clip_file(phantom_file: Path, tmp_path: Path) -> Path:
    """A copy of the phantom swallow in a folder of its own."""
    path = tmp_path / "clips" / "swallow.mp4"
    path.parent.mkdir()
    path.write_bytes(phantom_file.read_bytes())
    return path


@pytest.fixture
def make_session(clip_file: Path) -> Iterator[Callable[..., Session]]:
    """Sessions on the clip, all in one project; they are closed at the end."""
    from napari_vfss.session.opening import open_session

    made: list[Session] = []

    def make(author: str = "Ada") -> Session:
        made.append(open_session(clip_file, author))
        return made[-1]

    yield make
    for session in made:
        session.close()


@pytest.fixture
def session(make_session: Callable[..., Session]) -> Session:
    """One annotator's session on the clip."""
    return make_session()


@pytest.fixture
def make_window(qapp: Any) -> Iterator[Callable[[], AnnotationPanel]]:
    """Real napari windows with the panel docked; whatever they leave behind is closed at the end."""
    from napari_vfss.commands import open_window

    made: list[tuple[Any, AnnotationPanel]] = []

    def make() -> AnnotationPanel:
        viewer, panel = open_window()
        panel.window().resize(1200, 800)
        made.append((viewer, panel))
        qapp.processEvents()
        return panel

    yield make
    for viewer, panel in made:
        panel.close_controller()
        viewer.close()
    qapp.processEvents()


@pytest.fixture(scope="session")
def shared_window(qapp: Any) -> Iterator[AnnotationPanel]:
    """One window for many tests: building one takes seconds on a small machine."""
    from napari_vfss.commands import open_window

    viewer, panel = open_window()
    panel.window().resize(1200, 800)
    gc.freeze()  # napari collects garbage at every layer it removes, through all that the test run has imported
    yield panel
    gc.unfreeze()
    panel.close_controller()
    viewer.close()


@pytest.fixture
def window(shared_window: AnnotationPanel, clip_file: Path) -> Iterator[AnnotationPanel]:
    """A window with the phantom swallow open."""
    controller = shared_window.controller
    controller.project_folder = None
    if not controller.open(clip_file):
        pytest.fail(shared_window.message.text())
    yield shared_window
    controller.close_session()
    shared_window.viewer.layers.clear()
    shared_window.message.clear()


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real recordings, which are no part of the repository."""
    folder = Path(os.environ.get("VFSS_SHARED", Path(__file__).resolve().parents[1].parent / "shared"))
    if not (folder / "data" / "clips").is_dir():
        pytest.skip(f"no real recordings in {folder} (set VFSS_SHARED)")
    return folder


@pytest.fixture(scope="session")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Command of a trainer process that starts at once: it is forked from one that has imported everything."""
    if not hasattr(os, "fork") or sys.platform == "darwin":
        yield [sys.executable, "-m", "vfss_training.cli"]
        return
    path = str(tmp_path_factory.mktemp("trainer") / "socket")
    with subprocess.Popen([sys.executable, str(WARM_TRAINER), "serve", path], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        yield [sys.executable, "-S", str(WARM_TRAINER), "run", path]
        server.kill()
