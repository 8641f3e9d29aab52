# SPDX-License-Identifier: Apache-2.0
"""The project: a folder with an append-only store of who annotated what, splits by patient, and students.

Project is imported when it is first used: records and provenance need no database.
"""

from typing import TYPE_CHECKING

import lazy_loader

from vfss.project.provenance import UNCONFIRMED, Method, Origin, Provenance
from vfss.project.records import ClipRecord, Edit, Revision, Split, StudentRecord

if TYPE_CHECKING:
    from vfss.project.project import Project

__all__ = [
    "UNCONFIRMED",
    "ClipRecord",
    "Edit",
    "Method",
    "Origin",
    "Project",
    "Provenance",
    "Revision",
    "Split",
    "StudentRecord",
]

__getattr__, _, _ = lazy_loader.attach(__name__, submod_attrs={"project": ["Project"]})
