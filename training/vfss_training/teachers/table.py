# SPDX-License-Identifier: Apache-2.0
"""The table of teachers: what each is, what it sees, and where its weights come from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from platformdirs import user_cache_path

from vfss.errors import TrainingError


@dataclass(frozen=True)
class TeacherEntry:
    """One teacher.

    Attributes:
        name: What recipes call it.
        network: In words.
        input_size: Side of its square input, px; frames are scaled to it by their longer side, then padded.
        pixels: How grey values become input: each frame's own range to 0..1, or SAM's mean and deviation of colours.
        channels: Of its features.
        grid: Cells of its features along a side.
        stem: Kernel of its two first convolutions; 1: they keep the size, 3: each halves it.
        file: Name its weights are published under.
        bytes: Size of that file.
        sha256: Its hash.
        source: Where it is published.
        licence: Of the weights.
    """

    name: str
    network: str
    input_size: int
    pixels: Literal["range", "sam"]
    channels: int
    grid: int
    stem: Literal[1, 3]
    file: str
    bytes: int
    sha256: str
    source: str
    licence: str


TEACHERS: dict[str, TeacherEntry] = {
    "mobile-sam": TeacherEntry(
        name="mobile-sam",
        network="TinyViT-5M, distilled from SAM ViT-H (Zhang et al., arXiv 2306.14289)",
        input_size=1024,
        pixels="sam",
        channels=256,
        grid=64,
        stem=3,
        file="mobile_sam.pt",
        bytes=40_728_226,
        sha256="6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f",
        source="https://github.com/ChaoningZhang/MobileSAM (weights/mobile_sam.pt)",
        licence="Apache-2.0",
    ),
    "lite-medsam": TeacherEntry(
        name="lite-medsam",
        network="TinyViT-5M with a stem of 1x1 kernels, distilled from MedSAM (Ma et al., CVPR 2024 MedSAM on Laptop)",
        input_size=256,
        pixels="range",
        channels=256,
        grid=64,
        stem=1,
        file="lite_medsam.pth",
        bytes=39_370_479,
        sha256="79d8c9dca6db4d69d3f905579e5250af05e859fff9c1f543e89a513c3028ce76",
        source="https://github.com/bowang-lab/MedSAM/tree/LiteMedSAM (lite_medsam.pth)",
        licence="Apache-2.0",
    ),
}


def teacher_named(name: str) -> TeacherEntry:
    """The teacher of that name.

    Raises:
        TrainingError: There is none.
    """
    if name not in TEACHERS:
        raise TrainingError(f"no teacher {name!r}", remedy=f"Choose one of: {', '.join(TEACHERS)}.")
    return TEACHERS[name]


def default_folder() -> Path:
    """Where weights of teachers are looked for when nothing else is said."""
    return user_cache_path("napari-vfss") / "teachers"


def verified_file(entry: TeacherEntry, place: Path | None = None) -> Path:
    """The teacher's weights on this machine, of the right hash.

    Args:
        entry: The teacher.
        place: The file, or the folder with it; None: default_folder().

    Raises:
        TrainingError: It is missing or another file: with its name, source and licence.
    """
    folder = default_folder() if place is None else place
    path = folder / entry.file if folder.is_dir() or place is None else folder
    if not path.is_file():
        raise TrainingError(
            f"the weights of teacher {entry.name!r} are missing: {entry.file}, {entry.bytes:,} bytes, "
            f"sha256 {entry.sha256}",
            path=path,
            remedy=f"Get them from {entry.source} (licence: {entry.licence}) and put them there.",
        )
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != entry.sha256:
        raise TrainingError(
            f"not the weights of teacher {entry.name!r}: sha256 is {found}, not {entry.sha256}",
            path=path,
            remedy=f"Get {entry.file} from {entry.source} again.",
        )
    return path
