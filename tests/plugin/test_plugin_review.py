# SPDX-License-Identifier: Apache-2.0
"""Pixel review: proposed redactions, drawing and removing boxes, signing and withdrawing a review."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from napari_vfss.ui.redaction.dialog import BRIGHTEST, DARKEST, FRAMES, ReviewDialog
from napari_vfss.ui.redaction.draft import RedactionDraft
from small_project import annotate, disc, write_video
from vfss.deidentify import suggest_redaction, text_detection
from vfss.deidentify.projections import Projections
from vfss.deidentify.suggest_redaction import ProposedRedaction
from vfss.deidentify.text_detection import DetectedText
from vfss.errors import ClipError, VfssError
from vfss.project import Project
from vfss.redaction import PixelBox, Redaction

WAIT_MS = 120_000
HEIGHT, WIDTH, N = 240, 320, 6
NAME = PixelBox(8, 8, 26, 170)


def frames_with_name() -> np.ndarray:
    """Return frames with a grey exposed field on black and a name above it, uint8 (T, H, W)."""
    frame = np.full((HEIGHT, WIDTH), 10, np.uint8)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    frame[40:230, 60:300] = (90 + (rows + columns) % 60)[40:230, 60:300]
    image = Image.fromarray(frame)
    ImageDraw.Draw(image).text((12, 8), "ANNA MUELLER", fill=240, font=ImageFont.load_default(16))
    return np.stack([np.asarray(image)] * N)


@pytest.fixture
def project(tmp_path):
    with Project.create(tmp_path / "project") as made:
        record = made.add_clip(write_video(tmp_path / "swallow.mkv", frames_with_name()), patient="p")
        annotate(made, record.id, 0, {"bolus": disc(HEIGHT, WIDTH, y=120, x=160, radius=20)}, author="Ada")
        made.reviews.withdraw(record.id, reviewer="Ada")
        yield made


@pytest.fixture
def fast_detector(monkeypatch):
    """Replace the text detector by one that needs no loading."""

    class Detector:
        def boxes(self, picture):
            return [NAME] if picture[8:26, 8:170].max() > 200 else []

    monkeypatch.setattr(text_detection, "TextDetector", Detector)


@pytest.fixture
def dialog(project, fast_detector, qtbot):
    made = open_dialog(project, qtbot)
    wait_for_search(qtbot, made)
    return made


def open_dialog(project, qtbot, author="Eva"):
    made = ReviewDialog(project, project.clips()[0], author)
    qtbot.addWidget(made)
    made.show()
    return made


def wait_for_search(qtbot, dialog):
    qtbot.waitUntil(lambda: not dialog.search.running, timeout=WAIT_MS)


def test_text_and_exposed_field_are_detected_in_the_background(project, qtbot):
    dialog = open_dialog(project, qtbot)  # with the real detector
    assert dialog.bar.isVisibleTo(dialog) and not dialog.accept_button.isEnabled()
    assert "Wait for the search" in dialog.why_not.text()
    assert dialog.picture.currentIndex() == FRAMES  # frames can be viewed meanwhile
    wait_for_search(qtbot, dialog)
    (box,) = dialog.draft.redaction.boxes
    assert box.joined(PixelBox(12, 14, 20, 100)) == box
    assert dialog.draft.crop is not None and dialog.draft.crop.top > 20
    assert "1 place looks like text" in dialog.note.text()
    assert dialog.picture.currentIndex() == BRIGHTEST
    dialog.reject()


def test_a_review_is_signed_with_name_and_redaction(dialog, project):
    record = project.clips()[0]
    dialog.reviewer.setText("  ")
    assert not dialog.accept_button.isEnabled() and "Enter your name" in dialog.why_not.text()
    dialog.reviewer.setText("Eva")
    dialog.accept_button.click()
    review = project.reviews.of(record.id)
    assert (review.reviewer, review.redaction) == ("Eva", dialog.draft.redaction)
    assert review.redaction.boxes == (NAME,) and review.redaction.crop is not None


def test_boxes_are_drawn_selected_and_removed_with_the_mouse(dialog):
    view = dialog.view

    def at(y, x):
        return view.mapFromScene(float(x), float(y))

    drag(view, at(100, 200), at(140, 260))
    added = dialog.draft.boxes[-1].box
    assert np.allclose([added.top, added.left, added.bottom, added.right], [100, 200, 140, 260], atol=2)
    assert dialog.draft.chosen == 1 and dialog.editor.list.currentRow() == 1
    drag(view, at(150, 200), at(150, 200) + QPoint(1, 1))  # a click outside all boxes
    assert dialog.draft.chosen == -1 and len(dialog.draft.boxes) == 2
    drag(view, at(120, 230), at(120, 230))
    assert dialog.draft.chosen == 1
    QTest.keyClick(view, Qt.Key.Key_Delete)
    assert [one.box for one in dialog.draft.boxes] == [NAME]
    drag(view, at(-30, -30), at(12, 20))  # started outside the picture: clipped to it
    assert dialog.draft.boxes[-1].box.top == dialog.draft.boxes[-1].box.left == 0


def drag(view, begin, end):
    port = view.viewport()
    QTest.mousePress(port, Qt.MouseButton.LeftButton, pos=begin)
    QTest.mouseMove(port, end)
    QTest.mouseRelease(port, Qt.MouseButton.LeftButton, pos=end)


def test_boxes_and_crop_are_edited_with_the_keyboard(dialog):
    editor, draft = dialog.editor, dialog.draft
    editor.add_button.click()
    assert draft.chosen == 1 and editor.remove_button.isEnabled()
    for spin, value in zip(editor.edges.spins, (30, 40, 60, 90), strict=True):
        spin.setValue(value)
    assert draft.boxes[1].box == PixelBox(30, 40, 60, 90)
    editor.list.setCurrentRow(0)
    assert draft.chosen == 0
    QTest.keyClick(editor.list, Qt.Key.Key_Delete)
    assert [one.box for one in draft.boxes] == [PixelBox(30, 40, 60, 90)]
    editor.cropped.click()
    assert draft.crop is None
    editor.cropped.click()
    editor.crop_edges.spins[0].setValue(115)
    assert draft.crop is not None and draft.crop.top == 115
    assert editor.cuts.isVisibleTo(editor)  # the bolus extends above the crop
    editor.crop_edges.spins[0].setValue(60)
    assert not editor.cuts.isVisibleTo(editor)


def test_every_frame_can_be_viewed(dialog, qtbot):
    assert dialog.picture.model().item(DARKEST).isEnabled()
    dialog.frames.slider.setValue(4)
    assert dialog.picture.currentIndex() == FRAMES
    assert dialog.frames.message.text() == f"Frame 5 of {N}, viewed: 2"
    dialog.frames.slider.setValue(0)
    dialog.frames.play_button.click()
    qtbot.waitUntil(lambda: len(dialog.frames.seen) == N, timeout=WAIT_MS)
    qtbot.waitUntil(lambda: dialog.frames.play_button.text() == "Play", timeout=WAIT_MS)
    dialog.frames.play_button.click()
    dialog.picture.setCurrentIndex(DARKEST)
    assert dialog.frames.play_button.text() == "Play"


def test_the_preview_shows_redacted_pixels_black(dialog):
    centre = dialog.view.mapFromScene(float(NAME.left + 30), float(NAME.top + 9))
    dialog.leaving.click()
    shown = dialog.view.grab().toImage().pixelColor(centre)
    assert (shown.red(), shown.green(), shown.blue()) == (0, 0, 0)
    fit_scale = dialog.view.transform().m11()
    dialog.view.zoom(2.0)
    assert dialog.view.transform().m11() == pytest.approx(2 * fit_scale)
    dialog.view.zoom(0.1)
    assert dialog.view.transform().m11() == pytest.approx(fit_scale)


def test_a_stopped_search_leaves_the_review_to_the_person(project, fast_detector, qtbot, monkeypatch):
    monkeypatch.setattr(suggest_redaction, "propose_redaction", lambda *_: None)  # the result of a cancelled search
    dialog = open_dialog(project, qtbot)
    dialog.stop_button.click()
    wait_for_search(qtbot, dialog)
    assert "check for yourself" in dialog.note.text()
    assert not dialog.picture.model().item(BRIGHTEST).isEnabled()
    assert dialog.accept_button.isEnabled()


def test_a_missing_detector_is_reported_and_the_review_continues(project, qtbot, monkeypatch):
    def missing():
        raise VfssError("the detector cannot be loaded")

    monkeypatch.setattr(text_detection, "TextDetector", missing)
    dialog = open_dialog(project, qtbot)
    wait_for_search(qtbot, dialog)
    assert "cannot be loaded" in dialog.note.text()
    assert dialog.draft.boxes == [] and dialog.picture.currentIndex() == BRIGHTEST


def test_an_earlier_review_is_shown_and_can_be_withdrawn(project, fast_detector, qtbot):
    record = project.clips()[0]
    project.reviews.accept(record.id, Redaction((PixelBox(1, 1, 9, 9),)), reviewer="Ada")
    dialog = open_dialog(project, qtbot)
    wait_for_search(qtbot, dialog)
    assert [one.why for one in dialog.draft.boxes] == ["from the last review"] and dialog.draft.crop is None
    assert "reviewed by Ada" in dialog.note.text()
    dialog.find_button.click()
    wait_for_search(qtbot, dialog)
    assert [one.box for one in dialog.draft.boxes] == [PixelBox(1, 1, 9, 9), NAME]
    assert dialog.draft.crop is None  # the review had none
    dialog.withdraw_button.click()
    assert project.reviews.of(record.id) is None
    assert project.reviews.history(record.id)[-1].reviewer == "Eva"


def test_write_and_read_errors_are_shown(dialog, project, monkeypatch):
    project.close()
    dialog.accept_button.click()
    assert dialog.isVisible() and dialog.problem.isVisibleTo(dialog)

    def broken(_frame):
        raise ClipError("cannot be decoded")

    monkeypatch.setattr(dialog.clip, "as_uint8", broken)
    dialog.show_frame(3)
    assert "cannot be decoded" in dialog.problem.text() and 3 not in dialog.frames.seen


def test_a_missing_recording_raises(project):
    record = project.clips()[0]
    record.path.unlink()
    with pytest.raises(VfssError):
        ReviewDialog(project, record, "Eva")


def test_the_dialog_fits_a_small_screen(dialog):
    hint = dialog.minimumSizeHint()
    assert hint.width() <= 1366 and hint.height() <= 730
    bare = [
        w.text() for w in dialog.findChildren(type(dialog.accept_button)) if w.isVisibleTo(dialog) and not w.toolTip()
    ]
    assert bare == []


def test_a_draft_keeps_boxes_within_the_picture():
    draft = RedactionDraft(100, 200)
    draft.add_between(50, 50, 51, 90)  # an accidental drag
    draft.add_between(120, 150, 90, 260)
    assert [one.box for one in draft.boxes] == [PixelBox(90, 150, 100, 200)]
    draft.add_between(92, 160, 98, 180)
    draft.choose_at(95, 170)
    assert draft.chosen == 1  # the smaller of two boxes
    blank = np.zeros((100, 200), np.uint8)
    detected = DetectedText(PixelBox(93, 161, 97, 170), 3, 18)
    proposed = ProposedRedaction(Projections(blank, blank, np.zeros(1, np.float32)), (detected,), None, None)
    draft.take_proposed(proposed, crop=True)
    assert len(draft.boxes) == 2  # the text lies inside a box
    draft.take_proposed(replace(proposed, texts=(DetectedText(PixelBox(0, 0, 5, 5), 1, 18),)), crop=False)
    assert draft.boxes[-1].why == "possible text on 1 of 18 pictures"
    draft.choose(7)
    assert draft.chosen == -1
    draft.remove_chosen()
    assert len(draft.boxes) == 3
