# SPDX-License-Identifier: Apache-2.0
"""The transfer syntax of a DICOM file: what it declares, and what its first picture is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, BinaryIO

from pydicom import uid

from vfss.errors import ClipError

DEFLATED = "is deflated as a whole, so its frames cannot be read one by one"
_ITEM = b"\xfe\xff\x00\xe0"
_LOSSLESS = {0xC3: uid.JPEGLossless, 0xF7: uid.JPEGLSNearLossless}
_UID = re.compile(r"[0-9.]{1,64}")
_FAMILIES = {
    uid.ImplicitVRLittleEndian: "uncompressed",
    uid.ExplicitVRLittleEndian: "uncompressed",
    uid.ExplicitVRBigEndian: "uncompressed",
    uid.RLELossless: "RLE",
    uid.JPEGBaseline8Bit: "JPEG",
    uid.JPEGExtended12Bit: "JPEG",
    uid.JPEGLossless: "JPEG Lossless",
    uid.JPEGLosslessSV1: "JPEG Lossless",
    uid.JPEGLSLossless: "JPEG-LS",
    uid.JPEGLSNearLossless: "JPEG-LS",
    uid.JPEG2000: "JPEG 2000",
    uid.JPEG2000Lossless: "JPEG 2000",
}
"""Transfer syntaxes that are confused by writers, and by what their pictures are told apart."""


def declared_syntax(path: Path, dataset: Any) -> Any:
    """Return the transfer syntax that a file declares, None if it declares none.

    Raises:
        ClipError: It is private, unknown, or deflates the whole file.
    """
    declared = dataset.file_meta.get("TransferSyntaxUID")
    if not declared:
        return None
    syntax = uid.UID(str(declared))
    if syntax.is_private or not syntax.is_transfer_syntax:
        text = str(syntax) if _UID.fullmatch(str(syntax)) else "a damaged transfer syntax"
        raise ClipError(
            f"is stored as {text}, which is not read", path=path, remedy="Export it uncompressed from its source."
        )
    if syntax.is_deflated:
        raise ClipError(DEFLATED, path=path, remedy="Export it uncompressed from its source.")
    return syntax


def syntax_to_read(dataset: Any, declared: Any, by_picture: Any) -> tuple[Any, tuple[str, ...]]:
    """Return the transfer syntax in which pixels are read, and a note where it is not the declared one."""
    if declared is None:
        implicit, little = dataset.original_encoding
        native = uid.ExplicitVRLittleEndian if little else uid.ExplicitVRBigEndian
        return by_picture or (uid.ImplicitVRLittleEndian if implicit else native), ()
    family, found = _FAMILIES.get(declared), _FAMILIES.get(by_picture)
    if family is None or found is None or family == found:
        return declared, ()
    return by_picture, (f"declares {declared.name}, its first picture is {found}: read as that",)


def syntax_by_picture(stream: BinaryIO, at: int) -> Any:
    """Return the transfer syntax that the first picture of encapsulated pixel data has, None if it cannot be told.

    Args:
        stream: The file.
        at: Offset of the value of the Pixel Data element.
    """
    stream.seek(at)
    table = stream.read(8)
    if table[:4] != _ITEM:
        return None
    stream.seek(at + 8 + int.from_bytes(table[4:8], "little") + 8)
    data = stream.read(2**16 - 1)
    if data.startswith(b"\xff\x4f\xff\x51"):
        return uid.JPEG2000
    if data.startswith(b"\xff\xd8"):
        return _syntax_of_jpeg(data)
    is_rle = int.from_bytes(data[:4], "little") in range(1, 16) and int.from_bytes(data[4:8], "little") == 64
    return uid.RLELossless if is_rle else None


def _syntax_of_jpeg(data: bytes) -> Any:
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        if data[at + 1] in (0xC0, 0xC1, 0xC2):
            return uid.JPEGBaseline8Bit if data[at + 4 : at + 5] == b"\x08" else uid.JPEGExtended12Bit
        if data[at + 1] in _LOSSLESS:
            return _LOSSLESS[data[at + 1]]
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None
