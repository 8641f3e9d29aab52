# SPDX-License-Identifier: Apache-2.0
"""CVAT 1.1, for images or for video: masks and polygons of annotations.xml."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from vfss.datasets.formats.cvat import TAG
from vfss.datasets.formats.cvat_xml import CvatImage, CvatShape, corners, draw_mask, read_annotations, whole_number
from vfss.errors import DatasetError, MaskError
from vfss.importing.files import POLYGONS, files_in, malformed
from vfss.importing.names import shown
from vfss.importing.source import ForeignImage, ForeignLabel, ForeignMasks, ForeignPlanes, SourceKind, SourceOptions
from vfss.masks import BoolArray, MaskState
from vfss.masks.run_lengths import decode_polygons, is_picture_size

_HEAD_BYTES = 4096
_STATES = {state.label: state for state in MaskState}


class CvatMasks:
    """Masks of an annotations.xml; shapes of one label on one image are one mask. See ForeignMasks."""

    name = "cvat"
    title = "CVAT annotations"

    def __init__(self, path: Path) -> None:
        """Read the file; masks stay encoded.

        Raises:
            DatasetError: There is no such file, more than one, or it is malformed.
        """
        self.path = path
        self._file = _file(path)
        self.problems: list[str] = []
        annotations = read_annotations(self._file)
        self.labels = [ForeignLabel(label) for label in annotations.labels if label != TAG]
        shapes = (shape for image in annotations.images for shape in image.shapes)
        self.losses = [POLYGONS] if any(shape.kind == "polygon" for shape in shapes) else []
        self.images: list[ForeignImage] = []
        self._shapes: list[list[CvatShape]] = []
        for image in annotations.images:
            foreign = self._image(image)
            if foreign is not None:
                self.images.append(replace(foreign, number=len(self.images)))
                self._shapes.append(image.shapes)

    def _image(self, image: CvatImage) -> ForeignImage | None:
        file = shown(image.name)
        name = file if image.frame is None else f"{file or 'video'}, frame {image.frame}"
        height, width = (
            int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
            for text in (image.height, image.width)
        )
        if not is_picture_size(height, width):
            if image.height or image.width:
                self.problems.append(f"{name}: its size is invalid ({image.height[:20]} x {image.width[:20]})")
                return None
            height = width = 0
        states = {key: _STATES[text] for key, text in image.tags.get(TAG, {}).items() if text in _STATES}
        return ForeignImage(0, name, height, width, frame=image.frame, states=states, file=file)

    def planes(self, image: ForeignImage) -> ForeignPlanes:
        """See ForeignMasks.planes."""
        planes: dict[str, BoolArray] = {}
        left_out: Counter[str] = Counter()
        for shape in self._shapes[image.number]:
            if shape.kind not in ("mask", "polygon"):
                left_out[f"shapes that are no mask ({shape.kind})"] += 1
                continue
            try:
                plane = np.zeros((image.height, image.width), np.bool_)
                if shape.kind == "mask":
                    draw_mask(shape.attributes, plane)
                else:
                    plane = decode_polygons([corners(shape.attributes)], image.height, image.width)
            except MaskError as error:
                raise malformed(self._file, error, f"on {image.name}, a <{shape.kind}> of {shape.label!r}") from error
            planes[shape.label] = planes[shape.label] | plane if shape.label in planes else plane
        return ForeignPlanes(planes, left_out=left_out)


def _side(text: str) -> int:
    """Return the rows or columns in an attribute; 0 if it has none."""
    try:
        return whole_number(text)
    except ValueError:
        return 0


def _files(path: Path) -> list[Path]:
    candidates = [path] if path.is_file() else files_in(path, ".xml")
    return [file for file in candidates if _is_cvat(file)]


def _is_cvat(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            head = opened.read(_HEAD_BYTES)
    except OSError:
        return False
    return head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<") and b"<annotations" in head


def _file(path: Path) -> Path:
    files = _files(path)
    if len(files) != 1:
        names = ", ".join(shown(file.name) for file in files)
        raise DatasetError(
            f"holds {len(files)} files of CVAT ({names})" if files else "holds no annotations.xml of CVAT",
            path=path,
            remedy="Name the file itself." if files else "Name the file that CVAT exported as CVAT 1.1.",
        )
    return files[0]


def _open(path: Path, options: SourceOptions) -> ForeignMasks:
    return CvatMasks(path)


CVAT = SourceKind("cvat", "CVAT 1.1 (XML)", lambda path: bool(_files(path)), _open)
