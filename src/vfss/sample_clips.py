# SPDX-License-Identifier: Apache-2.0
"""Sample clips: phantom swallows, rendered on this computer on first use."""

from __future__ import annotations

from pathlib import Path

import platformdirs

from vfss.phantom_fingerprint import phantom_source

SAMPLES = {"normal": "Phantom swallow (normal)", "aspiration": "Phantom swallow (aspiration)"}
_SEEDS = {"normal": 26, "aspiration": 22}
_FRAMES, _SIZE = 60, 512


def sample_path(key: str) -> Path:
    """Return the file of a sample clip in the user's cache; it is rendered if this version's is missing.

    Files of other versions of the phantom stay: the project beside them may hold annotations of them.
    """
    path = _folder() / f"phantom_{key}_{phantom_source()[:12]}.mp4"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(key, path)
    return path


def sample_files() -> list[Path]:
    """Return the sample clips that were rendered so far, of any version of the phantom."""
    return sorted(path for path in _folder().glob("phantom_*.mp4") if is_sample(path))


def is_sample(path: Path) -> bool:
    """Return whether a file is a sample clip, of this or another version of the phantom: it shows no patient."""
    names = tuple(f"phantom_{key}" for key in SAMPLES)
    return path.absolute().parent == _folder().absolute() and path.name.startswith(names)


def _folder() -> Path:
    return platformdirs.user_cache_path("napari-vfss") / "samples"


def _write(key: str, path: Path) -> None:
    from vfss.phantom import Phantom
    from vfss.phantom.write import write_video

    write_video(Phantom(_SEEDS[key], n_frames=_FRAMES, height=_SIZE, width=_SIZE, variant=key, style="clinic"), path)
