# SPDX-License-Identifier: Apache-2.0
"""Damaged and hostile projects: every column of every table with values that do not belong there, and broken files.

`template` makes a small project that has a row in every table, `cases` yields what can be done to a copy of it, and
`exercise` reads all of a project, and writes to it, letting through only VfssError.
"""

from __future__ import annotations

import contextlib
import random
import re
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from small_project import THREE, annotate, disc, grey_frames, write_video
from vfss.datasets import FORMATS, ExportOptions
from vfss.datasets.preview import preview
from vfss.errors import ProjectError, VfssError
from vfss.masks import MaskState, pack_mask
from vfss.project import Edit, Project, Provenance
from vfss.project.frame_checks import frame_digest
from vfss.project.integrity import check_project
from vfss.project.patients import list_patients
from vfss.project.records import Mark
from vfss.project.second_readings import create_reading, readings
from vfss.redaction import PixelBox, Redaction
from vfss.student.prompts import Click, Prompts

HEIGHT, WIDTH, FRAMES = 24, 32, 5
DATABASE = "vfss.sqlite"
TABLES = (
    "layout", "project", "structures", "clips", "revisions", "present", "patients", "students", "recollections",
    "frame_checks", "marks", "pixel_reviews", "student_switches", "hold_out_frames", "canaries",
)  # fmt: skip
Damage = Callable[[Path], None]


class Sql:
    """A value written as an SQL expression, for those that Python cannot bind."""

    def __init__(self, expression: str) -> None:
        self.expression = expression

    def __repr__(self) -> str:
        return self.expression


VALUES: tuple[Any, ...] = (
    None,
    "",
    "text",
    "12",
    -1,
    2**31,
    10**12,
    2**63 - 1,
    -(2**63),
    1.5,
    1e308,
    Sql("9e999"),
    b"",
    b"\xff\xfe\x00",
    "zero\0character",
    Sql("CAST(x'ff80' AS TEXT)"),
    Sql("CAST(x'eda080' AS TEXT)"),
    "../../../etc/passwd",
    "null",
    "[]",
    "{}",
    "NaN",
    '{"a": NaN}',
    '[{"first": 4, "last": 1}]',
    '[{"first": 0, "last": 1000000000000}]',
    '[{"first": null}]',
    '{"clicks": [[1e999, 2, 3]], "box": [1]}',
    '{"boxes": [{"top": 0, "left": 0, "bottom": 1000000000000, "right": 2}]}',
    "[" * 100_000,
    '{"id": "x", "version": "1", "structures": [{"key": "a", "name": "A", "colour": "#000000", "holds_frames": NaN}]}',
    "9" * 5000,
    "2026-13-45 99:99:99",
    "0001-01-01 00:00:00.000000",
    "9999-12-31 23:59:59.999999",
    "/dev/zero",
    "x" * 100_000,
)


def template(folder: Path) -> Path:
    """Make a project of five frames that has rows in every table."""
    frames = grey_frames(FRAMES, HEIGHT, WIDTH)
    video = write_video(folder / "swallow.mkv", frames)
    other = write_video(folder / "other.mkv", grey_frames(FRAMES, HEIGHT, WIDTH, seed=1))
    mask = disc(HEIGHT, WIDTH, y=9, x=9, radius=5)
    with Project.create(folder / "project", THREE) as project:
        clip, second = project.add_clip(video, patient="P1").id, project.add_clip(other, patient="P2").id
        annotate(project, clip, 0, {"bolus": mask, "pharynx": MaskState.EMPTY, "mandible": MaskState.NOT_VISIBLE})
        annotate(project, second, 2, {"bolus": ~mask})
        prompts = Prompts((Click(3.0, 4.0, True),))
        edit = Edit(clip, 1, "bolus", mask, MaskState.EDITED, prompts=prompts)
        project.write([edit], author="ann", origin="hand")
        proposals = [
            Edit(clip, 3, "bolus", mask, MaskState.PROPOSED, 0.7, provenance=Provenance.propagated(0, None)),
            Edit(clip, 3, "pharynx", mask, MaskState.PROPOSED, 0.8, provenance=Provenance.adapted((0, 1), "st-1")),
        ]
        project.write(proposals, author="propagation", origin="proposal")
        project.marks.set(clip, Mark("swallow", 1, 3), author="ann")
        project.marks.set(clip, Mark("aspiration", 2), author="ann")
        project.reviews.accept(clip, Redaction((PixelBox(0, 0, 4, 4),)), reviewer="ann")
        project.frame_checks.record(clip, {t: frame_digest(frame) for t, frame in enumerate(frames[:2])})
        project.set_frame_rate(clip, 25.0)
        project.splits()
        project.remember("ann", f"view/{clip}", {"frame": 2})
        with contextlib.closing(connect(project.folder)) as database:
            row = "VALUES ('st-1', '{}', '2026-01-01 10:00:00.000000', 0)"
            database.execute(f"INSERT INTO students (id, scores, added, chosen) {row}")
        project.choose_student("st-1", author="ann")
        project.choose_student(None, author="ann")
        project.shelf.describe("st-1", name="first", note="of one clip")
        project.hold_out.freeze({"P1": "train", "P2": "test"})
        project.canaries.choose([clip, second])
        create_reading(project, "bob", clip_ids=[clip])
    return project.folder


