# SPDX-License-Identifier: Apache-2.0
"""How fast each format writes, and whether a long export needs more memory than a short one.

Speed: phantom frames of 512 x 512 with twelve structures, frames a second of the whole export, beside the mere decoding
of the same frames. Memory: one long recording of small frames with three structures; the resident memory of the process
after a tenth of the frames and its peak at the end. Each export is a process of its own. Writes
benchmarks/results/export.json and a plot beside it.
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
    """A DICOM recording, uncompressed, of frames uint8 (size, size) that an iterator gives."""
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
    """Accepted masks of twelve structures on every frame of one phantom."""
    phantom = Phantom(SEED, n_frames=count, height=SIDE, width=SIDE)
    planes: list[Any] = []

    def drawn() -> Any:
        for t in range(count):
            picture, truth, _ = phantom.sample(t)
            planes.append(truth)
            yield picture

    path = recording(folder / "phantom.dcm", drawn(), SIDE, count)
    return _project(folder / "project", path, planes, phantom.schema)


def long_project(folder: Path, count: int) -> Path:
    """Accepted masks of three structures on every frame of a long recording of small frames."""
    random = np.random.default_rng(0)
    grain = random.integers(0, 255, (64, SMALL, SMALL), np.uint8)
    path = recording(folder / "long.dcm", (np.roll(grain[t % 64], t // 64, 1) for t in range(count)), SMALL, count)
    whole = Schema.load()
    schema = Schema("three", "1.0.0", "Three structures", whole.structures[:3])
    y, x = np.mgrid[:SMALL, :SMALL]
    discs = [np.hypot(y - 32, x - 16 - shift) < radius for shift in range(32) for radius in (4, 8, 12)]
    return _project(folder / "project", path, _Repeated(discs, count), schema)


class _Repeated:
    def __init__(self, discs: list[Any], count: int) -> None:
        self._discs, self._count = discs, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, t: int) -> Any:
        at = 3 * (t % 32)
        return np.stack(self._discs[at : at + 3])


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


def _export(project: Path, name: str, out: Path, told: Any) -> None:
    early: list[float] = []

    def look(done: int, total: int) -> bool:
        if not early and done >= total / 10:
            early.append(memory("VmRSS"))
        return True

    with Project.open(project) as opened:
        began = time.perf_counter()
        report = run_export(FORMATS[name], opened, out, ExportOptions(unreviewed=True), progress=look)
        seconds = time.perf_counter() - began
    peak = memory("VmHWM")
    told.put({"frames": report.images, "seconds": seconds, "early_mb": early[0], "peak_mb": peak})


def _decode(project: Path, told: Any) -> None:
    with Project.open(project) as opened:
        record = opened.clips()[0]
        with opened.open_clip(record.id) as clip:
            began = time.perf_counter()
            for t in range(len(clip)):
                clip[t]
                opened.newest(record.id, t)
            told.put({"frames": len(clip), "seconds": time.perf_counter() - began})


def memory(what: str) -> float:
    """Resident memory of this process (VmRSS), or the most it ever was (VmHWM), MB."""
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    return int(next(line for line in lines if line.startswith(what)).split()[1]) / 1024


def in_process(target: Any, *arguments: Any) -> dict[str, float]:
    """What a function told, run in a process of its own."""
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    process = context.Process(target=target, args=(*arguments, told))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"{target.__name__} {arguments} ended with {process.exitcode}")
    found: dict[str, float] = told.get()
    return found


def measure(project: Path, names: Sequence[str], work: Path) -> dict[str, dict[str, float]]:
    """Frames a second, megabytes on the disk and of memory for each format."""
    found = {}
    for name in names:
        out = work / name
        told = in_process(_export, project, name, out)
        size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
        shutil.rmtree(out)
        found[name] = {
            "frames_a_second": round(told["frames"] / told["seconds"], 1),
            "disk_kb_a_frame": round(size / 1024 / told["frames"], 2),
            "memory_after_a_tenth_mb": round(told["early_mb"]),
            "peak_memory_mb": round(told["peak_mb"]),
        }
        print(name, found[name], flush=True)
    return found


def draw(result: dict[str, Any], path: Path) -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), constrained_layout=True)
    names = list(result["speed"])
    left.barh(names, [result["speed"][name]["frames_a_second"] for name in names])
    left.set(xlabel=f"frames a second, {SIDE} x {SIDE}, twelve structures")
    names = list(result["memory"])
    for key, label in (("peak_memory_mb", "peak"), ("memory_after_a_tenth_mb", "after a tenth of the frames")):
        right.barh(names, [result["memory"][name][key] for name in names], label=label)
    right.set(xlabel=f"memory of the process, MB, {result['long_frames']} frames")
    right.legend()
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=240)
    parser.add_argument("--long", type=int, default=100_000)
    parser.add_argument("--formats", default=",".join(FORMATS))
    parser.add_argument("--long-formats", default=",".join(FORMATS))
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    names = arguments.formats.split(",")
    with tempfile.TemporaryDirectory() as work:
        for name in ("speed", "memory"):
            (Path(work) / name).mkdir()
        project = phantom_project(Path(work) / "speed", arguments.frames)
        bare = in_process(_decode, project)
        speed = measure(project, names, Path(work))
        project = long_project(Path(work) / "memory", arguments.long)
        long = measure(project, arguments.long_formats.split(","), Path(work))
    result = {
        "command": f"python benchmarks/export.py --frames {arguments.frames} --long {arguments.long} "
        f"--long-formats {arguments.long_formats}",
        "decoding_and_reading_alone_frames_a_second": round(bare["frames"] / bare["seconds"], 1),
        "speed": speed,
        "long_frames": arguments.long,
        "memory": long,
    }
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    draw(result, arguments.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
