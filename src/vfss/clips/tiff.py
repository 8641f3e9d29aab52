# SPDX-License-Identifier: Apache-2.0
"""TIFF stacks: one page per frame, or one block of frames as ImageJ writes large stacks."""

from __future__ import annotations

import io
import logging
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image

from vfss.clips.bounds import MOST_FRAME_PIXELS
from vfss.clips.cached import CACHE_BYTES, LazyClip
from vfss.clips.clip import ASSUMED_FPS, Frame
from vfss.clips.first_look import readable_frames, spread
from vfss.clips.frame_rate import rate_doubt
from vfss.clips.grey import collapse, measured_window
from vfss.clips.library_errors import COPY_AGAIN, DECODING_ERRORS, reason
from vfss.clips.tagged_orientation import ORIENTATION_TAG, orientation_note
from vfss.clips.tiff_description import Description, describe
from vfss.clips.tiff_directories import count_pages
from vfss.clips.tiff_single_page import single_page
from vfss.errors import ClipError

_CONVERT = "Save it as one time series of unsigned 8 or 16 bit pictures, and open that."
_SAVE_AGAIN = "Save it again without compression, or with ZIP (deflate)."
_MINISWHITE, _PALETTE = 0, 3
_NONE, _LZMA = 1, 34925
_DEFLATE = frozenset({8, 32946})
_BY_TIFFFILE = frozenset({_NONE, 32773, _LZMA}) | _DEFLATE
_JPEG_2000 = frozenset({33003, 33004, 33005, 34712})
_FLAVOURS = ("lsm", "scanimage", "ndpi", "philips", "eer", "mmstack", "ndtiff")
"""Flavours of microscopes, for which tifffile reads tables of their own while it opens a file."""

_MOST_INFLATED = {_LZMA: 2**13, **dict.fromkeys(_DEFLATE, 1032)}
"""Bytes that come out of one byte at most."""
_HARMLESS_BYTES = 2**28
"""Bytes that a strip may come to without a check: few enough, and most strips of real pictures stay below."""


# tifffile reports damage to the log as well, which without a handler ends on the terminal; what matters is raised.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


