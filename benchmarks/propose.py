# SPDX-License-Identifier: Apache-2.0
# Libraries are imported where they are used, so that each measuring process pays for its own only.
# ruff: noqa: PLC0415
"""How long the default student takes for a frame, beside the encoder of SAM ViT-B on the same processor.

Each is measured in a process of its own, one after the other: whole `propose` (preparing, network, masks of all
structures at the frame's own size) on phantom frames of 512 x 512 and 1024 x 1024, frame by frame; and the encoder
alone of SAM ViT-B with random weights at its 1024 x 1024. Writes benchmarks/results/propose.json.
Run: python benchmarks/propose.py
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results" / "propose.json"
SIZES = (512, 1024)


def timed(call: Callable[[], object], repeats: int) -> list[float]:
    """Milliseconds of each call, after one that warms up."""
    call()
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        taken.append(1000.0 * (time.perf_counter() - began))
    return taken


def summary(taken: list[float]) -> dict[str, float]:
    return {
        "median_ms": round(statistics.median(taken), 2),
        "min_ms": round(min(taken), 2),
        "p90_ms": round(float(np.percentile(taken, 90)), 2),
        "fps": round(1000.0 / statistics.median(taken), 1),
        "repeats": len(taken),
    }


def phantom_frames(size: int, n: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    from vfss.phantom import Phantom

    return np.stack([Phantom(200_000 + i, n_frames=20, height=size, width=size).frame(10) for i in range(n)])


def measure_student(name: str, device: str, precision: str | None, repeats: int) -> dict[str, Any]:
    from vfss.student import Student, load_checkpoint, load_student
    from vfss.student.openvino import OpenVinoRuntime

    began = time.perf_counter()
    student = load_student(name, device)
    loaded_s = time.perf_counter() - began
    if precision is not None and student.path is not None:
        checkpoint = load_checkpoint(student.path)
        student = Student(checkpoint, OpenVinoRuntime(checkpoint, precision=precision))
    found: dict[str, Any] = {"student": student.id, "device": student.device, "load_s": round(loaded_s, 2)}
    for size in SIZES:
        frames = phantom_frames(size, 4)
        turn = itertools.cycle(frames[:, None])
        found[f"{size}x{size}"] = summary(timed(lambda turn=turn: student.propose(next(turn)), repeats))
    return found


def measure_sam(repeats: int) -> dict[str, Any]:
    import torch
    from segment_anything import build_sam_vit_b

    encoder = build_sam_vit_b().image_encoder.eval()
    frame = torch.randn(1, 3, 1024, 1024)
    with torch.inference_mode():
        taken = timed(lambda: encoder(frame), repeats)
    return {"device": f"torch {torch.__version__}, cpu, f32", "1024x1024": summary(taken)}


def alone(function: Callable[..., dict[str, Any]], *arguments: object) -> dict[str, Any]:
    """Result of a function in a fresh process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text("utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {os.cpu_count()} processors"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--student", default="default")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--repeats", type=int, default=60)
    parser.add_argument("--sam-repeats", type=int, default=2)
    arguments = parser.parse_args()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    student = alone(measure_student, arguments.student, arguments.device, None, arguments.repeats)
    result: dict[str, Any] = {"processor": processor(), "load_before": load, "propose": student}
    if arguments.device == "cpu":
        result["propose_f32"] = alone(measure_student, arguments.student, "cpu", "f32", arguments.repeats)
    result["sam_vit_b_encoder"] = alone(measure_sam, arguments.sam_repeats)
    ratio = result["sam_vit_b_encoder"]["1024x1024"]["median_ms"] / student["512x512"]["median_ms"]
    result["times_faster_than_sam_vit_b_encoder"] = round(ratio, 1)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
