# SPDX-License-Identifier: Apache-2.0
"""One page as a TIFF file of its own, with tags that were checked, for a decoder that would read the file differently.

Two parsers of a damaged file disagree about its layout; what one of them does not fill is what was in memory before.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

_SHORT, _LONG, _UNDEFINED = 3, 4, 7
_FORMATS = {_SHORT: "H", _LONG: "I"}
_PALETTE, _YCBCR = 3, 6


def single_page(page: Any, parts: Sequence[bytes]) -> bytes:
    """Return a little-endian TIFF file of one page.

    Args:
        page: tifffile's page, whose claims were checked.
        parts: Its strips or tiles, as they are stored.

    Raises:
        ValueError: A value of the page does not fit a TIFF file.
    """
    samples = int(page.samplesperpixel)
    bits = page.bitspersample if isinstance(page.bitspersample, tuple) else (page.bitspersample,) * samples
    tags: dict[int, tuple[int, Sequence[int] | bytes]] = {
        256: (_LONG, (page.imagewidth,)),
        257: (_LONG, (page.imagelength,)),
        258: (_SHORT, bits),
        259: (_SHORT, (int(page.compression),)),
        262: (_SHORT, (int(page.photometric),)),
        266: (_SHORT, (int(page.fillorder),)),
        277: (_SHORT, (samples,)),
        284: (_SHORT, (int(page.planarconfig or 1),)),
        317: (_SHORT, (int(page.predictor),)),
        339: (_SHORT, (int(page.sampleformat or 1),) * samples),
    }
    if page.extrasamples:
        tags[338] = _SHORT, tuple(int(value) for value in page.extrasamples)
    if page.jpegtables:
        tags[347] = _UNDEFINED, bytes(page.jpegtables)
    if int(page.photometric) == _YCBCR and page.subsampling:
        tags[530] = _SHORT, tuple(page.subsampling)
    if int(page.photometric) == _PALETTE and page.colormap is not None:
        tags[320] = _SHORT, tuple(int(value) for value in page.colormap.ravel())
    lengths = [len(part) for part in parts]
    if page.is_tiled:
        tags |= {322: (_LONG, (page.tilewidth,)), 323: (_LONG, (page.tilelength,))}
        offsets_tag, lengths_tag = 324, 325
    else:
        tags[278] = _LONG, (page.rowsperstrip,)
        offsets_tag, lengths_tag = 273, 279
    tags[lengths_tag] = _LONG, lengths
    tags[offsets_tag] = _LONG, [0] * len(parts)
    return _file(tags, offsets_tag, parts)


def _file(tags: dict[int, tuple[int, Sequence[int] | bytes]], offsets_tag: int, parts: Sequence[bytes]) -> bytes:
    directory_bytes = 2 + 12 * len(tags) + 4
    sizes = [len(_packed(*tag)) for tag in tags.values()]
    at = 8 + directory_bytes + sum(size + size % 2 for size in sizes if size > 4)
    offsets = []
    for part in parts:
        offsets.append(at)
        at += len(part) + len(part) % 2
    tags[offsets_tag] = _LONG, offsets
    entries, values, where = b"", b"", 8 + directory_bytes
    for code in sorted(tags):
        kind, value = tags[code]
        packed = _packed(kind, value)
        field = packed.ljust(4, b"\0")
        if len(packed) > 4:
            field = struct.pack("<I", where + len(values))
            values += packed + b"\0" * (len(packed) % 2)
        entries += struct.pack("<HHI", code, kind, len(value)) + field
    head = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags)) + entries + bytes(4) + values
    return head + b"".join(part + b"\0" * (len(part) % 2) for part in parts)


def _packed(kind: int, value: Sequence[int] | bytes) -> bytes:
    if isinstance(value, bytes):
        return value
    try:
        return struct.pack(f"<{len(value)}{_FORMATS[kind]}", *value)
    except struct.error as error:
        raise ValueError(f"{value[0]} is not a value of a TIFF tag") from error
