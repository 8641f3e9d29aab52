# SPDX-License-Identifier: Apache-2.0
"""What to hide of a recording, proposed by the program for a person to look at."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from vfss.clips import Clip
from vfss.clips.exposed_field import largest_area
from vfss.deidentify.projections import Projections, project_clip
from vfss.deidentify.text_detection import FoundText, TextDetector, find_text
from vfss.output import Progress
from vfss.project import Project
from vfss.redaction import PixelBox, Redaction

_MARGIN = 0.015  # of each side, on top of the grid's own coarseness: the crop must not take anatomy
_NEARLY_ALL = 0.92  # share of the frame from which cropping is not worth it
_FLAT = 16  # grey values within which what is cut away is one flat surface, compression and all
_WRITTEN = 0.1  # share of what is cut away that may be words and the like


def propose_crop(projections: Projections, *, keep: PixelBox | None = None) -> PixelBox | None:
    """The part of the frame that was exposed on any frame; None where that is nearly all of it, or none is found.

    Args:
        projections: The recording at a glance.
        keep: What must stay in any case, such as the box around all masks.
    """
    height, width = projections.brightest.shape
    found = largest_area(projections.brightest)
    if found is None:
        return None
    (first_row, last_row), (first_column, last_column) = found
    crop = PixelBox(
        max(0, int((first_row - _MARGIN) * height)),
        max(0, int((first_column - _MARGIN) * width)),
        min(height, math.ceil((last_row + _MARGIN) * height)),
        min(width, math.ceil((last_column + _MARGIN) * width)),
    )
    if keep is not None:
        crop = crop.joined(keep)
    rows, columns = crop.bottom - crop.top, crop.right - crop.left
    nearly_all = rows * columns > _NEARLY_ALL * height * width
    return None if nearly_all or not _unexposed(projections, crop) else crop


def _unexposed(projections: Projections, crop: PixelBox) -> bool:
    """Whether what the crop cuts away is flat and still, but for what is written on it: else it is picture too."""
    outside = np.ones(projections.brightest.shape, np.bool_)
    outside[crop.slices] = False
    values = np.stack([projections.brightest[outside], projections.darkest[outside]]).astype(np.int16)
    return bool(np.mean(np.abs(values - np.median(values)) > _FLAT) < _WRITTEN)


@dataclass(frozen=True, eq=False)
class ProposedRedaction:
    """What the program found; nothing of it was checked by anybody.

    Attributes:
        projections: The recording at a glance.
        found: Places where something like text stands; none where nobody asked for a search.
        crop: The exposed field; None where that is nearly all of the picture.
        annotated: The box around all masks, which a crop should leave whole; None where there are none.
    """

    projections: Projections
    found: tuple[FoundText, ...]
    crop: PixelBox | None
    annotated: PixelBox | None

    @property
    def redaction(self) -> Redaction:
        """All that is proposed."""
        return Redaction(tuple(text.box for text in self.found), self.crop)


def propose_redaction(
    project: Project, clip: Clip, detector: TextDetector | None, progress: Progress | None = None
) -> ProposedRedaction | None:
    """Find text and the exposed field of a recording; None where it was cancelled.

    Args:
        project: Where the masks are; the proposed crop cuts none.
        clip: The recording.
        detector: Finds text; None for a look without it.
        progress: Told how far it is.

    Raises:
        ClipError: A frame cannot be decoded.
        ProjectError: The project cannot be read.
    """
    tell = progress or _go_on
    # Decoding is quick beside the detector: the first tenth of the way.
    share = 1 if detector is None else 10
    projections = project_clip(clip, lambda done, total: tell(done, share * total))
    if projections is None:
        return None
    found = (
        []
        if detector is None
        else find_text(clip, projections, detector, lambda done, total: tell(total + 9 * done, share * total))
    )
    if found is None:
        return None
    annotated = annotated_box(project, clip.id)
    return ProposedRedaction(projections, tuple(found), propose_crop(projections, keep=annotated), annotated)


def _go_on(_done: int, _total: int) -> bool:
    return True


def annotated_box(project: Project, clip_id: str) -> PixelBox | None:
    """The box around all masks of a clip, whoever made them; None where there are none."""
    around: PixelBox | None = None
    for frame in project.overview.planes(clip_id):
        for mask in frame.planes:
            if mask is not None and mask.inside.size:
                rows, columns = mask.inside.shape
                box = PixelBox(mask.top, mask.left, mask.top + rows, mask.left + columns)
                around = box if around is None else around.joined(box)
    return around
