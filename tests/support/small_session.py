# SPDX-License-Identifier: Apache-2.0
"""Masks that tests of a session draw, propose and read back."""

from __future__ import annotations

import numpy as np

from vfss.masks import Masks, MaskState
from vfss.student import Proposal


def disc(session, y, x, radius=12):
    rows, columns = np.ogrid[: session.clip.height, : session.clip.width]
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


def propose(session, frame, *, mask=None, confidence=0.9):
    planes = np.zeros((len(session.schema), session.clip.height, session.clip.width), np.bool_)
    planes[:, 40:60, 40:70] = True
    if mask is not None:
        planes[0] = mask
    state = np.full(len(planes), MaskState.PROPOSED, np.uint8)
    confidences = np.full(len(planes), confidence, np.float32)
    proposal = Proposal(session.schema.keys, Masks(planes, state), confidences, "student-a", session.clip.id, frame)
    return session.project.write_proposals(session.clip.id, [proposal])


def stored(session, frame=None):
    return session.project.masks(session.clip.id, session.frame if frame is None else frame)
