# SPDX-License-Identifier: Apache-2.0
"""Does a student count a neck right on real film? Levels, corners, false bolus, and masks in pieces.

Levels: 17 lateral head films on which people set points on the end plates of C2, C3 and C4, cut as videofluoroscopy
shows a neck: tight, middle and wide windows, shifted by a vertebra and a half up and down and a little to the sides,
facing right and left, bone white and dark. The vertebra that has most pixels in a marked body is what the student names
it; where that is less than a quarter of the body it is missed, which counts as wrong. Seventeen persons are few:
intervals are from drawing persons, and say nothing of films of another kind (all of these stand in a head holder, and
most show nothing below C5).

Corners: the lower front corners of C2 and C4 found on the proposed masks (vfss.masks.corners) against those points, in
marked C2-C4 lengths, and the length between them as a share of the marked one.

False bolus: 100 films without barium, among them those 17. Pieces: every tenth frame of two public clips.

Neither films nor clips are part of the repository. No student is trained on them; they may choose between students.
`measure` takes any function from a frame to planes, so that rules after the network can be measured as well.

Run: python benchmarks/levels.py [--student FILE ...] [--quick] [--json FILE] [--sheet FOLDER]
     [--closer never unsure always] [--mirror never unsure always]  (each is measured; default: as the file says)
     [--films FOLDER] [--clips FOLDER], the latter by default in $VFSS_SHARED/data.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from cephalograms import LEVELS, Film, Grey, Look, View, cut, looks, read_films, usual_neck
from level_scores import (
    Corners,
    Named,
    Planes,
    by_group,
    corner_table,
    doubly_claimed,
    filled,
    interval,
    named,
    outcome,
    pieces,
)
from PIL import Image
from real_frames import ANNOTATIONS, SPECK, create_picture_folder, find_clips, join, read_annotations, tile

from vfss.clips import open_clip
from vfss.errors import VfssError
from vfss.masks.corners import lower_front_corners
from vfss.schema import Schema
from vfss.student import Student, load_student
from vfss.student.mirror_policy import WHEN

EVERY = 10
BOLUS_LOOKS = (Look("middle"), Look("middle", facing="left", bone="dark"))
ONE_PIECE = ("mandible", "airway", "c1", "c2", "c3", "c4", "c5", "c6", "c7")
BEFORE_SPINE = ("mandible", "airway", "pharynx", "epiglottis")
QUICK_FILMS, QUICK_EVERY = 20, 50

Propose = Callable[[Grey], Planes]
"""From a frame, uint8 (H, W), to its masks, bool (S, H, W) in the order of the schema."""


@dataclass(frozen=True)
class Material:
    """Pictures to measure on.

    Attributes:
        views: Views of marked films, by name of the film.
        bolus: Views of films without barium.
        clips: Frames of real clips by name.
    """

    views: tuple[tuple[str, View], ...]
    bolus: tuple[tuple[str, View], ...]
    clips: Mapping[str, tuple[Grey, ...]]


def gather(films: list[Film], clips: Mapping[str, tuple[Grey, ...]], *, quick: bool = False) -> Material:
    """Cut the films. A quick choice has each facing and polarity on some views of each person, not all on all."""
    marked = [film for film in films if film.neck is not None]
    middle, length = usual_neck(films)
    views = [
        (film.name, cut(film, look))
        for i, film in enumerate(marked)
        for j, look in enumerate(looks())
        if not quick or _quick(i, j, look)
    ]
    shown = films[:: max(1, len(films) // QUICK_FILMS)] if quick else films
    bolus = [
        (film.name, cut(film, look) if film.neck is not None else cut(film, look, middle, length))
        for i, film in enumerate(shown)
        for look in (BOLUS_LOOKS[i % 2 : i % 2 + 1] if quick else BOLUS_LOOKS)
    ]
    return Material(tuple(views), tuple(bolus), clips)


def _quick(person: int, number: int, look: Look) -> bool:
    """Choose two of the 24 views of each window: up and down, with facing and polarity in turn."""
    return look.down != 0 and number % 8 == (person * 3 + 5 * (look.down > 0)) % 8


def measure(propose: Propose, schema: Schema, material: Material) -> dict[str, Any]:
    """Return all figures of one way of proposing, plain data."""
    seen = [_on_view(propose, schema, person, view) for person, view in material.views]
    return {
        "levels": by_group([row for rows, _ in seen for row in rows], LEVELS),
        "corners": corner_table([corners for _, corners in seen if corners is not None], ("c2", "c4")),
        "false_bolus": _false_bolus(propose, schema, material.bolus),
        "pieces": {name: _pieces(propose, schema, frames) for name, frames in material.clips.items()},
    }


def _on_view(propose: Propose, schema: Schema, person: str, view: View) -> tuple[list[Named], Corners | None]:
    """Return how the levels of a view are named, and its corners if people marked both of them within it."""
    chain, look = _vertebrae(schema), view.look
    planes = propose(view.frame)
    vertebrae = planes[[schema[key].index for key in chain]]
    groups = {"window": look.window, "shift": f"{look.down:+.1f}", "facing": look.facing, "bone": look.bone}
    rows = []
    for level, points in view.bodies.items():
        found = named(vertebrae, filled(points, *view.frame.shape))
        rows.append(Named(person, level, outcome(found, chain.index(level)), groups))
    if set(view.corners) != {"c2", "c4"}:
        return rows, None
    before = planes[[schema[key].index for key in BEFORE_SPINE]].any(axis=0)
    corners = dict(zip(chain, lower_front_corners(vertebrae, before), strict=True))
    places = {level: np.array(yx[::-1]) for level in view.corners if (yx := corners[level]) is not None}
    errors = {level: float(np.hypot(*(at - view.corners[level]))) / view.length for level, at in places.items()}
    length = float(np.hypot(*(places["c2"] - places["c4"]))) / view.length if len(places) == 2 else None
    return rows, Corners(person, errors, length, all(row.outcome == "right" for row in rows), groups)


def _vertebrae(schema: Schema) -> tuple[str, ...]:
    """Return the keys of the chain that holds the levels, from C1 down."""
    return next(chain for chain in schema.chains if set(LEVELS) <= set(chain))


def _false_bolus(propose: Propose, schema: Schema, views: Iterable[tuple[str, View]]) -> dict[str, Any]:
    """Return the share of views with a piece of bolus of at least SPECK, and its interval over films."""
    bolus = schema["bolus"].index
    found: dict[str, list[bool]] = {}
    by_look: dict[str, list[bool]] = {}
    for film, view in views:
        speck = SPECK * view.frame.size
        is_false = pieces(propose(view.frame)[bolus], speck) > 0
        found.setdefault(film, []).append(is_false)
        by_look.setdefault(f"facing {view.look.facing}, bone {view.look.bone}", []).append(is_false)
    sums, counts = [sum(v) for v in found.values()], [len(v) for v in found.values()]
    return {
        "films": len(found),
        "share": round(sum(sums) / sum(counts), 4),
        "ci95": [round(v, 4) for v in interval(sums, counts)],
        "by_look": {look: round(float(np.mean(values)), 4) for look, values in by_look.items()},
    }


def _pieces(propose: Propose, schema: Schema, frames: Iterable[Grey]) -> dict[str, Any]:
    """Return the share of masks in more than one piece, specks counted and not, and of doubly claimed pixels."""
    indices = {key: schema[key].index for key in ONE_PIECE}
    chain = [schema[key].index for key in _vertebrae(schema)]
    parted: dict[str, list[tuple[bool, bool]]] = {key: [] for key in ONE_PIECE}
    twice = claimed = n = 0
    for frame in frames:
        planes, n = propose(frame), n + 1
        for key, index in indices.items():
            if planes[index].any():
                plane = planes[index]
                parted[key].append((pieces(plane) > 1, pieces(plane, SPECK * plane.size) > 1))
        more, any_of = doubly_claimed(planes[chain])
        twice, claimed = twice + more, claimed + any_of
    masks = [pair for pairs in parted.values() for pair in pairs]

    def share(pairs: list[tuple[bool, bool]], which: int) -> float | None:
        return round(float(np.mean([pair[which] for pair in pairs])), 4) if pairs else None

    return {
        "frames": n,
        "masks": len(masks),
        "in_pieces": share(masks, 0),
        "in_pieces_above_speck": share(masks, 1),
        "structures": {key: share(pairs, 0) for key, pairs in parted.items()},
        "claimed_by_two_vertebrae": round(twice / max(claimed, 1), 5),
    }


def proposer(student: Student, schema: Schema) -> Propose:
    """Return a student's proposals in the order of a schema; what it has not learnt is empty."""

    def propose(frame: Grey) -> Planes:
        proposal = student.propose(frame[None])[0]
        planes = np.zeros((len(schema), *frame.shape), np.bool_)
        for key in schema.keys:
            if (plane := proposal.plane(key)) is not None:
                planes[schema[key].index] = plane
        return planes

    return propose


