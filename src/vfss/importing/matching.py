# SPDX-License-Identifier: Apache-2.0
"""Which frame of which clip a foreign image is: by what the source says, by numbers in names, or by order.

Nothing is guessed: what may be read in two ways is an error that says how to state it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pydicom
from pydicom.errors import InvalidDicomError

from vfss.clips.library_errors import DECODING_ERRORS
from vfss.datasets.identities import key_path
from vfss.errors import DatasetError
from vfss.importing.files import last_number, natural
from vfss.importing.problems import Problems
from vfss.importing.source import ForeignImage, ForeignMasks
from vfss.project import ClipRecord, Project
from vfss.project.case_key import CaseKey

_BY_SOURCE = "as the source says"
_BY_ORDER = "in order, as there is one for every frame"


@dataclass(frozen=True)
class ImportChoices:
    """What a person says about an import.

    Attributes:
        clip: Content id of the clip that images belong to which do not say so themselves.
        labels: Key of the structure by label, None to leave a label out.
        key: Case key of the project that exported the masks; None for the project's own.
        first_frame: Number of the clip's first frame in file names, 0 or 1; None: found out where it is plain.
    """

    clip: str | None = None
    labels: Mapping[str, str | None] = field(default_factory=dict)
    first_frame: int | None = None
    key: Path | None = None


@dataclass(frozen=True)
class Place:
    """Where an image belongs: content id of the clip and zero-based frame."""

    image: ForeignImage
    clip: str
    frame: int


@dataclass(frozen=True)
class FrameMatch:
    """Places of the images of a source, by clip in the project's order and by frame.

    Attributes:
        places: One for each image that belongs to a frame.
        how: By clip, in which way its frames were found, in words.
    """

    places: tuple[Place, ...]
    how: Mapping[str, str]


def match_frames(project: Project, source: ForeignMasks, choices: ImportChoices, problems: Problems) -> FrameMatch:
    """Places of all images.

    Args:
        project: Whose clips they are of.
        source: The images.
        choices: What a person says.
        problems: Gets those images that belong nowhere.

    Raises:
        DatasetError: It is not plain to which clip or frame images belong.
        ProjectError: The clip chosen is none of the project.
    """
    if choices.first_frame not in (None, 0, 1):
        raise DatasetError("the first frame's number is 0 or 1", remedy="Say 0 or 1.")
    if choices.clip is not None:
        project.clip(choices.clip)
    records = {record.id: record for record in project.clips()}
    key = CaseKey(choices.key or key_path(project))
    known = key.recordings
    images = [replace(image, clip=known.get(image.clip or "", image.clip)) for image in source.images]
    groups, some_named = _by_clip(records, images, choices, problems, key if known else None)
    places: list[Place] = []
    how: dict[str, str] = {}
    for clip_id in (clip_id for clip_id in records if clip_id in groups):
        found, how[clip_id] = _frames(records[clip_id], groups[clip_id], choices.first_frame, problems)
        if not some_named and (other := groups[clip_id][0].clip or groups[clip_id][0].instance):
            how[clip_id] += f" (of another recording, {other}, which you said is this clip)"
        places += sorted(found, key=lambda place: (place.frame, place.image.number))
    return FrameMatch(tuple(places), how)


def _by_clip(
    records: Mapping[str, ClipRecord],
    images: Sequence[ForeignImage],
    choices: ImportChoices,
    problems: Problems,
    key: CaseKey | None,
) -> tuple[dict[str, list[ForeignImage]], bool]:
    """Images by clip of the project, those that say none at the clip that a person named; and whether some say one."""
    instances = _instances(records.values()) if any(image.instance for image in images) else {}
    if key is not None:  # de-identified recordings have other UIDs
        instances |= {key.uid(uid): clip for uid, clip in instances.items()}
    groups: dict[str, list[ForeignImage]] = defaultdict(list)
    strangers: dict[str, list[ForeignImage]] = defaultdict(list)
    silent: list[ForeignImage] = []
    for image in images:
        clip_id = image.clip if image.clip is not None else instances.get(image.instance or "")
        recording = image.clip or image.instance
        if clip_id is not None and clip_id in records:
            groups[clip_id].append(image)
        elif recording is not None:
            strangers[recording].append(image)
        else:
            silent.append(image)
    some_named = bool(groups)
    if some_named:  # beside clips of the project, masks that say they are of another recording are of another recording
        for recording, others in strangers.items():
            for image in others:
                problems.add("unmatched", f"the recording {recording} is no clip of the project", image.name)
    elif len(strangers) > 1 and choices.clip is not None:
        raise DatasetError(
            f"the masks are of {len(strangers)} recordings, and one clip was named for them all",
            remedy="Import them recording by recording, or add their recordings to the project.",
        )
    else:
        silent += [image for others in strangers.values() for image in others]
    if silent:
        groups[_named(records, silent, choices)] += silent
    return groups, some_named


def _named(records: Mapping[str, ClipRecord], images: Sequence[ForeignImage], choices: ImportChoices) -> str:
    """The clip that a person named for images that name none of the project."""
    if choices.clip is None:
        names = ", ".join(record.path.name for record in list(records.values())[:5]) or "no clip yet"
        raise DatasetError(
            f"{len(images)} images do not say of which clip of the project they are, e.g. {images[0].name}",
            remedy=f"Name the clip (--clip ID or FILE). The project has {names}.",
        )
    return choices.clip


def _instances(records: Iterable[ClipRecord]) -> dict[str, str]:
    """Clips that are DICOM recordings, by SOP Instance UID; those that are not at their place are passed over."""
    found: dict[str, str] = {}
    for record in records:
        try:
            if record.path.is_file():
                head = pydicom.dcmread(record.path, stop_before_pixels=True, specific_tags=["SOPInstanceUID"])
                found[str(head.SOPInstanceUID)] = record.id
        except (*DECODING_ERRORS, InvalidDicomError):
            continue
    return found


def _frames(
    record: ClipRecord, images: Sequence[ForeignImage], first: int | None, problems: Problems
) -> tuple[list[Place], str]:
    """Places on one clip, and how they were found."""
    said = [image for image in images if image.frame is not None]
    if len(said) == len(images):
        kept = [image for image in images if _fits_volume(record, image, problems)]
        return _within(record, kept, lambda image: int(image.frame or 0), problems), _BY_SOURCE
    if said:
        raise DatasetError(
            f"{len(said)} of {len(images)} images say of which frame they are, the others do not",
            remedy="Name them all alike, or import them one after the other.",
        )
    numbers = [last_number(image.name) for image in images]
    if any(number is None for number in numbers):
        return _by_order(record, images, "have no number in their name"), _BY_ORDER
    counted = [int(number or 0) for number in numbers]
    twice = [number for number, count in Counter(counted).items() if count > 1]
    if twice:
        same = [image.name for image, number in zip(images, counted, strict=True) if number == twice[0]]
        raise DatasetError(
            f"several images have the number {twice[0]}: {', '.join(same[:3])}",
            remedy="Let the last number in a name be that of the frame, and import clip by clip.",
        )
    in_a_row = max(counted) - min(counted) + 1 == len(counted) == record.n_frames
    if first is None and in_a_row:
        return _by_order(record, images, ""), _BY_ORDER
    base = _first_number(record, counted) if first is None else first
    by_name = {image.number: number - base for image, number in zip(images, counted, strict=True)}
    return _within(record, images, lambda image: by_name[image.number], problems), (
        f"by the last number in the name, the first frame is {base}"
    )


def _fits_volume(record: ClipRecord, image: ForeignImage, problems: Problems) -> bool:
    if image.depth in (None, record.n_frames):
        return True
    problems.add("frame", f"the volume has {image.depth} slices, the clip {record.n_frames} frames", image.name)
    return False


def _within(
    record: ClipRecord, images: Sequence[ForeignImage], frame_of: Callable[[ForeignImage], int], problems: Problems
) -> list[Place]:
    """Places of images whose frame the clip has; the others are problems."""
    places = []
    for image in images:
        frame = frame_of(image)
        if 0 <= frame < record.n_frames:
            places.append(Place(image, record.id, frame))
        else:
            what = f"the clip {record.path.name} has no such frame, its frames are 0 to {record.n_frames - 1}"
            problems.add("frame", what, f"{image.name} (frame {frame})")
    return places


def _by_order(record: ClipRecord, images: Sequence[ForeignImage], why: str) -> list[Place]:
    if len(images) != record.n_frames:
        raise DatasetError(
            f"{len(images)} images {why}, and the clip {record.path.name} has {record.n_frames} frames",
            remedy="Name each image with its frame number last, or give one image for every frame.",
        )
    ordered = sorted(images, key=lambda image: natural(image.name))
    return [Place(image, record.id, frame) for frame, image in enumerate(ordered)]


def _first_number(record: ClipRecord, numbers: Sequence[int]) -> int:
    """Whether numbers in names begin at 0 or 1, where that is plain."""
    low, high = min(numbers), max(numbers)
    if low == 0:
        return 0
    if high == record.n_frames:
        return 1
    found = f"the numbers in the names are {low} to {high}, the clip {record.path.name} has {record.n_frames} frames"
    if high < record.n_frames:
        raise DatasetError(
            f"{found}: the first frame may be 0 or 1", remedy="Say which it is: --first-frame 0 or --first-frame 1."
        )
    raise DatasetError(
        f"{found}: they are not of this clip, or not frame numbers",
        remedy="Name the right clip (--clip); or say --first-frame 0 or 1, then what is beyond the clip is left out.",
    )
