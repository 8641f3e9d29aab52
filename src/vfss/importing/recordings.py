# SPDX-License-Identifier: Apache-2.0
"""Sort the images of a source by recording, and find the clip of each recording.

A recording's clip is what the source states, what the case key of this project says of the name of an export, or what a
person chose. The files of two recordings are never put on one clip.
"""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pydicom
from pydicom.errors import InvalidDicomError

from vfss.clips.dicom.header import HeaderStream
from vfss.clips.dicom.values import DICOM_ERRORS
from vfss.datasets.identities import key_path
from vfss.errors import ClipError, DatasetError
from vfss.importing.names import FrameName, read_names
from vfss.importing.source import ForeignImage, ForeignMasks
from vfss.project import ClipRecord, Project
from vfss.project.case_key import CaseKey
from vfss.wording import count, listed

Origin = Literal["source", "key", "person", "left out", "unknown", "absent"]
_SHOWN = 5
UNNAMED = "(no name)"


@dataclass(frozen=True)
class ImportChoices:
    """A person's choices for an import.

    Attributes:
        clip: Content id of the clip of images that do not state a clip themselves.
        labels: Key of the structure by label, None to leave a label out.
        first_frame: Number of the clip's first frame in file names, 0 or 1; None: inferred if it is unambiguous.
        key: Case key of the project that exported the masks; None for the project's own.
        recordings: Content id of the clip by name of a recording in the source, None to leave the recording out.
    """

    clip: str | None = None
    labels: Mapping[str, str | None] = field(default_factory=dict)
    first_frame: int | None = None
    key: Path | None = None
    recordings: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class NamedImage:
    """An image, and what its name tells where the source states nothing itself."""

    image: ForeignImage
    name: FrameName


@dataclass(frozen=True)
class SourceRecording:
    """The images of one recording in a source.

    Attributes:
        name: Name of the recording: as stated in the source, in an export, or what the names of its files share.
        images: Its images.
        clip: Content id of its clip in the project; None if it is not known, or its images are left out.
        origin: Who says which clip it is: the source or the case key; a person; unknown: nobody yet; absent: the source
            or the key names a recording that is not in the project; left out: a person leaves it out.
    """

    name: str
    images: Sequence[NamedImage]
    clip: str | None
    origin: Origin

    @property
    def exported(self) -> bool:
        """True if its name is one that an export of a project has given."""
        return bool(self.images[0].name.recording)

    @property
    def title(self) -> str:
        """Name for a person."""
        return self.name or UNNAMED


def recordings_of(project: Project, source: ForeignMasks, choices: ImportChoices) -> tuple[SourceRecording, ...]:
    """Sort the images of a source by recording, in the order of the source, and find the clips.

    Raises:
        DatasetError: The case key cannot be read, a choice names an unknown recording or contradicts the source or the
            key, or the images of two recordings would go to one clip.
        ProjectError: A chosen clip is not in the project.
    """
    key = CaseKey(choices.key or key_path(project))
    records = {record.id: record for record in project.clips()}
    for clip_id in {choices.clip, *choices.recordings.values()} - {None}:
        project.clip(str(clip_id))
    known = key.recordings
    groups = _grouped(source.images)
    instances: dict[str, str] = {}
    if any(image.instance for image in source.images):
        instances = _instances(records.values())
        if known:  # de-identified recordings have other UIDs
            instances |= {key.uid(uid): clip for uid, clip in instances.items()}
            instances |= {key.new_uid("SOPInstanceUID", clip): clip for clip in records}
    if unknown := [name for name in choices.recordings if name not in groups]:
        raise DatasetError(
            f"there is no recording {unknown[0] or UNNAMED!r} in the source",
            path=source.path,
            remedy=f"Its recordings are: {listed([name or UNNAMED for name in groups], _SHOWN)}.",
        )
    finder = _Finder(records, known, instances, choices)
    found = [finder.find(name, images) for name, images in groups.items()]
    found = _with_the_one_clip(found, choices)
    _expect_one_recording_each(found, records)
    return tuple(found)


def _grouped(images: Sequence[ForeignImage]) -> dict[str, list[NamedImage]]:
    groups: dict[str, list[NamedImage]] = defaultdict(list)
    names = read_names([image.file or image.name for image in images])
    for image, name in zip(images, names, strict=True):
        of_file = name.series if image.depth is None else name.recording or name.stem  # a volume is a recording
        groups[image.clip or image.instance or of_file].append(NamedImage(image, name))
    return groups


