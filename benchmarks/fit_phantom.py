# SPDX-License-Identifier: Apache-2.0
"""How closely the phantom can take the shapes that a person painted on a real swallow.

Fits one person (shared over frames), one scale, and a pose per frame to painted masks, block by block; reports Dice
per structure and writes benchmarks/results/fit_phantom.json and fit_phantom.png.

    VFSS_SHARED=/path/to/shared python benchmarks/fit_phantom.py [--frames 48] [--few 6] [--rounds 2] [--redraw]
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import pyplot
from phantom_fitting import KEYS, SPINE, Fitted, Fitter, Pose, outlines, paths, view

from vfss.errors import VfssError
from vfss.phantom.geometry import plane
from vfss.phantom.population import Person
from vfss.phantom.proportions import Atlas, Jaw, Vertebra, Voice, spreads, values

RESULTS = Path(__file__).parent / "results"
_MASKS = Path("data/masks/lateral_facing_left_masks.npz")
_STAND = {
    **{f"tilts.{i}": 8.0 for i in range(8)},
    **{f"spacing.{i}": 0.08 for i in range(6)},
    "atlas_pitch": 8.0,
    "scale": 0.4,
}
_BODY = ("x", "y", "turn", "bend", "nod")


def painted() -> dict[str, npt.NDArray[np.bool_]]:
    """The painted masks by key, bool (T, 512, 512).

    Raises:
        VfssError: The environment does not say where they lie, or they are not there.
    """
    folder = os.environ.get("VFSS_SHARED")
    if not folder or not (Path(folder) / _MASKS).is_file():
        raise VfssError(
            f"no painted masks: VFSS_SHARED is {folder!r}",
            remedy=f"Set VFSS_SHARED to a folder that holds {_MASKS}.",
        )
    with np.load(Path(folder) / _MASKS) as file:
        labels, names = file["labels"], [str(n).lower() for n in file["names"]]
    return {key: labels == names.index(key) for key in KEYS}


def begin(masks: dict[str, npt.NDArray[np.bool_]]) -> Fitted:
    """The usual person laid over C1 and C6 of every frame."""
    middles = {k: [np.argwhere(m).mean(0)[::-1] for m in masks[k]] for k in ("c1", "c6")}
    usual = outlines(Person(), Pose(0, 0), ("c1", "c6"))
    first, last = (np.concatenate(usual[k]).mean(0) for k in ("c1", "c6"))
    gaps = [b - a for a, b in zip(middles["c1"], middles["c6"], strict=True)]
    scale = float(np.median([np.hypot(*g) for g in gaps]) / np.hypot(*(last - first)))
    base = np.degrees(np.arctan2(*(last - first)))
    turns = [float(np.degrees(np.arctan2(*g)) - base) for g in gaps]
    poses = tuple(
        Pose(float(a[0] - scale * first[0]), float(a[1] - scale * first[1]), turn=-0.0 + t)
        for a, t in zip(middles["c1"], turns, strict=True)
    )
    return Fitted(Person(), scale, poses)


def fit(fitter: Fitter, now: Fitted, few: list[int], rounds: int) -> Fitted:
    """Spine, jaw, airway and epiglottis in turn, on a few frames, then the poses of all."""
    everything = range(len(now.poses))
    for turn in range(rounds):
        fitter.sharpen(2.5 if turn == 0 else 1.0)
        now = fitter.poses(now, few, SPINE, _BODY)
        now = fitter.shape(now, few, SPINE, _STAND)
        for key in SPINE:
            name = "atlas" if key == "c1" else f"vertebrae.{int(key[1:]) - 2}"
            names = paths(now.person, name)
            if key == "c7":
                names["shown"] = 0.25
            now = fitter.shape(now, few, (key,), names)
    now = fitter.poses(now, everything, SPINE, _BODY)
    for keys in _MOVES:
        now = _moving(fitter, now, few, rounds, keys)
    return now


_MOVES = {("mandible",): ("tilt", "jaw"), ("airway", "epiglottis"): ("lift", "forward", "closure", "inversion")}
# Where each search of a pose sets out: the best end is kept.
_STARTS: dict[tuple[str, ...], tuple[dict[str, float], ...]] = {
    ("mandible",): ({}, {"tilt": -10.0}, {"tilt": 10.0}),
    ("airway", "epiglottis"): ({}, {"lift": 12.0, "forward": 8.0}, {"lift": 12.0, "closure": 0.8, "inversion": 0.5}),
}


def _moving(fitter: Fitter, now: Fitted, few: list[int], rounds: int, keys: tuple[str, ...]) -> Fitted:
    """What moves by itself: its shape and its motion in turn."""
    everything = range(len(now.poses))
    names = {**paths(now.person, "jaw"), "head_pitch": 8.0} if "mandible" in keys else paths(now.person, "voice")
    for turn in range(rounds):
        fitter.sharpen(2.5 if turn == 0 else 1.0)
        now = _started(fitter, now, few, keys) if turn == 0 else fitter.poses(now, few, keys, _MOVES[keys])
        now = fitter.shape(now, few, keys, names)
    return _started(fitter, now, everything, keys)


def _started(fitter: Fitter, now: Fitted, frames: list[int] | range, keys: tuple[str, ...]) -> Fitted:
    """Poses by search from several starts and from where it is."""
    found, moves = list(now.poses), _MOVES[keys]
    for t in frames:
        ends = []
        for start in ({n: getattr(now.poses[t], n) for n in moves}, *_STARTS[keys]):
            first = replace(now.poses[t], **{**dict.fromkeys(moves, 0.0), **start})
            poses = (*now.poses[:t], first, *now.poses[t + 1 :])
            ends.append(fitter.pose(replace(now, poses=poses), t, keys, moves))
        found[t] = min(ends, key=lambda end: end[1])[0]
    return replace(now, poses=tuple(found))


def scores(masks: dict[str, npt.NDArray[np.bool_]], fitted: Fitted) -> dict[str, list[float | None]]:
    """Dice by key and frame at full size; None where nothing is painted."""
    out: dict[str, list[float | None]] = {key: [] for key in masks}
    for t, pose in enumerate(fitted.poses):
        found, window = outlines(fitted.person, pose, KEYS), view(pose, fitted.scale, 512)
        for key, mask in masks.items():
            drawn = plane([window.pixels(o) for o in found[key]], 512, 512)
            both = int(drawn.sum() + mask[t].sum())
            value = 2 * int((drawn & mask[t]).sum()) / max(both, 1)
            out[key].append(value if mask[t].any() else None)
    return out


def summary(found: dict[str, list[float | None]]) -> dict[str, dict[str, float]]:
    """Mean, lowest and number of frames by key, of those painted anywhere."""
    kept = {k: [v for v in row if v is not None] for k, row in found.items()}
    return {k: {"mean": float(np.mean(v)), "min": float(np.min(v)), "frames": len(v)} for k, v in kept.items() if v}


def person_of(numbers: dict[str, Any]) -> Person:
    """The person that a report holds."""
    plain = {k: tuple(v) if isinstance(v, list) else v for k, v in numbers.items()}
    return Person(
        **{
            **plain,
            "atlas": Atlas(**numbers["atlas"]),
            "vertebrae": tuple(Vertebra(**v) for v in numbers["vertebrae"]),
            "jaw": Jaw(**numbers["jaw"]),
            "voice": Voice(**numbers["voice"]),
        }
    )


def deviations(person: Person) -> dict[str, dict[str, float]]:
    """How many spreads of the population every number of its shapes lies from the usual person, by shape."""
    usual = Person()
    pairs = {
        "c1": (person.atlas, usual.atlas),
        "mandible": (person.jaw, usual.jaw),
        "larynx": (person.voice, usual.voice),
    }
    pairs |= {f"c{i + 2}": (person.vertebrae[i], usual.vertebrae[i]) for i in range(6)}
    return {
        name: dict(zip(asdict(own), ((values(own) - values(mean)) / spreads(own)).round(2).tolist(), strict=True))
        for name, (own, mean) in pairs.items()
    }


def draw(report: dict[str, Any], file: Path, *, over_painted: bool) -> None:
    """Dice as a box per structure, and fitted outlines on four frames, over the painted masks where asked for."""
    figure = pyplot.figure(figsize=(12, 8), layout="constrained")
    box, *pictures = (figure.add_subplot(2, 1, 1), *(figure.add_subplot(2, 4, 5 + i) for i in range(4)))
    kept = [[v for v in report["by_frame"][k] if v is not None] for k in KEYS]
    box.boxplot(kept, tick_labels=[f"{k}\n{np.mean(v):.3f}" for k, v in zip(KEYS, kept, strict=True)])
    box.set(
        ylabel="Dice", title=f"The phantom fitted to {len(report['frames'])} painted frames: mean {report['mean']:.3f}"
    )
    box.grid(axis="y", alpha=0.3)
    masks, person = painted() if over_painted else None, person_of(report["person"])
    for axis, i in zip(pictures, np.linspace(0, len(report["frames"]) - 1, 4).round().astype(int), strict=True):
        pose = Pose(**report["poses"][i])
        found, window = outlines(person, pose, KEYS), view(pose, report["pixels_per_mm"], 512)
        for k, key in enumerate(KEYS):
            drawn = plane([window.pixels(o) for o in found[key]], 512, 512)
            if masks is not None:
                axis.contourf(masks[key][report["frames"][i]], levels=(0.5, 1.5), colors=("0.8",))
            if drawn.any():
                axis.contour(drawn, levels=(0.5,), colors=(f"C{k}",), linewidths=1.0)
        axis.set(title=f"frame {report['frames'][i]}", xticks=(), yticks=(), aspect="equal", ylim=(512, 80))
    figure.savefig(file, dpi=90)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--frames", type=int, default=48, help="frames to fit, evenly over the swallow")
    parser.add_argument("--few", type=int, default=6, help="frames that the shapes are fitted on")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--redraw", action="store_true", help="only draw the figure of the report that is there")
    parser.add_argument("--over-painted", action="store_true", help="show the painted masks too: not for publishing")
    options = parser.parse_args()
    file = options.out / "fit_phantom.json"
    if not options.redraw:
        report = _report(options.frames, options.few, options.rounds)
        options.out.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(report, indent=1) + "\n")
    draw(json.loads(file.read_text()), options.out / "fit_phantom.png", over_painted=options.over_painted)


def _report(frames: int, few: int, rounds: int) -> dict[str, Any]:
    masks = painted()
    count = len(masks["c1"])
    chosen = np.unique(np.linspace(0, count - 1, min(frames, count)).round().astype(int))
    masks = {k: m[chosen] for k, m in masks.items()}
    sparse = np.unique(np.linspace(0, len(chosen) - 1, min(few, len(chosen))).round().astype(int)).tolist()
    began = time.process_time()
    fitter = Fitter(masks, Person())
    fitted = fit(fitter, begin(masks), sparse, rounds)
    found = scores(masks, fitted)
    table = summary(found)
    for key, row in table.items():
        print(f"{key:11s} mean {row['mean']:.3f}  min {row['min']:.3f}  ({row['frames']} frames)")
    mean = float(np.mean([row["mean"] for row in table.values()]))
    print(f"mean of {len(table)} structures {mean:.3f}")
    print(f"{fitter.evaluations} outlines compared in {time.process_time() - began:.0f} s of one core")
    return {
        "dice": table,
        "mean": mean,
        "pixels_per_mm": fitted.scale,
        "person": asdict(fitted.person),
        "deviations": deviations(fitted.person),
        "frames": chosen.tolist(),
        "poses": [asdict(p) for p in fitted.poses],
        "by_frame": found,
    }


if __name__ == "__main__":
    main()
