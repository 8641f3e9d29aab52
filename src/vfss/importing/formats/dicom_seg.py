# SPDX-License-Identifier: Apache-2.0
"""DICOM segmentations of multi-frame recordings: BINARY, LABELMAP, and FRACTIONAL if a threshold is given."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.errors import InvalidDicomError
from pydicom.uid import SegmentationStorage

from vfss.clips.dicom.header import HeaderStream
from vfss.clips.dicom.values import DICOM_ERRORS
from vfss.clips.library_errors import reason
from vfss.errors import ClipError, DatasetError
from vfss.importing.files import entries_of
from vfss.importing.names import shown
from vfss.importing.source import (
    ForeignImage,
    ForeignLabel,
    ForeignMasks,
    ForeignPlanes,
    SourceKind,
    SourceOptions,
    checked_planes,
)
from vfss.masks import BoolArray
from vfss.masks.run_lengths import is_picture_size

_BROKEN = (*DICOM_ERRORS, InvalidDicomError, ClipError)
# It logs tracebacks of errors that are handled here, to standard error where nothing else is set up.
logging.getLogger("highdicom").addHandler(logging.NullHandler())
_CLASSES = (SegmentationStorage, "1.2.840.10008.5.1.4.1.1.66.7")  # the second one is Label Map Segmentation Storage
_SNOMED = ("SCT", "SRT", "SNM3")


@dataclass(frozen=True)
class _Part:
    """One frame of a segmentation file: index from 1, and the label of its segment; None if it holds all segments."""

    file: int
    index: int
    label: str | None


@dataclass(frozen=True, eq=False)
class _File:
    """One segmentation file, read frame by frame: its pixels stay on disk."""

    path: Path
    segmentation: Any
    labels: dict[int, ForeignLabel]


class DicomSegMasks:
    """Masks of one DICOM segmentation or of several in a folder; see ForeignMasks."""

    name = "dicom-seg"
    title = "DICOM segmentation"

    def __init__(self, path: Path, threshold: float | None) -> None:
        """Read everything but the pixels.

        Raises:
            DatasetError: There is no segmentation, it is fractional and no threshold was given, or it is malformed.
        """
        self.path = path
        self.problems: list[str] = []
        self.losses: list[str] = []
        self._threshold = threshold
        self._files: list[_File] = []
        self._parts: list[list[_Part]] = []
        self.images: list[ForeignImage] = []
        labels: dict[str, ForeignLabel] = {}
        files = _segmentations(path)
        if not files:
            raise DatasetError("holds no DICOM segmentation", path=path, remedy="Name the file of the segmentation.")
        for file in files:
            try:
                self._add_file(file)
            except _BROKEN as error:
                raise _broken(file, error) from error
            for label in self._files[-1].labels.values():
                if labels.setdefault(label.name, label) != label:
                    raise DatasetError(f"has a different meaning of {label.name!r} than the files before it", path=file)
        self.labels = list(labels.values())

    def _add_file(self, path: Path) -> None:
        import highdicom

        _expect_consistent(path)
        segmentation = highdicom.seg.segread(path, lazy_frame_retrieval=True)
        kind = str(segmentation.SegmentationType)
        if kind == "FRACTIONAL" and self._threshold is None:
            raise DatasetError(
                "is a fractional segmentation: its pixels are probabilities",
                path=path,
                remedy="Give the threshold from which on a pixel belongs to its segment, e.g. 0.5.",
            )
        file = _File(path, segmentation, _labels(segmentation))
        self._files.append(file)
        parts_of: dict[tuple[str, int], list[_Part]] = {}
        shared = segmentation.SharedFunctionalGroupsSequence[0]
        for index, groups in enumerate(segmentation.PerFrameFunctionalGroupsSequence, 1):
            source_frame = _source_frame(groups, shared, path, index)
            number = None if kind == "LABELMAP" else _segment(groups, shared)
            label = None if number is None else file.labels[number].name
            parts_of.setdefault(source_frame, []).append(_Part(len(self._files) - 1, index, label))
        height, width = int(segmentation.Rows), int(segmentation.Columns)
        for (instance, frame), parts in sorted(parts_of.items()):
            name = f"{shown(path.name)}, frame {frame + 1}"
            self.images.append(ForeignImage(len(self.images), name, height, width, instance=instance, frame=frame))
            self._parts.append(parts)

    def planes(self, image: ForeignImage) -> ForeignPlanes:
        """See ForeignMasks.planes."""
        planes: dict[str, BoolArray] = {}
        for part in self._parts[image.number]:
            file = self._files[part.file]
            try:
                pixels = np.asarray(file.segmentation.get_stored_frame(part.index))
                of_part = self._planes_of_part(file, part, pixels)
            except _BROKEN as error:
                raise _broken(file.path, error) from error
            for label, plane in of_part.items():
                planes[label] = planes[label] | plane if label in planes else plane
        return ForeignPlanes(checked_planes(image, planes, self.path))

    def _planes_of_part(self, file: _File, part: _Part, pixels: Any) -> dict[str, BoolArray]:
        if part.label is None:
            return {label.name: pixels == number for number, label in file.labels.items() if (pixels == number).any()}
        if self._threshold is not None and file.segmentation.SegmentationType == "FRACTIONAL":
            maximum = float(file.segmentation.MaximumFractionalValue)
            return {part.label: pixels >= max(self._threshold * maximum, np.finfo(np.float64).tiny)}
        return {part.label: pixels > 0}


def _labels(segmentation: Any) -> dict[int, ForeignLabel]:
    labels: dict[int, ForeignLabel] = {}
    for segment in segmentation.SegmentSequence:
        number, name = int(segment.SegmentNumber), str(segment.SegmentLabel).strip()
        if number == 0 and str(segmentation.SegmentationType) == "LABELMAP":
            continue  # the background, which a label map may list as a segment
        if name in {label.name for label in labels.values()}:
            name = f"{name} (segment {number})"
        types = segment.get("SegmentedPropertyTypeCodeSequence") or [{}]
        snomed = types[0].get("CodingSchemeDesignator") in _SNOMED
        meaning = str(types[0].get("CodeMeaning", ""))
        code = str(types[0].get("CodeValue")) if snomed else None
        labels[number] = ForeignLabel(name, meaning, code)
    return labels


def _group(groups: Any, shared: Any, name: str) -> Any:
    return groups.get(name) or shared.get(name) or []


def _segment(groups: Any, shared: Any) -> int:
    return int(_group(groups, shared, "SegmentIdentificationSequence")[0].ReferencedSegmentNumber)


def _source_frame(groups: Any, shared: Any, path: Path, index: int) -> tuple[str, int]:
    """Return instance and zero-based frame of the recording to which a frame of a segmentation belongs."""
    sources = [
        source
        for derivation in _group(groups, shared, "DerivationImageSequence")
        for source in derivation.get("SourceImageSequence") or []
    ]
    numbers = [source.get("ReferencedFrameNumber") for source in sources]
    if len(numbers) != 1 or not isinstance(numbers[0], int):  # one may name several frames, or none
        raise DatasetError(
            f"does not reference exactly one frame of a recording in its frame {index}",
            path=path,
            remedy="Only segmentations of multi-frame recordings can be imported, with one ReferencedFrameNumber each.",
        )
    return str(sources[0].ReferencedSOPInstanceUID), int(numbers[0]) - 1


def _segmentations(path: Path) -> list[Path]:
    """Return the file itself, or those of a folder, if they are DICOM segmentations."""
    return [
        file for file in ([path] if path.is_file() else entries_of(path)) if file.is_file() and _is_segmentation(file)
    ]


def _is_segmentation(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            file.seek(128)
            if file.read(4) != b"DICM":
                return False
        with HeaderStream(path) as stream:
            head = pydicom.dcmread(stream, stop_before_pixels=True, specific_tags=["SOPClassUID"])
        return head.get("SOPClassUID") in _CLASSES
    except _BROKEN:
        return False


def _expect_consistent(path: Path) -> None:
    """Check what a segmentation claims against its file, before the library allocates anything for it.

    Raises:
        DatasetError: It claims frames that it does not describe, or pixels that it cannot hold.
    """
    with HeaderStream(path) as stream:
        head = pydicom.dcmread(stream, stop_before_pixels=True)
    frames, described = int(head.NumberOfFrames), len(head.PerFrameFunctionalGroupsSequence)
    height, width, bits = int(head.Rows), int(head.Columns), int(head.BitsAllocated)
    if frames != described or not is_picture_size(height, width) or bits not in (1, 8, 16):
        raise DatasetError(
            f"claims {frames} frames of {height} x {width} pixels with {bits} bits, and describes {described} frames",
            path=path,
            remedy="Export it again from the program that made it.",
        )
    syntax = head.file_meta.TransferSyntaxUID
    claimed = frames * height * width * bits // 8
    if not syntax.is_compressed and claimed > path.stat().st_size:
        raise DatasetError(
            f"claims {claimed} bytes of pixels, and has {path.stat().st_size}",
            path=path,
            remedy="Copy it again: it may be cut off.",
        )


def _broken(path: Path, error: BaseException) -> DatasetError:
    return DatasetError(
        f"is a damaged or unusual segmentation ({type(error).__name__}: {reason(error)})",
        path=path,
        remedy="Copy or export it again: it may be cut off.",
    )


def _open(path: Path, options: SourceOptions) -> ForeignMasks:
    return DicomSegMasks(path, options.threshold)


DICOM_SEG = SourceKind("dicom-seg", "DICOM segmentation", lambda path: bool(_segmentations(path)), _open)
