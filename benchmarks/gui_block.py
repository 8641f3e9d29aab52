# SPDX-License-Identifier: Apache-2.0
"""Pauses of the window while a 1024x1024 clip is proposed: the longest, and how many are over 100 ms.

A timer of 5 ms runs in the event loop; the gap between two of its calls is the pause that a user would notice.
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
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        write_video(Phantom(7, n_frames=arguments.frames, height=arguments.size, width=arguments.size), path)
        viewer, panel = open_window(Path(folder) / "project")
        panel.window().resize(1366, 768)
        panel.controller.open(path)
        for _ in range(40):
            QApplication.processEvents()
            time.sleep(0.01)
        idle = gaps(panel, lambda started: time.perf_counter() - started < 3)
        panel.controller.student_jobs.propose(0, arguments.frames - 1)
        started = time.perf_counter()
        busy = gaps(panel, lambda _: panel.controller.student_jobs.proposing.running)
        seconds = time.perf_counter() - started
        done = int((panel.controller.session.states == 1).all(axis=1).sum())
        panel.close_controller()
        viewer.close()
    result = {
        "size": arguments.size,
        "frames_proposed": done,
        "seconds": round(seconds, 1),
        "cores": os.cpu_count(),
        "load_after": round(os.getloadavg()[0], 2),
        "while_proposing": summary(busy),
        "idle": summary(idle),
        "target_max_ms": 100,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    print(json.dumps(result, indent=2))


def gaps(panel, is_running) -> list[float]:
    """Return milliseconds between ticks of the event loop while a condition holds."""
    intervals: list[float] = []
    last = started = time.perf_counter()

    def tick() -> None:
        nonlocal last
        now = time.perf_counter()
        intervals.append((now - last) * 1000)
        last = now

    timer = QTimer(panel)
    timer.timeout.connect(tick)
    timer.start(TICK_MS)
    while is_running(started):
        QApplication.processEvents()
        time.sleep(0.001)
    timer.stop()
    return intervals


def summary(intervals: list[float]) -> dict[str, float]:
    """Return maximum, percentiles and number of long gaps."""
    return {
        "max_ms": round(max(intervals), 1),
        "p99_ms": round(statistics.quantiles(intervals, n=100)[98], 1),
        "median_ms": round(statistics.median(intervals), 1),
        "over_100_ms": sum(gap > 100 for gap in intervals),
    }


if __name__ == "__main__":
    main()
