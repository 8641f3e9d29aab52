# SPDX-License-Identifier: Apache-2.0
"""Agreement of a student's proposals with eight annotated frames of real recordings.

The annotations, benchmarks/real_frames.yaml, are polygons on four frames each of two public recordings, one patient
facing left and another facing right. They were drawn by eye by one non-clinician, in rounds of drawing and checking,
without a second reader and without a reference standard: a yardstick for development, not ground truth. Borders of
vertebrae, of the jaw towards tongue and ramus and of the airway below the shoulder are partly conventions, so a Dice of
0.9 cannot be reached, and differences of a few hundredths are not meaningful. No weights are trained on these frames;
these scores were among what chose between students. Noisy frames are steadied by their neighbours, as in the program.

A structure annotated with certainty counts for the mean; one annotated as `unsure` is scored separately; where it is
`not visible` a proposal counts as false. A piece is a connected part of a proposed plane of at least SPECK: it is false
if it has no annotated pixel of its structure.

The recordings show patients and are not part of the repository: they are identified by content in the folder --clips,
by default $VFSS_SHARED/data/clips. Pictures (--sheet) are written outside the repository only.
Run: python benchmarks/real_frames.py --clips FOLDER [--student FILE] [--mirror never|unsure|always] [--json FILE]
    [--sheet FOLDER [--every N]]
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
from vfss.clips.readable import ReadableFrames
from vfss.errors import ClipError, VfssError
from vfss.masks.metrics import dice
from vfss.schema import Schema
from vfss.student import Student, load_student
from vfss.student.mirror_policy import WHEN
from vfss.student.temporal_median import steadied_frame

ANNOTATIONS = Path(__file__).with_suffix(".yaml")
REPOSITORY = Path(__file__).resolve().parents[1]
SPECK = 1e-4
"""Share of the frame's pixels below which a proposed piece does not count: 26 pixels of 512 x 512."""
SHEET_HEIGHT, TILE_HEIGHT, TILES_PER_ROW, TILES_PER_PAGE = 640, 360, 5, 20

Polygons = list[list[tuple[float, float]]]
Planes = npt.NDArray[np.bool_]
Grey = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class AnnotatedFrame:
    """Annotations of one frame.

    Attributes:
        frame: Zero-based frame index.
        polygons: Outlines (y, x) in pixels by key of structure; a structure that is not visible has none.
        unsure: Keys of structures whose outlines are uncertain.
    """

    frame: int
    polygons: Mapping[str, Polygons]
    unsure: frozenset[str]

    def planes(self, schema: Schema, height: int, width: int) -> Planes:
        """Return masks, bool (S, height, width); pixels on an outline belong to its mask."""
        planes = np.zeros((len(schema), height, width), np.bool_)
        for structure in schema.structures:
            picture = Image.new("1", (width, height))
            for polygon in self.polygons[structure.key]:
                ImageDraw.Draw(picture).polygon([(x, y) for y, x in polygon], fill=1, outline=1)
            planes[structure.index] = np.asarray(picture)
        return planes


@dataclass(frozen=True)
class AnnotatedClip:
    """Annotated frames of one recording, identified by its content id."""

    name: str
    content: str
    frames: tuple[AnnotatedFrame, ...]


def read_annotations(path: Path, schema: Schema) -> list[AnnotatedClip]:
    """Return the annotated clips of a YAML file."""
    rows = yaml.safe_load(path.read_text("utf-8"))["clips"]
    return [AnnotatedClip(r["name"], r["content"], _frames(r["frames"], schema)) for r in rows]


def _frames(rows: Mapping[int, Mapping[str, Any]], schema: Schema) -> tuple[AnnotatedFrame, ...]:
    def polygons(row: Mapping[str, Any]) -> dict[str, Polygons]:
        return {key: [] if row[key] == "not visible" else row[key] for key in schema.keys}

    return tuple(AnnotatedFrame(int(t), polygons(row), frozenset(row["unsure"])) for t, row in rows.items())


