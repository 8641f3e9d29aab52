# SPDX-License-Identifier: Apache-2.0
"""Do phantoms look like film, by what can be measured?

Measures grey values, noise power spectrum, edge profile, contrast of each structure against its surround, and change
from frame to frame on real clips and on phantom clips of every style. Writes results/compare_real.json and one plot
per quantity: bands of the phantoms (5th to 95th percentile of clips) under the curves of film. Of film only numbers are
written. Its contrasts are measured inside the polygons of benchmarks/real_frames.yaml, painted by eye, without those
named unsure: they are estimates; the phantom's are exact.
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
    PERCENTILES,
    PLACES,
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
from real_frames import PAINTED, read_painted

import vfss
from vfss.clips import content_id
from vfss.phantom import STYLES, Phantom
from vfss.schema import Schema

RESULTS = Path(__file__).parent / "results"
SEED, SIZE, IN_A_ROW = 330_000, 512, 16
SCHEMA = Schema.load("vfss12")
KEYS = SCHEMA.keys
# Quantity: axis, its name, the name of the values, logarithmic.
QUANTITIES: dict[str, tuple[Array, str, str, bool]] = {
    "greys": (PERCENTILES, "percentile of the field", "grey value", False),
    "noise_spectrum": (FREQUENCIES, "cycles per pixel", "power, grey values squared", True),
    "edge_profile": (PLACES, "pixels across the edge", "share of the step", False),
    "change": (CHANGE_PERCENTILES, "percentile of the field", "|difference of neighbours|, grey values", True),
    "change_over_time": (LAGS_S, "seconds apart", "mean |difference|, grey values", True),
    "contrast": (np.arange(len(KEYS), dtype=np.float64), "", "contrast to the surround, share of the greys", False),
}
Row = dict[str, Array | None]
# Frames of each known clip in which no player's bar lies over the picture, and its field (top, bottom, left, right).
FILM: dict[str, tuple[range, tuple[int, int, int, int] | None]] = {
    "lateral_facing_left_with_overlays": (range(190, 260), (2, 488, 4, 474)),
    "lateral_facing_right": (range(0, 121), (122, 850, 508, 1050)),
}


def quantities(frames: Frames, field: Mask, times_s: Array, found: list[tuple[Frames, Mask]]) -> Row:
    """All curves of one clip, dense matter dark.

    Args:
        frames: Consecutive, uint8 (N, height, width).
        field: bool (height, width).
        times_s: Of the frames.
        found: Some frames with their planes.
    """
    few = frames[:: max(1, len(frames) // 4)]
    rows, columns = np.flatnonzero(field.any(1)), np.flatnonzero(field.any(0))
    reach = max(4, round(min(len(rows), len(columns)) * 0.02))
    contrasts = np.full(len(KEYS), np.nan)
    for i in range(len(KEYS)):
        values = [contrast(frame, planes, i, field, reach) for frame, planes in found]
        known = [value for value in values if value is not None]
        contrasts[i] = np.mean(known) if known else np.nan
    return {
        "greys": greys(few, field),
        "noise_spectrum": noise_spectrum(few, field),
        "edge_profile": edge_profile(few, field),
        "change": change(frames, field),
        "change_over_time": change_over_time(frames, field, times_s),
        "contrast": contrasts,
    }


def phantom_row(seed: int, style: str) -> Row | None:
    """Curves of one phantom clip; None where hardly anything is exposed."""
    phantom = Phantom(seed, n_frames=60, height=SIZE, width=SIZE, style=style)
    field = phantom.screen.field
    if field.mean() < 0.05:
        return None
    first = 8 + seed % 28
    frames = np.stack([phantom.frame(t) for t in range(first, first + IN_A_ROW)])
    if phantom.inverted:
        frames = 255 - frames
    found = [(frames[k], phantom.planes(first + k)) for k in (0, IN_A_ROW - 1)]
    return quantities(frames, field, phantom.times_s[first : first + IN_A_ROW], found)


def film_row(path: Path) -> Row:
    """Curves of a real clip."""
    taken, box = FILM.get(path.stem, (range(10**6), None))
    painted = next((clip for clip in read_painted(PAINTED, SCHEMA) if clip.content == content_id(path)), None)
    with vfss.open_clip(path) as clip:
        times = [t for t in taken if t < clip.n_frames]
        frames = np.stack([clip.as_uint8(t) for t in times])
        times_s = clip.times_s[times]
        top, bottom, left, right = box or (0, clip.height, 0, clip.width)
        found = []
        for looked in painted.frames if painted else ():
            planes = looked.planes(SCHEMA, clip.height, clip.width)
            planes[[SCHEMA[key].index for key in looked.unsure]] = False
            frame = clip.as_uint8(looked.frame)
            found.append((frame[top:bottom, left:right], planes[:, top:bottom, left:right]))
    frames = frames[:, top:bottom, left:right]
    return quantities(frames, _lit(frames), times_s, found)


def _lit(frames: Frames) -> Mask:
    """Pixels between the first and the last light of their row, bool (height, width): the field of film."""
    bright = frames.max(axis=0) > 24
    forth, back = (np.maximum.accumulate(side, axis=1) for side in (bright, bright[:, ::-1]))
    return np.asarray(forth & back[:, ::-1])


def _band(rows: list[Row], name: str) -> Array:
    """5th, 25th, 50th, 75th and 95th percentile of the clips, float64 (5, axis)."""
    stack = np.array([row[name] for row in rows if row[name] is not None], np.float64)
    return np.asarray(np.nanpercentile(stack, (5, 25, 50, 75, 95), axis=0))


def summary(film: dict[str, Row], styles: dict[str, list[Row]]) -> dict[str, Any]:
    """Everything measured, and which share of each real curve lies inside the standard phantoms' band."""
    out: dict[str, Any] = {"structures": list(KEYS), "film_masks": PAINTED.name}
    for name, (axis, *_) in QUANTITIES.items():
        bands = {style: _band(rows, name) for style, rows in styles.items()}
        low, high = bands["standard"][0], bands["standard"][4]
        curves = {clip: row[name] for clip, row in film.items() if row[name] is not None}
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
        "film": {clip: round(w, 2) for clip, row in film.items() for w in widths([row])},
        "phantom_percentiles_5_50_95": {
            style: np.round(np.percentile(widths(rows), (5, 50, 95)), 2).tolist() for style, rows in styles.items()
        },
    }
    return out


