# SPDX-License-Identifier: Apache-2.0
"""Text burned into the picture, found by a detector that ships with the program (PP-OCR through RapidOCR)."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vfss.clips import Clip
from vfss.deidentify.projections import Projections
from vfss.errors import VfssError
from vfss.output import Progress
from vfss.redaction import PixelBox

EVENLY, CHANGED = 8, 8
"""Frames looked at: evenly spread, and where the picture's border changed; a clip of no more is looked at whole."""

_MODEL = "PP-OCRv6_det_small.onnx"
_ENGINES = ("openvino", "onnxruntime")
_LEAST_SURE = 0.4  # below the detector's usual 0.5: a box too many costs a person a look, one too few costs a name
_TALLEST = 0.15  # of the frame's shorter side: where nothing is written, the network may call all of it text
_ABOVE, _BESIDE = 0.35, 1.0
"""Margins as shares of a line's height: strokes end softly, and the last letter of a word is often missed."""
_LEAST_PAD = 2  # px
_CONTRAST, _TILES = 4.0, (8, 8)
_NEAR = 0.5  # of the height of a line: boxes no further apart are one place
_LOOSE = 1.15  # times the area of two boxes: a common box that is larger hides what is no text


@dataclass(frozen=True)
class FoundText:
    """A place where something like text stands.

    Attributes:
        box: The box around it on whatever pictures it was seen, with a margin.
        seen: On how many of the pictures looked at: frames, and the two projections.
        looked_at: How many there were.
    """

    box: PixelBox
    seen: int
    looked_at: int


class TextDetector:
    """The network that finds lines of text in one picture; takes a second to load, nothing is downloaded."""

    def __init__(self) -> None:
        """Load it.

        Raises:
            VfssError: RapidOCR, its model or an engine to run it is missing.
        """
        try:
            self._network = _load()
        except (ImportError, OSError, ValueError, RuntimeError) as error:
            raise VfssError(
                f"the detector of burned-in text cannot be loaded ({error})",
                remedy="Install it again: pip install --force-reinstall rapidocr openvino. "
                "Without it, look at the review strip and write the boxes by hand.",
            ) from error

    def boxes(self, picture: npt.NDArray[np.uint8]) -> list[PixelBox]:
        """Upright boxes around lines of text, with a margin.

        The picture is looked at twice, as it is and with its contrast evened out, in which faint text stands out.

        Args:
            picture: uint8 (H, W).
        """
        import cv2

        evened = cv2.createCLAHE(_CONTRAST, _TILES).apply(picture)
        return [*self._lines(picture), *self._lines(evened)]

    def _lines(self, picture: npt.NDArray[np.uint8]) -> list[PixelBox]:
        height, width = picture.shape
        found = self._network(np.repeat(picture[..., None], 3, axis=-1)).boxes
        corners = [] if found is None else [np.asarray(four) for four in found]
        tallest = _TALLEST * min(height, width)
        return [_padded(four, height, width) for four in corners if np.ptp(four, axis=0).min() <= tallest]


def find_text(
    clip: Clip, projections: Projections, detector: TextDetector, progress: Progress | None = None
) -> list[FoundText] | None:
    """Places of a recording where text stands on any frame, from top to bottom; None where it was cancelled.

    Looked at are frames and, because text may come and go, the projections over all of them. What is found anywhere is
    to be hidden everywhere.

    Args:
        clip: The recording.
        projections: The same at a glance.
        detector: The network.
        progress: Told how many pictures are done.

    Raises:
        ClipError: A frame cannot be decoded.
    """
    frames = projections.frames(EVENLY, CHANGED)
    looked_at = 2 + len(frames)
    boxes: list[list[PixelBox]] = []
    for number in range(looked_at):
        picture = (
            (projections.brightest, projections.darkest)[number] if number < 2 else clip.as_uint8(frames[number - 2])
        )
        boxes.append(detector.boxes(picture))
        if progress is not None and progress(number + 1, looked_at) is False:
            return None
    places = merged(box for found in boxes for box in found)
    return [
        FoundText(place, sum(any(_near(place, box) for box in found) for found in boxes), looked_at) for place in places
    ]


def merged(boxes: Iterable[PixelBox]) -> list[PixelBox]:
    """One box per place, from top to bottom: those that overlap or nearly touch are joined until none do.

    Two that stand to each other like a ruler and the line under it stay two: their common box would hide a picture.
    """
    places: list[PixelBox] = []
    for box in boxes:
        place, apart = box, places
        while True:
            near = next(([other] for other in apart if _near(other, place) and _is_tight(other, place)), [])
            if not near:
                break
            apart = [other for other in apart if other not in near]
            for other in near:
                place = place.joined(other)
        places = [*apart, place]
    return sorted(places, key=lambda place: (place.top, place.left))


def _is_tight(one: PixelBox, other: PixelBox) -> bool:
    """True where the box around both holds little that is in neither."""
    areas = [(box.bottom - box.top) * (box.right - box.left) for box in (one, other, one.joined(other))]
    return areas[2] <= _LOOSE * (areas[0] + areas[1])


def _near(one: PixelBox, other: PixelBox) -> bool:
    gap = _NEAR * min(one.bottom - one.top, other.bottom - other.top, one.right - one.left, other.right - other.left)
    return (
        one.top - gap < other.bottom
        and other.top - gap < one.bottom
        and one.left - gap < other.right
        and other.left - gap < one.right
    )


def _padded(corners: npt.NDArray[Any], height: int, width: int) -> PixelBox:
    """The upright box around four corners, (4, 2) of x and y, with a margin inside the picture."""
    left, top = (int(v) for v in corners.min(axis=0))
    right, bottom = (int(v) + 1 for v in corners.max(axis=0))
    line = min(bottom - top, right - left)
    above, beside = (max(_LEAST_PAD, round(share * line)) for share in (_ABOVE, _BESIDE))
    if bottom - top > right - left:  # written upwards
        above, beside = beside, above
    return PixelBox(max(0, top - above), max(0, left - beside), min(height, bottom + above), min(width, right + beside))


def _load() -> Any:
    """RapidOCR's detector alone, with the model out of its wheel and the engine that is there."""
    import rapidocr
    from omegaconf import OmegaConf
    from rapidocr.ch_ppocr_det import TextDetector as Network
    from rapidocr.utils.typings import EngineType

    logging.getLogger("RapidOCR").setLevel(logging.WARNING)  # after the import, which sets it to tell everything
    folder = Path(rapidocr.__file__).parent
    engine = next((name for name in _ENGINES if importlib.util.find_spec(name) is not None), None)
    if engine is None:
        raise ImportError(f"neither {' nor '.join(_ENGINES)} is installed")
    model = folder / "models" / _MODEL
    if not model.is_file():  # RapidOCR would go and download it
        raise FileNotFoundError(f"{model} is missing")
    everything = OmegaConf.load(folder / "config.yaml")
    settings = everything.Det
    settings.engine_type = EngineType(engine)
    settings.engine_cfg = everything.EngineConfig[engine]
    settings.model_path, settings.box_thresh = str(model), _LEAST_SURE
    return Network(settings)
