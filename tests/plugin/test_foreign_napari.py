# SPDX-License-Identifier: Apache-2.0
"""In a napari with other work in it: what its own tools do to our layers is undone or said, and masks stay."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDockWidget

from napari_vfss import preferences
from napari_vfss.demo.canvas_mouse import CanvasMouse
from napari_vfss.ui.panel import AnnotationPanel
from vfss.masks import MaskState


def ours(window):
    layers = window.controller.layers
    return [window.viewer.layers.index(layer) for layer in (layers.image, layers.overlay, layers.editor)]


@pytest.mark.parametrize("moves", [[(0, 3)], [(2, 0)], [(1, 0)], [(0, 2), (1, 3)]])
def test_the_recording_stays_below_the_masks(window, qtbot, moves):
    window.viewer.add_image(np.zeros((40, 40)), name="other")
    for at, to in moves:
        window.viewer.layers.move(at, to)
    qtbot.waitUntil(lambda: ours(window) == sorted(ours(window)))
    assert "below the masks" in window.message.text()


def test_the_grid_is_switched_off_and_said(window):
    window.viewer.canvas.grid.enabled = True
    assert not window.viewer.canvas.grid.enabled
    assert "grid" in window.message.text()


def test_another_label_still_paints_the_structure(window):
    editor = window.controller.layers.editor
    for label in (0, 7):
        editor.selected_label = label
        assert editor.selected_label == 1
    assert "active structure" in window.message.text()


def test_the_colours_stay_those_of_the_structures(window):
    from napari.utils.colormaps import label_colormap

    editor = window.controller.layers.editor
    before = editor.colormap.color_dict[None]
    editor.colormap = label_colormap(49)
    assert np.allclose(editor.colormap.color_dict[None], before)


def test_on_a_foreign_labels_layer_keys_choose_structures_and_a_button_leads_back(window, qtbot):
    foreign = window.viewer.add_labels(np.zeros((40, 40), np.uint8), name="cells")
    window.viewer.layers.selection.active = foreign
    assert window.foreign.isVisible()
    assert "“cells”, which is not part of the dataset" in window.foreign.text.text()
    canvas = CanvasMouse(window.viewer, window.window()).canvas
    qtbot.keyClick(canvas, Qt.Key.Key_3)
    assert window.controller.session.structure == window.controller.session.schema.keys[2]
    window.foreign.back.click()
    assert window.viewer.layers.selection.active == window.controller.layers.editor
    assert not window.foreign.isVisible()


@pytest.fixture
def unknown(monkeypatch):
    """An account that names nobody."""
    monkeypatch.setenv("LOGNAME", "root")
    stored = []
    monkeypatch.setattr(preferences, "store_author", lambda name: stored.append(name) or True)
    monkeypatch.setattr(preferences, "author_is_known", lambda: bool(stored))
    return stored


def test_an_unknown_annotator_is_asked_once_before_the_first_stroke(make_window, clip_file, unknown, qtbot):
    window = make_window()
    window.controller.open(clip_file)
    window.controller.layers.set_tool("paint")
    dialog = window.name_question.dialog
    assert dialog is not None and dialog.isModal()
    assert not dialog.ok.isEnabled()
    dialog.name.setText("Grace")
    dialog.accept()
    assert window.controller.session.author == "Grace"
    assert unknown == ["Grace"]
    window.controller.layers.set_tool("erase")
    assert window.name_question.dialog is None


def test_nothing_is_accepted_before_the_name_is_asked_for(make_window, clip_file, unknown):
    window = make_window()
    window.controller.open(clip_file)
    session = window.controller.session
    session.stroke(np.ones((session.clip.height, session.clip.width), np.bool_), frame=0, structure="bolus")
    window.accept.frame_button.click()
    assert session.states[0, 0] == MaskState.EDITED
    window.name_question.dialog.reject()  # who does not answer works under the account's name
    window.accept.frame_button.click()
    assert session.states[0, 0] == MaskState.ACCEPTED


def test_the_panel_closes_and_opens_again_beside_another_layer(make_window, clip_file, qtbot):
    window = make_window()
    viewer = window.viewer
    viewer.add_image(np.random.default_rng(3).random((60, 60)), name="other")
    for turn in range(6):
        panel = AnnotationPanel.of(viewer)
        panel.controller.open(clip_file)
        panel.controller.session.go_to(turn)
        qtbot.wait(20 * (turn % 3))
        dock = panel.parentWidget()
        while not isinstance(dock, QDockWidget):
            dock = dock.parentWidget()
        dock.destroyOnClose()
        qtbot.waitUntil(lambda: [layer.name for layer in viewer.layers] == ["other"])


def test_a_small_panel_shows_structures_first_and_folds_the_rest(make_window, clip_file, qtbot):
    window = make_window()
    window.controller.open(clip_file)
    window.window().resize(1100, 480)
    qtbot.waitUntil(lambda: window.height() < 430)
    qtbot.waitUntil(lambda: window.structures.y() < window.clip.y())
    assert window.structures.shown and not window.export.shown
    window.window().resize(1100, 900)
    qtbot.waitUntil(lambda: window.structures.y() > window.clip.y())
    assert window.export.shown


def test_a_view_is_kept_as_the_part_of_the_picture_that_is_seen(window, qtbot):
    layers = window.controller.layers
    layers.fit_frame()
    seen = layers.camera()["visible"]
    window.window().resize(1000, 700)
    qtbot.wait(50)
    assert layers.camera()["visible"] == seen
    window.viewer.scene.camera.zoom *= 2
    assert layers.camera()["visible"] != seen
    window.window().resize(1200, 800)
