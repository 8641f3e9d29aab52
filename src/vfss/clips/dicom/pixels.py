# SPDX-License-Identifier: Apache-2.0
"""Decoding of the bytes of one DICOM frame to stored grey values."""

from __future__ import annotations

from typing import Any

import gdcm
import numpy as np
import numpy.typing as npt
from pydicom import uid
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_color_lut, get_decoder

from vfss.clips.bounds import check_scans
from vfss.clips.clip import Frame
from vfss.clips.dicom.header import DicomHeader
from vfss.clips.grey import collapse

Samples = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

NATIVE = frozenset(
    {
        uid.ImplicitVRLittleEndian,
        uid.ExplicitVRLittleEndian,
        uid.ExplicitVRBigEndian,
        uid.UID("1.2.840.10008.1.2.1.98"),  # uncompressed, one fragment per frame: used above 4 GiB
    }
)
"""Transfer syntaxes of uncompressed frames."""

PICTURES = frozenset(
    {
        uid.RLELossless,
        uid.JPEGBaseline8Bit,
        uid.JPEGExtended12Bit,
        uid.JPEGLossless,
        uid.JPEGLosslessSV1,
        uid.JPEGLSLossless,
        uid.JPEGLSNearLossless,
        uid.JPEG2000Lossless,
        uid.JPEG2000,
    }
)
"""Transfer syntaxes of frames that are compressed one by one."""

VIDEO = frozenset(uid.MPEGTransferSyntaxes)
"""Transfer syntaxes of a video stream."""

_BY_PILLOW = frozenset({uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit})
"""Decoded by Pillow, which survives any damage to them; GDCM decodes the others, and 12 bits."""

# JPEG markers: frame headers, segments without a length, start of scan, Huffman tables, JPEG-LS frame header.
_FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
_STANDALONE = {0x01, *range(0xD0, 0xD9)}
_MOST_TILES = 4096
"""Tiles of a JPEG 2000 picture: its decoder takes kilobytes for each before it looks at the data."""

_SCAN, _TABLES, _LS_FRAME = 0xDA, 0xC4, 0xF7


def native_samples(header: DicomHeader, data: bytes) -> Samples:
    """Return the samples of an uncompressed frame as stored, uint8 or uint16 (H, W) or (H, W, 3).

    Raises:
        ValueError: There are too few bytes for a frame.
    """
    shape = (header.rows, header.columns)
    if header.swapped:
        data = np.frombuffer(data, "<u2").byteswap().tobytes()
    dtype = "u1" if header.allocated == 8 else "<u2" if header.syntax.is_little_endian else ">u2"
    stored = np.frombuffer(data, dtype)
    flat: Samples = stored.astype(np.uint8) if header.allocated == 8 else stored.astype(np.uint16)
    if header.samples == 1:
        return flat[: shape[0] * shape[1]].reshape(shape)
    if header.planar:
        return np.moveaxis(flat[: 3 * shape[0] * shape[1]].reshape(3, *shape), 0, -1)
    if header.photometric == "YBR_FULL_422":
        # Two pixels share their chrominance: Y Y Cb Cr.
        return flat[: 2 * shape[0] * shape[1]].reshape(-1, 4)[:, :2].reshape(*shape, 1)
    return flat[: 3 * shape[0] * shape[1]].reshape(*shape, 3)


def picture_samples(header: DicomHeader, data: bytes) -> tuple[Samples, str]:
    """Decode a compressed frame to samples, uint8 or uint16 (H, W) or (H, W, 3), and photometric interpretation.

    Raises:
        RuntimeError: No decoder could decode it.
        ValueError: The decoded bytes are not a frame.
    """
    if header.syntax == uid.RLELossless:
        _check_rle(header, data)
    else:
        check_head(data, header.rows, header.columns, header.samples, header.stored)
    if header.syntax == uid.JPEGExtended12Bit and header.stored > 8:
        return _extended_samples(header, data), header.photometric
    array, about = get_decoder(header.syntax).as_array(
        encapsulate([data]),
        index=0,
        raw=True,
        decoding_plugin="pillow" if header.syntax in _BY_PILLOW else "",
        number_of_frames=1,
        rows=header.rows,
        columns=header.columns,
        samples_per_pixel=header.samples,
        photometric_interpretation=_consistent_photometric(header),
        planar_configuration=int(header.planar),
        bits_allocated=header.allocated,
        # GDCM ends the whole process where less than a byte is used; stored_grey masks the bits anyway.
        bits_stored=8 if header.allocated == 8 else header.stored,
        pixel_representation=int(header.signed),
        pixel_keyword="PixelData",
    )
    unsigned = array.view(f"u{array.itemsize}")
    return unsigned, str(getattr(about["photometric_interpretation"], "value", about["photometric_interpretation"]))


