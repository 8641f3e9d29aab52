# SPDX-License-Identifier: Apache-2.0
"""Export a dataset in any format: frames of the project into a folder that appears only when it is complete."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vfss.clips import Clip
from vfss.clips.library_errors import DECODING_ERRORS, reason
from vfss.datasets.dataset import MALFORMED
from vfss.datasets.datasheet import write_documents
from vfss.datasets.event_table import event_rows, is_set_by_person, write_events
from vfss.datasets.format import Format, Job, Row, Writer
from vfss.datasets.identities import Identities, Identity
from vfss.datasets.manifest import Manifest
from vfss.datasets.options import ExportOptions
from vfss.datasets.recording_facts import facts_unopened, recording_facts
from vfss.datasets.report import ExportReport
from vfss.datasets.selection import Selection
from vfss.errors import ClipError, DatasetError, MaskError, VfssError
from vfss.output import Progress
from vfss.output.partial_folder import PartialFolder
from vfss.project import ClipRecord, Project
from vfss.project.frame_ledger import FrameLedger, changed_frames
from vfss.version import __version__


def run_export(
    dataset_format: Format,
    project: Project,
    folder: str | Path,
    options: ExportOptions | None = None,
    *,
    progress: Progress | None = None,
) -> ExportReport:
    """Write the frames that have at least one accepted (or empty) structure into a new folder.

    The folder gets its name when everything is written; until then, and after an interruption, the files are in
    `<folder>.partial`, and the same call resumes the export.

    Args:
        dataset_format: Format to write.
        project: Project with the annotations.
        folder: Dataset to create; it must not exist, or be empty.
        options: Options of the export.
        progress: Called after every frame; False stops.

    Raises:
        DatasetError: The folder is taken, there is nothing to export, or writing failed.
        ProjectError: The project cannot be read.
    """
    return Export(project, dataset_format, options or ExportOptions()).run(Path(folder), progress)


@dataclass(frozen=True, eq=False)
class _Output:
    """Destination of the frames of one export."""

    partial: PartialFolder
    writer: Writer
    progress: Progress | None


class Export:
    """A running export: frames go to a writer, counts into a manifest and a report."""

    def __init__(self, project: Project, dataset_format: Format, options: ExportOptions) -> None:
        self._project = project
        self._format = dataset_format
        self._options = options
        self._identities = Identities(project, options)
        self._selection = Selection(project, include_edited=options.include_edited)
        self._manifest = Manifest(project, self._identities, options)
        self._facts: dict[str, dict[str, Any]] = {}
        self._events: dict[str, list[dict[str, Any]]] = {}
        self._problems: list[str] = []
        self._done = 0
        self._resumed = 0

    def run(self, folder: Path, progress: Progress | None) -> ExportReport:
        """Write everything, or leave a partial folder that a later run resumes.

        Raises:
            DatasetError: The folder is taken, there is nothing to export, or writing failed.
        """
        if not len(self._selection):
            raise DatasetError(
                "no frame has an accepted structure: there is nothing to export",
                path=self._project.folder,
                remedy="Accept frames or structures first.",
            )
        self._identities.key.expect_outside(folder)
        self._identities.expect_reviewed([record for record, _ in self._selection.frames])
        with PartialFolder(folder, self.job()) as partial:
            with self._library_errors(folder):
                writer = self._format.begin(Job(partial.path, self._project, self._options, self._identities))
            written = self._resumable(partial)
            output = _Output(partial, writer, progress)
            for record, frames in self._selection.frames:
                remaining = sorted(set(frames) - set(written.get(record.id, ())))
                self._done += len(frames) - len(remaining)
                if not self._clip(record, remaining, output):
                    return self._report(None, partial.path)
            if not self._manifest.images:
                partial.discard()
                raise self._nothing_written(folder)
            manifest = self._manifest_data()
            with self._library_errors(folder):
                writer.finish(manifest, _Rows(partial))
            write_events(partial.path, self._event_rows())
            write_documents(partial.path, self._format, manifest)
            partial.finish()
        report = self._report(folder)
        _write_report(folder, report)
        return report

    def job(self) -> str:
        """Return a hash of everything that determines the output, so that only an identical export is resumed."""
        project, splits = self._project, self._project.clip_splits()
        state = [
            self._format.name,
            asdict(self._options),
            project.id,
            project.last_revision(),
            project.marks.last(),
            project.schema.to_dict(),
            [(str(self._identities.of(record)), splits[record.id]) for record, _ in self._selection.frames],
            __version__,
        ]
        return hashlib.blake2b(json.dumps(state, default=str).encode(), digest_size=16).hexdigest()

    def _resumable(self, partial: PartialFolder) -> dict[str, list[int]]:
        try:
            return self._written(partial)
        except MALFORMED as error:
            raise DatasetError(
                f"the export that was not finished cannot be continued: its journal is damaged ({error!r})",
                path=partial.path,
                remedy="Delete that folder, and export again.",
            ) from error

    def _written(self, partial: PartialFolder) -> dict[str, list[int]]:
        """Return the frames that an interrupted export wrote, by clip; formats `by_clip` keep complete clips only."""
        if self._format.by_clip:
            complete = {line["whole"] for line in partial.rows() if "whole" in line}
            partial.filter_rows(lambda line: line.get("clip", line.get("whole")) in complete)
        else:
            partial.filter_rows(lambda line: "frame" in line or "facts" in line)
        written: dict[str, list[int]] = {}
        for line in partial.rows():
            if "facts" in line:
                self._facts[line["clip"]], self._events[line["clip"]] = line["facts"], line["events"]
            if "frame" not in line:
                continue
            written.setdefault(line["clip"], []).append(line["frame"])
            self._manifest.count(line["fields"], line["lost"])
            self._resumed += 1
        return written

    def _clip(self, record: ClipRecord, frames: list[int], output: _Output) -> bool:
        """Write the remaining frames of a clip; return False if the export was stopped."""
        identity = self._identities.of(record)
        if not frames:
            self._manifest.add_clip(identity, self._facts.get(record.id, facts_unopened(record)))
            return True
        try:
            clip = self._project.open_clip(record.id)
        except ClipError as error:
            self._manifest.add_clip(identity, facts_unopened(record))
            self._leave_out(error, "frames of clips that could not be opened", len(frames))
            return self._report_progress(output.progress, len(frames))
        with clip:
            facts = recording_facts(clip, identity.recording)
            self._manifest.add_clip(identity, facts)
            if refusal := self._format.refuses(clip):
                self._selection.left_out[refusal] += len(frames)
                return self._report_progress(output.progress, len(frames))
            events = event_rows(self._project, self._identities, self._options, identity, clip)
            self._events[record.id] = events
            output.partial.append({"clip": record.id, "facts": facts, "events": events})
            return self._write_clip(identity, clip, frames, output)

    def _write_clip(self, identity: Identity, clip: Clip, frames: list[int], output: _Output) -> bool:
        folder = output.partial.folder
        try:
            with self._library_errors(folder):
                output.writer.begin_clip(identity, clip, len(frames))
        except ClipError as error:  # a format that copies recordings needs all their frames
            self._leave_out(error, "frames of recordings that cannot be copied as a whole", len(frames))
            self._events.pop(identity.record.id)
            return self._report_progress(output.progress, len(frames))
        ledger = FrameLedger(self._project.frame_checks, clip)
        for t in frames:
            self._frame(identity, clip, t, output, ledger)
            if not self._report_progress(output.progress, 1):
                return False
        with self._library_errors(folder):
            output.writer.end_clip()
        self._note_frames(identity, ledger)
        output.partial.append({"whole": identity.record.id})
        return True

    @contextmanager
    def _library_errors(self, folder: Path, frame: int | None = None) -> Iterator[None]:
        """Turn what a library raises while it writes into a DatasetError; PartialFolder does so with an OSError."""
        try:
            yield
        except (VfssError, OSError):
            raise
        except (*DECODING_ERRORS, *self._format.errors) as error:
            raise DatasetError(
                f"cannot be written as {self._format.title} ({reason(error)})",
                path=folder,
                frame=frame,
                remedy="Choose another format, and report this with the message.",
            ) from error

    def _note_frames(self, identity: Identity, ledger: FrameLedger) -> None:
        """Name the frames of a clip that are decoded otherwise than when they were first read."""
        ledger.keep()
        if changed := changed_frames(ledger.changed):
            self._manifest.add_frames(identity, "changed_frames", ledger.changed)
            self._problems.append(f"{identity.record.path.name}: {changed}")

    def _frame(self, identity: Identity, clip: Clip, t: int, output: _Output, ledger: FrameLedger) -> None:
        try:
            frame = self._selection.read(identity, clip, t)
        except (ClipError, MaskError) as error:
            if isinstance(error, ClipError):
                ledger.damaged(t, error)
            self._manifest.add_frames(identity, "unreadable_frames", [t])
            self._leave_out(error, "frames that could not be read", 1)
            return
        ledger.decoded(t, clip[t])
        fields, lost = self._manifest.describe(identity, frame), Counter[str]()
        if frame.cut:
            lost["masks that extend into a cropped part"] = frame.cut
        with self._library_errors(output.partial.folder, t):
            entry = output.writer.add(frame, fields, lost)
        line = {"clip": identity.record.id, "frame": t, "fields": fields, "kept": entry, "lost": dict(lost)}
        output.partial.append(line)
        self._manifest.count(fields, lost)

    def _manifest_data(self) -> dict[str, Any]:
        """Return the manifest; what is left out of the events is counted with the rest."""
        for record in self._project.clips():
            marks = [mark for mark in self._project.marks.of(record.id) if is_set_by_person(mark)]
            if record.id not in self._events:
                self._selection.left_out["events of recordings without exported frames"] += len(marks)
            elif not self._options.event_text:
                texts = sum(bool(mark.text) for mark in marks)
                self._selection.left_out["texts that people typed about events (they may name patients)"] += texts
        left_out = {why: n for why, n in self._selection.left_out.items() if n}
        return self._manifest.to_dict(left_out, self._format.remarks(self._manifest.splits), self._event_rows())

    def _event_rows(self) -> list[dict[str, Any]]:
        return [row for rows in self._events.values() for row in rows]

    def _nothing_written(self, folder: Path) -> DatasetError:
        if self._problems:
            what = f"none of {len(self._selection)} frames could be read; the first problem: {self._problems[0]}"
            return DatasetError(what, path=folder, remedy="Check the recordings of the project.")
        reasons = "; ".join(f"{why} ({n})" for why, n in self._selection.left_out.items())
        return DatasetError(
            f"no frame can be written as {self._format.title}: {reasons}", remedy="Choose another format."
        )

    def _leave_out(self, error: ClipError | MaskError, why: str, frames: int) -> None:
        self._problems.append(str(error))
        self._selection.left_out[why] += frames

    def _report_progress(self, progress: Progress | None, frames: int) -> bool:
        self._done += frames
        return progress is None or progress(self._done, len(self._selection)) is not False

    def _report(self, folder: Path | None, partial: Path | None = None) -> ExportReport:
        return ExportReport(
            format=self._format.name,
            folder=folder,
            partial=partial,
            images=self._manifest.images,
            structures=dict(self._manifest.structures),
            patients=self._manifest.patients,
            splits=dict(self._manifest.splits),
            resumed=self._resumed,
            left_out={why: n for why, n in self._selection.left_out.items() if n},
            lost=dict(self._manifest.lost),
            remarks=(*self._format.remarks(self._manifest.splits), *self._manifest.remarks),
            problems=tuple(self._problems),
        )


class _Rows:
    """Rows of all frames written, oldest first, read from disk on each iteration."""

    def __init__(self, partial: PartialFolder) -> None:
        self._partial = partial

    def __iter__(self) -> Iterator[Row]:
        for line in self._partial.rows():
            if "frame" in line:
                yield Row(line["fields"], line["kept"])


def _write_report(folder: Path, report: ExportReport) -> None:
    """Write the report next to the dataset: it may name files of the hospital, which the dataset must not."""
    path = folder.with_name(f"{folder.name}-report.txt")
    try:
        path.write_text("\n".join(report.lines()) + "\n", "utf-8", errors="backslashreplace")
    except OSError as error:
        raise DatasetError(f"the report cannot be written ({error.strerror})", path=path) from error
