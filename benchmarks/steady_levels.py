# SPDX-License-Identifier: Apache-2.0
"""Do the names of vertebrae stay where they are from frame to frame of real film?

A neck hardly moves within a third of a second. On every fifth frame of two public clips, the middles of the masks of C2
to C6 are compared with their medians over nine such frames around it: where one lies farther off than 0.45 of the
distance between two vertebrae, the frame is out of step, be it that its levels were counted differently or a mask
frayed. No annotation is needed, and none says that steady names are right: that is benchmarks/levels.py.

The clips are not part of the repository; no student is trained on them, and they may choose between students.

Run: python benchmarks/steady_levels.py [--student FILE ...] [--clips FOLDER] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from levels import folder_of
from real_frames import ANNOTATIONS, find_clips, read_annotations

from vfss.clips import open_clip
from vfss.clips.readable import ReadableFrames
from vfss.schema import Schema
from vfss.student import Student, load_student
from vfss.student.temporal_median import steadied_frame

LEVELS = ("c2", "c3", "c4", "c5", "c6")
EVERY, AROUND, OFF = 5, 4, 0.45

Floats = npt.NDArray[np.float64]


def middles(student: Student, path: Path) -> tuple[list[int], Floats]:
    """Return the frames looked at, and the middles of the masks, float64 (frames, levels, 2), NaN where none is."""
    rows = []
    with open_clip(path) as clip:
        reader, frames = ReadableFrames(clip), list(range(0, clip.n_frames, EVERY))
        for t in frames:
            (proposal,) = student.propose(clip.as_uint8(t)[None], steadied=lambda _, t=t: steadied_frame(reader, t))
            planes = [proposal.plane(key) for key in LEVELS]
            rows.append([(np.nan, np.nan) if p is None or not p.any() else np.argwhere(p).mean(axis=0) for p in planes])
    return frames, np.array(rows, np.float64)


def out_of_step(places: Floats) -> Floats:
    """Return how far the vertebra of each frame that moved most lies off, in distances of two vertebrae, (frames,)."""
    usual = np.nanmedian(np.hypot(*np.diff(np.nanmedian(places, axis=0), axis=0).T))
    off = np.zeros(len(places))
    for i, row in enumerate(places):
        median = np.nanmedian(places[max(0, i - AROUND) : i + AROUND + 1], axis=0)
        off[i] = np.nanmax(np.hypot(*(row - median).T)) / usual
    return off


def measure(student: Student, paths: dict[str, Path]) -> dict[str, Any]:
    """Return, for each clip, how many frames are out of step, and which."""
    result = {}
    for name, path in paths.items():
        frames, places = middles(student, path)
        off = out_of_step(places)
        late = {str(t): round(float(o), 2) for t, o in zip(frames, off, strict=True) if o > OFF}
        share = round(len(late) / len(frames), 4)
        result[name] = {"frames": len(frames), "out_of_step": late, "share": share}
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--student", nargs="+", default=["default"], help="student files, or default")
    parser.add_argument("--clips", type=Path, help="folder of the two clips [$VFSS_SHARED/data/clips]")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()
    annotated = read_annotations(ANNOTATIONS, Schema.load())
    found = find_clips(folder_of(options.clips, "clips"), (one.content for one in annotated))
    paths = {one.name: found[one.content] for one in annotated}
    result = {}
    for file in options.student:
        student = load_student(file, "cpu")
        result[student.id] = {"file": Path(file).name, **measure(student, paths)}
        print(file, json.dumps(result[student.id]), flush=True)
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
