# SPDX-License-Identifier: Apache-2.0
"""Files of the students that a training may go on from."""

from __future__ import annotations

from pathlib import Path

from vfss.project import Project
from vfss.student import student_file


def previous_student(project: Project, student: str | None) -> Path:
    """File of the student to go on from."""
    if student is not None:
        known = {record.id: record.path for record in project.students()}
        return known[student] if student in known else student_file(student)
    current = project.current_student()
    return student_file("default") if current is None else current.path
