# SPDX-License-Identifier: Apache-2.0
"""A student's proposals on the readable frames of a clip."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vfss.clips.readable import Picture, ReadableFrames
from vfss.student.student import Proposal, Student
from vfss.student.temporal_median import steadied_frame


def propose_readable(student: Student, reader: ReadableFrames, frames: Iterable[int]) -> Iterator[tuple[int, Proposal]]:
    """Yield the index of each frame that can be decoded, and the student's proposal on it, as fast as possible.

    Args:
        student: The student.
        reader: Reads the clip, and remembers the frames that it cannot decode.
        frames: Zero-based frame indices, in the order in which they are wanted.
    """
    taken: list[int] = []  # frames that the student has asked for

    def pictures() -> Iterator[Picture]:
        for t, picture in reader.pictures(frames):
            taken.append(t)
            yield picture

    def steadied(i: int) -> Picture | None:
        return steadied_frame(reader, taken[i])

    proposals = student.propose_each(pictures(), pixel_aspect=reader.pixel_aspect, steadied=steadied)
    for i, proposal in enumerate(proposals):
        yield taken[i], proposal
