# SPDX-License-Identifier: Apache-2.0
"""Review pack: a picture strip of each recording and a file of proposed redactions, for a person to edit and accept."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vfss.clips.placard import PlacardClip
from vfss.deidentify.review_strip import review_strip
from vfss.deidentify.suggest_redaction import propose_redaction
from vfss.deidentify.text_detection import DetectedText, TextDetector
from vfss.errors import ClipError, DatasetError
from vfss.output import Progress
from vfss.output.partial_folder import PartialFolder
from vfss.output.png_files import write_png
from vfss.plain_data import parse_json
from vfss.project import ClipRecord, Project
from vfss.project.pixel_reviews import PixelReview
from vfss.redaction import Redaction
from vfss.wording import count, ranges

FILE = "redactions.json"

_WHAT = (
    "Proposed redactions, not reviewed yet: look at every strip, correct boxes and crop (rows and columns count from "
    "0; bottom and right are exclusive; null means no crop), remove clips that you did not review, then accept this "
    "file with: vfss deidentify PROJECT --accept FILE --reviewer NAME. Keep this folder private: it shows what is to "
    "be hidden."
)
_REMEDY = "Write it again with: vfss deidentify PROJECT --prepare DIR."


def write_review_pack(
    project: Project,
    records: Sequence[ClipRecord],
    folder: Path,
    progress: Progress | None = None,
    left_out: Callable[[str], None] | None = None,
) -> Path | None:
    """Detect text and the exposed field of recordings; write a strip of each and one file of proposed redactions.

    A recording that cannot be read is left out; of one with damaged frames the strip shows where they are.

    Args:
        project: Project of the recordings; the proposed crop contains all of their masks.
        records: The recordings.
        folder: The folder to write, not part of any export: it shows what is to be hidden.
        progress: Called after every picture examined; False cancels, and leaves nothing behind.
        left_out: Called with a message on each recording that cannot be read, or of which frames cannot be.

    Returns:
        The file of proposed redactions; None if it was cancelled.

    Raises:
        DatasetError: No recording can be read, or the folder is not empty or cannot be written.
        VfssError: The text detector cannot be loaded.
    """
    detector = TextDetector()
    entries: list[dict[str, Any]] = []
    unread: list[str] = []

    def overall_progress(done: int, total: int) -> bool:
        share = (len(entries) + len(unread) + done / total) / len(records)
        return progress is None or progress(round(1000 * share), 1000) is not False

    with PartialFolder(folder) as partial:
        for record in records:
            try:
                entry = _proposal(project, record, partial.path, detector, overall_progress, left_out)
            except ClipError as error:
                unread.append(f"{record.path.name}: {error}")
                continue
            if entry is None:
                return None
            entries.append(entry)
        if not entries:
            partial.discard()
            raise DatasetError(f"no recording can be read; the first: {unread[0]}", path=project.folder)
        text = json.dumps({"what": _WHAT, "clips": entries}, ensure_ascii=False, indent=2)
        (partial.path / FILE).write_text(text + "\n", "utf-8", errors="backslashreplace")  # JSON escapes so too
        partial.finish()
    if left_out is not None:
        for message in unread:
            left_out(message)
    return folder / FILE


def _proposal(  # noqa: PLR0917
    project: Project,
    record: ClipRecord,
    folder: Path,
    detector: TextDetector,
    progress: Progress,
    left_out: Callable[[str], None] | None,
) -> dict[str, Any] | None:
    with project.open_clip(record.id) as clip:
        proposed = propose_redaction(project, clip, detector, progress)
        if proposed is None:
            return None
        unreadable = proposed.projections.unreadable
        if unreadable and left_out is not None:
            frames = count(len(unreadable), "frame cannot be read", "frames cannot be read")
            left_out(f"{record.path.name}: {frames}: {ranges(unreadable)}")
        redaction = proposed.redaction
        strip = f"{record.id.removeprefix('b2-')[:12]}.png"
        write_png(folder / strip, review_strip(PlacardClip(clip), redaction, proposed.projections))
    return {
        "clip": record.id,
        "recording": record.path.name,
        "strip": strip,
        "height": record.height,
        "width": record.width,
        "boxes": [_box_entry(text) for text in proposed.texts],
        "crop": None if redaction.crop is None else redaction.crop.to_dict(),
    }


def _box_entry(text: DetectedText) -> dict[str, Any]:
    return {**text.box.to_dict(), "seen": f"on {text.seen} of {text.examined} pictures"}


def accept_review_pack(project: Project, path: Path, *, reviewer: str) -> list[PixelReview]:
    """Record that a person reviewed the strips and accepts the redactions of all clips in the file.

    Args:
        project: The project that the file was prepared from.
        path: The edited file.
        reviewer: Name of the person.

    Raises:
        DatasetError: The file is missing or malformed, or belongs to other recordings; nothing is accepted then.
        ProjectError: The reviewer is empty, or the project cannot be written.
    """
    accepted = read_redactions(path)
    sizes = {record.id: (record.height, record.width) for record in project.clips()}
    for clip_id, redaction in accepted.items():
        if clip_id not in sizes:
            raise DatasetError(f"clip {clip_id} is not in the project", path=path, remedy=_REMEDY)
        redaction.expect_within(*sizes[clip_id])
    return [
        project.reviews.accept(clip_id, redaction, reviewer=reviewer, text=f"accepted from {path.name}")
        for clip_id, redaction in accepted.items()
    ]


def read_redactions(path: Path) -> dict[str, Redaction]:
    """Return the redactions in a file, by clip.

    Raises:
        DatasetError: The file is missing or malformed.
    """
    try:
        entries = parse_json(path.read_text("utf-8"))["clips"]
        accepted = {str(entry["clip"]): Redaction.from_dict(entry) for entry in entries}
    except OSError as error:
        raise DatasetError(f"cannot be read ({error.strerror or error})", path=path, remedy=_REMEDY) from error
    except (ValueError, KeyError, TypeError, DatasetError) as error:
        raise DatasetError(f"is not a file of redactions ({error!r})", path=path, remedy=_REMEDY) from error
    if not accepted or len(accepted) < len(entries):
        what = "names no clip" if not accepted else "names a clip twice"
        raise DatasetError(what, path=path, remedy=_REMEDY)
    return accepted
