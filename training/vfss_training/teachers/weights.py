# SPDX-License-Identifier: Apache-2.0
"""Weights of teachers on this machine: found, known by their hash, and read without executing anything in them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import user_cache_path

from vfss.errors import TrainingError
from vfss_training.teachers.table import TeacherEntry

if TYPE_CHECKING:
    from torch import Tensor


def default_folder() -> Path:
    """Where weights of teachers are looked for when nothing else is said: VFSS_TEACHERS, else the user's cache."""
    named = os.environ.get("VFSS_TEACHERS")
    return Path(named) if named else user_cache_path("napari-vfss") / "teachers"


def weights_path(entry: TeacherEntry, place: Path | None = None) -> Path:
    """Where the teacher's weights are, or would be.

    Args:
        entry: The teacher.
        place: The file, or the folder with it; None: default_folder().
    """
    folder = default_folder() if place is None else place
    return folder / entry.file if folder.is_dir() or place is None else folder


def verified_file(entry: TeacherEntry, place: Path | None = None) -> Path:
    """The teacher's weights on this machine, of the right hash.

    Args:
        entry: The teacher.
        place: The file, or the folder with it; None: default_folder().

    Raises:
        TrainingError: It is missing or another file: with its name, source and licence.
    """
    path = weights_path(entry, place)
    if not path.is_file():
        raise TrainingError(
            f"the weights of teacher {entry.name!r} are missing: {entry.file}, {entry.size}, {entry.hash}",
            path=path,
            remedy=f"Get them with 'vfss-train download {entry.name}', or from {entry.source}, and put them there "
            f"under that name (licence: {entry.licence}).",
        )
    problem = misfit(entry, path)
    if problem:
        raise TrainingError(
            f"not the weights of teacher {entry.name!r}: {problem}",
            path=path,
            remedy=f"Move it away and get {entry.file} again: 'vfss-train download {entry.name}', or {entry.source}.",
        )
    # A file that a person put there is known from its first use on; where that cannot be kept, the next use is a first.
    with suppress(OSError):
        note(entry, path)
    return path


def misfit(entry: TeacherEntry, path: Path, noted_beside: Path | None = None) -> str:
    """How a file differs from the teacher's weights; empty where it does not, as far as their hash is known.

    Args:
        entry: The teacher.
        path: The file.
        noted_beside: File whose note counts, where that is another one.
    """
    kind, expected = ("md5", entry.md5) if entry.md5 and not entry.sha256 else ("sha256", entry.sha256)
    since = ""
    if not expected:
        expected, since = noted(noted_beside or path), " that was noted at first"
    if not expected:
        return ""
    found = digest(path, kind)
    return f"{kind} is {found}, not {expected}{since}" if found != expected else ""


def digest(path: Path, kind: str) -> str:
    """Hash of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def note_path(path: Path) -> Path:
    """Where it stands what a file without a published hash was at first."""
    return path.with_name(f"{path.name}.json")


def noted(path: Path) -> str:
    """The sha256 that was noted for a file; empty where none was."""
    try:
        found = json.loads(note_path(path).read_text("utf-8"))
    except (OSError, ValueError):
        return ""
    value = found.get("sha256", "") if isinstance(found, dict) else ""
    return value if isinstance(value, str) else ""


def note(entry: TeacherEntry, path: Path) -> None:
    """Note a file's sha256 beside it, where none is published and none was noted."""
    if not (entry.sha256 or entry.md5 or noted(path)):
        text = json.dumps({"sha256": digest(path, "sha256"), "bytes": path.stat().st_size, "url": entry.url}, indent=1)
        note_path(path).write_text(text + "\n", "utf-8")


def read_weights(entry: TeacherEntry, path: Path) -> Mapping[str, Tensor]:
    """Tensors of a teacher's file under the names they are published with; nothing in the file is executed.

    Raises:
        TrainingError: It holds anything but tensors, or is damaged.
    """
    import pickle

    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    remedy = f"Get {entry.file} again: 'vfss-train download {entry.name}', or {entry.source}."
    try:
        if path.suffix == ".safetensors":
            found = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise TrainingError(
            "it holds something else than tensors, which would be executed, and was not read", path=path, remedy=remedy
        ) from error
    except (SafetensorError, OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise TrainingError(f"not readable as weights ({error})", path=path, remedy=remedy) from error
    if entry.inside and isinstance(found, Mapping):
        found = found.get(entry.inside)
    if not isinstance(found, Mapping) or not all(isinstance(tensor, torch.Tensor) for tensor in found.values()):
        where = f" under {entry.inside!r}" if entry.inside else ""
        raise TrainingError(f"it holds no table of tensors{where}", path=path, remedy=remedy)
    return found
