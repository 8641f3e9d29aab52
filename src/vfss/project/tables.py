# SPDX-License-Identifier: Apache-2.0
"""Tables of a project, and the rules that the database itself enforces.

Three rules hold whatever program writes: revisions are append-only, neither a proposal nor an imported mask replaces an
annotation, and every revision records how its mask was made. `present` names the newest revision of each structure on
each frame; a trigger updates it in the transaction of the revision, so that reading the present never scans the past.
"""

from __future__ import annotations

from typing import Any, get_args

from sqlalchemy import (
    DDL,
    CheckConstraint,
    Column,
    ColumnElement,
    ForeignKey,
    Index,
    MetaData,
    Table,
    event,
    null,
)

from vfss.clips import Facing
from vfss.masks import MaskState
from vfss.project.column_types import (
    MOST_FRAMES,
    MOST_PLANES,
    MOST_SIDE,
    Data,
    Flag,
    LongWords,
    Packed,
    Real,
    UtcTime,
    Whole,
    Words,
    name_columns,
)
from vfss.project.provenance import PROPOSED_BY, UNCONFIRMED, Method, Origin
from vfss.project.records import GREATEST_RATE, LEAST_RATE, FacingFrom, HowSwitched, Split, View, ViewFrom

LAYOUT = 6
"""Version of these tables: a project of a newer layout is refused, one of an older layout is migrated.

Tables and columns that came later than layout 1 say so: `info={"since": 2}`. Layout 3 brought rules on imported masks,
layout 4 the provenance of masks, which older layouts kept in the names of authors, layout 5 a checksum over all of each
mask, what is known of a recording beyond its frames (rate, aspect, rotation), and a check of each decoded frame,
layout 6 who works on which clip, what is known of case ids, and names, notes, switches and canaries of students, and
the frames on which they are compared, and which masks the label check need not show again.
"""

APPLICATION_ID = 0x56465353
"""Marks the SQLite file as a project ("VFSS"), for the tool `file` and for us."""


metadata = MetaData()


def _frame() -> Whole:
    return Whole(0, MOST_FRAMES - 1)


def _plane() -> Whole:
    return Whole(0, MOST_PLANES - 1)


def _state() -> Whole:
    return Whole(0, max(MaskState))


layout = Table("layout", metadata, Column("version", Whole(1, 1 << 31), nullable=False))

project = Table(
    "project",
    metadata,
    Column("id", Words(), primary_key=True),
    Column("schema", Data(dict), nullable=False),
    Column("created", UtcTime(), nullable=False),
)

structures = Table(
    "structures",
    metadata,
    Column("key", Words(), primary_key=True),
    Column("plane", _plane(), nullable=False, unique=True),
)

