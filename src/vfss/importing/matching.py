# SPDX-License-Identifier: Apache-2.0
"""Match foreign images to frames of clips: by the source's own metadata, by numbers in names, or by order.

Nothing is guessed: an ambiguous source is an error whose message says how to resolve it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from vfss.errors import DatasetError
from vfss.importing.names import natural
from vfss.importing.problems import Problems
from vfss.importing.recordings import ImportChoices, NamedImage, SourceRecording, expect_clips, recordings_of
from vfss.importing.source import ForeignImage, ForeignMasks
from vfss.project import ClipRecord, Project

_BY_SOURCE = "as stated in the source"
_BY_NAME = "by the names of an export"
_BY_ORDER = "in order, as there is one for every frame"


@dataclass(frozen=True)
class MatchedImage:
    """A foreign image with its frame.

    Attributes:
        image: The image.
        clip: Content id of its clip.
        frame: Zero-based frame index.
        known: True if the source or the case key states the clip: then the image may be a crop that an export made.
    """

    image: ForeignImage
    clip: str
    frame: int
    known: bool = False


@dataclass(frozen=True)
class FrameMatch:
    """Images of a source matched to frames, by clip in the project's order and by frame.

    Attributes:
        images: Images that belong to a frame.
        matched_by: By clip, how its frames were matched, as text for a person.
        recordings: Recordings of the source, each with its clip.
    """

    images: tuple[MatchedImage, ...]
    matched_by: Mapping[str, str]
    recordings: tuple[SourceRecording, ...] = ()


def match_frames(project: Project, source: ForeignMasks, choices: ImportChoices, problems: Problems) -> FrameMatch:
    """Match all images of a source to frames.

    Args:
        project: Project with the clips.
        source: Source with the images.
        choices: A person's choices.
        problems: Collects the images that match no frame.

    Raises:
        DatasetError: It is ambiguous to which clip or frame images belong.
        ProjectError: A chosen clip is not in the project.
    """
    if choices.first_frame not in (None, 0, 1):
        raise DatasetError(f"the first frame's number is {choices.first_frame}, not 0 or 1", remedy="Give 0 or 1.")
    records = {record.id: record for record in project.clips()}
    recordings = recordings_of(project, source, choices)
    expect_clips(recordings, records)
    matched: list[MatchedImage] = []
    matched_by: dict[str, str] = {}
    for recording in recordings:
        if recording.origin == "absent":
            for named in recording.images:
                problems.add("unmatched", f"the recording {recording.name} is not in the project", named.image.name)
    for clip_id, record in records.items():
        for recording in (recording for recording in recordings if recording.clip == clip_id):
            of_clip, matched_by[clip_id] = _frames(record, recording, choices.first_frame, problems)
            if recording.origin == "person" and _states_recording(recording):
                matched_by[clip_id] += (
                    f" (the source names another recording, {recording.name}, for which you chose this clip)"
                )
            matched += [replace(match, known=recording.origin in ("key", "source")) for match in of_clip]
    order = {clip_id: number for number, clip_id in enumerate(records)}
    matched.sort(key=lambda match: (order[match.clip], match.frame, match.image.number))
    return FrameMatch(tuple(matched), matched_by, recordings)


def _states_recording(recording: SourceRecording) -> bool:
    first = recording.images[0]
    return bool(first.image.clip or first.image.instance or first.name.recording)


def _frames(
    record: ClipRecord, recording: SourceRecording, first: int | None, problems: Problems
) -> tuple[list[MatchedImage], str]:
    """Match the images of one recording to frames of its clip; also return how they were matched."""
    images = _without_additions(recording, problems)
    stated = {named.image.number: frame for named in images if (frame := _stated_frame(recording, named)) is not None}
    if len(stated) == len(images):
        fitting = [named for named in images if _fits_volume(record, named.image, problems)]
        how = _BY_SOURCE if all(named.image.frame is not None for named in images) else _BY_NAME
        return _within(record, fitting, lambda image: stated[image.number], problems), how
    if stated:
        raise DatasetError(
            f"{len(stated)} of {len(images)} images state their frame, the others do not",
            remedy="Name all of them in the same way, or import the two kinds one after the other.",
        )
    return _by_number(record, images, first, problems)


def _without_additions(recording: SourceRecording, problems: Problems) -> list[NamedImage]:
    """Return the images without those whose names say that an exported frame was changed, e.g. "..._flipped.png"."""
    kept = []
    for named in recording.images:
        if named.name.addition and named.image.frame is None:
            what = "the name adds something to that of an exported frame, as names of altered copies do"
            problems.add("unmatched", what, named.image.name)
        else:
            kept.append(named)
    return kept


def _stated_frame(recording: SourceRecording, named: NamedImage) -> int | None:
    """Return the frame that the source states, or the name if its recording is known to be exported from here."""
    if named.image.frame is not None:
        return named.image.frame
    return named.name.frame if recording.origin in ("key", "source") else None


def _by_number(
    record: ClipRecord, images: Sequence[NamedImage], first: int | None, problems: Problems
) -> tuple[list[MatchedImage], str]:
    """Match images by the last number in their names, or by order if there is one for every frame."""
    if any(named.name.number is None for named in images):
        return _by_order(record, images), _BY_ORDER
    numbers = {named.image.number: int(named.name.number or 0) for named in images}
    duplicates = [number for number, times in Counter(numbers.values()).items() if times > 1]
    if duplicates:
        same = [named.image.name for named in images if numbers[named.image.number] == duplicates[0]]
        raise DatasetError(
            f"several images have the number {duplicates[0]}: {', '.join(same[:3])}",
            remedy="Make the frame number the last number in each name, and import clip by clip.",
        )
    low, high = min(numbers.values()), max(numbers.values())
    if first is None and high - low + 1 == len(numbers) == record.n_frames:
        base, how = low, _BY_ORDER
    else:
        base = _first_number(record, low, high) if first is None else first
        how = f"by the last number in the name, the first frame is {base}"
    return _within(record, images, lambda image: numbers[image.number] - base, problems), how


def _fits_volume(record: ClipRecord, image: ForeignImage, problems: Problems) -> bool:
    if image.depth in (None, record.n_frames):
        return True
    problems.add("frame", f"the volume has {image.depth} slices, the clip {record.n_frames} frames", image.name)
    return False


def _within(
    record: ClipRecord, images: Sequence[NamedImage], frame_of: Callable[[ForeignImage], int], problems: Problems
) -> list[MatchedImage]:
    """Return the images whose frame exists in the clip; the others become problems."""
    matched = []
    for image in (named.image for named in images):
        frame = frame_of(image)
        if 0 <= frame < record.n_frames:
            matched.append(MatchedImage(image, record.id, frame))
        else:
            what = f"the clip {record.path.name} has only the frames 0 to {record.n_frames - 1}"
            problems.add("frame", what, f"{image.name} (frame {frame})")
    return matched


def _by_order(record: ClipRecord, images: Sequence[NamedImage]) -> list[MatchedImage]:
    if len(images) != record.n_frames:
        raise DatasetError(
            f"{len(images)} images have no number in their name, and the clip {record.path.name} has "
            f"{record.n_frames} frames",
            remedy="Let the last number in each name be the frame number, or give one image for every frame.",
        )
    ordered = sorted(images, key=lambda named: natural(named.name.stem))
    return [MatchedImage(named.image, record.id, frame) for frame, named in enumerate(ordered)]


def _first_number(record: ClipRecord, low: int, high: int) -> int:
    """Return whether numbers in names begin at 0 or 1, if that is unambiguous."""
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
