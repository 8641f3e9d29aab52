# SPDX-License-Identifier: Apache-2.0
"""The window contacts nobody, and writes into the home folder only what the README names."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import refused_contacts

NAMED = (
    ".cache/napari/",
    ".cache/napari-vfss/",
    ".cache/matplotlib/",
    ".cache/qtshadercache",
    ".config/napari/",
    ".config/napari-vfss/window.json",
)
SUPPORT = Path(refused_contacts.__file__).parent


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("xvfb-run"), reason="needs a display of its own")
def test_the_window_contacts_nobody_and_keeps_no_other_files(clip_file: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "NAPARI_", "CI"))}
    done = subprocess.run(
        ["xvfb-run", "-a", sys.executable, SUPPORT / "idle_window.py", clip_file],
        env={**kept, **refused_contacts.environment(tmp_path / "contacts.txt"), "HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    contacts = tmp_path / "contacts.txt"
    assert not contacts.exists(), contacts.read_text("utf-8")
    assert (clip_file.parent / "vfss_project" / "vfss.sqlite").is_file(), "the recording was opened"
    files = [path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()]
    assert [file for file in files if not file.startswith(NAMED)] == []
    stored = "".join(path.read_text("utf-8") for path in (home / ".config").rglob("*.yaml"))
    assert clip_file.name not in stored and str(clip_file.parent) not in stored