@dataclass(frozen=True)
class _Finder:
    """Finds the clips of recordings.

    Attributes:
        records: Clips of the project by content id.
        known: Content ids by name in an export, from the case key.
        instances: Content ids by SOP Instance UID.
        choices: A person's choices.
    """

    records: Mapping[str, ClipRecord]
    known: Mapping[str, str]
    instances: Mapping[str, str]
    choices: ImportChoices

    def find(self, name: str, images: list[NamedImage]) -> SourceRecording:
        """Return a recording with its clip, if the source, the key or a person says which it is."""
        first, chosen = images[0], self.choices.recordings.get(name)
        left_out = name in self.choices.recordings and chosen is None
        stated = first.image.clip or first.name.recording
        clip = self.instances.get(name) if first.image.instance else self.known.get(stated, stated)
        if clip is not None and clip in self.records:
            if chosen not in (clip, None):
                raise DatasetError(
                    f"{name} is {self.records[clip].path.name}, as the source or the case key states, and not "
                    f"{self.records[str(chosen)].path.name}",
                    remedy="Choose no clip for it, or leave it out.",
                )
            origin: Origin = "key" if stated in self.known else "source"
            return SourceRecording(name, images, None if left_out else clip, "left out" if left_out else origin)
        if name in self.choices.recordings:
            return SourceRecording(name, images, chosen, "left out" if left_out else "person")
        return SourceRecording(name, images, None, "absent" if stated or first.image.instance else "unknown")


def _with_the_one_clip(found: list[SourceRecording], choices: ImportChoices) -> list[SourceRecording]:
    """Give the clip that a person chose for everything to the only recording without a clip."""
    open_ones = _open(found)
    if choices.clip is None or not open_ones:
        return found
    if len(open_ones) > 1:
        raise DatasetError(
            f"the masks are of {len(open_ones)} recordings ({listed([r.title for r in open_ones], _SHOWN)}), but one "
            "clip was chosen for all of them",
            remedy="Name the clip of each (--recording NAME=CLIP), or import them recording by recording.",
        )
    only = open_ones[0]
    chosen = SourceRecording(only.name, only.images, choices.clip, "person")
    return [chosen if recording is only else recording for recording in found]


def _expect_one_recording_each(found: Sequence[SourceRecording], records: Mapping[str, ClipRecord]) -> None:
    """Refuse that the images of two recordings go to one clip.

    Two names of one clip that both the source or the key knows are not two recordings.
    """
    by_clip: dict[str, list[SourceRecording]] = defaultdict(list)
    for recording in found:
        if recording.clip is not None:
            by_clip[recording.clip].append(recording)
    for clip, several in by_clip.items():
        if len(several) > 1 and any(recording.origin == "person" for recording in several):
            raise DatasetError(
                f"images of {count(len(several), 'recording')} ({listed([r.title for r in several], _SHOWN)}) would go "
                f"to one clip, {records[clip].path.name}",
                remedy="Choose another clip for each, or leave all but one out (--recording NAME=).",
            )


def suggested_clips(found: Sequence[SourceRecording], clip: str | None) -> dict[str, str | None]:
    """Return initial choices: a clip, e.g. the open one, for the only recording, if its files name none."""
    if clip is None or len(found) != 1 or found[0].origin != "unknown":
        return {}
    return {found[0].name: clip}


def _open(found: Sequence[SourceRecording]) -> list[SourceRecording]:
    """Return the recordings for which a person must choose a clip.

    Where some recordings are in the project, one that is named and is not really is of another recording.
    """
    some = any(recording.origin in ("key", "source") for recording in found)
    return [r for r in found if r.origin == "unknown" or (r.origin == "absent" and not some)]


def expect_clips(found: Sequence[SourceRecording], records: Mapping[str, ClipRecord]) -> None:
    """Check that it is known of every recording which clip it is, or that it is left out or not in the project.

    Raises:
        DatasetError: A person must choose.
    """
    undecided = _open(found)
    if not undecided:
        return
    images = [named.image for recording in undecided for named in recording.images]
    names = listed([record.path.name for record in records.values()], _SHOWN) or "no clip yet"
    name = count(len(images), "image names", "images name")
    example = f"{name} no clip of the project, e.g. {images[0].name}"
    exported = [recording.title for recording in undecided if recording.exported]
    if exported:
        raise DatasetError(
            f"{example}: {listed(exported, _SHOWN)} {'are names' if len(exported) > 1 else 'is the name'} of exported "
            "recordings that this project, by its case key, does not have",
            remedy="Give the case key of the project that exported them (--key FILE), or name the clip of each "
            f"recording (--recording {exported[0]}=CLIP). The project has {names}.",
        )
    several = len(undecided) > 1
    example_of = shlex.quote(f"{undecided[0].title}=CLIP")
    raise DatasetError(
        example
        + (f": they are of {len(undecided)} recordings ({listed([r.title for r in undecided], _SHOWN)})" * several),
        remedy=f"Name the clip {f'of each (--recording {example_of})' if several else '(--clip ID or FILE)'}. "
        f"The project has {names}.",
    )


def _instances(records: Iterable[ClipRecord]) -> dict[str, str]:
    """Return the ids of DICOM clips by SOP Instance UID; missing files are skipped."""
    clips: dict[str, str] = {}
    for record in records:
        try:
            if record.path.is_file():
                with HeaderStream(record.path) as stream:
                    head = pydicom.dcmread(stream, stop_before_pixels=True, specific_tags=["SOPInstanceUID"])
                clips[str(head.SOPInstanceUID)] = record.id
        except (*DICOM_ERRORS, InvalidDicomError, ClipError):
            continue
    return clips
