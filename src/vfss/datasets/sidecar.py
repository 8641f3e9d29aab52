# SPDX-License-Identifier: Apache-2.0
"""Sidecar files of a dataset: manifest.json, and frames.jsonl with one line of JSON per frame.

They keep states, authors, times and splits in every format, whatever it can express itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from vfss.datasets.dataset import MALFORMED, Fields, malformed, read_json
from vfss.datasets.format import Row
from vfss.errors import DatasetError
from vfss.output.json_files import to_json, write_json

MANIFEST = "manifest.json"
FRAMES = "frames.jsonl"


def write_sidecar(folder: Path, manifest: dict[str, Any], rows: Iterable[Row]) -> None:
    """Write both files; each line of frames.jsonl has the fields of a frame and the format's entry for it."""
    write_json(folder / MANIFEST, manifest)
    with (folder / FRAMES).open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(to_json({**row.fields, **row.entry}) + "\n")


def read_frames(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of frames.jsonl, in the order of the export."""
    with (folder / FRAMES).open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError("a line is no JSON object")
            yield row


def read_sidecar(folder: Path) -> tuple[Fields, list[dict[str, Any]]]:
    """Read both files: the manifest, and the entry of each frame, in the order of the export.

    Raises:
        DatasetError: One of them is missing or malformed, or frames are missing.
    """
    manifest = read_json(folder / MANIFEST)
    try:
        frames = list(read_frames(folder))
        expected = manifest["frames"]
    except FileNotFoundError as error:
        remedy = "Name the folder that an export wrote."
        raise DatasetError("no such file", path=folder / FRAMES, remedy=remedy) from error
    except (OSError, MemoryError, *MALFORMED) as error:
        raise malformed(folder, error) from error
    if len(frames) != expected:
        raise DatasetError(
            f"{len(frames)} frames are described, but the dataset has {expected}",
            path=folder / FRAMES,
            remedy="Export the dataset again.",
        )
    return manifest, frames
