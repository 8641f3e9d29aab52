# SPDX-License-Identifier: Apache-2.0
"""Plan an import: what it would write, keep and report as a problem; nothing is written yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np

from vfss.errors import DatasetError, ProjectError
from vfss.importing.labels import LabelMatch, match_labels
from vfss.importing.matching import MatchedImage, match_frames
from vfss.importing.placement import Placement, placement
from vfss.importing.problems import Problem, Problems
from vfss.importing.recordings import ImportChoices, SourceRecording
from vfss.importing.source import ForeignMasks, ForeignPlanes
from vfss.masks import BoolArray, ByteArray, MaskState
from vfss.output import Progress
from vfss.project import ClipRecord, Project, Revision
from vfss.project.second_readings import reading_of

NOT_IMPORTED = {
    MaskState.EMPTY: "empty in the source: a person must confirm that here",
    MaskState.NOT_VISIBLE: "not visible in the source: a person must confirm that here",
}


@dataclass(frozen=True)
class PlannedFrame:
    """What an import would do on one frame.

    Attributes:
        image: Number of the image in the source.
        clip: Content id of the clip.
        frame: Zero-based frame index.
        place: Where the image lies in the frame.
        write: Keys of structures that would get a mask.
        replaced: Those of them that have a proposal now, by a student, by propagation or by another import.
        same: Structures that have this imported mask already.
        protected: Structures that a person annotated: they stay as they are.
    """

    image: int
    clip: str
    frame: int
    place: Placement
    write: tuple[str, ...]
    replaced: tuple[str, ...] = ()
    same: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class ImportPlan:
    """What an import would do; `preview` shows it, `write_plan` does it.

    Attributes:
        source: Source of the masks.
        labels: Structures to which its labels are mapped.
        frames: Frames with masks to write, to leave as they are, or present already; by clip and frame.
        recordings: Recordings of the source, each with its clip.
        matched_by: By clip, how its frames were matched, as text for a person.
        mask_counts: Planes with pixels that belong to a frame, by label.
        not_imported: What the source has and an import ignores, with counts.
        unknown: Frames on which the source marks pixels as unknown.
        placed: Images that show the part of a frame that an export kept, and are placed back there.
        problems: Problems, by kind.
        complete: False if planning was stopped; such a plan cannot be written.
    """

    source: ForeignMasks
    labels: LabelMatch
    frames: tuple[PlannedFrame, ...]
    recordings: tuple[SourceRecording, ...]
    matched_by: Mapping[str, str]
    mask_counts: Mapping[str, int]
    not_imported: Mapping[str, int]
    unknown: int
    placed: int
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
        """Masks that are present already."""
        return sum(len(frame.same) for frame in self.frames)

    def planes(self, frame: PlannedFrame) -> dict[str, BoolArray]:
        """Read the planes with pixels of a planned frame by structure, bool (H, W) of the clip's size.

        Raises:
            DatasetError: They cannot be read.
        """
        image = frame.place.sized(self.source.images[frame.image])
        return united(self.source.planes(image), self.labels, frame.place)

    def protected(self) -> Iterator[tuple[str, int, str]]:
        """Return clip, frame and structure of all annotated masks: they are never overwritten."""
        return ((frame.clip, frame.frame, key) for frame in self.frames for key in frame.protected)


@dataclass
class _Tally:
    """Counts while a plan is made."""

    problems: Problems = field(default_factory=Problems)
    mask_counts: Counter[str] = field(default_factory=Counter)
    not_imported: Counter[str] = field(default_factory=Counter)
    unknown: int = 0
    placed: int = 0


def plan_import(
    project: Project,
    source: ForeignMasks,
    choices: ImportChoices | None = None,
    *,
    progress: Progress | None = None,
) -> ImportPlan:
    """Compare all masks of a source with those of the project; nothing is written.

    Args:
        project: Project to import into.
        source: Source of the masks.
        choices: A person's choices of labels, clip and numbers.
        progress: Called after every frame with images done and in all; False stops, and the plan is incomplete.

    Raises:
        DatasetError: Labels or images are ambiguous, or no label is a structure of the project.
        SchemaError: A label was mapped to a structure that the project does not have.
        ProjectError: The project cannot be read, or is a second reading.
    """
    choices = choices or ImportChoices()
    refuse_reading(project)
    tally = _Tally()
    for message in source.problems:
        tally.problems.add("source", message)
    labels = _match_source_labels(project, source, choices, tally.problems)
    match = match_frames(project, source, choices, tally.problems)
    planner = _Planner(project, source, labels, tally)
    frames: list[PlannedFrame] = []
    done, complete = 0, True
    for _, of_frame in groupby(match.images, lambda matched: (matched.clip, matched.frame)):
        images = list(of_frame)
        frames += planner.plan(images)
        done += len(images)
        if progress is not None and progress(done, len(match.images)) is False:
            complete = done == len(match.images)
            break
    return ImportPlan(
        source=source,
        labels=labels,
        frames=tuple(frames),
        recordings=match.recordings,
        matched_by=match.matched_by,
        mask_counts=dict(tally.mask_counts),
        not_imported=dict(tally.not_imported),
        unknown=tally.unknown,
        placed=tally.placed,
        problems=tally.problems.all(),
        complete=complete,
    )


def _match_source_labels(
    project: Project, source: ForeignMasks, choices: ImportChoices, problems: Problems
) -> LabelMatch:
    """Map the labels of a source; unknown labels become problems, no known label at all is an error."""
    labels = match_labels(source.labels, project.schema, choices.labels)
    if not labels.structures:
        raise DatasetError(
            f"none of the labels is a structure of the project ({', '.join(label.name for label in source.labels)})",
            path=source.path,
            remedy=f"Map the labels (--map LABEL=KEY). The project has {', '.join(project.schema.keys)}.",
        )
    for name in labels.unknown:
        problems.add("label", f"label {name!r} is not a structure of the project (--map it, or --skip it)")
    return labels


def refuse_reading(project: Project) -> None:
    """Refuse a second reading, since its reader must not see masks of others.

    Raises:
        ProjectError: The project is a second reading.
    """
    if reading_of(project) is not None:
        raise ProjectError(
            "masks cannot be imported into a second reading",
            path=project.folder,
            remedy="Import them into the project that is read.",
        )


@dataclass(frozen=True, eq=False)
class _ReadImage:
    """An image with its planes by structure, bool (H, W) of the clip's size."""

    number: int
    name: str
    place: Placement
    planes: dict[str, BoolArray]


