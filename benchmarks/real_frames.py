# SPDX-License-Identifier: Apache-2.0
"""How far the proposals of a student agree with eight painted frames of real film.

The painted frames, benchmarks/real_frames.yaml, are polygons on four frames each of two public recordings, one patient
facing left and another facing right. They are one non-clinician's careful reading by eye, in rounds of painting and
looking, with no second reader and no reference standard: a yardstick for development, not truth. Borders of vertebrae,
of the jaw towards tongue and ramus and of the airway below the shoulder are conventions as much as sightings, so a Dice
of 0.9 is not to be had, and differences of a few hundredths mean nothing. No weight is ever trained on these frames and
none is chosen by their figures: they are only looked at and compared.

A structure painted with certainty counts for the mean; one painted as `unsure` is scored apart; where it is
`not visible` a proposal counts as false. A piece is a connected part of a proposed plane, larger than a speck: it is
false where it meets no painted pixel of its structure.

The recordings are patients' pictures and no part of the repository: they are found by content in the folder --clips, by
default $VFSS_SHARED/data/clips. Pictures (--sheet) are written outside the repository only.
Run: python benchmarks/real_frames.py --clips FOLDER [--student FILE] [--json FILE] [--sheet FOLDER [--every N]]
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml
from PIL import Image, ImageDraw
from scipy import ndimage

from vfss.clips import can_open, content_id, open_clip
from vfss.errors import ClipError, VfssError
from vfss.masks.metrics import dice
from vfss.schema import Schema
from vfss.student import Student, load_student

PAINTED = Path(__file__).with_suffix(".yaml")
REPOSITORY = Path(__file__).resolve().parents[1]
SPECK = 1e-4
"""Share of the frame's pixels below which a proposed piece does not count: 26 pixels of 512 x 512."""
SHEET_HEIGHT, TILE_HEIGHT, TILES_PER_ROW, TILES_PER_PAGE = 640, 360, 5, 20

Polygons = list[list[tuple[float, float]]]
Planes = npt.NDArray[np.bool_]
Grey = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class PaintedFrame:
    """What was painted on one frame.

    Attributes:
        frame: Zero-based frame index.
        polygons: Outlines (y, x) in pixels by key of structure; a structure that is not visible has none.
        unsure: Keys whose outlines are a guess.
    """

    frame: int
    polygons: Mapping[str, Polygons]
    unsure: frozenset[str]

    def planes(self, schema: Schema, height: int, width: int) -> Planes:
        """Masks bool (S, height, width); pixels that an outline runs through belong to it."""
        planes = np.zeros((len(schema), height, width), np.bool_)
        for structure in schema.structures:
            picture = Image.new("1", (width, height))
            for polygon in self.polygons[structure.key]:
                ImageDraw.Draw(picture).polygon([(x, y) for y, x in polygon], fill=1, outline=1)
            planes[structure.index] = np.asarray(picture)
        return planes


@dataclass(frozen=True)
class PaintedClip:
    """The painted frames of one recording, known by its content id."""

    name: str
    content: str
    frames: tuple[PaintedFrame, ...]


def read_painted(path: Path, schema: Schema) -> list[PaintedClip]:
    """The painted clips of a YAML file."""
    rows = yaml.safe_load(path.read_text("utf-8"))["clips"]
    return [PaintedClip(r["name"], r["content"], _frames(r["frames"], schema)) for r in rows]


def _frames(rows: Mapping[int, Mapping[str, Any]], schema: Schema) -> tuple[PaintedFrame, ...]:
    def polygons(row: Mapping[str, Any]) -> dict[str, Polygons]:
        return {key: [] if row[key] == "not visible" else row[key] for key in schema.keys}

    return tuple(PaintedFrame(int(t), polygons(row), frozenset(row["unsure"])) for t, row in rows.items())


def find_clips(folder: Path, contents: Iterable[str]) -> dict[str, Path]:
    """Files of a folder by content id, for those ids that are wanted.

    Raises:
        ClipError: One of them is not there.
    """
    wanted = set(contents)
    files = sorted(p for p in folder.iterdir() if p.is_file() and can_open(p)) if folder.is_dir() else []
    found = {identity: path for path in files if (identity := content_id(path)) in wanted}
    if missing := sorted(wanted - set(found)):
        raise ClipError(
            f"the painted recordings {', '.join(missing)} are not among its {len(files)} clips",
            path=folder,
            remedy="They are public but do not ship: name the folder that has them with --clips, or set VFSS_SHARED.",
        )
    return found


