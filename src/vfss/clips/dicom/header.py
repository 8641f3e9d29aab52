# SPDX-License-Identifier: Apache-2.0
"""The header of a DICOM file: geometry, encoding and times of its frames, read without the pixels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pydicom
from pydicom.errors import BytesLengthException, InvalidDicomError

from vfss.clips.clip import Facing
from vfss.clips.dicom.times import facing_of, times_ms
from vfss.clips.library_errors import COPY_AGAIN, DECODING_ERRORS, reason
from vfss.errors import ClipError

_SEGMENTATION = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
_OTHER = "Choose the recording itself: an XA, XRF, Enhanced XA or XRF, or secondary capture object."
_PHOTOMETRIC = {"MONOCHROME1", "MONOCHROME2", "RGB", "PALETTE COLOR", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"}

DICOM_ERRORS: tuple[type[Exception], ...] = (*DECODING_ERRORS, BytesLengthException, InvalidDicomError)


@dataclass(frozen=True)
class DicomHeader:
    """Geometry, coding and flags of the frames in one DICOM file.

    Attributes:
        path: The file.
        syntax: Transfer syntax UID.
        rows: Height of a frame.
        columns: Width of a frame.
        n_frames: Number of frames that the file declares, at least 1.
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
        offsets: Extended offset table, empty where there is none.
        palette: Grey or colour lookup tables for PALETTE COLOR, as pydicom's dataset, else None.
        times_ms: Presentation time of each frame in ms, None if the file does not declare any.
        facing: Side of the picture that the patient faces.
        window: Centre and width in stored values, None if the file declares none.
    """

    path: Path
    syntax: pydicom.uid.UID
    rows: int
    columns: int
    n_frames: int
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
    offsets: tuple[int, ...]
    palette: Any
    times_ms: tuple[float, ...] | None
    facing: Facing
    window: tuple[float, float] | None

    @property
    def bits(self) -> int:
        """Significant bits of a grey value, 8 to 16."""
        return 8 if self.photometric == "PALETTE COLOR" else max(8, self.stored)


def read_header(path: Path) -> DicomHeader:
    """Read everything before the pixel data.

    Raises:
        ClipError: It is not DICOM, is damaged, has no pixel data, or is an object of another kind than a recording.
    """
    try:
        with path.open("rb") as stream:
            dataset = pydicom.dcmread(stream, stop_before_pixels=True, force=_has_no_preamble(path))
            pixels = _pixel_element(stream, dataset)
        return _header(path, dataset, _require_recording(path, dataset, pixels))
    except InvalidDicomError as error:
        raise ClipError("is not a DICOM file", path=path, remedy="Choose another file, or export it again.") from error
    except DICOM_ERRORS as error:
        raise ClipError(
            f"is damaged: its header cannot be read ({reason(error)})", path=path, remedy=COPY_AGAIN
        ) from error


def _has_no_preamble(path: Path) -> bool:
    """Return whether a file starts with a data element instead of the DICOM preamble, as old exports do."""
    with path.open("rb") as stream:
        head = stream.read(132)
    return head[128:] != b"DICM" and head[:2] in (b"\x08\0", b"\x02\0") and head[3:4] == b"\0"


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
    if len(head) < size or tag != (0x7FE0, 0x0010) or _syntax(dataset).is_deflated:
        return None
    is_words = not little and head[4:6] == b"OW"
    return _PixelElement(start + size, int.from_bytes(head[size - 4 : size], order), is_words)


def _syntax(dataset: Any) -> Any:
    return dataset.file_meta.get("TransferSyntaxUID", pydicom.uid.ImplicitVRLittleEndian)


def _require_recording(path: Path, dataset: Any, pixels: _PixelElement | None) -> _PixelElement:
    """Return the pixel element of a recording whose frames can be read one by one; refuse other objects."""
    kind = _kind(dataset)
    if str(dataset.get("SOPClassUID", "")) in _SEGMENTATION:
        raise ClipError(f"is a {kind} object, not a recording", path=path, remedy=_OTHER)
    if _syntax(dataset).is_deflated:
        raise ClipError(
            "is deflated as a whole, so its frames cannot be read one by one",
            path=path,
            remedy="Export it uncompressed, or convert it with: dcmconv +te FILE NEW.dcm",
        )
    missing = [key for key in ("Rows", "Columns", "BitsAllocated") if not dataset.get(key)]
    if pixels is None or missing:
        what = "no pixel data" if pixels is None else f"no {missing[0]}"
        raise ClipError(f"holds {what} ({kind})", path=path, remedy=_OTHER)
    return pixels


def _header(path: Path, dataset: Any, pixels: _PixelElement) -> DicomHeader:
    stored = int(dataset.get("BitsStored") or dataset.BitsAllocated)
    samples = int(dataset.get("SamplesPerPixel") or 1)
    photometric = str(dataset.get("PhotometricInterpretation") or ("RGB" if samples == 3 else "MONOCHROME2"))
    n_frames = int(dataset.get("NumberOfFrames") or 1)
    offsets = dataset.get("ExtendedOffsetTable") or b""
    header = DicomHeader(
        path=path,
        syntax=_syntax(dataset),
        rows=int(dataset.Rows),
        columns=int(dataset.Columns),
        n_frames=n_frames,
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
        offsets=tuple(int.from_bytes(offsets[i : i + 8], "little") for i in range(0, len(offsets), 8)),
        palette=dataset if photometric == "PALETTE COLOR" else None,
        times_ms=times_ms(dataset, n_frames),
        facing=facing_of(dataset),
        window=_window(dataset),
    )
    _check(header, _kind(dataset))
    return header


def _check(header: DicomHeader, kind: str) -> None:
    if header.syntax in pydicom.uid.MPEGTransferSyntaxes:
        return  # the stream itself declares how its pictures are stored
    what = ""
    if header.n_frames < 1:
        what = f"declares {header.n_frames} frames"
    elif header.allocated not in (8, 16) or not 1 <= header.stored <= header.allocated:
        what = f"stores {header.stored} of {header.allocated} bits per pixel; 8 to 16 are read"
    elif header.high >= header.allocated or header.high < header.stored - 1:
        what = f"declares bit {header.high} as the highest of {header.stored} in {header.allocated}"
    elif header.samples not in (1, 3) or header.photometric not in _PHOTOMETRIC:
        what = f"stores pixels as {header.photometric} with {header.samples} samples, which is not supported"
    if what:
        raise ClipError(f"{what} ({kind})", path=header.path, remedy=f"Export it again. {_OTHER}")


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
    shared = dataset.get("SharedFunctionalGroupsSequence")
    if shared:
        voi = (shared[0].get("FrameVOILUTSequence") or [dataset])[0]
        rescale = (shared[0].get("PixelValueTransformationSequence") or [dataset])[0]
    centre, width = _first(voi.get("WindowCenter")), _first(voi.get("WindowWidth"))
    slope, intercept = _first(rescale.get("RescaleSlope")), _first(rescale.get("RescaleIntercept"))
    if centre is None or width is None:
        return None
    slope = slope or 1.0
    return (centre - (intercept or 0.0)) / slope, width / abs(slope)


def _first(value: Any) -> float | None:
    if value is None or isinstance(value, str):
        return None
    if hasattr(value, "__iter__"):
        value = next(iter(value), None)
    return None if value is None else float(value)
