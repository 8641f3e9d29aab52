# SPDX-License-Identifier: Apache-2.0
"""Phantom frames per second, each with its twelve masks, in one process and in one process per core.

Every frame is of another clip, as in training; "_clip" is a clip from its first frame to its last, as when a clip is
written: still parts of a patient are drawn once. "written" is a project of such clips, video and DICOM with the truth
of every frame, by vfss.phantom.write_phantom, start of its processes and all.
Run: python benchmarks/phantom_speed.py
Writes benchmarks/results/phantom_speed.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from vfss.phantom import STYLES, Phantom, write_phantom

RESULT = Path(__file__).parent / "results" / "phantom_speed.json"


def draw(seed: int, size: int, style: str) -> float:
    """Return the seconds for one frame of a new clip."""
    started = time.perf_counter()
    Phantom(seed, n_frames=60, height=size, width=size, style=style).sample(seed * 7 % 60)
    return time.perf_counter() - started


def walk(seed: int, size: int, style: str, frames: int) -> float:
    """Return the frames per second of one clip."""
    phantom = Phantom(seed, n_frames=frames, height=size, width=size, style=style)
    started = time.perf_counter()
    for t in range(frames):
        phantom.sample(t)
    return frames / (time.perf_counter() - started)


def many(pool: ProcessPoolExecutor, n: int, size: int, style: str) -> float:
    """Return the frames per second of all processes together."""
    started = time.perf_counter()
    list(pool.map(draw, range(1000, 1000 + n), [size] * n, [style] * n, chunksize=4))
    return n / (time.perf_counter() - started)


def walk_many(pool: ProcessPoolExecutor, cores: int, size: int, style: str, frames: int) -> float:
    """Return the frames per second of all processes together, each with its own clips."""
    started = time.perf_counter()
    n = 2 * cores
    list(pool.map(walk, range(2000, 2000 + n), [size] * n, [style] * n, [frames] * n))
    return n * frames / (time.perf_counter() - started)


def written(size: int, style: str, clips: int, frames: int) -> float:
    """Return the frames per second of a project that is written."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        write_phantom(folder, clips=clips, frames=frames, seed=3000, size=size, style=style)
        return clips * frames / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    cores = os.cpu_count() or 1
    load = round(os.getloadavg()[0], 2)
    figures: dict[str, dict[str, float]] = {}
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        many(pool, 4 * cores, 64, "standard")
        for style in sorted(STYLES):
            for size in (256, 512):
                draw(1, size, style)
                seconds = [draw(seed, size, style) for seed in range(2, 2 + arguments.frames // 4)]
                figures[f"{style} {size}x{size}"] = {
                    "one_process": round(1 / statistics.median(seconds), 1),
                    "one_process_clip": round(walk(5, size, style, arguments.frames // 4), 1),
                    "all_cores": round(many(pool, arguments.frames, size, style), 1),
                    "all_cores_clip": round(walk_many(pool, cores, size, style, arguments.frames // 2), 1),
                    "written": round(written(size, style, 4 * cores, arguments.frames), 1),
                }
    result = {"frames_a_second": figures, "cores": cores, "load_before": load, "target_512_written": 30}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
