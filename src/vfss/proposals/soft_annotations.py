# SPDX-License-Identifier: Apache-2.0
"""Which annotations a student can be adapted to; apart from the adaptation, whose libraries take long to import."""

from __future__ import annotations

import numpy as np

from vfss.masks import BoolArray, ByteArray, MaskState
from vfss.schema import Schema

LEAST_FRAMES = 2
"""Annotated frames that a clip-adapted student needs at least; more are better."""
_PIXELS_KNOWN = (MaskState.EDITED, MaskState.ACCEPTED, MaskState.EMPTY)


def annotated_soft(states: ByteArray, schema: Schema) -> BoolArray:
    """Return where the pixels of soft structures are annotated: what a student can be adapted on.

    Args:
        states: uint8 (T, S), values of MaskState.
        schema: The structures.

    Returns:
        bool (T, S), False for rigid structures.
    """
    annotated: BoolArray = np.isin(states, _PIXELS_KNOWN) & np.array(
        [not structure.is_rigid for structure in schema.structures]
    )
    return annotated
