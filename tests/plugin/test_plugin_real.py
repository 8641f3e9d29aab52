# SPDX-License-Identifier: Apache-2.0
"""Real recordings, where available: from opening to export in a real window, and the dataset read by pycocotools."""

from __future__ import annotations

import contextlib
import io
import shutil

import numpy as np
import pytest

from napari_vfss.demo.canvas_mouse import CanvasMouse
from napari_vfss.jobs.files import ExportOrder
from vfss.masks import MaskState
from vfss.redaction import Redaction

RECORDINGS = (
    "clips/lateral_facing_right.mp4",
    "clips/lateral_facing_right.avi",
    "clips/lateral_facing_left_with_overlays.mp4",
    "dicom/KarstenHilbertRF.dcm",
    "dicom/XA1_J2KR.dcm",
    "dicom/XA1_JLSL.dcm",
    "dicom/XA1_JPLL.dcm",
    "dicom/XA1_JPLY.dcm",
    "dicom/XA1_RLE.dcm",
)
WAIT_MS = 120_000


def read_with_pycocotools(folder):
    """Return the planes by category name of each image, as read by pycocotools."""
    from pycocotools.coco import COCO

    (file,) = [path for path in folder.rglob("*.json") if "annotations" in path.read_text("utf-8")[:200_000]]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(file))
    names = {category["id"]: category["name"] for category in coco.loadCats(coco.getCatIds())}
    return [
        {names[a["category_id"]]: coco.annToMask(a).astype(bool) for a in coco.loadAnns(coco.getAnnIds(imgIds=image))}
        for image in coco.getImgIds()
    ]


@pytest.mark.parametrize("name", RECORDINGS)
def test_open_propose_correct_accept_close_reopen_export_read(shared_window, shared, tmp_path, qtbot, name):
    source = shared / "data" / name
    if not source.is_file():
        pytest.skip(f"{source} is not there")
    file = tmp_path / "recordings" / source.name
    file.parent.mkdir()
    shutil.copyfile(source, file)
    window, controller = shared_window, shared_window.controller
    controller.project_folder = None
    assert controller.open(file), window.message.text()
    session = controller.session
    frame = session.clip.n_frames // 2
    session.go_to(frame)
    controller.student_jobs.propose(frame, frame)
    qtbot.waitUntil(lambda: not controller.student_jobs.proposing.running, timeout=WAIT_MS)
    assert (session.work.state == MaskState.PROPOSED).all()
    proposed = session.work.planes.copy()

    session.choose("epiglottis")
    controller.layers.set_tool("paint")
    y, x = session.clip.height / 2, session.clip.width / 2
    CanvasMouse(window.viewer, window.window()).stroke([(y + 2 * i, x + 4 * i) for i in range(8)])
    corrected = session.work.planes.copy()
    index = session.active.index
    assert (corrected[index] != proposed[index]).any()
    assert np.array_equal(np.delete(corrected, index, 0), np.delete(proposed, index, 0))
    window.accept.frame_button.click()
    folder = session.project.folder
    assert folder.parent == file.parent

    controller.close_session()
    assert controller.open(folder)
    session = controller.session
    assert (session.frame, session.structure) == (frame, "epiglottis")
    assert np.array_equal(session.work.planes, corrected)
    assert session.work.state[index] == MaskState.ACCEPTED
    assert np.array_equal(controller.layers.editor.mask, corrected[index])

    session.project.reviews.accept(session.clip.id, Redaction(), reviewer=session.author)
    with qtbot.waitSignal(controller.exporting.ended, timeout=WAIT_MS):
        window.export.export(ExportOrder(folder, "coco", tmp_path / "dataset"))
    (planes,) = read_with_pycocotools(tmp_path / "dataset")
    for structure in session.schema.structures:
        expected = corrected[structure.index]
        plane = planes.get(structure.key, np.zeros_like(expected))
        assert np.array_equal(plane, expected), structure.key
    controller.close_session()
