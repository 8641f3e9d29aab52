# SPDX-License-Identifier: Apache-2.0
"""Files of the students that a training may go on from."""

from __future__ import annotations

from pathlib import Path

from vfss.project import Project
from vfss.student import load_student


def previous_student(project: Project, student: str | None) -> Path:
    """File of the student to go on from."""
    if student is not None:
        known = {record.id: record.path for record in project.students()}
        return known[student] if student in known else student_path(student)
    current = project.current_student()
    return student_path("default") if current is None else current.path


def student_path(name_or_path: str) -> Path:
    """File of a student: "default" is the one that ships."""
    if name_or_path == "default":
        path = load_student("default", "cpu").path
        if path is not None:
            return path
    return Path(name_or_path)
