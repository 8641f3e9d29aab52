# SPDX-License-Identifier: Apache-2.0
"""The phantom: lateral swallows with exact masks."""

from vfss.phantom.phantom import Phantom, random_frame
from vfss.phantom.style import STYLES

__all__ = ["STYLES", "Phantom", "random_frame"]
