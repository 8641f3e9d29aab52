# SPDX-License-Identifier: Apache-2.0
"""Phantom frames a second, each with its twelve masks: of one process, and of as many as there are cores.

Every frame is of another clip, as training draws them; "_clip" is a clip from its first frame to its last, as a clip is
written: what stands still in a patient is drawn once.
Run: python benchmarks/phantom_speed.py
Writes benchmarks/results/phantom_speed.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from vfss.phantom import STYLES, Phantom

RESULT = Path(__file__).parent / "results" / "phantom_speed.json"


def draw(seed: int, size: int, style: str) -> float:
    """Seconds for a frame of a clip of its own."""
    began = time.perf_counter()
    Phantom(seed, n_frames=60, height=size, width=size, style=style).sample(seed * 7 % 60)
    return time.perf_counter() - began


def walk(seed: int, size: int, style: str, frames: int) -> float:
    """Frames a second of one clip."""
    phantom = Phantom(seed, n_frames=frames, height=size, width=size, style=style)
    began = time.perf_counter()
    for t in range(frames):
        phantom.sample(t)
    return frames / (time.perf_counter() - began)


def many(pool: ProcessPoolExecutor, n: int, size: int, style: str) -> float:
    """Frames a second of all processes together."""
    began = time.perf_counter()
    list(pool.map(draw, range(1000, 1000 + n), [size] * n, [style] * n, chunksize=4))
    return n / (time.perf_counter() - began)


def walk_many(pool: ProcessPoolExecutor, cores: int, size: int, style: str, frames: int) -> float:
    """Frames a second of all processes together, each with clips of its own."""
    began = time.perf_counter()
    n = 2 * cores
    list(pool.map(walk, range(2000, 2000 + n), [size] * n, [style] * n, [frames] * n))
    return n * frames / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--out", type=Path, default=RESULT)
    chosen = parser.parse_args()
    cores = os.cpu_count() or 1
    load = round(os.getloadavg()[0], 2)
    figures: dict[str, dict[str, float]] = {}
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        many(pool, 4 * cores, 64, "standard")
        for style in sorted(STYLES):
            for size in (256, 512):
                draw(1, size, style)
                each = [draw(seed, size, style) for seed in range(2, 2 + chosen.frames // 4)]
                figures[f"{style} {size}x{size}"] = {
                    "one_process": round(1 / statistics.median(each), 1),
                    "one_process_clip": round(walk(5, size, style, chosen.frames // 4), 1),
                    "all_cores": round(many(pool, chosen.frames, size, style), 1),
                    "all_cores_clip": round(walk_many(pool, cores, size, style, chosen.frames // 2), 1),
                }
    result = {"frames_a_second": figures, "cores": cores, "load_before": load, "target_512_all_cores": 20}
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
