# SPDX-License-Identifier: Apache-2.0
"""Projects as earlier versions of the program wrote them."""

from __future__ import annotations

import contextlib
import sqlite3
import struct
import zlib
from pathlib import Path

import numpy as np

from vfss.project.tables import added_columns, added_tables

# The table of revisions of older layouts, as the program versions of that time created it.
REVISIONS = """
CREATE TABLE revisions (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, clip VARCHAR NOT NULL, frame INTEGER NOT NULL CHECK (frame >= 0),
    structure VARCHAR NOT NULL, state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 5),
    author VARCHAR NOT NULL CHECK (author <> ''), time DATETIME NOT NULL, origin VARCHAR NOT NULL,
    student VARCHAR, confidence FLOAT, {prompts} mask BLOB,
    CONSTRAINT a_machine_only_proposes CHECK (origin <> 'proposal' OR state = 1),
    FOREIGN KEY(clip) REFERENCES clips (id), FOREIGN KEY(structure) REFERENCES structures ("key")
);
CREATE INDEX revisions_of_a_plane ON revisions (clip, frame, structure, id);
"""
SINCE_3 = ("imports_are_proposals",)
SINCE_5 = {"clips": ("frame_rate", "pixel_aspect", "rotation")}
SINCE_4 = ("methods_fit_origins", "students_are_named", "sources_are_frames", "adaptations_are_counted")
OLD_RULE = (
    "CREATE TRIGGER people_stand BEFORE INSERT ON revisions WHEN NEW.origin = 'proposal' "
    "AND EXISTS (SELECT 1 FROM present WHERE clip = NEW.clip AND frame = NEW.frame "
    "AND plane = (SELECT plane FROM structures WHERE key = NEW.structure) AND state IN (2, 3, 4, 5)) "
    "BEGIN SELECT RAISE(ABORT, 'a proposal never follows a person''s word'); END"
)


def as_layout(folder: Path, version: int) -> None:
    """Rewrite a closed project as the version of the program with that layout would have written it."""
    with contextlib.closing(sqlite3.connect(folder / "vfss.sqlite", isolation_level=None)) as database:
        triggers = dict(database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall())
        database.execute("PRAGMA foreign_keys = OFF")
        for name in triggers:
            database.execute(f"DROP TRIGGER {name}")
        database.execute("DROP TABLE frame_checks")
        database.execute("UPDATE revisions SET mask = substr(mask, 9)")  # the checksum came with layout 5
        for added in added_tables(5):
            database.execute(f"DROP TABLE {added.name}")
        for column in added_columns(5):
            database.execute(f"ALTER TABLE {column.table.name} DROP COLUMN {column.name}")
        for table, names in SINCE_5.items():
            for name in names:
                database.execute(f"ALTER TABLE {table} DROP COLUMN {name}")
        if version < 4:
            as_before_provenance(database, version)
        if version < 3:
            triggers["people_stand"] = OLD_RULE
        for name, statement in triggers.items():
            if (version >= 4 or name not in SINCE_4) and (version >= 3 or name not in SINCE_3):
                database.execute(statement)
        database.execute(f"UPDATE layout SET version = {version}")


def as_before_provenance(database: sqlite3.Connection, version: int) -> None:
    """Rewrite the table of revisions as layouts 1 to 3 had it."""
    columns = "id, clip, frame, structure, state, author, time, origin, student, confidence, mask"
    columns += ", prompts" if version > 1 else ""
    database.execute("CREATE TEMP TABLE kept AS SELECT * FROM revisions")
    database.execute("DROP TABLE revisions")
    database.executescript(REVISIONS.format(prompts="prompts JSON," if version > 1 else ""))
    database.execute(f"INSERT INTO revisions ({columns}) SELECT {columns} FROM kept")


def as_packed_before(mask: np.ndarray) -> bytes:
    """Return a mask as layouts 1 to 4 stored it: six numbers, then the pixels, which alone have a checksum."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = (rows[0], columns[0], rows[-1] + 1, columns[-1] + 1)
    bits = np.packbits(mask[box[0] : box[2], box[1] : box[3]], axis=None)
    return struct.pack("<6I", *mask.shape, *box) + zlib.compress(bits.tobytes(), 1)
