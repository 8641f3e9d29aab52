# SPDX-License-Identifier: Apache-2.0
"""Match foreign images to frames of clips: by the source's own metadata, by numbers in names, or by order.

Nothing is guessed: an ambiguous source is an error whose message says how to resolve it.
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

_BY_SOURCE = "as stated in the source"
_BY_ORDER = "in order, as there is one for every frame"


@dataclass(frozen=True)
class ImportChoices:
    """A person's choices for an import.

    Attributes:
        clip: Content id of the clip of images that do not state a clip themselves.
        labels: Key of the structure by label, None to leave a label out.
        key: Case key of the project that exported the masks; None for the project's own.
        first_frame: Number of the clip's first frame in file names, 0 or 1; None: inferred if it is unambiguous.
    """

    clip: str | None = None
    labels: Mapping[str, str | None] = field(default_factory=dict)
    first_frame: int | None = None
    key: Path | None = None


@dataclass(frozen=True)
class MatchedImage:
    """A foreign image with the content id of its clip and its zero-based frame."""

    image: ForeignImage
    clip: str
    frame: int


@dataclass(frozen=True)
class FrameMatch:
    """Images of a source matched to frames, by clip in the project's order and by frame.

    Attributes:
        images: Images that belong to a frame.
        matched_by: By clip, how its frames were matched, as text for a person.
    """

    images: tuple[MatchedImage, ...]
    matched_by: Mapping[str, str]


def match_frames(project: Project, source: ForeignMasks, choices: ImportChoices, problems: Problems) -> FrameMatch:
    """Match all images of a source to frames.

    Args:
        project: Project with the clips.
        source: Source with the images.
        choices: A person's choices.
        problems: Collects the images that match no frame.

    Raises:
        DatasetError: It is ambiguous to which clip or frame images belong.
        ProjectError: The chosen clip is not in the project.
    """
    if choices.first_frame not in (None, 0, 1):
        raise DatasetError(f"the first frame's number is {choices.first_frame}, not 0 or 1", remedy="Give 0 or 1.")
    if choices.clip is not None:
        project.clip(choices.clip)
    records = {record.id: record for record in project.clips()}
    key = CaseKey(choices.key or key_path(project))
    known = key.recordings
    images = [replace(image, clip=known.get(image.clip or "", image.clip)) for image in source.images]
    groups, some_matched = _by_clip(records, images, choices, problems, key if known else None)
    matched: list[MatchedImage] = []
    matched_by: dict[str, str] = {}
    for clip_id in (clip_id for clip_id in records if clip_id in groups):
        of_clip, matched_by[clip_id] = _frames(records[clip_id], groups[clip_id], choices.first_frame, problems)
        if not some_matched and (other := groups[clip_id][0].clip or groups[clip_id][0].instance):
            matched_by[clip_id] += f" (the source names another recording, {other}, for which you chose this clip)"
        matched += sorted(of_clip, key=lambda match: (match.frame, match.image.number))
    return FrameMatch(tuple(matched), matched_by)


def _by_clip(
    records: Mapping[str, ClipRecord],
    images: Sequence[ForeignImage],
    choices: ImportChoices,
    problems: Problems,
    key: CaseKey | None,
) -> tuple[dict[str, list[ForeignImage]], bool]:
    """Group images by clip, those without a clip under the clip that a person chose; also whether some had one."""
    instances = _instances(records.values()) if any(image.instance for image in images) else {}
    if key is not None:  # de-identified recordings have other UIDs
        instances |= {key.uid(uid): clip for uid, clip in instances.items()}
    groups: dict[str, list[ForeignImage]] = defaultdict(list)
    unknown: dict[str, list[ForeignImage]] = defaultdict(list)
    unnamed: list[ForeignImage] = []
    for image in images:
        clip_id = image.clip if image.clip is not None else instances.get(image.instance or "")
        recording = image.clip or image.instance
        if clip_id is not None and clip_id in records:
            groups[clip_id].append(image)
        elif recording is not None:
            unknown[recording].append(image)
        else:
            unnamed.append(image)
    some_matched = bool(groups)
    if some_matched:  # then masks that name another recording really are of another recording
        for recording, others in unknown.items():
            for image in others:
                problems.add("unmatched", f"the recording {recording} is not in the project", image.name)
    elif len(unknown) > 1 and choices.clip is not None:
        raise DatasetError(
            f"the masks are of {len(unknown)} recordings, but one clip was chosen for all of them",
            remedy="Import them recording by recording, or add their recordings to the project.",
        )
    else:
        unnamed += [image for others in unknown.values() for image in others]
    if unnamed:
        groups[_chosen_clip(records, unnamed, choices)] += unnamed
    return groups, some_matched


def _chosen_clip(records: Mapping[str, ClipRecord], images: Sequence[ForeignImage], choices: ImportChoices) -> str:
    """Return the clip that a person chose for images that name no clip of the project."""
    if choices.clip is None:
        names = ", ".join(record.path.name for record in list(records.values())[:5]) or "no clip yet"
        raise DatasetError(
            f"{len(images)} images name no clip of the project, e.g. {images[0].name}",
            remedy=f"Name the clip (--clip ID or FILE). The project has {names}.",
        )
    return choices.clip


def _instances(records: Iterable[ClipRecord]) -> dict[str, str]:
    """Return the ids of DICOM clips by SOP Instance UID; missing files are skipped."""
    clips: dict[str, str] = {}
    for record in records:
        try:
            if record.path.is_file():
                head = pydicom.dcmread(record.path, stop_before_pixels=True, specific_tags=["SOPInstanceUID"])
                clips[str(head.SOPInstanceUID)] = record.id
        except (*DECODING_ERRORS, InvalidDicomError):
            continue
    return clips


def _frames(
    record: ClipRecord, images: Sequence[ForeignImage], first: int | None, problems: Problems
) -> tuple[list[MatchedImage], str]:
    """Match the images of one clip to frames; also return how they were matched."""
    stated = [image for image in images if image.frame is not None]
    if len(stated) == len(images):
        fitting = [image for image in images if _fits_volume(record, image, problems)]
        return _within(record, fitting, lambda image: int(image.frame or 0), problems), _BY_SOURCE
    if stated:
        raise DatasetError(
            f"{len(stated)} of {len(images)} images state their frame, the others do not",
            remedy="Name all of them in the same way, or import the two kinds one after the other.",
        )
    numbers = [last_number(image.name) for image in images]
    if any(number is None for number in numbers):
        return _by_order(record, images, "have no number in their name"), _BY_ORDER
    known_numbers = [int(number or 0) for number in numbers]
    duplicates = [number for number, count in Counter(known_numbers).items() if count > 1]
    if duplicates:
        same = [image.name for image, number in zip(images, known_numbers, strict=True) if number == duplicates[0]]
        raise DatasetError(
            f"several images have the number {duplicates[0]}: {', '.join(same[:3])}",
            remedy="Make the frame number the last number in each name, and import clip by clip.",
        )
    consecutive = max(known_numbers) - min(known_numbers) + 1 == len(known_numbers) == record.n_frames
    if first is None and consecutive:
        return _by_order(record, images, ""), _BY_ORDER
    base = _first_number(record, known_numbers) if first is None else first
    by_name = {image.number: number - base for image, number in zip(images, known_numbers, strict=True)}
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
) -> list[MatchedImage]:
    """Return the images whose frame exists in the clip; the others become problems."""
    matched = []
    for image in images:
        frame = frame_of(image)
        if 0 <= frame < record.n_frames:
            matched.append(MatchedImage(image, record.id, frame))
        else:
            what = f"the clip {record.path.name} has only the frames 0 to {record.n_frames - 1}"
            problems.add("frame", what, f"{image.name} (frame {frame})")
    return matched


def _by_order(record: ClipRecord, images: Sequence[ForeignImage], why: str) -> list[MatchedImage]:
    if len(images) != record.n_frames:
        raise DatasetError(
            f"{len(images)} images {why}, and the clip {record.path.name} has {record.n_frames} frames",
            remedy="Let the last number in each name be the frame number, or give one image for every frame.",
        )
    ordered = sorted(images, key=lambda image: natural(image.name))
    return [MatchedImage(image, record.id, frame) for frame, image in enumerate(ordered)]


def _first_number(record: ClipRecord, numbers: Sequence[int]) -> int:
    """Return whether numbers in names begin at 0 or 1, if that is unambiguous."""
    low, high = min(numbers), max(numbers)
    if low == 0:
        return 0
    if high == record.n_frames:
        return 1
    ranges = f"the numbers in the names are {low} to {high}, the clip {record.path.name} has {record.n_frames} frames"
    if high < record.n_frames:
        raise DatasetError(
            f"{ranges}: the first frame may be 0 or 1", remedy="Give its number: --first-frame 0 or --first-frame 1."
        )
    raise DatasetError(
        f"{ranges}: they are not of this clip, or not frame numbers",
        remedy="Name the right clip (--clip); or give --first-frame 0 or 1: images beyond the clip are left out.",
    )
