# SPDX-License-Identifier: Apache-2.0
"""A student's proposals on the readable frames of a clip."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from vfss.clips.readable import Picture, ReadableFrames
from vfss.student.student import Proposal, Student


def propose_readable(student: Student, reader: ReadableFrames, frames: Iterable[int]) -> Iterator[tuple[int, Proposal]]:
    """Yield the index of each frame that can be decoded, and the student's proposal on it, as fast as possible.

    Args:
        student: The student.
        reader: Reads the clip, and remembers the frames that it cannot decode.
        frames: Zero-based frame indices, in the order in which they are wanted.
    """
    taken: deque[int] = deque()  # frames that the student has asked for and not answered yet

    def pictures() -> Iterator[Picture]:
        for t, picture in reader.pictures(frames):
            taken.append(t)
            yield picture

    for proposal in student.propose_each(pictures(), pixel_aspect=reader.pixel_aspect):
        yield taken.popleft(), proposal