def _consistent_photometric(header: DicomHeader) -> str:
    """Return a photometric interpretation that fits the samples: GDCM ends the whole process where it does not."""
    is_grey = header.photometric.startswith("MONOCHROME") or header.photometric == "PALETTE COLOR"
    if is_grey == (header.samples == 1):
        return header.photometric
    return "MONOCHROME2" if header.samples == 1 else "RGB"


def _extended_samples(header: DicomHeader, data: bytes) -> npt.NDArray[np.uint16]:
    """Decode a 12-bit JPEG frame with GDCM directly, because pydicom's GDCM plugin does not handle it."""
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(data)
    sequence = gdcm.SequenceOfFragments.New()
    sequence.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(sequence.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((header.columns, header.rows, 1))
    image.SetDataElement(element)
    grey = gdcm.PhotometricInterpretation.GetPIType("MONOCHROME2")
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(grey))
    syntax = gdcm.TransferSyntax.GetTSType(str.__str__(header.syntax))
    image.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    image.SetPixelFormat(gdcm.PixelFormat(header.samples, 16, 12, 11, int(header.signed)))
    buffer: Any = image.GetBuffer().encode("utf-8", "surrogateescape")
    return np.frombuffer(buffer, "<u2").astype(np.uint16).reshape(header.rows, header.columns)


def stored_grey(header: DicomHeader, samples: Samples, photometric: str, *, shifted: bool) -> Frame:
    """Convert samples to grey values: colour to grey, overlay bits masked out, signed values shifted up.

    Args:
        header: The header of the file.
        samples: uint8 or uint16 (H, W), (H, W, 1) or (H, W, 3).
        photometric: Photometric interpretation of the samples, which a decoder may have changed.
        shifted: Whether the stored bits may be in the high part of their word (uncompressed words and RLE).

    Returns:
        uint8 (H, W) if the values fit 8 bits, else uint16. A signed value v becomes v + 2**(stored - 1). Padding, which
        is no measurement, becomes the value that is shown darkest.
    """
    if photometric == "PALETTE COLOR":
        colour = apply_color_lut(samples, header.palette)
        return collapse((colour >> 8 if colour.dtype == np.uint16 else colour).astype(np.uint8))
    grey: Samples = samples
    if samples.ndim == 3:
        grey = samples[..., 0].copy() if photometric.startswith("YBR_FULL") else collapse(samples)
    low = header.high + 1 - header.stored if shifted else 0
    mask = (1 << header.stored) - 1
    values: npt.NDArray[np.uint16] = (grey.astype(np.uint16) >> np.uint16(low)) & np.uint16(mask)
    if header.signed:
        values ^= np.uint16(1 << (header.stored - 1))
    if header.padding is not None:
        values[is_padding(header, values)] = darkest(header)
    return values.astype(np.uint8) if header.bits == 8 else values


def is_padding(header: DicomHeader, values: npt.NDArray[np.uint16]) -> npt.NDArray[np.bool_]:
    """Return which grey values, uint16 (H, W) with signed ones shifted up, are declared as padding, bool (H, W)."""
    if header.padding is None:
        return np.zeros(values.shape, np.bool_)
    sign = 1 << (header.stored - 1) if header.signed else 0
    low, high = sorted((word & ((1 << header.stored) - 1)) ^ sign for word in header.padding)
    padded: npt.NDArray[np.bool_] = (values >= low) & (values <= high)
    return padded


def darkest(header: DicomHeader) -> int:
    """Return the grey value that is shown darkest: MONOCHROME1 is shown inverted."""
    return (1 << header.stored) - 1 if header.photometric == "MONOCHROME1" else 0


