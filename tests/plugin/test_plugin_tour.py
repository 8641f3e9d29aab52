# SPDX-License-Identifier: Apache-2.0
"""The guided tour, run as a command from start to exit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def test_the_tour_runs_and_the_program_exits_cleanly(qapp, tmp_path: Path) -> None:
    # A thread still running when the interpreter exits would crash the process at the very end.
    ended = subprocess.run(
        [sys.executable, "-m", "napari_vfss.app", "--tour", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    report = json.loads((tmp_path / "out" / "tour.json").read_text("utf-8"))
    assert report["frames_accepted"] == report["images_read_back"] == 3
    assert all((tmp_path / "out" / name).is_file() for name in report["screenshots"])
