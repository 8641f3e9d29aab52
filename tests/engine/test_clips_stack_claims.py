# SPDX-License-Identifier: Apache-2.0
"""What TIFF files and pictures claim: sizes that nobody has, times, shape of pixels, compressions."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from clip_material import pictures
from vfss.clips import Clip, open_clip
from vfss.errors import ClipError

Tag = tuple[int, int, int, int]
"""Code, type, number of values, value or offset."""


def directories(path: Path, pages: list[list[Tag]], data: bytes = b"", *, loop_to: int | None = None) -> Path:
    """Write a little-endian TIFF of directories, `data` at offset 8 before them; the last may point to an earlier."""
    at = 8 + len(data)
    starts = [at + sum(2 + 12 * len(page) + 4 for page in pages[:i]) for i in range(len(pages))]
    body = b""
    for i, page in enumerate(pages):
        following = starts[i + 1] if i + 1 < len(pages) else 0 if loop_to is None else starts[loop_to]
        body += struct.pack("<H", len(page)) + b"".join(struct.pack("<HHII", *tag) for tag in page)
        body += struct.pack("<I", following)
    path.write_bytes(b"II*\0" + struct.pack("<I", starts[0]) + data + body)
    return path


def page(height: int = 48, width: int = 64, *, at: int = 8, length: int = 48 * 64, compression: int = 1) -> list[Tag]:
    return [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, 8),
        (259, 3, 1, compression),
        (262, 3, 1, 1),
        (273, 4, 1, at),
        (277, 3, 1, 1),
        (278, 4, 1, height),
        (279, 4, 1, length),
    ]


def bomb(size: int) -> bytes:
    """Return about `size` compressed bytes that inflate to a thousand times as many."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return b"\x78\xda" + block * (size // len(block))


def big_table(path: Path) -> Path:
    """Each page claims the same 60 kB as its table of strips."""
    strips = 15_000
    table = [(273, 4, strips, 8), (279, 4, strips, 8)]
    kept = [tag for tag in page() if tag[0] not in (273, 279)]
    return directories(path, [[*kept, *table] for _ in range(2000)], bytes(4 * strips))


CLAIMS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "giant rows": (lambda path: directories(path, [page(2**31, 2**20)], bytes(100)), "2147483648 x 1048576"),
    "giant second page": (lambda path: directories(path, [page(), page(60000, 60000)], bytes(3072)), "60000 x 60000"),
    "giant tile": (
        lambda path: directories(
            path, [[*page(), (322, 4, 1, 2**20), (323, 4, 1, 2**20), (324, 4, 1, 8), (325, 4, 1, 9)]], bytes(3072)
        ),
        "tiles of 1099511627776",
    ),
    "loop": (lambda path: directories(path, [page()] * 150, bytes(3072), loop_to=120), "loop after page 150"),
    "own loop": (lambda path: directories(path, [page()], bytes(3072), loop_to=0), "loop after page 1"),
    "tables": (big_table, "its tables take more than"),
    "table beyond file": (
        lambda path: directories(path, [[*page(), (320, 3, 2**31, 8)]], bytes(3072)),
        "4294967296 bytes for tag 320",
    ),
    "deflate": (
        lambda path: directories(path, [page(length=2**20, compression=8)], bomb(2**20).ljust(2**20, b"\0")),
        "inflates to more",
    ),
    "strips beyond file": (lambda path: directories(path, [page(length=2**31)], bytes(3072)), "ends inside"),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_claims_beyond_the_file_are_refused_at_once(tmp_path: Path, name: str) -> None:
    make, message = CLAIMS[name]
    path = make(tmp_path / "claim.tif")
    tracemalloc.start()
    with pytest.raises(ClipError, match=message) as caught:
        open_clip(path)
    assert tracemalloc.get_traced_memory()[1] < 2**27
    tracemalloc.stop()
    assert caught.value.path == path


def test_a_single_page_that_claims_a_stack(tmp_path: Path) -> None:
    path = tmp_path / "one.tif"
    description = "ImageJ=1.53t\nimages=1000000000\nframes=1000000000\nfinterval=0.04\n"
    tifffile.imwrite(path, pictures(1)[0], description=description, metadata=None)
    with open_clip(path) as clip:
        assert clip.n_frames == 1
        assert clip.notes == ("declares 1000000000 pictures, holds 1",)
    tifffile.imwrite(path, pictures(9), imagej=True, truncate=True)
    path.write_bytes(path.read_bytes()[: -pictures(4).nbytes])
    with pytest.raises(ClipError, match="cut off after 5 of 9"):
        open_clip(path)


def test_ome_that_claims_planes_it_does_not_have(tmp_path: Path) -> None:
    xml = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">'
        '<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" SizeX="64" SizeY="48" SizeC="1" SizeZ="1"'
        ' SizeT="2000000000"><TiffData FirstT="1999999999" PlaneCount="2000000000"/></Pixels></Image></OME>'
    )
    with tifffile.TiffWriter(tmp_path / "claim.tif") as writer:
        for t, frame in enumerate(pictures(3)):
            writer.write(frame, description=xml if t == 0 else None, metadata=None, contiguous=False)
    with open_clip(tmp_path / "claim.tif") as clip:
        assert clip.n_frames == 3
        assert "2000000000 pictures, holds 3 pages" in clip.notes[0]


