# SPDX-License-Identifier: Apache-2.0
"""A contact sheet of an import: frames of the clips with the outlines that it would write."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from vfss.clips import Clip
from vfss.errors import DatasetError
from vfss.importing.plan import ImportPlan, PlannedFrame, united
from vfss.masks import BoolArray, ByteArray
from vfss.project import Project
from vfss.schema import Schema

_GAP, _LINE = 4, 14
_GROUND = (24, 24, 24)


def preview(project: Project, plan: ImportPlan, n: int = 6, *, width: int = 480) -> ByteArray:
    """Frames spread over all that would be written, with outlines in the colours of the schema.

    Args:
        project: Whose clips are shown.
        plan: What would be written.
        n: Frames at most.
        width: Columns of each frame on the sheet; frames are never enlarged.

    Returns:
        uint8 (H, W, 3), red, green, blue.

    Raises:
        DatasetError: The plan writes nothing, or masks cannot be read.
        ClipError: A recording is not found, or a frame cannot be decoded.
    """
    frames = [frame for frame in plan.frames if frame.write]
    if not frames or n < 1:
        raise DatasetError("the import would write nothing: there is nothing to show", path=plan.source.path)
    at = np.unique(np.linspace(0, len(frames) - 1, min(n, len(frames))).round().astype(int))
    tiles: list[Image.Image] = []
    chosen = [frames[i] for i in at]
    clips = list(dict.fromkeys(frame.clip for frame in chosen))
    for clip_id in clips:
        name = f"{project.clip(clip_id).path.name}, " if len(clips) > 1 else ""
        with project.open_clip(clip_id) as clip:
            for frame in chosen:
                if frame.clip == clip_id:
                    picture, shown = _tile(project.schema, plan, frame, clip, width)
                    colours = [(key, project.schema[key].rgb) for key in shown]
                    tiles.append(_with_words(picture, f"{name}frame {frame.frame}", colours))
    return _sheet(tiles)


def outlined(grey: ByteArray, planes: dict[str, BoolArray], schema: Schema, *, thick: int = 1) -> ByteArray:
    """A frame with outlines of masks.

    Args:
        grey: uint8 (H, W).
        planes: bool (H, W) by key of structure.
        schema: Colours.
        thick: Width of an outline, pixels; it lies inside of the mask.

    Returns:
        uint8 (H, W, 3), red, green, blue.
    """
    picture: ByteArray = np.repeat(grey[..., None], 3, axis=2)
    for key, plane in planes.items():
        inside = ndimage.binary_erosion(plane, iterations=thick)
        picture[plane & ~inside] = schema[key].rgb
    return picture


def _tile(
    schema: Schema, plan: ImportPlan, frame: PlannedFrame, clip: Clip, width: int
) -> tuple[Image.Image, list[str]]:
    """A frame with its outlines, and the keys of what they are."""
    planes = united(plan.source.planes(plan.source.images[frame.image]), plan.labels)
    shown = {key: planes[key] for key in schema.keys if key in frame.write and key in planes}
    thick = max(1, round(1.5 * clip.width / width))  # still to be seen when the frame is made smaller
    picture = Image.fromarray(outlined(clip.as_uint8(frame.frame), shown, schema, thick=thick))
    if picture.width > width:
        picture = picture.resize((width, max(1, round(picture.height * width / picture.width))), Image.Resampling.BOX)
    return picture, list(shown)


def _with_words(picture: Image.Image, title: str, names: Sequence[tuple[str, tuple[int, int, int]]]) -> Image.Image:
    """The picture above its title and the names of what is outlined, each in its colour, in as many lines as needed."""
    measure = ImageDraw.Draw(picture)
    words = [(title, (255, 255, 255)), *names]
    places, x, row = [], _GAP, 0
    for word, _ in words:
        length = int(measure.textlength(word)) + 2 * _GAP
        if x > _GAP and x + length > picture.width:
            x, row = _GAP, row + 1
        places.append((x, picture.height + 1 + row * _LINE))
        x += length
    tile = Image.new("RGB", (picture.width, picture.height + (row + 1) * _LINE + 2), _GROUND)
    tile.paste(picture, (0, 0))
    draw = ImageDraw.Draw(tile)
    for (word, colour), place in zip(words, places, strict=True):
        draw.text(place, word, fill=colour)
    return tile


def _sheet(tiles: Sequence[Image.Image]) -> ByteArray:
    columns = min(len(tiles), 3)
    rows = [tiles[i : i + columns] for i in range(0, len(tiles), columns)]
    width = max(sum(tile.width + _GAP for tile in row) for row in rows) + _GAP
    height = sum(max(tile.height for tile in row) + _GAP for row in rows) + _GAP
    sheet = Image.new("RGB", (width, height), _GROUND)
    y = _GAP
    for row in rows:
        x = _GAP
        for tile in row:
            sheet.paste(tile, (x, y))
            x += tile.width + _GAP
        y += max(tile.height for tile in row) + _GAP
    return np.asarray(sheet)
