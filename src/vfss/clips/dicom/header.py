# SPDX-License-Identifier: Apache-2.0
"""The header of a DICOM file: geometry and encoding of its frames, read without the pixels."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pydicom
from pydicom.errors import InvalidDicomError

from vfss.clips.bounds import MOST_HEADER_READS, check_frame_size
from vfss.clips.clip import Facing
from vfss.clips.dicom.recognition import HEAD_BYTES, has_dicom_mark, starts_with_element
from vfss.clips.dicom.syntax import DEFLATED, declared_syntax, syntax_by_picture, syntax_to_read
from vfss.clips.dicom.times import facing_of
from vfss.clips.dicom.values import DICOM_ERRORS, integer, items, number
from vfss.clips.library_errors import COPY_AGAIN, reason
from vfss.errors import ClipError

_SEGMENTATION = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
_OTHER = "Choose the recording itself: an XA, XRF, Enhanced XA or XRF, or secondary capture object."
_PHOTOMETRIC = {"MONOCHROME1", "MONOCHROME2", "RGB", "PALETTE COLOR", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"}
_UNDEFINED = 0xFFFFFFFF


@dataclass(frozen=True)
class DicomHeader:
    """Geometry, coding and flags of the frames in one DICOM file.

    Attributes:
        path: The file.
        syntax: Transfer syntax UID.
        rows: Height of a frame.
        columns: Width of a frame.
        declared: Number of frames that the file declares, at least 1; None if it declares none.
        samples: 1 for grey and palette, 3 for colour.
        planar: Whether colour planes follow one another.
        photometric: Photometric interpretation.
        allocated: Bits allocated per sample, 8 or 16.
        stored: Bits stored per sample.
        high: Position of the highest stored bit.
        signed: Whether stored values are two's complements.
        pixels_at: Offset of the value of the Pixel Data element.
        pixels_length: Length of its value as declared; 0xFFFFFFFF where undefined.
        swapped: Whether bytes are stored in big-endian pairs (retired syntax).
        offsets: Extended offset table as stored, empty where there is none.
        palette: Grey or colour lookup tables for PALETTE COLOR, as pydicom's dataset, else None.
        facing: Side of the picture that the patient faces.
        window: Centre and width in stored values, None if the file declares none.
        padding: Lowest and highest stored value, read as unsigned, that stand for no measurement; None without.
        notes: Where header and pixel data disagree, one sentence each, without full stop.
    """

    path: Path
    syntax: pydicom.uid.UID
    rows: int
    columns: int
    declared: int | None
    samples: int
    planar: bool
    photometric: str
    allocated: int
    stored: int
    high: int
    signed: bool
    pixels_at: int
    pixels_length: int
    swapped: bool
    offsets: bytes
    palette: Any
    facing: Facing
    window: tuple[float, float] | None
    padding: tuple[int, int] | None
    notes: tuple[str, ...]

    @property
    def bits(self) -> int:
        """Significant bits of a grey value, 8 to 16."""
        return 8 if self.photometric == "PALETTE COLOR" else max(8, self.stored)


class HeaderStream(io.BufferedReader):
    """A file that gives pydicom no more than it has, and ends endless headers."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path), 2**16)
        self._path = path
        self._size = path.stat().st_size
        self._reads_left = MOST_HEADER_READS

    def read(self, size: int | None = -1, /) -> bytes:
        """Read at most `size` bytes of what is there.

        Raises:
            ClipError: All of the rest is asked for, or the header does not end.
        """
        self._reads_left -= 1
        if self._reads_left < 0:
            raise ClipError("its header does not end", path=self._path, remedy=COPY_AGAIN)
        if size is None or size < 0:  # pydicom reads the rest only to inflate it, to whatever size it may have
            raise ClipError(
                DEFLATED,
                path=self._path,
                remedy="Export it uncompressed, or convert it with: dcmconv +te FILE NEW.dcm",
            )
        # A value may claim 4 GiB, which would be allocated before a byte is read.
        return super().read(size if size < 2**16 else min(size, max(0, self._size - self.tell())))


def read_header(path: Path) -> tuple[DicomHeader, Any]:
    """Read everything before the pixel data; return it with pydicom's dataset, for what else it holds.

    Raises:
        ClipError: It is not DICOM, is damaged, has no pixel data, or is an object of another kind than a recording.
    """
    try:
        with HeaderStream(path) as stream:
            dataset = pydicom.dcmread(stream, stop_before_pixels=True, force=_has_no_preamble(path))
            declared = declared_syntax(path, dataset)
            pixels = _require_recording(path, dataset, _pixel_element(stream, dataset))
            by_picture = syntax_by_picture(stream, pixels.at) if pixels.length == _UNDEFINED else None
            return _header(path, dataset, pixels, *syntax_to_read(dataset, declared, by_picture)), dataset
    except InvalidDicomError as error:
        raise ClipError("is not a DICOM file", path=path, remedy="Choose another file, or export it again.") from error
    except DICOM_ERRORS as error:
        raise ClipError(
            f"is damaged: its header cannot be read ({reason(error)})", path=path, remedy=COPY_AGAIN
        ) from error


def _has_no_preamble(path: Path) -> bool:
    """Return whether a file starts with a data element instead of the DICOM preamble, as old exports do."""
    with path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    return not has_dicom_mark(head) and starts_with_element(head)


@dataclass(frozen=True)
class _PixelElement:
    at: int
    length: int
    is_words: bool


