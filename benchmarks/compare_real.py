# SPDX-License-Identifier: Apache-2.0
"""Image statistics of phantom clips compared with those of real clips.

Measures grey values, noise power spectrum, edge profile, contrast of each structure against its surround, and change
from frame to frame on real clips and on phantom clips of every style. Writes results/compare_real.json and one plot
per quantity: bands of the phantoms (5th to 95th percentile of clips) under the curves of the real clips. Of real clips
only numbers are written. Their contrasts are measured inside the polygons of benchmarks/real_frames.yaml, drawn by eye,
without those named unsure: they are estimates; those of the phantoms are exact.
Run: python benchmarks/compare_real.py --clips FOLDER   (or set VFSS_SHARED to the folder that holds data/clips)
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from film_quantities import (
    CHANGE_PERCENTILES,
    FREQUENCIES,
    LAGS_S,
    OFFSETS,
    PERCENTILES,
    Array,
    Frames,
    Mask,
    change,
    change_over_time,
    contrast,
    edge_profile,
    edge_width,
    greys,
    noise_spectrum,
)
from real_frames import ANNOTATIONS, read_annotations

import vfss
from vfss.clips import content_id
from vfss.phantom import STYLES, Phantom
from vfss.schema import Schema

RESULTS = Path(__file__).parent / "results"
SEED, SIZE, CONSECUTIVE = 330_000, 512, 16
SCHEMA = Schema.load("vfss12")
KEYS = SCHEMA.keys
# Quantity: axis, label of the axis, label of the values, whether logarithmic.
QUANTITIES: dict[str, tuple[Array, str, str, bool]] = {
    "greys": (PERCENTILES, "percentile of the exposed field", "grey value", False),
    "noise_spectrum": (FREQUENCIES, "cycles per pixel", "power, grey values squared", True),
    "edge_profile": (OFFSETS, "pixels across the edge", "share of the step", False),
    "change": (CHANGE_PERCENTILES, "percentile of the exposed field", "|difference of neighbours|, grey values", True),
    "change_over_time": (LAGS_S, "seconds apart", "mean |difference|, grey values", True),
    "contrast": (np.arange(len(KEYS), dtype=np.float64), "", "contrast to the surround, share of the greys", False),
}
Row = dict[str, Array | None]
# Frames of each known clip without a control bar of a player, and its exposed field (top, bottom, left, right).
KNOWN_CLIPS: dict[str, tuple[range, tuple[int, int, int, int] | None]] = {
    "lateral_facing_left_with_overlays": (range(190, 260), (2, 488, 4, 474)),
    "lateral_facing_right": (range(0, 121), (122, 850, 508, 1050)),
}


def quantities(frames: Frames, field: Mask, times_s: Array, masked_frames: list[tuple[Frames, Mask]]) -> Row:
    """Return all curves of one clip, in which dense matter is dark.

    Args:
        frames: Consecutive frames, uint8 (N, height, width).
        field: Exposed field, bool (height, width).
        times_s: Times of the frames, seconds.
        masked_frames: Some frames with their planes.
    """
    spread_frames = frames[:: max(1, len(frames) // 4)]
    rows, columns = np.flatnonzero(field.any(1)), np.flatnonzero(field.any(0))
    reach = max(4, round(min(len(rows), len(columns)) * 0.02))
    contrasts = np.full(len(KEYS), np.nan)
    for i in range(len(KEYS)):
        values = [contrast(frame, planes, i, field, reach) for frame, planes in masked_frames]
        known = [value for value in values if value is not None]
        contrasts[i] = np.mean(known) if known else np.nan
    return {
        "greys": greys(spread_frames, field),
        "noise_spectrum": noise_spectrum(spread_frames, field),
        "edge_profile": edge_profile(spread_frames, field),
        "change": change(frames, field),
        "change_over_time": change_over_time(frames, field, times_s),
        "contrast": contrasts,
    }


def phantom_row(seed: int, style: str) -> Row | None:
    """Return the curves of one phantom clip; None if less than 5 % of the frame is exposed."""
    phantom = Phantom(seed, n_frames=60, height=SIZE, width=SIZE, style=style)
    field = phantom.screen.field
    if field.mean() < 0.05:
        return None
    first = 8 + seed % 28
    frames = np.stack([phantom.frame(t) for t in range(first, first + CONSECUTIVE)])
    if phantom.inverted:
        frames = 255 - frames
    masked_frames = [(frames[k], phantom.planes(first + k)) for k in (0, CONSECUTIVE - 1)]
    return quantities(frames, field, phantom.times_s[first : first + CONSECUTIVE], masked_frames)


def real_row(path: Path) -> Row:
    """Return the curves of a real clip."""
    usable_frames, box = KNOWN_CLIPS.get(path.stem, (range(10**6), None))
    annotated = next((clip for clip in read_annotations(ANNOTATIONS, SCHEMA) if clip.content == content_id(path)), None)
    with vfss.open_clip(path) as clip:
        times = [t for t in usable_frames if t < clip.n_frames]
        frames = np.stack([clip.as_uint8(t) for t in times])
        times_s = clip.times_s[times]
        top, bottom, left, right = box or (0, clip.height, 0, clip.width)
        masked_frames = []
        for annotated_frame in annotated.frames if annotated else ():
            planes = annotated_frame.planes(SCHEMA, clip.height, clip.width)
            planes[[SCHEMA[key].index for key in annotated_frame.unsure]] = False
            frame = clip.as_uint8(annotated_frame.frame)
            masked_frames.append((frame[top:bottom, left:right], planes[:, top:bottom, left:right]))
    frames = frames[:, top:bottom, left:right]
    return quantities(frames, _exposed_field(frames), times_s, masked_frames)


def _exposed_field(frames: Frames) -> Mask:
    """Return the exposed field: pixels between the first and the last bright one of their row, bool (height, width)."""
    bright = frames.max(axis=0) > 24
    rightwards, leftwards = (np.maximum.accumulate(side, axis=1) for side in (bright, bright[:, ::-1]))
    return np.asarray(rightwards & leftwards[:, ::-1])


def _band(rows: list[Row], name: str) -> Array:
    """Return the 5th, 25th, 50th, 75th and 95th percentile of the clips, float64 (5, axis)."""
    stack = np.array([row[name] for row in rows if row[name] is not None], np.float64)
    return np.asarray(np.nanpercentile(stack, (5, 25, 50, 75, 95), axis=0))


def summary(real_clips: dict[str, Row], styles: dict[str, list[Row]]) -> dict[str, Any]:
    """Return all measurements, and the share of each real curve inside the band of the standard phantoms."""
    out: dict[str, Any] = {"structures": list(KEYS), "film_masks": ANNOTATIONS.name}
    for name, (axis, *_) in QUANTITIES.items():
        bands = {style: _band(rows, name) for style, rows in styles.items()}
        low, high = bands["standard"][0], bands["standard"][4]
        curves = {clip: row[name] for clip, row in real_clips.items() if row[name] is not None}
        out[name] = {
            "axis": axis.tolist(),
            "phantom_percentiles_5_25_50_75_95": {style: np.round(band, 4).tolist() for style, band in bands.items()},
            "film": {
                clip: [None if np.isnan(v) else round(float(v), 4) for v in curve] for clip, curve in curves.items()
            },
            "share_of_film_inside_standard": {
                clip: round(float(np.mean(((curve >= low) & (curve <= high))[~np.isnan(curve)])), 3)
                for clip, curve in curves.items()
            },
        }
    widths: Callable[[list[Row]], list[float]] = lambda rows: [  # noqa: E731
        edge_width(row["edge_profile"]) for row in rows if row["edge_profile"] is not None
    ]
    out["edge_width_px"] = {
        "film": {clip: round(w, 2) for clip, row in real_clips.items() for w in widths([row])},
        "phantom_percentiles_5_50_95": {
            style: np.round(np.percentile(widths(rows), (5, 50, 95)), 2).tolist() for style, rows in styles.items()
        },
    }
    return out


def plot(measured: dict[str, Any]) -> None:
    """Write one plot per quantity."""
    import matplotlib  # noqa: PLC0415

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt  # noqa: PLC0415

    for name, (axis, axis_label, value, logarithmic) in QUANTITIES.items():
        figure, axes = plt.subplots(figsize=(7, 4.5), dpi=110)
        for i, (style, band) in enumerate(measured[name]["phantom_percentiles_5_25_50_75_95"].items()):
            if style == "standard":
                axes.fill_between(axis, band[0], band[4], alpha=0.18, color="tab:blue", label="standard, 5 to 95 %")
                axes.fill_between(axis, band[1], band[3], alpha=0.3, color="tab:blue", label="standard, 25 to 75 %")
            else:
                axes.plot(axis, band[2], ":", color=f"C{i + 1}", label=f"{style}, median")
        for curve, line_style in zip(measured[name]["film"].items(), ("k-", "k--", "k-."), strict=False):
            axes.plot(
                axis, np.array(curve[1], np.float64), line_style, marker="." if len(axis) < 15 else "", label=curve[0]
            )
        if logarithmic:
            axes.set_yscale("symlog" if name == "change" else "log", **({"linthresh": 1} if name == "change" else {}))
        if name == "contrast":
            axes.set_xticks(axis, KEYS, rotation=45)
            axes.axhline(0, color="0.7", lw=0.5)
        axes.set(xlabel=axis_label, ylabel=value, title=name.replace("_", " "))
        axes.legend(fontsize=7)
        figure.tight_layout()
        figure.savefig(RESULTS / f"compare_real_{name}.png")
        plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    shared = os.environ.get("VFSS_SHARED")
    parser.add_argument("--clips", type=Path, default=Path(shared) / "data" / "clips" if shared else None)
    parser.add_argument(
        "--phantoms",
        type=int,
        default=60,
        help="number of clips of the standard style; other styles have a third of it",
    )
    options = parser.parse_args()
    if options.clips is None or not options.clips.is_dir():
        print("no real clips: give --clips FOLDER or set VFSS_SHARED")
        return
    real_clips = {path.stem: real_row(path) for path in sorted(options.clips.glob("*.mp4"))}
    styles = {}
    for style in STYLES:
        number = options.phantoms if style == "standard" else -(-options.phantoms // 3)
        rows = [phantom_row(SEED + i, style) for i in range(number)]
        styles[style] = [row for row in rows if row is not None]
        print(f"{style}: {len(styles[style])} clips", flush=True)
    measured = summary(real_clips, styles)
    measured["phantoms"] = {"first_seed": SEED, "size": SIZE, "clips": {s: len(rows) for s, rows in styles.items()}}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "compare_real.json").write_text(json.dumps(measured, indent=1))
    plot(measured)
    for name in QUANTITIES:
        print(name, measured[name]["share_of_film_inside_standard"])
    print("edge width", measured["edge_width_px"])


if __name__ == "__main__":
    main()