def connect(folder: Path) -> sqlite3.Connection:
    """Connect to a project's database with no rule in the way but its triggers."""
    database = sqlite3.connect(folder / DATABASE, isolation_level=None)
    database.execute("PRAGMA synchronous = OFF")
    database.execute("PRAGMA foreign_keys = OFF")
    database.execute("PRAGMA ignore_check_constraints = ON")
    return database


def alter(folder: Path, statement: str, parameters: tuple[Any, ...] = ()) -> None:
    """Run a statement that neither triggers nor constraints prevent; afterwards all of them stand there as before."""
    with contextlib.closing(connect(folder)) as database:
        rows = database.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
        for kind, name, _ in rows:
            if kind == "trigger":
                database.execute(f'DROP TRIGGER "{name}"')
        _rewrite(database, {name: re.sub(r" NOT NULL", "", sql) for kind, name, sql in rows if kind == "table"})
    with contextlib.closing(connect(folder)) as database:
        try:
            database.execute(statement, parameters)
        finally:
            _rewrite(database, {name: sql for kind, name, sql in rows if kind == "table"})
    with contextlib.closing(connect(folder)) as database:
        for kind, _, sql in rows:
            if kind == "trigger":
                database.execute(sql)


def _rewrite(database: sqlite3.Connection, definitions: dict[str, str]) -> None:
    database.execute("PRAGMA writable_schema = ON")
    for name, sql in definitions.items():
        database.execute("UPDATE sqlite_master SET sql = ? WHERE name = ? AND type = 'table'", (sql, name))
    database.execute("PRAGMA writable_schema = OFF")


def columns(folder: Path) -> list[tuple[str, str]]:
    """Return table and column of all columns."""
    with contextlib.closing(connect(folder)) as database:
        return [(table, row[1]) for table in TABLES for row in database.execute(f"PRAGMA table_info({table})")]


def values(folder: Path) -> Iterator[tuple[str, Damage]]:
    """Yield every column of every table with every value."""
    for table, column in columns(folder):
        for value in VALUES:
            text = ascii(value)
            yield f"{table}.{column} = {text[:50]}", _setting(table, column, value)


def _setting(table: str, column: str, value: Any) -> Damage:
    place, parameters = (value.expression, ()) if isinstance(value, Sql) else ("?", (value,))

    def damage(folder: Path) -> None:
        # One row only, as a key holds a value once.
        where = f"{column} IS (SELECT {column} FROM {table} ORDER BY {column} LIMIT 1)"
        with contextlib.suppress(sqlite3.IntegrityError):  # such as text in an INTEGER PRIMARY KEY
            alter(folder, f"UPDATE {table} SET {column} = {place} WHERE {where}", parameters)

    return damage


def _statement(statement: str, *parameters: Any) -> Damage:
    return lambda folder: alter(folder, statement, parameters)


def _bare(statements: str) -> Damage:
    """Return a damage by statements that stay, constraints and all."""

    def damage(folder: Path) -> None:
        with contextlib.closing(connect(folder)) as database:
            database.executescript(statements)

    return damage


