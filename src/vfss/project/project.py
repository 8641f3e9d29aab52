# SPDX-License-Identifier: Apache-2.0
"""Project: a folder with all annotations, splits and students; nothing else is saved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from vfss.clips import Clip, Facing, Swallow
from vfss.errors import ProjectError
from vfss.masks import ByteArray, Masks
from vfss.output.private import create_private
from vfss.project.canaries import Canaries
from vfss.project.case_rule import CaseRule, CaseRules
from vfss.project.cases import Cases, note_training, read_cases
from vfss.project.clip_catalogue import Catalogue
from vfss.project.contents import faults
from vfss.project.corrections import Corrections
from vfss.project.database_files import FILE, create_database, make_folder, open_database
from vfss.project.frame_checks import FrameChecks
from vfss.project.hold_out import HoldOut
from vfss.project.label_dismissals import LabelDismissals
from vfss.project.locate import project_of_reading
from vfss.project.marks import Marks
from vfss.project.open_windows import OpenWindows
from vfss.project.overview import Overview
from vfss.project.pixel_reviews import PixelReviews
from vfss.project.provenance import Origin
from vfss.project.records import ClipRecord, Edit, Revision, Split, StudentRecord, View
from vfss.project.revision_reader import Past, RevisionReader
from vfss.project.revision_writer import RevisionWriter
from vfss.project.splits import Splits
from vfss.project.students import StudentShelf
from vfss.project.view_state import Recollections
from vfss.project.work_times import WorkTimes, work_times
from vfss.project.worklist import Worklist
from vfss.schema import Schema
from vfss.student.student import Proposal


class Project:
    """A folder with clips' annotations, splits and students, for several people and programs at once.

    Every change is one transaction that is on disk when the call returns: a crash loses at most the call in progress.
    Safe to use from several threads. All calls raise ProjectError if the database cannot be read or written.

    Attributes:
        folder: The project folder, absolute.
        id: Unique id of the project.
        schema: Structures, in the order of planes.
        read_only: True where changes are not possible because the folder or disk is read-only.
        journal: "wal", with which readers never wait; on network shares an older kind, with which they may.
        marks: Swallows and events.
        reviews: Reviews of recordings' pixels.
        frame_checks: Digests of decoded frames as first read, and the frames that cannot be decoded.
        shelf: Students with their files, names, notes, and the log of which was in use.
        hold_out: Frames on which students are compared, frozen when first used.
        canaries: Clips on which a person looks before switching to another student.
        corrections: What people corrected since a moment.
        overview: Confidence, changes and masks of whole clips.
        past: The log of revisions, page by page, and the masks as they were at an earlier moment.
        worklist: A row of facts per clip, who works on it, and what is finished.
        open_windows: Which windows have which clip open.
    """

    def __init__(self, folder: str | Path, *, patience_s: float = 10.0) -> None:
        """Open the project in that folder.

        Args:
            folder: The project folder.
            patience_s: How long to wait for another process to finish writing, in seconds.

        Raises:
            ProjectError: There is no project, or it is damaged, not one of ours, or of a newer version.
        """
        self.folder = Path(folder).absolute()
        self._database, self.id, self.schema = open_database(self.folder / FILE, patience_s=patience_s)
        self.read_only = self._database.access != "write"
        self.journal: str = self._database.pragma("journal_mode")[0]
        self._reader = RevisionReader(self._database, self.schema)
        self.past = Past(self._database)
        self._writer = RevisionWriter(self._database, self.schema)
        self._catalogue = Catalogue(self._database, self.folder)
        self._splits = Splits(self._database, self.id, project_of_reading(self.folder))
        self.shelf = StudentShelf(self._database, self.folder / "students")
        self.hold_out, self.canaries = HoldOut(self._database), Canaries(self._database)
        self.corrections = Corrections(self._database)
        self._recollections = Recollections(self._database)
        self._case_rules = CaseRules(self._database)
        self.marks, self.overview = Marks(self._database), Overview(self._database, self.schema)
        self.reviews = PixelReviews(self._database)
        self.frame_checks = FrameChecks(self._database)
        self.worklist = Worklist(self._database, self.schema)
        self.open_windows = OpenWindows(self._database)
        self.label_dismissals = LabelDismissals(self._database, self.schema)

    @classmethod
    def create(cls, folder: str | Path, schema: Schema | None = None) -> Self:
        """Create a project in a folder, which is created too if it is missing; schema defaults to vfss12.

        Raises:
            ProjectError: There is a project already, or the folder cannot be written.
        """
        folder = Path(folder).absolute()
        make_folder(folder)
        create_database(folder / FILE, Schema.load() if schema is None else schema)
        return cls(folder)

    @classmethod
    def open(cls, folder: str | Path, *, patience_s: float = 10.0) -> Self:
        """Open the project in a folder; see __init__."""
        return cls(folder, patience_s=patience_s)

    @classmethod
    def open_or_create(cls, folder: str | Path, schema: Schema | None = None, *, patience_s: float = 10.0) -> Self:
        """Open the project in a folder, or create one where there is none; see __init__.

        Raises:
            ProjectError: The project has other structures than the schema, or cannot be opened or created.
        """
        if not (Path(folder) / FILE).exists():
            try:
                cls.create(folder, schema).close()
            except ProjectError:
                if not (Path(folder) / FILE).exists():  # else another process created it first
                    raise
        project = cls(folder, patience_s=patience_s)
        if schema is not None and schema.keys != project.schema.keys:
            project.close()
            raise ProjectError(
                f"the project has the structures of {project.schema.id} {project.schema.version}, "
                f"not of {schema.id} {schema.version}",
                path=folder,
                remedy="Create another project for this schema.",
            )
        return project

    def close(self) -> None:
        """Close the files; closing twice does nothing."""
        self._database.close()

    def check(self) -> None:
        """Check the whole database for consistency; raise ProjectError if it is damaged."""
        found = self.faults()
        if found:
            raise ProjectError(
                f"the database is damaged ({'; '.join(found)})",
                path=self.folder / FILE,
                remedy="Restore it from a backup, or ask for help before anything is written to the folder.",
            )

    def faults(self) -> list[str]:
        """Return what is wrong with the database, a phrase each: pages, values, and tables that contradict each other.

        Masks are not unpacked. Works on read-only disks too.
        """
        with closing(self._database.fresh()) as fresh:
            pages = [str(error) for error in fresh.pragma("integrity_check(3)")]
            if pages != ["ok"]:
                return pages
            with fresh.reading() as connection:
                return list(faults(connection, self._database.layout))

    def back_up(self, path: str | Path) -> None:
        """Copy all but the student files into a new SQLite file, as it is now, while others continue to work."""
        if Path(path).exists():
            raise ProjectError("this file exists already", path=path, remedy="Name a new one.")
        try:
            create_private(Path(path))
        except OSError as error:
            raise ProjectError(
                f"no copy can be written here ({error.strerror or error})",
                path=path,
                remedy="Choose a folder on a disk with room, where you may write.",
            ) from error
        self._database.back_up(Path(path))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[type[Project], tuple[Path]]:
        """Pickle as the folder alone: a worker process opens the project itself."""
        return type(self), (self.folder,)

    # Clips

    def add_clip(self, recording: str | Path | Clip, *, patient: str | None = None) -> ClipRecord:
        """Add a recording, which stays where it is; adding the same content again only updates its path.

        Args:
            recording: File or folder of pictures, or the clip if it is open already, so that it is read only once.
            patient: Pseudonym. By default it is made by the project's rule (case_rule), or from the content where
                there is none; a person must confirm it, and until then the clip is used for training only.

        Raises:
            ClipError: It cannot be opened.
            ProjectError: The clip has no file.
        """
        return self._catalogue.add(recording if isinstance(recording, Clip) else Path(recording), patient)

    def clips(self) -> list[ClipRecord]:
        """Return all clips in the order in which they were added."""
        return self._catalogue.all()

    def clip(self, clip_id: str) -> ClipRecord:
        """Return one clip; raise ProjectError if the project does not have it."""
        return self._catalogue.get(clip_id)

    def locate(self, clip_id: str, search: Iterable[Path] = ()) -> Path:
        """Return the path of a recording, found by its content; a new path is kept.

        Args:
            clip_id: Content id.
            search: Files or folders to search first, before those that the project knows of.

        Raises:
            ClipError: It is in none of them.
        """
        return self._catalogue.locate(clip_id, search)

    def open_clip(self, clip_id: str) -> Clip:
        """Open a recording wherever it is now, with the flags and the frame rate that a person set.

        Raises:
            ClipError: It is not found, or cannot be opened.
        """
        return self._catalogue.open(clip_id)

    def adopt(self, clip: Clip) -> Clip:
        """Return an open clip of the project with its flags, frame rate and rotation as kept.

        Args:
            clip: The clip; where it must be opened again, turned as the masks are, it is closed.

        Raises:
            ClipError: It cannot be opened again.
            ProjectError: The project has no such clip, or its frames are not those that masks were made on.
        """
        return self._catalogue.adopt(clip)

    def update_clip(
        self,
        clip_id: str,
        *,
        facing: Facing | None = None,
        inverted: bool | None = None,
        patient: str | None = None,
        swallows: Sequence[Swallow] | None = None,
    ) -> ClipRecord:
        """Set what a person knows about a clip; None leaves a field as it is. A patient that is set is confirmed."""
        marked = None if swallows is None else [asdict(swallow) for swallow in swallows]
        values = {"facing": facing, "inverted": inverted, "patient": patient, "swallows": marked}
        return self._catalogue.update(clip_id, {key: value for key, value in values.items() if value is not None})

    def set_view(self, clip_id: str, view: View) -> ClipRecord:
        """Set whether a clip shows a lateral swallow, as a person sees it; proposals do not change it afterwards."""
        return self._catalogue.update(clip_id, {"view": view, "view_from": "person", "view_reason": ""})

    def note_proposed(self, clip_id: str, *, facing: Facing | None, view: View, reason: str) -> ClipRecord:
        """Record what the first proposals of a clip show; what a person or the recording says stays.

        Args:
            clip_id: Content id.
            facing: Side to which the patient looks; None where the masks do not tell.
            view: Whether it shows a lateral swallow.
            reason: Why the view is doubtful, one sentence; empty otherwise.
        """
        return self._catalogue.note_proposed(clip_id, facing=facing, view=view, reason=reason)

    def keep_film_hash(self, clip_id: str, film_hash: str) -> None:
        """Keep the hash of a clip by which the same film is found again; see vfss.clips.film_hash."""
        self._catalogue.update(clip_id, {"film_hash": film_hash})

    def set_frame_rate(self, clip_id: str, frames_per_second: float | None) -> ClipRecord:
        """Set the frame rate of a clip as a person knows it; open_clip then gives it times at that rate.

        Args:
            clip_id: Content id.
            frames_per_second: The rate; None to go back to the recording's own times.

        Raises:
            ProjectError: There is no such clip, or that is no frame rate.
        """
        return self._catalogue.set_frame_rate(clip_id, frames_per_second)

    # Revisions

    def write(
        self,
        edits: Sequence[Edit],
        *,
        author: str,
        origin: Origin,
        student: str | None = None,
        base: Mapping[tuple[int, str], int | None] | None = None,
        leave: bool = False,
    ) -> list[Revision]:
        """Append edits in one transaction: all of them are on disk when this returns, or none.

        Args:
            edits: The changes, in the order in which to write them.
            author: Name of the person or program that makes them.
            origin: By which act they are made; neither a proposal nor an imported mask replaces an annotation.
            student: Id of the student that had a part in edits that give no provenance of their own.
            base: Id of the newest revision that the author has seen, by (frame, structure); None or absent for none.
                Without a base nothing is compared. A proposal that came meanwhile is no conflict.
            leave: Leave out edits of what someone else has changed or, for proposals and imports, annotated, instead of
                refusing all of them.

        Raises:
            ConflictError: Someone changed the same frame and structure meanwhile; names who and when.
            MaskError: A mask does not fit its state or the frame.
            SchemaError: The project has no such structure.
        """
        return self._writer.write(edits, author=author, origin=origin, student=student, base=base, leave=leave)

    def write_proposals(self, clip_id: str, proposals: Sequence[Proposal]) -> int:
        """Append proposed planes in one transaction, except where something is annotated; return how many.

        Planes are placed by the keys of their structures; those of structures that the project lacks are left out.

        Raises:
            SchemaError: A proposal and the project have no structure in common.
        """
        return self._writer.write_proposals(clip_id, proposals)

    def newest(self, clip_id: str, frame: int) -> dict[str, Revision]:
        """Return the newest revisions by structure key, in the order of planes; absent where nothing was written."""
        return self._reader.newest(clip_id, frame)

    def masks(self, clip_id: str, frame: int) -> Masks:
        """Return planes bool (S, H, W) and states of a frame, unseen where nothing was written."""
        return self._reader.masks(clip_id, frame)

    def confidence(self, clip_id: str, frame: int) -> npt.NDArray[np.float32]:
        """Return the confidences of the newest proposals of a frame, float32 (S,), 0..1, NaN where there is none."""
        return self._reader.confidence(clip_id, frame)

    def work_times(self) -> WorkTimes:
        """Return how long people work on frames, and how many proposals they accept as they are; not quick."""
        return work_times(self._database)

    def states(self, clip_id: str) -> ByteArray:
        """Return the state of each structure on each frame, uint8 (n_frames, S), values of MaskState."""
        return self._reader.states(clip_id)

    def history(self, clip_id: str, frame: int, structure: str) -> list[Revision]:
        """Return all revisions of one structure on one frame, oldest first."""
        return self._reader.history(clip_id, frame, structure)

    def changes_since(self, revision_id: int, clip_id: str | None = None) -> list[Revision]:
        """Return the revisions written after that one, by any author, oldest first."""
        return self._reader.changes_since(revision_id, clip_id)

    def last_revision(self) -> int:
        """Return the id of the newest revision of the project, 0 where there is none."""
        return self._reader.last()

    def annotated_frames(self, clip_id: str) -> list[int]:
        """Return the frames on which a person confirmed at least one structure, ascending."""
        return self._reader.annotated_frames(clip_id)

    # Splits, students, view state

    def split(self, patient: str) -> Split:
        """Return the split of a patient, fixed when it is first asked for; raise ProjectError for an unknown one."""
        return self._splits.of(patient)

    def splits(self) -> dict[str, Split]:
        """Return the split of each patient, fixed when it is first asked for."""
        return self._splits.all()

    def clip_splits(self) -> dict[str, Split | None]:
        """Return the split of each clip by its id; clips whose case is not confirmed are in "train", or in none.

        See Splits.of_clips; who trains, evaluates or exports goes by this, not by the patient alone.
        """
        return self._splits.of_clips()

    def keep_out_of_evaluation(self) -> None:
        """Record that training uses the clips whose case nobody has confirmed: their cases cannot be held out."""
        if not self.read_only:
            note_training(self._database)

    def cases(self) -> Cases:
        """Return whose each clip is, and which clips are the same film."""
        with self._database.reading() as connection:
            return read_cases(connection)

    def case_rule(self) -> CaseRule | None:
        """Return the rule by which clips get their first case id; None where nobody chose one."""
        return self._case_rules.get()

    def choose_case_rule(self, rule: CaseRule) -> None:
        """Keep the rule by which clips get their first case id from now on; a person confirms each of them."""
        self._case_rules.choose(rule)

    def assigned_splits(self) -> dict[str, Split]:
        """Return the splits that are fixed, by patient, without choosing any."""
        return self._splits.assigned()

    def assign_split(self, patient: str, split: Split) -> None:
        """Assign a patient to a split; raise ProjectError if the patient is in another already."""
        self._splits.assign(patient, split)

    def add_student(
        self, path: str | Path, *, scores: Mapping[str, Any], parent: str | None, added_by: str = ""
    ) -> StudentRecord:
        """Copy a student file into the project; adding the same student again only updates its scores and parent.

        Raises:
            StudentError: There is no such file, or it is not a complete student.
        """
        return self.shelf.add(Path(path), scores, parent, added_by)

    def students(self) -> list[StudentRecord]:
        """Return the students whose files are kept, in the order in which they were added."""
        return self.shelf.all()

    def choose_student(self, student_id: str | None, *, author: str = "") -> None:
        """Make a student the current one, or with None the one that ships; raise StudentError for an unknown one."""
        self.shelf.choose(student_id, author=author)

    def current_student(self) -> StudentRecord | None:
        """Return the chosen student, None where none was chosen."""
        return self.shelf.current()

    def student_path(self, name: str | None = None) -> Path:
        """Return the file of a student to propose with or to continue training from.

        Args:
            name: Id of a student of the project, or a student file; None for the current one, else the one that ships.
        """
        return self.shelf.path(name)

    def remember(self, author: str, key: str, value: Any) -> None:
        """Keep a small JSON value, such as the view a person had."""
        self._recollections.remember(author, key, value)

    def recall(self, author: str, key: str) -> Any:
        """Return the value that was kept, None where there is none."""
        return self._recollections.recall(author, key)
