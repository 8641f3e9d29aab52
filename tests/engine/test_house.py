# SPDX-License-Identifier: Apache-2.0
"""Import contracts detect planted imports; rooms have no circular imports; tests use public names and never sleep."""

from __future__ import annotations

import ast
import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
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

PUBLIC = {"_replace", "_asdict", "_fields", "_make", "_exit"}
"""Names of the standard library that are public in spite of their underscore: namedtuple's, and os._exit."""
ALLOWED = {
    ("tests/support/warm_trainer.py", "_run_exitfuncs"): "os._exit skips them, and atexit has no public way to run them"
}
"""Private names that tests may use, by file, with the reason."""
BY_NAME = {"getattr", "setattr", "delattr", "hasattr", "attrgetter", "methodcaller", "patch", "object"}
"""Functions that reach an attribute by its name as text, as monkeypatch.setattr does."""


def contracts(tree: Path) -> dict[str, bool]:
    """Return, by contract, whether a source tree keeps it."""
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
    """The script that counts rooms and circular imports."""
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


def private(dotted: str) -> Iterator[str]:
    """Yield the private names in a dotted name."""
    for name in dotted.split("."):
        if name.startswith("_") and name != "_" and not name.endswith("__") and name not in PUBLIC:
            yield name


def reached(node: ast.AST) -> Iterator[str]:
    """Yield the private names that a syntax node uses from elsewhere, and sleep."""
    match node:
        case ast.Attribute(attr="sleep"):
            yield "sleep"
        case ast.Attribute(value=ast.Name(id="self" | "cls")):
            pass
        case ast.Attribute(attr=name):
            yield from private(name)
        case ast.Import(names=names):
            yield from (name for alias in names for name in private(alias.name))
        case ast.ImportFrom(module=module, names=names):
            yield from (name for alias in names for name in private(f"{module or ''}.{alias.name}"))
            yield from (alias.name for alias in names if alias.name == "sleep")
        case ast.Call(func=ast.Name(id=function) | ast.Attribute(attr=function), args=args) if function in BY_NAME:
            texts = (one.value for one in args if isinstance(one, ast.Constant) and isinstance(one.value, str))
            yield from (name for text in texts for name in private(text))


def reaches(text: str) -> list[tuple[int, str]]:
    """Return line and name of each place where a program uses foreign private names, or sleeps."""
    tree = ast.parse(text)
    return sorted((node.lineno, name) for node in ast.walk(tree) for name in reached(node))  # type: ignore[attr-defined]


def test_no_test_reaches_into_private_names() -> None:
    files = sorted((ROOT / "tests").rglob("*.py"))
    assert len(files) > 100
    places = [
        (file.relative_to(ROOT).as_posix(), line, name)
        for file in files
        for line, name in reaches(file.read_text("utf-8"))
    ]
    assert [f"{file}:{line}: {name}" for file, line, name in places if (file, name) not in ALLOWED] == []
    assert {(file, name) for file, _, name in places} == set(ALLOWED), "what nobody uses any more needs no leave"


@pytest.mark.parametrize(
    "text",
    [
        "clip._cache.clear()",
        "make()._run()",
        "clip._size = 3",
        "from vfss.clips import _open",
        "from vfss._clips import open_clip",
        "import vfss._clips",
        "monkeypatch.setattr(module, '_BATCH', 1)",
        "monkeypatch.setattr('vfss.importing.write._BATCH', 1)",
        "getattr(clip, '_cache')",
        "time.sleep(0.1)",
        "from time import sleep",
    ],
)
def test_a_reach_into_private_names_is_found(text: str) -> None:
    assert [line for line, _ in reaches(f"x = 1\n{text}")] == [2]


def test_own_and_public_names_are_free() -> None:
    text = (
        "self._cache = cls._all\nrow._replace(a=1)\nos._exit(1)\nx.__class__\npath.with_name('a_b'.replace('_b', ''))"
    )
    assert reaches(text) == []
