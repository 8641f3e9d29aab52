# SPDX-License-Identifier: Apache-2.0
"""ImportPlan: what an import would write, leave as it is, and stumble over; nothing is written yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from vfss.errors import DatasetError, ProjectError
from vfss.importing.labels import LabelMatch, match_labels
from vfss.importing.matching import ImportChoices, Place, match_frames
from vfss.importing.problems import Problem, Problems
from vfss.importing.source import ForeignMasks, ForeignPlanes
from vfss.masks import BoolArray, ByteArray, MaskState
from vfss.output import Progress
from vfss.project import ClipRecord, Project, Revision
from vfss.project.second_readings import reading_of

NOT_TAKEN_OVER = {
    MaskState.EMPTY: "said to be empty in the source: a person must say so here",
    MaskState.NOT_VISIBLE: "said to be not visible in the source: a person must say so here",
}


@dataclass(frozen=True)
class PlannedFrame:
    """What would happen on one frame.

    Attributes:
        image: Number of the image in the source.
        clip: Content id of the clip.
        frame: Zero-based frame index.
        write: Keys of structures that would get a mask.
        replaced: Those of them that have a proposal now, of a student, of propagation or of another import.
        same: Structures that have this very imported mask already.
        protected: Structures of which a person has spoken: they stay as they are.
    """

    image: int
    clip: str
    frame: int
    write: tuple[str, ...]
    replaced: tuple[str, ...] = ()
    same: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class ImportPlan:
    """What an import would do; `preview` shows it, `write_plan` does it.

    Attributes:
        source: Where the masks come from.
        labels: What becomes of its labels.
        frames: Frames with something to write, to leave, or there already; by clip and frame.
        how: By clip, how frames were found, in words.
        found: Planes with pixels that belong to a frame, by label.
        not_taken: What the source has and an import does not take over, to count.
        unknown: Frames with pixels of which the source says that nothing is known there.
        problems: What hinders.
        complete: False where planning was stopped; such a plan is not written.
    """

    source: ForeignMasks
    labels: LabelMatch
    frames: tuple[PlannedFrame, ...]
    how: Mapping[str, str]
    found: Mapping[str, int]
    not_taken: Mapping[str, int]
    unknown: int
    problems: tuple[Problem, ...]
    complete: bool

    @property
    def counts(self) -> dict[str, int]:
        """Masks that would be written, by structure."""
        return dict(Counter(key for frame in self.frames for key in frame.write))

    @property
    def replaced(self) -> int:
        """Proposals that would be replaced; they stay in the history."""
        return sum(len(frame.replaced) for frame in self.frames)

    @property
    def same(self) -> int:
        """Masks that are there already."""
        return sum(len(frame.same) for frame in self.frames)

    def protected(self) -> Iterator[tuple[str, int, str]]:
        """Places that a person has spoken of, as clip, frame and structure: they are never overwritten."""
        return ((frame.clip, frame.frame, key) for frame in self.frames for key in frame.protected)


@dataclass
class _Tally:
    """Counts while a plan is made."""

    problems: Problems = field(default_factory=Problems)
    found: Counter[str] = field(default_factory=Counter)
    not_taken: Counter[str] = field(default_factory=Counter)
    unknown: int = 0


def plan_import(
    project: Project,
    source: ForeignMasks,
    choices: ImportChoices | None = None,
    *,
    progress: Progress | None = None,
) -> ImportPlan:
    """Look at all masks of a source and at what the project has in their place; nothing is written.

    Args:
        project: Where the masks would go.
        source: Where they come from.
        choices: What a person says about labels, clip and numbers.
        progress: Called after every image; False stops, and the plan is not complete.

    Raises:
        DatasetError: It is not plain what labels or images mean, or no label is a structure of the project.
        SchemaError: A label was given to a structure that the project does not have.
        ProjectError: The project cannot be read, or is a second reading.
    """
    choices = choices or ImportChoices()
    refuse_reading(project)
    tally = _Tally()
    for words in source.problems:
        tally.problems.add("source", words)
    labels = match_labels(source.labels, project.schema, choices.labels)
    if not labels.structures:
        raise DatasetError(
            f"none of the labels is a structure of the project ({', '.join(label.name for label in source.labels)})",
            path=source.path,
            remedy=f"Say which is which (--map LABEL=KEY). The project has {', '.join(project.schema.keys)}.",
        )
    for name in labels.unknown:
        tally.problems.add("label", f"label {name!r} is no structure of the project (--map it, or --skip it)")
    match = match_frames(project, source, choices, tally.problems)
    planner = _Planner(project, source, labels, tally)
    frames, complete = [], True
    for done, place in enumerate(match.places, 1):
        planned = planner.plan(place)
        if planned is not None:
            frames.append(planned)
        if progress is not None and progress(done, len(match.places)) is False:
            complete = done == len(match.places)
            break
    return ImportPlan(
        source=source,
        labels=labels,
        frames=tuple(frames),
        how=match.how,
        found=dict(tally.found),
        not_taken=dict(tally.not_taken),
        unknown=tally.unknown,
        problems=tally.problems.all(),
        complete=complete,
    )


def refuse_reading(project: Project) -> None:
    """Nothing, but ProjectError for a second reading: its reader must not see masks of others."""
    if reading_of(project) is not None:
        raise ProjectError(
            "this is a second reading, which takes no masks of others",
            path=project.folder,
            remedy="Import into the project itself.",
        )


class _Planner:
    """Plans image after image; images of one clip and frame come one after the other."""

    def __init__(self, project: Project, source: ForeignMasks, labels: LabelMatch, tally: _Tally) -> None:
        self._project, self._source, self._labels, self._tally = project, source, labels, tally
        self._record: ClipRecord | None = None
        self._states: ByteArray = np.zeros((0, 0), np.uint8)
        self._last: tuple[str, int] | None = None
        self._said: set[str] = set()

    def plan(self, place: Place) -> PlannedFrame | None:
        """What would happen with an image; None where that is nothing."""
        record, image, problems = self._clip(place.clip), place.image, self._tally.problems
        if (image.height, image.width) != (record.height, record.width):
            sizes = f"{image.height}x{image.width}, the clip {record.path.name} {record.height}x{record.width}"
            problems.add("size", f"the image is {sizes} (height x width)", image.name)
            return None
        try:
            found = self._source.planes(image)
        except DatasetError as error:
            problems.add("damaged", "masks that cannot be read", str(error).rstrip("."))
            return None
        self._count(place, found)
        planes = united(found, self._labels)
        return self._sorted(place, self._first_said(place, planes)) if planes else None

    def _clip(self, clip_id: str) -> ClipRecord:
        if self._record is None or self._record.id != clip_id:
            self._record = self._project.clip(clip_id)
            self._states = self._project.states(clip_id)
        return self._record

    def _count(self, place: Place, found: ForeignPlanes) -> None:
        tally = self._tally
        tally.unknown += found.unknown > 0
        tally.not_taken.update(found.left_out)
        for label in self._labels.structures:
            state = place.image.states.get(label)
            if state in NOT_TAKEN_OVER:
                tally.not_taken[NOT_TAKEN_OVER[state]] += 1
            elif label in found.planes:
                with_pixels = bool(found.planes[label].any())
                tally.found[label] += with_pixels
                tally.not_taken.update({} if with_pixels else {"masks without pixels: absence is not imported": 1})

    def _first_said(self, place: Place, planes: dict[str, BoolArray]) -> dict[str, BoolArray]:
        """Planes that no image before has given for the same frame."""
        here = (place.clip, place.frame)
        if here != self._last:
            self._last, self._said = here, set()
        for key in self._said & set(planes):
            what = "another image has a mask of the same structure for the same frame; the first one counts"
            self._tally.problems.add("twice", what, f"{place.image.name}, {key}")
        fresh = {key: plane for key, plane in planes.items() if key not in self._said}
        self._said |= set(fresh)
        return fresh

    def _sorted(self, place: Place, planes: dict[str, BoolArray]) -> PlannedFrame:
        schema, states = self._project.schema, self._states[place.frame]
        now = {key: MaskState(int(states[schema[key].index])) for key in planes}
        protected = tuple(key for key, state in now.items() if state.by_person)
        proposed = [key for key, state in now.items() if state is MaskState.PROPOSED]
        newest = self._project.newest(place.clip, place.frame) if proposed else {}
        same = tuple(key for key in proposed if is_same(newest.get(key), planes[key]))
        write = tuple(key for key in planes if key not in protected and key not in same)
        replaced = tuple(key for key in proposed if key not in same)
        return PlannedFrame(place.image.number, place.clip, place.frame, write, replaced, same, protected)


def united(found: ForeignPlanes, labels: LabelMatch) -> dict[str, BoolArray]:
    """Planes with pixels by structure, bool (H, W): those of labels of one structure together."""
    planes: dict[str, BoolArray] = {}
    for label, key in labels.structures.items():
        plane = found.planes.get(label)
        if plane is not None and plane.any():
            planes[key] = planes[key] | plane if key in planes else plane
    return planes


def is_same(revision: Revision | None, plane: BoolArray) -> bool:
    """Whether a revision is this very mask, imported, and nobody has spoken since."""
    if revision is None or revision.origin != "import" or revision.state is not MaskState.PROPOSED:
        return False
    mask = revision.mask
    return mask is not None and bool(np.array_equal(mask, plane))