clips = Table(
    "clips",
    metadata,
    Column("id", Words(), primary_key=True),
    Column(
        "path", LongWords(), nullable=False
    ),  # relative to the project folder if it lies in or beside it; "/" between parts
    Column("absolute", LongWords(), nullable=False),  # still right after the project folder alone has moved
    Column("is_folder", Flag(), nullable=False),  # a recording can be a folder of pictures
    Column("size", Whole(1), nullable=False),  # bytes: a candidate of another size need not be hashed
    Column("n_frames", Whole(1, MOST_FRAMES), nullable=False),
    Column("height", Whole(1, MOST_SIDE), nullable=False),
    Column("width", Whole(1, MOST_SIDE), nullable=False),
    Column("bits", Whole(1, 16), nullable=False),
    Column("facing", Words(get_args(Facing)), nullable=False),
    Column("inverted", Flag(), nullable=False),
    Column("patient", Words(), nullable=False, index=True),
    Column("swallows", Data(list), nullable=False),
    Column("added", UtcTime(), nullable=False),
    Column(
        "frame_rate", Real(LEAST_RATE, GREATEST_RATE), info={"since": 5}
    ),  # frames per second as typed by a person; null: the file's times
    Column(
        "pixel_aspect", Real(0.01, 100), info={"since": 5}
    ),  # pixel width / height; null: not known yet, counts as 1
    # Clip.rotation: how frames are turned from stored pixels; null, as of all older clips, is 0: masks were
    # drawn on the stored pixels.
    Column("rotation", Whole(0, 630), info={"since": 5}),
    # Who works on the clip, and who declared it finished (vfss.project.worklist); null: nobody.
    Column("assigned_to", Words(), info={"since": 6}),
    Column("finished_by", Words(), info={"since": 6}),
    Column("finished_at", UtcTime(), info={"since": 6}),
    Column("case_confirmed", Flag(), info={"since": 6}),  # null, of older layouts: confirmed unless made from the id
    # Training has used the clip while its case was not confirmed: its case can no longer be held out.
    Column("trained_unconfirmed", Flag(), info={"since": 6}),
    Column("film_hash", LongWords(), info={"since": 6}),  # vfss.clips.film_hash, to find the same film twice
    Column("facing_from", Words(get_args(FacingFrom)), info={"since": 6}),  # null, of older layouts: a person if set
    Column("view", Words(get_args(View)), info={"since": 6}),  # null: nobody has judged it
    Column("view_from", Words(get_args(ViewFrom)), info={"since": 6}),
    Column("view_reason", LongWords(), info={"since": 6}),
)

revisions = Table(
    "revisions",
    metadata,
    Column("id", Whole(), primary_key=True, autoincrement=True),
    Column("clip", Words(), ForeignKey("clips.id"), nullable=False),
    Column("frame", _frame(), CheckConstraint("frame >= 0"), nullable=False),
    Column("structure", Words(), ForeignKey("structures.key"), nullable=False),
    Column("state", _state(), CheckConstraint(f"state BETWEEN 0 AND {max(MaskState)}"), nullable=False),
    Column("author", Words(), CheckConstraint("author <> ''"), nullable=False),
    Column("time", UtcTime(), nullable=False),
    Column("origin", Words(get_args(Origin)), nullable=False),
    Column("student", Words()),
    Column("confidence", Real(-1000, 1000)),
    Column(
        "prompts", Data(dict, none_as_null=True), info={"since": 2}
    ),  # clicks and boxes that a person gave for this mask
    # How the mask was made (vfss.project.provenance). Null methods: undone revisions, and authors of old projects that
    # did not tell. The rules on them are triggers, as a table that exists already cannot be given constraints.
    Column("method", Words(get_args(Method)), info={"since": 4}),
    Column("source_frame", _frame(), info={"since": 4}),
    Column("adapted_frames", Data(list, none_as_null=True), info={"since": 4}),
    Column("adapted_count", Whole(1), info={"since": 4}),
    Column("mask", Packed()),  # last, so that reading the columns before it does not load its pages
    CheckConstraint(f"origin <> 'proposal' OR state = {MaskState.PROPOSED:d}", name="a_machine_only_proposes"),
    Index("revisions_of_a_plane", "clip", "frame", "structure", "id"),
    sqlite_autoincrement=True,
)

present = Table(
    "present",
    metadata,
    Column("clip", Words(), ForeignKey("clips.id"), primary_key=True),
    Column("frame", _frame(), primary_key=True),
    Column("plane", _plane(), primary_key=True),
    Column("revision", Whole(), ForeignKey("revisions.id"), nullable=False),
    Column("state", _state(), nullable=False),
    sqlite_with_rowid=False,
)

# Masks of each frame by state, counted as they are written, so that a list of all clips never scans all masks.
frame_progress = Table(
    "frame_progress",
    metadata,
    Column("clip", Words(), ForeignKey("clips.id"), primary_key=True),
    Column("frame", _frame(), primary_key=True),
    Column("proposed", Whole(0, MOST_PLANES), nullable=False),
    Column("edited", Whole(0, MOST_PLANES), nullable=False),
    Column("final", Whole(0, MOST_PLANES), nullable=False),  # accepted, empty or not visible
    Column("revision", Whole(), nullable=False),  # the newest of the frame
    info={"since": 6},
    sqlite_with_rowid=False,
)

