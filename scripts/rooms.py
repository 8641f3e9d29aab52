# SPDX-License-Identifier: Apache-2.0
"""Rooms of the house, from the code's own imports: files and lines per folder, circles of imports, and a picture.

python scripts/rooms.py                              table of rooms, circles between rooms and between files
python scripts/rooms.py --draw docs/architecture.png  the same as a picture: a row per floor of setup.cfg's layers
python scripts/rooms.py --root OTHER_CHECKOUT        of another checkout

Imports inside functions and for type checkers count too: a circle of those is still a circle of knowledge.
"""

from __future__ import annotations

import argparse
import configparser
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import grimp
import networkx
from matplotlib.figure import Figure

WINGS = {"napari_vfss": "", "vfss": "src", "vfss_training": "training"}
"""Root package of each wing, and the folder it lies in."""


class House:
    """Modules of a checkout, their lines, and who imports whom.

    Attributes:
        lines: Lines of each module, by dotted name.
        imports: Directed edges between modules, importer first.
    """

    def __init__(self, root: Path) -> None:
        """Read the imports of the checkout in that folder."""
        self.lines: dict[str, int] = {}
        self.imports: set[tuple[str, str]] = set()
        sys.path[:0] = [str(root / folder) for folder in WINGS.values()]
        for package, folder in WINGS.items():
            for path in (root / folder / package).rglob("*.py"):
                name = ".".join(path.relative_to(root / folder).with_suffix("").parts).removesuffix(".__init__")
                self.lines[name] = len(path.read_text("utf-8").splitlines())
        graph = grimp.build_graph(*WINGS, cache_dir=None)
        for module in self.lines:
            if module in graph.modules:
                self.imports |= {(module, other) for other in graph.find_modules_directly_imported_by(module)}

    def folder(self, module: str) -> str:
        """Folder of a module; a package's __init__ lies in its own folder."""
        is_package = any(name.startswith(f"{module}.") for name in self.lines)
        return module if is_package else module.rpartition(".")[0]

    def between_rooms(self) -> Counter[tuple[str, str]]:
        """Number of imports from each room to each other one.

        A room is what lies directly in a wing: a folder with all in it, or a file. An __init__ only re-exports:
        importing it is importing its room, but what it imports is not what the modules inside know.
        """
        count: Counter[tuple[str, str]] = Counter()
        packages = {self.folder(name) for name in self.lines}
        for importer, imported in self.imports:
            here, there = (".".join(name.split(".")[:2]) for name in (importer, imported))
            if here != there and importer not in packages:
                count[here, there] += 1
        return count


def circles(edges: Any) -> list[list[str]]:
    """Groups that can all reach each other, largest first."""
    found = networkx.strongly_connected_components(networkx.DiGraph(list(edges)))
    return sorted((sorted(group) for group in found if len(group) > 1), key=len, reverse=True)


def report(house: House) -> None:
    """Print the table and the circles."""
    files, lines = Counter(map(house.folder, house.lines)), Counter[str]()
    for name, count in house.lines.items():
        lines[house.folder(name)] += count
    print(f"{'room':<42}{'files':>6}{'lines':>8}")
    for room in sorted(files):
        print(f"{room:<42}{files[room]:>6}{lines[room]:>8}")
    print(f"{'all':<42}{sum(files.values()):>6}{sum(lines.values()):>8}")
    longest = max(house.lines, key=lambda name: house.lines[name])
    print(f"longest file: {longest}, {house.lines[longest]} lines")
    packages = {house.folder(name) for name in house.lines}
    modules = {(a, b) for a, b in house.imports if a not in packages and b not in packages}
    for what, groups in (("rooms", circles(house.between_rooms())), ("files", circles(modules))):
        print(f"circles between {what}: {len(groups)}")
        for group in groups:
            print(f"    {len(group)}: {', '.join(group)}")


def floors(root: Path, package: str) -> list[list[str]]:
    """Floors of a wing, highest first, each a list of modules: the layers contract of setup.cfg."""
    settings = configparser.ConfigParser()
    settings.read(root / "setup.cfg", "utf-8")
    contract = settings[f"importlinter:contract:floors_{package}"]
    rows = [line.strip() for line in contract["layers"].splitlines() if line.strip()]
    return [[part.strip(" ()") for part in row.replace("|", ":").split(":")] for row in rows]


def draw(house: House, root: Path, path: Path) -> None:
    """Draw the wings beside each other: a row per floor, a box per room, an arrow where one room imports another.

    Where a longer way leads from one room to another, the direct arrow is left out: it says nothing new, and with all
    of them nobody would see any.
    """
    figure = Figure(figsize=(17, 9))
    panels = figure.subplots(1, 3, width_ratios=(3, 3.6, 2.2))
    colours = {"napari_vfss": "#dbeafe", "vfss": "#dcfce7", "vfss_training": "#fef3c7"}
    for panel, package in zip(panels, WINGS, strict=True):
        rows = floors(root, package)
        places: dict[str, tuple[float, float]] = {}
        for depth, row in enumerate(rows):
            for number, name in enumerate(row):
                lift = 0.3 * (number % 2) if len(row) > 4 else 0.0
                places[name] = ((number + 0.5) / len(row), lift - float(depth))
        for importer, imported in _arrows(house, package, places):
            look = {"arrowstyle": "-|>", "color": "#64748b", "shrinkA": 15, "shrinkB": 15, "mutation_scale": 13}
            panel.annotate("", places[imported], places[importer], arrowprops=look)
        for name, (x, y) in places.items():
            size = sum(_box(module, package, places) == name for module in house.lines)
            text = f"{name}\n{size} files" if size > 1 else name
            style = {"boxstyle": "round,pad=0.35", "facecolor": colours[package], "edgecolor": "#334155"}
            panel.text(x, y, text, ha="center", va="center", fontsize=9.5, bbox=style, zorder=3)
        panel.set(xlim=(-0.08, 1.08), ylim=(0.6 - len(rows), 0.6))
        panel.set_title(package, fontsize=13)
        panel.axis("off")
    figure.text(0.5, 0.01, "napari_vfss  →  vfss  ←  vfss_training", ha="center", fontsize=13)
    figure.tight_layout(rect=(0, 0.03, 1, 1))
    figure.savefig(path, dpi=90, metadata={"Software": None})


def _arrows(house: House, package: str, places: dict[str, tuple[float, float]]) -> list[tuple[str, str]]:
    """Arrows between the boxes of a wing, without those that a longer way replaces."""
    pairs = {(_box(importer, package, places), _box(imported, package, places)) for importer, imported in house.imports}
    arrows = networkx.DiGraph([(here, there) for here, there in pairs if here and there and here != there])
    if networkx.is_directed_acyclic_graph(arrows):
        arrows = networkx.transitive_reduction(arrows)
    return sorted(arrows.edges)


def _box(module: str, package: str, places: dict[str, tuple[float, float]]) -> str | None:
    """Name of the box that a module lies in, None for one of another wing or in no floor."""
    if module.split(".", maxsplit=1)[0] != package:
        return None
    inside = module.removeprefix(f"{package}.")
    return max((name for name in places if f"{inside}.".startswith(f"{name}.")), key=len, default=None)


def main() -> None:
    """Print or draw the house."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[1])
    parser.add_argument("--draw", type=Path, metavar="PICTURE.png")
    arguments = parser.parse_args()
    house = House(arguments.root.resolve())
    report(house)
    if arguments.draw:
        draw(house, arguments.root, arguments.draw)


if __name__ == "__main__":
    main()
