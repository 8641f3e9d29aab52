# SPDX-License-Identifier: Apache-2.0
"""Seconds from the start of a process to splash and usable window, beside napari's own window, warm and cold.

Usable: the window is drawn, the event loop runs, and the start page answers. Each start is a process of its own, and
program and napari take turns. Cold: the page cache of the system is dropped before the start, which needs root.
Run under a display or Xvfb: xvfb-run -a -s "-screen 0 1366x768x24" python benchmarks/start.py
Writes benchmarks/results/start.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

RESULT = Path(__file__).parent / "results" / "start.json"
DROP = Path("/proc/sys/vm/drop_caches")
PROGRAM = """
import os, sys, time, types
began = float(os.environ["BEGAN"])
from napari_vfss import app
from napari_vfss.program import splash
show = splash.Splash.say
def say(self, message):
    show(self, message)
    if message == "Starting...":
        print("splash", time.time() - began, flush=True)
splash.Splash.say = say
def usable():
    from qtpy.QtCore import QTimer
    from qtpy.QtWidgets import QApplication
    def done():
        print("usable", time.time() - began, flush=True)
        heavy = {"torch", "openvino", "sqlalchemy", "scipy.ndimage", "pydicom", "pyqtgraph"} & set(sys.modules)
        print("imported", ",".join(sorted(heavy)) or "-", flush=True)
        os._exit(0)
    QTimer.singleShot(0, lambda: QTimer.singleShot(0, done))
sys.modules["napari_vfss.program.warm_up"] = types.SimpleNamespace(warm_up=usable)  # instead of the first imports
sys.exit(app.main([]))
"""
NAPARI = """
import os, time
began = float(os.environ["BEGAN"])
import napari
from qtpy.QtCore import QTimer
viewer = napari.Viewer()
def done():
    print("usable", time.time() - began, flush=True)
    os._exit(0)
QTimer.singleShot(0, lambda: QTimer.singleShot(0, done))
napari.run()
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--cold", type=int, default=2, help="cold starts; 0 for none")
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for code in (PROGRAM, NAPARI):  # compiles what is not compiled yet
            start(code, Path(folder))
        warm = [(start(PROGRAM, Path(folder)), start(NAPARI, Path(folder))) for _ in range(arguments.runs)]
        cold = [
            (start(PROGRAM, Path(folder), cold=True), start(NAPARI, Path(folder), cold=True))
            for _ in range(arguments.cold if os.access(DROP, os.W_OK) else 0)
        ]
    result = {"cores": os.cpu_count(), "load_after": round(os.getloadavg()[0], 2), "warm": summary(warm)}
    result["warm"]["imported_before_usable"] = warm[0][0].get("imported", "-")
    if cold:
        result["cold"] = summary(cold)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


def start(code: str, folder: Path, *, cold: bool = False) -> dict[str, Any]:
    if cold:
        subprocess.run(["sync"], check=True)
        DROP.write_text("3")
    settings = {"NAPARI_CONFIG": str(folder / "settings.yaml"), "XDG_CONFIG_HOME": str(folder)}
    # Bytecode is written, as on anybody's computer, whatever this environment says.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment = {**kept, **settings, "BEGAN": str(time.time())}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    figures: dict[str, Any] = {}
    for line in done.stdout.splitlines():
        name, _, value = line.partition(" ")
        figures[name] = value if name == "imported" else float(value)
    if "usable" not in figures:
        raise SystemExit(done.stderr[-2000:])
    return figures


def summary(pairs: list[tuple[dict[str, Any], dict[str, Any]]]) -> dict[str, Any]:
    return {
        "splash_s": round(statistics.median(ours["splash"] for ours, _ in pairs), 2),
        "usable_s": round(statistics.median(ours["usable"] for ours, _ in pairs), 2),
        "napari_alone_s": round(statistics.median(napari["usable"] for _, napari in pairs), 2),
        "ratio": round(statistics.median(ours["usable"] / napari["usable"] for ours, napari in pairs), 2),
        "runs": len(pairs),
    }


if __name__ == "__main__":
    main()
