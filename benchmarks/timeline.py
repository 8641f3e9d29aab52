# SPDX-License-Identifier: Apache-2.0
"""Time to repaint the timeline: 9,000 frames of twelve structures, at every zoom.

"changed" is a repaint after masks changed or the view moved: states are evaluated, the strip is drawn and shown.
"stepped" is one for another current frame, as in playback. The target, 16 ms, applies to both. "survey" is the reading
of confidence in a clip of 900 frames, which runs as a background job of the window.

    xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/timeline.py

Writes benchmarks/results/timeline.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile
from qtpy.QtWidgets import QApplication

from napari_vfss.jobs.survey import ClipOverview
from napari_vfss.ui.timeline.strip import Timeline
from vfss.clips import ArrayClip
from vfss.consistency.survey import Survey
from vfss.masks import Masks, MaskState
from vfss.phantom import Phantom
from vfss.project import Project
from vfss.project.records import Mark
from vfss.schema import Schema
from vfss.student import Proposal

RESULT = Path(__file__).parent / "results" / "timeline.json"
FRAMES, WIDTH, HEIGHT = 9000, 1340, 160
TARGET_MS = 16


def random_overview(random: np.random.Generator, n: int) -> ClipOverview:
    """Return states as in practice: accepted stretches, proposals of any confidence, occasional jumps."""
    stretches = np.repeat(random.choice(list(MaskState), (n // 30 + 1, 12)), 30, axis=0)[:n].astype(np.uint8)
    confidence = random.random((n, 12), np.float32)
    jumps = (random.random((n, 12), np.float32) < 0.02).astype(np.float32)
    return ClipOverview(stretches, confidence, jumps)


def timed(action: Callable[[], object], repeats: int) -> dict[str, float]:
    """Return median milliseconds of wall time and of CPU time; other processes lengthen the former."""
    measured: list[tuple[float, float]] = []
    for _ in range(repeats):
        started, cpu_started = time.perf_counter(), time.process_time()
        action()
        measured.append(((time.perf_counter() - started) * 1000, (time.process_time() - cpu_started) * 1000))
    clock, processor = zip(*measured, strict=True)
    return {"median_ms": round(statistics.median(clock), 2), "processor_ms": round(statistics.median(processor), 2)}


def repaint() -> dict[str, dict[str, float]]:
    """Return the times of repaints, by number of frames in view."""
    random = np.random.default_rng(0)
    strip = random_overview(random, FRAMES)
    timeline = Timeline()
    timeline.resize(WIDTH, HEIGHT)
    timeline.show_clip(Schema.load(), ArrayClip(np.zeros((FRAMES, 1, 1), np.uint8)), strip)
    timeline.show_marks([Mark("swallow", t, t + 60) for t in range(0, FRAMES, 400)] + [Mark("hyb", 500)])
    timeline.show()
    QApplication.processEvents()

    def changed() -> None:
        timeline.show_strip(ClipOverview(strip.states, strip.confidence, strip.inconsistency))
        timeline.repaint()

    def stepped() -> None:
        timeline.show_place(int(timeline.scale.first) + random.integers(int(timeline.scale.span)), 3)
        timeline.repaint()

    result = {}
    for frames in (9000, 900, 90):
        timeline.show_all()
        timeline.zoom(FRAMES / frames)
        changed()
        result[f"{frames} frames in view"] = {
            **{f"changed_{key}": value for key, value in timed(changed, 60).items()},
            **{f"stepped_{key}": value for key, value in timed(stepped, 60).items()},
        }
    timeline.close()
    return result


def survey(frames: int, size: int) -> dict[str, float]:
    """Return the time of a survey of a clip."""
    phantom = Phantom(7, n_frames=60, height=size, width=size)
    planes = [phantom.planes(t) for t in range(60)]
    keys = phantom.schema.keys
    state, confidence = np.full(12, MaskState.PROPOSED, np.uint8), np.full(12, 0.9, np.float32)
    with tempfile.TemporaryDirectory() as folder, Project.create(Path(folder) / "project") as project:
        path = Path(folder) / "clip.tif"
        tifffile.imwrite(path, np.zeros((frames, size, size), np.uint8), photometric="minisblack", compression="zlib")
        clip_id = project.add_clip(path).id
        for first in range(0, frames, 60):
            project.write_proposals(
                clip_id,
                [Proposal(keys, Masks(planes[t], state), confidence, "truth", clip_id, first + t) for t in range(60)],
            )
        clip_survey = Survey(project.overview, clip_id, frames, 12)
        return {"frames": frames, "size": size, **timed(lambda: list(clip_survey.catch_up()), 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    application = QApplication.instance() or QApplication([])
    result = {
        "frames": FRAMES,
        "structures": 12,
        "size": [WIDTH, HEIGHT],
        "cores": os.cpu_count(),
        "processor": platform.processor() or platform.machine(),
        "load_before": round(os.getloadavg()[0], 2),
        "target_ms": TARGET_MS,
        "repaint": repaint(),
        "survey": survey(900, 512),
    }
    application.processEvents()
    arguments.out.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
