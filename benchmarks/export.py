# SPDX-License-Identifier: Apache-2.0
"""Speed and memory of the exports, by format.

Speed: phantom frames of 512 x 512 with twelve structures; frames per second of the complete export, and of decoding
alone for comparison. Memory: one long recording of small frames with three structures; the resident memory of the
process after a tenth of the frames, and its peak at the end. Each export runs in a separate process. Writes
benchmarks/results/export.json and a plot.
Run: python benchmarks/export.py [--frames 240] [--long 100000] [--formats coco,png,...]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, XRayRadiofluoroscopicImageStorage, generate_uid

from vfss.datasets import FORMATS, ExportOptions, run_export
from vfss.masks import MaskState
from vfss.phantom import Phantom
from vfss.project import Edit, Project
from vfss.schema import Schema

RESULTS = Path(__file__).parent / "results" / "export.json"
SEED, SIDE, SMALL = 190_001, 512, 64
_BATCH = 500


def recording(path: Path, frames: Any, size: int, count: int) -> Path:
    """Write an uncompressed DICOM recording of frames, an iterable of uint8 (size, size)."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = XRayRadiofluoroscopicImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    header = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    header.SOPClassUID, header.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    header.StudyInstanceUID, header.SeriesInstanceUID = generate_uid(), generate_uid()
    header.Modality, header.PatientName, header.PatientID = "RF", "Test^Nobody", "0"
    header.Rows = header.Columns = size
    header.NumberOfFrames, header.FrameTime = count, "33.3"
    header.FrameIncrementPointer = 0x00181063
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated, header.BitsStored, header.HighBit, header.PixelRepresentation = 8, 8, 7, 0
    with path.open("wb") as file:
        pydicom.dcmwrite(file, header, enforce_file_format=True)
        file.write(b"\xe0\x7f\x10\x00OB\0\0" + (count * size * size).to_bytes(4, "little"))
        for frame in frames:
            file.write(frame.tobytes())
    return path


def phantom_project(folder: Path, count: int) -> Path:
    """Create a project with accepted masks of twelve structures on every frame of one phantom."""
    phantom = Phantom(SEED, n_frames=count, height=SIDE, width=SIDE)
    planes: list[Any] = []

    def pictures() -> Any:
        for t in range(count):
            picture, truth, _ = phantom.sample(t)
            planes.append(truth)
            yield picture

    path = recording(folder / "phantom.dcm", pictures(), SIDE, count)
    return _project(folder / "project", path, planes, phantom.schema)


