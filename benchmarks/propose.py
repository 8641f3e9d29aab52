# SPDX-License-Identifier: Apache-2.0
# Libraries are imported where they are used, so that each measuring process imports only its own.
# ruff: noqa: PLC0415
"""Time per frame of the default student, compared with MobileSAM with twelve boxes on the same processor.

Each is measured in a separate process, one after the other. "whole" is a frame of a clip on disk, as in the program:
decoding, preprocessing, network, masks of all structures at the size of the frame; "stages" are its parts. "clip" is
the time per frame for a clip, in each of the ways of computing its frames. "propose" is the student as the program runs
it; below it each precision, with one pass over each frame, with the mirror image too, and with a closer look besides.
All of these are timed in turn, and cpu_ms is the time of the processor, which other programs hardly change.
MobileSAM is given the decoded frame and the true box of every visible structure: encoder, decoder, masks at the size of
the frame. The encoder of SAM ViT-B alone (random weights) is a reference of earlier work. Writes
benchmarks/results/propose.json, or propose_cuda.json with --device cuda, where the network is given batches of frames
and a profile shows the bottleneck.
Figures of other instructions need a processor without the newer ones: OpenVINO ignores ONEDNN_MAX_CPU_ISA.
Run: VFSS_SHARED=FOLDER python benchmarks/propose.py     (FOLDER/weights/mobile_sam.pt; or --mobile-sam FILE)
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import platform
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results" / "propose.json"
SIZES = (512, 1024)
CLIP_FRAMES, FRAME = 40, 20
PASSES = {"one_pass": ("never", "never"), "both_passes": ("always", "never"), "three_passes": ("always", "always")}
"""Where the mirror image, and where a closer look is computed, by the name of a row."""


Times = list[tuple[float, float]]
"""Milliseconds of calls: elapsed, and of the processor in all threads of the process."""


def timed(call: Callable[[], object], repeats: int) -> Times:
    """Return the times of each call, after a warm-up call."""
    return timed_in_turn({"": call}, repeats)[""]


def timed_in_turn(calls: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, Times]:
    """Return the times of several calls, made in turn, so that other programs slow all of them alike."""
    taken: dict[str, Times] = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(repeats):
        for name, call in calls.items():
            started, computed = time.perf_counter(), time.process_time()
            call()
            taken[name].append((1000 * (time.perf_counter() - started), 1000 * (time.process_time() - computed)))
    return taken


def summary(taken: Times, frames: int = 1) -> dict[str, float]:
    """Return median, minimum and 90th percentile of the time per frame, of the processor too, and frames a second."""
    elapsed, computed = np.array(taken).T / frames
    return {
        "median_ms": round(float(np.median(elapsed)), 2),
        "min_ms": round(float(elapsed.min()), 2),
        "p90_ms": round(float(np.percentile(elapsed, 90)), 2),
        "cpu_ms": round(float(np.median(computed)), 2),
        "fps": round(1000.0 / float(np.median(elapsed)), 1),
        "repeats": len(taken),
    }


def phantom_clip(folder: Path, size: int) -> Path:
    """Write a phantom clip as H.264; return its path."""
    from vfss.phantom import Phantom, write_video

    path = folder / f"{size}.mp4"
    write_video(Phantom(200_000, n_frames=CLIP_FRAMES, height=size, width=size), path)
    return path


def measure_student(name: str, repeats: int, folder: str) -> dict[str, Any]:
    """Measure the student as the program runs it, and in every precision and way, in turn.

    Returns:
        Figures of "propose" (as the program runs it) and "propose_PRECISION".
    """
    from vfss.clips import open_clip
    from vfss.student import Student, load_checkpoint, load_student
    from vfss.student.openvino_runtime import CLIP_WAYS, OpenVinoRuntime, allowed_precisions

    started = time.perf_counter()
    student = load_student(name, "cpu")
    loaded_s = time.perf_counter() - started
    checkpoint = load_checkpoint(student.path)
    runtimes = {
        f"propose_{precision}": {
            way: OpenVinoRuntime(checkpoint, precision=precision, clip_frames=way) for way in CLIP_WAYS
        }
        for precision in allowed_precisions(checkpoint)
    }
    measured: dict[str, Any] = {
        "propose": {"student": student.id, "device": student.device, "load_s": round(loaded_s, 2)}
    }
    measured |= {row: {"device": ways[CLIP_WAYS[0]].device} for row, ways in runtimes.items()}
    for size in SIZES:
        with open_clip(Path(folder) / f"{size}.mp4") as clip:
            single, clips = {"propose": one_frame(student, clip)}, {"propose": whole_clip(student, clip)}
            for row, ways in runtimes.items():
                for passes, (mirror, closer) in PASSES.items():
                    asked = Student(checkpoint, ways[CLIP_WAYS[0]], mirror=mirror, closer=closer)
                    single[f"{row}/{passes}"] = one_frame(asked, clip)
                for way, runtime in ways.items():
                    clips[f"{row}/{way}"] = whole_clip(Student(checkpoint, runtime), clip)
            frame_times = timed_in_turn(single, repeats)
            clip_times = timed_in_turn(clips, max(3, repeats // 10))
            n, frames = clip.n_frames, [clip.as_uint8(t) for t in range(clip.n_frames)]
        figures = measured["propose"][f"{size}x{size}"] = {}
        figures["whole"], figures["clip"] = summary(frame_times["propose"]), summary(clip_times["propose"], n)
        for row, ways in runtimes.items():
            measured[row][f"{size}x{size}"] = {
                **{passes: summary(frame_times[f"{row}/{passes}"]) for passes in PASSES},
                **{f"clip, {way}": summary(clip_times[f"{row}/{way}"], n) for way in ways},
                "stages": stages(checkpoint, ways[CLIP_WAYS[0]], frames, repeats),
            }
    return measured


def measure_cuda_student(name: str, repeats: int, folder: str) -> dict[str, Any]:
    """Measure the student on a GPU: per frame, and per frame of a clip."""
    from vfss.clips import open_clip
    from vfss.student import load_student

    student = load_student(name, "cuda")
    measured: dict[str, Any] = {"student": student.id, "device": student.device}
    for size in SIZES:
        with open_clip(Path(folder) / f"{size}.mp4") as clip:
            frame_times = timed(one_frame(student, clip), repeats)
            clip_times = timed(whole_clip(student, clip), max(3, repeats // 10))
            measured[f"{size}x{size}"] = {"whole": summary(frame_times), "clip": summary(clip_times, clip.n_frames)}
    return measured


def one_frame(student: Any, clip: Any) -> Callable[[], object]:
    """Return a call that decodes the next frame of a clip and proposes on it."""
    cycle = itertools.cycle(range(clip.n_frames))
    return lambda: student.propose(clip.as_uint8(next(cycle))[None])


def whole_clip(student: Any, clip: Any) -> Callable[[], object]:
    """Return a call that decodes and proposes on all frames of a clip."""
    return lambda: sum(1 for _ in student.propose_each(clip.as_uint8(t) for t in range(clip.n_frames)))


def stages(checkpoint: Any, runtime: Any, frames: list[Any], repeats: int) -> dict[str, float]:
    """Return the median milliseconds of the processor: preprocessing, one pass, masks at the size of the frame."""
    from vfss.student.preprocess import Placement, prepare, restore

    placement = Placement.of(*frames[0].shape, checkpoint.config.input_size)
    cycle = itertools.cycle(frames)
    prepared = prepare(frames[0], placement, checkpoint.config)[None]
    logits = runtime.run(prepared)[0][0]
    calls: dict[str, Callable[[], object]] = {
        "prepare_cpu_ms": lambda: prepare(next(cycle), placement, checkpoint.config),
        "network_cpu_ms": lambda: runtime.run(prepared),
        "masks_cpu_ms": lambda: restore(logits, placement),
    }
    return {name: summary(taken)["cpu_ms"] for name, taken in timed_in_turn(calls, repeats).items()}


def measure_mobile_sam(weights: str, repeats: int, folder: str) -> dict[str, Any]:
    """Measure MobileSAM with a box for every visible structure."""
    import torch

    from vfss.clips import open_clip
    from vfss.phantom import Phantom
    from vfss_training.teachers.loading import load_teacher

    teacher = load_teacher("mobile-sam", Path(weights))
    measured: dict[str, Any] = {"device": f"torch {torch.__version__}, cpu, f32, {torch.get_num_threads()} threads"}
    for size in SIZES:
        planes = Phantom(200_000, n_frames=CLIP_FRAMES, height=size, width=size).planes(FRAME)
        boxes = np.stack([box_of(plane) for plane in planes if plane.any()])
        with open_clip(Path(folder) / f"{size}.mp4") as clip:
            frame = clip.as_uint8(FRAME)
        taken = timed(lambda frame=frame, boxes=boxes: teacher.masks(teacher.encode(frame), boxes), repeats)
        measured[f"{size}x{size}"] = {"boxes": len(boxes), "whole": summary(taken)}
    return measured


def box_of(plane: Any) -> Any:
    """Return left, top, right and bottom of a mask, px."""
    rows, columns = np.nonzero(plane)
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], np.float32)


def measure_cuda(name: str, folder: str) -> dict[str, Any]:
    """Measure frames per second for batches in memory, with a profile."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    from vfss.clips import open_clip
    from vfss.student import load_checkpoint, load_student
    from vfss.student.torch_runtime import TorchRuntime

    student = load_student(name, "cuda")
    checkpoint = load_checkpoint(student.path)
    runtime = TorchRuntime(checkpoint, "cuda")
    side = checkpoint.config.input_size
    measured: dict[str, Any] = {"student": student.id, "device": torch.cuda.get_device_name()}
    for batch in (1, 16, 64, 256):
        inputs = np.random.default_rng(0).standard_normal((batch, 1, side, side), np.float32)
        taken = timed(lambda inputs=inputs: runtime.run(inputs), 20)
        measured[f"network_batch_{batch}_fps"] = round(batch * summary(taken)["fps"], 1)
    with open_clip(Path(folder) / "512.mp4") as clip:
        frames = np.stack([clip.as_uint8(t % clip.n_frames) for t in range(256)])
    taken = timed(lambda: student.propose(frames), 5)
    measured["propose_512_fps"] = round(len(frames) * summary(taken)["fps"], 1)
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as record:
        student.propose(frames)
    measured["profile"] = record.key_averages().table(sort_by="cuda_time_total", row_limit=12).splitlines()
    return measured


