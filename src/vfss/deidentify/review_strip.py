# SPDX-License-Identifier: Apache-2.0
"""Review strip: one picture that shows a person the text in a recording and what will be hidden."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from vfss.clips import Clip
from vfss.deidentify.projections import Projections, evenly_spaced
from vfss.redaction import PixelBox, Redaction

Picture = npt.NDArray[np.uint8]

_FRAMES = 6
_LEAST_SIDE = 480  # px of a tile's shorter side: letters of ten pixels must be legible
_WIDEST = 4096  # px of a row of tiles; a single wider tile is not reduced
_CAPTION = 26
_BOX, _CROP, _GROUND, _INK = (255, 60, 60), (70, 230, 120), (24, 24, 28), (235, 235, 235)
_DIMMED = 0.45  # brightness of the area that the crop removes


def review_strip(clip: Clip, redaction: Redaction, projections: Projections, *, frames: int = _FRAMES) -> Picture:
    """Draw tiles with captions: brightest and darkest values over all frames, both as exported, and single frames.

    Boxes are red outlines, so that the text they hide can still be read; the area that the crop removes is dimmed
    outside a green outline. Only the third and fourth tile show the result itself.

    Args:
        clip: The recording.
        redaction: What would be hidden.
        projections: Projections of the same recording.
        frames: Number of evenly spaced frames shown.

    Returns:
        uint8 (H, W, 3), red, green and blue.

    Raises:
        ClipError: A frame cannot be decoded.
        DatasetError: The redaction does not fit the recording.
    """
    tiles = [
        _tile(outlined(projections.brightest, redaction), "all frames, brightest values"),
        _tile(outlined(projections.darkest, redaction), "all frames, darkest values"),
        _tile(_as_rgb(redaction.pixels(projections.brightest)), "as exported, brightest values"),
        _tile(_as_rgb(redaction.pixels(projections.darkest)), "as exported, darkest values"),
    ]
    shown = evenly_spaced(clip.n_frames, frames)
    tiles += [_tile(outlined(clip.as_uint8(t), redaction), f"frame {t} of 0 to {clip.n_frames - 1}") for t in shown]
    return _grid(tiles)


def outlined(frame: Picture, redaction: Redaction) -> Picture:
    """Return a frame with boxes outlined and the cropped area dimmed, uint8 (H, W, 3).

    Args:
        frame: uint8 (H, W).
        redaction: What is drawn.

    Raises:
        DatasetError: The redaction does not fit the frame.
    """
    redaction.expect_within(*frame.shape)
    picture = _as_rgb(frame)
    if redaction.crop is not None:
        inside = picture[redaction.crop.slices].copy()
        picture = np.rint(picture * _DIMMED).astype(np.uint8)
        picture[redaction.crop.slices] = inside
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    if redaction.crop is not None:
        _outline(draw, redaction.crop, _CROP)
    for box in redaction.boxes:
        _outline(draw, box, _BOX)
    return np.array(image)


def _outline(draw: ImageDraw.ImageDraw, box: PixelBox, colour: tuple[int, int, int]) -> None:
    draw.rectangle((box.left, box.top, box.right - 1, box.bottom - 1), outline=colour)


def _as_rgb(frame: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]) -> Picture:
    return np.repeat(frame.astype(np.uint8)[..., None], 3, axis=-1)


def _tile(picture: Picture, caption: str) -> Picture:
    """Return the picture under its caption, enlarged by an integer factor if it is small."""
    factor = max(1, -(-_LEAST_SIDE // min(picture.shape[:2])))
    large = picture.repeat(factor, axis=0).repeat(factor, axis=1)
    caption_bar = Image.new("RGB", (large.shape[1], _CAPTION), _GROUND)
    ImageDraw.Draw(caption_bar).text((6, 5), caption, fill=_INK, font=ImageFont.load_default(14))
    return np.concatenate([np.array(caption_bar), large])


def _grid(tiles: list[Picture]) -> Picture:
    """Arrange tiles in rows, left to right."""
    height, width = max(tile.shape[0] for tile in tiles), max(tile.shape[1] for tile in tiles)
    columns = max(1, min(len(tiles), 4, _WIDEST // width))
    rows = -(-len(tiles) // columns)
    sheet: Picture = np.empty((rows * height, columns * width, 3), np.uint8)
    sheet[:] = _GROUND
    for number, tile in enumerate(tiles):
        top, left = number // columns * height, number % columns * width
        sheet[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    return sheet
