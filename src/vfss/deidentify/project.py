# SPDX-License-Identifier: Apache-2.0
"""De-identification of the recordings of a project into a folder that appears complete or not at all."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vfss.clips.placard import PlacardClip
from vfss.deidentify.recording import deidentify_recording
from vfss.errors import ClipError, DatasetError
from vfss.output import NOTICE, Progress
from vfss.output.json_files import write_json
from vfss.output.partial_folder import PartialFolder
from vfss.project import ClipRecord, Project
from vfss.project.case_key import CaseKey
from vfss.project.pixel_reviews import PixelReview, not_reviewed
from vfss.redaction import Redaction
from vfss.version import __version__
from vfss.wording import count, ranges

MANIFEST, README = "manifest.json", "README.txt"
LAYOUT = 1
"""Version of the manifest."""

_ABOUT = (
    "De-identified recordings. DICOM files follow PS3.15, Basic Application Level Confidentiality Profile (a folder of "
    "single images is one secondary capture); other "
    "recordings are lossless videos without sound and metadata (FFV1 in Matroska). Recordings and patients have random "
    "names; the key file that links them to the originals is not part of this folder. manifest.json lists for each "
    "recording which rectangles are black on all frames, how it was cropped, whether a person reviewed its pixels, and "
    "which frames could not be read: these show stripes and say so."
)
_ASSUMED = (
    "The times of {} of {} recordings are assumed, as the originals do not state them: manifest.json says which. A "
    "video must have times nevertheless, which its tag TIMES_FROM calls assumed; a DICOM file has none then."
)
_UNREVIEWED = "THE PIXELS of {} of {} recordings WERE NOT REVIEWED: names may be visible. Do not pass them on."


@dataclass(frozen=True)
class DeidentifyReport:
    """Result of a de-identification.

    Attributes:
        folder: The finished folder; None if it was cancelled, and nothing is left on disk.
        recordings: Recordings written.
        frames: Their frames.
        cases: Patients among them.
        unreviewed: Recordings written whose pixels were not reviewed.
        problems: Messages about recordings and frames that could not be read; they contain file names, so they are not
            written to the folder.
    """

    folder: Path | None
    recordings: int
    frames: int
    cases: int
    unreviewed: int
    problems: tuple[str, ...] = ()

    @property
    def cancelled(self) -> bool:
        """True if it was stopped before its end."""
        return self.folder is None

    def lines(self) -> list[str]:
        """Return the report as sentences for a person."""
        if self.cancelled:
            return ["Cancelled: nothing was written."]
        counts = f"{count(self.recordings, 'recording')} with {count(self.frames, 'frame')}, patients: {self.cases}"
        warnings = [_UNREVIEWED.format(self.unreviewed, self.recordings)] if self.unreviewed else []
        return [f"Wrote {counts}, to {self.folder}.", *warnings, *(f"Not readable: {p}" for p in self.problems)]


def deidentify_project(
    project: Project,
    folder: str | Path,
    key: CaseKey,
    *,
    clips: Collection[str] | None = None,
    unreviewed: bool = False,
    progress: Progress | None = None,
) -> DeidentifyReport:
    """Write de-identified recordings of a project into a new folder, which appears complete or not at all.

    Args:
        project: Project of the recordings and of the reviews of their pixels.
        folder: The folder to write; it must not exist, or be empty.
        key: The case key, which must be outside of the folder.
        clips: Content ids of the recordings to write; None for all.
        unreviewed: Also write recordings whose pixels were not reviewed; the manifest says which.
        progress: Called after every frame; False cancels, and leaves nothing behind.

    Raises:
        DatasetError: A recording was not reviewed, the key is inside the folder, the folder is not empty, none of the
            recordings can be read, or writing failed.
        ProjectError: The project cannot be read.
    """
    folder = Path(folder)
    key.expect_outside(folder)
    records = [record for record in project.clips() if clips is None or record.id in clips]
    reviews = {record.id: project.reviews.of(record.id) for record in records}
    if not records:
        raise DatasetError("there is no recording to write", path=project.folder, remedy="Add recordings first.")
    if not unreviewed:
        _expect_reviewed(records, reviews)
    with PartialFolder(folder) as partial:
        run = _Run(project, partial.path, key, sum(record.n_frames for record in records), progress)
        for record in records:
            if not run.add(record, reviews[record.id]):
                return run.report(None)
        run.finish(folder)
        partial.finish()
    return run.report(folder)


def _expect_reviewed(records: list[ClipRecord], reviews: dict[str, PixelReview | None]) -> None:
    missing = [record.path.name for record in records if reviews[record.id] is None]
    if missing:
        raise not_reviewed(missing)


def _unreadable(record: ClipRecord, clip: PlacardClip) -> str:
    frames = ranges(clip.unreadable)
    which = count(len(clip.unreadable), "frame was replaced by a placard", "frames were replaced by placards")
    return f"{record.path.name}: {which}: {frames} ({clip.unreadable[min(clip.unreadable)].what})"


class _Run:
    """One running de-identification."""

    def __init__(self, project: Project, folder: Path, key: CaseKey, frames: int, progress: Progress | None) -> None:
        self._project, self._folder, self._key = project, folder, key
        self._total_frames, self._progress = frames, progress
        self._frames_before = 0
        self._written: dict[str, dict[str, Any]] = {}
        self._problems: list[str] = []
        self._left_out = 0

    def add(self, record: ClipRecord, review: PixelReview | None) -> bool:
        """Write one recording; return False if it was cancelled."""
        case = self._key.case(record.patient)
        redaction = Redaction() if review is None else review.redaction
        folder = self._folder / case
        folder.mkdir(exist_ok=True)
        try:
            with PlacardClip(self._project.open_clip(record.id)) as clip:
                file = deidentify_recording(
                    clip,
                    folder,
                    redaction,
                    self._key,
                    patient=record.patient,
                    reviewed=review is not None,
                    progress=self._report,
                )
                if file is None:
                    return False
                self._written[file.stem] = self._entry(clip, file, case, review, redaction)
                if clip.unreadable:
                    self._problems.append(_unreadable(record, clip))
        except ClipError as error:
            self._problems.append(str(error))
            self._left_out += 1
            if not any(folder.iterdir()):
                folder.rmdir()
        self._frames_before += record.n_frames
        return self._report(0)

    def _report(self, done: int) -> bool:
        return self._progress is None or self._progress(self._frames_before + done, self._total_frames) is not False

    def _entry(
        self, clip: PlacardClip, file: Path, case: str, review: PixelReview | None, redaction: Redaction
    ) -> dict[str, Any]:
        height, width = redaction.size(clip.height, clip.width)
        review_entry = review and {"reviewer": self._key.annotator(review.reviewer), "time": review.time.isoformat()}
        return {
            "file": f"{case}/{file.name}",
            "case": case,
            "n_frames": clip.n_frames,
            "height": height,
            "width": width,
            "bits": clip.bits,
            "times_from": clip.times_from,
            "pixel_aspect": clip.pixel_aspect,
            "facing": clip.facing,
            "inverted": clip.inverted,
            "unreadable_frames": sorted(clip.unreadable),
            "pixels_reviewed": review is not None,
            "review": review_entry,
            **redaction.to_dict(),
        }

    def finish(self, folder: Path) -> None:
        """Write the manifest and the README."""
        if not self._written:
            raise DatasetError(
                f"none of {len(self._problems)} recordings could be read; the first: {self._problems[0]}",
                path=folder,
            )
        manifest = {
            "layout": LAYOUT,
            "tool": "napari-vfss",
            "tool_version": __version__,
            "exported": datetime.now(UTC).isoformat(timespec="seconds"),
            "notice": NOTICE,
            "pixels_reviewed": not self._unreviewed,
            "recordings": self._written,
            "left_out": {"recordings that could not be read": self._left_out} if self._left_out else {},
        }
        write_json(self._folder / MANIFEST, manifest)
        warnings = [_UNREVIEWED.format(self._unreviewed, len(self._written))] if self._unreviewed else []
        assumed = sum(entry["times_from"] == "assumed" for entry in self._written.values())
        times = [_ASSUMED.format(assumed, len(self._written))] if assumed else []
        (self._folder / README).write_text("\n\n".join([*warnings, *times, _ABOUT, NOTICE]) + "\n", "utf-8")

    @property
    def _unreviewed(self) -> int:
        return sum(not entry["pixels_reviewed"] for entry in self._written.values())

    def report(self, folder: Path | None) -> DeidentifyReport:
        """Return the report; `folder` is None if it was cancelled."""
        return DeidentifyReport(
            folder=folder,
            recordings=len(self._written),
            frames=sum(entry["n_frames"] for entry in self._written.values()),
            cases=len({entry["case"] for entry in self._written.values()}),
            unreviewed=self._unreviewed,
            problems=tuple(self._problems),
        )
