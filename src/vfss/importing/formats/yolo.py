# SPDX-License-Identifier: Apache-2.0
"""YOLO-seg: a text file per image with a polygon per line, as in datasets and as ultralytics saves predictions.

    <number of the class> x y x y ... [confidence]        as fractions of the picture's width and height

Names of classes are in data.yaml or classes.txt; predictions have none, and their classes are "class 0", "class 1", ...
Sizes are those of the pictures beside the labels, or of the clip: fractions do not need them before they are drawn.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from PIL import Image

from vfss.errors import DatasetError
from vfss.importing.files import POLYGONS, entries_of, expect_size, files_in
from vfss.importing.formats.label_images import unreadable
from vfss.importing.names import shown
from vfss.importing.source import ForeignImage, ForeignLabel, ForeignMasks, ForeignPlanes, SourceKind, SourceOptions
from vfss.masks import BoolArray
from vfss.masks.run_lengths import MOST_CORNERS, is_picture_size

_MOST_BYTES = 1 << 26
_MOST_NAME_BYTES = 1 << 16
_MOST_CLASSES = 1000
_MOST_CHARACTERS = 1 << 22
_LABELS = "labels"
_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
_SUFFIX = ".txt"
_NO_LABELS = frozenset(
    {"train.txt", "val.txt", "valid.txt", "test.txt", "classes.txt", "requirements.txt", "readme.txt"}
)
_NAMES = ("data.yaml", "data.yml", "classes.txt", "obj.names")
_BOXES = "objects with a box only"
_CONFIDENCES = "confidences of objects, which proposals of other programs do not keep"
_EDGE = 0.05  # of the picture: rounding and clipping reach that far beyond it
_ROUNDED = 0.01  # pixels: six digits of a fraction are that precise in pictures up to 10,000 pixels


class YoloMasks:
    """Masks of YOLO label files; objects of one class on one image are one mask. See ForeignMasks."""

    name = "yolo"
    title = "YOLO-seg labels"

    def __init__(self, path: Path, table: Path | None) -> None:
        """List the files; read data.yaml or the table of names.

        Raises:
            DatasetError: There are no label files, or data.yaml is malformed.
        """
        self.path = path
        self.problems: list[str] = []
        self.losses = [POLYGONS, "several parts of one structure are one mask"]
        self._files = list(_label_files(path))
        if not self._files:
            raise DatasetError(
                "holds no label files of YOLO (a number of a class, then coordinates from 0 to 1)",
                path=path,
                remedy="Name the folder with data.yaml, or the folder labels that ultralytics saved.",
            )
        yaml_file = table or _yaml_of(path)
        self._names = {} if yaml_file is None else _names(yaml_file)
        numbers = {number for file in self._files for number in self._classes(file)}
        for number in sorted(numbers - set(self._names)):
            self._names[number] = f"class {number}"
        self.labels = [ForeignLabel(name) for name in self._names.values()]
        self.images: list[ForeignImage] = []
        pictures = _Pictures()
        for file in self._files:
            height, width = pictures.size(file)
            name = shown(file.relative_to(path).as_posix() if path.is_dir() else file.name)
            self.images.append(ForeignImage(len(self.images), name, height, width))

    def _classes(self, file: Path) -> set[int]:
        """Return the classes in a file; a file that cannot be read has none, and is named when its masks are read."""
        try:
            return {number for number, _ in _objects(file)}
        except DatasetError:
            return set()

    def planes(self, image: ForeignImage) -> ForeignPlanes:
        """See ForeignMasks.planes."""
        planes: dict[str, BoolArray] = {}
        left_out: Counter[str] = Counter()
        for number, values in list(_objects(self._files[image.number])):  # a file is read as a whole, or not
            if len(values) < 6:
                left_out[_BOXES] += 1
                continue
            if len(values) % 2:
                left_out[_CONFIDENCES] += 1
            label = self._names.get(number, f"class {number}")
            plane = planes.setdefault(label, np.zeros((image.height, image.width), np.bool_))
            plane |= _drawn(values[: len(values) // 2 * 2], image.height, image.width)
        return ForeignPlanes(planes, left_out=left_out)


def _drawn(values: list[float], height: int, width: int) -> BoolArray:
    """Draw a polygon as ultralytics does: corners are pixels, and its outline belongs to it."""
    corners = np.array(values).reshape(-1, 2) * (width, height)
    pixels = np.clip(np.floor(corners + _ROUNDED), 0, (width - 1, height - 1)).astype(np.int32)
    canvas = np.zeros((height, width), np.uint8)
    cv2.fillPoly(canvas, [pixels], 1)
    plane: BoolArray = canvas.astype(np.bool_)
    return plane


def _objects(file: Path) -> Iterator[tuple[int, list[float]]]:
    """Yield class and numbers of each line of a label file.

    Raises:
        DatasetError: It cannot be read, or has other content.
    """
    try:
        expect_size(file, _MOST_BYTES)
        lines = file.read_text("utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise unreadable(file, error) from error
    for row, line in enumerate(lines, 1):
        if len(line) > _MOST_CHARACTERS:
            raise DatasetError(f"line {row} has {len(line)} characters, more than any outline", path=file)
        if line.strip():
            yield _object(file, row, line.split())


def _object(file: Path, row: int, parts: list[str]) -> tuple[int, list[float]]:
    try:
        if len(parts) > 2 * MOST_CORNERS:
            raise ValueError("too many corners")
        number, values = float(parts[0]), [float(part) for part in parts[1:]]
    except ValueError:
        number, values = math.nan, []
    within = all(-_EDGE <= value <= 1 + _EDGE for value in values)
    if len(values) < 4 or not within or not 0 <= number < _MOST_CLASSES or number != int(number):
        raise DatasetError(
            f"line {row} is not a class and coordinates from 0 to 1 ({' '.join(parts[:6])[:40]!r})",
            path=file,
            remedy="Save labels of segmentation, without track ids.",
        )
    return int(number), values


def _names(path: Path) -> dict[int, str]:
    """Return the names of classes by number: of a data.yaml, or of a table such as {"bolus": 0}."""
    try:
        expect_size(path, _MOST_NAME_BYTES)
        text = path.read_text("utf-8-sig")
        is_list = path.suffix.lower() in (_SUFFIX, ".names")
        data: Any = {"names": text.split("\n")} if is_list else yaml.load(text, Loader=_Plain)
        names = data.get("names", data)
        if isinstance(names, list):
            names = {number: name for number, name in enumerate(names) if str(name).strip()}
        if all(isinstance(value, int) for value in names.values()):
            names = {number: name for name, number in names.items()}
        found = {int(number): shown(str(name).strip()) for number, name in names.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, yaml.YAMLError) as error:
        raise DatasetError(
            f"names no classes ({type(error).__name__})",
            path=path,
            remedy="Write for example names: {0: bolus, 1: pharynx}.",
        ) from error
    if not found or len(found) > _MOST_CLASSES or len(set(found.values())) < len(found) or min(found) < 0:
        raise DatasetError(f"has {len(found)} classes, of which some share a name, or too many", path=path)
    return found


class _Plain(yaml.SafeLoader):
    """YAML without aliases, which can unfold a small file to any size."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuse aliases."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not read")
        return super().compose_node(parent, index)


