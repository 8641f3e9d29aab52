# SPDX-License-Identifier: Apache-2.0
"""Read annotations.xml of CVAT, "for images" or "for video" 1.1, without trust in what it holds.

Read by expat element by element: no document type, hence no entities that grow, and nothing that nests is followed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

import numpy as np

from vfss.errors import DatasetError, MaskError
from vfss.masks import BoolArray
from vfss.masks.run_lengths import MOST_CORNERS, fill, is_picture_size

SHAPES = frozenset(("mask", "box", "polygon", "polyline", "points", "ellipse", "cuboid", "skeleton"))
_REMEDY = "Export it again from CVAT."
_MOST_BYTES = 1 << 29
_TEXTS = {
    ("label", "name"): "label",
    ("task", "source"): "source",
    ("original_size", "width"): "width",
    ("original_size", "height"): "height",
}
"""Elements of the head whose text is needed, by the element around them."""

Attributes = Mapping[str, str]


@dataclass(frozen=True)
class CvatShape:
    """A shape: a mask, a polygon, a box, ...

    Attributes:
        kind: Name of its element, one of SHAPES.
        label: Its label.
        attributes: Attributes of its element.
    """

    kind: str
    label: str
    attributes: Attributes


@dataclass
class CvatImage:
    """A picture of a task, or a frame of its video.

    Attributes:
        name: Name of the picture's file, or of the video's.
        width: Columns, as stated; "" if they are not.
        height: Rows, as stated; "" if they are not.
        frame: Number of the frame in the video; None for pictures.
        shapes: Its shapes.
        tags: Attributes of its tags by label.
    """

    name: str
    width: str = ""
    height: str = ""
    frame: int | None = None
    shapes: list[CvatShape] = field(default_factory=list)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class CvatAnnotations:
    """Content of an annotations.xml.

    Attributes:
        labels: Labels of the task, in order.
        images: Pictures, or frames of a video that have shapes.
    """

    labels: tuple[str, ...]
    images: tuple[CvatImage, ...]


def read_annotations(path: Path) -> CvatAnnotations:
    """Read an annotations.xml.

    Raises:
        DatasetError: It is missing, not of CVAT, or malformed.
    """
    reader = _Reader(path)
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = reader.on_doctype
    parser.StartElementHandler = reader.on_start
    parser.EndElementHandler = reader.on_end
    parser.CharacterDataHandler = reader.on_text
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise DatasetError("is larger than 500 MB", path=path, remedy="Export it in parts, task by task.")
        parser.Parse(path.read_bytes(), True)  # at once: expat begins a long element anew with each block of it
    except FileNotFoundError as error:
        raise DatasetError("no such file", path=path, remedy="Name the folder that an export wrote.") from error
    except (OSError, expat.ExpatError, ValueError, LookupError, MemoryError) as error:
        raise DatasetError(f"cannot be read ({error})", path=path, remedy="Export the dataset again.") from error
    return reader.result()


class _Reader:
    """Collects what the elements of the file tell."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inside: list[str] = []
        self._text: list[str] = []
        self._labels: dict[str, None] = {}
        self._head: dict[str, str] = {}
        self._images: list[CvatImage] = []
        self._of_video: dict[tuple[str, int], CvatImage] = {}
        self._image: CvatImage | None = None
        self._track: Attributes | None = None
        self._tag: dict[str, str] | None = None
        self._attribute = ""

    def result(self) -> CvatAnnotations:
        """Return everything; the size and the name of a video stand in the head."""
        for (_, frame), image in sorted(self._of_video.items()):
            image.name, image.frame = self._head.get("source", ""), frame
            image.width, image.height = self._head.get("width", ""), self._head.get("height", "")
            self._images.append(image)
        labels = dict.fromkeys([*self._labels, *(shape.label for image in self._images for shape in image.shapes)])
        return CvatAnnotations(tuple(labels), tuple(self._images))

    def on_doctype(self, *_: object) -> None:
        """Refuse a document type: CVAT writes none, and entities in it can grow without bound."""
        raise DatasetError("has a document type, as files of CVAT have not", path=self._path, remedy=_REMEDY)

    def on_start(self, name: str, attributes: dict[str, str]) -> None:
        """Begin an element."""
        if not self._inside and name != "annotations":
            raise DatasetError(f"is an XML file of <{name[:40]}>, not CVAT's <annotations>", path=self._path)
        self._inside.append(name)
        self._text = []
        if name == "image":
            width, height = attributes.get("width", ""), attributes.get("height", "")
            self._image = CvatImage(attributes.get("name", ""), width, height)
            self._images.append(self._image)
        elif name == "track":
            self._track = attributes
        elif name == "tag" and self._image is not None:
            self._tag = self._image.tags.setdefault(attributes.get("label", ""), {})
        elif name == "attribute":
            self._attribute = attributes.get("name", "")
        elif name in SHAPES:
            self._add_shape(name, attributes)

    def _add_shape(self, kind: str, attributes: dict[str, str]) -> None:
        if self._image is not None:
            self._image.shapes.append(CvatShape(kind, attributes.get("label", ""), attributes))
        elif self._track is not None and attributes.get("outside", "0") != "1":
            frame = whole_number(attributes.get("frame", ""))
            place = self._of_video.setdefault((self._track.get("task_id", ""), frame), CvatImage(""))
            place.shapes.append(CvatShape(kind, self._track.get("label", ""), attributes))

    def on_text(self, text: str) -> None:
        """Collect text."""
        self._text.append(text)

    def on_end(self, name: str) -> None:
        """End an element."""
        self._inside.pop()
        text = "".join(self._text).strip()
        self._text = []
        if name == "image":
            self._image = None
        elif name == "track":
            self._track = None
        elif name == "tag":
            self._tag = None
        elif name == "attribute" and self._tag is not None:
            self._tag[self._attribute] = text
        elif self._inside and (what := _TEXTS.get((self._inside[-1], name))) == "label":
            self._labels[text] = None
        elif self._inside and what is not None:
            self._head.setdefault(what, text)


