# SPDX-License-Identifier: Apache-2.0
"""Median time of a frame step in a real window with all structures shown, 1024x1024.

"handled" is the step itself: decoding, reading twelve masks from the project, composing and handing them to napari; the
target is set on it. "drawn" adds the window's drawing, which under Xvfb is software OpenGL: compare it with the last
line, napari with one image in memory and no plugin.
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
    """A phantom clip with every structure proposed on every frame."""
    phantom = Phantom(7, n_frames=frames, height=size, width=size)
    path = folder / "clip.mp4"
    write_video(phantom, path)
    with Project.create(folder / "vfss_project") as project:
        clip_id = project.add_clip(path).id
        state = np.full(len(phantom.schema), MaskState.PROPOSED, np.uint8)
        words = np.full(len(phantom.schema), 0.9, np.float32)
        for t in range(frames):
            proposal = Proposal(phantom.schema.keys, Masks(phantom.planes(t), state), words, "truth", clip_id, t)
            project.write_proposals(clip_id, [proposal])
    return path


def walk(dims: Any, frames: int, steps: int) -> dict[str, list[float]]:
    """Milliseconds of each step: until napari and the plugin have taken it in, and until the window is drawn."""
    times: dict[str, list[float]] = {"handled_ms": [], "drawn_ms": []}
    for i in range(1, steps + 1):
        began = time.perf_counter()
        dims.set_current_step(0, i % frames)
        handled = time.perf_counter()
        QApplication.processEvents()
        times["handled_ms"].append((handled - began) * 1000)
        times["drawn_ms"].append((time.perf_counter() - began) * 1000)
    return times


def bare_napari(frames: int, size: int) -> dict[str, list[float]]:
    """The same walk in napari alone with nothing but an image in memory: what this machine can do at all."""
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
    """Median of each list."""
    return {key: round(statistics.median(values), 1) for key, values in times.items()}


def settle() -> None:
    """Let the window finish what it does when something was added."""
    for _ in range(20):
        QApplication.processEvents()
        time.sleep(0.01)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--out", type=Path, default=RESULT)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = make_clip(Path(folder), chosen.frames, chosen.size)
        viewer, panel = open_window()
        panel.window().resize(1366, 768)
        panel.controller.open(path)
        settle()
        first = walk(panel.viewer.dims, chosen.frames, chosen.frames - 1)
        again = walk(panel.viewer.dims, chosen.frames, chosen.frames - 1)
        panel.close_controller()
        viewer.close()
    bare = bare_napari(chosen.frames, chosen.size)
    result = {
        "size": chosen.size,
        "frames": chosen.frames,
        "window": "1366x768",
        "cores": os.cpu_count(),
        "processor": platform.processor() or platform.machine(),
        "load_before": round(os.getloadavg()[0], 2),
        "first_walk": medians(first),
        "second_walk": medians(again),
        "napari_with_an_image_alone": medians(bare),
        "target_handled_ms": 33,
    }
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