def find_clips(folder: Path, contents: Iterable[str]) -> dict[str, Path]:
    """Return the files of a folder by content id, for the given ids.

    Raises:
        ClipError: A recording is missing.
    """
    wanted = set(contents)
    files = sorted(p for p in folder.iterdir() if p.is_file() and can_open(p)) if folder.is_dir() else []
    by_content = {identity: path for path in files if (identity := content_id(path)) in wanted}
    if missing := sorted(wanted - set(by_content)):
        raise ClipError(
            f"the annotated recordings {', '.join(missing)} are not among its {len(files)} clips",
            path=folder,
            remedy="They are public but not part of the repository: give their folder by --clips, or set VFSS_SHARED.",
        )
    return by_content


def score_frame(
    annotated: AnnotatedFrame, truth: Planes, proposed: Planes, schema: Schema
) -> dict[str, dict[str, Any]]:
    """Return per structure how it was annotated, its Dice (None if not visible), and whether it is false or missed.

    `truth` and `proposed` are bool (S, H, W) in the order of the schema.
    """
    speck = SPECK * truth[0].size
    rows = {}
    for structure in schema.structures:
        annotated_plane, predicted = truth[structure.index], proposed[structure.index]
        agreement = dice(annotated_plane, predicted) if annotated_plane.any() else math.nan
        pieces, n = ndimage.label(predicted)
        sizes, hits = np.bincount(pieces.ravel(), minlength=n + 1)[1:], np.unique(pieces[annotated_plane])
        false = int(sum(size >= speck and i not in hits for i, size in enumerate(sizes, 1)))
        status = (
            "not visible" if not annotated_plane.any() else "unsure" if structure.key in annotated.unsure else "sure"
        )
        rows[structure.key] = {
            "painted": status,
            "dice": None if math.isnan(agreement) else round(agreement, 4),
            "false_pieces": false,
            "false": status == "not visible" and false > 0,
            "missed": status != "not visible" and bool(predicted.sum() < speck),
        }
    return rows


def summary(frames: Mapping[int, dict[str, dict[str, Any]]], schema: Schema) -> dict[str, Any]:
    """Return means and counts over the frames of one clip; all sure (frame, structure) pairs have the same weight."""
    rows = [row for frame in frames.values() for row in frame.values()]

    def mean(chosen: Iterable[dict[str, Any]], status: str) -> float | None:
        values = [row["dice"] for row in chosen if row["painted"] == status]
        return round(float(np.mean(values)), 4) if values else None

    by_structure = {key: [frame[key] for frame in frames.values()] for key in schema.keys}
    return {
        "mean_dice_sure": mean(rows, "sure"),
        "mean_dice_unsure": mean(rows, "unsure"),
        "structures_sure": {key: mean(rows_of_key, "sure") for key, rows_of_key in by_structure.items()},
        "structures_unsure": {key: mean(rows_of_key, "unsure") for key, rows_of_key in by_structure.items()},
        "false_structures": sum(row["false"] for row in rows),
        "missed_structures": sum(row["missed"] for row in rows),
        "false_pieces": sum(row["false_pieces"] for row in rows),
    }


def examine(student: Student, annotated: AnnotatedClip, path: Path, sheets: Path | None) -> dict[str, Any]:
    """Return the scores of one clip; write a sheet per frame if a folder is given."""
    frames: dict[int, dict[str, dict[str, Any]]] = {}
    with open_clip(path) as clip:
        field = field_of(np.stack([clip.as_uint8(p.frame) for p in annotated.frames]))
        reader = ReadableFrames(clip)
        for one in annotated.frames:
            grey = clip.as_uint8(one.frame)
            t = one.frame
            (proposal,) = student.propose(grey[None], steadied=lambda _, t=t: steadied_frame(reader, t))
            proposed = proposal.masks.planes
            truth = one.planes(student.schema, *grey.shape)
            frames[one.frame] = score_frame(one, truth, proposed, student.schema)
            if sheets is not None:
                no_masks = np.zeros_like(truth)
                tiles = [tile(grey, p, student.schema, field, height=SHEET_HEIGHT) for p in (no_masks, truth, proposed)]
                join(tiles, 3).save(sheets / f"{annotated.name.replace(' ', '_')}_{one.frame:04d}.png")
    return {"content": annotated.content, **summary(frames, student.schema), "frames": frames}