class _Pictures:
    """Finds the sizes of pictures beside label files."""

    def __init__(self) -> None:
        self._by_folder: dict[Path, dict[str, Path]] = {}

    def size(self, label: Path) -> tuple[int, int]:
        """Return rows and columns of the picture of a label file; zeros if there is none."""
        for folder in _picture_folders(label.parent):
            if folder not in self._by_folder:
                files = files_in(folder, *_PICTURES) if folder.is_dir() else []
                self._by_folder[folder] = {file.stem: file for file in files}
            picture = self._by_folder[folder].get(label.stem)
            if picture is not None:
                return _size(picture)
        return 0, 0


def _size(picture: Path) -> tuple[int, int]:
    try:
        with Image.open(picture, formats=("PNG", "JPEG", "BMP", "TIFF", "WEBP")) as opened:
            size = opened.height, opened.width
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return 0, 0
    return size if is_picture_size(*size) else (0, 0)


def _picture_folders(folder: Path) -> list[Path]:
    """Return where the pictures of a folder of labels may be: labels/train and images/train, and beside them."""
    folders = [folder]
    for depth, part in enumerate(reversed(folder.parts[-2:]), 1):
        if part.casefold() == _LABELS:
            base, below = folder.parents[depth - 1], folder.parts[len(folder.parts) - depth + 1 :]
            folders += [base.joinpath("images", *below), base]
    return folders


def _label_files(path: Path) -> Iterator[Path]:
    """Yield the label files of a dataset, a folder of labels, or a file itself."""
    if path.is_file():
        if path.suffix.lower() == _SUFFIX and _is_labels(path):
            yield path
        return
    for folder in _folders(path):
        files = [file for file in files_in(folder, _SUFFIX) if file.name.casefold() not in _NO_LABELS]
        if files and all(map(_is_labels, files[:5])):
            yield from files


def _folders(path: Path) -> Iterator[Path]:
    """Yield the folders that may hold labels: labels/train as well as train/labels, and those named by a person."""
    yield path
    below = _subfolders(path)
    yield from below
    for folder in below:
        yield from (
            inner for inner in _subfolders(folder) if _LABELS in (folder.name.casefold(), inner.name.casefold())
        )


def _subfolders(folder: Path) -> list[Path]:
    return [entry for entry in entries_of(folder) if entry.is_dir() and not entry.is_symlink()]


def _is_labels(file: Path) -> bool:
    """Return whether the first line of a file is that of a label file; an empty file has no objects."""
    try:
        with file.open("rb") as opened:
            head = opened.read(200).decode("utf-8-sig", "replace").strip()
        first = head.split("\n")[0].split()[:4]
        return not first or (len(first) == 4 and first[0].isdigit() and all(map(_is_number, first[1:])))
    except OSError:
        return False


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _yaml_of(path: Path) -> Path | None:
    """Return data.yaml in or above the folder of labels."""
    folder = path if path.is_dir() else path.parent
    candidates = [above / name for above in (folder, *list(folder.parents)[:2]) for name in _NAMES]
    return next((file for file in candidates if file.is_file()), None)


def _fits(path: Path) -> bool:
    return any(file.stat().st_size for file in _label_files(path))


def _open(path: Path, options: SourceOptions) -> ForeignMasks:
    return YoloMasks(path, options.table)


YOLO = SourceKind("yolo", "YOLO-seg labels", _fits, _open)
