# SPDX-License-Identifier: Apache-2.0
"""Corrections of names and pieces on many frames: a chain one level on, two names exchanged, specks removed.

Each is an edit by a person. Renamed masks keep their pixels, and their state too: an accepted outline was accepted as
an outline and has its right name now, so that nobody must accept a whole clip again. A proposal alone becomes EDITED.
As a proposal it would be lost: the next one of the student, which made the mistake, would put the wrong name back.
It is not accepted either, for nobody has confirmed its outline. What says "empty" or "not visible" moves with its name.
Masks whose pixels change become EDITED, as after every other tool.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from vfss.errors import ConflictError, ProjectError
from vfss.masks import MaskState
from vfss.masks.morphology import remove_specks
from vfss.project.project import Project
from vfss.project.provenance import Provenance
from vfss.project.records import Edit, Revision
from vfss.schema import Schema

Newest = Mapping[str, Revision]
EditsOf = Callable[[str, int, Newest], list[Edit]]
"""Returns the edits of a frame, given clip id, frame and newest revisions by structure key."""


@dataclass(frozen=True)
class Renaming:
    """Which structure's masks come under which key.

    Attributes:
        sources: Key under which a mask stood, by the key that it gets; None where nothing is left there.
        lost: Key whose mask gets no other name: it falls off the end of the chain, and stays in its history only.
    """

    sources: Mapping[str, str | None]
    lost: str | None = None


def level_shift(schema: Schema, structure: str, step: int) -> Renaming:
    """Return the renaming of a chain by one level, from a structure on to the end of the chain in that direction.

    Args:
        schema: The structures.
        structure: Key of the member at which the renaming begins; of a structure that is in no chain where the schema
            has a single chain: all of that.
        step: 1 to rename each to the next member of the chain (down), -1 to the previous one (up).

    Raises:
        ProjectError: The schema has no chain, or several and the structure is in none.
    """
    chain = next((chain for chain in schema.chains if structure in chain), None)
    if chain is None and len(schema.chains) != 1:
        raise ProjectError(
            f"{schema[structure].name} is not part of a chain, the schema has {len(schema.chains)} of them",
            remedy="Choose the structure at which to begin, such as a vertebra.",
        )
    members = list(chain or schema.chains[0])[::step]
    moved = members[members.index(structure) :] if chain else members
    sources: dict[str, str | None] = {moved[0]: None, **dict(zip(moved[1:], moved, strict=False))}
    return Renaming(sources, lost=moved[-1])


def exchange(schema: Schema, one: str, other: str) -> Renaming:
    """Return the renaming that exchanges the names of two structures.

    Raises:
        ProjectError: It is one structure.
    """
    if schema[one].key == schema[other].key:
        raise ProjectError(f"{schema[one].name} cannot be exchanged with itself", remedy="Choose two structures.")
    return Renaming({one: other, other: one})


def renamed(renaming: Renaming, clip: str, frame: int, newest: Newest) -> list[Edit]:
    """Return the edits that rename the masks of a frame; none where there is nothing to rename."""
    sources = {source for source in renaming.sources.values() if source is not None}
    if not any(newest[key].state != MaskState.UNSEEN for key in sources if key in newest):
        return []
    edits = []
    for key, source in renaming.sources.items():
        revision = None if source is None else newest.get(source)
        if revision is not None or key in newest:
            edits.append(_under(key, clip, frame, revision))
    return edits


def _under(key: str, clip: str, frame: int, revision: Revision | None) -> Edit:
    if revision is None:
        return Edit(clip, frame, key, None, MaskState.UNSEEN)
    state = MaskState.EDITED if revision.state == MaskState.PROPOSED else revision.state
    # Clicks stay in the history: taken back under the new name, they would lead to nothing.
    return Edit(clip, frame, key, revision.mask, state, provenance=Provenance("hand", student=revision.student))


@dataclass(frozen=True)
class Specks:
    """Parts of masks that are removed, but for the largest one of each; see `remove_specks`.

    Attributes:
        structures: Keys of the structures.
        pixels: Parts of fewer pixels go.
        share: Parts of less than this share of the mask go, 0..1.
    """

    structures: tuple[str, ...]
    pixels: float = 0.0
    share: float = 0.0


def without_specks(specks: Specks, clip: str, frame: int, newest: Newest) -> list[Edit]:
    """Return the edits that remove specks from the masks of a frame."""
    edits = []
    for key in specks.structures:
        mask = newest[key].mask if key in newest else None
        if mask is not None:
            clean = remove_specks(mask, specks.pixels, specks.share)
            if not np.array_equal(clean, mask):
                made = Provenance("hand", student=newest[key].student)
                edits.append(Edit(clip, frame, key, clean, MaskState.EDITED, provenance=made))
    return edits


def renaming_edits(renaming: Renaming) -> EditsOf:
    """Return `renamed` of that renaming."""
    return partial(renamed, renaming)


def speck_edits(specks: Specks) -> EditsOf:
    """Return `without_specks` of those specks."""
    return partial(without_specks, specks)


@dataclass(frozen=True)
class EditedFrame:
    """What became of one frame.

    Attributes:
        frame: Zero-based frame index.
        written: Revisions that were written.
        replaced: Keys of structures that had a mask there before.
        left: True if the frame was left as it is, because someone changed it meanwhile.
    """

    frame: int
    written: tuple[Revision, ...] = ()
    replaced: tuple[str, ...] = ()
    left: bool = False


def edit_frames(
    project: Project, clip: str, frames: Iterable[int], edits_of: EditsOf, *, author: str, until: int
) -> Iterator[EditedFrame]:
    """Edit frame after frame, all edits of a frame or none: half a renaming would double one mask and lose another.

    Args:
        project: The project.
        clip: Content id of the clip.
        frames: Zero-based frames, in the order in which to edit them.
        edits_of: Returns the edits of a frame.
        author: Person who asked for it.
        until: Id of the last revision that the person has seen; a frame that anyone annotated since is left.

    Raises:
        ProjectError: The project cannot be written; earlier frames are.
    """
    for frame in frames:
        newest = project.newest(clip, frame)
        edits = edits_of(clip, frame, newest)
        if not edits:
            yield EditedFrame(frame)
            continue
        base = {(frame, key): revision.id for key, revision in newest.items() if revision.id <= until}
        replaced = tuple(edit.structure for edit in edits if _has_mask(newest.get(edit.structure)))
        try:
            written = project.write(edits, author=author, origin="hand", base=base)
        except ConflictError:
            yield EditedFrame(frame, left=True)
        else:
            yield EditedFrame(frame, tuple(written), replaced)


def _has_mask(revision: Revision | None) -> bool:
    return revision is not None and revision.state in (MaskState.PROPOSED, MaskState.EDITED, MaskState.ACCEPTED)
