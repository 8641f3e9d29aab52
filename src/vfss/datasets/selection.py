# SPDX-License-Identifier: Apache-2.0
"""Select the frames of a project to export, and read them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vfss.clips import Clip, Frame, TimesFrom
from vfss.datasets.identities import Identity
from vfss.errors import MaskError
from vfss.masks import BoolArray, ByteArray, Masks, MaskState
from vfss.project import ClipRecord, Project, Revision

UNCONFIRMED_HELD_OUT = "frames of clips that may be of a held-out case, which nobody has confirmed"


@dataclass(frozen=True, eq=False)
class AnnotatedFrame:
    """One frame to write.

    Attributes:
        record: The clip it belongs to.
        frame: Zero-based frame index.
        time_s: Presentation time in seconds from the first frame.
        times_from: Who says so; see Clip.
        pixel_aspect: Width of a pixel divided by its height.
        pixels: uint8 or uint16 (H, W), the stored grey values after redaction.
        masks: Planes and states; planes that are not written are all False.
        written: bool (S,), which planes count as annotation.
        revisions: Newest revision by structure key, if there is one.
        cut: Number of planes that extend into a cropped part, and now end at the border.
    """

    record: ClipRecord
    frame: int
    time_s: float
    times_from: TimesFrom
    pixel_aspect: float
    pixels: Frame
    masks: Masks
    written: BoolArray
    revisions: dict[str, Revision]
    cut: int = 0


class Selection:
    """The frames of a project that have at least one plane to export.

    Attributes:
        frames: Clips and their frames, ascending, in the order in which clips were added to the project.
        left_out: Counts of what is left out, by reason.
    """

    def __init__(self, project: Project, *, include_edited: bool) -> None:
        self._project = project
        self._written_states = _written_states(include_edited)
        self.frames: list[tuple[ClipRecord, list[int]]] = []
        self.left_out: Counter[str] = Counter()
        splits = project.clip_splits()
        for record in project.clips():
            states = project.states(record.id)
            if splits[record.id] is None:
                written = int(np.isin(states, self._written_states).any(axis=1).sum())
                self.left_out.update({UNCONFIRMED_HELD_OUT: written} if written else {})
                continue
            selected: BoolArray = np.asarray(np.isin(states, self._written_states).any(axis=1))
            self.left_out.update(_reasons(states, selected, self._written_states))
            if selected.any():
                self.frames.append((record, [int(t) for t in np.flatnonzero(selected)]))

    def __len__(self) -> int:
        return sum(len(frames) for _, frames in self.frames)

    def written(self, clip_id: str) -> BoolArray:
        """Return which planes of a clip count as annotation, bool (n_frames, S)."""
        written: BoolArray = np.isin(self._project.states(clip_id), self._written_states)
        return written

    def read(self, identity: Identity, clip: Clip, frame: int) -> AnnotatedFrame:
        """Read grey values and planes of one frame, after redaction.

        Raises:
            ClipError: The frame cannot be decoded.
            MaskError: A stored plane is damaged, or of another size than the clip.
        """
        record, redaction = identity.record, identity.redaction
        revisions = self._project.newest(record.id, frame)
        masks = Masks.unseen(len(self._project.schema), record.height, record.width)
        written = np.zeros(len(self._project.schema), np.bool_)
        for structure in self._project.schema.structures:
            revision = revisions.get(structure.key)
            if revision is None:
                continue
            masks.state[structure.index] = revision.state
            written[structure.index] = revision.state in self._written_states
            if written[structure.index]:
                masks.planes[structure.index] = _plane(revision, record)
        planes = redaction.planes(masks.planes)
        cut = int(np.count_nonzero(planes.sum((1, 2)) != masks.planes.sum((1, 2)))) if redaction.crop else 0
        redacted, pixels = Masks(planes, masks.state), redaction.pixels(clip[frame])
        return AnnotatedFrame(
            record=record,
            frame=frame,
            time_s=float(clip.times_s[frame]),
            times_from=clip.times_from,
            pixel_aspect=clip.pixel_aspect,
            pixels=pixels,
            masks=redacted,
            written=written,
            revisions=revisions,
            cut=cut,
        )


def _written_states(include_edited: bool) -> ByteArray:
    states = [s for s in MaskState if s.is_truth or (include_edited and s is MaskState.EDITED)]
    return np.array(states, np.uint8)


def _plane(revision: Revision, record: ClipRecord) -> BoolArray:
    plane = revision.mask
    if plane is None:
        return np.zeros((record.height, record.width), np.bool_)
    if plane.shape != (record.height, record.width):
        raise MaskError(
            f"mask of {revision.structure} is {plane.shape[0]}x{plane.shape[1]}, "
            f"the clip {record.height}x{record.width}",
            frame=revision.frame,
            remedy="Draw the structure again on this frame, or restore the project from a backup.",
        )
    return plane


def _reasons(states: ByteArray, selected: npt.NDArray[np.bool_], written: ByteArray) -> dict[str, int]:
    """Count frames and planes that are left out; states is uint8 (T, S), selected bool (T,)."""
    edited, proposed = (states == MaskState.EDITED).any(axis=1), (states == MaskState.PROPOSED).any(axis=1)
    hidden = (states == MaskState.NOT_VISIBLE).any(axis=1)
    inside = states[selected]
    counts = {
        "frames with corrections that nobody accepted": ~selected & edited,
        "frames with proposals that nobody accepted": ~selected & ~edited & proposed,
        "frames with only 'not visible' structures": ~selected & ~edited & ~proposed & hidden,
        "proposed planes on exported frames": inside == MaskState.PROPOSED,
        "corrected but not accepted planes on exported frames": (inside == MaskState.EDITED)
        & ~np.isin(inside, written),
    }
    return {reason: int(np.count_nonzero(where)) for reason, where in counts.items() if where.any()}
