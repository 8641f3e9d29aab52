# SPDX-License-Identifier: Apache-2.0
"""Fit of the phantom to masks that a person drew on a real swallow.

Fits one person (shared over frames), one scale, and a pose per frame to the masks, block by block; reports Dice per
structure and writes benchmarks/results/fit_phantom.json and fit_phantom.png.

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


def load_masks() -> dict[str, npt.NDArray[np.bool_]]:
    """Return the annotated masks by key, bool (T, 512, 512).

    Raises:
        VfssError: VFSS_SHARED is not set, or the file is missing.
    """
    folder = os.environ.get("VFSS_SHARED")
    if not folder or not (Path(folder) / _MASKS).is_file():
        raise VfssError(
            f"no annotated masks: VFSS_SHARED is {folder!r}",
            remedy=f"Set VFSS_SHARED to a folder that holds {_MASKS}.",
        )
    with np.load(Path(folder) / _MASKS) as file:
        labels, names = file["labels"], [str(n).lower() for n in file["names"]]
    return {key: labels == names.index(key) for key in KEYS}


def initial_fit(masks: dict[str, npt.NDArray[np.bool_]]) -> Fitted:
    """Return the mean person aligned with C1 and C6 of every frame."""
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


def fit(fitter: Fitter, current: Fitted, few: list[int], rounds: int) -> Fitted:
    """Fit spine, jaw, airway and epiglottis in turn on a few frames, then the poses of all frames."""
    all_frames = range(len(current.poses))
    for turn in range(rounds):
        fitter.sharpen(2.5 if turn == 0 else 1.0)
        current = fitter.poses(current, few, SPINE, _BODY)
        current = fitter.shape(current, few, SPINE, _STAND)
        for key in SPINE:
            name = "atlas" if key == "c1" else f"vertebrae.{int(key[1:]) - 2}"
            names = paths(current.person, name)
            if key == "c7":
                names["shown"] = 0.25
            current = fitter.shape(current, few, (key,), names)
    current = fitter.poses(current, all_frames, SPINE, _BODY)
    for keys in _MOTIONS:
        current = _fit_moving(fitter, current, few, rounds, keys)
    return current


_MOTIONS = {("mandible",): ("tilt", "jaw"), ("airway", "epiglottis"): ("lift", "forward", "closure", "inversion")}
# Starting points of the search for a pose: the best result is used.
_STARTS: dict[tuple[str, ...], tuple[dict[str, float], ...]] = {
    ("mandible",): ({}, {"tilt": -10.0}, {"tilt": 10.0}),
    ("airway", "epiglottis"): ({}, {"lift": 12.0, "forward": 8.0}, {"lift": 12.0, "closure": 0.8, "inversion": 0.5}),
}


def _fit_moving(fitter: Fitter, current: Fitted, few: list[int], rounds: int, keys: tuple[str, ...]) -> Fitted:
    """Fit shape and motion of structures that move independently of the spine, in turn."""
    all_frames = range(len(current.poses))
    names = (
        {**paths(current.person, "jaw"), "head_pitch": 8.0} if "mandible" in keys else paths(current.person, "voice")
    )
    for turn in range(rounds):
        fitter.sharpen(2.5 if turn == 0 else 1.0)
        current = (
            _fit_from_starts(fitter, current, few, keys)
            if turn == 0
            else fitter.poses(current, few, keys, _MOTIONS[keys])
        )
        current = fitter.shape(current, few, keys, names)
    return _fit_from_starts(fitter, current, all_frames, keys)


def _fit_from_starts(fitter: Fitter, current: Fitted, frames: list[int] | range, keys: tuple[str, ...]) -> Fitted:
    """Fit poses from several starting points and from the current pose."""
    fitted_poses, motions = list(current.poses), _MOTIONS[keys]
    for t in frames:
        candidates = []
        for start in ({n: getattr(current.poses[t], n) for n in motions}, *_STARTS[keys]):
            first = replace(current.poses[t], **{**dict.fromkeys(motions, 0.0), **start})
            poses = (*current.poses[:t], first, *current.poses[t + 1 :])
            candidates.append(fitter.pose(replace(current, poses=poses), t, keys, motions))
        fitted_poses[t] = min(candidates, key=lambda end: end[1])[0]
    return replace(current, poses=tuple(fitted_poses))


def scores(masks: dict[str, npt.NDArray[np.bool_]], fitted: Fitted) -> dict[str, list[float | None]]:
    """Return the Dice by key and frame at full size; None where nothing is annotated."""
    out: dict[str, list[float | None]] = {key: [] for key in masks}
    for t, pose in enumerate(fitted.poses):
        shapes, window = outlines(fitted.person, pose, KEYS), view(pose, fitted.scale, 512)
        for key, mask in masks.items():
            fitted_mask = plane([window.pixels(o) for o in shapes[key]], 512, 512)
            both = int(fitted_mask.sum() + mask[t].sum())
            value = 2 * int((fitted_mask & mask[t]).sum()) / max(both, 1)
            out[key].append(value if mask[t].any() else None)
    return out


def summary(dice: dict[str, list[float | None]]) -> dict[str, dict[str, float]]:
    """Return mean, minimum and number of frames by key, for structures that are annotated anywhere."""
    known = {k: [v for v in row if v is not None] for k, row in dice.items()}
    return {k: {"mean": float(np.mean(v)), "min": float(np.min(v)), "frames": len(v)} for k, v in known.items() if v}


def person_of(numbers: dict[str, Any]) -> Person:
    """Return the person stored in a report."""
    fields = {k: tuple(v) if isinstance(v, list) else v for k, v in numbers.items()}
    return Person(
        **{
            **fields,
            "atlas": Atlas(**numbers["atlas"]),
            "vertebrae": tuple(Vertebra(**v) for v in numbers["vertebrae"]),
            "jaw": Jaw(**numbers["jaw"]),
            "voice": Voice(**numbers["voice"]),
        }
    )


def deviations(person: Person) -> dict[str, dict[str, float]]:
    """Return the deviation of every parameter from the mean person, in spreads of the population, by shape."""
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


def draw(report: dict[str, Any], file: Path, *, show_masks: bool) -> None:
    """Plot Dice as a box per structure, and fitted outlines on four frames, over the annotated masks on request."""
    figure = pyplot.figure(figsize=(12, 8), layout="constrained")
    box, *pictures = (figure.add_subplot(2, 1, 1), *(figure.add_subplot(2, 4, 5 + i) for i in range(4)))
    known = [[v for v in report["by_frame"][k] if v is not None] for k in KEYS]
    box.boxplot(known, tick_labels=[f"{k}\n{np.mean(v):.3f}" for k, v in zip(KEYS, known, strict=True)])
    box.set(
        ylabel="Dice",
        title=f"The phantom fitted to {len(report['frames'])} annotated frames: mean {report['mean']:.3f}",
    )
    box.grid(axis="y", alpha=0.3)
    masks, person = load_masks() if show_masks else None, person_of(report["person"])
    for axis, i in zip(pictures, np.linspace(0, len(report["frames"]) - 1, 4).round().astype(int), strict=True):
        pose = Pose(**report["poses"][i])
        shapes, window = outlines(person, pose, KEYS), view(pose, report["pixels_per_mm"], 512)
        for k, key in enumerate(KEYS):
            fitted_mask = plane([window.pixels(o) for o in shapes[key]], 512, 512)
            if masks is not None:
                axis.contourf(masks[key][report["frames"][i]], levels=(0.5, 1.5), colors=("0.8",))
            if fitted_mask.any():
                axis.contour(fitted_mask, levels=(0.5,), colors=(f"C{k}",), linewidths=1.0)
        axis.set(title=f"frame {report['frames'][i]}", xticks=(), yticks=(), aspect="equal", ylim=(512, 80))
    figure.savefig(file, dpi=90)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--frames", type=int, default=48, help="number of frames to fit, evenly spaced over the swallow"
    )
    parser.add_argument("--few", type=int, default=6, help="number of frames for fitting the shapes")
    parser.add_argument("--rounds", type=int, default=2, help="rounds of fitting")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--redraw", action="store_true", help="only draw the figure of the existing report")
    parser.add_argument(
        "--over-painted", action="store_true", help="also show the annotated masks: not for publication"
    )
    options = parser.parse_args()
    file = options.out / "fit_phantom.json"
    if not options.redraw:
        report = _report(options.frames, options.few, options.rounds)
        options.out.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(report, indent=1) + "\n")
    draw(json.loads(file.read_text()), options.out / "fit_phantom.png", show_masks=options.over_painted)


def _report(frames: int, few: int, rounds: int) -> dict[str, Any]:
    masks = load_masks()
    count = len(masks["c1"])
    chosen = np.unique(np.linspace(0, count - 1, min(frames, count)).round().astype(int))
    masks = {k: m[chosen] for k, m in masks.items()}
    sparse = np.unique(np.linspace(0, len(chosen) - 1, min(few, len(chosen))).round().astype(int)).tolist()
    started = time.process_time()
    fitter = Fitter(masks, Person())
    fitted = fit(fitter, initial_fit(masks), sparse, rounds)
    dice = scores(masks, fitted)
    table = summary(dice)
    for key, row in table.items():
        print(f"{key:11s} mean {row['mean']:.3f}  min {row['min']:.3f}  ({row['frames']} frames)")
    mean = float(np.mean([row["mean"] for row in table.values()]))
    print(f"mean of {len(table)} structures {mean:.3f}")
    print(f"{fitter.evaluations} outlines compared in {time.process_time() - started:.0f} s of one core")
    return {
        "dice": table,
        "mean": mean,
        "pixels_per_mm": fitted.scale,
        "person": asdict(fitted.person),
        "deviations": deviations(fitted.person),
        "frames": chosen.tolist(),
        "poses": [asdict(p) for p in fitted.poses],
        "by_frame": dice,
    }


if __name__ == "__main__":
    main()
