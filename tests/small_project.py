# SPDX-License-Identifier: Apache-2.0
"""Small recordings and projects on disk for tests."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import tifffile

from vfss.masks import MaskState
from vfss.project import Edit, Project
from vfss.schema import Schema

THREE = Schema.from_dict(
    {
        "id": "three",
        "version": "2.1.0",
        "title": "Three structures",
        "structures": [
            {"key": "bolus", "name": "Bolus", "colour": "#FF8C1A", "nests_in": "pharynx"},
            {"key": "pharynx", "name": "Pharynx", "colour": "#35C4F0"},
            {
                "key": "mandible",
                "name": "Mandible",
                "colour": "#F2E24B",
                "code": {"scheme": "SCT", "value": "91609006", "meaning": "Mandible"},
            },
        ],
    }
)


def grey_frames(n: int, height: int, width: int, *, seed: int = 0, bits: int = 8) -> np.ndarray:
    """Noise, uint8 or uint16 (n, height, width): lossy storage would be seen at once."""
    dtype = np.uint8 if bits == 8 else np.uint16
    return np.random.default_rng(seed).integers(0, 1 << bits, (n, height, width), dtype=dtype)


def write_video(path: Path, frames: np.ndarray) -> Path:
    """Lossless video of uint8 frames (T, H, W)."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=30)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:], "gray"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="gray")))
        container.mux(stream.encode())
    return path


def write_stack(path: Path, frames: np.ndarray) -> Path:
    """TIFF stack of frames (T, H, W)."""
    tifffile.imwrite(path, frames, photometric="minisblack")
    return path


def disc(height: int, width: int, *, y: float, x: float, radius: float) -> np.ndarray:
    """Filled disc, bool (height, width)."""
    rows, columns = np.mgrid[:height, :width]
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


def annotate(project: Project, clip_id: str, frame: int, said: dict, *, author: str = "reader one", **kwargs) -> None:
    """Write {structure: mask} (accepted) or {structure: state} or {structure: (mask, state)} for one frame."""
    edits = []
    for key, what in said.items():
        mask, state = what if isinstance(what, tuple) else (what, MaskState.ACCEPTED)
        if isinstance(mask, MaskState):
            mask, state = None, mask
        edits.append(Edit(clip_id, frame, key, mask, state))
    project.write(edits, author=author, origin=kwargs.pop("origin", "hand"), **kwargs)