def score_frame(painted: PaintedFrame, truth: Planes, proposed: Planes, schema: Schema) -> dict[str, dict[str, Any]]:
    """Per structure: the word it was painted with, Dice (None where nothing was), and what is false or missed.

    `truth` and `proposed` are bool (S, H, W) in the order of the schema.
    """
    speck = SPECK * truth[0].size
    rows = {}
    for structure in schema.structures:
        there, said = truth[structure.index], proposed[structure.index]
        agreement = dice(there, said) if there.any() else math.nan
        pieces, n = ndimage.label(said)
        sizes, hits = np.bincount(pieces.ravel(), minlength=n + 1)[1:], np.unique(pieces[there])
        false = int(sum(size >= speck and i not in hits for i, size in enumerate(sizes, 1)))
        word = "not visible" if not there.any() else "unsure" if structure.key in painted.unsure else "sure"
        rows[structure.key] = {
            "painted": word,
            "dice": None if math.isnan(agreement) else round(agreement, 4),
            "false_pieces": false,
            "false": word == "not visible" and false > 0,
            "missed": word != "not visible" and bool(said.sum() < speck),
        }
    return rows


def summary(frames: Mapping[int, dict[str, dict[str, Any]]], schema: Schema) -> dict[str, Any]:
    """Means and counts over the frames of one clip; the mean weighs every sure (frame, structure) alike."""
    rows = [row for frame in frames.values() for row in frame.values()]

    def mean(chosen: Iterable[dict[str, Any]], word: str) -> float | None:
        values = [row["dice"] for row in chosen if row["painted"] == word]
        return round(float(np.mean(values)), 4) if values else None

    by_structure = {key: [frame[key] for frame in frames.values()] for key in schema.keys}
    return {
        "mean_dice_sure": mean(rows, "sure"),
        "mean_dice_unsure": mean(rows, "unsure"),
        "structures_sure": {key: mean(some, "sure") for key, some in by_structure.items()},
        "structures_unsure": {key: mean(some, "unsure") for key, some in by_structure.items()},
        "false_structures": sum(row["false"] for row in rows),
        "missed_structures": sum(row["missed"] for row in rows),
        "false_pieces": sum(row["false_pieces"] for row in rows),
    }


def examine(student: Student, painted: PaintedClip, path: Path, sheets: Path | None) -> dict[str, Any]:
    """Figures of one clip; writes a sheet per frame where a folder is given."""
    frames: dict[int, dict[str, dict[str, Any]]] = {}
    with open_clip(path) as clip:
        field = field_of(np.stack([clip.as_uint8(p.frame) for p in painted.frames]))
        for one in painted.frames:
            grey = clip.as_uint8(one.frame)
            proposed = student.propose(grey[None])[0].masks.planes
            truth = one.planes(student.schema, *grey.shape)
            frames[one.frame] = score_frame(one, truth, proposed, student.schema)
            if sheets is not None:
                none = np.zeros_like(truth)
                tiles = [tile(grey, p, student.schema, field, height=SHEET_HEIGHT) for p in (none, truth, proposed)]
                join(tiles, 3).save(sheets / f"{painted.name.replace(' ', '_')}_{one.frame:04d}.png")
    return {"content": painted.content, **summary(frames, student.schema), "frames": frames}


def contact_sheets(student: Student, painted: PaintedClip, path: Path, sheets: Path, every: int) -> None:
    """Pages of proposals on every so-many-th frame, to look at failures frame by frame."""
    with open_clip(path) as clip:
        chosen = range(0, clip.n_frames, every)
        field = field_of(np.stack([clip.as_uint8(p.frame) for p in painted.frames]))
        for start in range(0, len(chosen), TILES_PER_PAGE):
            tiles = []
            for t in chosen[start : start + TILES_PER_PAGE]:
                grey = clip.as_uint8(t)
                planes = student.propose(grey[None])[0].masks.planes
                tiles.append(tile(grey, planes, student.schema, field, height=TILE_HEIGHT, text=str(t)))
            page = join(tiles, TILES_PER_ROW)
            page.save(sheets / f"{painted.name.replace(' ', '_')}_page_{start // TILES_PER_PAGE:02d}.png")