_LARGE = np.ones((HEIGHT + 1, WIDTH), np.bool_)
_COPY = "CREATE TABLE copy AS SELECT * FROM {0}; DROP TABLE {0}; CREATE TABLE {0} AS SELECT * FROM copy;"
CONTRADICTIONS: dict[str, Damage] = {
    "shown on the last frame by a negative index": _statement("UPDATE present SET frame = -1 WHERE frame = 0"),
    "shown behind the last frame": _statement("UPDATE present SET frame = 5 WHERE frame = 0"),
    "a plane that the schema lacks": _statement("UPDATE present SET plane = 3 WHERE plane = 2"),
    "a negative plane": _statement("UPDATE present SET plane = -1 WHERE plane = 2"),
    "two planes exchanged": _bare(
        "UPDATE present SET plane = plane + 10; UPDATE present SET plane = 1 WHERE plane = 10;"
        "UPDATE present SET plane = 0 WHERE plane = 11; UPDATE present SET plane = 2 WHERE plane = 12;"
    ),
    "a revision of another clip": _statement(
        "UPDATE present SET revision = (SELECT max(id) FROM revisions WHERE frame = 2) WHERE frame = 0 AND plane = 0"
    ),
    "a revision of another frame": _statement(
        "UPDATE present SET revision = (SELECT id FROM revisions WHERE frame = 1) WHERE frame = 0 AND plane = 0"
    ),
    "a revision that does not exist": _statement("UPDATE present SET revision = 999 WHERE frame = 0 AND plane = 0"),
    "an older state": _statement("UPDATE present SET state = 2 WHERE frame = 0 AND plane = 0"),
    "the present lost": _statement("DELETE FROM present WHERE frame = 1"),
    "a revision of a frame that does not exist": _statement("UPDATE revisions SET frame = 7 WHERE frame = 1"),
    "a revision of an unknown structure": _statement("UPDATE revisions SET structure = 'c9' WHERE frame = 1"),
    "a revision of a clip that does not exist": _statement("UPDATE revisions SET clip = 'b2-none' WHERE frame = 1"),
    "a mask of another size": _statement("UPDATE revisions SET mask = ? WHERE frame = 1", pack_mask(_LARGE)),
    "a mask that is a number": _statement("UPDATE revisions SET mask = 3000000000 WHERE frame = 1"),
    "an accepted structure without its mask": _statement("UPDATE revisions SET mask = NULL WHERE frame = 0"),
    "proposed from a frame that does not exist": _statement(
        "UPDATE revisions SET source_frame = 10 WHERE source_frame = 0"
    ),
    "no layout": _statement("DELETE FROM layout"),
    "two layouts": _statement("INSERT INTO layout VALUES (1)"),
    "layout 0": _statement("UPDATE layout SET version = 0"),
    "an older layout": _statement("UPDATE layout SET version = 3"),
    "no project": _statement("DELETE FROM project"),
    "two projects": _statement("INSERT INTO project SELECT 'other', schema, created FROM project"),
    "a structure lost": _statement("DELETE FROM structures WHERE plane = 1"),
    "a structure too many": _statement("INSERT INTO structures VALUES ('c9', 3)"),
    "planes counted from one": _statement("UPDATE structures SET plane = 10 - plane"),
    "no clips": _statement("DELETE FROM clips"),
    "10^12 frames": _statement("UPDATE clips SET n_frames = 1000000000000"),
    "4 million frames": _statement("UPDATE clips SET n_frames = 4000000"),
    "frames of 65535 x 65535": _statement("UPDATE clips SET height = 65535, width = 65535"),
    "frames of 10000 x 10000": _statement("UPDATE clips SET height = 10000, width = 10000"),
    "a recording that never ends": _statement("UPDATE clips SET path = '/dev/zero', absolute = '/dev/zero', size = 0"),
    "a student outside of its folder": _statement("UPDATE students SET id = '../../outside'"),
    "a mark behind the last frame": _statement("UPDATE marks SET first = 9, last = 12"),
    "a mark that ends before it begins": _statement("UPDATE marks SET first = 3, last = 1"),
    "a frame checked that does not exist": _statement("UPDATE frame_checks SET frame = 99 WHERE frame = 1"),
    "a frame both read and damaged": _statement("UPDATE frame_checks SET damage = 'x', digest = 1"),
    "planes twice, without a key": _bare(f"{_COPY.format('present')} INSERT INTO present SELECT * FROM copy;"),
    "clips twice, without a key": _bare(f"{_COPY.format('clips')} INSERT INTO clips SELECT * FROM copy;"),
    "structures twice, without a key": _bare(
        f"{_COPY.format('structures')} INSERT INTO structures SELECT * FROM copy;"
    ),
    "patients twice, without a key": _bare(f"{_COPY.format('patients')} INSERT INTO patients SELECT * FROM copy;"),
    "a view in place of a table": _bare(
        "ALTER TABLE patients RENAME TO people; CREATE VIEW patients AS SELECT * FROM people;"
    ),
    "a column lost": _bare("ALTER TABLE clips DROP COLUMN facing"),
    "a table lost": _bare("DROP TABLE frame_checks"),
    "another application": _bare("PRAGMA application_id = 1; PRAGMA user_version = -5"),
    "a rule lost": _bare("DROP TRIGGER people_stand"),
    "a rule that deletes": _bare(
        "CREATE TRIGGER evil AFTER INSERT ON revisions BEGIN DELETE FROM recollections; END"
    ),
    "a rule that writes without end": _bare(
        "PRAGMA recursive_triggers = ON; CREATE TRIGGER endless AFTER INSERT ON recollections "
        "BEGIN INSERT INTO recollections SELECT NEW.author || 'x', NEW.key, NEW.value; END"
    ),
}  # fmt: skip


