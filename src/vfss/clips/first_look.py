# SPDX-License-Identifier: Apache-2.0
"""A look at a few frames of a clip while it is opened: one of which no frame decodes is refused, not shown black."""

from __future__ import annotations

from vfss.clips.clip import Clip, Frame
from vfss.errors import ClipError

_EXPORT_AGAIN = "Copy it again from its source, or export it again, uncompressed where that is offered."
_TRIED = 64
"""Frames that are tried, evenly spaced, where the first and the last cannot be decoded."""


def spread(n_frames: int) -> list[int]:
    """Return the frames that are tried before a recording counts as unreadable, evenly spaced, in ascending order."""
    return sorted({round(i * (n_frames - 1) / (_TRIED - 1)) for i in range(_TRIED)})


def readable_frames(clip: Clip, *, middle: bool) -> tuple[list[Frame], str | None]:
    """Decode the first and the last frame of a clip; return those that decode, and a note about those that do not.

    Args:
        clip: The clip, just opened.
        middle: Whether a frame halfway is wanted, too.

    Raises:
        ClipError: None of the frames that were tried can be decoded; that of the first one if it is the only one.
    """
    last = clip.n_frames - 1
    errors: list[ClipError] = []
    frames = _decoded(clip, sorted({0, *([clip.n_frames // 2] if middle else []), last}), errors)
    if not frames:
        tried = {error.frame for error in errors}
        frames = _decoded(clip, [t for t in spread(clip.n_frames) if t not in tried], errors, enough=1)
    if not frames:
        raise ClipError(
            f"none of its frames can be decoded ({len(errors)} of {clip.n_frames} were tried); {errors[0].what}",
            path=clip.source,
            frame=errors[0].frame,
            remedy=errors[0].remedy if last == 0 else _EXPORT_AGAIN,
        )
    if not errors:
        return frames, None
    named = ", ".join(str(error.frame) for error in errors[:3])
    frame = "frame" if len(errors) == 1 else "frames"
    why = errors[0].what.removeprefix("cannot be decoded (").removesuffix(")")
    return frames, f"{frame} {named} cannot be decoded ({why}): the others can be used"


def _decoded(clip: Clip, numbers: list[int], errors: list[ClipError], *, enough: int | None = None) -> list[Frame]:
    frames: list[Frame] = []
    for t in numbers:
        if enough is not None and len(frames) >= enough:
            break
        try:
            frames.append(clip[t])
        except ClipError as error:
            errors.append(error)
    return frames
