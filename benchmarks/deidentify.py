# SPDX-License-Identifier: Apache-2.0
"""Speed and memory of writing de-identified recordings.

A clip of noise over a still picture is written as DICOM and as video, 512x512 pixels at 8 and 12 bits, with one black
box and a crop. Results are frames per second of CPU time, which other processes hardly change, and the additional
memory of many frames over that of few: it should not depend on the length. Writes benchmarks/results/deidentify.json.
Run: python benchmarks/deidentify.py
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.uid import generate_uid

from vfss.clips import Clip
from vfss.clips.clip import Frame
from vfss.deidentify import CaseKey, PixelBox, Redaction
from vfss.deidentify.dicom import write_dicom
from vfss.deidentify.video import SUFFIX, write_video
from vfss.phantom import Phantom
from vfss.phantom.radiofluoroscopy import header as phantom_header

RESULT = Path(__file__).parent / "results" / "deidentify.json"
EDGE, SHORT = 512, 8
REDACTION = Redaction((PixelBox(0, 0, 40, 200),), PixelBox(0, 20, 512, 500))


class NoisyClip(Clip):
    """Clip of generated frames, which needs no memory for its length."""

    def __init__(self, n_frames: int, bits: int) -> None:
        super().__init__(
            clip_id=f"b2-{n_frames}-{bits}",
            source=None,
            n_frames=n_frames,
            height=EDGE,
            width=EDGE,
            bits=bits,
            times_s=np.arange(n_frames) / 30,
        )
        rng = np.random.default_rng(0)
        smooth = np.add.outer(np.arange(EDGE), np.arange(EDGE)) * (2**bits - 1) * 0.8 / (2 * EDGE)
        noisy = smooth + rng.normal(0, 0.02 * 2**bits, (8, EDGE, EDGE))
        self._frames = np.clip(noisy, 0, 2**bits - 1).astype(self.dtype)

    def __getitem__(self, t: int) -> Frame:
        return self._frames[t % 8]

    def reopen(self) -> NoisyClip:
        """Return the clip itself, since it has no file."""
        return self

    def close(self) -> None:
        """Do nothing: no file is open."""


def header_file(folder: Path, bits: int) -> Path:
    """Write a DICOM file for its header; return its path."""
    dataset = phantom_header(Phantom(1, n_frames=SHORT, height=EDGE, width=EDGE))
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = (8, 8, 7) if bits == 8 else (16, bits, bits - 1)
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    path = folder / f"header{bits}.dcm"
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)
    return path


def peak_mb() -> float:
    """Return the peak memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)


def measure(folder: Path, key: CaseKey, kind: str, bits: int, frames: int) -> dict[str, Any]:
    """Return speed, additional memory and file size for one kind of recording."""
    source = header_file(folder, bits)
    target = folder / f"{kind}{bits}{'.dcm' if kind == 'dicom' else SUFFIX}"

    def write(n: int) -> float:
        target.unlink(missing_ok=True)
        started = time.process_time()
        if kind == "dicom":
            write_dicom(NoisyClip(n, bits), source, target, REDACTION, key, case="case-x", reviewed=True)
        else:
            write_video(NoisyClip(n, bits), target, REDACTION)
        return time.process_time() - started

    short = write(SHORT)
    before = peak_mb()
    seconds = write(frames) - short
    return {
        "kind": kind,
        "bits": bits,
        "frames_per_processor_second": round((frames - SHORT) / max(seconds, 1e-6), 1),
        "more_memory_mb": round(peak_mb() - before, 1),
        "bytes_a_pixel": round(target.stat().st_size / frames / (EDGE * 480), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=400, help="frames of each recording")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        key = CaseKey(Path(folder) / "key.json")
        rows = [
            measure(Path(folder), key, kind, bits, arguments.frames) for kind in ("dicom", "video") for bits in (8, 12)
        ]
    result = {"size": [EDGE, EDGE], "frames": arguments.frames, "rows": rows}
    RESULT.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
