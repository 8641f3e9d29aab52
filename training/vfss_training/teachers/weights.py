# SPDX-License-Identifier: Apache-2.0
"""Weights of teachers on this machine: their place, their hash, and loading them without executing anything."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platformdirs import user_cache_path

from vfss.errors import TrainingError
from vfss_training.saved_tensors import DAMAGED, load_tensors
from vfss_training.teachers.table import TeacherEntry

if TYPE_CHECKING:
    from torch import Tensor


_LEAST_BYTES = 1 << 16
MOST_BYTES = 4 << 30
"""Sizes that the weights of a teacher can have."""


def default_folder() -> Path:
    """Return the default folder of the teachers' weights: VFSS_TEACHERS, else in the user's cache."""
    named = os.environ.get("VFSS_TEACHERS")
    return Path(named) if named else user_cache_path("napari-vfss") / "teachers"


def weights_path(entry: TeacherEntry, place: Path | None = None) -> Path:
    """Return the path of a teacher's weights, whether they are there or not.

    Args:
        entry: The teacher.
        place: The file, or its folder; None: default_folder().
    """
    folder = default_folder() if place is None else place
    return folder / entry.file if folder.is_dir() or place is None else folder


def verified_file(entry: TeacherEntry, place: Path | None = None) -> Path:
    """Return the path of a teacher's weights after checking their hash.

    Args:
        entry: The teacher.
        place: The file, or its folder; None: default_folder().

    Raises:
        TrainingError: The file is missing or a different one; the message gives its name, source and licence.
    """
    path = weights_path(entry, place)
    again = f"'vfss-train download {entry.name}'"
    if not path.is_file():
        raise TrainingError(
            f"the weights of teacher {entry.name!r} are missing: {entry.file}, {entry.size}, {entry.hash}",
            path=path,
            remedy=f"Get them with {again}, or from {entry.source}, and save them under "
            f"that path (licence: {entry.licence}).",
        )
    problem = mismatch(entry, path)
    if problem:
        raise TrainingError(
            f"these are not the weights of teacher {entry.name!r}: {problem}",
            path=path,
            remedy=f"Move it away or delete it{_and_its_note(path)}, and get {entry.file} again: {again}, or "
            f"{entry.source}.",
        )
    problem = implausible(entry, path)
    if problem:
        raise TrainingError(
            f"these are hardly the weights of teacher {entry.name!r}: {problem}",
            path=path,
            remedy=f"Move it away or delete it, and get {entry.file} again: {again}, or {entry.source}.",
        )
    # A file without a published hash is recognised from its first use on; if the note cannot be written, at the next.
    with suppress(OSError):
        note(entry, path)
    return path


def mismatch(entry: TeacherEntry, path: Path, noted_beside: Path | None = None) -> str:
    """Describe how a file differs from the teacher's weights; return "" if it does not, as far as their hash is known.

    Args:
        entry: The teacher.
        path: The file.
        noted_beside: File whose note is used instead of the one of `path`.
    """
    kind, expected = ("md5", entry.md5) if entry.md5 and not entry.sha256 else ("sha256", entry.sha256)
    since = ""
    if not expected:
        expected, since = noted(noted_beside or path), " as noted at its first use"
    if not expected:
        return ""
    actual = digest(path, kind)
    return f"{kind} is {actual}, not {expected}{since}" if actual != expected else ""


def implausible(entry: TeacherEntry, path: Path) -> str:
    """Describe why a file without a known hash cannot be a teacher's weights; return "" if it can, or has a hash.

    Args:
        entry: The teacher.
        path: The file.
    """
    if entry.sha256 or entry.md5 or noted(path):
        return ""
    size = path.stat().st_size
    if not _LEAST_BYTES <= size <= MOST_BYTES:
        return f"it has {size:,} bytes, not {_LEAST_BYTES:,} to {MOST_BYTES:,}"
    try:
        tensors = read_weights(entry, path, shapes_only=True)
    except TrainingError as error:
        return error.what
    missing = [name for name in entry.signs if name not in tensors]
    if missing or not tensors:
        return f"it has no tensor {missing[0]!r}" if missing else "it holds no tensors"
    return ""


def _and_its_note(path: Path) -> str:
    return f" and {note_path(path).name}" if note_path(path).exists() else ""


def digest(path: Path, kind: str) -> str:
    """Return the hash of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def note_path(path: Path) -> Path:
    """Return the path of the note that records the hash of a file at its first use."""
    return path.with_name(f"{path.name}.json")


def noted(path: Path) -> str:
    """Return the sha256 that was noted for a file; "" if none was."""
    try:
        data = json.loads(note_path(path).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return ""
    value = data.get("sha256", "") if isinstance(data, dict) else ""
    return value if isinstance(value, str) else ""


def note(entry: TeacherEntry, path: Path) -> None:
    """Note a file's sha256 in a file next to it, if none is published and none was noted."""
    if not (entry.sha256 or entry.md5 or noted(path)):
        text = json.dumps({"sha256": digest(path, "sha256"), "bytes": path.stat().st_size, "url": entry.url}, indent=1)
        note_path(path).write_text(text + "\n", "utf-8")


def read_weights(entry: TeacherEntry, path: Path, *, shapes_only: bool = False) -> Mapping[str, Tensor]:
    """Load the tensors of a teacher's file under their published names; nothing in the file is executed.

    Args:
        entry: The teacher.
        path: The file.
        shapes_only: Whether the tensors need no values.

    Raises:
        TrainingError: The file holds anything but tensors, or is damaged.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    remedy = f"Get {entry.file} again: 'vfss-train download {entry.name}', or {entry.source}."
    weights: Any
    if path.suffix == ".safetensors":
        try:
            weights = load_file(path)
        except (SafetensorError, OSError, *DAMAGED) as error:
            raise TrainingError(f"not readable as weights ({error})", path=path, remedy=remedy) from error
    else:
        weights = load_tensors(path, remedy=remedy, shapes_only=shapes_only)
    if entry.inside and isinstance(weights, Mapping):
        weights = weights.get(entry.inside)
    if not isinstance(weights, Mapping) or not all(isinstance(tensor, torch.Tensor) for tensor in weights.values()):
        where = f" under {entry.inside!r}" if entry.inside else ""
        raise TrainingError(f"the file holds no table of tensors{where}", path=path, remedy=remedy)
    return weights
