# SPDX-License-Identifier: Apache-2.0
"""Project: the only thing that is saved."""

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
from vfss.project.clip_catalogue import Catalogue
from vfss.project.database_files import FILE, create_database, expect_whole, make_folder, open_database
from vfss.project.locate import project_of_reading
from vfss.project.marks import Marks
from vfss.project.overview import Overview
from vfss.project.pixel_reviews import PixelReviews
from vfss.project.provenance import Origin
from vfss.project.records import ClipRecord, Edit, Revision, Split, StudentRecord
from vfss.project.revision_reader import Past, RevisionReader
from vfss.project.revision_writer import RevisionWriter
from vfss.project.splits import Splits
from vfss.project.students import StudentShelf
from vfss.project.view_state import Recollections
from vfss.schema import Schema
from vfss.student.student import Proposal


class Project:
    """A folder with clips' annotations, splits and students, for several people and programs at once.

    Every change is one transaction that is on the disk when the call returns: a crash loses at most the call under way.
    Safe to use from several threads. All calls raise ProjectError where the database cannot be read or written.

    Attributes:
        folder: The project folder, absolute.
        id: Name of the project that no other has.
        schema: Structures, in the order of planes.
        read_only: True where changes are not possible, because the folder or disk is read-only.
        journal: "wal", in which readers never wait; on network shares an older kind, in which they may.
        marks, reviews, overview: Swallows and events; who looked at pixels; whole clips at a glance.
        past: Who wrote what, page by page, and what stood at an earlier moment.
    """

    def __init__(self, folder: str | Path, *, patience_s: float = 10.0) -> None:
        """Open the project in that folder.

        Args:
            folder: The project folder.
            patience_s: How long to wait for another process to finish its writing, in seconds.

        Raises:
            ProjectError: There is none, or it is damaged, foreign, or of a newer version.
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
        self._students = StudentShelf(self._database, self.folder / "students")
        self._recollections = Recollections(self._database)
        self.marks, self.overview = Marks(self._database), Overview(self._database, self.schema)
        self.reviews = PixelReviews(self._database)

    @classmethod
    def create(cls, folder: str | Path, schema: Schema | None = None) -> Self:
        """Make a project in a folder, which is made too where it is missing; schema defaults to vfss12.

        Raises:
            ProjectError: There is a project already, or the folder cannot be written.
        """
        folder = Path(folder).absolute()
        make_folder(folder)
        create_database(folder / FILE, Schema.load() if schema is None else schema)
        return cls(folder)

    @classmethod
    def open(cls, folder: str | Path, *, patience_s: float = 10.0) -> Self:
        """Open the project in a folder; see the constructor."""
        return cls(folder, patience_s=patience_s)

    @classmethod
    def open_or_create(cls, folder: str | Path, schema: Schema | None = None, *, patience_s: float = 10.0) -> Self:
        """Open the project in a folder, or make one where there is none; see the constructor.

        Raises:
            ProjectError: It is there with other structures than those of the schema, or cannot be opened or made.
        """
        if not (Path(folder) / FILE).exists():
            try:
                cls.create(folder, schema).close()
            except ProjectError:
                if not (Path(folder) / FILE).exists():  # else another process was quicker
                    raise
        project = cls(folder, patience_s=patience_s)
        if schema is not None and schema.keys != project.schema.keys:
            project.close()
            raise ProjectError(
                f"the project has the structures of {project.schema.id} {project.schema.version}, "
                f"not of {schema.id} {schema.version}",
                path=folder,
                remedy="Make a project of its own for the other schema.",
            )
        return project

    def close(self) -> None:
        """Let go of the files; a second time does nothing."""
        self._database.close()

    def check(self) -> None:
        """Read all of the database and compare it with itself; ProjectError where it is damaged."""
        with closing(self._database.fresh()) as fresh:
            expect_whole(fresh)

    def back_up(self, path: str | Path) -> None:
        """Copy all but the student files into a new SQLite file, as it is now, while others go on working."""
        if Path(path).exists():
            raise ProjectError("there is such a file already", path=path, remedy="Name a new one.")
        self._database.back_up(Path(path))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[type[Project], tuple[Path]]:
        """A worker process opens the project for itself."""
        return type(self), (self.folder,)

    # Clips

    def add_clip(self, recording: str | Path | Clip, *, patient: str | None = None) -> ClipRecord:
        """Add a recording, which stays where it is; the same content again only refreshes its path.

        Args:
            recording: File, or folder of pictures; or the clip where it is open already, so that it is read once.
            patient: Pseudonym; by default one made from the content, so that each clip is a patient of its own.

        Raises:
            ClipError: It cannot be opened.
            ProjectError: The clip is of no file.
        """
        return self._catalogue.add(recording if isinstance(recording, Clip) else Path(recording), patient)

    def clips(self) -> list[ClipRecord]:
        """All clips, in the order in which they came."""
        return self._catalogue.all()

    def clip(self, clip_id: str) -> ClipRecord:
        """One clip; ProjectError where the project does not have it."""
        return self._catalogue.get(clip_id)

    def locate(self, clip_id: str, search: Iterable[Path] = ()) -> Path:
        """Where the recording lies now, found by its content; a new place is remembered.

        Args:
            clip_id: Content id.
            search: Files or folders to look at first; then those that the project knows of.

        Raises:
            ClipError: It is in none of them.
        """
        return self._catalogue.locate(clip_id, search)

    def open_clip(self, clip_id: str) -> Clip:
        """Open a recording wherever it lies now, with the flags a person set; ClipError where it is not found."""
        return self._catalogue.open(clip_id)

    def update_clip(
        self,
        clip_id: str,
        *,
        facing: Facing | None = None,
        inverted: bool | None = None,
        patient: str | None = None,
        swallows: Sequence[Swallow] | None = None,
    ) -> ClipRecord:
        """Set what a person knows of a clip; None leaves a field as it is."""
        marked = None if swallows is None else [asdict(swallow) for swallow in swallows]
        values = {"facing": facing, "inverted": inverted, "patient": patient, "swallows": marked}
        return self._catalogue.update(clip_id, {key: value for key, value in values.items() if value is not None})

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
        """Append edits in one transaction: all of them are on the disk when this returns, or none.

        Args:
            edits: The changes, in the order to be written.
            author: Who makes them.
            origin: By which way they come; neither a proposal nor an imported mask replaces a person's word.
            student: Student that had a part in them.
            base: Id of the newest revision that the author has seen, by (frame, structure); None or absent for none.
                Without a base nothing is compared. A machine's proposal that came meanwhile is no conflict.
            leave: Leave out what someone else has changed or, for proposals and imports, spoken on; else refuse all.

        Raises:
            ConflictError: Someone changed the same frame and structure meanwhile; names who and when.
            MaskError: A mask does not fit its state or the frame.
            SchemaError: The project has no such structure.
        """
        return self._writer.write(edits, author=author, origin=origin, student=student, base=base, leave=leave)

    def write_proposals(self, clip_id: str, proposals: Sequence[Proposal]) -> int:
        """Append proposed planes in one transaction, leaving out all on which a person has spoken; returns how many."""
        return self._writer.write_proposals(clip_id, proposals)

    def newest(self, clip_id: str, frame: int) -> dict[str, Revision]:
        """Newest revision by structure key, in the order of planes; absent where nothing was written."""
        return self._reader.newest(clip_id, frame)

    def masks(self, clip_id: str, frame: int) -> Masks:
        """Planes bool (S, H, W) and states of a frame, unseen where nothing was written."""
        return self._reader.masks(clip_id, frame)

    def confidence(self, clip_id: str, frame: int) -> npt.NDArray[np.float32]:
        """Confidence of the newest proposal of each structure, float32 (S,), 0..1, NaN where there is none."""
        return self._reader.confidence(clip_id, frame)

    def states(self, clip_id: str) -> ByteArray:
        """State of every structure on every frame, uint8 (n_frames, S), values of MaskState."""
        return self._reader.states(clip_id)

    def history(self, clip_id: str, frame: int, structure: str) -> list[Revision]:
        """All revisions of one structure on one frame, oldest first."""
        return self._reader.history(clip_id, frame, structure)

    def changes_since(self, revision_id: int, clip_id: str | None = None) -> list[Revision]:
        """Revisions written after that one, by whomever, oldest first."""
        return self._reader.changes_since(revision_id, clip_id)

    def last_revision(self) -> int:
        """Id of the newest revision of the project, 0 where there is none."""
        return self._reader.last()

    def annotated_frames(self, clip_id: str) -> list[int]:
        """Frames on which a person has confirmed at least one structure, ascending."""
        return self._reader.annotated_frames(clip_id)

    # Splits, students, view state

    def split(self, patient: str) -> Split:
        """Side of a patient, fixed from the first time one is asked for; ProjectError for an unknown patient."""
        return self._splits.of(patient)

    def splits(self) -> dict[str, Split]:
        """Side of every patient, fixed from the first time they are asked for."""
        return self._splits.all()

    def assigned_splits(self) -> dict[str, Split]:
        """Return the splits that are fixed, by patient, without choosing any."""
        return self._splits.assigned()

    def assign_split(self, patient: str, split: Split) -> None:
        """Put a patient on a side; ProjectError where the patient is on another already."""
        self._splits.assign(patient, split)

    def add_student(self, path: str | Path, *, scores: Mapping[str, Any], parent: str | None) -> StudentRecord:
        """Copy a student file into the project; the same student again only renews its scores and parent.

        Raises:
            StudentError: There is no such file, or it is not a whole student.
        """
        return self._students.add(Path(path), scores, parent)

    def students(self) -> list[StudentRecord]:
        """All students, in the order in which they came."""
        return self._students.all()

    def choose_student(self, student_id: str | None) -> None:
        """Make a student the current one; None goes back to the one that ships. StudentError for an unknown one."""
        self._students.choose(student_id)

    def current_student(self) -> StudentRecord | None:
        """The chosen student, None where none was chosen."""
        return self._students.current()

    def student_path(self, name: str | None = None) -> Path:
        """File of a student to propose with or to go on from.

        Args:
            name: Id of a student of the project, or a student file; None for the current one, else the one that ships.
        """
        return self._students.path(name)

    def remember(self, author: str, key: str, value: Any) -> None:
        """Keep a small value that JSON can say, such as the view a person had."""
        self._recollections.remember(author, key, value)

    def recall(self, author: str, key: str) -> Any:
        """The value that was kept, None where there is none."""
        return self._recollections.recall(author, key)
