# SPDX-License-Identifier: Apache-2.0
"""Detection of text burned into the picture, by a network that is installed with the program (PP-OCR in RapidOCR)."""

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
"""Numbers of frames examined: evenly spaced, and where the picture's border changed; of shorter clips all frames."""

_MODEL = "PP-OCRv6_det_small.onnx"
_ENGINES = ("openvino", "onnxruntime")
_LEAST_CONFIDENCE = 0.4  # below the usual 0.5: a false box costs a glance, a missed one reveals a name
_TALLEST = 0.15  # of the frame's shorter side: without text, the network may mark the whole frame
_ABOVE, _BESIDE = 0.35, 1.0
"""Margins as shares of a line's height: strokes fade out, and the last letter of a word is often missed."""
_LEAST_PAD = 2  # px
_CONTRAST, _TILES = 4.0, (8, 8)
_NEAR = 0.5  # of the height of a line: boxes no further apart are merged
_LOOSE = 1.15  # times the area of two boxes: a larger common box would hide more than text


@dataclass(frozen=True)
class DetectedText:
    """An area that looks like text.

    Attributes:
        box: The box around it on all pictures on which it was detected, with a margin.
        seen: Number of pictures on which it was detected: frames, and the two projections.
        examined: Number of pictures examined.
    """

    box: PixelBox
    seen: int
    examined: int


class TextDetector:
    """The network that detects lines of text in one picture; loading takes a second and downloads nothing."""

    def __init__(self) -> None:
        """Load the network.

        Raises:
            VfssError: RapidOCR, its model or an engine to run it is missing.
        """
        try:
            self._network = _load()
        except (ImportError, OSError, ValueError, RuntimeError) as error:
            raise VfssError(
                f"the detector of burned-in text cannot be loaded ({error})",
                remedy="Reinstall it: pip install --force-reinstall rapidocr openvino. "
                "Without it, draw the boxes by hand.",
            ) from error

    def boxes(self, picture: npt.NDArray[np.uint8]) -> list[PixelBox]:
        """Return upright boxes around lines of text, with a margin.

        The picture is examined twice, unchanged and with its contrast equalised, which makes faint text visible.

        Args:
            picture: uint8 (H, W).
        """
        import cv2

        equalised = cv2.createCLAHE(_CONTRAST, _TILES).apply(picture)
        return [*self._lines(picture), *self._lines(equalised)]

    def _lines(self, picture: npt.NDArray[np.uint8]) -> list[PixelBox]:
        height, width = picture.shape
        boxes = self._network(np.repeat(picture[..., None], 3, axis=-1)).boxes
        corners = [] if boxes is None else [np.asarray(box) for box in boxes]
        tallest = _TALLEST * min(height, width)
        return [_padded(box, height, width) for box in corners if np.ptp(box, axis=0).min() <= tallest]


def find_text(
    clip: Clip, projections: Projections, detector: TextDetector, progress: Progress | None = None
) -> list[DetectedText] | None:
    """Detect text on any frame of a recording, from top to bottom; return None if it was cancelled.

    Some frames are examined and, because text may appear and disappear, the projections over all of them. Text found
    anywhere is to be hidden on all frames.

    Args:
        clip: The recording.
        projections: Its projections.
        detector: The network.
        progress: Called with pictures done and in all; False cancels.

    Raises:
        ClipError: A frame cannot be decoded.
    """
    frames = projections.frames(EVENLY, CHANGED)
    examined = 2 + len(frames)
    boxes: list[list[PixelBox]] = []
    for number in range(examined):
        picture = (
            (projections.brightest, projections.darkest)[number] if number < 2 else clip.as_uint8(frames[number - 2])
        )
        boxes.append(detector.boxes(picture))
        if progress is not None and progress(number + 1, examined) is False:
            return None
    areas = merged(box for per_picture in boxes for box in per_picture)
    return [
        DetectedText(area, sum(any(_is_near(area, box) for box in per_picture) for per_picture in boxes), examined)
        for area in areas
    ]


def merged(boxes: Iterable[PixelBox]) -> list[PixelBox]:
    """Merge boxes that overlap or nearly touch, until none do; return them from top to bottom.

    Two boxes that form an L, such as a ruler and the line below it, stay separate: their common box would hide picture.
    """
    areas: list[PixelBox] = []
    for box in boxes:
        area, others = box, areas
        while True:
            near = next((other for other in others if _is_near(other, area) and _is_tight(other, area)), None)
            if near is None:
                break
            others = [other for other in others if other != near]
            area = area.joined(near)
        areas = [*others, area]
    return sorted(areas, key=lambda area: (area.top, area.left))


def _is_tight(one: PixelBox, other: PixelBox) -> bool:
    """Return whether the box around both contains little that is in neither."""
    areas = [(box.bottom - box.top) * (box.right - box.left) for box in (one, other, one.joined(other))]
    return areas[2] <= _LOOSE * (areas[0] + areas[1])


def _is_near(one: PixelBox, other: PixelBox) -> bool:
    gap = _NEAR * min(one.bottom - one.top, other.bottom - other.top, one.right - one.left, other.right - other.left)
    return (
        one.top - gap < other.bottom
        and other.top - gap < one.bottom
        and one.left - gap < other.right
        and other.left - gap < one.right
    )


def _padded(corners: npt.NDArray[Any], height: int, width: int) -> PixelBox:
    """Return the upright box around four corners, (4, 2) of x and y, with a margin, clipped to the picture."""
    left, top = (int(v) for v in corners.min(axis=0))
    right, bottom = (int(v) + 1 for v in corners.max(axis=0))
    line = min(bottom - top, right - left)
    above, beside = (max(_LEAST_PAD, round(share * line)) for share in (_ABOVE, _BESIDE))
    if bottom - top > right - left:  # vertical text
        above, beside = beside, above
    return PixelBox(max(0, top - above), max(0, left - beside), min(height, bottom + above), min(width, right + beside))


def _load() -> Any:
    """Load RapidOCR's detector alone, with the model in its wheel and an installed engine."""
    import rapidocr
    from omegaconf import OmegaConf
    from rapidocr.ch_ppocr_det import TextDetector as Network
    from rapidocr.utils.typings import EngineType

    logging.getLogger("RapidOCR").setLevel(logging.WARNING)  # after the import, which sets it to log everything
    folder = Path(rapidocr.__file__).parent
    engine = next((name for name in _ENGINES if importlib.util.find_spec(name) is not None), None)
    if engine is None:
        raise ImportError(f"neither {' nor '.join(_ENGINES)} is installed")
    model = folder / "models" / _MODEL
    if not model.is_file():  # RapidOCR would download it
        raise FileNotFoundError(f"{model} is missing")
    config = OmegaConf.load(folder / "config.yaml")
    settings = config.Det
    settings.engine_type = EngineType(engine)
    settings.engine_cfg = config.EngineConfig[engine]
    settings.model_path, settings.box_thresh = str(model), _LEAST_CONFIDENCE
    return Network(settings)
