# SPDX-License-Identifier: Apache-2.0
"""Accessibility of the panel: keyboard only, colour blindness, screen readers, small and high-density screens."""

from __future__ import annotations

import json

import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QFontMetrics
from qtpy.QtWidgets import QAbstractButton, QApplication, QComboBox, QLabel, QLineEdit, QPushButton

from napari_vfss.demo.canvas_mouse import CanvasMouse
from napari_vfss.ui.keys.keyboard import stops
from napari_vfss.ui.section import Folding, Section
from napari_vfss.ui.structure_table import STATES, StructureTable
from napari_vfss.user_config import UserConfigFile
from vfss.masks import MaskState


@pytest.fixture
def canvas(window, qtbot):
    """Activate the window and return the canvas, which has the keyboard focus."""
    widget = CanvasMouse(window.viewer, window.window()).canvas
    window.window().activateWindow()
    qtbot.waitUntil(window.window().isActiveWindow)
    widget.setFocus()
    return widget


def focused_widget():
    return QApplication.focusWidget()


def test_f6_moves_the_focus_to_the_panel_and_back(window, canvas, qtbot):
    qtbot.keyClick(canvas, Qt.Key.Key_F6)
    assert window.isAncestorOf(focused_widget())
    first = focused_widget()
    qtbot.keyClick(first, Qt.Key.Key_Tab)
    second = focused_widget()
    assert second is not first
    assert window.isAncestorOf(second)
    qtbot.keyClick(second, Qt.Key.Key_F6)
    assert focused_widget() is canvas
    qtbot.keyClick(canvas, Qt.Key.Key_F6)
    assert focused_widget() is second


def test_tab_reaches_every_control_from_top_to_bottom(window):
    reached = stops(window)
    wanted = [
        widget
        for kind in (QAbstractButton, QComboBox, QLineEdit, StructureTable)
        for widget in window.findChildren(kind)
        if widget.isVisibleTo(window) and widget.isEnabled() and not widget.objectName().startswith("qt_")
        if not isinstance(widget.parent(), QComboBox)
    ]
    assert [type(w).__name__ for w in wanted if not any(w is other for other in reached)] == []
    sections = [window.clip, window.structures, window.propose, window.correct, window.accept, window.export]
    order = [next(i for i, s in enumerate(sections) if s.isAncestorOf(w)) for w in reached if _inside_any(w, sections)]
    assert order == sorted(order)


def _inside_any(widget, sections):
    return any(section.isAncestorOf(widget) for section in sections)


def test_a_click_on_a_button_leaves_the_focus_on_the_canvas(window, canvas, qtbot):
    qtbot.mouseClick(window.correct.tools["erase"], Qt.MouseButton.LeftButton)
    assert not window.isAncestorOf(focused_widget())
    assert str(window.controller.layers.editor.mode) == "erase"
    qtbot.keyClick(focused_widget(), Qt.Key.Key_P)
    assert str(window.controller.layers.editor.mode) == "paint"


def test_space_presses_the_focused_button(window, canvas, qtbot):
    button = window.accept.empty_button
    button.setFocus(Qt.FocusReason.TabFocusReason)
    qtbot.keyClick(button, Qt.Key.Key_Space)
    assert window.controller.session.states[0, 0] == MaskState.EMPTY


def test_the_focus_is_visible(window, canvas, qtbot):
    button = window.accept.structure_button
    plain = button.grab().toImage()
    button.setFocus(Qt.FocusReason.TabFocusReason)
    assert button.grab().toImage() != plain


def test_the_structure_list_is_operated_by_keys(window, canvas, qtbot):
    table, session = window.structures.table, window.controller.session
    table.setFocus(Qt.FocusReason.TabFocusReason)
    qtbot.keyClick(table, Qt.Key.Key_Down)
    assert session.structure == session.schema.keys[1]
    qtbot.keyClick(table, Qt.Key.Key_Space)
    assert session.structure in window.controller.layers.hidden
    qtbot.keyClick(table, Qt.Key.Key_Space)
    qtbot.keyClick(table, Qt.Key.Key_Up)
    assert session.structure == session.schema.keys[0]