def long_project(folder: Path, count: int) -> Path:
    """Create a project with accepted masks of three structures on every frame of a long recording of small frames."""
    random = np.random.default_rng(0)
    noise = random.integers(0, 255, (64, SMALL, SMALL), np.uint8)
    path = recording(folder / "long.dcm", (np.roll(noise[t % 64], t // 64, 1) for t in range(count)), SMALL, count)
    default_schema = Schema.load()
    schema = Schema("three", "1.0.0", "Three structures", default_schema.structures[:3])
    y, x = np.mgrid[:SMALL, :SMALL]
    discs = [np.hypot(y - 32, x - 16 - shift) < radius for shift in range(32) for radius in (4, 8, 12)]
    return _project(folder / "project", path, _Repeated(discs, count), schema)


class _Repeated:
    """Planes of a long clip that repeat every 32 frames, so that they need little memory."""

    def __init__(self, discs: list[Any], count: int) -> None:
        self._discs, self._count = discs, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, t: int) -> Any:
        start = 3 * (t % 32)
        return np.stack(self._discs[start : start + 3])


def _project(folder: Path, path: Path, planes: Any, schema: Schema) -> Path:
    with Project.create(folder, schema) as project:
        clip = project.add_clip(path, patient="nobody").id
        for first in range(0, len(planes), _BATCH):
            edits = [
                Edit(
                    clip, t, structure.key, plane if plane.any() else None,
                    MaskState.ACCEPTED if plane.any() else MaskState.EMPTY,
                )
                for t in range(first, min(first + _BATCH, len(planes)))
                for structure, plane in zip(schema.structures, planes[t], strict=True)
            ]  # fmt: skip
            project.write(edits, author="phantom", origin="truth")
    return folder


def _export(project: Path, name: str, out: Path, queue: Any) -> None:
    early: list[float] = []

    def record_memory(done: int, total: int) -> bool:
        if not early and done >= total / 10:
            early.append(memory("VmRSS"))
        return True

    with Project.open(project) as opened:
        started = time.perf_counter()
        report = run_export(FORMATS[name], opened, out, ExportOptions(unreviewed=True), progress=record_memory)
        seconds = time.perf_counter() - started
    peak = memory("VmHWM")
    queue.put({"frames": report.images, "seconds": seconds, "early_mb": early[0], "peak_mb": peak})


def _decode(project: Path, queue: Any) -> None:
    with Project.open(project) as opened:
        record = opened.clips()[0]
        with opened.open_clip(record.id) as clip:
            started = time.perf_counter()
            for t in range(len(clip)):
                clip[t]
                opened.newest(record.id, t)
            queue.put({"frames": len(clip), "seconds": time.perf_counter() - started})


def memory(field_name: str) -> float:
    """Return the resident memory of this process (VmRSS) or its peak (VmHWM), MB."""
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    return int(next(line for line in lines if line.startswith(field_name)).split()[1]) / 1024


def run_in_process(target: Any, *arguments: Any) -> dict[str, float]:
    """Run a function in a separate process; return what it put into its queue, which is its last argument."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=target, args=(*arguments, queue))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"{target.__name__} {arguments} ended with {process.exitcode}")
    result: dict[str, float] = queue.get()
    return result


def measure(project: Path, names: Sequence[str], work: Path) -> dict[str, dict[str, float]]:
    """Return frames per second, size on disk and memory for each format."""
    rows = {}
    for name in names:
        out = work / name
        result = run_in_process(_export, project, name, out)
        size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
        shutil.rmtree(out)
        rows[name] = {
            "frames_a_second": round(result["frames"] / result["seconds"], 1),
            "disk_kb_a_frame": round(size / 1024 / result["frames"], 2),
            "memory_after_a_tenth_mb": round(result["early_mb"]),
            "peak_memory_mb": round(result["peak_mb"]),
        }
        print(name, rows[name], flush=True)
    return rows


def draw(result: dict[str, Any], path: Path) -> None:
    """Plot speed and memory by format."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), constrained_layout=True)
    names = list(result["speed"])
    left.barh(names, [result["speed"][name]["frames_a_second"] for name in names])
    left.set(xlabel=f"frames per second, {SIDE} x {SIDE}, twelve structures")
    names = list(result["memory"])
    for key, label in (("peak_memory_mb", "peak"), ("memory_after_a_tenth_mb", "after a tenth of the frames")):
        right.barh(names, [result["memory"][name][key] for name in names], label=label)
    right.set(xlabel=f"memory of the process, MB, {result['long_frames']} frames")
    right.legend()
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=240, help="Frames to measure speed.")
    parser.add_argument("--long", type=int, default=100_000, help="Frames to measure memory.")
    parser.add_argument("--formats", default=",".join(FORMATS))
    parser.add_argument("--long-formats", default=",".join(FORMATS))
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    names = arguments.formats.split(",")
    with tempfile.TemporaryDirectory() as work:
        for name in ("speed", "memory"):
            (Path(work) / name).mkdir()
        project = phantom_project(Path(work) / "speed", arguments.frames)
        decoding = run_in_process(_decode, project)
        speed = measure(project, names, Path(work))
        project = long_project(Path(work) / "memory", arguments.long)
        long = measure(project, arguments.long_formats.split(","), Path(work))
    result = {
        "command": f"python benchmarks/export.py --frames {arguments.frames} --long {arguments.long} "
        f"--long-formats {arguments.long_formats}",
        "decoding_and_reading_alone_frames_a_second": round(decoding["frames"] / decoding["seconds"], 1),
        "speed": speed,
        "long_frames": arguments.long,
        "memory": long,
    }
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    draw(result, arguments.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
