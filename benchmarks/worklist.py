# SPDX-License-Identifier: Apache-2.0
"""Forty recordings opened at once in a real window: the longest pauses of the window, and the time until all is there.

A timer of 5 ms runs in the event loop; the gap between two of its calls is the pause that a user would notice. The
recordings are a phantom swallow of a few frames, repeated and shifted sideways, so that no two are the same. The list
is complete once each recording has a row, a thumbnail and its count of doubtful masks. Pauses are measured in three
parts: until the first recording is shown (its layers are made in the window's thread), while that happens, and after.
Run under a display or Xvfb: xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/worklist.py
Writes benchmarks/results/worklist.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

from napari_vfss.commands import open_window
from vfss.phantom import Phantom
from vfss.phantom.write import write_video

RESULT = Path(__file__).parent / "results" / "worklist.json"
TICK_MS = 5
LIMIT_S = 120


class ShiftedPhantom:
    """A short phantom swallow, repeated and shifted sideways, so that each recording has other content."""

    fps = 30.0

    def __init__(self, frames: np.ndarray, n_frames: int, shift: int) -> None:
        """Take rendered frames, uint8 (T, H, W)."""
        self._frames, self._shift = frames, shift
        self.n_frames, (self.height, self.width) = n_frames, frames.shape[1:]

    def frame(self, t: int) -> np.ndarray:
        """Return a frame, uint8 (H, W)."""
        return np.roll(self._frames[t % len(self._frames)], self._shift, axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        recordings = write_recordings(Path(folder) / "archive", arguments.clips, arguments.frames, arguments.size)
        load_before = os.getloadavg()[0]
        viewer, panel = open_window(Path(folder) / "project")
        panel.window().resize(1366, 768)
        panel.worklist.show_dock()
        run_for(2.0)
        result = measure(panel, recordings)
        result["rows_query_ms"] = query_ms(panel)
        panel.close_controller()
        viewer.close()
    facts = {"clips": arguments.clips, "frames": arguments.frames, "size": arguments.size, "cores": os.cpu_count()}
    load = {"load_before": round(load_before, 2), "load_after": round(os.getloadavg()[0], 2)}
    targets = {"target_max_ms": 100, "target_complete_s": 10}
    text = json.dumps(facts | result | load | targets, indent=2)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(text + "\n", "utf-8")
    print(text)


def write_recordings(folder: Path, n: int, n_frames: int, size: int) -> list[Path]:
    """Write recordings that differ in content; return their files."""
    folder.mkdir(parents=True)
    phantom = Phantom(7, n_frames=12, height=size, width=size, style="clinic")
    frames = np.stack([phantom.frame(t) for t in range(12)])
    paths = [folder / f"P{i // 4 + 1:02d}_swallow_{i % 4 + 1}.mp4" for i in range(n)]
    for i, path in enumerate(paths):
        write_video(ShiftedPhantom(frames, n_frames, 3 * i), path)
    return paths


def measure(panel, recordings: list[Path]) -> dict[str, object]:
    """Open all recordings and follow the window until the list is complete."""
    worklist, opening = panel.controller.worklist, panel.controller.opening_many
    marks: dict[str, float] = {}
    ticks: list[float] = []
    begun = time.perf_counter()

    def complete() -> bool:
        rows = panel.worklist.rows.rowCount()
        known = len(worklist.thumbnails) == len(worklist.doubtful) == len(recordings)
        return rows == len(recordings) and known and not opening.running

    timer = QTimer(panel)
    timer.timeout.connect(lambda: ticks.append(time.perf_counter()))
    timer.start(TICK_MS)
    panel.controller.session_changed.connect(lambda: marks.setdefault("first_shown", time.perf_counter()))
    opening.ended.connect(lambda: marks.setdefault("all_added", time.perf_counter()))
    panel.controller.open_many(recordings)
    while not complete() and time.perf_counter() - begun < LIMIT_S:
        QApplication.processEvents()
        time.sleep(0.001)
    done = time.perf_counter()
    run_for(1.0)
    timer.stop()
    gaps = [(first, 1000 * (second - first)) for first, second in pairwise(ticks)]
    shown = marks.get("first_shown", done)
    around = [gap for at, gap in gaps if at <= shown + 0.5 and at + gap / 1000 >= shown - 0.5]
    elsewhere = [gap for at, gap in gaps if at > shown + 0.5 or at + gap / 1000 < shown - 0.5]
    return {
        "complete": complete(),
        "first_shown_s": round(shown - begun, 2),
        "all_added_s": round(marks.get("all_added", done) - begun, 2),
        "complete_s": round(done - begun, 2),
        "while_the_first_is_shown": summary(around),
        "while_the_list_fills": summary(elsewhere),
    }


def query_ms(panel) -> float:
    """Return the median time of the query of all rows, milliseconds."""
    times = []
    for _ in range(15):
        begun = time.perf_counter()
        panel.controller.session.project.worklist.rows()
        times.append(1000 * (time.perf_counter() - begun))
    return round(statistics.median(times), 2)


def run_for(seconds: float) -> None:
    """Run the event loop for a while."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        QApplication.processEvents()
        time.sleep(0.001)


def summary(gaps: list[float]) -> dict[str, float]:
    """Return the longest gaps, the 99th percentile, and how many are over 100 ms."""
    ordered = sorted(gaps, reverse=True)
    return {
        "max_ms": round(ordered[0], 1),
        "longest_ms": [round(gap, 1) for gap in ordered[:5]],
        "p99_ms": round(ordered[len(ordered) // 100], 1),
        "over_100_ms": sum(gap > 100 for gap in gaps),
    }


if __name__ == "__main__":
    main()
