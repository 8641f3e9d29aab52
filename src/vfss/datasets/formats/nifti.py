# SPDX-License-Identifier: Apache-2.0
"""NIfTI: per recording a volume of its frames and a volume per structure, all (W, H, T) in NIfTI's order X, Y, Z.

    <recording>/frames.nii.gz            grey values, uint8 or uint16
    <recording>/<structure>.nii.gz       uint8, 1 where a person confirmed the structure, else 0
    frames.jsonl                         "volume_index": slice of a frame, with its time and its states

ITK reads them as arrays (T, H, W), nibabel as (W, H, T). T counts the exported frames of a recording, in order. The
header has no millimetres, since fluoroscopy has none: pixdim[1] and pixdim[2] are the relative width and height of a
pixel, pixdim[4] the seconds from frame to frame of the recording, not of the slices. Where nobody knows the times,
"descrip" says that they are assumed. A structure that nobody annotated on a frame is 0 there too; the states in
frames.jsonl distinguish it from an empty one.
"""

from __future__ import annotations

import gzip
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from vfss.clips import Clip
from vfss.clips.clip import TimesFrom
from vfss.datasets.format import Fields, Format, Job, Row
from vfss.datasets.identities import Identity
from vfss.datasets.selection import AnnotatedFrame
from vfss.datasets.sidecar import write_sidecar
from vfss.errors import DatasetError
from vfss.masks import MaskState

AXES = ("x", "y", "frame")
"""Axes of the volumes in NIfTI's order, in the manifest as "volume_axes"; datasets without it have (frame, y, x)."""

LONGEST = 32_767
"""Most slices, rows or columns of a NIfTI volume."""

_FRAMES = "frames.nii.gz"
_SPOOL = "spool.tmp"
_BLOCK_BYTES = 1 << 20
_SECONDS = 8  # xyzt_units: time in seconds, space unknown
_TIMES: dict[TimesFrom, str] = {"file": "of the recording", "assumed": "ASSUMED", "person": "typed by a person"}


class NiftiWriter:
    """Writes frames to spool files, whose order is NIfTI's, X fastest; at the end of a clip they get their headers."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._keys = job.schema.keys
        self._volumes: _Volumes | None = None

    def begin_clip(self, identity: Identity, clip: Clip, frames: int) -> None:
        """See Writer.begin_clip."""
        if max(frames, identity.height, identity.width) > LONGEST:
            raise DatasetError(
                f"{identity.record.path.name} has {frames} frames to export of {identity.height} x {identity.width} "
                f"pixels; NIfTI can count up to {LONGEST}",
                remedy="Choose another format.",
            )
        folder = self._job.folder / identity.recording
        folder.mkdir(exist_ok=True)
        self._volumes = _Volumes(folder, self._keys, (identity.height, identity.width), clip)

    def add(self, frame: AnnotatedFrame, fields: Fields, lost: Counter[str]) -> dict[str, Any]:
        """See Writer.add."""
        if self._volumes is None:
            raise RuntimeError("add was called before begin_clip")
        unwritten = [frame.masks.state[i] for i in range(len(self._keys)) if not frame.written[i]]
        hidden = int(np.count_nonzero(np.equal(unwritten, MaskState.NOT_VISIBLE)))
        lost.update({"planes not visible (0 in the volumes, marked in frames.jsonl)": hidden} if hidden else {})
        unknown = len(unwritten) - hidden
        lost.update({"planes not annotated (0 in the volumes, marked in frames.jsonl)": unknown} if unknown else {})
        index = self._volumes.add(frame.pixels, frame.masks.planes)
        return {"volume": f"{fields['clip']}/{_FRAMES}", "volume_index": index}

    def end_clip(self) -> None:
        """See Writer.end_clip."""
        if self._volumes is not None:
            self._volumes.close()
            self._volumes = None

    def finish(self, manifest: dict[str, Any], rows: Iterable[Row]) -> None:
        """See Writer.finish."""
        write_sidecar(self._job.folder, {**manifest, "volume_axes": AXES}, rows)


class _Volumes:
    """The volumes of one recording, while they are written."""

    def __init__(self, folder: Path, keys: Sequence[str], shape: tuple[int, int], clip: Clip) -> None:
        self._folder = folder
        self._keys = keys
        self._shape = shape
        self._dtype = clip.dtype
        self._aspect = clip.pixel_aspect
        self._interval_s = float(clip.times_s[-1]) / max(1, clip.n_frames - 1)
        self._times = _TIMES[clip.times_from]
        self._spools: list[IO[bytes]] = []
        self._n = 0

    def add(self, pixels: npt.NDArray[Any], planes: npt.NDArray[np.bool_]) -> int:
        """Append a frame (H, W) and its planes bool (S, H, W); return the index of their slice."""
        if not self._spools:
            names = (_FRAMES, *(f"{key}.nii.gz" for key in self._keys))
            self._spools = [(self._folder / f"{name}.{_SPOOL}").open("wb") for name in names]
        self._spools[0].write(np.ascontiguousarray(pixels, self._dtype.newbyteorder("<")).tobytes())
        for spool, plane in zip(self._spools[1:], planes, strict=True):
            spool.write(np.packbits(plane).tobytes())
        self._n += 1
        return self._n - 1

    def close(self) -> None:
        """Convert the spool files to volumes and delete them."""
        for spool in self._spools:
            spool.close()
            path = Path(spool.name)
            self._write(path, path.with_name(path.name.removesuffix(f".{_SPOOL}")))
            path.unlink()

    def _write(self, spool: Path, target: Path) -> None:
        packed = target.name != _FRAMES
        height, width = self._shape
        # No file name and no time in the header of the gzip stream.
        with target.open("wb") as raw, gzip.GzipFile("", "wb", compresslevel=4, fileobj=raw, mtime=0) as file:
            # With the four bytes that mark the absence of extensions.
            self._header(np.dtype(np.uint8) if packed else self._dtype).write_to(file)
            with spool.open("rb") as values:
                if not packed:
                    shutil.copyfileobj(values, file, _BLOCK_BYTES)
                    return
                while plane := values.read(-(-height * width // 8)):
                    file.write(np.unpackbits(np.frombuffer(plane, np.uint8), count=height * width).tobytes())

    def _header(self, dtype: np.dtype[Any]) -> Any:
        import nibabel as nib

        height, width = self._shape
        header = nib.Nifti1Header(endianness="<")
        header.set_data_dtype(dtype)
        header.set_data_shape((width, height, self._n))
        header["vox_offset"] = header.single_vox_offset
        header["pixdim"][1:5] = (self._aspect, 1, 1, self._interval_s)
        header["xyzt_units"] = _SECONDS
        header["descrip"] = f"slices: exported frames; pixdim[4]: seconds a frame, {self._times}".encode()
        return header


NIFTI = Format(
    "nifti",
    "NIfTI (a volume of frames per structure)",
    NiftiWriter,
    ("clip-.../: a folder per recording, with frames.nii.gz and a volume per structure",),
    losses=(
        "The volumes only show where a structure is; empty, not visible and not annotated are in frames.jsonl.",
        "Slices are the exported frames; their numbers and times are in frames.jsonl.",
    ),
    by_clip=True,
    reads=True,
)