def contact_sheets(student: Student, annotated: AnnotatedClip, path: Path, sheets: Path, every: int) -> None:
    """Write pages of proposals on every N-th frame, to inspect failures."""
    with open_clip(path) as clip:
        chosen = range(0, clip.n_frames, every)
        field = field_of(np.stack([clip.as_uint8(p.frame) for p in annotated.frames]))
        for start in range(0, len(chosen), TILES_PER_PAGE):
            tiles = []
            for t in chosen[start : start + TILES_PER_PAGE]:
                grey = clip.as_uint8(t)
                planes = student.propose(grey[None])[0].masks.planes
                tiles.append(tile(grey, planes, student.schema, field, height=TILE_HEIGHT, text=str(t)))
            page = join(tiles, TILES_PER_ROW)
            page.save(sheets / f"{annotated.name.replace(' ', '_')}_page_{start // TILES_PER_PAGE:02d}.png")


def field_of(frames: Grey) -> tuple[slice, slice]:
    """Return rows and columns of the exposed field of frames uint8 (N, H, W), without the black border."""
    profiles = (np.percentile(frames.max(axis=0), 95, axis=axis) for axis in (1, 0))
    rows, columns = (np.flatnonzero(profile >= 0.25 * profile.max()) for profile in profiles)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def tile(
    grey: Grey, planes: Planes, schema: Schema, field: tuple[slice, slice], *, height: int, text: str = ""
) -> Image.Image:
    """Draw the exposed field of a frame uint8 (H, W), windowed, with outlines of planes bool (S, H, W) in colour."""
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
    """Arrange pictures of one size in rows."""
    width, height = tiles[0].size
    page = Image.new("RGB", (width * min(columns, len(tiles)), height * -(-len(tiles) // columns)))
    for i, one in enumerate(tiles):
        page.paste(one, (i % columns * width, i // columns * height))
    return page


def create_picture_folder(folder: Path) -> Path:
    """Create a folder for pictures; return it.

    Raises:
        VfssError: It is in the repository, where pictures of patients are not allowed.
    """
    if folder.resolve().is_relative_to(REPOSITORY):
        raise VfssError(
            "pictures of patients are not allowed in the repository", path=folder, remedy="Give another folder."
        )
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def report(result: Mapping[str, Any], schema: Schema) -> None:
    """Print the scores: an unsure Dice in brackets, `!` for a false structure, `-` for a rightly empty one."""
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


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, help="folder of the recordings [$VFSS_SHARED/data/clips]")
    parser.add_argument("--student", default="default", help="student file, or default")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--mirror", choices=WHEN, help="where mirror images are computed too [as in the file]")
    parser.add_argument("--closer", choices=WHEN, help="where frames are looked at again [as in the file]")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--sheet", type=Path, help="folder outside the repository for pictures")
    parser.add_argument("--every", type=int, help="with --sheet: also pages of proposals on every N-th frame")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    options = arguments(argv)
    shared = os.environ.get("VFSS_SHARED")
    folder = options.clips or (Path(shared) / "data" / "clips" if shared else None)
    if folder is None:
        raise VfssError("no folder of recordings", remedy="Give --clips FOLDER, or set VFSS_SHARED.")
    schema = Schema.load()
    annotated = read_annotations(ANNOTATIONS, schema)
    paths = find_clips(folder, (clip.content for clip in annotated))
    sheets = None if options.sheet is None else create_picture_folder(options.sheet)
    student = load_student(options.student, options.device, mirror=options.mirror, closer=options.closer)
    figures = {clip.name: examine(student, clip, paths[clip.content], sheets) for clip in annotated}
    result = {"student": student.id, "clips": figures}
    report(result, schema)
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if sheets is not None and options.every:
        for clip in annotated:
            contact_sheets(student, clip, paths[clip.content], sheets, options.every)


if __name__ == "__main__":
    try:
        main()
    except VfssError as error:
        sys.exit(str(error))
