# SPDX-License-Identifier: Apache-2.0
"""Real napari windows: painting with the mouse, keys, layers, closing and reopening."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QWidget

from napari_vfss.demo.canvas_mouse import CanvasMouse
from napari_vfss.session.opening import open_session
from vfss.masks import Masks, MaskState
from vfss.student import Proposal


@pytest.fixture
def mouse(window):
    window.controller.layers.set_tool("paint")
    return CanvasMouse(window.viewer, window.window())


@pytest.fixture
def press(window, qtbot):
    """Press a key with the mouse over the picture."""
    canvas = CanvasMouse(window.viewer, window.window()).canvas

    def key(code, modifier=Qt.KeyboardModifier.NoModifier):
        qtbot.keyClick(canvas, code, modifier)

    return key


def stored(session, frame=None):
    return session.project.masks(session.clip.id, session.frame if frame is None else frame)


def stroke(mouse, y=60):
    mouse.stroke([(y, 50), (y, 60), (y, 70)])


def propose(session, frame):
    planes = np.zeros((len(session.schema), session.clip.height, session.clip.width), np.bool_)
    planes[:, 100:120, 100:130] = True
    state = np.full(len(planes), MaskState.PROPOSED, np.uint8)
    confidence = np.full(len(planes), 0.8, np.float32)
    proposal = Proposal(session.schema.keys, Masks(planes, state), confidence, "student-a", session.clip.id, frame)
    session.project.write_proposals(session.clip.id, [proposal])


def test_a_mouse_stroke_is_saved_and_shown(window, mouse):
    session, layers = window.controller.session, window.controller.layers
    stroke(mouse)
    plane = stored(session).planes[0]
    assert plane[60, 60]
    assert np.array_equal(plane, layers.editor.mask)
    assert stored(session).state[0] == MaskState.EDITED
    session.choose("pharynx")
    assert (layers.overlay.data[plane] > 0).all()
    assert not layers.editor.mask.any()
    session.choose("bolus")
    assert np.array_equal(layers.editor.mask, plane)
    assert not layers.overlay.data.any()


def test_undo_goes_to_the_frame_that_it_changes(window, mouse, press):
    session, control = window.controller.session, Qt.KeyboardModifier.ControlModifier
    session.go_to(10)
    stroke(mouse)
    on_ten = stored(session, 10).planes.copy()
    session.go_to(20)
    session.choose("mandible")
    stroke(mouse, 90)
    session.go_to(3)
    press(Qt.Key.Key_Z, control)
    assert (session.frame, session.structure) == (20, "mandible")
    assert window.viewer.dims.current_step[0] == 20
    assert not stored(session, 20).planes.any()
    assert not window.controller.layers.editor.mask.any()
    assert np.array_equal(stored(session, 10).planes, on_ten)
    press(Qt.Key.Key_Z, control)
    assert (session.frame, session.structure) == (10, "bolus")
    assert not stored(session, 10).planes.any()
    press(Qt.Key.Key_Z, control | Qt.KeyboardModifier.ShiftModifier)
    assert np.array_equal(window.controller.layers.editor.mask, on_ten[0])
    assert not stored(session, 20).planes.any()


def test_keys_choose_structures_and_set_states(window, mouse, press):
    session = window.controller.session
    for code, key in (
        (Qt.Key.Key_4, "mandible"),
        (Qt.Key.Key_0, "c5"),
        (Qt.Key.Key_Minus, "c6"),
        (Qt.Key.Key_Equal, "c7"),
    ):
        press(code)
        assert session.structure == key
    press(Qt.Key.Key_1)
    stroke(mouse)
    press(Qt.Key.Key_S)
    assert stored(session).state[0] == MaskState.ACCEPTED
    press(Qt.Key.Key_2)
    press(Qt.Key.Key_N)
    press(Qt.Key.Key_3)
    press(Qt.Key.Key_X)
    assert list(stored(session).state[:3]) == [MaskState.ACCEPTED, MaskState.NOT_VISIBLE, MaskState.EMPTY]
    press(Qt.Key.Key_E)
    assert str(window.controller.layers.editor.mode) == "erase"
    press(Qt.Key.Key_Right)
    assert session.frame == 1


def test_keys_work_with_any_layer_selected_and_are_removed_with_the_clip(window, press):
    layers, session = window.controller.layers, window.controller.session
    window.viewer.layers.selection.active = layers.image
    press(Qt.Key.Key_5)
    assert session.structure == "airway"
    window.controller.close_session()
    assert not [key for key in window.viewer.keymap]


def test_the_slider_and_the_session_show_the_same_frame(window, qtbot):
    session = window.controller.session
    window.viewer.dims.set_current_step(0, 9)
    assert session.frame == 9
    session.go_to(4)
    assert window.viewer.dims.current_step[0] == 4
    qtbot.waitUntil(lambda: "Frame 5 of 24" in window.clip.place.text())
    assert f"{session.clip.times_s[4]:.3f} s" in window.clip.place.text()


def test_switching_structure_or_frame_during_a_stroke_keeps_it(window):
    session, layers = window.controller.session, window.controller.layers
    layers.editor.data[10:20, 10:20] = 1  # an unfinished stroke: no paint event yet
    session.choose("mandible")
    layers.editor.data[30:40, 30:40] = 1
    window.viewer.dims.set_current_step(0, 3)
    planes = stored(session, 0).planes
    assert planes[session.schema["bolus"].index].sum() == 100
    assert planes[session.schema["mandible"].index].sum() == 100
    assert not stored(session, 3).planes.any()


def test_a_proposal_written_during_a_stroke_leaves_the_stroke(window):
    session, layers = window.controller.session, window.controller.layers
    layers.editor.data[10:20, 10:20] = 1
    propose(session, 0)
    session.reload([0])
    assert layers.editor.mask.sum() == 100
    assert layers.overlay.data.any()
    layers.flush()
    masks = stored(session)
    assert masks.planes[0].sum() == 100
    assert masks.state[0] == MaskState.EDITED
    assert masks.state[1] == MaskState.PROPOSED


def test_the_tool_stays_selected(window):
    layers, session = window.controller.layers, window.controller.session
    for tool in ("erase", "paint"):
        layers.set_tool(tool)
        session.choose("c1")
        session.go_to(session.frame + 1)
        session.choose("bolus")
        session.mark(MaskState.EMPTY)
        assert str(layers.editor.mode) == tool
    layers.toggle_masks()
    assert not layers.editor.visible
    layers.toggle_masks()
    assert str(layers.editor.mode) == "paint"


def test_any_selected_label_paints_the_active_structure(window, mouse):
    window.controller.layers.editor.selected_label = 7
    stroke(mouse)
    assert stored(window.controller.session).planes[0, 60, 60]


def test_polygon_and_fill_are_saved(window):
    session, layers = window.controller.session, window.controller.layers
    layers.editor.paint_polygon([[20, 20], [20, 60], [60, 60], [60, 20]], 1)
    assert stored(session).planes[0, 40, 40]
    layers.editor.fill((0, 0), 1)
    assert stored(session).planes[0].all()


def test_deleted_layers_are_restored_with_their_masks(window, mouse, qtbot):
    session, viewer = window.controller.session, window.viewer
    stroke(mouse)
    plane = stored(session).planes[0]
    viewer.layers.remove(window.controller.layers.editor)
    qtbot.waitUntil(lambda: window.controller.layers.editor in viewer.layers)
    assert np.array_equal(window.controller.layers.editor.mask, plane)
    viewer.layers.remove(window.controller.layers.overlay)
    qtbot.waitUntil(lambda: window.controller.layers.overlay in viewer.layers)
    assert [
        viewer.layers.index(layer) for layer in (window.controller.layers.image, window.controller.layers.overlay)
    ] == [0, 1]
    assert "restored" in window.message.text()
    window.controller.layers.set_tool("paint")
    stroke(mouse, 100)
    window.controller.layers.editor.undo()
    assert np.array_equal(stored(session).planes[0], plane)


def test_deleting_the_recording_closes_the_clip(window, qtbot):
    window.viewer.layers.remove(window.controller.layers.image)
    qtbot.waitUntil(lambda: window.controller.session is None)
    assert len(window.viewer.layers) == 0
    assert not window.structures.body.parentWidget().isEnabled()


def test_three_dimensions_and_rolled_axes_are_refused(window):
    dims = window.viewer.dims
    dims.ndisplay = 3
    assert dims.ndisplay == 2
    dims.order = (1, 0, 2)
    assert tuple(dims.order) == (0, 1, 2)
    window.controller.layers.editor.n_edit_dimensions = 3
    assert window.controller.layers.editor.n_edit_dimensions == 2


def test_closing_and_reopening_restores_view_and_masks(make_window, clip_file, qtbot):
    first = make_window()
    first.controller.open(clip_file)
    session = first.controller.session
    session.go_to(11)
    session.choose("c3")
    first.controller.layers.set_tool("paint")
    stroke(CanvasMouse(first.viewer, first.window()))
    first.viewer.scene.camera.zoom = 6.5
    first.viewer.scene.camera.center = (0, 70, 90)
    masks, folder = stored(session), session.project.folder
    first.viewer.close()
    qtbot.waitUntil(lambda: first.controller.session is None)
    second = make_window()
    assert second.controller.open(folder)
    again = second.controller.session
    assert (again.frame, again.structure) == (11, "c3")
    assert second.viewer.dims.current_step[0] == 11
    assert second.viewer.scene.camera.zoom == pytest.approx(6.5)
    assert tuple(second.viewer.scene.camera.center[-2:]) == pytest.approx((70, 90))
    assert np.array_equal(again.work.planes, masks.planes)
    assert np.array_equal(second.controller.layers.editor.mask, masks.planes[again.active.index])


def test_removing_the_panel_saves_and_closes_the_clip(make_window, clip_file):
    window = make_window()
    window.controller.open(clip_file)
    session = window.controller.session
    window.controller.layers.editor.data[10:20, 10:20] = 1
    folder, clip_id = session.project.folder, session.clip.id
    window.viewer.window.remove_dock_widget(window)
    assert window.controller.session is None
    assert len(window.viewer.layers) == 0
    again = open_session(folder, "Ada")
    assert again.project.masks(clip_id, 0).planes[0].sum() == 100
    again.close()


def connections_of(viewer):
    emitters = (
        viewer.dims.events.current_step,
        viewer.dims.events.ndisplay,
        viewer.layers.events.removed,
        viewer.layers.events.inserted,
        viewer.scene.camera.events.zoom,
    )
    return [len(emitter.callbacks) if hasattr(emitter, "callbacks") else len(emitter) for emitter in emitters]


def test_no_signal_connection_remains(make_window, clip_file):
    panel = make_window()
    bare = connections_of(panel.viewer)
    panel.controller.open(clip_file)
    opened = connections_of(panel.viewer)
    session, layers = panel.controller.session, panel.controller.layers
    panel.controller.close_session()
    assert connections_of(panel.viewer) == bare != opened
    signals = (session.frame_changed, session.masks_changed, session.structure_changed, layers.message)
    assert [len(signal) for signal in signals] == [0, 0, 0, 0]
    for _ in range(3):
        panel.controller.open(clip_file)
    assert connections_of(panel.viewer) == opened
    panel.close_controller()
    assert connections_of(panel.viewer)[3] == bare[3] - 1


def test_a_clip_opened_through_napari_becomes_a_session(window, clip_file, qtbot):
    panel = window
    panel.controller.close_session()
    panel.viewer.open(str(clip_file), plugin="napari-vfss")
    qtbot.waitUntil(lambda: panel.controller.session is not None)
    assert [layer.name for layer in panel.viewer.layers][1:] == ["All structures", "Bolus (correct here)"]


def test_a_file_that_cannot_be_opened_is_reported_and_the_clip_stays_open(window, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video at all")
    session = window.controller.session
    assert not window.controller.open(broken)
    assert "broken.mp4" in window.message.text()
    assert window.controller.session is session
    assert window.message.isVisibleTo(window)


def test_the_list_shows_states_and_hides_structures(window, mouse):
    table, session = window.structures.table, window.controller.session
    propose(session, 0)
    session.reload([0])
    model = table.model()
    texts = [model.index(row, 3).data() for row in range(model.rowCount())]
    assert all("proposed" in text for text in texts)
    assert model.index(0, 4).data(Qt.ItemDataRole.UserRole) == pytest.approx(0.8)
    assert window.controller.layers.overlay.data.any()
    for structure in session.schema.structures:
        table.eye_clicked.emit(structure.key)
    assert not window.controller.layers.overlay.data.any()
    assert not window.controller.layers.editor.visible
    table.chosen.emit("c7")
    assert session.structure == "c7"


def test_flags_and_the_clip_list(window, qtbot):
    session = window.controller.session
    window.clip.inverted.click()
    assert session.project.clip(session.clip.id).inverted
    assert window.controller.layers.image.colormap.name == "gray_r"
    window.clip.case.setText("case 12")
    window.clip.case.editingFinished.emit()
    assert session.project.clip(session.clip.id).patient == "case 12"
    window.clip.facing.setCurrentIndex(2)
    window.clip.facing.activated.emit(2)
    assert session.project.clip(session.clip.id).facing == "right"
    assert window.clip.clips.currentData() == session.clip.id


def test_every_control_has_a_tooltip(window):
    bare = [
        type(widget).__name__
        for widget in window.findChildren(QWidget)
        if hasattr(widget, "clicked") or hasattr(widget, "activated") or hasattr(widget, "editingFinished")
        if widget.isVisibleTo(window) and not widget.toolTip() and not widget.objectName().startswith("qt_")
        if not isinstance(widget.parent(), (type(window.propose.first), type(window.clip.clips)))
    ]
    assert bare == []


def test_the_panel_fits_a_small_screen(window):
    window.window().resize(1366, 768)
    window.fit_width()
    assert window.minimumWidth() <= 380
    assert window.window().width() <= 1366
    assert window.structures.parentWidget().minimumSizeHint().width() <= window.minimumWidth()


def test_commands_are_in_the_plugins_menu(window):
    menu = window.viewer.window.plugins_menu
    titles = []

    def walk(actions):
        for action in actions:
            titles.append(action.text().replace("&", ""))
            if action.menu() is not None:
                walk(action.menu().actions())

    walk(menu.actions())
    for wanted in ("Export dataset...", "Retrain the student", "Open project...", "Keyboard help"):
        assert any(wanted in title for title in titles), titles


def test_two_windows_on_one_project_report_a_conflict(window, make_window, clip_file):
    ada, bob = window, make_window()
    assert bob.controller.open(clip_file)
    bob.controller.session.author = "Bob"
    ada.controller.layers.editor.data[10:20, 10:20] = 1
    ada.controller.layers.flush()
    bob.controller.layers.editor.data[50:60, 50:60] = 1
    bob.controller.layers.flush()
    assert "your change was not written" in bob.message.text()
    assert bob.controller.layers.editor.mask[15, 15]
    assert not bob.controller.layers.editor.mask[55, 55]
    ada.controller.session.go_to(2)
    ada.controller.layers.editor.data[10:20, 10:20] = 1
    ada.controller.layers.flush()
    bob.controller.poll()
    assert bob.controller.session.states[2, 0] == MaskState.EDITED
