# SPDX-License-Identifier: Apache-2.0
"""Small recordings and projects on disk for tests."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import tifffile

from vfss.deidentify import CaseKey, Redaction
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
    """Return noise, uint8 or uint16 (n, height, width), which lossy storage would change."""
    dtype = np.uint8 if bits == 8 else np.uint16
    return np.random.default_rng(seed).integers(0, 1 << bits, (n, height, width), dtype=dtype)


def write_video(path: Path, frames: np.ndarray, *, aspect: Fraction | None = None) -> Path:
    """Write a lossless video of uint8 frames (T, H, W); one that tells the aspect of its pixels is H.264."""
    with av.open(str(path), "w") as container:
        codec, options = ("ffv1", {}) if aspect is None else ("libx264", {"qp": "0"})
        stream = container.add_stream(codec, rate=30, options=options)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:], "gray"
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="gray")))
        container.mux(stream.encode())
    return path


def write_stack(path: Path, frames: np.ndarray) -> Path:
    """Write a TIFF stack of frames (T, H, W)."""
    tifffile.imwrite(path, frames, photometric="minisblack")
    return path


def disc(height: int, width: int, *, y: float, x: float, radius: float) -> np.ndarray:
    """Return a filled disc, bool (height, width)."""
    rows, columns = np.mgrid[:height, :width]
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


def cohort(folder: Path, splits: dict[str, str], *, height: int = 48, width: int = 64, deep: str = "") -> Project:
    """Create a project with a clip of three frames for each patient, in the given split.

    Frame 0 has all structures, overlapping; on frame 1 the pharynx is empty and the mandible not annotated; on frame 2
    the bolus is not visible, and the pharynx has a hole, a second part and a part of one pixel. The clip of the patient
    `deep` has 12 bits.
    """
    project = Project.create(folder / "project", THREE)
    for number, (patient, split) in enumerate(splits.items()):
        if patient == deep:
            path = write_stack(folder / f"{number}.tif", grey_frames(3, height, width, seed=number, bits=12))
        else:
            path = write_video(folder / f"{number}.mkv", grey_frames(3, height, width, seed=number))
        project.assign_split(patient, split)
        clip = project.add_clip(path, patient=patient).id
        small, big, lower = (
            disc(height, width, y=y + number % 3, x=x, radius=r) for y, x, r in ((14, 20, 6), (16, 24, 9), (30, 26, 8))
        )
        parts = (big & ~disc(height, width, y=16, x=24, radius=3)) | disc(height, width, y=20, x=52, radius=4)
        parts[2, 40] = True
        annotate(project, clip, 0, {"bolus": small, "pharynx": big, "mandible": lower})
        annotate(project, clip, 1, {"bolus": small, "pharynx": MaskState.EMPTY})
        annotate(project, clip, 2, {"bolus": MaskState.NOT_VISIBLE, "pharynx": parts, "mandible": lower})
    return project


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files of a dataset by path, without the time of the export and the checksums that depend on it."""
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    del files["SHA256SUMS"]
    manifest = json.loads(files["manifest.json"])
    files["manifest.json"] = json.dumps({**manifest, "exported": ""}).encode()
    return {name: re.sub(rb"<dumped>.*</dumped>", b"", content) for name, content in files.items()}


def annotate(
    project: Project, clip_id: str, frame: int, annotation: dict, *, author: str = "reader one", **kwargs
) -> None:
    """Write {structure: mask} (accepted) or {structure: state} or {structure: (mask, state)} for one frame."""
    edits = []
    for key, value in annotation.items():
        mask, state = value if isinstance(value, tuple) else (value, MaskState.ACCEPTED)
        if isinstance(mask, MaskState):
            mask, state = None, mask
        edits.append(Edit(clip_id, frame, key, mask, state))
    project.write(edits, author=author, origin=kwargs.pop("origin", "hand"), **kwargs)
    if project.reviews.of(clip_id) is None:  # an annotator has reviewed the pixels
        project.reviews.accept(clip_id, Redaction(), reviewer=author)


def clip_id(project: Project, recording: str) -> str:
    """Return the id of the clip that has this name in exports."""
    key = CaseKey(project.folder / "case-key.json")
    return next(record.id for record in project.clips() if key.recording(record.id) == recording)


def case(project: Project, patient: str) -> str:
    """Return the name of a patient in exports."""
    return CaseKey(project.folder / "case-key.json").case(patient)