def _pixel_element(stream: Any, dataset: Any) -> _PixelElement | None:
    """Locate the value of the Pixel Data element at the position of the stream; None if there is none."""
    implicit, little = dataset.original_encoding
    order: Literal["little", "big"] = "little" if little else "big"
    start = stream.tell()
    head = stream.read(12)
    size = 8 if implicit else 12
    tag = (int.from_bytes(head[0:2], order), int.from_bytes(head[2:4], order))
    if len(head) < size or tag != (0x7FE0, 0x0010):
        return None
    is_words = not little and head[4:6] == b"OW"
    return _PixelElement(start + size, int.from_bytes(head[size - 4 : size], order), is_words)


def _require_recording(path: Path, dataset: Any, pixels: _PixelElement | None) -> _PixelElement:
    """Return the pixel element of a recording whose frames can be read one by one; refuse other objects."""
    kind = _kind(dataset)
    if str(dataset.get("SOPClassUID", "")) in _SEGMENTATION:
        raise ClipError(f"is a {kind} object, not a recording", path=path, remedy=_OTHER)
    missing = [key for key in ("Rows", "Columns", "BitsAllocated") if not dataset.get(key)]
    if pixels is None or missing:
        what = "no pixel data" if pixels is None else f"no {missing[0]}"
        raise ClipError(f"holds {what} ({kind})", path=path, remedy=_OTHER)
    return pixels


def _header(path: Path, dataset: Any, pixels: _PixelElement, syntax: Any, notes: tuple[str, ...]) -> DicomHeader:
    stored = int(dataset.get("BitsStored") or dataset.BitsAllocated)
    samples = int(dataset.get("SamplesPerPixel") or 1)
    photometric = str(dataset.get("PhotometricInterpretation") or ("RGB" if samples == 3 else "MONOCHROME2"))
    header = DicomHeader(
        path=path,
        syntax=syntax,
        rows=int(dataset.Rows),
        columns=int(dataset.Columns),
        declared=integer(dataset, "NumberOfFrames") or None,
        samples=samples,
        planar=int(dataset.get("PlanarConfiguration") or 0) == 1,
        photometric=photometric,
        allocated=int(dataset.BitsAllocated),
        stored=stored,
        high=int(dataset.get("HighBit") or stored - 1),
        signed=int(dataset.get("PixelRepresentation") or 0) == 1,
        pixels_at=pixels.at,
        pixels_length=pixels.length,
        swapped=pixels.is_words and int(dataset.BitsAllocated) == 8,
        offsets=bytes(dataset.get("ExtendedOffsetTable") or b""),
        palette=dataset if photometric == "PALETTE COLOR" else None,
        facing=facing_of(dataset),
        window=_window(dataset),
        padding=_padding(dataset) if photometric.startswith("MONOCHROME") else None,
        notes=notes,
    )
    _check(header, _kind(dataset))
    return header


def _check(header: DicomHeader, kind: str) -> None:
    if header.syntax in pydicom.uid.MPEGTransferSyntaxes:
        return  # the stream itself declares how its pictures are stored
    what = ""
    if header.declared is not None and header.declared < 1:
        what = f"declares {header.declared} frames"
    elif header.allocated not in (8, 16) or not 1 <= header.stored <= header.allocated:
        what = f"stores {header.stored} of {header.allocated} bits per pixel; 8 to 16 are read"
    elif header.high >= header.allocated or header.high < header.stored - 1:
        what = f"declares bit {header.high} as the highest of {header.stored} in {header.allocated}"
    elif header.samples not in (1, 3) or header.photometric not in _PHOTOMETRIC:
        what = f"stores pixels as {header.photometric[:32]!r} with {header.samples} samples, which is not supported"
    if what:
        raise ClipError(f"{what} ({kind})", path=header.path, remedy=f"Export it again. {_OTHER}")
    check_frame_size(header.rows, header.columns, path=header.path)


def _kind(dataset: Any) -> str:
    sop_class = dataset.get("SOPClassUID") or dataset.file_meta.get("MediaStorageSOPClassUID")
    if not sop_class:
        return "no SOP class"
    # A damaged identifier may contain anything, including the following elements.
    name = "".join(sign if sign.isprintable() else "?" for sign in str(getattr(sop_class, "name", sop_class))[:64])
    return name.removesuffix(" Storage")


def _window(dataset: Any) -> tuple[float, float] | None:
    """Return centre and width of the first declared window in stored values, with the rescaling undone."""
    voi, rescale = dataset, dataset
    for shared in items(dataset, "SharedFunctionalGroupsSequence")[:1]:
        voi = (items(shared, "FrameVOILUTSequence") or [dataset])[0]
        rescale = (items(shared, "PixelValueTransformationSequence") or [dataset])[0]
    centre, width = _value(voi, "WindowCenter"), _value(voi, "WindowWidth")
    if centre is None or width is None:
        return None
    slope, intercept = _value(rescale, "RescaleSlope") or 1.0, _value(rescale, "RescaleIntercept") or 0.0
    return (centre - intercept) / slope, width / abs(slope)


def _value(dataset: Any, keyword: str) -> float | None:
    written = number(dataset, keyword)
    return None if written is None else written.value


def _padding(dataset: Any) -> tuple[int, int] | None:
    """Return the stored values, as unsigned words, between which pixels are padding."""
    try:
        value, limit = dataset.get("PixelPaddingValue"), dataset.get("PixelPaddingRangeLimit")
        words = [int(found) & 0xFFFF for found in (value, limit) if found is not None]
    except DICOM_ERRORS:
        return None
    return (words[0], words[-1]) if value is not None else None