class _Planner:
    """Plans one frame at a time; frames of one clip must follow each other."""

    def __init__(self, project: Project, source: ForeignMasks, labels: LabelMatch, tally: _Tally) -> None:
        self._project, self._source, self._labels, self._tally = project, source, labels, tally
        self._record: ClipRecord | None = None
        self._states: ByteArray = np.zeros((0, 0), np.uint8)

    def plan(self, images: Sequence[MatchedImage]) -> list[PlannedFrame]:
        """Plan all images of one frame: what each of those that have masks to import would do."""
        read = [result for matched in images if (result := self._read(matched)) is not None]
        self._drop_duplicates(read)
        clip, frame = images[0].clip, images[0].frame
        return [self._planned(clip, frame, image) for image in read if image.planes]

    def _read(self, matched: MatchedImage) -> _ReadImage | None:
        """Read the masks of an image; None if it does not fit its clip, or cannot be read."""
        record, image, problems = self._clip(matched.clip), matched.image, self._tally.problems
        place = placement(self._project, record, image, exported=matched.known)
        if place is None:
            sizes = f"{image.height}x{image.width}, the clip {record.path.name} {record.height}x{record.width}"
            problems.add("size", f"the image is {sizes} (height x width)", image.name)
            return None
        if place.crop is not None:
            self._tally.placed += 1
        try:
            foreign = self._source.planes(place.sized(image))
        except DatasetError as error:
            problems.add("damaged", "masks that cannot be read", str(error).rstrip("."))
            return None
        self._count(matched, foreign)
        return _ReadImage(image.number, image.name, place, united(foreign, self._labels, place))

    def _clip(self, clip_id: str) -> ClipRecord:
        if self._record is None or self._record.id != clip_id:
            self._record = self._project.clip(clip_id)
            self._states = self._project.states(clip_id)
        return self._record

    def _count(self, matched: MatchedImage, foreign: ForeignPlanes) -> None:
        tally = self._tally
        tally.unknown += foreign.unknown > 0
        tally.not_imported.update(foreign.left_out)
        for label in self._labels.structures:
            state = matched.image.states.get(label)
            if state in NOT_IMPORTED:
                tally.not_imported[NOT_IMPORTED[state]] += 1
            elif label in foreign.planes:
                with_pixels = bool(foreign.planes[label].any())
                tally.mask_counts[label] += with_pixels
                tally.not_imported.update({} if with_pixels else {"masks without pixels: absence is not imported": 1})

    def _drop_duplicates(self, images: Sequence[_ReadImage]) -> None:
        """Keep one of equal masks of a structure in several images of the frame, and none of masks that differ."""
        for key in dict.fromkeys(key for image in images for key in image.planes):
            first, *others = [image for image in images if key in image.planes]
            if all(np.array_equal(first.planes[key], other.planes[key]) for other in others):
                kept = first
            else:
                what = "images of the same frame have different masks of the same structure; none of them is imported"
                names = ", ".join(image.name for image in (first, *others))
                self._tally.problems.add("twice", what, f"{names}: {key}")
                kept = None
            for image in (first, *others):
                if image is not kept:
                    del image.planes[key]

    def _planned(self, clip: str, frame: int, image: _ReadImage) -> PlannedFrame:
        schema, states, planes = self._project.schema, self._states[frame], image.planes
        now = {key: MaskState(int(states[schema[key].index])) for key in planes}
        protected = tuple(key for key, state in now.items() if state.is_annotated)
        proposed = [key for key, state in now.items() if state is MaskState.PROPOSED]
        newest = self._project.newest(clip, frame) if proposed else {}
        same = tuple(key for key in proposed if is_same(newest.get(key), planes[key]))
        write = tuple(key for key in planes if key not in protected and key not in same)
        replaced = tuple(key for key in proposed if key not in same)
        return PlannedFrame(image.number, clip, frame, image.place, write, replaced, same, protected)


def united(foreign: ForeignPlanes, labels: LabelMatch, place: Placement) -> dict[str, BoolArray]:
    """Return the planes with pixels by structure, bool (H, W) of the clip: the union of all labels of a structure."""
    planes: dict[str, BoolArray] = {}
    for label, key in labels.structures.items():
        plane = foreign.planes.get(label)
        if plane is not None and plane.any():
            planes[key] = planes[key] | plane if key in planes else plane
    return {key: place.placed(plane) for key, plane in planes.items()}


def is_same(revision: Revision | None, plane: BoolArray) -> bool:
    """Return whether a revision is this mask, imported, and not annotated since."""
    if revision is None or revision.origin != "import" or revision.state is not MaskState.PROPOSED:
        return False
    mask = revision.mask
    return mask is not None and bool(np.array_equal(mask, plane))