open_windows = Table(
    "open_windows",
    metadata,
    Column("window", Words(), primary_key=True),
    Column("author", Words(), nullable=False),
    Column("host", Words(), nullable=False),
    Column("clip", Words(), ForeignKey("clips.id"), nullable=False),
    Column("seen", UtcTime(), nullable=False),
    info={"since": 6},
)

patients = Table(
    "patients",
    metadata,
    Column("name", Words(), primary_key=True),
    Column(
        "split", Words(get_args(Split)), CheckConstraint("split IN ('train', 'validation', 'test')"), nullable=False
    ),
    Column("assigned", UtcTime(), nullable=False),
)

students = Table(
    "students",
    metadata,
    Column("id", Words(), primary_key=True),
    Column("scores", Data(dict), nullable=False),
    Column("parent", Words()),
    Column("added", UtcTime(), nullable=False),
    Column("chosen", Flag(), nullable=False, default=False),
    Column("name", Words(), info={"since": 6}),  # given by a person; null: none
    Column("note", LongWords(), info={"since": 6}),
    Column("added_by", Words(), info={"since": 6}),  # person or program; null: not recorded
    Column("deleted", UtcTime(), info={"since": 6}),  # when its file was deleted; its record stays for provenance
)

student_switches = Table(
    "student_switches",
    metadata,
    Column("id", Whole(), primary_key=True, autoincrement=True),
    Column("student", Words()),  # in use from then on; null: the one that ships
    Column("previous", Words()),
    Column("how", Words(get_args(HowSwitched)), nullable=False),
    Column("author", Words(), nullable=False),  # "" where not known
    Column("time", UtcTime(), nullable=False),
    info={"since": 6},
    sqlite_autoincrement=True,
)

hold_out_frames = Table(
    "hold_out_frames",
    metadata,
    Column("clip", Words(), ForeignKey("clips.id"), primary_key=True),
    Column("frame", _frame(), primary_key=True),
    Column("frozen", UtcTime(), nullable=False),
    info={"since": 6},
    sqlite_with_rowid=False,
)

canaries = Table(
    "canaries",
    metadata,
    Column("clip", Words(), ForeignKey("clips.id"), primary_key=True),
    Column("place", Whole(0, 2), nullable=False),
    info={"since": 6},
    sqlite_with_rowid=False,
)

frame_checks = Table(
    "frame_checks",
    metadata,
    Column("clip", Words(), ForeignKey("clips.id"), primary_key=True),
    Column("frame", _frame(), CheckConstraint("frame >= 0"), primary_key=True),
    Column("digest", Whole(-(2**63))),  # vfss.project.frame_checks.frame_digest of the decoded frame as first read
    Column("damage", LongWords()),  # or why it could not be decoded
    CheckConstraint("(digest IS NULL) <> (damage IS NULL)", name="a_frame_is_read_or_damaged"),
    info={"since": 5},
    sqlite_with_rowid=False,
)

label_dismissals = Table(
    "label_dismissals",
    metadata,
    Column("revision", Whole(), ForeignKey("revisions.id"), primary_key=True),  # the mask that is right after all
    Column("author", Words(), CheckConstraint("author <> ''"), nullable=False),
    Column("time", UtcTime(), nullable=False),
    info={"since": 6},
)

recollections = Table(
    "recollections",
    metadata,
    Column("author", Words(), primary_key=True),
    Column("key", Words(), primary_key=True),
    Column("value", Data()),
)

name_columns(metadata)

