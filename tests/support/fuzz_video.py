# SPDX-License-Identifier: Apache-2.0
"""Damaged videos by the thousand: a frame must not depend on what was read before it.

Makes small videos of many kinds, damages copies of them, and reads each in several orders. By hand, for long runs:

    nice python tests/support/fuzz_video.py --count 6300 --seed 2 --json benchmarks/results/fuzz_video.json
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np

from vfss.clips import Clip, open_clip
from vfss.errors import ClipError

Frames = list[int | str]
"""Of each frame the checksum of its pixels, or why it cannot be decoded."""
SLOW_S = 10.0

KINDS: dict[str, tuple[str, str, str, dict[str, str]]] = {
    "mjpeg.avi": ("mjpeg", "avi", "yuvj420p", {}),
    "mpeg4.avi": ("mpeg4", "avi", "yuv420p", {"bf": "2", "g": "8"}),
    "mpeg2.mpg": ("mpeg2video", "mpeg", "yuv420p", {"bf": "2", "g": "8"}),
    "mpeg1.mpg": ("mpeg1video", "mpeg", "yuv420p", {"bf": "2", "g": "8"}),
    "mpeg2.ts": ("mpeg2video", "mpegts", "yuv420p", {"g": "8"}),
    "h264.mp4": ("libx264", "mp4", "yuv420p", {"bf": "2", "g": "8"}),
    "h264.mkv": ("libx264", "matroska", "yuv420p", {"bf": "2", "x264-params": "open-gop=1:keyint=8:min-keyint=8"}),
    "h264.avi": ("libx264", "avi", "yuv420p", {"bf": "2", "g": "8"}),
    "h264.ts": ("libx264", "mpegts", "yuv420p", {"bf": "2", "g": "8"}),
    "hevc.mp4": ("libx265", "mp4", "yuv420p", {"x265-params": "log-level=none:keyint=8"}),
    "ffv1.mkv": ("ffv1", "matroska", "gray", {"g": "4"}),
    "ffv1.avi": ("ffv1", "avi", "gray", {"g": "1"}),
    "huffyuv.avi": ("huffyuv", "avi", "yuv422p", {}),
    "cinepak.avi": ("cinepak", "avi", "rgb24", {"g": "6"}),
    "raw.avi": ("rawvideo", "avi", "gray", {}),
    "wmv2.wmv": ("wmv2", "asf", "yuv420p", {"g": "8"}),
    "vp8.webm": ("libvpx", "webm", "yuv420p", {"g": "8", "lag-in-frames": "4", "auto-alt-ref": "1"}),
    "flv1.flv": ("flv", "flv", "yuv420p", {"g": "8"}),
    "png.mov": ("png", "mov", "gray", {}),
    "msvideo1.avi": ("msvideo1", "avi", "rgb555le", {"g": "6"}),
    "prores.mov": ("prores_ks", "mov", "yuv422p10le", {}),
}


def make(path: Path, kind: str, frames: int = 24, size: tuple[int, int] = (48, 64)) -> Path:
    """Write a moving video of one of KINDS; `size` is rows and columns."""
    codec, container, pixels, options = KINDS[kind]
    height, width = size
    noise = np.random.default_rng(5).integers(0, 50, (height, width))
    with av.open(str(path), "w", format=container) as out:
        stream: Any = out.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        stream.codec_context.thread_count = 1
        stream.options = options
        for t in range(frames):
            picture = np.roll(noise, 3 * t, axis=1) + 60 + 3 * t
            picture[4 * t % 36 : 4 * t % 36 + 12, 5 * t % 52 : 5 * t % 52 + 12] = 230
            grey = av.VideoFrame.from_ndarray(picture.astype(np.uint8), format="gray")
            out.mux(stream.encode(grey.reformat(format=pixels)))
        out.mux(stream.encode())
    return path


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """Return a damaged copy: flipped bits, overwritten, cut out, inserted or repeated runs of bytes."""
    damaged = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        at, length = int(rng.integers(len(damaged))), int(rng.integers(1, 400))
        how = int(rng.integers(8))
        if how < 4:
            damaged[at] ^= 1 << int(rng.integers(8))
        elif how == 4:
            damaged[at : at + length] = rng.bytes(min(length, len(damaged) - at))
        elif how == 5:
            del damaged[at : at + length]
        elif how == 6:
            damaged[at:at] = rng.bytes(length)
        else:
            damaged[at:at] = damaged[at : at + length]
        if len(damaged) < 64:
            break
    return bytes(damaged)


def check_order(path: Path) -> str | None:
    """Read a recording in several orders; return how they differ, None if they do not.

    Everything but ClipError passes through.
    """
    first, other = _opened(path), _opened(path)
    if isinstance(first, str) or isinstance(other, str):
        return None if first == other else f"opens as {first} and {other}"
    with first, other:
        if (first.n_frames, first.height, first.width, first.notes) != (
            other.n_frames,
            other.height,
            other.width,
            other.notes,
        ):
            return "two clips of it differ"
        count = first.n_frames
        order = np.random.default_rng(zlib.crc32(path.read_bytes())).permutation(count).tolist()
        expected = _read(first, range(count))
        readings = {
            "backward": _read(other, range(count - 1, -1, -1)),
            "in order again": _read(first, range(count)),
        }
        with first.reopen() as again:
            readings["in random order after reopen()"] = _read(again, order)
        fresh = _opened(path)
        if isinstance(fresh, str):
            return f"opens, then not: {fresh}"
        with fresh:
            readings["in random order"] = _read(fresh, order)
    for how, reading in readings.items():
        differing = [t for t in range(count) if reading[t] != expected[t]]
        if differing:
            t = differing[0]
            return f"frame {t} of {count} ({len(differing)} differ) is {expected[t]}, read {how} it is {reading[t]}"
    return None


def damaged_frames(path: Path) -> int:
    """Return how many frames cannot be decoded, -1 if the recording cannot be opened."""
    clip = _opened(path)
    if isinstance(clip, str):
        return -1
    with clip:
        return sum(isinstance(frame, str) for frame in _read(clip, range(clip.n_frames)))


def _opened(path: Path) -> Clip | str:
    try:
        return open_clip(path, cache_bytes=3 * 48 * 64)
    except ClipError as error:
        return str(error)


def _read(clip: Clip, order: Any) -> Frames:
    found: Frames = [""] * clip.n_frames
    for t in order:
        try:
            found[t] = zlib.crc32(clip[t].tobytes())
        except ClipError as error:
            found[t] = str(error)
    return found


def run(count: int, seed: int, kinds: list[str], folder: Path, report: Callable[[str], object]) -> dict[str, int]:
    """Damage `count` videos and check each; return how often what was found."""
    sources = {kind: make(folder / f"sound_{kind}", kind).read_bytes() for kind in kinds}
    for kind in kinds:
        problem = check_order(folder / f"sound_{kind}") or damaged_frames(folder / f"sound_{kind}") or None
        if problem:
            raise RuntimeError(f"sound {kind}: {problem}")
    found = {"files": 0, "faults": 0, "slow": 0, "refused": 0, "with_damaged_frames": 0}
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        kind = kinds[number % len(kinds)]
        path = folder / kind
        path.write_bytes(mutate(sources[kind], rng))
        started = time.process_time()
        try:
            problem = check_order(path)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
            problem = f"{type(error).__name__}: {error}"
        seconds = time.process_time() - started  # not of a clock: other programs may take the processor
        lost = damaged_frames(path) if problem is None else 0
        found["files"] += 1
        found["refused"] += lost < 0
        found["with_damaged_frames"] += lost > 0
        if problem is not None:
            found["faults"] += 1
            report(f"{kind} seed {seed} number {number}: {problem}")
        if seconds > SLOW_S:
            found["slow"] += 1
            report(f"{kind} seed {seed} number {number}: {seconds:.1f} s")
    return found


def main() -> int:
    """Run from the command line; the exit status is 1 if anything was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    parser.add_argument("--keep", type=int, metavar="NUMBER", help="write this damaged file here and end")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        if chosen.keep is not None:
            kind = chosen.only[chosen.keep % len(chosen.only)]
            data = make(Path(name) / kind, kind).read_bytes()
            Path(kind).write_bytes(mutate(data, np.random.default_rng([chosen.seed, chosen.keep])))
            return 0
        found = run(chosen.count, chosen.seed, chosen.only, Path(name), lambda line: sys.stderr.write(line + "\n"))
    import resource  # not on Windows, where tests use the rest of this file

    usage = resource.getrusage(resource.RUSAGE_SELF)
    result = {
        "kinds": chosen.only,
        "seed": chosen.seed,
        **found,
        "cpu_s": round(time.process_time()),
        "peak_mb": round(usage.ru_maxrss / 1024),
    }
    sys.stdout.write(f"{result}\n")
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(result, indent=2) + "\n")
    return int(bool(found["faults"] or found["slow"]))


if __name__ == "__main__":
    sys.exit(main())