def _check_rle(header: DicomHeader, data: bytes) -> None:
    """Check that an RLE frame has no more bytes than the worst picture of its size, which bounds what it unpacks to.

    Raises:
        ValueError: It has.
    """
    size = header.rows * header.columns * header.samples * (header.allocated // 8)
    if len(data) > 2 * size + 1024:
        raise ValueError(f"it has {len(data)} bytes for a frame of {size}")


def picture_layout(data: bytes) -> tuple[int, str]:
    """Return samples per pixel and photometric interpretation of a compressed picture, by its own header.

    Raises:
        ValueError: It is no JPEG or JPEG 2000 picture, or damaged.
    """
    _, _, _, components = _size(data)
    if components == 1:
        return 1, "MONOCHROME2"
    return components, "YBR_FULL_422" if data.startswith(b"\xff\xd8") and _has_luma(data) else "RGB"


def rle_layout(data: bytes, allocated: int) -> tuple[int, str]:
    """Return samples per pixel and photometric interpretation of an RLE picture, by its number of segments.

    Raises:
        ValueError: It ends inside its header.
    """
    if len(data) < 64:
        raise ValueError("it ends inside its header")
    samples, rest = divmod(int.from_bytes(data[:4], "little"), allocated // 8)
    return 0 if rest else samples, "MONOCHROME2" if samples == 1 else "RGB"


def _has_luma(data: bytes) -> bool:
    """Return whether a JPEG picture of three components stores luma and chrominance, as libjpeg decides it."""
    adobe = data[:4096].find(b"\xff\xee\0\x0eAdobe")
    if adobe >= 0:
        return data[adobe + 15] != 0
    if b"JFIF" in data[:32]:
        return True
    at = next((at for at in (data.find(bytes([0xFF, mark, 0, 17])) for mark in (0xC0, 0xC1, 0xC2)) if at >= 0), -1)
    return at >= 0 and bytes(data[at + i] for i in (10, 13, 16)) != b"RGB"


def check_head(data: bytes, rows: int, columns: int, samples: int, stored: int) -> None:
    """Check that a compressed picture has the size and depth that the DICOM header declares.

    Args:
        data: The compressed picture.
        rows: Height in the DICOM header.
        columns: Width in the DICOM header.
        samples: Samples per pixel in the DICOM header.
        stored: Bits stored in the DICOM header.

    Raises:
        ValueError: It has not.
    """
    check_scans(data)
    precision, height, width, components = _size(data)
    if (height, width, components) != (rows, columns, samples):
        raise ValueError(
            f"the picture has {height} rows, {width} columns and {components} samples,"
            f" the header says {rows}, {columns} and {samples}"
        )
    if not 2 <= precision <= 16 or (precision > 8) != (stored > 8):
        raise ValueError(f"the picture has {precision} bits, the header says {stored}")


def _size(data: bytes) -> tuple[int, int, int, int]:
    """Return precision, height, width and components of a compressed picture."""
    if data.startswith(b"\0\0\0\x0cjP  "):  # wrapped in a JP2 file, which some exports do
        data = data[max(0, data.find(b"\xff\x4f\xff\x51")) :]
    if data.startswith(b"\xff\xd8"):
        return _jpeg_size(data)
    if data.startswith(b"\xff\x4f\xff\x51"):
        return _jpeg_2000_size(data)
    raise ValueError("it does not begin with a JPEG or JPEG 2000 marker")


def _jpeg_size(data: bytes) -> tuple[int, int, int, int]:
    """Return precision, height, width and components of a JPEG picture, after checking the segments up to its scan."""
    size: tuple[int, int, int, int] | None = None
    has_tables = False
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            raise ValueError("its segments are damaged")
        marker = data[at + 1]
        if marker == 0xFF or marker in _STANDALONE:
            at += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        body = data[at + 4 : at + 2 + length]
        if length < 2 or len(body) != length - 2:
            raise ValueError("its segments are damaged")
        if marker in _FRAMES:
            if size is not None or len(body) < 6 or len(body) != 6 + 3 * body[5]:
                raise ValueError("its frame header is damaged")
            size = body[0], int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big"), body[5]
            has_tables = has_tables or marker == _LS_FRAME
        has_tables = has_tables or marker == _TABLES
        if marker == _SCAN:
            if size is None or not has_tables or len(body) != 4 + 2 * body[0]:
                raise ValueError("its scan has no frame header or tables before it")
            return size
        at += 2 + length
    raise ValueError("it ends before its scan")


def _jpeg_2000_size(data: bytes) -> tuple[int, int, int, int]:
    """Return precision, height, width and components of a JPEG 2000 codestream."""
    if len(data) < 43:
        raise ValueError("it ends inside its header")
    right, bottom, left, top = (int.from_bytes(data[at : at + 4], "big") for at in (8, 12, 16, 20))
    components = int.from_bytes(data[40:42], "big")
    parts = data[42 : 42 + 3 * components]
    # GDCM ends the whole process on components that differ.
    if len(parts) < 3 or len(parts) != 3 * components or parts != bytes((parts[0], 1, 1)) * components:
        raise ValueError("its components are damaged, or differ from each other")
    tile_width, tile_height = (int.from_bytes(data[at : at + 4], "big") for at in (24, 28))
    tiles = -(-right // max(1, tile_width)) * -(-bottom // max(1, tile_height))
    if tiles > _MOST_TILES:
        raise ValueError(f"it declares {tiles} tiles; up to {_MOST_TILES} are decoded")
    return (data[42] & 0x7F) + 1, bottom - top, right - left, components
