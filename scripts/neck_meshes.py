# SPDX-License-Identifier: Apache-2.0
"""Converts meshes of ArtiSynth Models to the file that VFSS_MESHES names (training/README.md, Meshes of a real neck).

python scripts/neck_meshes.py artisynth_models/src/artisynth/models/dynjaw/geometry neck_meshes.npz
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

FILES = {f"C{level}": f"vertebrae/c{level}.obj" for level in range(1, 8)} | {"jaw": "jaw_smooth.obj"}
"""Name in the file of each mesh, and where it is below the folder `geometry` of the model dynjaw."""


def read_obj(path: Path) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
    """Return vertices, float32 (V, 3), and triangles, int32 (F, 3), of a Wavefront OBJ file; polygons become fans."""
    vertices, faces = [], []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        kind, *values = line.split() or [""]
        if kind == "v":
            vertices.append([float(value) for value in values[:3]])
        elif kind == "f":
            corners = [int(value.split("/")[0]) for value in values]
            first, *others = [corner - 1 if corner > 0 else len(vertices) + corner for corner in corners]
            faces += [[first, b, c] for b, c in pairwise(others)]
    return np.array(vertices, np.float32), np.array(faces, np.int32)


def main() -> None:
    """Convert the files of a folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="Folder `geometry` of the model dynjaw.")
    parser.add_argument("out", type=Path, help="File to write, .npz.")
    arguments = parser.parse_args()
    arrays = {}
    for name, file in FILES.items():
        vertices, faces = read_obj(arguments.folder / file)
        arrays |= {f"{name}_v": vertices, f"{name}_f": faces}
        print(f"{name}: {len(vertices)} vertices, {len(faces)} triangles")
    np.savez_compressed(arguments.out, **arrays)


if __name__ == "__main__":
    main()
