# SPDX-License-Identifier: Apache-2.0
"""The head of a JPEG, JPEG-LS or JPEG 2000 picture, checked before native code trusts it.

GDCM ends the whole process on heads that contradict the DICOM header or themselves; nothing here decodes pixels.
"""

from __future__ import annotations

_FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
_STANDALONE = {0x01, *range(0xD0, 0xD9)}
_SCAN, _TABLES, _LS_FRAME = 0xDA, 0xC4, 0xF7


def check_head(data: bytes, rows: int, columns: int, samples: int, stored: int) -> None:
    """See that a picture is of the size and kind that the DICOM header says.

    Args:
        data: The compressed picture.
        rows: Height that the DICOM header says.
        columns: Width that the DICOM header says.
        samples: Samples per pixel that the DICOM header says.
        stored: Bits stored that the DICOM header says.

    Raises:
        ValueError: It is not.
    """
    if data.startswith(b"\0\0\0\x0cjP  "):  # wrapped in a JP2 file, which some exports do
        data = data[max(0, data.find(b"\xff\x4f\xff\x51")) :]
    if data.startswith(b"\xff\xd8"):
        found = _jpeg_size(data)
    elif data.startswith(b"\xff\x4f\xff\x51"):
        found = _jpeg_2000_size(data)
    else:
        raise ValueError("it does not begin like a picture")
    precision, height, width, components = found
    if (height, width, components) != (rows, columns, samples):
        raise ValueError(
            f"the picture has {height} rows, {width} columns and {components} samples,"
            f" the header says {rows}, {columns} and {samples}"
        )
    if not 2 <= precision <= 16 or (precision > 8) != (stored > 8):
        raise ValueError(f"the picture has {precision} bits, the header says {stored}")


def _jpeg_size(data: bytes) -> tuple[int, int, int, int]:
    """Precision, height, width and components of a JPEG picture whose segments lead to its scan."""
    found: tuple[int, int, int, int] | None = None
    tables = False
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
            if found is not None or len(body) < 6 or len(body) != 6 + 3 * body[5]:
                raise ValueError("its frame header is damaged")
            found = body[0], int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big"), body[5]
            tables = tables or marker == _LS_FRAME
        tables = tables or marker == _TABLES
        if marker == _SCAN:
            if found is None or not tables or len(body) != 4 + 2 * body[0]:
                raise ValueError("its scan comes without frame header or tables")
            return found
        at += 2 + length
    raise ValueError("it ends before its scan")


def _jpeg_2000_size(data: bytes) -> tuple[int, int, int, int]:
    """Precision, height, width and components of a JPEG 2000 codestream."""
    if len(data) < 43:
        raise ValueError("it ends inside its head")
    right, bottom, left, top = (int.from_bytes(data[at : at + 4], "big") for at in (8, 12, 16, 20))
    components = int.from_bytes(data[40:42], "big")
    return (data[42] & 0x7F) + 1, bottom - top, right - left, components
