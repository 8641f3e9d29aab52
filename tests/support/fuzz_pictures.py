# SPDX-License-Identifier: Apache-2.0
"""DICOM files, TIFF files and folders of pictures that claim what is not so: structure kept, contents wild.

Files are put together from elements, tags and chunks, so that a lie gets past the first check of a library: a byte that
is flipped somewhere (mutations.py) mostly does not. `cases(seed)` yields them without end, the same for the same seed.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from PIL import Image

import clip_material
from mutations import LIES, mutated

Content = bytes | dict[str, bytes]
"""A file, or the files of a folder by name."""
Element = tuple[int, str, bytes]
"""Tag, value representation, value."""

_FRAMES = 4
_LONG = frozenset({"OB", "OW", "OF", "OD", "OL", "OV", "SQ", "UC", "UR", "UT", "UN", "SV", "UV"})
_KINDS = ("OB", "OW", "UN", "US", "SS", "UL", "FD", "FL", "DS", "IS", "LO", "CS", "AT", "UI", "SQ", "UT", "??", "\0\0")
_TEXTS = (
    b"",
    b"0",
    b"-1",
    b"1",
    b"2",
    b"3",
    b"30",
    b"66,667",
    b"33.3",
    b"1e400",
    b"1e-400",
    b"-1e300",
    b"NaN",
    b"inf",
    b"2147483647",
    b"4294967295",
    b"99999999999999999999999",
    b"abc",
    b"\\",
    b"\\\\\\",
    b"1\\2",
    b"0\\0",
    b"1\\-1",
    b"0\\33\\x\\33",
    b"33.3\\" * 1000,
    b"\xff\xfe\x80",
    b" " * 64,
    b"9" * 5000,
)
_WORDS = (0, 1, 2, 3, 4, 7, 8, 9, 12, 15, 16, 17, 32, 255, 4095, 32767, 32768, 65535)
_SYNTAXES = (
    b"1.2.840.10008.1.2",
    b"1.2.840.10008.1.2.1",
    b"1.2.840.10008.1.2.2",
    b"1.2.840.10008.1.2.1.98",
    b"1.2.840.10008.1.2.1.99",
    b"1.2.840.10008.1.2.5",
    b"1.2.840.10008.1.2.4.50",
    b"1.2.840.10008.1.2.4.51",
    b"1.2.840.10008.1.2.4.70",
    b"1.2.840.10008.1.2.4.80",
    b"1.2.840.10008.1.2.4.90",
    b"1.2.840.10008.1.2.4.91",
    b"1.2.840.10008.1.2.4.102",
    b"1.2.840.10008.1.2.4.201",
    b"1.2.840.10008.5.1.4.1.1.7",
    b"1.2.840.113619.5.2",
    b"1.2.3",
    b"",
    b"\xff\xff",
)
_HEADER: dict[str, tuple[str, tuple[bytes, ...]]] = {
    "NumberOfFrames": ("IS", _TEXTS),
    "FrameTime": ("DS", _TEXTS),
    "FrameTimeVector": ("DS", _TEXTS),
    "CineRate": ("IS", _TEXTS),
    "RecommendedDisplayFrameRate": ("IS", _TEXTS),
    "ActualFrameDuration": ("IS", _TEXTS),
    "PixelAspectRatio": ("IS", _TEXTS),
    "PixelSpacing": ("DS", _TEXTS),
    "ImagerPixelSpacing": ("DS", _TEXTS),
    "WindowCenter": ("DS", _TEXTS),
    "WindowWidth": ("DS", _TEXTS),
    "RescaleSlope": ("DS", _TEXTS),
    "RescaleIntercept": ("DS", _TEXTS),
    "PatientOrientation": ("CS", _TEXTS),
    "InstanceNumber": ("IS", _TEXTS),
    "AcquisitionTime": ("TM", _TEXTS),
    "PhotometricInterpretation": (
        "CS",
        (
            b"MONOCHROME1",
            b"MONOCHROME2",
            b"RGB",
            b"YBR_FULL",
            b"YBR_FULL_422",
            b"PALETTE COLOR",
            b"YBR_ICT",
            b"HSV",
            b"",
        ),
    ),
    "SOPClassUID": ("UI", (*_SYNTAXES, b"1.2.840.10008.5.1.4.1.1.66.4", b"1.2.840.10008.5.1.4.1.1.88.11")),
    "SpecificCharacterSet": ("CS", (b"ISO_IR 192", b"\\ISO 2022 IR 87", b"nonsense", b"")),
    "FrameIncrementPointer": ("AT", (b"\x18\0\x63\x10", b"\x18\0\x65\x10", b"\0\x52\x30\x92", b"\x18\0", b"\xff" * 4)),
    "ExtendedOffsetTable": ("OV", (b"", bytes(8), b"\xff" * 32, struct.pack("<4Q", 0, 100, 200, 300))),
    "SharedFunctionalGroupsSequence": ("SQ", (b"", b"\xfe\xff\x00\xe0\xff\xff\xff\xff", b"junk")),
    "PerFrameFunctionalGroupsSequence": ("SQ", (b"", b"\xfe\xff\x00\xe0\0\0\0\0" * _FRAMES, b"\xfe\xff\x00\xe0\xff")),
    "RedPaletteColorLookupTableDescriptor": ("US", (b"", struct.pack("<3H", 256, 0, 16), struct.pack("<3H", 0, 9, 8))),
    "RedPaletteColorLookupTableData": ("OW", (b"", bytes(512), b"\xff" * 7)),
    "PixelPaddingValue": ("US", (b"", b"\xff\xff", b"\0\0", b"\1", b"\0\x80\0\x80")),
    "PixelPaddingRangeLimit": ("US", (b"", b"\xff\xff", b"\0\0", b"\x10\x27")),
}
_US = ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "SamplesPerPixel", "PixelRepresentation")
_US_ALL = (*_US, "PlanarConfiguration")


def cases(seed: int) -> Iterator[tuple[str, Content]]:
    """Yield names and contents of inputs without end, the same for the same seed."""
    number = seed * 1_000_003
    while True:
        yield case(number)
        number += 1


def case(number: int) -> tuple[str, Content]:
    """Return name and content of one input, the same for the same number."""
    rng = np.random.default_rng(number)
    makers = (_dicom, _dicom, _tiff, _tiff, _series, _folder)
    return makers[number % len(makers)](rng)


def write(folder: Path, name: str, content: Content) -> Path:
    """Write an input below a folder and return its path."""
    path = folder / name
    if isinstance(content, bytes):
        path.write_bytes(content)
        return path
    path.mkdir()
    for inner, data in content.items():
        (path / inner).write_bytes(data)
    return path


def _dicom(rng: np.random.Generator) -> tuple[str, Content]:
    return _one(rng, ("a.dcm", "a", "a.avi")), _dicom_file(rng, _FRAMES)


def _one(rng: np.random.Generator, choices: Sequence[Any]) -> Any:
    return choices[int(rng.integers(len(choices)))]


def _dicom_file(rng: np.random.Generator, frames: int) -> bytes:
    name, (syntax, header, pixels) = _one(rng, list(_sound_dicoms(frames).items()))
    elements = {tag: (tag, kind, value) for tag, kind, value in header}
    for _ in range(int(rng.integers(1, 5))):
        _change_element(elements, rng)
    if rng.random() < 0.1:
        syntax = _one(rng, _SYNTAXES)
    if rng.random() < 0.3:
        pixels = _changed_pixels(pixels, rng)
    is_encapsulated = name not in ("native", "deep", "colour")
    body = b"".join(_encoded(elements[tag], rng) for tag in sorted(elements))
    kind = b"OB" if is_encapsulated or rng.random() < 0.5 else b"OW"
    length = 0xFFFFFFFF if is_encapsulated else len(pixels)
    if rng.random() < 0.1:
        length = _one(rng, LIES)
    body += b"\xe0\x7f\x10\0" + kind + b"\0\0" + struct.pack("<I", length & 0xFFFFFFFF) + pixels
    meta = _element_bytes(0x00020010, "UI", syntax + b"\0" * (len(syntax) % 2))
    head = bytes(128) + b"DICM" + _element_bytes(0x00020000, "UL", struct.pack("<I", len(meta))) + meta
    if rng.random() < 0.1:
        head = b""
    return mutated(head + body, rng) if rng.random() < 0.1 else head + body


def _change_element(elements: dict[int, Element], rng: np.random.Generator) -> None:
    if rng.random() < 0.4:
        keyword, kind, value = _one(rng, _US_ALL), "US", struct.pack("<H", _one(rng, _WORDS))
    else:
        keyword = _one(rng, list(_HEADER))
        kind, values = _HEADER[keyword]
        value = _one(rng, values)
    tag = int(pydicom.datadict.tag_for_keyword(keyword) or 0)
    if rng.random() < 0.15:
        elements.pop(tag, None)
        return
    if rng.random() < 0.1:
        kind, value = _one(rng, _KINDS), _one(rng, _TEXTS)
    elements[tag] = (tag, kind, value + b" " * (len(value) % 2))


def _encoded(element: Element, rng: np.random.Generator) -> bytes:
    data = _element_bytes(*element)
    if rng.random() < 0.01:  # a length that lies
        return data[:8] + struct.pack("<I", _one(rng, LIES) & 0xFFFFFFFF) + data[12:]
    return data


def _element_bytes(tag: int, kind: str, value: bytes) -> bytes:
    start = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + kind.encode("latin-1")
    if kind in _LONG:
        return start + b"\0\0" + struct.pack("<I", len(value)) + value
    return start + struct.pack("<H", len(value) & 0xFFFF) + value[:0xFFFF]


def _items(parts: list[bytes]) -> bytes:
    return b"".join(b"\xfe\xff\x00\xe0" + struct.pack("<I", len(part)) + part for part in parts)


def _changed_pixels(pixels: bytes, rng: np.random.Generator) -> bytes:
    if not pixels.startswith(b"\xfe\xff\x00\xe0"):
        return pixels[: int(rng.integers(len(pixels)))] if rng.random() < 0.5 else pixels + pixels
    parts, at = [], 0
    while pixels[at : at + 4] == b"\xfe\xff\x00\xe0":
        (length,) = struct.unpack_from("<I", pixels, at + 4)
        parts.append(pixels[at + 8 : at + 8 + length])
        at += 8 + length
    number = int(rng.integers(len(parts)))
    how = rng.random()
    if how < 0.2:
        parts.pop(number)
    elif how < 0.4:
        parts.insert(number, parts[number])
    elif how < 0.6:
        parts[number : number + 1] = [parts[number][:10], parts[number][10:]]
    elif how < 0.7:
        parts += [b""] * 300
    else:
        parts[number] = mutated(parts[number], rng)
    return _items(parts) + b"\xfe\xff\xdd\xe0\0\0\0\0"


@cache
def _sound_dicoms(frames: int) -> dict[str, tuple[bytes, list[Element], bytes]]:
    """Return transfer syntax, header and pixel data of sound recordings."""
    grey, deep = clip_material.pictures(frames), clip_material.pictures(frames, 12)
    colour = np.stack([grey] * 3, axis=-1)

    def header(samples: int, bits: int, photometric: bytes) -> list[Element]:
        words = {"Rows": 48, "Columns": 64, "SamplesPerPixel": samples, "PixelRepresentation": 0}
        words |= {"BitsAllocated": 8 if bits == 8 else 16, "BitsStored": bits, "HighBit": bits - 1}
        elements: list[Element] = [
            (int(pydicom.datadict.tag_for_keyword(key) or 0), "US", struct.pack("<H", n)) for key, n in words.items()
        ]
        texts = {0x00280004: ("CS", photometric), 0x00080016: ("UI", b"1.2.840.10008.5.1.4.1.1.12.2")}
        texts |= {0x00280008: ("IS", str(frames).encode()), 0x00181063: ("DS", b"33.3"), 0x0020000E: ("UI", b"1.2.3")}
        return elements + [(tag, kind, text + b" " * (len(text) % 2)) for tag, (kind, text) in texts.items()]

    def pictures(how: str, source: np.ndarray, **options: object) -> bytes:
        parts = []
        for frame in source:
            data = io.BytesIO()
            Image.fromarray(frame).save(data, how, **options)
            parts.append(data.getvalue() + b"\0" * (data.tell() % 2))
        return _items([b"", *parts]) + b"\xfe\xff\xdd\xe0\0\0\0\0"

    rle = clip_material.dataset(grey)
    rle.compress(pydicom.uid.RLELossless)
    return {
        "native": (b"1.2.840.10008.1.2.1", header(1, 8, b"MONOCHROME2"), grey.tobytes()),
        "deep": (b"1.2.840.10008.1.2.1", header(1, 12, b"MONOCHROME2"), deep.tobytes()),
        "colour": (b"1.2.840.10008.1.2.1", header(3, 8, b"RGB"), colour.tobytes()),
        "jpeg": (b"1.2.840.10008.1.2.4.50", header(1, 8, b"MONOCHROME2"), pictures("jpeg", grey)),
        "colour jpeg": (b"1.2.840.10008.1.2.4.50", header(3, 8, b"YBR_FULL_422"), pictures("jpeg", colour)),
        "rle": (b"1.2.840.10008.1.2.5", header(1, 8, b"MONOCHROME2"), bytes(rle.PixelData)),
        "jpeg 2000": (
            b"1.2.840.10008.1.2.4.90",
            header(1, 8, b"MONOCHROME2"),
            pictures("jpeg2000", grey, no_jp2=True, irreversible=False),
        ),
    }


def _series(rng: np.random.Generator) -> tuple[str, Content]:
    return "series", {f"IM{t}": _dicom_file(rng, 1) for t in range(int(rng.integers(2, 5)))}


_CODES = (254, 256, 257, 258, 259, 262, 266, 270, 273, 274, 277, 278, 279, 282, 283, 284, 296, 317, 320, 322, 323, 324)
_CODES += (325, 330, 338, 339, 347, 512, 530, 32997, 33628, 33629, 34412, 50838, 50839)
_COMPRESSIONS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 32771, 32773, 32946, 33003, 34712, 34887, 34925, 34926, 50000, 50001, 50002)
_DESCRIPTIONS = (
    b"ImageJ=1.53t\nimages=%d\nframes=%d\nslices=%d\nfinterval=%s\ntunit=ms\n",
    b'{"shape": [%d, %d, %d], "x": "%s"}',
    b'<?xml version="1.0"?><OME><Image><Pixels DimensionOrder="XYCZT" SizeX="64" SizeY="48" SizeC="1" SizeZ="%d"'
    b' SizeT="%d" Type="uint8"><TiffData IFD="%d" PlaneCount="999999999"/><Plane TheT="0" DeltaT="%s"/></Pixels>'
    b"</Image></OME>",
)


def _tiff(rng: np.random.Generator) -> tuple[str, Content]:
    order, big = _one(rng, ("<", ">")), rng.random() < 0.3
    frames = clip_material.pictures(_FRAMES)
    compression = _one(rng, (1, 1, 5, 8, 32773, 34712))
    parts = [_strip(frame, compression) for frame in frames]
    data, at = b"", 16
    pages = []
    for part in parts:
        tags = {256: (4, 64), 257: (4, 48), 258: (3, 8), 259: (3, compression), 262: (3, 1), 273: (4, at + len(data))}
        tags |= {277: (3, 1), 278: (4, 48), 279: (4, len(part))}
        data += part
        pages.append({code: (kind, 1, value) for code, (kind, value) in tags.items()})
    if rng.random() < 0.4:
        number = b"%s" % _one(rng, [text for text in _TEXTS if len(text) < 40])
        sizes = [int(_one(rng, (0, 1, 2, 4, 48, 64, 2**31, 10**12))) for _ in range(3)]
        text = _one(rng, _DESCRIPTIONS) % (*sizes, number)
        pages[0][270] = (2, len(text), at + len(data))
        data += text
    for _ in range(int(rng.integers(0, 5))):
        tags = _one(rng, pages)
        code = _one(rng, (*_CODES, *tags))
        kind, count, value = tags.get(code, (_one(rng, (1, 2, 3, 4, 5, 7, 12, 13, 16, 99)), 1, 0))
        how = rng.random()
        if how < 0.2:
            tags.pop(code, None)
        elif how < 0.4:
            tags[code] = (kind, _one(rng, LIES), value)
        elif how < 0.8:
            tags[code] = (kind, count, _one(rng, (*LIES, *_COMPRESSIONS, 16, 100)))
        else:
            tags[code] = (_one(rng, (1, 2, 3, 4, 5, 7, 12, 16)), count, value)
    content = _joined(order, big, data, pages, rng)
    return _one(rng, ("a.tif", "a.tiff", "a")), mutated(content, rng) if rng.random() < 0.2 else content


def _strip(frame: np.ndarray, compression: int) -> bytes:
    if compression == 8:
        return zlib.compress(frame.tobytes())
    if compression == 32773:
        return b"".join(b"\x3f" + row.tobytes() for row in frame)
    if compression in (5, 34712):
        data = io.BytesIO()
        picture = Image.fromarray(frame)
        if compression == 34712:
            picture.save(data, "jpeg2000", no_jp2=True)
            return data.getvalue()
        picture.save(data, "tiff", compression="tiff_lzw", strip_size=10**6)
        with Image.open(data) as saved:
            at, length = saved.tag_v2[273][0], saved.tag_v2[279][0]
        return data.getvalue()[at : at + length]
    return frame.tobytes()


def _joined(
    order: str, big: bool, data: bytes, pages: list[dict[int, tuple[int, int, int]]], rng: np.random.Generator
) -> bytes:
    """Return a TIFF file of some data and the tags of its pages; sometimes its chain of pages goes astray."""
    count, entry, offset = ("Q", "HHQ", "Q") if big else ("H", "HHI", "I")
    fields, most = {1: "B", 3: "H", 4: "I", 13: "I"}, 2 ** (64 if big else 32) - 1
    size = struct.calcsize(order + entry) + struct.calcsize(order + offset)
    ends = np.cumsum([16 + len(data), *(struct.calcsize(order + count + offset) + size * len(page) for page in pages)])
    chain = [*map(int, ends[1:-1]), 0]
    if rng.random() < 0.1:
        chain[int(rng.integers(len(chain)))] = int(_one(rng, (int(ends[0]), int(ends[1]), 1, 2**31, len(data))))
    body = b""
    for page, following in zip(pages, chain, strict=True):
        body += struct.pack(order + count, len(page))
        for code in sorted(page):
            kind, number, value = page[code]
            packed = struct.pack(order + offset, value & most)
            if number == 1 and kind in fields:
                field = struct.pack(order + fields[kind], value & (2 ** (8 * struct.calcsize(fields[kind])) - 1))
                packed = field.ljust(len(packed), b"\0")
            body += struct.pack(order + entry, code, kind, number & most) + packed
        body += struct.pack(order + offset, following)
    mark = b"II" if order == "<" else b"MM"
    head = struct.pack(order + "HHHQ", 43, 8, 0, int(ends[0])) if big else struct.pack(order + "HI", 42, int(ends[0]))
    return (mark + head).ljust(16, b"\0") + data + body


def _folder(rng: np.random.Generator) -> tuple[str, Content]:
    suffix = _one(rng, (".png", ".jpg"))
    files = {f"{t}{suffix}": _sound_pictures()[suffix][t] for t in range(3)}
    changed = f"{int(rng.integers(3))}{suffix}"
    files[changed] = _changed_png(files[changed], rng) if suffix == ".png" else _changed_jpeg(files[changed], rng)
    return "folder", files


@cache
def _sound_pictures() -> dict[str, list[bytes]]:
    made: dict[str, list[bytes]] = {}
    for suffix, how in ((".png", "png"), (".jpg", "jpeg")):
        for frame in clip_material.pictures(3):
            data = io.BytesIO()
            Image.fromarray(frame).save(data, how)
            made.setdefault(suffix, []).append(data.getvalue())
    return made


def _changed_png(data: bytes, rng: np.random.Generator) -> bytes:
    chunks, at = [], 8
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    packed = zlib.compress(bytes(2**24))
    extra = [
        (b"zTXt", b"a\0\0" + packed),
        (b"iCCP", b"a\0\0" + packed),
        (b"iTXt", b"a\0\1\0\0\0" + packed),
        (b"pHYs", struct.pack(">IIB", _one(rng, LIES), _one(rng, LIES), int(rng.integers(3)))),
        (b"IDAT", packed[:5000]),
        (b"acTL", struct.pack(">II", 2**31, 0)),
        (b"eXIf", b"II*\0\xff\xff\xff\xff"),
        (b"tRNS", b"\0\1"),
    ]
    chunks.insert(int(rng.integers(1, len(chunks))), _one(rng, extra))
    if rng.random() < 0.5:
        width, height = (_one(rng, (1, 48, 64, 5000, 13000, 65535, 2**31 - 1)) for _ in range(2))
        depth, colour = _one(rng, (1, 2, 4, 8, 16)), _one(rng, (0, 2, 3, 4, 6))
        chunks[0] = (b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(rng.integers(2))))
    if rng.random() < 0.2:
        chunks.pop(int(rng.integers(len(chunks))))
    return data[:8] + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )


def _changed_jpeg(data: bytes, rng: np.random.Generator) -> bytes:
    at = data.index(b"\xff\xc0")
    sizes = tuple(_one(rng, (0, 1, 48, 64, 5000, 65535)) for _ in range(2))
    changed = data[: at + 5] + struct.pack(">HH", *sizes) + data[at + 9 :]
    how = rng.random()
    if how < 0.3:
        return changed
    scan = data.index(b"\xff\xda")
    if how < 0.6:
        kind = bytes([0xFF, int(rng.integers(0xC0, 0xCF))])
        return data[:at] + kind + data[at + 2 : scan] + data[scan:-2] * int(rng.integers(1, 100)) + b"\xff\xd9"
    return mutated(data, rng)
