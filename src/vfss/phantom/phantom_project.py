# SPDX-License-Identifier: Apache-2.0
"""A project of phantom clips, whose accepted annotations are the truth.

Masks come from the anatomy, not from the pictures: compression of the video leaves them exact. Clips are drawn by one
process per core, and written to the project by the one that was asked.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vfss.clips import Swallow
from vfss.errors import VfssError
from vfss.masks import BoolArray, MaskState
from vfss.phantom.phantom import Phantom
from vfss.phantom.write import write_dicom, write_video
from vfss.project import Edit, Project
from vfss.redaction import Redaction

Progress = Callable[[int, int], bool]
AUTHOR = "phantom"
_BATCH = 16  # frames written to the project at once
_FEW_PIXELS = 60 * 512 * 512  # of all clips; drawing them takes about as long as starting processes
_POLL_S = 0.1


@dataclass(frozen=True)
class _Clip:
    """A clip that is to be drawn."""

    seed: int
    frames: int
    size: int
    style: str
    paths: tuple[Path, ...]

    def phantom(self) -> Phantom:
        return Phantom(self.seed, n_frames=self.frames, height=self.size, width=self.size, style=self.style)


Truth = list[tuple[bytes, tuple[bool, ...]]]
"""Of each frame: its planes, packed and compressed, and which structures are visible."""


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
    processes: int | None = None,
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
        processes: How many draw clips, 1 is this one; None: one per core where there is enough to draw.

    Raises:
        VfssError: There is a project already, the folder cannot be written, or the size cannot be encoded.
    """
    if size % 2:
        raise VfssError(f"video of {size}x{size} pixels cannot be encoded", remedy="Choose an even size.")
    # What cannot be made is said before anything is written.
    Phantom(seed, n_frames=frames, height=size, width=size, style=style)
    folder = _made(Path(out) / "clips")
    orders = []
    for i in range(clips):
        suffixes = (".mp4", ".dcm") if both else ((".mp4", ".dcm")[i % 2],)
        paths = tuple(folder / f"phantom_{seed + i}{suffix}" for suffix in suffixes)
        orders.append(_Clip(seed + i, frames, size, style, paths))
    if processes is None:
        processes = (os.cpu_count() or 1) if clips * frames * size**2 > _FEW_PIXELS else 1
    with Project.create(Path(out) / "project") as project, ExitStack() as stack:
        if (processes := min(processes, clips)) > 1:
            drawn = _drawn_by_processes(orders, processes, progress, stack)
        else:
            drawn = _drawn_here(orders, progress)
        for order, truth in drawn:
            _add(project, order, truth)
    return Path(out) / "project"


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VfssError(f"cannot be made ({error})", path=folder, remedy="Choose a folder you may write to.") from error
    return folder


def _draw(order: _Clip, tick: Callable[[], bool]) -> Truth | None:
    """Write the files of a clip and return its truth; None, and no files, where a tick after some frame says so."""
    phantom = order.phantom()
    truth: Truth = []
    for path in order.paths:
        first = path == order.paths[0]

        def done(frames: int, first: bool = first) -> bool:
            if not first:
                return True
            planes, visible = phantom.truth(frames - 1)
            truth.append((zlib.compress(np.packbits(planes).tobytes(), 1), tuple(visible.tolist())))
            return tick()

        writer = write_video if path.suffix == ".mp4" else write_dicom
        if not writer(phantom, path, done):
            return None
    return truth


def _drawn_here(orders: list[_Clip], progress: Progress | None) -> Iterator[tuple[_Clip, Truth]]:
    """Yield each clip that is drawn, with its truth; ends early where progress says so."""
    total, done = sum(order.frames for order in orders), 0

    def tick() -> bool:
        nonlocal done
        done += 1
        return progress is None or progress(done, total)

    for order in orders:
        truth = _draw(order, tick)
        if truth is None:
            return
        yield order, truth