def contradictions() -> Iterator[tuple[str, Damage]]:
    """Yield rows that contradict each other, sizes that nothing holds, and definitions that were changed."""
    yield from CONTRADICTIONS.items()


def bytes_changed(seed: int, count: int) -> Iterator[tuple[str, Damage]]:
    """Yield flipped bits, zeroed blocks and truncation of the database and its write-ahead log."""
    for number in range(count):
        yield f"bytes {seed}-{number}", _changed_bytes(f"{seed}-{number}")


def _changed_bytes(seed: str) -> Damage:
    def damage(folder: Path) -> None:
        choice = random.Random(seed)
        suffix = choice.choice(("", "", "", "-wal", "-shm"))
        if suffix:
            _leave_log(folder)
        path = folder / (DATABASE + suffix)
        content = bytearray(path.read_bytes())
        kind = choice.choice(("bits", "bits", "block", "cut", "grown"))
        if kind == "bits":
            for _ in range(choice.choice((1, 1, 8, 200))):
                # Half of the flips where the format's own numbers are.
                near = choice.random() < 0.5
                at = choice.randrange(min(len(content), 200)) if near else choice.randrange(len(content))
                content[at] ^= 1 << choice.randrange(8)
        elif kind == "block":
            start = choice.randrange(len(content))
            end = min(len(content), start + choice.choice((16, 512, 4096)))
            content[start:end] = choice.randbytes(end - start) if choice.random() < 0.5 else bytes(end - start)
        elif kind == "cut":
            del content[choice.randrange(len(content)) :]
        else:
            content += choice.randbytes(choice.choice((1, 100, 4096)))
        path.write_bytes(content)

    return damage


def _leave_log(folder: Path) -> None:
    """Leave a write-ahead log with a change in it, and its index, as a killed process does."""
    database = connect(folder)
    database.execute("PRAGMA wal_autocheckpoint = 0")
    database.execute("UPDATE clips SET patient = 'P9' WHERE patient = 'P1'")
    kept = {path: path.read_bytes() for path in folder.glob(f"{DATABASE}*")}
    database.close()
    for path, content in kept.items():
        path.write_bytes(content)


def cases(seed: int) -> Iterator[tuple[str, Damage]]:
    """Yield all that can be done to a copy of the template, in the order of the seed, then bytes without end."""
    with tempfile.TemporaryDirectory() as scratch:
        known = [*contradictions(), *values(template(Path(scratch)))]
    random.Random(seed).shuffle(known)
    yield from known
    yield from bytes_changed(seed, 1 << 40)


