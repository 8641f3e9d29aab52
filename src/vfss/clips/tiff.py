# SPDX-License-Identifier: Apache-2.0
"""TIFF stacks: one page per frame, or one block of frames as ImageJ writes large stacks."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image

from vfss.clips.cached import CACHE_BYTES, LazyClip
from vfss.clips.clip import ASSUMED_FPS, Frame
from vfss.clips.grey import collapse, measured_window
from vfss.clips.library_errors import COPY_AGAIN, DECODING_ERRORS, reason
from vfss.errors import ClipError

_CONVERT = "Save it as one time series of unsigned 8 or 16 bit pictures, and open that."
_MINISWHITE, _PALETTE = 0, 3
_UNIT_S = {"s": 1.0, "sec": 1.0, "ms": 1e-3, "µs": 1e-6, "min": 60.0}


class _StackFile:
    """The pages of one TIFF file."""

    def __init__(self, path: Path) -> None:
        """Open the file and find its frames.

        Raises:
            ClipError: It cannot be read, or is not one time series.
        """
        self.path = path
        try:
            self._tiff: Any = tifffile.TiffFile(path)
        except DECODING_ERRORS as error:
            raise ClipError(f"is not a readable TIFF file ({reason(error)})", path=path, remedy=COPY_AGAIN) from error
        try:
            self._find_frames()
        except DECODING_ERRORS as error:
            self.close()
            raise ClipError(f"its pages cannot be listed ({reason(error)})", path=path, remedy=COPY_AGAIN) from error
        except ClipError:
            self.close()
            raise

    def _find_frames(self) -> None:
        if _is_truncated(self._tiff):
            pages = len(self._tiff.pages)
            raise ClipError(f"the file is cut off after {pages} pages", path=self.path, frame=pages, remedy=COPY_AGAIN)
        series = self._tiff.series
        first = series[0]
        self.key = first.keyframe
        self.inverted = int(self.key.photometric) == _MINISWHITE
        self.step_s = _step_s(self._tiff)
        page_axes = len(self.key.shape)
        leading = first.shape[: len(first.shape) - page_axes] if len(first.shape) > page_axes else ()
        self._block_at: int | None = None
        if len(series) > 1:
            self._pages, self.n_frames = self._tiff.pages, len(self._tiff.pages)
            return
        if sum(size > 1 for size in leading) > 1:
            raise ClipError(
                f"holds {' x '.join(map(str, first.shape))} values ({first.axes}), not one time series of pictures",
                path=self.path,
                remedy=_CONVERT,
            )
        self._pages, self.n_frames = first.pages, math.prod(leading)
        if len(first.pages) != self.n_frames:
            if first.dataoffset is None:
                raise ClipError(f"holds {len(first.pages)} of {self.n_frames} pages", path=self.path, remedy=COPY_AGAIN)
            self._block_at = int(first.dataoffset)

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
        page = self._pages[t]
        end = max(at + count for at, count in zip(page.dataoffsets, page.databytecounts, strict=True))
        if end > handle.size:
            raise EOFError("the file ends inside it")
        if page.keyframe.compression in tifffile.TIFF.DECOMPRESSORS:
            array: npt.NDArray[Any] = page.asarray()
            return array
        return self._decode_with_pillow(page)

    def _decode_with_pillow(self, page: Any) -> npt.NDArray[Any]:
        """Return the samples of a page whose compression (LZW, JPEG) Pillow decodes and tifffile alone does not."""
        with Image.open(self.path) as picture:
            picture.seek(page.index)
            array = np.array(picture)
        # Pillow inverts white-is-zero pages while it reads them.
        return np.invert(array) if self.inverted and picture.mode == "L" else array

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
        unsigned: Frame = samples.astype(f"u{samples.dtype.itemsize}")
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


def _is_truncated(tiff: Any) -> bool:
    """Return whether the last page that can be reached points to another one, which must be outside the file."""
    form, handle = tiff.tiff, tiff.filehandle
    at = tiff.pages[len(tiff.pages) - 1].offset
    handle.seek(at)
    (tags,) = struct.unpack(form.tagnoformat, handle.read(form.tagnosize))
    handle.seek(at + form.tagnosize + tags * form.tagsize)
    (following,) = struct.unpack(form.offsetformat, handle.read(form.offsetsize))
    return bool(following)


def _step_s(tiff: Any) -> float:
    """Return the seconds between frames from ImageJ or OME metadata, by default those of 30 frames per second."""
    imagej = tiff.imagej_metadata or {}
    step = imagej.get("finterval") or (1.0 / imagej["fps"] if imagej.get("fps") else 0.0)
    if not step and tiff.ome_metadata:
        image = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]
        pixels = (image[0] if isinstance(image, list) else image)["Pixels"]
        step = float(pixels.get("TimeIncrement", 0.0)) * _UNIT_S.get(pixels.get("TimeIncrementUnit", "s"), 0.0)
    return float(step) if isinstance(step, int | float) and 0 < step < math.inf else 1 / ASSUMED_FPS


class StackClip(LazyClip):
    """A clip whose frames are the pages of a TIFF file."""

    def __init__(self, stack: _StackFile, first: Frame, clip_id: str, cache_bytes: int) -> None:
        """Create the clip from an opened stack, which it owns, and its first frame, uint8 or uint16 (H, W)."""
        super().__init__(
            clip_id=clip_id,
            source=stack.path,
            n_frames=stack.n_frames,
            height=first.shape[0],
            width=first.shape[1],
            bits=8 * first.itemsize,
            times_s=np.arange(stack.n_frames) * stack.step_s,
            inverted=stack.inverted,
            cache_bytes=cache_bytes,
        )
        self._stack = stack
        self._first = first

    def reopen(self) -> StackClip:
        """Open the same recording again, with its own file handle and cache."""
        stack = _StackFile(self._stack.path)
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
    stack = _StackFile(path)
    try:
        if stack.n_frames < 1:
            raise ClipError("holds no pages", path=path, remedy=COPY_AGAIN)
        clip = StackClip(stack, stack.frame(0), clip_id, cache_bytes)
        sampled = sorted({0, clip.n_frames // 2, clip.n_frames - 1})
        frames = [clip[t] for t in sampled]  # reading the last one also detects a truncated file
        if clip.bits > 8:
            clip.window = measured_window(frames, clip.bits)
        return clip
    except ClipError:
        stack.close()
        raise