def whole_number(text: str) -> int:
    """Return the number in an attribute.

    Raises:
        ValueError: It is none, negative, or larger than any in a picture or video.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise ValueError(f"{text[:20]!r} is not a whole number of a picture")
    return int(text)


def draw_mask(mask: Attributes, plane: BoolArray) -> None:
    """Draw a <mask> into a plane, bool (H, W): a box, and alternating runs along its rows.

    Raises:
        MaskError: It is malformed, or extends beyond the plane.
    """
    try:
        left, top, width, height = (whole_number(mask[name]) for name in ("left", "top", "width", "height"))
        if not is_picture_size(height, width) or top + height > plane.shape[0] or left + width > plane.shape[1]:
            raise MaskError("a mask extends beyond the frame")
        runs = [whole_number(run.strip()) for run in _runs(mask["rle"], height * width)]
    except (KeyError, ValueError) as error:
        raise MaskError(f"a mask is malformed ({type(error).__name__}: {error})") from error
    plane[top : top + height, left : left + width] |= fill(np.array(runs, np.int64), height, width)


def _runs(text: str, pixels: int) -> Iterator[str]:
    if text.count(",") > pixels + 1:
        raise ValueError("more runs than pixels")
    return iter(text.split(","))


def corners(shape: Attributes) -> list[float]:
    """Return the corners of a <polygon>, x and y alternating, in pixels.

    Raises:
        MaskError: They are malformed.
    """
    try:
        if shape["points"].count(";") > MOST_CORNERS:
            raise ValueError("too many corners")
        return [float(value) for point in shape["points"].split(";") for value in point.split(",")]
    except (KeyError, ValueError) as error:
        raise MaskError(f"a polygon is malformed ({type(error).__name__}: {str(error)[:60]})") from error