def read_clips(folder: Path, schema: Schema, every: int) -> dict[str, tuple[Grey, ...]]:
    """Return every N-th frame of the annotated clips, by name."""
    annotated = read_annotations(ANNOTATIONS, schema)
    paths = find_clips(folder, (one.content for one in annotated))
    frames = {}
    for one in annotated:
        with open_clip(paths[one.content]) as clip:
            frames[one.name] = tuple(clip.as_uint8(t) for t in range(0, clip.n_frames, every))
    return frames


def draw(propose: Propose, schema: Schema, material: Material, folder: Path, name: str) -> None:
    """Write a page for each person with the views as the film is, and one of the films with false bolus."""
    for person in dict.fromkeys(person for person, _ in material.views):
        views = [view for film, view in material.views if film == person]
        if plain := [view for view in views if (view.look.facing, view.look.bone) == ("right", "white")]:
            _page(propose, schema, plain, folder / f"{name}_levels_{Path(person).stem}.png")
    bolus = schema["bolus"].index
    false = [v for _, v in material.bolus if pieces(propose(v.frame)[bolus], SPECK * v.frame.size)]
    if false:
        _page(propose, schema, false, folder / f"{name}_false_bolus.png")


def _page(propose: Propose, schema: Schema, views: list[View], path: Path) -> None:
    tiles = []
    for view in views:
        grey = view.frame
        square = np.zeros((512, 512), np.uint8)
        planes = np.zeros((len(schema), 512, 512), np.bool_)
        square[: grey.shape[0], : grey.shape[1]] = grey
        planes[:, : grey.shape[0], : grey.shape[1]] = propose(grey)
        everything = (slice(0, 512), slice(0, 512))
        tiles.append(tile(square, planes, schema, everything, height=400, text=f"{view.look.window} {view.look.down}"))
    join(tiles, 6).convert("P", palette=Image.Palette.ADAPTIVE).save(path)