def plot(measured: dict[str, Any]) -> None:
    """One picture per quantity."""
    import matplotlib  # noqa: PLC0415

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt  # noqa: PLC0415

    for name, (axis, along, value, logarithmic) in QUANTITIES.items():
        figure, axes = plt.subplots(figsize=(7, 4.5), dpi=110)
        for i, (style, band) in enumerate(measured[name]["phantom_percentiles_5_25_50_75_95"].items()):
            if style == "standard":
                axes.fill_between(axis, band[0], band[4], alpha=0.18, color="tab:blue", label="standard, 5 to 95 %")
                axes.fill_between(axis, band[1], band[3], alpha=0.3, color="tab:blue", label="standard, 25 to 75 %")
            else:
                axes.plot(axis, band[2], ":", color=f"C{i + 1}", label=f"{style}, median")
        for curve, look in zip(measured[name]["film"].items(), ("k-", "k--", "k-."), strict=False):
            axes.plot(axis, np.array(curve[1], np.float64), look, marker="." if len(axis) < 15 else "", label=curve[0])
        if logarithmic:
            axes.set_yscale("symlog" if name == "change" else "log", **({"linthresh": 1} if name == "change" else {}))
        if name == "contrast":
            axes.set_xticks(axis, KEYS, rotation=45)
            axes.axhline(0, color="0.7", lw=0.5)
        axes.set(xlabel=along, ylabel=value, title=name.replace("_", " "))
        axes.legend(fontsize=7)
        figure.tight_layout()
        figure.savefig(RESULTS / f"compare_real_{name}.png")
        plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    shared = os.environ.get("VFSS_SHARED")
    parser.add_argument("--clips", type=Path, default=Path(shared) / "data" / "clips" if shared else None)
    parser.add_argument("--phantoms", type=int, default=60, help="clips of the standard style; a third of the others")
    options = parser.parse_args()
    if options.clips is None or not options.clips.is_dir():
        print("no real clips: give --clips FOLDER or set VFSS_SHARED")
        return
    film = {path.stem: film_row(path) for path in sorted(options.clips.glob("*.mp4"))}
    styles = {}
    for style in STYLES:
        number = options.phantoms if style == "standard" else -(-options.phantoms // 3)
        rows = [phantom_row(SEED + i, style) for i in range(number)]
        styles[style] = [row for row in rows if row is not None]
        print(f"{style}: {len(styles[style])} clips", flush=True)
    measured = summary(film, styles)
    measured["phantoms"] = {"first_seed": SEED, "size": SIZE, "clips": {s: len(rows) for s, rows in styles.items()}}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "compare_real.json").write_text(json.dumps(measured, indent=1))
    plot(measured)
    for name in QUANTITIES:
        print(name, measured[name]["share_of_film_inside_standard"])
    print("edge width", measured["edge_width_px"])


if __name__ == "__main__":
    main()
