# SPDX-License-Identifier: Apache-2.0
"""Sample clips: phantom swallows, made on this computer when first asked for."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import platformdirs

SAMPLES = {"normal": "Phantom swallow (normal)", "aspiration": "Phantom swallow (aspiration)"}
_SEEDS = {"normal": 21, "aspiration": 34}
_FRAMES, _SIZE, _FPS = 60, 512, 30

LayerData = tuple[Any, dict[str, Any], str]


def sample_path(key: str) -> Path:
    """File of a sample clip in the user's cache; it is drawn and written where it is missing."""
    path = platformdirs.user_cache_path("napari-vfss") / "samples" / f"phantom_{key}.mp4"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(key, path)
    return path


def normal() -> list[LayerData]:
    """A swallow without a finding."""
    return _layers("normal")


def aspiration() -> list[LayerData]:
    """A swallow with bolus in the airway."""
    return _layers("aspiration")


def _layers(key: str) -> list[LayerData]:
    from napari_vfss.reader import clip_layers

    return clip_layers(sample_path(key))


def _write(key: str, path: Path) -> None:
    import av

    from vfss.phantom import Phantom

    phantom = Phantom(_SEEDS[key], n_frames=_FRAMES, height=_SIZE, width=_SIZE, fps=_FPS, variant=key)
    unfinished = path.with_suffix(".part.mp4")
    with av.open(str(unfinished), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(_FPS), options={"crf": "14", "preset": "veryfast"})
        stream.width = stream.height = _SIZE
        stream.pix_fmt = "yuv420p"
        for t in range(_FRAMES):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(phantom.frame(t), format="gray")))
        container.mux(stream.encode())
    unfinished.replace(path)
