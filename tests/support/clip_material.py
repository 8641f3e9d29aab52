# SPDX-License-Identifier: Apache-2.0
"""Small generated recordings of every format, for the tests of vfss.clips."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import gdcm
import numpy as np
import pydicom
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian, XRayRadiofluoroscopicImageStorage, generate_uid

HEIGHT, WIDTH = 48, 64


def shared() -> Path:
    """Return the folder of real recordings, which may be missing."""
    return Path(os.environ.get("VFSS_SHARED", Path(__file__).resolve().parents[3] / "shared"))


def pictures(count: int, bits: int = 8) -> np.ndarray:
    """Return grey frames that all differ, uint8 or uint16 (T, 48, 64)."""
    rng = np.random.default_rng(7)
    base = rng.integers(0, 60, (HEIGHT, WIDTH))
    frames = []
    for t in range(count):
        frame = np.roll(base, 3 * t, axis=1) + 60 + (2 * t) % 60
        y, x = (5 * t) % (HEIGHT - 12), (7 * t) % (WIDTH - 12)
        frame[y : y + 12, x : x + 12] = 230
        frames.append(frame * 2 ** (bits - 8) + t % 2 ** (bits - 8))
    return np.array(frames).astype(np.uint8 if bits == 8 else np.uint16)


def write_video(
    path: Path,
    codec: str,
    *,
    count: int = 40,
    container: str | None = None,
    pixels: str = "yuv420p",
    options: dict[str, str] | None = None,
    b_frames: int | None = 2,
    pts: Sequence[int] | None = None,
    frames: np.ndarray | None = None,
) -> Path:
    """Write a video of pictures(count); with `b_frames` None the codec's own group of pictures is used."""
    with av.open(str(path), "w", format=container) as out:
        stream: Any = out.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixels
        if b_frames is not None:
            stream.codec_context.gop_size, stream.codec_context.max_b_frames = 12, b_frames
        stream.options = options or {}
        for t, picture in enumerate(pictures(count) if frames is None else frames):
            if picture.dtype == np.uint16:
                frame = av.VideoFrame.from_ndarray(picture, format="gray16le")
            else:
                frame = av.VideoFrame.from_ndarray(picture, format="gray")
            if frame.format.name != pixels:
                frame = frame.reformat(format=pixels)
            frame.pts = t if pts is None else pts[t]
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def sequential(path: Path, grey: str = "gray") -> list[np.ndarray]:
    """Return all frames, decoded sequentially from the start."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format=grey) for frame in container.decode(video=0)]


def dataset(frames: np.ndarray, *, stored: int | None = None, **tags: Any) -> pydicom.Dataset:
    """Return an uncompressed radiofluoroscopic object of frames (T, H, W) or (T, H, W, 3)."""
    allocated = 8 * frames.itemsize
    made = pydicom.Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = XRayRadiofluoroscopicImageStorage
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    made.Modality = "RF"
    made.NumberOfFrames, made.Rows, made.Columns = frames.shape[:3]
    made.SamplesPerPixel = 3 if frames.ndim == 4 else 1
    made.PhotometricInterpretation = "RGB" if frames.ndim == 4 else "MONOCHROME2"
    if frames.ndim == 4:
        made.PlanarConfiguration = 0
    made.BitsAllocated, made.BitsStored = allocated, stored or allocated
    made.HighBit, made.PixelRepresentation = made.BitsStored - 1, int(frames.dtype.kind == "i")
    made.PixelData = frames.tobytes()
    made["PixelData"].VR = "OW" if allocated == 16 else "OB"
    for key, value in tags.items():
        setattr(made, key, value)
    return made


def write_dicom(path: Path, frames: np.ndarray, *, stored: int | None = None, **tags: Any) -> Path:
    """Write an uncompressed DICOM file of frames."""
    dataset(frames, stored=stored, **tags).save_as(path, enforce_file_format=True)
    return path


def write_encapsulated(path: Path, made: pydicom.Dataset, syntax: str, items: list[bytes], *, table: bool) -> Path:
    """Write a DICOM file whose pixel data are the given items."""
    made.file_meta.TransferSyntaxUID = UID(syntax)
    made.PixelData = encapsulate(items, has_bot=table)
    made["PixelData"].VR = "OB"
    made["PixelData"].is_undefined_length = True
    made.save_as(path, enforce_file_format=True)
    return path


def recode(source: Path, path: Path, syntax: int) -> Path:
    """Write a DICOM file in another transfer syntax with GDCM."""
    reader = gdcm.ImageReader()
    reader.SetFileName(str(source))
    change = gdcm.ImageChangeTransferSyntax()
    if not reader.Read():
        raise RuntimeError(f"GDCM cannot read {source}")
    change.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    change.SetInput(reader.GetImage())
    if not change.Change():
        raise RuntimeError(f"GDCM cannot write {gdcm.TransferSyntax(syntax)}")
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    if not writer.Write():
        raise RuntimeError(f"GDCM cannot write {path}")
    return path
