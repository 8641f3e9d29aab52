# SPDX-License-Identifier: Apache-2.0
"""What formats have no room for, beside them: manifest.json, and frames.jsonl with a line of JSON per frame.

So states, authors, times and splits survive in every format, whatever it can say itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from vfss.datasets.format import Row
from vfss.datasets.json_files import to_json, write_json

MANIFEST = "manifest.json"
FRAMES = "frames.jsonl"


def write_sidecar(folder: Path, manifest: dict[str, Any], rows: Iterable[Row]) -> None:
    """Write both files; each line of frames.jsonl has the fields of a frame and what the format kept of it."""
    write_json(folder / MANIFEST, manifest)
    with (folder / FRAMES).open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(to_json({**row.fields, **row.kept}) + "\n")


def read_frames(folder: Path) -> Iterator[dict[str, Any]]:
    """Lines of frames.jsonl, in the order of the export."""
    with (folder / FRAMES).open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)
