# SPDX-License-Identifier: Apache-2.0
# Libraries are imported where they are used, so that each measuring process pays for its own only.
# ruff: noqa: PLC0415
"""How long the default student takes for a whole frame, beside MobileSAM with twelve boxes on the same processor.

Each is measured in a process of its own, one after the other. "whole" is a frame of a clip on disk, as the program
does it: decoding, preparing, network, masks of all structures at the frame's own size; "stages" are its parts. "clip"
is the same for all frames of a clip, by the frame: several are worked on side by side.
MobileSAM is given the decoded frame and the true box of every structure that is there: encoder, decoder, masks at the
frame's size. The encoder alone of SAM ViT-B (random weights) shows where the field comes from. Writes
benchmarks/results/propose.json, or propose_cuda.json with --device cuda, where whole batches go through the network
and a profile says what limits it.
Run: VFSS_SHARED=FOLDER python benchmarks/propose.py     (FOLDER/weights/mobile_sam.pt; or --mobile-sam FILE)
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results" / "propose.json"
SIZES = (512, 1024)
CLIP_FRAMES, MOMENT = 40, 20


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


def phantom_clip(folder: Path, size: int) -> Path:
    """A clip of a swallow, H.264."""
    from vfss.phantom import Phantom, write_video

    path = folder / f"{size}.mp4"
    write_video(Phantom(200_000, n_frames=CLIP_FRAMES, height=size, width=size), path)
    return path


def measure_student(name: str, device: str, precision: str | None, repeats: int, folder: str) -> dict[str, Any]:
    from vfss.clips import open_clip
    from vfss.student import Student, load_checkpoint, load_student
    from vfss.student.openvino_runtime import OpenVinoRuntime

    began = time.perf_counter()
    student = load_student(name, device)
    loaded_s = time.perf_counter() - began
    checkpoint = load_checkpoint(student.path)
    if device == "cpu" and precision is not None:
        student = Student(checkpoint, OpenVinoRuntime(checkpoint, precision=precision))
    found: dict[str, Any] = {"student": student.id, "device": student.device, "load_s": round(loaded_s, 2)}
    for size in SIZES:
        with open_clip(Path(folder) / f"{size}.mp4") as clip:
            turn = itertools.cycle(range(clip.n_frames))
            whole = summary(
                timed(lambda turn=turn, clip=clip: student.propose(clip.as_uint8(next(turn))[None]), repeats)
            )
            frames = [clip.as_uint8(t) for t in range(clip.n_frames)]
            clips = timed(lambda clip=clip: each(student, clip), max(3, repeats // 10))
        found[f"{size}x{size}"] = {"whole": whole, "clip": per_frame(clips, len(frames))}
        if device == "cpu":
            found[f"{size}x{size}"]["stages"] = stages(checkpoint, precision, frames, repeats)
    return found


def each(student: Any, clip: Any) -> int:
    """Propose on a whole clip, decoding included; frames done."""
    return sum(1 for _ in student.propose_each(clip.as_uint8(t) for t in range(clip.n_frames)))


def per_frame(taken: list[float], frames: int) -> dict[str, float]:
    """Summary of milliseconds a frame where whole clips were timed."""
    return summary([milliseconds / frames for milliseconds in taken])


def stages(checkpoint: Any, precision: str | None, frames: list[Any], repeats: int) -> dict[str, float]:
    """Median milliseconds of preparing, of the network, and of masks at the frame's size."""
    from vfss.student.openvino_runtime import OpenVinoRuntime
    from vfss.student.preprocess import Placement, prepare, restore

    runtime = OpenVinoRuntime(checkpoint, precision=precision)
    placement = Placement.of(*frames[0].shape, checkpoint.config.input_size)
    turn = itertools.cycle(frames)
    prepared = prepare(frames[0], placement, checkpoint.config)[None]
    logits = runtime.run(prepared)[0][0]
    calls: dict[str, Callable[[], object]] = {
        "prepare_ms": lambda: prepare(next(turn), placement, checkpoint.config),
        "network_ms": lambda: runtime.run(prepared),
        "masks_ms": lambda: restore(logits, placement),
    }
    return {name: summary(timed(call, repeats))["median_ms"] for name, call in calls.items()}


