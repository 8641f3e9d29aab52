# SPDX-License-Identifier: Apache-2.0
"""Proposed redactions: burned-in text and the unexposed area of a recording, for a person to review."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from vfss.clips import Clip
from vfss.clips.exposed_field import largest_area
from vfss.deidentify.projections import Projections, project_clip
from vfss.deidentify.text_detection import DetectedText, TextDetector, find_text
from vfss.output import Progress
from vfss.project import Project
from vfss.redaction import PixelBox, Redaction

_MARGIN = 0.015  # of each side, added to the coarseness of the grid: the crop must not remove anatomy
_NEARLY_ALL = 0.92  # share of the frame above which no crop is proposed
_FLAT = 16  # grey values within which the cropped area counts as uniform, compression noise included
_WRITTEN = 0.1  # share of the cropped area that may be text and the like


@dataclass(frozen=True, eq=False)
class ProposedRedaction:
    """A redaction proposed by the program, not reviewed by a person.

    Attributes:
        projections: Projections of the recording.
        texts: Areas that look like text; empty if text was not searched.
        crop: The exposed field; None if that is nearly the full frame.
        annotated: The box around all masks, which a crop should contain; None if there are none.
    """

    projections: Projections
    texts: tuple[DetectedText, ...]
    crop: PixelBox | None
    annotated: PixelBox | None

    @property
    def redaction(self) -> Redaction:
        """The redaction with all proposed boxes and the crop."""
        return Redaction(tuple(text.box for text in self.texts), self.crop)


def propose_redaction(
    project: Project, clip: Clip, detector: TextDetector | None, progress: Progress | None = None
) -> ProposedRedaction | None:
    """Detect text and the exposed field of a recording; return None if it was cancelled.

    Args:
        project: Project of the masks; the proposed crop contains all of them.
        clip: The recording.
        detector: Text detector; None to search no text.
        progress: Called with steps done and all steps; False cancels.

    Raises:
        ClipError: A frame cannot be decoded.
        ProjectError: The project cannot be read.
    """
    report = progress or _never_cancel
    # Decoding is quick compared to the detector: it is the first tenth of the steps.
    share = 1 if detector is None else 10
    projections = project_clip(clip, lambda done, total: report(done, share * total))
    if projections is None:
        return None
    texts: list[DetectedText] | None = []
    if detector is not None:
        texts = find_text(clip, projections, detector, lambda done, total: report(total + 9 * done, share * total))
    if texts is None:
        return None
    annotated = annotated_box(project, clip.id)
    return ProposedRedaction(projections, tuple(texts), propose_crop(projections, keep=annotated), annotated)


def _never_cancel(_done: int, _total: int) -> bool:
    return True


def annotated_box(project: Project, clip_id: str) -> PixelBox | None:
    """Return the box around all masks of a clip, proposals included; None if there are none."""
    around: PixelBox | None = None
    for frame in project.overview.planes(clip_id):
        for mask in frame.planes:
            if mask is not None and mask.inside.size:
                rows, columns = mask.inside.shape
                box = PixelBox(mask.top, mask.left, mask.top + rows, mask.left + columns)
                around = box if around is None else around.joined(box)
    return around


def propose_crop(projections: Projections, *, keep: PixelBox | None = None) -> PixelBox | None:
    """Return the area that was exposed on any frame; None if that is nearly the full frame, or none is found.

    Args:
        projections: Projections of the recording.
        keep: Area that the crop must contain, such as the box around all masks.
    """
    height, width = projections.brightest.shape
    area = largest_area(projections.brightest)
    if area is None:
        return None
    (first_row, last_row), (first_column, last_column) = area
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
    return None if nearly_all or not _is_unexposed_outside(projections, crop) else crop


def _is_unexposed_outside(projections: Projections, crop: PixelBox) -> bool:
    """Return whether the area outside the crop is uniform and constant except for text; else it is picture too."""
    outside = np.ones(projections.brightest.shape, np.bool_)
    outside[crop.slices] = False
    values = np.stack([projections.brightest[outside], projections.darkest[outside]]).astype(np.int16)
    return bool(np.mean(np.abs(values - np.median(values)) > _FLAT) < _WRITTEN)
