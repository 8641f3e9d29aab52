# SPDX-License-Identifier: Apache-2.0
"""Makes the pictures of docs/tutorial.md by following it: xvfb-run -a python scripts/tutorial_pictures.py."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from unittest import mock

from napari_vfss.commands import open_window
from napari_vfss.ui.dialogs.export import QFileDialog

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from walkthrough import Walkthrough, read_steps  # noqa: E402

DOCS = ROOT / "docs"
WIDTH = 1024


def main() -> int:
    """Follow the tutorial in a folder of its own and write a picture wherever the text has one."""
    with tempfile.TemporaryDirectory() as work:
        viewer, panel = open_window(Path(work) / "project")
        panel.window().resize(1366, 768)
        walk = Walkthrough(viewer, panel)
        with mock.patch.object(QFileDialog, "getExistingDirectory", lambda *_: str(Path(work) / "dataset")):
            for step in read_steps((DOCS / "tutorial.md").read_text("utf-8")):
                walk.perform(step)
                if step.picture:
                    walk.shoot(DOCS / step.picture, WIDTH)
        panel.close_controller()
        viewer.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