_PLANE = "(SELECT plane FROM structures WHERE key = NEW.structure)"
_UNCONFIRMED = ", ".join(f"'{origin}'" for origin in UNCONFIRMED)
_PERSON = ", ".join(str(int(state)) for state in MaskState if state.is_annotated)
FINAL = tuple(state for state in MaskState if state.is_annotated and state is not MaskState.EDITED)
"""States that a person decided on: accepted, empty, not visible. An edited mask still waits for its acceptance."""
_COUNTED = {
    "proposed": f"({{row}}.state = {MaskState.PROPOSED:d})",
    "edited": f"({{row}}.state = {MaskState.EDITED:d})",
    "final": f"({{row}}.state IN ({', '.join(str(int(state)) for state in FINAL)}))",
}
_COUNTS = ", ".join(f"sum({one.format(row='present')}) AS {name}" for name, one in _COUNTED.items())
COUNT_MASKS = f"SELECT clip, frame, {_COUNTS}, max(revision) AS revision FROM present GROUP BY clip, frame"
"""SQL that counts all masks by frame, in the order of the columns of `frame_progress`."""

_PROPOSED_BY = ", ".join(f"'{method}'" for method in PROPOSED_BY)
_METHODS = ", ".join(f"'{method}'" for method in get_args(Method))
_OF_THE_CLIP = "(SELECT n_frames FROM clips WHERE id = NEW.clip)"

_SQLITE_RULES = {
    "revisions_stay": "BEFORE UPDATE ON revisions BEGIN SELECT RAISE(ABORT, 'revisions are append-only'); END",
    "revisions_remain": "BEFORE DELETE ON revisions BEGIN SELECT RAISE(ABORT, 'revisions are append-only'); END",
    # INSERT OR REPLACE deletes without firing the trigger above.
    "revisions_are_new": "BEFORE INSERT ON revisions "
    "WHEN EXISTS (SELECT 1 FROM revisions WHERE id = NEW.id) "
    "BEGIN SELECT RAISE(ABORT, 'revisions are append-only'); END",
    "people_stand": f"BEFORE INSERT ON revisions WHEN NEW.origin IN ({_UNCONFIRMED}) "
    f"AND EXISTS (SELECT 1 FROM present WHERE clip = NEW.clip AND frame = NEW.frame AND plane = {_PLANE} "
    f"AND state IN ({_PERSON})) "
    "BEGIN SELECT RAISE(ABORT, 'a proposal never replaces an annotation'); END",
    # A trigger, as a table that exists already cannot be given a constraint.
    "imports_are_proposals": "BEFORE INSERT ON revisions "
    f"WHEN NEW.origin = 'import' AND NEW.state <> {MaskState.PROPOSED:d} "
    "BEGIN SELECT RAISE(ABORT, 'an imported mask is a proposal until a person accepts it'); END",
    "methods_fit_origins": "BEFORE INSERT ON revisions WHEN NOT CASE NEW.origin "
    f"WHEN 'proposal' THEN coalesce(NEW.method IN ({_PROPOSED_BY}), 0) "
    f"WHEN 'undo' THEN NEW.method IS NULL OR NEW.method IN ({_METHODS}) "
    f"WHEN 'redo' THEN NEW.method IS NULL OR NEW.method IN ({_METHODS}) "
    "ELSE NEW.method IS NEW.origin END "
    "BEGIN SELECT RAISE(ABORT, 'a revision records by which method its mask was made'); END",
    "students_are_named": "BEFORE INSERT ON revisions "
    "WHEN NEW.origin = 'proposal' AND NEW.method = 'student' AND NEW.student IS NULL "
    "BEGIN SELECT RAISE(ABORT, 'a proposal by a student names the student'); END",
    "sources_are_frames": "BEFORE INSERT ON revisions "
    "WHEN (NEW.method IS 'propagation') <> (NEW.source_frame IS NOT NULL) "
    f"OR NEW.source_frame < 0 OR NEW.source_frame >= {_OF_THE_CLIP} "
    "BEGIN SELECT RAISE(ABORT, 'a propagated mask, and no other, names a frame of the clip as its source'); END",
    "adaptations_are_counted": "BEFORE INSERT ON revisions "
    "WHEN (NEW.method IS 'adapted') <> (NEW.adapted_count IS NOT NULL) OR NEW.adapted_count < 1 "
    "OR (NEW.adapted_frames IS NOT NULL AND NEW.adapted_count IS NULL) "
    "BEGIN SELECT RAISE(ABORT, 'a mask by a clip-adapted student, and no other, names what it was adapted to'); END",
    "masks_are_counted": "AFTER INSERT ON present "
    f"BEGIN INSERT INTO frame_progress (clip, frame, {', '.join(_COUNTED)}, revision) VALUES (NEW.clip, NEW.frame, "
    f"{', '.join(one.format(row='NEW') for one in _COUNTED.values())}, NEW.revision) "
    "ON CONFLICT (clip, frame) DO UPDATE SET "
    f"{', '.join(f'{name} = {name} + excluded.{name}' for name in _COUNTED)}, "
    "revision = max(revision, excluded.revision); END",
    "masks_are_recounted": "AFTER UPDATE OF revision, state ON present BEGIN UPDATE frame_progress SET "
    + ", ".join(
        f"{name} = {name} + {one.format(row='NEW')} - {one.format(row='OLD')}" for name, one in _COUNTED.items()
    )
    + ", revision = max(revision, NEW.revision) WHERE clip = NEW.clip AND frame = NEW.frame; END",
    "switches_stay": "BEFORE UPDATE ON student_switches "
    "BEGIN SELECT RAISE(ABORT, 'switches of students are append-only'); END",
    "switches_remain": "BEFORE DELETE ON student_switches "
    "BEGIN SELECT RAISE(ABORT, 'switches of students are append-only'); END",
    "revisions_are_present": "AFTER INSERT ON revisions "
    "BEGIN INSERT INTO present (clip, frame, plane, revision, state) "
    f"VALUES (NEW.clip, NEW.frame, {_PLANE}, NEW.id, NEW.state) "
    "ON CONFLICT (clip, frame, plane) DO UPDATE SET revision = excluded.revision, state = excluded.state; END",
}
RULES = {name: f"CREATE TRIGGER {name} {rule}" for name, rule in _SQLITE_RULES.items()}
"""SQL of the triggers of a project, by name."""

