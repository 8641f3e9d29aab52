# SPDX-License-Identifier: Apache-2.0
"""Writing revisions: one transaction per change, no lost update, no proposal over an annotation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, get_args

from sqlalchemy import Connection, insert, select

from vfss.errors import ConflictError, MaskError, ProjectError
from vfss.masks import BoolArray, MaskState, pack_mask, packed_shape, unpack_mask
from vfss.project.database import Database
from vfss.project.provenance import METHODS, UNCONFIRMED, Origin, Provenance, default_provenance
from vfss.project.records import Edit, Revision
from vfss.project.revision_reader import WITH_PIXELS, RevisionReader
from vfss.project.tables import present, revisions
from vfss.schema import Schema
from vfss.student.prompts import Prompts
from vfss.student.student import Proposal, shared_keys

Cells = dict[str, Any]
Base = Mapping[tuple[int, str], int | None]
Place = tuple[str, int, str]  # clip, frame, key of the structure
_NAMED = {"proposal": "a proposal", "import": "an imported mask"}
_PROVENANCE = tuple(field.name for field in fields(Provenance))
_AT_ONCE = 400  # frames in one query
_ANNOTATED = [int(state) for state in MaskState if state.is_annotated]


class RevisionWriter:
    """Appends revisions; comparing and writing are one transaction, so that no other writer comes between them."""

    def __init__(self, database: Database, schema: Schema) -> None:
        """Write to that database, whose planes are in the order of the schema."""
        self._database = database
        self._schema = schema
        self._reader = RevisionReader(database, schema)

    def write(
        self,
        edits: Sequence[Edit],
        *,
        author: str,
        origin: Origin,
        student: str | None,
        base: Base | None,
        leave: bool = False,
    ) -> list[Revision]:
        """Append the edits, all of them or none; with `leave` those that no annotation forbids. See Project.write."""
        if not author.strip():
            raise ProjectError("a revision needs an author", remedy="Enter your name or initials.")
        if origin not in get_args(Origin):
            raise ProjectError(f"unknown origin {origin!r}", remedy=f"It is one of: {', '.join(get_args(Origin))}.")
        if base is not None and len({edit.clip for edit in edits}) > 1:
            raise ProjectError("edits of several clips cannot have one base", remedy="Write clip by clip.")
        common: Cells = {"author": author, "origin": origin}
        self._check([(edit.clip, edit.frame, edit.mask) for edit in edits])
        lengths = {clip_id: self._reader.extent(clip_id)[0] for clip_id in {edit.clip for edit in edits}}
        made = [_provenance(edit, origin, student, lengths[edit.clip]) for edit in edits]
        rows = [self._edited(edit) | common | one for edit, one in zip(edits, made, strict=True)]
        with self._database.writing() as connection:
            if leave:
                rows = self._free(connection, rows, origin, base)
            elif base is not None:
                self._refuse_conflict(connection, rows, base)
            if origin in UNCONFIRMED:
                self._refuse_unconfirmed(connection, rows)
            return _append(connection, rows)

    def write_proposals(self, clip_id: str, proposals: Sequence[Proposal]) -> int:
        """Append proposed planes where nothing is annotated; return how many."""
        rows = [row for proposal in proposals for row in self._proposed(clip_id, proposal)]
        self._check([(clip_id, frame_of(proposal), proposal.masks.planes[0]) for proposal in proposals])
        with self._database.writing() as connection:
            annotated = self._annotated(connection, rows)
            free = [row for row in rows if (clip_id, row["frame"], row["structure"]) not in annotated]
            if free:
                now = datetime.now(UTC)
                connection.execute(insert(revisions), [row | {"time": now} for row in free])
        return len(free)

    def _edited(self, edit: Edit) -> Cells:
        state, mask = MaskState(edit.state), edit.mask
        key = self._schema[edit.structure].key
        if state in WITH_PIXELS and mask is None:
            raise MaskError(f"{key} is {state.label} but has no mask", frame=edit.frame)
        if state not in WITH_PIXELS and mask is not None:
            if (unpack_mask(mask) if isinstance(mask, bytes) else mask).any():
                raise MaskError(
                    f"{key} is {state.label} but its mask has pixels", frame=edit.frame, remedy="Leave the mask out."
                )
            mask = None
        packed = mask if mask is None or isinstance(mask, bytes) else pack_mask(mask)
        place: Cells = {"clip": edit.clip, "frame": int(edit.frame), "structure": key}
        # No click at all is no prompt.
        prompts = edit.prompts.to_dict() if edit.prompts else None
        return place | {"state": int(state), "confidence": edit.confidence, "prompts": prompts, "mask": packed}

    def _proposed(self, clip_id: str, proposal: Proposal) -> list[Cells]:
        if proposal.clip not in (None, clip_id):
            raise ProjectError(f"a proposal for clip {proposal.clip} was given for clip {clip_id}")
        frame = frame_of(proposal)
        keys = shared_keys(proposal.keys, self._schema.keys)
        common: Cells = {"clip": clip_id, "frame": frame, "author": proposal.student}
        common |= {"origin": "proposal", "state": int(MaskState.PROPOSED)}
        common |= _cells(Provenance("student", student=proposal.student))
        return [
            common | {"structure": key, "mask": pack_mask(plane), "confidence": proposal.confidence_of(key)}
            for key in keys
            if (plane := proposal.plane(key)) is not None
            and proposal.masks.state[proposal.keys.index(key)] == MaskState.PROPOSED
        ]

    def _check(self, planes: Sequence[tuple[str, int, BoolArray | bytes | None]]) -> None:
        extents = {clip_id: self._reader.extent(clip_id) for clip_id in {clip_id for clip_id, _, _ in planes}}
        for clip_id, frame, plane in planes:
            n_frames, height, width = extents[clip_id]
            if not 0 <= frame < n_frames:
                raise ProjectError(f"the clip has no such frame, it has {n_frames}", frame=frame)
            shape = (
                packed_shape(plane) if isinstance(plane, bytes) else (height, width) if plane is None else plane.shape
            )
            if shape != (height, width):
                raise MaskError(f"the mask is {shape}, the clip's frames are {(height, width)}", frame=frame)

    def _annotated(self, connection: Connection, rows: Sequence[Cells]) -> set[Place]:
        """Return clip, frame and structure of all that is annotated, among the frames of the rows."""
        annotated: set[Place] = set()
        for clip_id in {row["clip"] for row in rows}:
            frames = [row["frame"] for row in rows if row["clip"] == clip_id]
            query = select(present.c.frame, present.c.plane).where(
                present.c.clip == clip_id,
                present.c.frame.between(min(frames), max(frames)),
                present.c.state.in_(_ANNOTATED),
            )
            annotated |= {(clip_id, frame, self._schema.keys[plane]) for frame, plane in connection.execute(query)}
        return annotated

    def _refuse_unconfirmed(self, connection: Connection, rows: Sequence[Cells]) -> None:
        annotated = self._annotated(connection, rows)
        for row in rows:
            if (row["clip"], row["frame"], row["structure"]) in annotated:
                raise ProjectError(
                    f"{row['structure']} is annotated, {_NAMED[row['origin']]} cannot replace it",
                    frame=row["frame"],
                )
            if row["state"] != MaskState.PROPOSED:
                raise ProjectError(
                    f"{_NAMED[row['origin']]} of {row['structure']} can only be proposed", frame=row["frame"]
                )

    def _free(self, connection: Connection, rows: Sequence[Cells], origin: Origin, base: Base | None) -> list[Cells]:
        """Return the rows that replace no annotation, or none that came after the base."""
        annotated = self._annotated(connection, rows) if origin in UNCONFIRMED else set()
        taken = {} if base is None else self._conflicts(connection, rows, base)
        places = [(row["clip"], row["frame"], row["structure"]) for row in rows]
        return [row for row, place in zip(rows, places, strict=True) if place not in annotated and place not in taken]

    def _conflicts(self, connection: Connection, rows: Sequence[Cells], base: Base) -> dict[Place, Any]:
        """Return the newest revisions at the rows' places where they are not those of the base."""
        columns = (revisions.c.id, revisions.c.author, revisions.c.time, revisions.c.origin)
        query = select(*columns, present.c.frame, present.c.plane).join_from(
            present, revisions, present.c.revision == revisions.c.id
        )
        # A proposal that came meanwhile is no conflict: a person's edit always replaces it.
        query = query.where(revisions.c.origin.not_in(UNCONFIRMED))
        newest: dict[Place, Any] = {}
        for clip_id in {row["clip"] for row in rows}:
            frames = sorted({row["frame"] for row in rows if row["clip"] == clip_id})
            for part in (frames[i : i + _AT_ONCE] for i in range(0, len(frames), _AT_ONCE)):
                here = (present.c.clip == clip_id, present.c.frame.in_(part))
                for row in connection.execute(query.where(*here)):
                    newest[clip_id, row.frame, self._schema.keys[row.plane]] = row
        places = dict.fromkeys((row["clip"], row["frame"], row["structure"]) for row in rows)
        current = {place: newest[place] for place in places if place in newest}
        return {place: row for place, row in current.items() if row.id != base.get(place[1:])}

    def _refuse_conflict(self, connection: Connection, rows: Sequence[Cells], base: Base) -> None:
        for (_, frame, key), newest in self._conflicts(connection, rows, base).items():
            raise ConflictError(
                f"{newest.author} changed {key} at {newest.time.astimezone():%Y-%m-%d %H:%M:%S}, "
                "after you opened the frame; your change was not written",
                frame=frame,
                remedy="Check the frame as it is now, then make the change again.",
            )