def measure_mobile_sam(weights: str, repeats: int, folder: str) -> dict[str, Any]:
    import torch

    from vfss.clips import open_clip
    from vfss.phantom import Phantom
    from vfss_training.teachers.loading import load_teacher

    teacher = load_teacher("mobile-sam", Path(weights))
    found: dict[str, Any] = {"device": f"torch {torch.__version__}, cpu, f32, {torch.get_num_threads()} threads"}
    for size in SIZES:
        planes = Phantom(200_000, n_frames=CLIP_FRAMES, height=size, width=size).planes(MOMENT)
        boxes = np.stack([box_of(plane) for plane in planes if plane.any()])
        with open_clip(Path(folder) / f"{size}.mp4") as clip:
            frame = clip.as_uint8(MOMENT)
        taken = timed(lambda frame=frame, boxes=boxes: teacher.masks(teacher.encode(frame), boxes), repeats)
        found[f"{size}x{size}"] = {"boxes": len(boxes), "whole": summary(taken)}
    return found


def box_of(plane: Any) -> Any:
    """Left, top, right, bottom of a plane, px."""
    rows, columns = np.nonzero(plane)
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], np.float32)


def measure_cuda(name: str, folder: str) -> dict[str, Any]:
    """Frames a second in batches of frames in memory, and what the time goes into."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    from vfss.clips import open_clip
    from vfss.student import load_checkpoint, load_student
    from vfss.student.torch_runtime import TorchRuntime

    student = load_student(name, "cuda")
    checkpoint = load_checkpoint(student.path)
    runtime = TorchRuntime(checkpoint, "cuda")
    side = checkpoint.config.input_size
    found: dict[str, Any] = {"student": student.id, "device": torch.cuda.get_device_name()}
    for batch in (1, 16, 64, 256):
        inputs = np.random.default_rng(0).standard_normal((batch, 1, side, side), np.float32)
        taken = timed(lambda inputs=inputs: runtime.run(inputs), 20)
        found[f"network_batch_{batch}_fps"] = round(1000.0 * batch / statistics.median(taken), 1)
    with open_clip(Path(folder) / "512.mp4") as clip:
        frames = np.stack([clip.as_uint8(t % clip.n_frames) for t in range(256)])
    taken = timed(lambda: student.propose(frames), 5)
    found["propose_512_fps"] = round(1000.0 * len(frames) / statistics.median(taken), 1)
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as record:
        student.propose(frames)
    found["profile"] = record.key_averages().table(sort_by="cuda_time_total", row_limit=12).splitlines()
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
    parser.add_argument(
        "--mobile-sam", type=Path, default=Path(os.environ.get("VFSS_SHARED", ".")) / "weights/mobile_sam.pt"
    )
    parser.add_argument("--repeats", type=int, default=60)
    parser.add_argument("--sam-repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, help="JSON file; default: see above.")
    arguments = parser.parse_args()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    result: dict[str, Any] = {"processor": processor(), "load_before": load}
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            phantom_clip(Path(folder), size)
        if arguments.device == "cuda":
            result["cuda"] = alone(measure_cuda, arguments.student, folder)
            write(result, arguments.out or RESULTS.with_stem("propose_cuda"))
            return
        student = arguments.student
        result["propose"] = alone(measure_student, student, "cpu", None, arguments.repeats, folder)
        result["propose_f32"] = alone(measure_student, student, "cpu", "f32", arguments.repeats, folder)
        result["sam_vit_b_encoder"] = alone(measure_sam, arguments.sam_repeats)
        if arguments.mobile_sam.is_file():
            weights = str(arguments.mobile_sam)
            result["mobile_sam_boxes"] = alone(measure_mobile_sam, weights, arguments.sam_repeats, folder)
        else:
            print(f"{arguments.mobile_sam} is not there: MobileSAM is left out (github.com/ChaoningZhang/MobileSAM).")
    add_ratios(result)
    write(result, arguments.out or RESULTS)


def add_ratios(result: dict[str, Any]) -> None:
    """How many times quicker the student is, in the same run: for one frame, and by the frame of a clip."""
    ours, by_clip = (result["propose"]["512x512"][what]["median_ms"] for what in ("whole", "clip"))
    encoder = result["sam_vit_b_encoder"]["1024x1024"]["median_ms"]
    result["times_faster_than_sam_vit_b_encoder"] = round(encoder / ours, 1)
    if "mobile_sam_boxes" in result:
        theirs = result["mobile_sam_boxes"]["512x512"]["whole"]["median_ms"]
        result["times_faster_than_mobile_sam_512"] = round(theirs / ours, 1)
        result["times_faster_than_mobile_sam_512_by_clip"] = round(theirs / by_clip, 1)
    result["targets"] = {"fps_f32_512": 30, "fps_bf16_512": 60, "times_faster_than_mobile_sam_512": 100}


def write(result: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
