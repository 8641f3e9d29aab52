# SPDX-License-Identifier: Apache-2.0
"""Pages whose libraries take long to import: each is imported when it is first shown."""

from __future__ import annotations

from collections.abc import Callable

from napari_vfss.controller.controller import AnnotationController
from napari_vfss.ui.help_pages import HELP_PAGES
from napari_vfss.ui.pages import Page


def _progress(controller: AnnotationController) -> Page:
    from napari_vfss.ui.progress.page import ProgressPage

    return ProgressPage(controller)


def _students(controller: AnnotationController) -> Page:
    from napari_vfss.ui.students.page import StudentsPage

    return StudentsPage(controller)


def _label_check(controller: AnnotationController) -> Page:
    from napari_vfss.ui.label_check.page import LabelCheckPage

    return LabelCheckPage(controller)


PAGES: dict[str, Callable[[AnnotationController], Page]] = {
    **HELP_PAGES,
    "progress": _progress,
    "students": _students,
    "label_check": _label_check,
}
"""Pages over the picture, by name."""
