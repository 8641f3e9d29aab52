# SPDX-License-Identifier: Apache-2.0
"""The project: a folder with an append-only store of who annotated what, splits by patient, and students."""

from vfss.project.project import Project
from vfss.project.provenance import UNCONFIRMED, Method, Origin, Provenance
from vfss.project.records import ClipRecord, Edit, Revision, Split, StudentRecord

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