def _provenance(edit: Edit, origin: Origin, student: str | None, n_frames: int) -> Cells:
    """Return the columns of an edit's provenance, which must fit its origin and clip."""
    provenance = edit.provenance or default_provenance(origin, student)
    if provenance.method not in METHODS[origin]:
        raise ProjectError(
            f"a revision of origin {origin!r} cannot hold a mask by {provenance.method}",
            frame=edit.frame,
            remedy=f"Its method is one of: {', '.join(map(str, METHODS[origin]))}.",
        )
    if origin == "proposal" and provenance.method == "student" and provenance.student is None:
        raise ProjectError(
            "a proposal by a student does not name the student", frame=edit.frame, remedy="Give the student's id."
        )
    sources = (*(provenance.adapted_frames or ()), provenance.source_frame or 0)
    if max(sources) >= n_frames:
        raise ProjectError(
            f"a mask is given as made from frame {max(sources) + 1}, the clip has {n_frames} frames", frame=edit.frame
        )
    return _cells(provenance)


def frame_of(proposal: Proposal) -> int:
    """Return the frame that a proposal is for.

    Raises:
        ProjectError: It names none.
    """
    if proposal.frame is None:
        raise ProjectError("a proposal does not name its frame")
    return int(proposal.frame)


def _append(connection: Connection, rows: Sequence[Cells]) -> list[Revision]:
    if not rows:
        return []
    now = datetime.now(UTC)
    statement = insert(revisions).returning(revisions.c.id, sort_by_parameter_order=True)
    ids = connection.execute(statement, [row | {"time": now} for row in rows]).scalars().all()
    return [_written(i, row, now) for i, row in zip(ids, rows, strict=True)]


def _written(revision_id: int, row: Cells, now: datetime) -> Revision:
    names = ("clip", "frame", "structure", "author", "origin", "confidence")
    frames = row["adapted_frames"] and tuple(row["adapted_frames"])
    made = {name: row[name] for name in _PROVENANCE} | {"adapted_frames": frames}
    return Revision(
        id=revision_id,
        time=now,
        state=MaskState(row["state"]),
        prompts=None if row["prompts"] is None else Prompts.from_dict(row["prompts"]),
        provenance=Provenance(**made),
        packed=row["mask"],
        **{name: row[name] for name in names},
    )


def _cells(provenance: Provenance) -> Cells:
    """Return the columns of a provenance."""
    frames = provenance.adapted_frames
    cells = {name: getattr(provenance, name) for name in _PROVENANCE}
    return cells | {"adapted_frames": None if frames is None else list(frames)}
