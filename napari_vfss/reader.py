# SPDX-License-Identifier: Apache-2.0
"""napari reader for recordings: files and folders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from napari_vfss.viewer.clip_array import ClipFrames, clip_layer_settings
from vfss.clips import can_open, open_clip

LayerData = tuple[Any, dict[str, Any], str]
PathOrPaths = str | Path | Sequence[str | Path]


def get_reader(path: PathOrPaths) -> Callable[[PathOrPaths], list[LayerData]] | None:
    """Return a reader for a recording, None for everything else; never raises."""
    return read if _single(path) is not None else None


def read(path: PathOrPaths) -> list[LayerData]:
    """Return one lazy Image layer of a recording.

    Raises:
        ClipError: The recording cannot be opened.
    """
    single = _single(path)
    return [] if single is None else clip_layers(single)


def clip_layers(path: Path) -> list[LayerData]:
    """Return the layer data of a recording, whose frames are read when shown; the panel opens a session on it."""
    clip = open_clip(path)
    frames = ClipFrames(clip)
    return [(frames, clip_layer_settings(frames, name=path.stem, inverted=clip.inverted, window=clip.window), "image")]


def _single(path: PathOrPaths) -> Path | None:
    if isinstance(path, (str, Path)):
        candidate = Path(path)
    elif len(path) == 1:
        candidate = Path(path[0])
    else:
        return None
    return candidate if can_open(candidate) else None
