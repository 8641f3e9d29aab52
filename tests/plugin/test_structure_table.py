# SPDX-License-Identifier: Apache-2.0
"""The table of structures tells which of them the student in use has not learnt."""

from __future__ import annotations

from dataclasses import replace

from qtpy.QtCore import Qt

from keyed_student import VFSS12, KeyedStudent
from napari_vfss.ui.structure_table import STATE, StructureTable
from small_student import small_checkpoint
from vfss.masks import MaskState

TEXT, TIP = Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole


def shown(table: StructureTable, key: str, role: int = TEXT) -> str:
    return str(table.rows.data(table.rows.index(VFSS12[key].index, STATE), role))


def test_a_structure_that_the_student_has_not_learnt_says_so(session, qtbot) -> None:
    table = StructureTable()
    qtbot.addWidget(table)
    table.show_session(session, set())
    assert shown(table, "c2") == "·  no mask yet"
    student = KeyedStudent(VFSS12)
    student.keys = ("bolus", "c3")
    session.set_student(student)
    assert shown(table, "c2") == "·  not learnt"
    assert "has not learnt it" in shown(table, "c2", TIP)
    assert shown(table, "c3") == "·  no mask yet"
    session.choose("c2")
    session.mark(MaskState.EMPTY)
    assert shown(table, "c2") == "∅  empty", "what a person said stands"


def test_it_is_told_from_the_file_before_the_student_is_loaded(session, qtbot, tmp_path) -> None:
    small = replace(small_checkpoint(), learnt={"bolus": 3}).save(tmp_path / "small.safetensors")
    record = session.project.add_student(small.path, scores={}, parent=None)
    session.choose_student(record.id)
    table = StructureTable()
    qtbot.addWidget(table)
    table.show_session(session, set())
    assert (shown(table, "bolus"), shown(table, "c2")) == ("·  no mask yet", "·  not learnt")
    record.path.unlink()
    session.choose_student(record.id)
    assert shown(table, "c2") == "·  no mask yet", "nothing is claimed of a file that cannot be read"
