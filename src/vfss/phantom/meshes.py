# SPDX-License-Identifier: Apache-2.0
"""Triangle meshes of a real neck, which a user converts and names by the environment variable VFSS_MESHES.

They ship with nothing: training/README.md names their source and licence, and how to convert them.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vfss.errors import VfssError

VARIABLE = "VFSS_MESHES"
NEEDED = ("C1", "C2", "C3", "C4", "C5", "C6", "C7")
_MOST_BYTES = 200_000_000  # uncompressed, of one array
_REMEDY = "Convert the meshes as training/README.md says (Meshes of a real neck), and name the file in VFSS_MESHES."


@dataclass(frozen=True)
class Mesh:
    """A surface of triangles.

    Attributes:
        vertices: Millimetres, float64 (V, 3): lateral, to the back, up.
        faces: Indices of the corners of each triangle, int64 (F, 3), in the same sense seen from outside.
    """

    vertices: npt.NDArray[np.float64]
    faces: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Meshes:
    """All meshes of a file, in one frame; compared by identity.

    Attributes:
        parts: By name; those in NEEDED are there.
        digest: Hash of the file, of which frames drawn from it depend.
    """

    parts: Mapping[str, Mesh]
    digest: str


def meshes_file() -> Path:
    """Return the file that VFSS_MESHES names.

    Raises:
        VfssError: The variable is not set.
    """
    named = os.environ.get(VARIABLE)
    if not named:
        raise VfssError("this style needs meshes of a real neck, which are not part of the program", remedy=_REMEDY)
    return Path(named)


def load_meshes(path: Path | None = None) -> Meshes:
    """Return the meshes of a file; it is read again where it has changed.

    Args:
        path: An .npz with arrays NAME_v, millimetres, float (V, 3), and NAME_f, integers (F, 3); None: meshes_file().

    Raises:
        VfssError: It is missing, damaged, or lacks a part.
    """
    path = meshes_file() if path is None else path
    try:
        stat = path.stat()
    except OSError as error:
        raise VfssError(f"meshes cannot be read ({error})", path=path, remedy=_REMEDY) from error
    return _loaded(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=2)
def _loaded(path: Path, _size: int, _changed_ns: int) -> Meshes:
    try:
        _check_claims(path)
        digest = hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
        with np.load(path, allow_pickle=False) as arrays:
            names = [name[:-2] for name in arrays.files if name.endswith("_v")]
            parts = {name: _mesh(arrays[f"{name}_v"], arrays[f"{name}_f"]) for name in names}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise VfssError(f"meshes cannot be read ({error})", path=path, remedy=_REMEDY) from error
    if missing := [name for name in NEEDED if name not in parts]:
        raise VfssError(f"meshes lack {', '.join(missing)}", path=path, remedy=_REMEDY)
    return Meshes(parts, digest)


def _check_claims(path: Path) -> None:
    """Refuse a file whose arrays claim more than any such mesh has, before anything is allocated."""
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if member.file_size > _MOST_BYTES:
                raise ValueError(f"{member.filename} has {member.file_size} bytes, at most {_MOST_BYTES} are read")


def _mesh(vertices: npt.NDArray[np.generic], faces: npt.NDArray[np.generic]) -> Mesh:
    places, corners = np.asarray(vertices, np.float64), np.asarray(faces)
    if places.ndim != 2 or places.shape[1] != 3 or not np.isfinite(places).all():
        raise ValueError(f"vertices of shape {places.shape} are not finite numbers (V, 3)")
    if corners.ndim != 2 or corners.shape[1] != 3 or not np.issubdtype(corners.dtype, np.integer):
        raise ValueError(f"faces of shape {corners.shape} and type {corners.dtype} are not integers (F, 3)")
    if not len(corners) or corners.min() < 0 or corners.max() >= len(places):
        raise ValueError(f"faces do not name vertices 0 to {len(places) - 1}")
    return Mesh(places, corners.astype(np.int64))