def measure_sam(repeats: int) -> dict[str, Any]:
    """Measure the encoder of SAM ViT-B."""
    import torch
    from segment_anything import build_sam_vit_b

    encoder = build_sam_vit_b().image_encoder.eval()
    frame = torch.randn(1, 3, 1024, 1024)
    with torch.inference_mode():
        taken = timed(lambda: encoder(frame), repeats)
    return {"device": f"torch {torch.__version__}, cpu, f32", "1024x1024": summary(taken)}


def run_in_process(function: Callable[..., dict[str, Any]], *arguments: object) -> dict[str, Any]:
    """Return the result of a function that is run in a new process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def processor() -> str:
    """Return the name of the processor and its number of cores."""
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
    parser.add_argument("--repeats", type=int, default=60, help="Number of repeats.")
    parser.add_argument("--sam-repeats", type=int, default=3)
    parser.add_argument("--only-student", action="store_true", help="Leave out what it is compared with.")
    parser.add_argument("--out", type=Path, help="JSON file; default: as described above.")
    arguments = parser.parse_args()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    result: dict[str, Any] = {"processor": processor(), "load_before": load}
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            phantom_clip(Path(folder), size)
        if arguments.device == "cuda":
            result["cuda"] = run_in_process(measure_cuda, arguments.student, folder)
            result["propose"] = run_in_process(measure_cuda_student, arguments.student, arguments.repeats, folder)
            write(result, arguments.out or RESULTS.with_stem("propose_cuda"))
            return
        student = arguments.student
        result |= run_in_process(measure_student, student, arguments.repeats, folder)
        if arguments.only_student:
            write(result, arguments.out or RESULTS)
            return
        result["sam_vit_b_encoder"] = run_in_process(measure_sam, arguments.sam_repeats)
        if arguments.mobile_sam.is_file():
            weights = str(arguments.mobile_sam)
            result["mobile_sam_boxes"] = run_in_process(measure_mobile_sam, weights, arguments.sam_repeats, folder)
        else:
            print(f"{arguments.mobile_sam} does not exist: MobileSAM is left out (github.com/ChaoningZhang/MobileSAM).")
    add_ratios(result)
    write(result, arguments.out or RESULTS)


def add_ratios(result: dict[str, Any]) -> None:
    """Add how many times faster the student is in this run: for one frame, and per frame of a clip."""
    ours, by_clip = (result["propose"]["512x512"][kind]["median_ms"] for kind in ("whole", "clip"))
    encoder = result["sam_vit_b_encoder"]["1024x1024"]["median_ms"]
    result["times_faster_than_sam_vit_b_encoder"] = round(encoder / ours, 1)
    if "mobile_sam_boxes" in result:
        mobile_sam = result["mobile_sam_boxes"]["512x512"]["whole"]["median_ms"]
        result["times_faster_than_mobile_sam_512"] = round(mobile_sam / ours, 1)
        result["times_faster_than_mobile_sam_512_by_clip"] = round(mobile_sam / by_clip, 1)
    result["targets"] = {
        "fps_512_bf16": 60,
        "fps_512_avx512": 30,
        "fps_512_avx2": 20,
        "times_faster_than_mobile_sam_512": 100,
    }


def write(result: dict[str, Any], path: Path) -> None:
    """Write and print the results."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
