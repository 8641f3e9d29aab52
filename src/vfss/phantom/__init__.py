# SPDX-License-Identifier: Apache-2.0
"""The phantom: lateral swallows with exact masks."""

from vfss.phantom.phantom import Phantom, random_frame
from vfss.phantom.phantom_project import write_phantom
from vfss.phantom.style import MESH_STYLES, STYLES
from vfss.phantom.write import write_dicom, write_video

__all__ = ["MESH_STYLES", "STYLES", "Phantom", "random_frame", "write_dicom", "write_phantom", "write_video"]