def report(name: str, figures: Mapping[str, Any], *, groups: bool) -> None:
    """Print the figures of one student, on request also by groups of views."""
    print(f"\n{name}")
    for level, table in figures["levels"].items():
        rows = {"": table["all"]}
        if groups:
            rows |= {f"{g} {k}": row for g, kinds in table.items() if g != "all" for k, row in kinds.items()}
        for kind, row in rows.items():
            if row["views"]:
                print(f"  {level} {kind:14} {_outcomes(row)}")
    for which, row in figures["corners"].items():
        found = {key: row[key] for key in ("c2", "c4", "length") if row[key]["found"]}
        errors = (f"{key} {v['mean']:.3f} (median {v['median']:.3f}, n {v['found']})" for key, v in found.items())
        print(f"  corners, {which.replace('_', ' ')}: {', '.join(errors)} of {row['views']}")
    bolus = figures["false_bolus"]
    low, high = bolus["ci95"]
    print(f"  false bolus {bolus['share']:.2f} ({low:.2f} to {high:.2f}) of {bolus['films']} films {bolus['by_look']}")
    for clip, row in figures["pieces"].items():
        print(
            f"  {clip}: {row['in_pieces']:.2f} of {row['masks']} masks in pieces, "
            f"{row['in_pieces_above_speck']:.2f} not counting specks; "
            f"{row['claimed_by_two_vertebrae']:.4f} of vertebral pixels claimed twice"
        )