class StackFile:
    """The pages of one TIFF file."""

    def __init__(self, path: Path) -> None:
        """Open the file and find its frames.

        Raises:
            ClipError: It cannot be read, or is not one time series.
        """
        self.path = path
        try:
            pages = count_pages(path)
            self._tiff: Any = tifffile.TiffFile(path, **{f"is_{flavour}": False for flavour in _FLAVOURS})
        except DECODING_ERRORS as error:
            raise ClipError(f"is not a readable TIFF file ({reason(error)})", path=path, remedy=COPY_AGAIN) from error
        try:
            self._find_frames(pages)
        except DECODING_ERRORS as error:
            self.close()
            raise ClipError(f"its pages cannot be listed ({reason(error)})", path=path, remedy=COPY_AGAIN) from error
        except ClipError:
            self.close()
            raise

    def _find_frames(self, pages: int) -> None:
        if pages == 0:
            raise ClipError("holds no pages", path=self.path, remedy=COPY_AGAIN)
        self.key = self._tiff.pages.first
        self.inverted = int(self.key.photometric) == _MINISWHITE
        self.description: Description = describe(self.key)
        sizes = self.description.sizes
        if sum(size > 1 for size in sizes) > 1:
            raise ClipError(
                f"holds {' x '.join(map(str, sizes))} pictures, not one time series of pictures",
                path=self.path,
                remedy=_CONVERT,
            )
        turned = orientation_note(self.key.tags.valueof(ORIENTATION_TAG))
        self.notes = self.description.notes + (() if turned is None else (turned,))
        self._block_at: int | None = None
        self.n_frames = pages
        declared = math.prod(sizes)
        if declared > pages == 1:
            self._find_block(declared)
        elif declared > pages:
            self.notes += (f"declares {declared} pictures, holds {pages} pages: these are read",)

    def _find_block(self, declared: int) -> None:
        """Find the frames behind the only page, as ImageJ writes large stacks."""
        there = 1
        if self.key.is_contiguous and self.key.dataoffsets:
            size = math.prod(self.key.shape) * self.key.dtype.itemsize
            there = (self._tiff.filehandle.size - self.key.dataoffsets[0]) // max(1, size)
        if there >= declared:
            self._block_at, self.n_frames = int(self.key.dataoffsets[0]), declared
        elif there > 1:
            raise ClipError(
                f"the file is cut off after {there} of {declared} pictures",
                path=self.path,
                frame=there,
                remedy=COPY_AGAIN,
            )
        else:  # a single picture that kept the description of its stack
            self.notes += (f"declares {declared} pictures, holds 1",)

    def samples(self, t: int) -> npt.NDArray[Any]:
        """Return the samples of frame t as stored.

        Raises:
            Exception: Any of DECODING_ERRORS.
        """
        handle = self._tiff.filehandle
        if self._block_at is not None:
            dtype = np.dtype(self._tiff.byteorder + self.key.dtype.char)
            size = math.prod(self.key.shape) * dtype.itemsize
            handle.seek(self._block_at + t * size)
            data = handle.read(size)
            return np.frombuffer(data, dtype).reshape(self.key.shape)
        page = self._tiff.pages[t]
        self._check_strips(page)
        compression = int(page.compression)
        try:
            if compression in _BY_TIFFFILE:
                array: npt.NDArray[Any] = page.asarray()
                return array
            if compression in _JPEG_2000:
                return self._decode_jpeg_2000(page)
            return self._decode_with_pillow(page)
        except (OSError, LookupError, NotImplementedError) as error:
            if compression == _NONE:
                raise
            raise ClipError(
                f"is compressed as {_compression_name(compression)}, which cannot be decoded here ({reason(error)})",
                path=self.path,
                frame=t,
                remedy=_SAVE_AGAIN,
            ) from error

    def _check_strips(self, page: Any) -> None:
        """Check what a page claims about its strips or tiles before anything is decoded.

        Raises:
            EOFError: The file ends inside one of them.
            ValueError: They hold, or come to, more than they can.
        """
        size, counts = self._tiff.filehandle.size, page.databytecounts
        expected = 1 if page.is_contiguous else math.prod(page.chunked)
        if not len(counts) == len(page.dataoffsets) >= expected:
            raise ValueError(f"it has {len(page.dataoffsets)} strips and {len(counts)} lengths for {expected} strips")
        if min(counts) <= 0:
            raise ValueError("one of its strips is empty")
        if max(at + count for at, count in zip(page.dataoffsets, counts, strict=True)) > size:
            raise EOFError("the file ends inside it")
        if sum(counts) > 2 * size:
            raise ValueError(f"its strips claim {sum(counts)} bytes of a file of {size}")
        if page.is_subsampled and int(page.compression) in _BY_TIFFFILE:
            # tifffile refuses it, too, and then also other pages of the file: it shares decoders between pages.
            raise ValueError("its colours are subsampled without JPEG compression")
        if math.prod(page.shape) > 4 * MOST_FRAME_PIXELS:
            raise ValueError(f"it claims {' x '.join(map(str, page.shape))} samples")
        ratio = _MOST_INFLATED.get(int(page.compression), 0)
        if sum(counts) * ratio <= 8 * _HARMLESS_BYTES and max(counts) * ratio <= _HARMLESS_BYTES:
            return
        most = math.prod(page.chunks) * max(1, page.dtype.itemsize) + 2**16
        for at, count in _parts(page):
            self._check_inflated(int(page.compression), at, count, most)

    def _check_inflated(self, compression: int, at: int, count: int, most: int) -> None:
        """Check that a strip inflates to no more than the pixels it covers."""
        if compression not in _DEFLATE:
            raise ValueError(f"a strip of {count} compressed bytes is too long")
        inflated = zlib.decompressobj()
        inflated.decompress(self._part(at, count), most)
        if inflated.unconsumed_tail:
            raise ValueError(f"a strip of {count} bytes inflates to more than its {most} bytes of pixels")

    def _decode_with_pillow(self, page: Any) -> npt.NDArray[Any]:
        """Return the samples of a page in a compression (LZW, JPEG, ...) that tifffile alone does not decode."""
        data = single_page(page, [self._part(at, count) for at, count in _parts(page)])
        with Image.open(io.BytesIO(data), formats=("TIFF",)) as picture:
            array = np.array(picture)
            # Pillow inverts white-is-zero pages while it reads them.
            return np.invert(array) if self.inverted and picture.mode == "L" else array

    def _part(self, at: int, count: int) -> bytes:
        self._tiff.filehandle.seek(at)
        return bytes(self._tiff.filehandle.read(count))

    def _decode_jpeg_2000(self, page: Any) -> npt.NDArray[Any]:
        """Return the samples of a page whose strips or tiles are JPEG 2000 pictures."""
        rows, columns = page.imagelength, page.imagewidth
        height, width = (page.tilelength, page.tilewidth) if page.is_tiled else (page.rowsperstrip, columns)
        height, width = min(height, 2 * rows + 1024), min(width, 2 * columns + 1024)
        across = -(-columns // width)
        canvas = np.zeros(page.shape, page.dtype)
        for number, (at, count) in enumerate(_parts(page)):
            with Image.open(io.BytesIO(self._part(at, count)), formats=("JPEG2000",)) as picture:
                if picture.height > height or picture.width > width:
                    raise ValueError(f"a part of it has {picture.height} x {picture.width} pixels")
                part = np.array(picture)
            y, x = number // across * height, number % across * width
            area = canvas[y : y + height, x : x + width]
            area[: part.shape[0], : part.shape[1]] = part[: area.shape[0], : area.shape[1]]
        return canvas

    def frame(self, t: int) -> Frame:
        """Return the grey values of frame t, uint8 or uint16 (H, W); signed values are shifted up by half their range.

        Raises:
            ClipError: It cannot be decoded, or is not a grey or colour picture of 8 or 16 bits.
        """
        try:
            return self._grey(self.samples(t), t)
        except DECODING_ERRORS as error:
            raise ClipError(
                f"cannot be decoded ({reason(error)})", path=self.path, frame=t, remedy=COPY_AGAIN
            ) from error

    def _grey(self, samples: npt.NDArray[Any], t: int) -> Frame:
        if samples.dtype == np.bool_:
            samples = samples.astype(np.uint8) * 255
        if samples.dtype.kind not in "iu" or samples.dtype.itemsize > 2 or samples.ndim not in (2, 3):
            raise ClipError(
                f"stores {samples.dtype} values of shape {samples.shape}", path=self.path, frame=t, remedy=_CONVERT
            )
        bits = 8 * samples.dtype.itemsize
        unsigned: Frame = samples.astype(f"u{samples.dtype.itemsize}", copy=False)
        if samples.dtype.kind == "i":
            unsigned = unsigned ^ unsigned.dtype.type(1 << (bits - 1))
        if int(self.key.photometric) == _PALETTE and self.key.colormap is not None and samples.ndim == 2:
            unsigned = (np.moveaxis(self.key.colormap, 0, -1)[unsigned] >> 8).astype(np.uint8)
        if unsigned.ndim == 3 and self.key.axes.startswith("S"):
            unsigned = np.moveaxis(unsigned, 0, -1)
        return unsigned if unsigned.ndim == 2 else collapse(unsigned)

    def close(self) -> None:
        """Close the file."""
        self._tiff.close()


def _parts(page: Any) -> list[tuple[int, int]]:
    """Return offsets and lengths of a page's strips or tiles."""
    return list(zip(page.dataoffsets, page.databytecounts, strict=True))


def _compression_name(compression: int) -> str:
    try:
        return str(tifffile.COMPRESSION(compression).name)
    except ValueError:
        return f"number {compression}"


class StackClip(LazyClip):
    """A clip whose frames are the pages of a TIFF file."""

    def __init__(self, stack: StackFile, first: tuple[int, Frame], clip_id: str, cache_bytes: int) -> None:
        """Create the clip from an opened stack, which it owns, and one frame with its index, uint8 or uint16 (H, W)."""
        _, frame = first
        described, n_frames = stack.description, stack.n_frames
        times_s: npt.NDArray[np.float64] = np.arange(n_frames) * np.float64(described.step_s or 1 / ASSUMED_FPS)
        if described.times_s is not None and len(described.times_s) == n_frames:
            times_s = np.array(described.times_s, np.float64)
        times_are_assumed = n_frames > 1 and described.step_s is None and len(described.times_s or ()) != n_frames
        doubt = None if times_are_assumed else rate_doubt(times_s)
        super().__init__(
            clip_id=clip_id,
            source=stack.path,
            n_frames=stack.n_frames,
            height=frame.shape[0],
            width=frame.shape[1],
            bits=8 * frame.itemsize,
            times_s=times_s,
            times_from="assumed" if times_are_assumed else "file",
            pixel_aspect=stack.description.aspect,
            notes=stack.notes if doubt is None else (*stack.notes, doubt),
            inverted=stack.inverted,
            cache_bytes=cache_bytes,
        )
        self._stack = stack
        self._first = first

    def look_at_frames(self) -> None:
        """Decode a few frames beside the first: note a damaged one, and set `window` for frames deeper than 8 bits.

        Raises:
            ClipError: No frame can be decoded.
        """
        self._cache_frame(*self._first)
        frames, note = readable_frames(self, middle=self.bits > 8)  # the last one also shows a truncated file
        self.notes += () if note is None else (note,)
        if self.bits > 8:
            self.window = measured_window(frames, self.bits)

    def reopen(self) -> StackClip:
        """Open the same recording again, with its own file handle and cache."""
        stack = StackFile(self._stack.path)
        return self._copy_flags_to(StackClip(stack, self._first, self.id, self._cache_bytes))

    def _release(self) -> None:
        self._stack.close()

    def _read(self, t: int) -> Frame:
        frame = self._stack.frame(t)
        if frame.shape != (self.height, self.width) or frame.dtype != self.dtype:
            raise ClipError(
                f"is {frame.dtype} {frame.shape}, the first {self.dtype} {(self.height, self.width)}",
                path=self.source,
                frame=t,
                remedy=_CONVERT,
            )
        return frame


def open_stack(path: Path, clip_id: str, *, cache_bytes: int = CACHE_BYTES) -> StackClip:
    """Open a TIFF stack.

    Raises:
        ClipError: It is unreadable, truncated, or not one time series of grey or colour pictures.
    """
    stack = StackFile(path)
    try:
        clip = StackClip(stack, _first_frame(stack), clip_id, cache_bytes)
        clip.look_at_frames()
        return clip
    except ClipError:
        stack.close()
        raise


def _first_frame(stack: StackFile) -> tuple[int, Frame]:
    """Return index and grey values of the first of a few frames that can be decoded, for size and depth.

    Raises:
        ClipError: None can be.
    """
    first: ClipError | None = None
    for t in spread(stack.n_frames):
        try:
            return t, stack.frame(t)
        except ClipError as error:
            first = first or error
    raise first or ClipError("holds no pages", path=stack.path, remedy=COPY_AGAIN)
