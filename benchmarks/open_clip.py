# SPDX-License-Identifier: Apache-2.0
# Libraries are imported where they are used, so that each measuring process imports those of its format only.
# ruff: noqa: PLC0415
"""Time to open and step through clips of 9,000 frames of 1024 x 1024, and the memory for it.

Creates the clips in a temporary folder (the uncompressed DICOM file is sparse), measures each in a fresh process, and
writes benchmarks/results/open_clip.json. Run: nice python benchmarks/open_clip.py
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import resource
import statistics
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results" / "open_clip.json"
SIZE = 1024
OPEN_LIMIT_S, MEMORY_LIMIT_MB = 2.0, 300.0


def picture(t: int, noise: np.ndarray[Any, np.dtype[np.uint8]] | None = None) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return a moving frame, uint8 (1024, 1024); noise of that shape makes its compressed size realistic."""
    rows = np.arange(SIZE, dtype=np.uint8)[:, None] // 2
    frame = np.broadcast_to(rows, (SIZE, SIZE)).copy()
    y, x = (7 * t) % (SIZE - 64), (11 * t) % (SIZE - 64)
    frame[y : y + 64, x : x + 64] = 40
    return frame if noise is None else frame + np.roll(noise, 31 * t, axis=1)


def make_video(path: Path, frames: int, gop: int, noise_level: int = 0) -> None:
    import av

    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = SIZE, SIZE, "yuv420p"
        stream.codec_context.gop_size, stream.codec_context.max_b_frames = gop, 2
        stream.codec_context.thread_count = 1
        stream.options = {"preset": "ultrafast", "crf": "20", "x264-params": f"bframes=2:keyint={gop}:scenecut=0"}
        noise = np.random.default_rng(0).integers(0, noise_level + 1, (SIZE, SIZE), dtype=np.uint8)
        for t in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(t, noise), format="gray").reformat(format="yuv420p")
            frame.pts = t
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def dicom_head(path: Path, frames: int, syntax: str) -> None:
    import pydicom
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID, XRayRadiofluoroscopicImageStorage, generate_uid

    dataset = pydicom.Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = XRayRadiofluoroscopicImageStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.Rows = dataset.Columns = SIZE
    dataset.NumberOfFrames = frames
    dataset.FrameTime = "33.33"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    dataset.save_as(path, enforce_file_format=True)


def make_native(path: Path, frames: int) -> None:
    dicom_head(path, frames, "1.2.840.10008.1.2.1")
    with path.open("ab") as stream:
        stream.write(struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, frames * SIZE * SIZE % 2**32))
        start = stream.tell()
        for t in range(0, frames, 500):
            stream.truncate(start + t * SIZE * SIZE)
            stream.seek(0, 2)
            stream.write(picture(t).tobytes())
        stream.truncate(start + frames * SIZE * SIZE)


def make_jpeg(path: Path, frames: int) -> None:
    import io

    from PIL import Image

    dicom_head(path, frames, "1.2.840.10008.1.2.4.50")
    pictures = []
    for t in range(50):
        data = io.BytesIO()
        Image.fromarray(picture(t)).save(data, "jpeg", quality=80)
        pictures.append(data.getvalue() + b"\0" * (data.tell() % 2))
    with path.open("ab") as stream:
        stream.write(struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF))
        stream.write(struct.pack("<HHI", 0xFFFE, 0xE000, 0))
        for t in range(frames):
            data_t = pictures[t % 50]
            stream.write(struct.pack("<HHI", 0xFFFE, 0xE000, len(data_t)) + data_t)
        stream.write(struct.pack("<HHI", 0xFFFE, 0xE0DD, 0))


def make_tiff(path: Path, frames: int) -> None:
    import tifffile

    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        for t in range(frames):
            writer.write(picture(t), contiguous=False, compression="zlib", metadata=None, photometric="minisblack")


MAKERS: dict[str, Callable[[Path, int], None]] = {
    "native.dcm": make_native,
    "jpeg.dcm": make_jpeg,
    "keyframe_per_second.mp4": lambda path, frames: make_video(path, frames, 30, noise_level=6),
    "keyframe_per_250.mp4": lambda path, frames: make_video(path, frames, 250),
    "pages.tif": make_tiff,
}


def measure(path: str, queue: multiprocessing.Queue[dict[str, float]]) -> None:
    """Measure one clip, in a separate process so that the peak memory is of this clip only."""
    started = time.perf_counter()
    from vfss.clips import open_clip

    imported = time.perf_counter()
    clip = open_clip(path)
    opened = time.perf_counter()
    open_clip(path).close()
    opened_again = time.perf_counter()

    def times_of(walk: Iterator[int]) -> list[float]:
        times = []
        for t in walk:
            before = time.perf_counter()
            clip[t]
            times.append(1000 * (time.perf_counter() - before))
        return times

    rng = np.random.default_rng(0)
    forward = times_of(iter(range(1000, 1300)))
    jumps = times_of(int(t) for t in rng.integers(0, clip.n_frames, 20))
    middle = clip.n_frames // 2
    clip[middle + 300]
    backward = times_of(iter(range(middle + 299, middle - 1, -1)))
    queue.put(
        {
            "frames": clip.n_frames,
            "import_s": round(imported - started, 3),
            "open_s": round(opened - imported, 3),  # includes the import of the libraries of this format
            "open_again_s": round(opened_again - opened, 3),
            "forward_median_ms": round(statistics.median(forward), 2),
            "jump_median_ms": round(statistics.median(jumps), 2),
            "backward_median_ms": round(statistics.median(backward), 2),
            "backward_mean_ms": round(statistics.mean(backward), 2),
            "backward_worst_ms": round(max(backward), 2),
            "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        }
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=9000)
    parser.add_argument("--only", nargs="*", default=list(MAKERS), choices=list(MAKERS))
    arguments = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    clips: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.only:
            path = Path(folder) / name
            MAKERS[name](path, arguments.frames)
            queue: multiprocessing.Queue[dict[str, float]] = context.Queue()
            process = context.Process(target=measure, args=(str(path), queue))
            process.start()
            process.join()
            if process.exitcode != 0:
                raise SystemExit(f"{name} could not be measured")
            clips[name] = {"file_mb": round(path.stat().st_size / 1e6, 1), **queue.get()}
            path.unlink()
            print(name, clips[name], flush=True)
    result = {
        "machine": {
            "processor": platform.machine(),
            "system": platform.system(),
            "python": platform.python_version(),
        },
        "size": [SIZE, SIZE],
        "limits": {"open_s": OPEN_LIMIT_S, "peak_mb": MEMORY_LIMIT_MB},
        "within_limits": all(c["open_s"] < OPEN_LIMIT_S and c["peak_mb"] < MEMORY_LIMIT_MB for c in clips.values()),
        "clips": clips,
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")
    print(f"written to {RESULTS}")


if __name__ == "__main__":
    main()
