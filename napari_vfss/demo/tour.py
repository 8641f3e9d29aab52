# SPDX-License-Identifier: Apache-2.0
"""Scripted tour: the complete annotation of a sample clip by mouse and keys, with screenshots."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from napari_vfss.demo.canvas_mouse import CanvasMouse
from napari_vfss.jobs.files import ExportOrder
from napari_vfss.program.opening import open_program
from vfss.datasets import read_coco
from vfss.errors import VfssError
from vfss.sample_clips import sample_path

FRAME = 24
PROPOSE_S = 600.0
SUMMARY = "tour.json"


def run_tour(folder: Path) -> int:
    """Run the tour; screenshots, the sample dataset and tour.json are written to a folder.

    Returns:
        0 if the exported dataset, read back, has the masks of the project.

    Raises:
        VfssError: The folder holds other files, or a step failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    dataset = folder / "dataset"
    if dataset.exists():
        if not (folder / SUMMARY).is_file():
            raise VfssError("exists and was not written by a tour", path=dataset, remedy="Choose another folder.")
        shutil.rmtree(dataset)
    with tempfile.TemporaryDirectory() as project:
        tour = _Tour(folder, Path(project))
        try:
            summary = tour.run()
        finally:
            tour.close()
    (folder / SUMMARY).write_text(json.dumps(summary, indent=2) + "\n", "utf-8")
    sys.stdout.write(f"Tour done: {folder} holds {len(summary['screenshots'])} screenshots and {dataset.name}/\n")
    return 0


class _Tour:
    """The steps, in order."""

    def __init__(self, folder: Path, project: Path) -> None:
        from qtpy.QtWidgets import QApplication

        self._folder = folder
        program = open_program(project)
        program.window.setGeometry(0, 0, 1366, 768)
        self._viewer, self._panel = program.viewer, program.panel
        self._application = QApplication.instance()
        self._mouse = CanvasMouse(self._viewer, self._panel.window())
        self._problems: list[str] = []
        self._shots: list[str] = []
        self._panel.controller.message.connect(self._on_message)

    def run(self) -> dict[str, Any]:
        """Open, propose, correct, accept, step, export, read back."""
        began = time.monotonic()
        self._panel.controller.open(sample_path("aspiration"))
        session = self._session
        session.go_to(FRAME)
        self._shoot("1_clip")
        self._panel.controller.student_jobs.propose(FRAME - 4, FRAME + 4)
        self._wait(lambda: not self._panel.controller.student_jobs.proposing.running, "proposing")
        self._shoot("2_proposed")
        changed = self._correct("epiglottis")
        self._shoot("3_corrected")
        self._accept()
        self._shoot("4_accepted")
        images = self._export()
        self._shoot("5_exported")
        return {
            "screenshots": self._shots,
            "seconds": round(time.monotonic() - began, 1),
            "pixels_changed_by_the_stroke": changed,
            "frames_accepted": len(session.project.annotated_frames(session.clip.id)),
            "images_read_back": images,
        }

    def close(self) -> None:
        """Close the window."""
        self._panel.close_controller()
        self._viewer.close()

    @property
    def _session(self) -> Any:
        session = self._panel.controller.session
        if session is None:
            raise VfssError("the sample clip did not open", remedy=" ".join(self._problems))
        return session

    def _correct(self, structure: str) -> int:
        """Paint over the upper rim of a structure in one stroke; return the number of changed pixels."""
        session = self._session
        session.choose(structure)
        plane = session.work.planes[session.active.index].copy()
        rows, columns = plane.nonzero()
        y, x = (float(rows.min()), float(columns.mean())) if rows.size else (plane.shape[0] / 2, plane.shape[1] / 2)
        self._panel.controller.layers.set_tool("paint")
        self._process()
        height, width = plane.shape
        y, x = min(max(y, 20.0), height - 20.0), min(max(x, 40.0), width - 40.0)
        self._mouse.stroke([(y + step * 0.4, x - 14 + step * 2) for step in range(15)])
        self._process()
        changed = int((plane != session.work.planes[session.active.index]).sum())
        if not changed:
            raise VfssError("the stroke changed nothing", remedy="The window may be covered or too small.")
        return changed

    def _accept(self) -> None:
        session = self._session
        for frame in range(FRAME, FRAME + 3):
            session.go_to(frame)
            self._panel.accept.frame_button.click()
            self._process()
        session.go_to(FRAME)

    def _export(self) -> int:
        dataset = self._folder / "dataset"
        self._panel.export.export(ExportOrder(self._session.project.folder, "coco", dataset))
        self._wait(lambda: not self._panel.controller.exporting.running, "exporting")
        session = self._session
        read = read_coco(dataset)
        wrong = [
            image.frame
            for image in read
            if not (image.masks.planes == session.project.masks(session.clip.id, image.frame).planes).all()
        ]
        if wrong or not len(read):
            raise VfssError(f"the dataset differs from the project on frames {wrong}", path=dataset)
        return len(read)

    def _shoot(self, name: str) -> None:
        for _ in range(8):
            self._process()
        path = self._folder / f"{name}.png"
        self._viewer.screenshot(str(path), canvas_only=False, flash=False)
        self._shots.append(path.name)

    def _wait(self, done: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + PROPOSE_S
        while not done():
            if time.monotonic() > end:
                raise VfssError(f"{what} took longer than {PROPOSE_S:.0f} s", remedy=" ".join(self._problems))
            self._process()

    def _process(self) -> None:
        self._application.processEvents()
        time.sleep(0.01)

    def _on_message(self, message: str, problem: bool) -> None:
        if problem:
            self._problems.append(message)
