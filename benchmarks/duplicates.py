# SPDX-License-Identifier: Apache-2.0
"""How well the same film is found twice: precision and recall of vfss.clips.film_hash.

Phantom films are written again as other programs would (codec, container, quality, size, one frame less) and opened as
any recording; each pair of the same film should be found, and no pair of two patients. Pairs of one patient's phantoms
with another variant share view and timing, so that they are the hardest to tell apart; being taken for the same film
does no harm to splits, as they are one case anyway. Real clips are cut into parts, each a film. Cephalograms are single
pictures of as many people, which film_hash refuses; what the same bits would give for them is here to show why.
Neither is part of the repository: without VFSS_SHARED they are left out. The thresholds were chosen on phantoms of
other seeds (9100 to 9109, 9300 to 9307).
Writes benchmarks/results/duplicates.json. Run: VFSS_SHARED=FOLDER python benchmarks/duplicates.py
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image

from vfss.clips import ArrayClip, open_clip
from vfss.clips.film_hash import FRAMES, MOST_MOTION, MOST_STILL, distance, film_hash, hash_of_frames, is_same_film
from vfss.phantom import Phantom
from vfss.phantom.course import VARIANTS

RESULTS = Path(__file__).parent / "results" / "duplicates.json"
STYLES, PATIENTS, FIRST_SEED = ("clinic", "standard", "wide"), 8, 9400
SIDE, LENGTH = 320, 40

Frames = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Film:
    """One copy of a film: whose it is, which film, how it was written, and its hash."""

    patient: str
    film: str
    copy: str
    hash: str


def copies(frames: Frames) -> Iterator[tuple[str, str]]:
    """Yield the name and the hash of each copy of a film, uint8 (T, H, W)."""
    yield "original", hashed(ArrayClip(frames))
    yield "one frame less", hashed(ArrayClip(frames[:-1]))
    with tempfile.TemporaryDirectory() as folder:
        for name, suffix, codec, options, scale in (
            ("H.264, low quality", ".mp4", "libx264", {"crf": "32"}, 1.0),
            ("MPEG-4, half size", ".avi", "mpeg4", {"qscale": "8"}, 0.5),
            ("MJPEG, 1.5 times the size", ".avi", "mjpeg", {"qscale": "8"}, 1.5),
        ):
            path = Path(folder) / f"{codec}{suffix}"
            encode(path, frames, codec, options, scale)
            yield name, hashed_file(path)
        path = Path(folder) / "stack.tif"
        tifffile.imwrite(path, resized(frames, 0.75), photometric="minisblack")
        yield "TIFF, three quarters of the size", hashed_file(path)


def resized(frames: Frames, scale: float) -> Frames:
    """Return frames, uint8 (T, H, W), at another size with even sides."""
    height, width = (int(side * scale) // 2 * 2 for side in frames.shape[1:])
    return np.stack([np.asarray(Image.fromarray(frame).resize((width, height))) for frame in frames])


def encode(path: Path, frames: Frames, codec: str, options: dict[str, str], scale: float) -> None:
    """Write frames, uint8 (T, H, W), as a video."""
    small = resized(frames, scale)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30)
        stream.height, stream.width = small.shape[1:]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.options = options
        for frame in small:
            picture = av.VideoFrame.from_ndarray(frame, format="gray").reformat(format=stream.pix_fmt)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def hashed_file(path: Path) -> str:
    """Return the hash of a recording."""
    with open_clip(path) as clip:
        return hashed(clip)


def hashed(clip: Any) -> str:
    """Return the hash of a clip, which must be readable."""
    found = film_hash(clip)
    if found is None:
        raise SystemExit("a film could not be read")
    return found


def phantom_films() -> Iterator[Film]:
    """Yield copies of one film of each patient, and one further film of each other variant."""
    for style in STYLES:
        for seed in range(FIRST_SEED, FIRST_SEED + PATIENTS):
            patient, own = f"{style} {seed}", drawn(seed, style, None)
            for copy, found in copies(own[1]):
                yield Film(patient, f"{patient} {own[0]}", copy, found)
            for variant in VARIANTS:
                if variant != own[0]:
                    frames = drawn(seed, style, variant)[1]
                    yield Film(patient, f"{patient} {variant}", "original", hashed(ArrayClip(frames)))
        print(style, flush=True)


def drawn(seed: int, style: str, variant: str | None) -> tuple[str, Frames]:
    """Return the variant and the frames of a phantom film."""
    phantom = Phantom(seed, n_frames=LENGTH, height=SIDE, width=SIDE, style=style, variant=variant)
    return phantom.variant, np.stack([phantom.frame(t) for t in range(LENGTH)])


def real_films(data: Path) -> Iterator[Film]:
    """Yield copies of parts of real clips; the AVI is the first half of one of the MP4s."""
    for patient, name, parts in (
        ("right", "lateral_facing_right.mp4", {"first": slice(0, 60), "second": slice(61, 121)}),
        ("right", "lateral_facing_right.avi", {"first": slice(0, 60)}),
        ("left", "lateral_facing_left_with_overlays.mp4", {str(i): slice(119 * i, 119 * (i + 1)) for i in range(3)}),
    ):
        with open_clip(data / "clips" / name) as clip:
            frames = np.stack([clip.as_uint8(t) for t in range(clip.n_frames)])
        for part, window in parts.items():
            for copy, found in copies(frames[window]):
                yield Film(patient, f"{patient} {part}", f"{name}, {copy}", found)


def cephalograms(data: Path) -> Iterator[Film]:
    """Yield each cephalogram and a smaller copy of it."""
    for path in sorted((data / "cephalograms").glob("*.jpg")):
        frames = np.asarray(Image.open(path).convert("L"))[None]
        for copy, scale in (("original", 1.0), ("half size", 0.5)):
            yield Film(path.stem, path.stem, copy, hash_of_frames([*resized(frames, scale)] * FRAMES))


def score(films: list[Film]) -> dict[str, Any]:
    """Return pairs found and not, by kind of pair, with the extreme distances, and precision and recall."""
    rows: dict[str, Any] = {}
    for one, other in combinations(films, 2):
        same = one.film == other.film
        kind = "same film" if same else "same patient, other film" if one.patient == other.patient else "other patient"
        row = rows.setdefault(kind, {"pairs": 0, "found": 0, "still": [], "motion": []})
        row["pairs"] += 1
        row["found"] += is_same_film(one.hash, other.hash)
        for name, value in zip(("still", "motion"), distance(one.hash, other.hash), strict=True):
            row[name].append(value)
    for row in rows.values():
        for name in ("still", "motion"):
            row[name] = [round(float(value), 3) for value in np.percentile(row[name], (0, 50, 100))]
    found = {kind: row["found"] for kind, row in rows.items()}
    positive, foreign = found.get("same film", 0), found.get("other patient", 0)
    return {
        "pairs": rows,
        "recall": positive / rows["same film"]["pairs"],
        "precision_of_cases": positive / max(1, positive + foreign),
        "precision_of_films": positive / max(1, sum(found.values())),
    }


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=RESULTS)
    out = parser.parse_args().out
    results: dict[str, Any] = {
        "thresholds": {"still": MOST_STILL, "motion": MOST_MOTION},
        "distances": "share of bits that differ: least, median, greatest",
        "phantoms": score(list(phantom_films())),
    }
    shared = os.environ.get("VFSS_SHARED")
    if shared:
        results["real clips"] = score(list(real_films(Path(shared) / "data")))
        results["single pictures, which are refused"] = score(list(cephalograms(Path(shared) / "data")))
    out.write_text(json.dumps(results, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
