# SPDX-License-Identifier: Apache-2.0
"""Phantom clips as files: H.264 video and DICOM."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from vfss.errors import VfssError
from vfss.phantom.phantom import Phantom


def write_video(phantom: Phantom, path: str | Path, tick: Callable[[int], bool] | None = None) -> bool:
    """Write H.264 in MP4, nearly without loss; False, and no file, where tick(frames done) says so.

    Raises:
        VfssError: The file cannot be written.
    """
    import av

    path = Path(path)
    unfinished = path.with_name(f"{path.stem}.part{path.suffix}")
    try:
        with av.open(str(unfinished), "w") as container:
            stream = container.add_stream("libx264", rate=Fraction(phantom.fps).limit_denominator(1001))
            stream.width, stream.height, stream.pix_fmt = phantom.width, phantom.height, "yuv420p"
            stream.options = {"crf": "12", "preset": "fast", "threads": "2"}
            for t in range(phantom.n_frames):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(phantom.frame(t), format="gray")))
                if tick is not None and not tick(t + 1):
                    break
            else:
                container.mux(stream.encode())
                container.close()
                unfinished.replace(path)
                return True
    except (OSError, av.FFmpegError) as error:
        unfinished.unlink(missing_ok=True)
        raise VfssError(f"cannot be written ({error})", path=path, remedy="Check the disk and the folder.") from error
    unfinished.unlink(missing_ok=True)
    return False


def write_dicom(phantom: Phantom, path: str | Path, tick: Callable[[int], bool] | None = None) -> bool:
    """Write a multi-frame X-ray radiofluoroscopic image; False, and no file, where tick(frames done) says so.

    Raises:
        VfssError: The file cannot be written.
    """
    import pydicom

    from vfss.phantom.radiofluoroscopy import header

    path = Path(path)
    unfinished = path.with_name(f"{path.stem}.part{path.suffix}")
    try:
        # Frames go through a file, so that a long clip needs no more memory than a short one.
        with tempfile.TemporaryFile() as pixels:
            for t in range(phantom.n_frames):
                pixels.write(phantom.frame(t).tobytes())
                if tick is not None and not tick(t + 1):
                    return False
            if pixels.tell() % 2:
                pixels.write(b"\0")
            pixels.seek(0)
            dataset = header(phantom)
            dataset.PixelData = pixels
            pydicom.dcmwrite(unfinished, dataset, enforce_file_format=True)
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise VfssError(f"cannot be written ({error})", path=path, remedy="Check the disk and the folder.") from error
    return True
