# SPDX-License-Identifier: Apache-2.0
"""The table of actions, customised keys, the overlay and the page that show them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QCheckBox, QLabel, QPushButton

from napari_vfss.controller.actions import all_actions, structure_actions
from napari_vfss.demo.canvas_mouse import CanvasMouse
from napari_vfss.keys.action import (
    PAGE_GROUPS,
    Action,
    KeyTextError,
    binding,
    mirrored,
    normal,
    shown,
)
from napari_vfss.keys.bindings import help_rows
from napari_vfss.keys.book import KeyBook, check_key
from napari_vfss.keys.capture import menu_command
from napari_vfss.keys.labels import KEYS
from napari_vfss.ui.keys.overlay import in_columns
from napari_vfss.user_config import UserConfigFile
from vfss.masks import MaskState
from vfss.schema import Schema

CTRL, ALT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.AltModifier

ACTIONS = all_actions(Schema.load())
KEY = st.sampled_from([*"ABCDEFGHIJKLMNOPQRSTUVWXYZ,.0123456789", "Left", "F5", "Escape"])
MODIFIERS = st.sampled_from(["", "Ctrl+", "Ctrl+Shift+", "Alt+"])


@pytest.fixture
def book(qapp, tmp_path):
    return KeyBook(all_actions, file=UserConfigFile("keys.json", folder=tmp_path))


@pytest.fixture
def keys(window):
    """The key book of a window, reset afterwards, as all windows of a test run share its file."""
    yield window.controller.key_book
    file = window.controller.key_book.file
    file.path.unlink(missing_ok=True)
    file.update(lambda _values: {})


@pytest.fixture
def press(window, qtbot):
    canvas = CanvasMouse(window.viewer, window.window()).canvas

    def key(code, modifier=Qt.KeyboardModifier.NoModifier):
        qtbot.keyClick(canvas, code, modifier)

    return key


def to_front(window, qtbot):
    """Activate a window, which shortcuts of the window need."""
    window.window().activateWindow()
    qtbot.waitUntil(window.window().isActiveWindow)


def conflicts(keys):
    """Return a line for each key that two actions share, given pairs of action id and keys."""
    owner, shared = {}, []
    for action, own in keys:
        for key in own:
            first = owner.setdefault(normal(key), action)
            if first != action:
                shared.append(f"{key}: {first} and {action}")
    return shared


@pytest.mark.parametrize("layout", ["right", "left"])
def test_no_two_actions_share_a_key(layout):
    assert conflicts((action.id, action.default_keys(layout)) for action in ACTIONS) == []


@pytest.mark.parametrize("layout", ["right", "left"])
def test_every_key_of_the_table_can_be_bound(layout):
    for action in ACTIONS:
        for key in action.default_keys(layout):
            check_key(key)


@pytest.mark.parametrize("layout", ["right", "left"])
def test_no_default_key_is_used_in_a_napari_menu(window, layout):
    keys = [key for action in ACTIONS for key in action.default_keys(layout) if key != "?"]
    assert [(key, menu_command(key)) for key in keys if menu_command(key)] == []
    assert menu_command("Ctrl+Alt+O")


def test_conflicts_ignore_case_and_order_of_modifiers():
    assert conflicts([("a", ("Ctrl+Shift+Z",)), ("b", ("shift+ctrl+z",)), ("c", ("Z",))]) == ["shift+ctrl+z: a and b"]


def test_every_action_has_a_unique_id_and_a_key():
    ids = [action.id for action in ACTIONS]
    assert len(set(ids)) == len(ids)
    assert [action.id for action in ACTIONS if not action.keys] == []
    assert all(action.title and action.group for action in ACTIONS)


@given(modifiers=MODIFIERS, key=KEY)
def test_mirroring_twice_restores_a_key_and_keeps_ctrl_and_alt_keys(modifiers, key):
    text = modifiers + key
    assert mirrored(mirrored(text)) == text
    if "Ctrl" in modifiers or "Alt" in modifiers:
        assert mirrored(text) == text


def test_in_the_left_handed_layout_frequent_keys_are_on_the_right():
    daily = ("propose.frame", "tool.paint", "tool.erase", "accept.frame", "accept.structure", "accept.empty")
    keys = {key for action in ACTIONS if action.id in daily for key in action.default_keys("left")}
    assert keys <= set("YUIOPHJKLNM,.")


@pytest.mark.parametrize("text", ["Shift+,", "Ctrl+", "§", "", "Shift", "Hyper+A"])
def test_invalid_keys_are_refused(text):
    with pytest.raises(KeyTextError):
        binding(text)


def test_customised_keys_are_kept_after_a_restart(qapp, tmp_path, book):
    book.bind("accept.frame", ["T"])
    book.choose_layout("left")
    book.bind("accept.frame", ["F5"])
    again = KeyBook(all_actions, file=UserConfigFile("keys.json", folder=tmp_path))
    assert (again.layout, again.keys_of("accept.frame")) == ("left", ("F5",))
    again.choose_layout("right")
    assert again.keys_of("accept.frame") == ("T",)
    again.reset("accept.frame")
    assert again.keys_of("accept.frame") == ("A",)


def test_a_key_in_use_is_reassigned_and_restored_by_a_reset(book):
    book.bind("accept.frame", ["S"])
    assert book.keys_of("accept.structure") == ()
    assert book.owner("S").id == "accept.frame"
    book.reset()
    assert (book.keys_of("accept.structure"), book.keys_of("accept.frame")) == (("S",), ("A",))


def test_a_key_of_napari_cannot_be_assigned(book):
    with pytest.raises(KeyTextError, match="napari"):
        book.bind("accept.frame", ["Left"])
    assert book.keys_of("accept.frame") == ("A",)


def test_two_windows_share_customised_keys(qtbot, tmp_path, book):
    other = KeyBook(all_actions, file=UserConfigFile("keys.json", folder=tmp_path))
    book.bind("accept.frame", ["T"])
    qtbot.waitUntil(lambda: other.keys_of("accept.frame") == ("T",))
    other.bind("tool.paint", ["D"])
    qtbot.waitUntil(lambda: book.keys_of("tool.paint") == ("D",))
    assert book.keys_of("accept.frame") == ("T",)


@pytest.mark.parametrize("text", ["{", "[1, 2]", "\0\xff"])
def test_a_damaged_file_is_set_aside_and_the_defaults_are_used(qapp, tmp_path, text):
    (tmp_path / "keys.json").write_text(text, "latin-1")
    book = KeyBook(all_actions, file=UserConfigFile("keys.json", folder=tmp_path))
    assert book.keys_of("accept.frame") == ("A",)
    assert "defaults" in book.warning
    (aside,) = tmp_path.glob("keys-damaged-*.json")
    assert aside.read_text("latin-1") == text
    book.bind("accept.frame", ["T"])
    assert aside.is_file()


def test_invalid_entries_of_the_file_are_ignored(qapp, tmp_path):
    changed = {"right": {"accept.frame": ["Hyper+A"], "tool.paint": 7, "gone.action": ["T"], "tool.erase": ["D"]}}
    (tmp_path / "keys.json").write_text(json.dumps({"layout": "both", "changed": changed}), "utf-8")
    book = KeyBook(all_actions, file=UserConfigFile("keys.json", folder=tmp_path))
    assert book.layout == "right"
    assert [book.keys_of(a) for a in ("accept.frame", "tool.paint", "tool.erase")] == [("A",), ("P",), ("D",)]


def test_a_structure_key_of_the_schema_takes_precedence(book):
    structures = [{"key": "hyoid", "name": "Hyoid", "colour": "#FFFFFF", "shortcut": "A"}]
    book.set_schema(Schema.from_dict({"id": "own", "version": "1", "structures": structures}))
    assert book.owner("A").id == "structure.hyoid"
    assert book.keys_of("accept.frame") == ()


def test_structure_keys_are_those_of_the_schema_in_both_layouts():
    for action in structure_actions(Schema.load()):
        assert action.default_keys("right") == action.default_keys("left")


def test_every_key_on_a_button_is_in_the_table(window):
    known = {normal(key) for action in ACTIONS for key in action.keys}
    buttons = [made for made in window.findChildren(QPushButton) if made.property(KEYS)]
    assert len(buttons) > 10
    assert [made.text() for made in buttons if {normal(key) for key in made.property(KEYS)} - known] == []


def test_every_button_of_the_panel_has_a_key_or_a_menu(window):
    bare = [made for made in window.findChildren(QPushButton) if not made.property(KEYS) and made.menu() is None]
    assert [made.text() for made in bare] == []
    assert all(made.property(KEYS) for made in window.findChildren(QCheckBox))


def test_a_key_toggles_the_option_in_the_panel(window, press):
    controller, only_active = window.controller, window.propagate.only_active
    press(Qt.Key.Key_H, CTRL | ALT)
    assert only_active.isChecked()
    assert controller.student_jobs.only_active
    press(Qt.Key.Key_H, CTRL | ALT)
    assert not controller.student_jobs.only_active
    press(Qt.Key.Key_V, CTRL | ALT)
    assert controller.session.record.inverted
    press(Qt.Key.Key_V, CTRL | ALT)
    assert not controller.session.record.inverted


def test_keys_decide_on_a_bolus_outside_the_pharynx(window, press):
    session, shape = (
        window.controller.session,
        (window.controller.session.clip.height, window.controller.session.clip.width),
    )
    inner, outer = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
    outer[40:60, 40:60], inner[50:70, 45:55] = True, True
    session.stroke(outer, structure="pharynx")
    session.stroke(inner, structure="bolus")
    assert window.controller.nesting.here()
    assert "Ctrl+Alt+X" in window.nesting.cut.toolTip()
    press(Qt.Key.Key_X, CTRL | ALT)
    assert not window.controller.nesting.here()
    assert not session.work.planes[session.schema["bolus"].index][60:].any()


def test_a_changed_key_works_and_is_shown_on_button_list_and_tooltip(window, keys, press):
    session = window.controller.session
    keys.bind("accept.not_visible", ["F5"])
    keys.bind("structure.mandible", ["T"])
    assert window.accept.hidden_button.text() == "Not visible  F5"
    assert "(key: F5)" in window.accept.hidden_button.toolTip()
    row = session.schema["mandible"].index
    assert window.structures.table.rows.index(row, 2).data() == "T"
    press(Qt.Key.Key_T)
    assert session.structure == "mandible"
    press(Qt.Key.Key_N)
    assert session.states[0, row] == MaskState.UNSEEN
    press(Qt.Key.Key_F5)
    assert session.states[0, row] == MaskState.NOT_VISIBLE


def test_the_left_handed_layout_takes_effect_at_once(window, keys, press):
    session = window.controller.session
    keys.choose_layout("left")
    press(Qt.Key.Key_Comma)
    assert session.states[0, 0] == MaskState.EMPTY
    assert window.accept.empty_button.text() == "Empty  ,"
    keys.choose_layout("right")
    assert window.accept.empty_button.text() == "Empty  X"


def test_keys_change_brush_size_and_structure(window, press):
    session, layers = window.controller.session, window.controller.layers
    press(Qt.Key.Key_Up)
    assert session.structure == session.schema.keys[-1]
    press(Qt.Key.Key_Down)
    assert session.structure == session.schema.keys[0]
    size = layers.editor.brush_size
    press(Qt.Key.Key_BracketRight)
    assert layers.editor.brush_size > size
    press(Qt.Key.Key_BracketLeft)
    assert layers.editor.brush_size == size
    press(Qt.Key.Key_H, Qt.KeyboardModifier.ShiftModifier)
    assert session.structure in layers.hidden
    press(Qt.Key.Key_H, Qt.KeyboardModifier.ShiftModifier)
    assert not layers.hidden


def test_the_key_overlay_is_shown_and_closed(window, keys, qtbot, press):
    main = window.window()
    main.resize(1366, 768)
    to_front(window, qtbot)
    press(Qt.Key.Key_Question, Qt.KeyboardModifier.ShiftModifier)
    overlay = window.keyboard.overlay
    assert overlay.isVisible()
    assert overlay.size() == main.size()
    text = "".join(label.text() for label in overlay.findChildren(QLabel)).replace("&nbsp;", " ")
    assert all(action.title in text for action in ACTIONS if action.group not in PAGE_GROUPS)
    qtbot.waitUntil(lambda: overlay.fits)
    qtbot.keyClick(overlay, Qt.Key.Key_Escape)
    assert not overlay.isVisible()
    press(Qt.Key.Key_F1)
    assert overlay.isVisible()
    press(Qt.Key.Key_F1)
    assert not overlay.isVisible()
    press(Qt.Key.Key_F1)
    qtbot.mouseClick(overlay, Qt.MouseButton.LeftButton, pos=QPoint(5, 5))
    assert not overlay.isVisible()


def test_window_keys_need_no_clip(window, keys, press, qtbot):
    window.controller.close_session()
    to_front(window, qtbot)
    press(Qt.Key.Key_F1)
    assert window.keyboard.overlay.isVisible()
    window.keyboard.overlay.dismiss()


@given(heights=st.lists(st.integers(1, 20), min_size=1, max_size=9), count=st.integers(1, 5))
def test_columns_keep_the_order_and_contain_every_group(heights, count):
    groups = [(str(i), [("k", "t")] * height) for i, height in enumerate(heights)]
    columns = in_columns(groups, count)
    assert [group for column in columns for group in column] == groups
    assert len(columns) <= count


@pytest.fixture
def page(window, keys, qtbot):
    window.keyboard.show_page()
    yield window.keyboard.page
    window.keyboard.page.close()


def test_the_page_changes_resets_and_removes_keys(page, keys, qtbot):
    page.choose("accept.frame")
    page.change_button.click()
    qtbot.keyClick(page, Qt.Key.Key_T, Qt.KeyboardModifier.ShiftModifier)
    assert keys.keys_of("accept.frame") == ("Shift+T",)
    assert "accept the frame" in page.message.text()
    page.reset_button.click()
    assert keys.keys_of("accept.frame") == ("A",)
    page.remove_button.click()
    assert keys.keys_of("accept.frame") == ()
    page.reset_all_button.click()
    assert keys.keys_of("accept.frame") == ("A",)


def test_the_page_warns_of_a_conflict_before_reassigning_a_key(page, keys, qtbot):
    page.choose("accept.frame")
    page.change_button.click()
    qtbot.keyClick(page, Qt.Key.Key_S)
    assert "accept the structure" in page.message.text()
    assert keys.keys_of("accept.frame") == ("A",)
    qtbot.keyClick(page, Qt.Key.Key_S)
    assert keys.keys_of("accept.frame") == ("S",)
    assert "no key any more" in page.message.text()


def test_the_page_warns_of_keys_of_napari(page, keys, qtbot):
    page.choose("accept.frame")
    page.change_button.click()
    qtbot.keyClick(page, Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier)
    assert "menu" in page.message.text()
    qtbot.keyClick(page, Qt.Key.Key_Left)
    assert "previous frame" in page.message.text()
    qtbot.keyClick(page, Qt.Key.Key_Exclam, Qt.KeyboardModifier.ShiftModifier)
    assert "Press another key" in page.message.text()
    assert keys.keys_of("accept.frame") == ("A",)
    qtbot.keyClick(page, Qt.Key.Key_Up, Qt.KeyboardModifier.ControlModifier)
    assert keys.keys_of("accept.frame") == ("Ctrl+Up",)
    assert "select layer above" in page.message.text()


def test_escape_keeps_the_key(page, keys, qtbot):
    page.choose("accept.frame")
    page.change_button.click()
    qtbot.keyClick(page, Qt.Key.Key_Escape)
    assert keys.keys_of("accept.frame") == ("A",)
    assert page.change_button.isEnabled()


def test_the_page_searches_actions_and_chooses_the_layout(page, keys):
    page.search.setText("undo")
    visible = [action for action, item in page.items.items() if not item.isHidden()]
    assert visible == ["edit.undo"]
    page.search.clear()
    left = page.layout_box.findData("left")
    page.layout_box.setCurrentIndex(left)
    page.layout_box.activated.emit(left)
    assert keys.keys_of("accept.frame") == ("L",)


def test_help_lists_every_action_once(book):
    rows = [row for _, rows in help_rows(book) for row in rows]
    assert sorted(title for _, title in rows) == sorted(action.title for action in book.actions)
    assert all(key != "no key" for key, _ in rows)


def test_a_disabled_action_is_ignored_and_errors_are_shown(window):
    done = []
    window.controller.act(Action("x", "x", "View", ("T",), lambda controller: done.append(1), lambda controller: False))
    assert done == []

    def fail(controller):
        raise KeyTextError("this went wrong", remedy="Do that.")

    window.controller.act(Action("x", "x", "View", ("T",), fail))
    assert "this went wrong. Do that." in window.message.text()


def test_keys_are_shown_as_text():
    assert shown(("Ctrl+Shift+Z", "Ctrl+Y")) == "Ctrl+Shift+Z or Ctrl+Y"
    assert shown(("?", "F1")) == "? or F1"
    assert shown(()) == ""