def test_enter_confirms_the_case_and_returns_the_focus(window, canvas, qtbot):
    window.clip.case.setFocus()
    window.clip.case.setText("case 5")
    qtbot.keyClick(window.clip.case, Qt.Key.Key_Return)
    assert focused_widget() is canvas
    assert window.controller.session.record.patient == "case 5"


def test_every_control_has_a_name_for_a_screen_reader(window):
    kinds = (QAbstractButton, QComboBox, QLineEdit, StructureTable)
    bare = [
        f"{type(widget).__name__} {widget.objectName()}"
        for kind in kinds
        for widget in window.findChildren(kind)
        if widget.window() is window.window()  # the page of keys is a separate window
        if not widget.accessibleName() and not getattr(widget, "text", str)()
        if not widget.objectName().startswith("qt_") and not isinstance(widget.parent(), QComboBox)
    ]
    assert bare == []


def test_no_state_is_shown_by_colour_alone():
    signs = [sign for sign, _, _ in STATES.values()]
    labels = [label for _, label, _ in STATES.values()]
    assert len(set(signs)) == len(set(labels)) == len(MaskState)


def test_a_problem_has_a_sign_besides_its_colour(window):
    window.controller.show_message("The disk is full.", problem=True)
    assert window.message.text().startswith("⚠")
    window.controller.show_message("Saved.")
    assert window.message.text() == "Saved."


@pytest.mark.parametrize("points", [9, 13, 18])
def test_the_structure_list_fits_its_text_at_any_font_size(window, points):
    table = window.structures.table
    try:
        table.setStyleSheet(f"* {{ font-size: {points}pt }} {StructureTable.STYLE}")
        table.fit_font()
        metrics = QFontMetrics(table.font())
        assert table.rowHeight(0) >= metrics.height()
        for sign, label, _ in STATES.values():
            assert table.columnWidth(3) >= metrics.horizontalAdvance(f"{sign}  {label}")
        bottom = table.rowViewportPosition(11) + table.rowHeight(11)
        assert bottom <= table.viewport().height()
    finally:
        table.setStyleSheet(StructureTable.STYLE)
        table.fit_font()


def test_no_text_of_the_panel_is_below_eleven_pixels(window):
    small = [
        label.text()
        for label in window.findChildren(QLabel)
        if label.text() and label.isVisibleTo(window) and label.fontInfo().pixelSize() < 11
    ]
    assert small == []


def test_button_labels_are_not_clipped_on_a_small_screen(window, qtbot):
    window.window().resize(1366, 768)
    qtbot.waitUntil(lambda: window.window().width() == 1366)
    clipped = [
        button.text()
        for button in window.findChildren(QPushButton)
        if button.isVisible() and button.fontMetrics().horizontalAdvance(button.text()) > button.width() - 4
    ]
    assert clipped == []


def test_rare_sections_are_folded_at_first_and_the_choice_is_remembered(qtbot, tmp_path):
    file = UserConfigFile("panel.json", folder=tmp_path)
    first = [Section("1  Daily"), Section("2  Rare", folded=True)]
    for section in first:
        qtbot.addWidget(section)
    folding = Folding(first, file)
    first[1].unfold()  # by the program, e.g. because a job of the section ended
    first[0].heading.click()
    assert json.loads(file.path.read_text())["folded"] == {"1  Daily": True}
    folding.close()
    again = [Section("1  Daily"), Section("2  Rare", folded=True)]
    for section in again:
        qtbot.addWidget(section)
    Folding(again, UserConfigFile("panel.json", folder=tmp_path))
    assert [section.heading.isChecked() for section in again] == [False, False]
    again[1].heading.click()
    assert json.loads(file.path.read_text())["folded"] == {"1  Daily": True, "2  Rare": False}


def test_rare_sections_are_folded_on_first_use(window):
    assert not window.student.heading.isChecked()
    assert window.accept.heading.isChecked()