def test_a_picture_of_giant_size(tmp_path: Path) -> None:
    header = b"IHDR" + struct.pack(">IIBBBBB", 13000, 13000, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(bytes(1000))
    chunks = b"".join(struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (header, data))
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    with pytest.raises(ClipError, match="13000 x 13000"):
        open_clip(folder)


def test_a_picture_of_too_many_scans(tmp_path: Path) -> None:
    data = io.BytesIO()
    Image.fromarray(pictures(1)[0]).save(data, "jpeg", progressive=True)
    sound = data.getvalue()
    at = sound.rindex(b"\xff\xda")
    (tmp_path / "a.jpg").write_bytes(sound[:-2] + sound[at:-2] * 100 + b"\xff\xd9")
    with pytest.raises(ClipError, match="scans"):
        open_clip(tmp_path)


def test_a_damaged_picture_is_noted_and_the_others_open(tmp_path: Path) -> None:
    for t, frame in enumerate(pictures(4)):
        Image.fromarray(frame).save(tmp_path / f"{t}.png")
    (tmp_path / "0.png").write_bytes(b"no picture")
    with open_clip(tmp_path) as clip:
        assert clip.notes == ("0.png cannot be read: the other pictures can be used",)
        with pytest.raises(ClipError, match="cannot identify image file"):
            clip[0]
        assert np.array_equal(clip[3], pictures(4)[3])
        with pytest.raises(ClipError, match="frame 0"):
            clip[0]


@pytest.mark.parametrize(
    ("interval", "seconds"),
    [
        ("finterval=40\ntunit=ms", 0.04),
        ("finterval=0.04\ntunit=sec", 0.04),
        ("finterval=0.04", 0.04),
        ("finterval=0.04\ntunit=s", 0.04),
        ("finterval=0.04\ntunit=seconds", 0.04),
        ("finterval=40000\ntunit=µs", 0.04),
        ("finterval=40000\ntunit=\\u00B5sec", 0.04),
        ("finterval=0.001\ntunit=min", 0.06),
        ("finterval=0.0001\ntunit=hours", 0.36),
        ("finterval=40\ntunit=frames", None),
        ("finterval=0", None),
        ("finterval=nan", None),
        ("finterval=1e300", None),
        ("fps=25", 0.04),
        ("loop=false", None),
    ],
)
def test_imagej_interval(tmp_path: Path, interval: str, seconds: float | None) -> None:
    path = tmp_path / "ij.tif"
    text = f"ImageJ=1.53t\nimages=4\nframes=4\nhyperstack=true\n{interval}\n"
    with tifffile.TiffWriter(path) as writer:
        for t, frame in enumerate(pictures(4)):
            described = text.encode("utf-8") if t == 0 else None
            writer.write(frame, description=described, metadata=None, contiguous=False)
    with open_clip(path) as clip:
        assert clip.times_from == ("assumed" if seconds is None else "file")
        assert np.allclose(clip.times_s, np.arange(4) * (seconds or 1 / 30))


@pytest.mark.parametrize(
    ("metadata", "times", "times_from"),
    [
        ({"TimeIncrement": 40, "TimeIncrementUnit": "ms"}, [0, 0.04, 0.08, 0.12], "file"),
        ({"TimeIncrement": 0.04}, [0, 0.04, 0.08, 0.12], "file"),
        ({"Plane": {"DeltaT": [1.0, 1.04, 1.2, 1.25], "DeltaTUnit": ["s"] * 4}}, [0, 0.04, 0.2, 0.25], "file"),
        ({"Plane": {"DeltaT": [0, 40, 200, 250], "DeltaTUnit": ["ms"] * 4}}, [0, 0.04, 0.2, 0.25], "file"),
        ({"Plane": {"DeltaT": [0, 40, 20, 250], "DeltaTUnit": ["ms"] * 4}}, [0, 1 / 30, 2 / 30, 0.1], "assumed"),
        ({}, [0, 1 / 30, 2 / 30, 0.1], "assumed"),
    ],
)
def test_ome_times(tmp_path: Path, metadata: dict[str, Any], times: list[float], times_from: str) -> None:
    path = tmp_path / "o.ome.tif"
    tifffile.imwrite(path, pictures(4), metadata={"axes": "TYX", **metadata}, photometric="minisblack")
    with open_clip(path) as clip, clip.reopen() as other:
        assert clip.times_from == other.times_from == times_from
        assert np.allclose(clip.times_s, times)


def test_a_rate_that_nobody_records_is_doubted(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", pictures(4), imagej=True, metadata={"axes": "TYX", "finterval": 33.3})
    with open_clip(tmp_path / "a.tif") as clip:
        assert "0.03003 frames a second" in clip.notes[0]


@pytest.mark.parametrize(
    ("resolution", "aspect", "notes"),
    [((300, 300), 1, 0), ((90, 80), 8 / 9, 0), ((1, 100000), 1, 1), ((0.0001, 0.0001), 1, 0)],
)
def test_shape_of_pixels_of_a_stack(tmp_path: Path, resolution: tuple[float, float], aspect: float, notes: int) -> None:
    tifffile.imwrite(tmp_path / "a.tif", pictures(3), resolution=resolution, photometric="minisblack")
    with open_clip(tmp_path / "a.tif") as clip:
        assert clip.pixel_aspect == pytest.approx(aspect, rel=1e-4)
        assert len(clip.notes) == notes
    metadata = {"axes": "TYX", "PhysicalSizeX": 0.8, "PhysicalSizeXUnit": "mm", "PhysicalSizeY": 0.9}
    metadata["PhysicalSizeYUnit"] = "mm"
    tifffile.imwrite(tmp_path / "a.ome.tif", pictures(3), metadata=metadata, photometric="minisblack")
    with open_clip(tmp_path / "a.ome.tif") as clip:
        assert clip.pixel_aspect == pytest.approx(8 / 9)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize(
    ("dpi", "aspect", "notes"), [((72, 72), 1, 0), ((90, 80), 8 / 9, 0), ((1, 1000), 1, 1), (None, 1, 0)]
)
def test_shape_of_pixels_of_pictures(
    tmp_path: Path, suffix: str, dpi: tuple[int, int] | None, aspect: float, notes: int
) -> None:
    for t, frame in enumerate(pictures(2)):
        Image.fromarray(frame).save(tmp_path / f"{t}{suffix}", **({} if dpi is None else {"dpi": dpi}))
    with open_clip(tmp_path) as clip, clip.reopen() as other:
        assert clip.pixel_aspect == other.pixel_aspect == pytest.approx(aspect, rel=1e-3)
        assert (len(clip.notes), clip.times_from) == (notes, "assumed")


def expect_frames(clip: Clip, frames: np.ndarray, tolerance: int = 0) -> None:
    assert clip.n_frames == len(frames)
    for t in (len(frames) - 1, 0, 1):
        assert np.abs(clip[t].astype(int) - frames[t]).max() <= tolerance


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(
    "compression", ["tiff_lzw", "tiff_deflate", "tiff_adobe_deflate", "packbits", "zstd", "lzma", "jpeg"]
)
def test_compressions(tmp_path: Path, compression: str, bits: int) -> None:
    if (compression, bits) == ("jpeg", 16):
        pytest.skip("JPEG has 8 bits")
    frames = pictures(5, bits) if compression != "jpeg" else np.stack([np.add.outer(range(48), range(64))] * 5)
    frames = frames.astype(f"u{bits // 8}")
    first, *rest = [Image.fromarray(frame) for frame in frames]
    first.save(tmp_path / "a.tif", save_all=True, append_images=rest, compression=compression)
    with open_clip(tmp_path / "a.tif", cache_bytes=1) as clip:
        expect_frames(clip, frames, 4 if compression == "jpeg" else 0)


def jpeg_2000(area: np.ndarray) -> bytes:
    data = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(area)).save(data, "jpeg2000", no_jp2=True, irreversible=False)
    return data.getvalue()


@pytest.mark.parametrize("tiled", [False, True])
@pytest.mark.parametrize("bits", [8, 16])
def test_jpeg_2000(tmp_path: Path, bits: int, tiled: bool) -> None:
    frames = pictures(3, bits)
    data, pages = b"", []
    for frame in frames:
        parts = [jpeg_2000(frame)]
        if tiled:
            padded = np.pad(frame, ((0, 16), (0, 32)))
            parts = [jpeg_2000(padded[y : y + 32, x : x + 48]) for y in (0, 32) for x in (0, 48)]
        ends = np.cumsum([len(data) + 8, *(len(part) for part in parts)])
        data += b"".join(parts)
        tags = {tag[0]: tag for tag in page(at=int(ends[0]), length=len(parts[0]), compression=34712)}
        tags[258] = (258, 3, 1, bits)
        if tiled:
            tables = [*ends[:-1], *(len(part) for part in parts)]
            at = len(data) + 8
            data += struct.pack("<8I", *tables)
            tags = {code: tag for code, tag in tags.items() if code not in (273, 278, 279)}
            tags |= {322: (322, 4, 1, 48), 323: (323, 4, 1, 32), 324: (324, 4, 4, at), 325: (325, 4, 4, at + 16)}
        pages.append([tags[code] for code in sorted(tags)])
    with open_clip(directories(tmp_path / "a.tif", pages, data)) as clip:
        expect_frames(clip, frames)


@pytest.mark.parametrize(
    ("code", "name"), [(50002, "JPEGXL"), (34887, "LERC"), (65000, "EER_V0"), (12345, "number 12345")]
)
def test_a_compression_that_is_not_read_is_named(tmp_path: Path, code: int, name: str) -> None:
    path = directories(tmp_path / "a.tif", [page(compression=code)], bytes(3072))
    with pytest.raises(ClipError, match=rf"is compressed as {name}.*Save it again without compression"):
        open_clip(path)
