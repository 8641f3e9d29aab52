# SPDX-License-Identifier: Apache-2.0
"""How far from the truth does a student find landmarks: on phantoms it was never trained on, and on marked head films.

Phantoms: distance from each landmark that is there, in true C2-C4 lengths, where both lower front corners are there.
Films: the lower front corners of C2 and C4 against the points that people set, beside the corners found on its masks
(vfss.masks.corners) on the same views, in marked C2-C4 lengths; see benchmarks/levels.py.

Run: python benchmarks/landmarks.py [--student FILE] [--patients N] [--every N] [--films FOLDER] [--json FILE]
     [--films by default in $VFSS_SHARED/data/cephalograms]; --every N takes every N-th view.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from cephalograms import cut, looks, read_films
from levels import BEFORE_SPINE, folder_of

from vfss.landmarks import LANDMARKS
from vfss.masks.corners import lower_front_corners
from vfss.phantom import Phantom
from vfss.student import Student, load_student

FIRST_SEED, SIDE = 130_000, 512
CORNERS = {"c2": "c2_front", "c4": "c4_front"}
SURE = 0.5
KEYS = tuple(landmark.key for landmark in LANDMARKS)


def on_phantoms(student: Student, patients: int, style: str) -> dict[str, Any]:
    """Return the error of each landmark, and how often it is confident where one is there and where none is."""
    rows: dict[str, list[tuple[float, float]]] = {key: [] for key in KEYS}
    absent: list[float] = []
    for seed in range(FIRST_SEED, FIRST_SEED + patients):
        phantom = Phantom(seed, n_frames=9, height=SIDE, width=SIDE, style=style)
        truth = dict(zip(KEYS, phantom.landmarks(4), strict=True))
        length = float(np.hypot(*(truth["c2_front"] - truth["c4_front"])))
        found = student.find_landmarks(phantom.frame(4))
        for key, confidence in zip(found.keys, found.confidence.tolist(), strict=True):
            place = found.point(key)
            if np.isnan(truth[key]).any():
                absent.append(confidence)
            elif np.isfinite(length):
                far = float("inf") if place is None else float(np.hypot(*(np.array(place)[::-1] - truth[key]))) / length
                rows[key].append((far, confidence))
    figures: dict[str, Any] = {key: summary(pairs) for key, pairs in rows.items()}
    figures["confident_where_absent"] = share_sure(absent)
    return figures


def summary(pairs: list[tuple[float, float]]) -> dict[str, Any]:
    """Return median and 90th percentile of errors, of all and of those that are confident."""
    sure = [error for error, confidence in pairs if confidence >= SURE]
    return {
        "n": len(pairs),
        "median": quantile([error for error, _ in pairs], 50),
        "p90": quantile([error for error, _ in pairs], 90),
        "confident": share_sure([confidence for _, confidence in pairs]),
        "median_confident": quantile(sure, 50),
        "p90_confident": quantile(sure, 90),
    }


def quantile(values: list[float], percent: float) -> float | None:
    """Return a percentile; None of no values."""
    return round(float(np.percentile(values, percent)), 4) if values else None


def share_sure(values: list[float]) -> float | None:
    """Return the share of confidences that reach SURE."""
    return round(float(np.mean(np.array(values) >= SURE)), 4) if values else None


def on_films(student: Student, folder: Path, every: int) -> dict[str, Any]:
    """Return the errors of the corners of C2 and C4 by the head and by the masks, on the same views."""
    errors: dict[str, list[tuple[float, float]]] = {
        f"{way} {level}": [] for way in ("head", "masks") for level in CORNERS
    }
    films = [film for film in read_films(folder) if film.neck is not None]
    for film, look in [(film, look) for film in films for look in looks()][::every]:
        view = cut(film, look)
        if set(view.corners) != set(CORNERS):
            continue
        found, proposal = student.find_landmarks(view.frame), student.propose(view.frame[None])[0]
        chain = [key for key in proposal.keys if student.schema[key].chain == "spine"]
        planes = dict(zip(proposal.keys, proposal.masks.planes, strict=True))
        before = np.any([planes[key] for key in BEFORE_SPINE], axis=0)
        by_masks = dict(zip(chain, lower_front_corners([planes[key] for key in chain], before), strict=True))
        for level, key in CORNERS.items():
            confidence = float(found.confidence[found.keys.index(key)])
            for way, place in (("head", found.point(key)), ("masks", by_masks[level])):
                if place is not None:
                    far = float(np.hypot(*(np.array(place)[::-1] - view.corners[level]))) / view.length
                    errors[f"{way} {level}"].append((far, confidence))
    return {
        way: {**summary(pairs), "mean": round(float(np.mean([error for error, _ in pairs])), 4)}
        for way, pairs in errors.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--student", default="default")
    parser.add_argument("--patients", type=int, default=48)
    parser.add_argument("--style", default="standard")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--films", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    student = load_student(options.student, "cpu", threads=options.threads)
    figures = {
        "student": student.id,
        "films": on_films(student, folder_of(options.films, "films"), options.every),
        "phantoms": on_phantoms(student, options.patients, options.style),
    }
    for part in ("films", "phantoms"):
        for name, row in figures[part].items():
            print(f"{part:9} {name:24} {row}")
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
