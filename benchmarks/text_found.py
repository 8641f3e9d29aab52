# SPDX-License-Identifier: Apache-2.0
"""How much burned-in text is found, and how much else is taken for text?

Names, dates and numbers are drawn into phantom frames without overlays: in several sizes, bright, dark and grey, beside
the field and over the neck, a few of them faint, then compressed as a recorder does. A piece of text counts as hidden
where at least 98 % of its pixels lie in boxes. The same frames without text give what is found in vain. Other frames
follow with the phantom's own text overlay.
Writes benchmarks/results/text_found.json. Run: python benchmarks/text_found.py
"""

from __future__ import annotations

import argparse
import io
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from vfss.deidentify.text_detection import TextDetector, merged
from vfss.phantom import Phantom
from vfss.phantom.overlays import Overlays, font, painted
from vfss.redaction import PixelBox, Redaction

RESULT = Path(__file__).parent / "results" / "text_found.json"
SIZES = (8, 10, 12, 16, 24)
WORDS = ("MUELLER^ANNA", "Smith, John", "12.03.1961", "ID 4711-0815", "St. Mary Hospital", "14:32:07")
FILLS = (255, 0, 150)
HIDDEN = 0.98
EDGE = 512


def plain_frame(seed: int) -> np.ndarray:
    """A phantom frame without overlays, uint8 (512, 512)."""
    phantom = Phantom(seed, n_frames=2, height=EDGE, width=EDGE, style="standard")
    object.__setattr__(phantom.screen.apparatus, "overlays", Overlays((), 0))
    return phantom.frame(1)


def compressed(picture: np.ndarray, quality: int = 80) -> np.ndarray:
    """The picture after JPEG, uint8 (H, W)."""
    data = io.BytesIO()
    Image.fromarray(picture).save(data, "jpeg", quality=quality)
    return np.array(Image.open(data))


def with_text(frame: np.ndarray, rng: np.random.Generator, size: int) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Five lines of one size on a frame, and for each where its pixels are, bool (H, W)."""
    picture, lines = frame.copy(), []
    for number, row in enumerate((12, 120, 230, 340, 470)):
        word = str(rng.choice(WORDS))
        fill, at = FILLS[number % len(FILLS)], (int(rng.integers(5, 300)), row)
        mask = Image.new("L", (EDGE, EDGE))
        ImageDraw.Draw(mask).text(at, word, fill=255, font=font(size))
        alpha = np.array(mask) / 255.0
        behind = float(picture[alpha > 0.5].mean())
        picture = np.rint(picture * (1 - alpha) + fill * alpha).astype(np.uint8)
        lines.append({"word": word, "size": size, "contrast": abs(fill - behind), "pixels": alpha > 0.5})
    return compressed(picture), lines


def hidden(pixels: np.ndarray, boxes: list[PixelBox]) -> float:
    """Share of pixels, bool (H, W), that lie in boxes."""
    covered = Redaction(tuple(boxes)).pixels(np.full(pixels.shape, 255, np.uint8)) == 0
    return float(covered[pixels].mean())


def measure_drawn(detector: TextDetector, seeds: range) -> dict[str, Any]:
    rows, vain, area, seconds = [], 0, 0.0, []
    for seed in seeds:
        frame = plain_frame(seed)
        boxes = detector.boxes(compressed(frame))
        vain += len(merged(boxes))
        area += sum((b.bottom - b.top) * (b.right - b.left) for b in merged(boxes)) / frame.size
        rng = np.random.default_rng(seed)
        for size in SIZES:
            picture, lines = with_text(frame, rng, size)
            began = time.perf_counter()
            boxes = merged(detector.boxes(picture))
            seconds.append(time.perf_counter() - began)
            rows += [{"hidden": hidden(line.pop("pixels"), boxes), **line} for line in lines]
    return {
        "lines": len(rows),
        "recall_by_size_px": {size: _recall([r for r in rows if r["size"] == size]) for size in SIZES},
        "recall_contrast_over_40": _recall([r for r in rows if r["contrast"] > 40]),
        "recall_contrast_up_to_40": _recall([r for r in rows if r["contrast"] <= 40]),
        "lines_contrast_up_to_40": sum(r["contrast"] <= 40 for r in rows),
        "missed": [r for r in rows if r["hidden"] < HIDDEN],
        "boxes_in_vain_per_frame_without_text": vain / len(seeds),
        "share_of_frame_in_vain": area / len(seeds),
        "seconds_a_picture": float(np.median(seconds)),
    }


def _recall(rows: list[dict[str, Any]]) -> float | None:
    return None if not rows else float(np.mean([row["hidden"] >= HIDDEN for row in rows]))


def measure_overlays(detector: TextDetector, seeds: range) -> dict[str, Any]:
    """The phantom's own text overlay on plain frames: its pixels are where the picture changes."""
    shares = []
    for seed in seeds:
        frame = plain_frame(seed)
        picture = painted(Overlays(("text",), seed), frame, 1)
        pixels = np.abs(picture.astype(int) - frame) > 24
        if pixels.any():
            shares.append(hidden(pixels, merged(detector.boxes(compressed(picture)))))
    return {"frames": len(shares), "whole_text_hidden": float(np.mean(np.array(shares) >= HIDDEN)), "shares": shares}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--clips", type=int, default=6)
    chosen = parser.parse_args()
    detector = TextDetector()
    result = {
        "drawn": measure_drawn(detector, range(400_000, 400_000 + chosen.clips)),
        "phantom_overlays": measure_overlays(detector, range(410_000, 410_000 + 2 * chosen.clips)),
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
