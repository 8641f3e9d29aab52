# SPDX-License-Identifier: Apache-2.0
"""Facts about a recording that only opening it tells: its time base, the aspect of its pixels, and what was noticed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from vfss.clips import Clip
from vfss.clips.clip import ASSUMED_FPS
from vfss.clips.time_base import frame_rate
from vfss.project import ClipRecord
from vfss.wording import count, ranges

_QUOTED = re.compile(r"'.*'", re.DOTALL)  # from the first quotation mark to the last: a text may contain some itself
_LONG_NUMBER = re.compile(r"\d[\d,.]{5,}")
_NAME = "\0"  # stands for the name of the recording; no note contains it


def recording_facts(clip: Clip, name: str) -> dict[str, Any]:
    """Return the facts, plain data for JSON, without the name of the file.

    Args:
        clip: The recording, opened.
        name: Name of the recording in the export, which replaces that of the file in notes.
    """
    rate = frame_rate(clip)
    return {
        "times_from": clip.times_from,
        "frame_rate": None if rate is None else round(rate, 6),
        "pixel_aspect": clip.pixel_aspect,
        "notes": [_shareable(note, clip, name) for note in clip.notes],
    }


def facts_unopened(record: ClipRecord) -> dict[str, Any]:
    """Return the facts of a recording that could not be opened, as far as the project knows them."""
    return {"times_from": None, "frame_rate": None, "pixel_aspect": record.pixel_aspect, "notes": []}


def remarks_on(facts: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return what a user of a dataset must know of its recordings, a sentence each.

    Args:
        facts: Facts of each recording.
    """
    recordings = list(facts)
    assumed = sum(one["times_from"] == "assumed" for one in recordings)
    wide = [one["pixel_aspect"] for one in recordings if one["pixel_aspect"] != 1.0]
    remarks = []
    if assumed:
        remarks.append(
            f"The times of {count(assumed, 'recording')} of {len(recordings)} are assumed ({ASSUMED_FPS:g} frames a "
            "second), as the recordings do not state them: times_from says which."
        )
    if wide:
        values = ", ".join(f"{aspect:.4g}" for aspect in sorted(set(wide)))
        remarks.append(
            f"The pixels of {count(len(wide), 'recording')} of {len(recordings)} are not square (width divided by "
            f"height: {values}): pictures and masks are on stored pixels, pixel_aspect says how they look."
        )
    return tuple(remarks)


def remarks_on_frames(clips: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """Return a sentence on each recording of which annotated frames are missing, or may not fit their masks.

    Args:
        clips: Entries of the manifest by name of the recording.
    """
    remarks = []
    for name, entry in clips.items():
        if missing := entry["unreadable_frames"]:
            which = count(
                len(missing), "annotated frame could not be read and is", "annotated frames could not be read and are"
            )
            remarks.append(f"Recording {name}: {which} not in the dataset: {ranges(missing)}.")
        if changed := entry["changed_frames"]:
            which = count(len(changed), "frame is decoded", "frames are decoded")
            remarks.append(
                f"Recording {name}: {which} otherwise than when first read, so that the masks there may not fit: "
                f"{ranges(changed)}."
            )
    return tuple(remarks)


def _shareable(note: str, clip: Clip, name: str) -> str:
    """Return a note without what it quotes of the recording, which can be anything: texts, long numbers, file names."""
    if clip.source is not None:
        for part in (str(clip.source), clip.source.name, clip.source.stem):
            note = note.replace(part, _NAME) if len(part) > 1 else note
    # The name comes last: one like clip-7556768h looks like a long number itself.
    return _LONG_NUMBER.sub("...", _QUOTED.sub("...", note)).replace(_NAME, name)
