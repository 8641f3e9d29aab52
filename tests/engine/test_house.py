# SPDX-License-Identifier: Apache-2.0
"""Import contracts break when an import is planted; no room knows a room that knows it."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WINGS = {"napari_vfss": ROOT, "vfss": ROOT / "src", "vfss_training": ROOT / "training"}
PLANTED = {
    "src/vfss/propagation/key_frame.py": "def planted() -> None:\n    import torch\n",
    "src/vfss/masks/morphology.py": "def planted() -> None:\n    from vfss.project import Project\n",
    "napari_vfss/session/undo.py": "from napari_vfss.ui import panel\n",
    "training/vfss_training/losses/masks.py": "from vfss_training.loop.loop import Loop\n",
}
"""A file of each kind, and an import that it must not have."""
BROKEN = {
    "Only the student's network and its torch runtime may import torch",
    "Floors of the engine",
    "Floors of the plugin",
    "Floors of the trainer",
}


def contracts(tree: Path) -> dict[str, bool]:
    """Whether each contract is kept in a tree."""
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run(
        [sys.executable, "-c", command, "--no-cache"],
        cwd=tree,
        env={"PATH": "", "PYTHONPATH": f"{tree}:{tree / 'src'}:{tree / 'training'}", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    results = re.findall(r"^(.+) (KEPT|BROKEN)(?: \(.*\))?$", done.stdout, re.MULTILINE)
    assert results, done.stdout + done.stderr
    return {name: state == "KEPT" for name, state in results}


def test_an_import_that_must_not_be_breaks_its_contract(tmp_path: Path) -> None:
    for package, folder in WINGS.items():
        place = tmp_path / folder.relative_to(ROOT) / package
        shutil.copytree(folder / package, place, ignore=shutil.ignore_patterns("*.safetensors", "__pycache__"))
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    for name, text in PLANTED.items():
        with (tmp_path / name).open("a", encoding="utf-8") as file:
            file.write(f"\n\n{text}")
    assert {name for name, kept in contracts(tmp_path).items() if not kept} == BROKEN


@pytest.fixture(scope="module")
def rooms():
    """The script that counts rooms and circles."""
    spec = importlib.util.spec_from_file_location("rooms", ROOT / "scripts" / "rooms.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_room_knows_a_room_that_knows_it(rooms) -> None:
    house = rooms.House(ROOT)
    assert rooms.circles(house.between_rooms()) == []


def test_a_circle_is_found(rooms) -> None:
    edges = {("a.x", "a.y"), ("a.y", "a.z"), ("a.z", "a.x"), ("a.z", "b.q")}
    assert rooms.circles(edges) == [["a.x", "a.y", "a.z"]]