_process: dict[str, Any] = {}
"""In a process that draws: the queue that it tells of each frame, and the event that stops it."""


def _started(ticks: Any, stop: Any) -> None:
    _process.update(ticks=ticks, stop=stop)
    ticks.cancel_join_thread()  # a process that ends waits for nobody who counts


def _draw_in_process(order: _Clip) -> Truth | None:
    def tick() -> bool:
        _process["ticks"].put(1)
        return not _process["stop"].is_set()

    return None if _process["stop"].is_set() else _draw(order, tick)


def _drawn_by_processes(
    orders: list[_Clip], processes: int, progress: Progress | None, stack: ExitStack
) -> Iterator[tuple[_Clip, Truth]]:
    """Yield each clip that is drawn, with its truth, in order; ends early where progress says so."""
    context = multiprocessing.get_context("spawn")  # forking a process with threads, as Qt's, can hang it
    ticks, stop = context.Queue(), context.Event()
    pool = stack.enter_context(ProcessPoolExecutor(processes, context, _started, (ticks, stop)))
    stack.callback(stop.set)
    coming = [pool.submit(_draw_in_process, order) for order in orders]
    total, done = sum(order.frames for order in orders), 0
    for order, future in zip(orders, coming, strict=True):
        while not future.done() or not ticks.empty():
            done += _counted(ticks)
            if not stop.is_set() and progress is not None and not progress(min(done, total), total):
                stop.set()
                _forget(coming)
        truth = None if future.cancelled() else _result(future, orders[0].paths[0].parent)
        if truth is not None:  # also one that was done when an earlier one was stopped
            yield order, truth


def _counted(ticks: Any) -> int:
    """Return how many frames were drawn, after waiting a moment for one."""
    try:
        return int(ticks.get(timeout=_POLL_S))
    except queue.Empty:
        return 0


def _result(future: Future[Truth | None], folder: Path) -> Truth | None:
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise VfssError(
            "a process that drew clips was ended by the system",
            path=folder,
            remedy="Free memory, or ask for fewer or smaller clips; those done so far are in the project.",
        ) from error


def _forget(coming: list[Future[Truth | None]]) -> None:
    for future in coming:
        future.cancel()


def _add(project: Project, order: _Clip, truth: Truth) -> None:
    """Add a clip that is drawn, with its truth, to the project."""
    phantom = order.phantom()
    ids = []
    for path in order.paths:
        record = project.add_clip(path, patient=f"phantom-{phantom.seed}")
        first, last = phantom.swallow
        project.update_clip(
            record.id, facing=phantom.facing, inverted=phantom.inverted, swallows=(Swallow(first, last),)
        )
        project.reviews.accept(record.id, Redaction(), reviewer=AUTHOR, text="synthetic: no patient")
        ids.append(record.id)
    for start in range(0, phantom.n_frames, _BATCH):
        batch = range(start, min(start + _BATCH, phantom.n_frames))
        edits = [edit for t in batch for edit in _edits(ids, t, phantom, *truth[t])]
        project.write(edits, author=AUTHOR, origin="truth")


def _edits(ids: list[str], t: int, phantom: Phantom, packed: bytes, visible: tuple[bool, ...]) -> list[Edit]:
    shape = (len(phantom.schema), phantom.height, phantom.width)
    bits = np.unpackbits(np.frombuffer(zlib.decompress(packed), np.uint8), count=int(np.prod(shape)))
    planes = bits.view(np.bool_).reshape(shape)
    out = []
    for structure in phantom.schema.structures:
        plane = planes[structure.index]
        state = _state(plane, visible[structure.index])
        mask = plane if state is MaskState.ACCEPTED else None
        out += [Edit(clip, t, structure.key, mask, state) for clip in ids]
    return out


def _state(plane: BoolArray, seen: bool) -> MaskState:
    if not seen:
        return MaskState.NOT_VISIBLE
    return MaskState.ACCEPTED if plane.any() else MaskState.EMPTY
