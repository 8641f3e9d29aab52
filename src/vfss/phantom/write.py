# SPDX-License-Identifier: Apache-2.0
"""Phantoms as files: H.264 video, DICOM, and a project whose accepted annotations are the truth.

Masks come from the anatomy, not from the pictures: compression of the video leaves them exact.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path

from vfss.clips import Swallow
from vfss.errors import VfssError
from vfss.masks import BoolArray, MaskState
from vfss.phantom.phantom import Phantom
from vfss.project import Edit, Project
from vfss.redaction import Redaction

Progress = Callable[[int, int], bool]
AUTHOR = "phantom"
_BATCH = 16  # frames written to the project at once


def write_phantom(
    out: str | Path,
    *,
    clips: int,
    frames: int,
    seed: int,
    size: int = 512,
    style: str = "standard",
    both: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Write clips, each a patient of its own, and the project that holds their truth; returns the project folder.

    Clip i is Phantom(seed + i): OUT/clips/phantom_<seed + i>.mp4 or .dcm in turn; OUT/project holds its annotations.

    Args:
        out: Folder, made where it is missing.
        clips: How many.
        frames: Frames of each.
        seed: Seed of the first.
        size: Height and width in pixels, even.
        style: See vfss.phantom.STYLES.
        both: Write each clip as video and as DICOM, both of the same patient.
        progress: Told how many of all frames are done; False stops, and leaves the clips done so far.

    Raises:
        VfssError: There is a project already, the folder cannot be written, or the size cannot be encoded.
    """
    if size % 2:
        raise VfssError(f"video of {size}x{size} pixels cannot be encoded", remedy="Choose an even size.")
    make = partial(Phantom, n_frames=frames, height=size, width=size, style=style)
    make(seed)  # what cannot be made is said before anything is written
    folder = _made(Path(out) / "clips")
    with Project.create(Path(out) / "project") as project:
        for i in range(clips):
            suffixes = (".mp4", ".dcm") if both else ((".mp4", ".dcm")[i % 2],)
            if not _write_clip(
                project, folder, make(seed + i), suffixes, _counter(progress, i * frames, clips * frames)
            ):
                break
    return Path(out) / "project"


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VfssError(f"cannot be made ({error})", path=folder, remedy="Choose a folder you may write to.") from error
    return folder


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


def _counter(progress: Progress | None, before: int, total: int) -> Callable[[int], bool]:
    def tick(done: int) -> bool:
        return progress is None or progress(before + done, total)

    return tick


def _write_clip(
    project: Project, folder: Path, phantom: Phantom, suffixes: tuple[str, ...], tick: Callable[[int], bool]
) -> bool:
    writers = {".mp4": write_video, ".dcm": write_dicom}
    paths = [folder / f"phantom_{phantom.seed}{suffix}" for suffix in suffixes]
    for path in paths:
        if not writers[path.suffix](phantom, path, tick):
            return False
    ids = []
    for path in paths:
        record = project.add_clip(path, patient=f"phantom-{phantom.seed}")
        first, last = phantom.swallow
        project.update_clip(
            record.id, facing=phantom.facing, inverted=phantom.inverted, swallows=(Swallow(first, last),)
        )
        project.reviews.accept(record.id, Redaction(), reviewer=AUTHOR, text="synthetic: no patient")
        ids.append(record.id)
    for start in range(0, phantom.n_frames, _BATCH):
        edits = [edit for t in range(start, min(start + _BATCH, phantom.n_frames)) for edit in _edits(ids, t, phantom)]
        project.write(edits, author=AUTHOR, origin="truth")
    return True


def _edits(ids: list[str], t: int, phantom: Phantom) -> list[Edit]:
    planes, visible = phantom.truth(t)
    out = []
    for structure in phantom.schema.structures:
        plane, seen = planes[structure.index], bool(visible[structure.index])
        state = _state(plane, seen)
        mask = plane if state is MaskState.ACCEPTED else None
        out += [Edit(clip, t, structure.key, mask, state) for clip in ids]
    return out


def _state(plane: BoolArray, seen: bool) -> MaskState:
    if not seen:
        return MaskState.NOT_VISIBLE
    return MaskState.ACCEPTED if plane.any() else MaskState.EMPTY
