# SPDX-License-Identifier: Apache-2.0
"""Engine of napari-vfss: clips, masks, students and projects. No Qt; torch only in vfss.student."""

from vfss.clips import Clip, open_clip
from vfss.errors import VfssError
from vfss.masks import Masks, MaskState
from vfss.project import Project
from vfss.schema import Schema, Structure
from vfss.student import Proposal, Student, load_student
from vfss.telemetry import switch_off_telemetry
from vfss.version import __version__

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

# The modules above import none of the libraries that report; those that do lie below this package and come later.
switch_off_telemetry()
