# SPDX-License-Identifier: Apache-2.0
"""NIfTI: per recording a volume of its frames and a volume per structure, all (T, H, W).

    <recording>/frames.nii.gz            grey values, uint8 or uint16
    <recording>/<structure>.nii.gz       uint8, 1 where a person confirmed the structure, else 0
    frames.jsonl                         "volume_index": index of a frame along T, with its time and its states

T counts the exported frames of a recording, in order. Voxels have no spacing, since fluoroscopy has none. A structure
that nobody annotated on a frame is 0 there too; the states in frames.jsonl distinguish it from an empty one.
"""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from vfss.clips import Clip
from vfss.datasets.format import Fields, Format, Job, Row
from vfss.datasets.identities import Identity
from vfss.datasets.selection import AnnotatedFrame
from vfss.datasets.sidecar import write_sidecar
from vfss.masks import MaskState

BLOCK_BYTES = 32 << 20
"""Bytes of a volume in memory at a time."""

_FRAMES = "frames.nii.gz"
_SPOOL = "spool.tmp"


class NiftiWriter:
    """Writes frames to spool files; at the end of a clip they are transposed to NIfTI's order, T fastest."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._keys = job.schema.keys
        self._volumes: _Volumes | None = None

    def begin_clip(self, identity: Identity, clip: Clip, frames: int) -> None:
        """See Writer.begin_clip."""
        folder = self._job.folder / identity.recording
        folder.mkdir(exist_ok=True)
        self._volumes = _Volumes(folder, self._keys, (identity.height, identity.width))

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
        write_sidecar(self._job.folder, manifest, rows)


class _Volumes:
    """The volumes of one recording, while they are written."""

    def __init__(self, folder: Path, keys: Sequence[str], shape: tuple[int, int]) -> None:
        self._folder = folder
        self._keys = keys
        self._shape = shape
        self._spools: list[IO[bytes]] = []
        self._dtype: np.dtype[Any] = np.dtype(np.uint8)
        self._n = 0

    def add(self, pixels: npt.NDArray[Any], planes: npt.NDArray[np.bool_]) -> int:
        """Append a frame (H, W) and its planes bool (S, H, W); return its index along T."""
        if not self._spools:
            names = (_FRAMES, *(f"{key}.nii.gz" for key in self._keys))
            self._spools = [(self._folder / f"{name}.{_SPOOL}").open("wb") for name in names]
            self._dtype = pixels.dtype
        self._spools[0].write(np.ascontiguousarray(pixels).tobytes())
        for spool, plane in zip(self._spools[1:], planes, strict=True):
            spool.write(np.packbits(plane, axis=1).tobytes())
        self._n += 1
        return self._n - 1

    def close(self) -> None:
        """Convert the spool files to volumes and delete them."""
        for spool in self._spools:
            spool.close()
            path = Path(spool.name)
            target = path.with_name(path.name.removesuffix(f".{_SPOOL}"))
            self._transpose(path, target, packed=target.name != _FRAMES)
            path.unlink()

    def _transpose(self, spool: Path, target: Path, *, packed: bool) -> None:
        import nibabel as nib

        height, width = self._shape
        columns = (width + 7) // 8 if packed else width
        source = np.memmap(spool, np.uint8 if packed else self._dtype, "r", shape=(self._n, height, columns))
        bytes_of_column = self._n * height * (8 if packed else self._dtype.itemsize)
        step = max(1, BLOCK_BYTES // bytes_of_column)
        header = nib.Nifti1Header()
        header.set_data_dtype(np.uint8 if packed else self._dtype)
        header.set_data_shape((self._n, height, width))
        header["vox_offset"] = header.single_vox_offset
        header.set_sform(np.eye(4), code="unknown")
        # No file name and no time in the header of the gzip stream.
        with target.open("wb") as raw, gzip.GzipFile("", "wb", compresslevel=4, fileobj=raw, mtime=0) as file:
            header.write_to(file)  # with the four bytes that mark the absence of extensions
            for first in range(0, columns, step):
                block = np.asarray(source[:, :, first : first + step])
                if packed:
                    block = np.unpackbits(block, axis=2)[:, :, : width - 8 * first]
                file.write(np.ascontiguousarray(block.transpose(2, 1, 0)).tobytes())


NIFTI = Format(
    "nifti",
    "NIfTI (a volume T, H, W per structure)",
    NiftiWriter,
    ("clip-.../: a folder per recording, with frames.nii.gz and a volume per structure",),
    losses=("The volumes only show where a structure is; empty, not visible and not annotated are in frames.jsonl.",),
    by_clip=True,
)