def field_of(frames: Grey) -> tuple[slice, slice]:
    """Rows and columns of the picture inside frames uint8 (N, H, W), without the black around it."""
    profiles = (np.percentile(frames.max(axis=0), 95, axis=axis) for axis in (1, 0))
    rows, columns = (np.flatnonzero(profile >= 0.25 * profile.max()) for profile in profiles)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def tile(
    grey: Grey, planes: Planes, schema: Schema, field: tuple[slice, slice], *, height: int, text: str = ""
) -> Image.Image:
    """The field of a frame uint8 (H, W), windowed, with outlines of planes bool (S, H, W) in the schema's colours."""
    inside = grey[field].astype(np.float32)
    low, high = np.percentile(inside, [0.5, 99.5])
    shown = (255 * np.clip((inside - low) / max(high - low, 1.0), 0, 1) ** 0.8).astype(np.uint8)
    size = (max(1, round(height * inside.shape[1] / inside.shape[0])), height)
    colours = np.array(Image.fromarray(shown).convert("RGB").resize(size, Image.Resampling.BICUBIC))
    for structure in schema.structures:
        plane = np.asarray(Image.fromarray(planes[structure.index][field]).resize(size, Image.Resampling.NEAREST))
        colours[plane & ~ndimage.binary_erosion(plane, iterations=2)] = structure.rgb
    picture = Image.fromarray(colours)
    ImageDraw.Draw(picture).text((4, 4), text, fill=(255, 255, 0))
    return picture


def join(tiles: list[Image.Image], columns: int) -> Image.Image:
    """Pictures of one size in rows."""
    width, height = tiles[0].size
    page = Image.new("RGB", (width * min(columns, len(tiles)), height * -(-len(tiles) // columns)))
    for i, one in enumerate(tiles):
        page.paste(one, (i % columns * width, i // columns * height))
    return page


def outside(folder: Path) -> Path:
    """The folder, made.

    Raises:
        VfssError: It lies in the repository, where no patient's picture may be.
    """
    if folder.resolve().is_relative_to(REPOSITORY):
        raise VfssError("patients' pictures may not lie in the repository", path=folder, remedy="Name another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def report(result: Mapping[str, Any], schema: Schema) -> None:
    """The figures as text: an unsure Dice in brackets, `!` a false structure, `-` one rightly left out."""
    for name, clip in result["clips"].items():
        print(f"\n{name}: mean Dice {clip['mean_dice_sure']} where sure, {clip['mean_dice_unsure']} where unsure")
        print(
            "  {false_structures} false structures, {missed_structures} missed, {false_pieces} false pieces".format(
                **clip
            )
        )
        print("  frame " + "".join(f"{key[:7]:>8}" for key in schema.keys))
        for t, rows in clip["frames"].items():
            print(f"  {t:5} " + "".join(f"{_cell(row):>8}" for row in rows.values()))
        means = ("" if mean is None else f"{mean:.2f}" for mean in clip["structures_sure"].values())
        print("   mean " + "".join(f"{mean:>8}" for mean in means))


def _cell(row: Mapping[str, Any]) -> str:
    if row["dice"] is None:
        return "!" if row["false"] else "-"
    return f"({row['dice']:.2f})" if row["painted"] == "unsure" else f"{row['dice']:.2f}"


def arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, help="folder of the recordings [$VFSS_SHARED/data/clips]")
    parser.add_argument("--student", default="default", help="student file, or default")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--sheet", type=Path, help="folder outside the repository for pictures")
    parser.add_argument("--every", type=int, help="with --sheet: also pages of proposals on every N-th frame")
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> None:
    given = arguments(words)
    shared = os.environ.get("VFSS_SHARED")
    folder = given.clips or (Path(shared) / "data" / "clips" if shared else None)
    if folder is None:
        raise VfssError("no folder of recordings", remedy="Give --clips FOLDER, or set VFSS_SHARED.")
    schema = Schema.load()
    painted = read_painted(PAINTED, schema)
    paths = find_clips(folder, (clip.content for clip in painted))
    sheets = None if given.sheet is None else outside(given.sheet)
    student = load_student(given.student, given.device)
    figures = {clip.name: examine(student, clip, paths[clip.content], sheets) for clip in painted}
    result = {"student": student.id, "clips": figures}
    report(result, schema)
    if given.json is not None:
        given.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if sheets is not None and given.every:
        for clip in painted:
            contact_sheets(student, clip, paths[clip.content], sheets, given.every)


if __name__ == "__main__":
    try:
        main()
    except VfssError as error:
        sys.exit(str(error))
