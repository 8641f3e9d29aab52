# SPDX-License-Identifier: Apache-2.0
"""Engine of napari-vfss: clips, masks, students and projects. No Qt; torch only in vfss.student.

Names are imported when they are first used: a window, or a command that needs no project, does not wait for a database.
"""

from typing import TYPE_CHECKING

import lazy_loader

from vfss.telemetry import switch_off_telemetry
from vfss.version import __version__

if TYPE_CHECKING:
    from vfss.clips import Clip, open_clip
    from vfss.errors import VfssError
    from vfss.masks import Masks, MaskState
    from vfss.project import Project
    from vfss.schema import Schema, Structure
    from vfss.student import Proposal, Student, load_student

__all__ = [
    "Clip",
    "MaskState",
    "Masks",
    "Project",
    "Proposal",
    "Schema",
    "Structure",
    "Student",
    "VfssError",
    "__version__",
    "load_student",
    "open_clip",
]

__getattr__, _, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "clips": ["Clip", "open_clip"],
        "errors": ["VfssError"],
        "masks": ["MaskState", "Masks"],
        "project": ["Project"],
        "schema": ["Schema", "Structure"],
        "student": ["Proposal", "Student", "load_student"],
    },
)

switch_off_telemetry()
