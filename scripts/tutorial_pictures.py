# SPDX-License-Identifier: Apache-2.0
"""Makes the pictures of docs/tutorial.md by following it: xvfb-run -a python scripts/tutorial_pictures.py."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from unittest import mock

from napari_vfss.program.opening import open_program
from napari_vfss.ui.dialogs.export import QFileDialog

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from walkthrough import Walkthrough, read_steps  # noqa: E402

DOCS = ROOT / "docs"
WIDTH = 1024


def main() -> int:
    """Follow the tutorial in a folder of its own and write a picture wherever the text has one."""
    with tempfile.TemporaryDirectory() as work:
        program = open_program(Path(work) / "project")
        program.window.setGeometry(0, 0, 1366, 768)
        panel = program.panel
        walk = Walkthrough(program.viewer, panel)
        with mock.patch.object(QFileDialog, "getExistingDirectory", lambda *_: str(Path(work) / "dataset")):
            for step in read_steps((DOCS / "tutorial.md").read_text("utf-8")):
                walk.perform(step)
                if step.picture:
                    walk.shoot(DOCS / step.picture, WIDTH)
        panel.close_controller()
        program.viewer.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
