# SPDX-License-Identifier: Apache-2.0
"""What a file's name tells of recording and frame, whatever programs have added to it on the way.

A name may come as a path of any system, as an address, percent-encoded, in either Unicode form, with another suffix,
with the additions of nnU-Net (_0000), Roboflow (_png.rf.HASH) or a browser ((1)).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

_SUFFIXES = (
    *(".nii.gz", ".ome.tif", ".ome.tiff", ".nii", ".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp", ".webp"),
    *(".gif", ".npy", ".npz", ".txt"),
)
_EXPORTED = re.compile(
    r"(?<![0-9a-z])(?P<recording>b2-[0-9a-f]{40}|clip-[2-9bcdfghjkmnpqrstvwxz]{8})(?![0-9a-z])"
    r"(?:_(?P<frame>[0-9]{6,9})(?![0-9])(?P<rest>.*))?",
    re.IGNORECASE | re.DOTALL,
)
_KIND = r"png|jpe?g|bmp|tiff?|webp"
_ADDED = re.compile(
    rf"(_[0-9]{{4}})?([-_. ]({_KIND}))?([-_. ]?(masks?|labels?|seg|segmentation|preds?|prediction|gt))?"
    r"( ?\([0-9]{1,3}\))?",
    re.IGNORECASE,
)
_ROBOFLOW = re.compile(rf"_({_KIND})\.rf\.[0-9a-z]{{8,64}}\Z", re.IGNORECASE)
_UPLOADED = re.compile(r"[0-9a-f]{8}-")
_NUMBER = re.compile(r"[0-9]{1,18}(?![0-9])", re.ASCII)
_CHANNEL = re.compile(r"[0-9]_0000\Z")
_ESCAPED = re.compile(r"%[0-9a-f]{2}", re.IGNORECASE)
_HALF = re.compile("[\ud800-\udfff]")  # bytes that are not UTF-8, or half a character of JSON
_SEPARATORS = " _-.,#()[]"
_GENERAL_FOLDERS = frozenset(
    (
        *("images", "image", "img", "imgs", "frames", "labels", "label", "masks", "mask", "annotations", "data"),
        *("dataset", "default", "obj_train_data", "train", "training", "val", "valid", "validation", "test", "testing"),
        *("imagestr", "imagests", "labelstr", "labelsts", "jpegimages", "segmentationclass", "predict"),
    )
)
"""Folders that programs sort files into, by kind or by split: they are no part of a recording's name."""


@dataclass(frozen=True)
class FrameName:
    """What a file's name tells.

    Attributes:
        recording: Content id of a clip, or name of a recording in an export, in lower case; "" for other names.
        frame: Zero-based frame of an exported recording; None if the name has none.
        addition: What follows the frame of an exported recording and is not known to leave the picture as it was.
        series: What the names of all files of one recording have in common: folders, and what precedes the number.
        number: The last number; None if there is none.
        stem: The name without folder, suffix and what programs added.
    """

    recording: str
    frame: int | None
    addition: str
    series: str
    number: int | None
    stem: str


def read_names(names: Sequence[str]) -> list[FrameName]:
    """Read the names of all files of a source; what all of them were given by a program is no part of a name."""
    plain = [_plain(name) for name in names]
    stems = _without_common_additions([stem for _, stem in plain])
    return [_read(folder, stem) for (folder, _), stem in zip(plain, stems, strict=True)]


def stem(name: str) -> str:
    """Return the name of a file without folder and suffix; "case.nii.gz" is "case"."""
    return _plain(name)[1]


def shown(name: str) -> str:
    """Return a name as text that can be printed and stored: what is not UTF-8 becomes the sign for it."""
    return _HALF.sub("\ufffd", name)


def natural(name: str) -> list[tuple[int, int, str]]:
    """Return the key for natural sorting: 2 before 10."""
    parts = re.split(r"([0-9]{1,18})", name.casefold())
    return [(0, int(part), "") if i % 2 else (1, 0, part) for i, part in enumerate(parts)]


def _plain(name: str) -> tuple[str, str]:
    """Return folder and stem of a name in any of its forms."""
    name = unicodedata.normalize("NFC", _path(name)).strip().replace("\\", "/")
    folder, _, last = name.rpartition("/")
    for suffix in _SUFFIXES:
        if last.lower().endswith(suffix):
            return folder, _ROBOFLOW.sub("", last[: -len(suffix)])
    return folder, _ROBOFLOW.sub("", last if last.rfind(".") <= 0 else last[: last.rfind(".")])


def _path(name: str) -> str:
    """Return the path in a name that may be an address: "https://host/a%20b.png?x=1" is "/a b.png"."""
    if "://" in name or name.startswith("/data/local-files/"):
        try:
            parts = urlsplit(name)
        except ValueError:  # e.g. an unclosed bracket
            return name
        # Label Studio names files of a disk as /data/local-files/?d=folder/name.png
        name = parts.query.removeprefix("d=") if parts.query.startswith("d=") else parts.path
    return unquote(name) if _ESCAPED.search(name) else name


def _without_common_additions(stems: list[str]) -> list[str]:
    """Remove what a program added to all names: a channel at the end (nnU-Net), an id in front (Label Studio)."""
    if len(stems) > 1 and all(_CHANNEL.search(stem) for stem in stems):
        stems = [stem[:-5] for stem in stems]
    ids = [_UPLOADED.match(stem) for stem in stems]
    # Eight digits may be a date, eight characters of 0 to f in every name are not.
    if stems and all(ids) and 2 * sum(not match[0][:-1].isdigit() for match in ids if match) > len(ids):
        stems = [stem[len("01234567-") :] for stem in stems]
    return stems


def _read(folder: str, stem: str) -> FrameName:
    exported, after = _EXPORTED.search(stem), stem
    if exported is not None:
        after = stem[exported.end("recording") :]
    else:
        exported = _EXPORTED.fullmatch(folder.rpartition("/")[2])
    if exported is not None:
        recording, frame, rest = exported["recording"].lower(), exported["frame"], exported["rest"] or ""
        if frame is None:
            return FrameName(recording, None, "", recording, _last_number(after)[0], stem)
        addition = "" if _ADDED.fullmatch(rest) else rest
        return FrameName(recording, int(frame), addition, recording, int(frame), stem)
    number, start = _last_number(stem)
    folders = [part for part in folder.split("/") if part not in ("", ".") and part.casefold() not in _GENERAL_FOLDERS]
    return FrameName("", None, "", "/".join([*folders, stem[:start].rstrip(_SEPARATORS)]), number, stem)


def _last_number(text: str) -> tuple[int | None, int]:
    """Return the last number in a text and where it begins."""
    numbers = list(_NUMBER.finditer(text))
    return (int(numbers[-1][0]), numbers[-1].start()) if numbers else (None, 0)
