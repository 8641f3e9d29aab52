# SPDX-License-Identifier: Apache-2.0
"""Draw a contact sheet of an import: frames of the clips with the outlines that it would write."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from vfss.clips import Clip
from vfss.clips.placard import PlacardClip
from vfss.errors import DatasetError
from vfss.importing.plan import ImportPlan, PlannedFrame
from vfss.masks import BoolArray, ByteArray
from vfss.project import Project
from vfss.schema import Schema

_GAP, _LINE = 4, 14
_BACKGROUND = (24, 24, 24)


def preview(project: Project, plan: ImportPlan, n: int = 6, *, width: int = 480) -> ByteArray:
    """Draw frames spread evenly over those to write, with outlines in the colours of the schema.

    Args:
        project: Project with the clips.
        plan: Plan to preview.
        n: Largest number of frames.
        width: Columns of each frame on the sheet; frames are never enlarged.

    Returns:
        uint8 (H, W, 3), red, green, blue.

    Raises:
        DatasetError: The plan writes nothing, or masks cannot be read.
        ClipError: A recording is missing, or a frame cannot be decoded.
    """
    frames = [frame for frame in plan.frames if frame.write]
    if not frames or n < 1:
        raise DatasetError(
            "the import would write no mask: there is nothing to show",
            path=plan.source.path,
            remedy="Check the labels and the clip of the import.",
        )
    indices = np.unique(np.linspace(0, len(frames) - 1, min(n, len(frames))).round().astype(int))
    tiles: list[Image.Image] = []
    chosen = [frames[i] for i in indices]
    clips = list(dict.fromkeys(frame.clip for frame in chosen))
    for clip_id in clips:
        name = f"{project.clip(clip_id).path.name}, " if len(clips) > 1 else ""
        with PlacardClip(project.open_clip(clip_id)) as clip:
            for frame in chosen:
                if frame.clip == clip_id:
                    picture, shown = _tile(project.schema, plan, frame, clip, width)
                    colours = [(key, project.schema[key].rgb) for key in shown]
                    tiles.append(_captioned(picture, f"{name}frame {frame.frame}", colours))
    return _sheet(tiles)


def outlined(grey: ByteArray, planes: dict[str, BoolArray], schema: Schema, *, thick: int = 1) -> ByteArray:
    """Draw the outlines of masks on a frame.

    Args:
        grey: uint8 (H, W).
        planes: bool (H, W) by key of structure.
        schema: Schema with the colours.
        thick: Width of an outline, pixels; it lies inside the mask.

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
    """Return a frame with its outlines, and the keys of the outlined structures."""
    planes = plan.planes(frame)
    shown = {key: planes[key] for key in schema.keys if key in frame.write and key in planes}
    thick = max(1, round(1.5 * clip.width / width))  # still visible when the frame is scaled down
    picture = Image.fromarray(outlined(clip.as_uint8(frame.frame), shown, schema, thick=thick))
    true_width = picture.width * clip.pixel_aspect
    if true_width > width:
        picture = picture.resize((width, max(1, round(picture.height * width / true_width))), Image.Resampling.BOX)
    elif clip.pixel_aspect != 1.0:
        picture = picture.resize((max(1, round(true_width)), picture.height))
    return picture, list(shown)


def _captioned(picture: Image.Image, title: str, names: Sequence[tuple[str, tuple[int, int, int]]]) -> Image.Image:
    """Add a caption below a picture: title and outlined structures, each in its colour, in as many lines as needed."""
    measure = ImageDraw.Draw(picture)
    texts = [(title, (255, 255, 255)), *names]
    positions, x, row = [], _GAP, 0
    for text, _ in texts:
        length = int(measure.textlength(text)) + 2 * _GAP
        if x > _GAP and x + length > picture.width:
            x, row = _GAP, row + 1
        positions.append((x, picture.height + 1 + row * _LINE))
        x += length
    tile = Image.new("RGB", (picture.width, picture.height + (row + 1) * _LINE + 2), _BACKGROUND)
    tile.paste(picture, (0, 0))
    draw = ImageDraw.Draw(tile)
    for (text, colour), position in zip(texts, positions, strict=True):
        draw.text(position, text, fill=colour)
    return tile


def _sheet(tiles: Sequence[Image.Image]) -> ByteArray:
    columns = min(len(tiles), 3)
    rows = [tiles[i : i + columns] for i in range(0, len(tiles), columns)]
    width = max(sum(tile.width + _GAP for tile in row) for row in rows) + _GAP
    height = sum(max(tile.height for tile in row) + _GAP for row in rows) + _GAP
    sheet = Image.new("RGB", (width, height), _BACKGROUND)
    y = _GAP
    for row in rows:
        x = _GAP
        for tile in row:
            sheet.paste(tile, (x, y))
            x += tile.width + _GAP
        y += max(tile.height for tile in row) + _GAP
    return np.asarray(sheet)