for _rule in RULES.values():
    event.listen(metadata, "after_create", DDL(_rule).execute_if(dialect="sqlite"))  # type: ignore[no-untyped-call]


def tables_of(version: int) -> set[str]:
    """Return the names of the tables that a project of a layout has."""
    return {name for name, table in metadata.tables.items() if _since(table) <= version}


def added_tables(version: int) -> list[Table]:
    """Return the tables that a project of a layout lacks."""
    return [table for table in metadata.sorted_tables if _since(table) > version]


def added_columns(version: int) -> list[Column[Any]]:
    """Return the columns that a project of a layout lacks in the tables that it has."""
    tables = [table for table in metadata.sorted_tables if _since(table) <= version]
    return [column for table in tables for column in table.c if _since(column) > version]


def columns_of(table: Table, version: int) -> list[ColumnElement[Any]]:
    """Return all columns of a table as read from a project of a layout: null in place of those it lacks."""
    return [column if _since(column) <= version else null().label(column.name) for column in table.c]


def _since(item: Table | Column[Any]) -> int:
    return int(item.info.get("since", 1))


def keep_append_only(table: Table, rows: str) -> None:
    """Let the database refuse changes of a table's rows from the moment when the table is created.

    Args:
        table: The table.
        rows: Name of its rows in the message of a refusal.
    """
    for suffix, event_name in (("remain", "DELETE"), ("stay", "UPDATE")):
        refusal = f"BEGIN SELECT RAISE(ABORT, '{rows} are append-only'); END"
        rule = DDL(f"CREATE TRIGGER IF NOT EXISTS {table.name}_{suffix} BEFORE {event_name} ON {table.name} {refusal}")  # type: ignore[no-untyped-call]
        event.listen(table, "after_create", rule.execute_if(dialect="sqlite"))