def exercise(folder: Path, *, thorough: bool = True) -> list[str]:
    """Read all of a project and write to it; return the messages of the errors, all of them VfssError.

    Args:
        folder: The project.
        thorough: Also what takes longer: export's preview, second readings, opening of recordings.

    Raises:
        Exception: Any other, which is a fault of the program.
    """
    errors = []
    try:
        with Project.open(folder, patience_s=1.0) as project:
            for act in _acts(project, thorough):
                try:
                    act()
                except VfssError as error:
                    errors.append(str(error))
    except ProjectError as error:
        errors.append(str(error))
    return errors


def _acts(project: Project, thorough: bool) -> Iterator[Callable[[], object]]:
    yield project.students
    yield project.current_student
    yield project.shelf.switches
    yield project.canaries.clips
    yield lambda: project.hold_out.frames(project.assigned_splits())
    yield lambda: project.corrections.since(None, ["P1"])
    yield project.student_path
    yield project.assigned_splits
    yield project.last_revision
    yield lambda: project.changes_since(0)
    yield lambda: project.recall("ann", "view")
    yield lambda: readings(project)
    yield project.marks.last
    try:
        clips = [record.id for record in project.clips()]
    except VfssError:
        yield project.clips  # so that it is counted
        with contextlib.closing(connect(project.folder)) as database:
            clips = [row[0] for row in database.execute("SELECT id FROM clips WHERE typeof(id) = 'text'").fetchall()]
    for clip in clips:
        yield from _acts_on_clip(project, clip)
        if thorough:
            yield lambda clip=clip: project.open_clip(clip).close()
    yield lambda: list_patients(project)
    yield project.splits
    if thorough:
        yield lambda: preview(project, FORMATS["coco"], ExportOptions())
        yield lambda: create_reading(project, "eve")
    yield lambda: project.remember("ann", "view", {"frame": 1})


def _acts_on_clip(project: Project, clip: str) -> Iterator[Callable[[], object]]:
    yield lambda: project.clip(clip)
    yield lambda: project.states(clip)
    yield lambda: project.annotated_frames(clip)
    yield lambda: project.changes_since(0, clip)
    for frame in (0, 1, 3):
        yield lambda frame=frame: [revision.mask for revision in project.newest(clip, frame).values()]
        yield lambda frame=frame: project.masks(clip, frame)
        yield lambda frame=frame: project.confidence(clip, frame)
        yield lambda frame=frame: [revision.mask for revision in project.history(clip, frame, "bolus")]
    yield lambda: [revision.mask for revision in project.past.page(clip)]
    yield lambda: [revision.mask for revision in project.past.standing(clip).values()]
    yield lambda: project.past.proposal(clip, 3, "bolus")
    yield lambda: project.past.masks(range(1, 9))
    yield lambda: project.overview.confidences(clip)
    yield lambda: project.overview.changes(clip, 0)
    yield lambda: project.overview.author(clip, 0, 0)
    yield lambda: list(project.overview.planes(clip, 0, 4))
    yield lambda: project.marks.of(clip)
    yield lambda: project.marks.history(clip)
    yield lambda: project.reviews.of(clip)
    yield lambda: project.frame_checks.damaged_frames(clip)
    yield lambda: project.frame_checks.compare(clip, {0: 2, 3: 4})
    mask = disc(HEIGHT, WIDTH, y=12, x=12, radius=4)
    edits = [Edit(clip, 4, "bolus", mask, MaskState.EDITED)]
    yield lambda: project.write(edits, author="ann", origin="hand", base={})
    yield lambda: project.marks.set(clip, Mark("swallow", 0, 2), author="eve")
    yield lambda: project.update_clip(clip, facing="left")


def wrong(folder: Path) -> list[str]:
    """Return what `vfss check` finds to be wrong, leaving out that the template's student has no file."""
    found = [finding for finding in check_project(folder) if finding.wrong]
    return [f"{finding.subject}: {finding.message}" for finding in found if "student st-1" not in finding.subject]
