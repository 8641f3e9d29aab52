# SPDX-License-Identifier: Apache-2.0
"""Recordings of which some frames cannot be decoded, made on the spot."""

from __future__ import annotations

import io
from collections.abc import Collection
from pathlib import Path

import av
import numpy as np
from PIL import Image

from clip_material import dataset, write_encapsulated
from vfss.clips import ArrayClip
from vfss.errors import ClipError

JPEG_BASELINE = "1.2.840.10008.1.2.4.50"


class DamagedClip(ArrayClip):
    """Frames in memory, some of which cannot be decoded.

    Attributes:
        damaged: Indices of these frames.
    """

    damaged: Collection[int] = ()

    @classmethod
    def of(cls, frames: np.ndarray, damaged: Collection[int]) -> DamagedClip:
        """Return a clip of frames (T, H, W)."""
        clip = cls(frames)
        clip.damaged = tuple(damaged)
        return clip

    def __getitem__(self, t: int) -> np.ndarray:
        if t % self.n_frames in self.damaged:
            raise ClipError("cannot be decoded (no start of image)", frame=t, remedy="Export it again.")
        return super().__getitem__(t)

    def reopen(self) -> DamagedClip:
        return self.of(np.stack([super(DamagedClip, self).__getitem__(t) for t in range(self.n_frames)]), self.damaged)


def smooth(n: int, height: int, width: int) -> np.ndarray:
    """Return frames that lossy compression hardly changes, uint8 (n, height, width): a bright square that moves."""
    frames = np.full((n, height, width), 60, np.uint8)
    for t in range(n):
        y, x = 4 + t % (height // 2), 4 + (2 * t) % (width // 2)
        frames[t, y : y + height // 4, x : x + width // 4] = 200
    return frames


def picture_folder(folder: Path, frames: np.ndarray, damaged: Collection[int]) -> Path:
    """Write frames as PNG files; of the damaged ones the header is right and the rest is cut off."""
    folder.mkdir(parents=True)
    for t, frame in enumerate(frames):
        data = io.BytesIO()
        Image.fromarray(frame).save(data, "PNG")
        content = data.getvalue()
        (folder / f"{t:04d}.png").write_bytes(content[: 60 if t in damaged else len(content)])
    return folder


def jpeg_dicom(path: Path, frames: np.ndarray, damaged: Collection[int]) -> Path:
    """Write frames as JPEG fragments of a DICOM file; the damaged ones are no JPEG."""
    items = []
    for t, frame in enumerate(frames):
        data = io.BytesIO()
        Image.fromarray(frame).save(data, "JPEG", quality=95)
        items.append(bytes(range(256)) * 2 if t in damaged else data.getvalue())
    return write_encapsulated(path, dataset(frames, FrameTime="33"), JPEG_BASELINE, items, table=True)


def mjpeg_avi(path: Path, frames: np.ndarray, damaged: Collection[int]) -> Path:
    """Write frames as a Motion JPEG video; the packets of the damaged ones hold no picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=30)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:], "yuvj420p"
        for t, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="gray").reformat(format="yuvj420p")
            for packet in stream.encode(frame):
                container.mux(_junk(packet) if t in damaged else packet)
    return path


def _junk(packet: av.Packet) -> av.Packet:
    junk = av.Packet(bytes(range(1, 255)) * 3)
    junk.stream, junk.time_base = packet.stream, packet.time_base
    junk.pts, junk.dts, junk.is_keyframe = packet.pts, packet.dts, True
    return junk


MAKERS = {"png": picture_folder, "dicom": jpeg_dicom, "mjpeg": mjpeg_avi}
NAMES = {"png": "pictures", "dicom": "clip.dcm", "mjpeg": "clip.avi"}


def write_damaged(folder: Path, kind: str, frames: np.ndarray, damaged: Collection[int]) -> Path:
    """Write a recording of one kind (a key of MAKERS) into a folder."""
    folder.mkdir(exist_ok=True)
    return MAKERS[kind](folder / NAMES[kind], frames, damaged)
