# SPDX-License-Identifier: Apache-2.0
"""Longest pause of the window while a whole 1024x1024 clip is proposed, and how often it paused for long.

A timer of 5 ms runs in the event loop; the gap between two of its calls is what a person would feel.
Run under a display or Xvfb: xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/gui_block.py
Writes benchmarks/results/gui_block.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

from napari_vfss.commands import open_window
from vfss.phantom import Phantom
from vfss.phantom.write import write_video

RESULT = Path(__file__).parent / "results" / "gui_block.json"
TICK_MS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--out", type=Path, default=RESULT)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        write_video(Phantom(7, n_frames=chosen.frames, height=chosen.size, width=chosen.size), path)
        viewer, panel = open_window(Path(folder) / "project")
        panel.window().resize(1366, 768)
        panel.controller.open(path)
        for _ in range(40):
            QApplication.processEvents()
            time.sleep(0.01)
        idle = gaps(panel, lambda began: time.perf_counter() - began < 3)
        panel.controller.student_jobs.propose(0, chosen.frames - 1)
        began = time.perf_counter()
        busy = gaps(panel, lambda _: panel.controller.student_jobs.proposing.running)
        took = time.perf_counter() - began
        done = int((panel.controller.session.states == 1).all(axis=1).sum())
        panel.close_controller()
        viewer.close()
    result = {
        "size": chosen.size,
        "frames_proposed": done,
        "seconds": round(took, 1),
        "cores": os.cpu_count(),
        "load_after": round(os.getloadavg()[0], 2),
        "while_proposing": summary(busy),
        "idle": summary(idle),
        "target_max_ms": 100,
    }
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    print(json.dumps(result, indent=2))


def gaps(panel, going) -> list[float]:
    """Milliseconds between ticks of the event loop while something goes on."""
    found: list[float] = []
    last = began = time.perf_counter()

    def tick() -> None:
        nonlocal last
        now = time.perf_counter()
        found.append((now - last) * 1000)
        last = now

    timer = QTimer(panel)
    timer.timeout.connect(tick)
    timer.start(TICK_MS)
    while going(began):
        QApplication.processEvents()
        time.sleep(0.001)
    timer.stop()
    return found


def summary(found: list[float]) -> dict[str, float]:
    """What the gaps were like."""
    return {
        "max_ms": round(max(found), 1),
        "p99_ms": round(statistics.quantiles(found, n=100)[98], 1),
        "median_ms": round(statistics.median(found), 1),
        "over_100_ms": sum(gap > 100 for gap in found),
    }


if __name__ == "__main__":
    main()
