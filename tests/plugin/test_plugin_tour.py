# SPDX-License-Identifier: Apache-2.0
"""The program from its command to its end: what a newcomer runs first."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def test_the_tour_is_walked_and_the_program_ends_well(qapp, tmp_path: Path) -> None:
    # A thread that is still at work when the interpreter ends would kill the process after all is done.
    ended = subprocess.run(
        [sys.executable, "-m", "napari_vfss.app", "--tour", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    told = json.loads((tmp_path / "out" / "tour.json").read_text("utf-8"))
    assert told["frames_accepted"] == told["images_read_back"] == 3
    assert all((tmp_path / "out" / name).is_file() for name in told["screenshots"])
