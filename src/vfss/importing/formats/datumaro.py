# SPDX-License-Identifier: Apache-2.0
"""Datumaro: masks and polygons of annotations/<subset>.json, as datumaro and CVAT write them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vfss.errors import DatasetError
from vfss.importing.files import MALFORMED, POLYGONS, files_in, malformed, mentions, read_object
from vfss.importing.names import shown
from vfss.importing.source import ForeignImage, ForeignLabel, ForeignMasks, ForeignPlanes, SourceKind, SourceOptions
from vfss.masks import BoolArray, MaskState
from vfss.masks.run_lengths import decode_segmentation, is_picture_size

Fields = Mapping[str, Any]
_STATE = "state_"


class DatumaroMasks:
    """Masks of the files of a Datumaro dataset; see ForeignMasks."""

    name = "datumaro"
    title = "Datumaro annotations"

    def __init__(self, path: Path) -> None:
        """Read all files.

        Raises:
            DatasetError: There are none, they disagree on labels, or one is malformed.
        """
        self.path = path
        self.problems: list[str] = []
        self.losses: list[str] = []
        self.images: list[ForeignImage] = []
        self._annotations: list[tuple[Path, list[Fields]]] = []
        names: list[str] | None = None
        files = _files(path)
        if not files:
            raise DatasetError("holds no annotations of Datumaro", path=path, remedy="Name the folder of the dataset.")
        for file in files:
            data = read_object(file)
            try:
                of_file = [shown(str(label["name"])) for label in data["categories"]["label"]["labels"]]
                if names not in (None, of_file) or len(set(of_file)) < len(of_file):
                    raise DatasetError(
                        "has other labels than the files before it, or two of the same name",
                        path=file,
                        remedy="Import the files one by one.",
                    )
                names = of_file
                for item in data["items"]:
                    self._add(file, item)
            except MALFORMED as error:
                raise malformed(file, error, "Datumaro") from error
        self.labels = [ForeignLabel(name) for name in names or []]
        if any(a.get("type") == "polygon" for _, annotations in self._annotations for a in annotations):
            self.losses.append(POLYGONS)

    def _add(self, file: Path, item: Fields) -> None:
        image = item.get("image") or {}
        name = shown(str(image.get("path") or item["id"]))
        height, width = image.get("size") or (0, 0)
        if (height or width) and not is_picture_size(height, width):
            self.problems.append(f"{name}: its size is invalid ({str(height)[:20]} x {str(width)[:20]})")
            return
        attributes = item.get("attr") or {}
        clip, frame, states = None, None, {}
        if "clip" in attributes and "frame" in attributes:  # exported here; CVAT writes a frame of its own
            clip, frame = str(attributes["clip"]), int(attributes["frame"])
            states = {
                key.removeprefix(_STATE): MaskState[str(label).upper().replace(" ", "_")]
                for key, label in attributes.items()
                if key.startswith(_STATE)
            }
        number = len(self.images)
        self.images.append(ForeignImage(number, name, height, width, clip=clip, frame=frame, states=states))
        self._annotations.append((file, list(item["annotations"])))
        if not all(isinstance(annotation, dict) for annotation in self._annotations[-1][1]):
            raise TypeError("an annotation is no object")

    def planes(self, image: ForeignImage) -> ForeignPlanes:
        """See ForeignMasks.planes."""
        planes: dict[str, BoolArray] = {}
        left_out: Counter[str] = Counter()
        file, annotations = self._annotations[image.number]
        for annotation in annotations:
            kind = annotation.get("type")
            try:
                if kind not in ("mask", "polygon"):
                    left_out[f"annotations that are no mask ({str(kind)[:20]})"] += 1
                    continue
                label = self.labels[_index(annotation["label_id"])].name
                segmentation = annotation["rle"] if kind == "mask" else [annotation["points"]]
                plane = decode_segmentation(segmentation, image.height, image.width)
            except MALFORMED as error:
                raise malformed(file, error, f"on {image.name}, annotation {str(annotation.get('id'))[:20]}") from error
            planes[label] = planes[label] | plane if label in planes else plane
        return ForeignPlanes(planes, left_out=left_out)


def _index(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{str(value)[:20]!r} is not the number of a label")
    return value


def _files(path: Path) -> list[Path]:
    candidates = [path] if path.is_file() else [*files_in(path, ".json"), *files_in(path / "annotations", ".json")]
    return [
        file
        for file in candidates
        if mentions(file, "categories", "items", "annotations") and not mentions(file, "images")
    ]


def _open(path: Path, options: SourceOptions) -> ForeignMasks:
    return DatumaroMasks(path)


DATUMARO = SourceKind("datumaro", "Datumaro annotations (JSON)", lambda path: bool(_files(path)), _open)
