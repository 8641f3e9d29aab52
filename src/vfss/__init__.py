# SPDX-License-Identifier: Apache-2.0
"""Engine of napari-vfss: clips, masks, student, project. No Qt here; torch only below vfss.student."""

from vfss.clips import Clip
from vfss.errors import VfssError
from vfss.masks import Masks, MaskState
from vfss.schema import Schema, Structure
from vfss.version import __version__

__all__ = ["Clip", "MaskState", "Masks", "Schema", "Structure", "VfssError", "__version__"]
