# SPDX-License-Identifier: Apache-2.0
"""Recall and false detections of burned-in text.

Names, dates and numbers are drawn into phantom frames without overlays: in several sizes, bright, dark and grey,
outside the exposed field and over the neck, a few with low contrast, and then compressed as by a recorder. A line
counts as hidden if at least 98 % of its pixels lie in boxes. Boxes on the same frames without text are false.
Other frames have the text overlay of the phantom.
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
    """Return a phantom frame without overlays, uint8 (512, 512)."""
    phantom = Phantom(seed, n_frames=2, height=EDGE, width=EDGE, style="standard")
    object.__setattr__(phantom.screen.apparatus, "overlays", Overlays((), 0))
    return phantom.frame(1)


def compressed(picture: np.ndarray, quality: int = 80) -> np.ndarray:
    """Return the picture after JPEG compression, uint8 (H, W)."""
    data = io.BytesIO()
    Image.fromarray(picture).save(data, "jpeg", quality=quality)
    return np.array(Image.open(data))


def with_text(frame: np.ndarray, rng: np.random.Generator, size: int) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Draw five lines of one size on a frame; return it with the lines, each with its pixels, bool (H, W)."""
    picture, lines = frame.copy(), []
    for number, row in enumerate((12, 120, 230, 340, 470)):
        text = str(rng.choice(WORDS))
        fill, position = FILLS[number % len(FILLS)], (int(rng.integers(5, 300)), row)
        mask = Image.new("L", (EDGE, EDGE))
        ImageDraw.Draw(mask).text(position, text, fill=255, font=font(size))
        alpha = np.array(mask) / 255.0
        background = float(picture[alpha > 0.5].mean())
        picture = np.rint(picture * (1 - alpha) + fill * alpha).astype(np.uint8)
        lines.append({"word": text, "size": size, "contrast": abs(fill - background), "pixels": alpha > 0.5})
    return compressed(picture), lines


def hidden(pixels: np.ndarray, boxes: list[PixelBox]) -> float:
    """Return the share of pixels, bool (H, W), that lie in boxes."""
    covered = Redaction(tuple(boxes)).pixels(np.full(pixels.shape, 255, np.uint8)) == 0
    return float(covered[pixels].mean())


def measure_drawn(detector: TextDetector, seeds: range) -> dict[str, Any]:
    """Measure recall on drawn lines, and false boxes on frames without text."""
    rows, false_boxes, area, seconds = [], 0, 0.0, []
    for seed in seeds:
        frame = plain_frame(seed)
        boxes = detector.boxes(compressed(frame))
        false_boxes += len(merged(boxes))
        area += sum((b.bottom - b.top) * (b.right - b.left) for b in merged(boxes)) / frame.size
        rng = np.random.default_rng(seed)
        for size in SIZES:
            picture, lines = with_text(frame, rng, size)
            started = time.perf_counter()
            boxes = merged(detector.boxes(picture))
            seconds.append(time.perf_counter() - started)
            rows += [{"hidden": hidden(line.pop("pixels"), boxes), **line} for line in lines]
    return {
        "lines": len(rows),
        "recall_by_size_px": {size: _recall([r for r in rows if r["size"] == size]) for size in SIZES},
        "recall_contrast_over_40": _recall([r for r in rows if r["contrast"] > 40]),
        "recall_contrast_up_to_40": _recall([r for r in rows if r["contrast"] <= 40]),
        "lines_contrast_up_to_40": sum(r["contrast"] <= 40 for r in rows),
        "missed": [r for r in rows if r["hidden"] < HIDDEN],
        "boxes_in_vain_per_frame_without_text": false_boxes / len(seeds),
        "share_of_frame_in_vain": area / len(seeds),
        "seconds_a_picture": float(np.median(seconds)),
    }


def _recall(rows: list[dict[str, Any]]) -> float | None:
    return None if not rows else float(np.mean([row["hidden"] >= HIDDEN for row in rows]))


def measure_overlays(detector: TextDetector, seeds: range) -> dict[str, Any]:
    """Measure recall on the phantom's text overlay, whose pixels are those that it changes in a plain frame."""
    shares = []
    for seed in seeds:
        frame = plain_frame(seed)
        picture = painted(Overlays(("text",), seed), frame, 1)
        pixels = np.abs(picture.astype(int) - frame) > 24
        if pixels.any():
            shares.append(hidden(pixels, merged(detector.boxes(compressed(picture)))))
    return {"frames": len(shares), "whole_text_hidden": float(np.mean(np.array(shares) >= HIDDEN)), "shares": shares}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=6, help="Number of phantom frames.")
    arguments = parser.parse_args()
    detector = TextDetector()
    result = {
        "drawn": measure_drawn(detector, range(400_000, 400_000 + arguments.clips)),
        "phantom_overlays": measure_overlays(detector, range(410_000, 410_000 + 2 * arguments.clips)),
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
