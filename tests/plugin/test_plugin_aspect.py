# SPDX-License-Identifier: Apache-2.0
"""Pixels that are not square, in a real window: shown in true proportions, painted and clicked on stored pixels."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt

from napari_vfss.demo.canvas_mouse import CanvasMouse
from napari_vfss.ui.redaction.canvas import PixelView
from small_project import disc, grey_frames, write_video
from vfss.clips import open_clip
from vfss.masks import Masks, MaskState
from vfss.student import Proposal

HEIGHT, WIDTH, FRAMES = 120, 160, 16
ASPECT = Fraction(3, 2)


@pytest.fixture
def clip_file(tmp_path):
    """A recording whose pixels are half as wide again as high."""
    frames = grey_frames(FRAMES, HEIGHT, WIDTH)
    path = write_video(tmp_path / "wide.mp4", frames, aspect=ASPECT)
    with open_clip(path) as clip:
        assert clip.pixel_aspect == pytest.approx(1.5, rel=0.01)
    return path


@pytest.fixture
def mouse(window):
    return CanvasMouse(window.viewer, window.window())


def test_all_layers_have_the_true_proportions(window):
    layers = window.controller.layers
    for layer in (layers.image, layers.overlay, layers.editor):
        (top, left), (bottom, right) = layer.extent.world[:, -2:]
        assert (right - left) / (bottom - top) == pytest.approx(1.5 * (WIDTH - 1) / (HEIGHT - 1), rel=0.01)
        assert np.asarray(layer.data).shape[-2:] == (HEIGHT, WIDTH)


@pytest.mark.parametrize("point", [(60, 40), (30, 120)])
def test_a_stroke_paints_the_stored_pixels_under_the_brush(window, mouse, point):
    controller = window.controller
    controller.layers.set_tool("paint")
    controller.layers.editor.brush_size = 21
    mouse.stroke([point, point])
    plane = controller.session.project.masks(controller.session.clip.id, 0).planes[0]
    y, x = np.nonzero(plane)
    assert (y.mean(), x.mean()) == pytest.approx(point, abs=0.6)
    assert plane.shape == (HEIGHT, WIDTH)
    assert np.ptp(y) + 1 == pytest.approx(1.5 * (np.ptp(x) + 1), abs=2.5)  # round where it is shown


def test_clicks_and_boxes_are_in_stored_pixels(window, mouse):
    layers, clicks, boxes = window.controller.layers, [], []
    layers.set_tool("pick")
    layers.editor.clicked.connect(lambda y, x, adds: clicks.append((y, x)))
    layers.editor.boxed.connect(lambda one, other: boxes.append((*one, *other)))
    mouse.click((40, 100))
    mouse.stroke([(20, 30), (40, 70), (80, 90)])
    assert clicks == [pytest.approx((40, 100), abs=0.6)]
    assert boxes == [pytest.approx((20, 30, 80, 90), abs=0.6)]


def test_marks_are_drawn_where_the_mouse_clicked(window, mouse):
    controller = window.controller
    controller.layers.set_tool("pick")
    marks = controller.click_tool.marks
    assert marks is not None
    there, here = mouse.on_canvas((40, 100)), marks.position(40, 100)
    assert (here.x(), here.y()) == pytest.approx((there.x(), there.y()), abs=1.0)


def test_the_stabilised_view_turns_the_picture_as_it_is_shown(window, qtbot):
    """A spine that turns by 30 degrees on the screen is held still; on stored pixels that would be no turn."""
    session, layers = window.controller.session, window.controller.layers
    keys = [structure.key for structure in session.schema.stabilising]
    for t in range(FRAMES):
        angle = np.deg2rad(30.0 if t < FRAMES // 2 else 0.0)
        planes = np.zeros((len(session.schema), HEIGHT, WIDTH), np.bool_)
        for n, key in enumerate(keys):
            away = 30.0 * (n - (len(keys) - 1) / 2)  # along the spine, in heights of a pixel
            y, x = 60 + away * np.cos(angle), (120 + away * np.sin(angle)) / 1.5
            planes[session.schema[key].index] = disc(HEIGHT, WIDTH, y=y, x=x, radius=5)
        state = np.full(len(planes), MaskState.PROPOSED, np.uint8)
        confidence = np.full(len(planes), 0.9, np.float32)
        proposal = Proposal(session.schema.keys, Masks(planes, state), confidence, "st-a", session.clip.id, t)
        session.project.write_proposals(session.clip.id, [proposal])
    session.reload(range(FRAMES))
    timeline = window.controller.timeline
    qtbot.waitUntil(lambda: np.isfinite(timeline.survey.findings.centres[:, session.schema[keys[0]].index]).all())
    assert timeline.stabilised.toggle()
    for key in keys:
        places = []
        for t in (0, FRAMES - 1):
            session.go_to(t)
            centre = np.argwhere(session.work.planes[session.schema[key].index]).mean(axis=0)
            places.append(layers.editor.data_to_world(centre))
        assert places[0] == pytest.approx(places[1], abs=0.7)


def test_boxes_that_hide_text_are_in_stored_pixels(qtbot):
    view, drawn, clicked = PixelView(1.5), [], []
    qtbot.addWidget(view)
    view.resize(500, 400)
    view.show_picture(np.zeros((HEIGHT, WIDTH), np.uint8))
    view.show()
    view.drawn.connect(lambda *corners: drawn.append(corners))
    view.clicked.connect(lambda y, x: clicked.append((y, x)))
    shown = view.sceneRect()
    assert shown.width() / shown.height() == pytest.approx(1.5 * WIDTH / HEIGHT)

    def at(y: float, x: float) -> QPoint:
        return view.mapFromScene(1.5 * x, y)

    port = view.viewport()
    qtbot.mousePress(port, Qt.MouseButton.LeftButton, pos=at(20, 30))
    qtbot.mouseMove(port, at(70, 90))
    qtbot.mouseRelease(port, Qt.MouseButton.LeftButton, pos=at(70, 90))
    qtbot.mouseClick(port, Qt.MouseButton.LeftButton, pos=at(50, 100))
    assert drawn == [pytest.approx((20, 30, 70, 90), abs=1.0)]
    assert clicked == [pytest.approx((50, 100), abs=1.0)]