def _outcomes(row: Mapping[str, Any]) -> str:
    low, high = row["right_ci95"]
    return (
        f"right {row['right']:.2f} ({low:.2f} to {high:.2f}), number too high {row['one_high']:.2f}, "
        f"too low {row['one_low']:.2f}, other {row['other']:.2f}, missed {row['missed']:.2f}   of {row['views']}"
    )


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--student", nargs="+", default=["default"], help="student files, or default")
    for option in ("closer", "mirror"):
        parser.add_argument(
            f"--{option}", nargs="+", choices=WHEN, default=[None], help="measure each [as in the file]"
        )
    parser.add_argument("--films", type=Path, help="folder of films and levels.json [$VFSS_SHARED/data/cephalograms]")
    parser.add_argument("--clips", type=Path, help="folder of the two clips [$VFSS_SHARED/data/clips]")
    parser.add_argument("--quick", action="store_true", help="a subset, to choose by while training")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--sheet", type=Path, help="folder outside the repository for pictures")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args(argv)


def folder_of(given: Path | None, name: str) -> Path:
    """Return the folder given, or that of $VFSS_SHARED/data.

    Raises:
        VfssError: Neither is there.
    """
    shared = os.environ.get("VFSS_SHARED")
    if given is None and shared is None:
        raise VfssError(f"no folder of {name}", remedy=f"Give --{name} FOLDER, or set VFSS_SHARED.")
    return given or Path(str(shared)) / "data" / ("cephalograms" if name == "films" else name)


def main(argv: list[str] | None = None) -> None:
    options = arguments(argv)
    started, schema = time.perf_counter(), Schema.load()
    films = read_films(folder_of(options.films, "films"))
    clips = read_clips(folder_of(options.clips, "clips"), schema, QUICK_EVERY if options.quick else EVERY)
    sheets = None if options.sheet is None else create_picture_folder(options.sheet)
    material = gather(films, clips, quick=options.quick)
    print(f"{len(material.views)} views of marked films, {len(material.bolus)} for bolus, ", end="")
    print(f"{sum(map(len, clips.values()))} frames of clips: ready after {time.perf_counter() - started:.0f} s")
    result: dict[str, Any] = {"quick": options.quick, "students": {}}
    for file, closer, mirror in product(options.student, options.closer, options.mirror):
        student = load_student(file, "cpu", threads=options.threads, closer=closer, mirror=mirror)
        passes = {name: when for name, when in (("closer", closer), ("mirror", mirror)) if when}
        propose = proposer(student, schema)
        started, cpu = time.perf_counter(), time.process_time()
        figures = measure(propose, schema, material)
        figures["seconds"] = round(time.perf_counter() - started, 1)
        figures["cpu_seconds"] = round(time.process_time() - cpu, 1)
        name = " ".join((student.id, *(f"{name} {when}" for name, when in passes.items())))
        result["students"][name] = {"file": Path(file).name, **passes, **figures}
        report(f"{file} ({name}), {figures['cpu_seconds']} CPU s", figures, groups=not options.quick)
        if sheets is not None:
            draw(propose, schema, material, sheets, student.id)
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except VfssError as error:
        sys.exit(str(error))
