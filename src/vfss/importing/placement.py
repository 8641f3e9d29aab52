# SPDX-License-Identifier: Apache-2.0
"""Where the pixels of a foreign image lie in the frame of its clip: all of it, or the part that an export kept."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from vfss.importing.source import ForeignImage
from vfss.masks import BoolArray
from vfss.project import ClipRecord, Project
from vfss.redaction import PixelBox


@dataclass(frozen=True)
class Placement:
    """Size of the frames of a clip, and the part of them that an image shows.

    Attributes:
        height: Rows of a frame.
        width: Columns of a frame.
        crop: Part that the image shows; None for all of it.
    """

    height: int
    width: int
    crop: PixelBox | None = None

    def sized(self, image: ForeignImage) -> ForeignImage:
        """Return the image with the size of the clip, if its source states none."""
        return image if image.height and image.width else replace(image, height=self.height, width=self.width)

    def placed(self, plane: BoolArray) -> BoolArray:
        """Return a plane of the image, bool (h, w), as one of the frame, bool (H, W)."""
        if self.crop is None:
            return plane
        full = np.zeros((self.height, self.width), np.bool_)
        full[self.crop.slices] = plane
        return full


def placement(project: Project, record: ClipRecord, image: ForeignImage, *, exported: bool) -> Placement | None:
    """Return where an image lies in the frames of a clip; None if its size fits in no way.

    Args:
        project: Project with the clip.
        record: The clip.
        image: Image that belongs to a frame of it.
        exported: Whether the image has the name of an export of this clip. Then it may be smaller: the part that a
            review of the clip's pixels cropped to. Two crops of one size leave open which it was.
    """
    whole = Placement(record.height, record.width)
    size = (image.height, image.width)
    if size in ((record.height, record.width), (0, 0)):
        return whole
    if not exported:
        return None
    crops = {review.redaction.crop for review in project.reviews.history(record.id) if not review.withdrawn}
    fitting = [crop for crop in crops if crop is not None and (crop.bottom - crop.top, crop.right - crop.left) == size]
    inside = [crop for crop in fitting if crop.bottom <= record.height and crop.right <= record.width]
    return Placement(record.height, record.width, inside[0]) if len(inside) == 1 else None
