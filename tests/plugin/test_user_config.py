# SPDX-License-Identifier: Apache-2.0
"""Files of the user's choices that are damaged or hostile: defaults with a warning, and the file is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import hostile_files
from napari_vfss.controller.actions import all_actions
from napari_vfss.keys.book import KeyBook
from napari_vfss.user_config import UserConfigFile

VALID = {
    "layout": "left",
    "changed": {"left": {"frame.next": ["Ctrl+Right"]}},
    "folded": {"1  Daily": True},
    "format": "coco",
}


@pytest.mark.parametrize("number", range(20))
def test_hostile_files_count_as_defaults(qapp: object, tmp_path: Path, number: int) -> None:
    random = np.random.default_rng(number)
    content = hostile_files.json_text(hostile_files.spoilt(VALID, random), random)
    (tmp_path / "keys.json").write_bytes(content)
    file = UserConfigFile("keys.json", folder=tmp_path)
    book = KeyBook(all_actions, file=file)
    assert book.layout in {"left", "right"} and book.keys_of("frame.next")
    kept = [path for path in tmp_path.iterdir() if path.read_bytes() == content]
    assert kept, "whatever it was, nothing is lost"
    assert bool(file.warning) == (kept[0].name != "keys.json")
