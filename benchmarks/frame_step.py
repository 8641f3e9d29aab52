# SPDX-License-Identifier: Apache-2.0
"""Median time of a frame step in a real window with all structures shown, 1024x1024.

"handled" is the step itself: decoding, reading twelve masks from the project, composing them and passing them to
napari; the target applies to it. "drawn" adds the drawing of the window, which under Xvfb is software OpenGL: compare
it with the last row, napari with one image in memory and without the plugin.
Run under a display or Xvfb: xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/frame_step.py
Writes benchmarks/results/frame_step.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import napari
import numpy as np
from qtpy.QtWidgets import QApplication

from napari_vfss.commands import open_window
from vfss.masks import Masks, MaskState
from vfss.phantom import Phantom
from vfss.phantom.write import write_video
from vfss.project import Project
from vfss.student import Proposal

RESULT = Path(__file__).parent / "results" / "frame_step.json"


def make_clip(folder: Path, frames: int, size: int) -> Path:
    """Create a phantom clip with every structure proposed on every frame."""
    phantom = Phantom(7, n_frames=frames, height=size, width=size)
    path = folder / "clip.mp4"
    write_video(phantom, path)
    with Project.create(folder / "vfss_project") as project:
        clip_id = project.add_clip(path).id
        state = np.full(len(phantom.schema), MaskState.PROPOSED, np.uint8)
        confidence = np.full(len(phantom.schema), 0.9, np.float32)
        for t in range(frames):
            proposal = Proposal(phantom.schema.keys, Masks(phantom.planes(t), state), confidence, "truth", clip_id, t)
            project.write_proposals(clip_id, [proposal])
    return path


def walk(dims: Any, frames: int, steps: int) -> dict[str, list[float]]:
    """Return milliseconds of each step: until napari and the plugin have handled it, and until the window is drawn."""
    times: dict[str, list[float]] = {"handled_ms": [], "drawn_ms": []}
    for i in range(1, steps + 1):
        started = time.perf_counter()
        dims.set_current_step(0, i % frames)
        handled = time.perf_counter()
        QApplication.processEvents()
        times["handled_ms"].append((handled - started) * 1000)
        times["drawn_ms"].append((time.perf_counter() - started) * 1000)
    return times


def walk_napari_only(frames: int, size: int) -> dict[str, list[float]]:
    """Return the times of the same steps in napari with only an image in memory: the lower bound on this computer."""
    viewer = napari.Viewer()
    window = viewer.window._qt_window
    window.resize(1366, 768)
    noise = np.random.default_rng(0).integers(0, 255, (frames, size, size), np.uint8)
    viewer.add_image(noise)
    settle()
    times = walk(viewer.dims, frames, frames - 1)
    viewer.close()
    return times


def medians(times: dict[str, list[float]]) -> dict[str, float]:
    """Return the median of each list."""
    return {key: round(statistics.median(values), 1) for key, values in times.items()}


def settle() -> None:
    """Process events until the window has handled recent changes."""
    for _ in range(20):
        QApplication.processEvents()
        time.sleep(0.01)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = make_clip(Path(folder), arguments.frames, arguments.size)
        viewer, panel = open_window()
        panel.window().resize(1366, 768)
        panel.controller.open(path)
        settle()
        first = walk(panel.viewer.dims, arguments.frames, arguments.frames - 1)
        second = walk(panel.viewer.dims, arguments.frames, arguments.frames - 1)
        panel.close_controller()
        viewer.close()
    napari_only = walk_napari_only(arguments.frames, arguments.size)
    result = {
        "size": arguments.size,
        "frames": arguments.frames,
        "window": "1366x768",
        "cores": os.cpu_count(),
        "processor": platform.processor() or platform.machine(),
        "load_before": round(os.getloadavg()[0], 2),
        "first_walk": medians(first),
        "second_walk": medians(second),
        "napari_with_an_image_alone": medians(napari_only),
        "target_handled_ms": 33,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
