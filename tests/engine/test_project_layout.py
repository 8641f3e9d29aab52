# SPDX-License-Identifier: Apache-2.0
"""Projects of an older layout: migrated after a backup copy, by one process of many, or read unchanged."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from older_project import as_layout, as_packed_before
from small_project import THREE, disc, grey_frames, write_video
from vfss.errors import MaskError, ProjectError, VfssError
from vfss.masks import MaskState, pack_mask, unpack_mask
from vfss.project import Edit, Project, Provenance, migration
from vfss.project import database_files as opening
from vfss.project.tables import LAYOUT
from vfss.student.prompts import Box, Click, Prompts

HEIGHT, WIDTH = 24, 32
DISC = disc(HEIGHT, WIDTH, y=10, x=12, radius=5)
OTHER = disc(HEIGHT, WIDTH, y=14, x=20, radius=7)
PROMPTS = Prompts((Click(3.25, 4.0, True), Click(7, 8, False)), Box(1, 2, 20.5, 30))


@pytest.fixture
def clip_id(folder: Path) -> str:
    with contextlib.closing(sqlite3.connect(folder / "vfss.sqlite")) as database:
        return str(database.execute("SELECT id FROM clips").fetchone()[0])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A closed project of layout 1 with annotations."""
    write_video(tmp_path / "swallow.mkv", grey_frames(5, HEIGHT, WIDTH))
    with Project.create(tmp_path / "project", THREE) as project:
        clip = project.add_clip(tmp_path / "swallow.mkv").id
        project.write([Edit(clip, 0, "bolus", DISC, MaskState.EDITED)], author="ann", origin="hand")
        project.write([Edit(clip, 0, "bolus", OTHER, MaskState.ACCEPTED)], author="ann", origin="hand")
        project.write([Edit(clip, 1, "mandible", None, MaskState.NOT_VISIBLE)], author="bob", origin="hand")
    as_layout(tmp_path / "project", 1)
    return tmp_path / "project"


def copies(folder: Path) -> list[Path]:
    return sorted(folder.glob("vfss-layout1*.sqlite"))


def layout_of(path: Path) -> tuple[int, bool]:
    """Return the layout version stored in a database, and whether it has the column of prompts."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        version = database.execute("SELECT version FROM layout").fetchone()[0]
        return version, "prompts" in [row[1] for row in database.execute("PRAGMA table_info(revisions)")]


def expect_annotations(project: Project, clip: str, n: int = 3) -> None:
    history = project.history(clip, 0, "bolus")
    assert [(r.author, r.state, r.prompts) for r in history] == [
        ("ann", MaskState.EDITED, None),
        ("ann", MaskState.ACCEPTED, None),
    ]
    np.testing.assert_array_equal(history[0].mask, DISC)
    np.testing.assert_array_equal(project.masks(clip, 0).planes[0], OTHER)
    assert project.newest(clip, 1)["mandible"].state == MaskState.NOT_VISIBLE
    assert len(project.changes_since(0)) == n


def test_prompts_are_kept_with_a_mask(folder: Path, clip_id: str) -> None:
    with Project.open(folder) as project:
        edits = [
            Edit(clip_id, 2, "bolus", DISC, MaskState.EDITED, prompts=PROMPTS),
            Edit(clip_id, 2, "pharynx", DISC, MaskState.EDITED),
            Edit(clip_id, 2, "mandible", DISC, MaskState.EDITED, prompts=Prompts()),
        ]
        written = project.write(edits, author="ann", origin="hand")
        assert [r.prompts for r in written] == [PROMPTS, None, None]
    with Project.open(folder) as project:
        assert list(project.newest(clip_id, 2).values()) == written
        assert project.history(clip_id, 2, "bolus")[0].prompts == PROMPTS
        assert project.changes_since(3)[0].prompts == PROMPTS


def test_damaged_prompts_are_an_error(folder: Path, clip_id: str) -> None:
    Project.open(folder).close()
    with contextlib.closing(sqlite3.connect(folder / "vfss.sqlite", isolation_level=None)) as database:
        database.execute(
            "INSERT INTO revisions (clip, frame, structure, state, author, time, origin, method, prompts) "
            "SELECT clip, 3, 'bolus', 4, 'ann', time, 'hand', 'hand', ? FROM revisions WHERE id = 1",
            (json.dumps({"clicks": [[1]]}),),
        )
    with Project.open(folder) as project, pytest.raises(MaskError, match="malformed prompts"):
        project.newest(clip_id, 3)


def test_an_older_project_is_migrated_and_a_copy_stays_as_it_was(folder: Path, clip_id: str) -> None:
    before = sqlite3.connect(folder / "vfss.sqlite")
    dump = "\n".join(before.iterdump())
    before.close()
    with Project.open(folder) as project:
        expect_annotations(project, clip_id)
        project.write([Edit(clip_id, 0, "bolus", DISC, MaskState.EDITED, prompts=PROMPTS)], author="ann", origin="hand")
        project.check()
    assert layout_of(folder / "vfss.sqlite") == (LAYOUT, True)
    (copy,) = copies(folder)
    assert layout_of(copy) == (1, False)
    with contextlib.closing(sqlite3.connect(copy)) as database:
        assert "\n".join(database.iterdump()) == dump
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]
    with Project.open(folder) as project:
        assert project.newest(clip_id, 0)["bolus"].prompts == PROMPTS
    assert copies(folder) == [copy]


def test_the_rules_hold_in_a_migrated_project(folder: Path) -> None:
    Project.open(folder).close()
    with contextlib.closing(sqlite3.connect(folder / "vfss.sqlite")) as other_program:
        for statement in (
            "UPDATE revisions SET prompts = '{}'",
            "DELETE FROM revisions",
            "INSERT INTO revisions (clip, frame, structure, state, author, time, origin, method, student) "
            "SELECT clip, frame, structure, 1, 'st-1', time, 'proposal', 'student', 'st-1' FROM revisions WHERE id = 1",
        ):
            with pytest.raises(sqlite3.IntegrityError):
                other_program.execute(statement)


def test_a_copy_never_replaces_another_file(folder: Path) -> None:
    (folder / "vfss-layout1.sqlite").write_bytes(b"somebody's own")
    Project.open(folder).close()
    assert (folder / "vfss-layout1.sqlite").read_bytes() == b"somebody's own"
    assert layout_of(folder / "vfss-layout1-1.sqlite") == (1, False)


@pytest.mark.parametrize("step", ["copy", "columns"])
def test_a_failed_migration_leaves_the_project_as_it_was(
    folder: Path, clip_id: str, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as failing:
        failing.setattr(*((os, "fsync", full) if step == "copy" else (migration, "added_columns", full)))
        with pytest.raises(ProjectError, match=r"could not be brought up to date \(.*No space left.*nothing is lost"):
            Project.open(folder)
    assert layout_of(folder / "vfss.sqlite") == (1, False)
    assert sorted(path.name for path in folder.iterdir()) == ["students", "vfss.sqlite"]
    with Project.open(folder) as project:
        expect_annotations(project, clip_id)


def test_a_lock_of_another_program_is_waited_for_and_then_an_error(folder: Path) -> None:
    with contextlib.closing(sqlite3.connect(folder / "vfss.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(ProjectError, match=r"kept the project locked for 0\.05 s"):
            Project(folder, patience_s=0.05)
        other.execute("ROLLBACK")
    assert layout_of(folder / "vfss.sqlite") == (1, False)
    assert copies(folder) == []


def open_at_once(folder: Path, start: multiprocessing.synchronize.Barrier, ids: multiprocessing.Queue) -> None:
    start.wait()
    with Project.open(folder) as project:
        clip = project.clips()[0].id
        edit = Edit(clip, 4, "bolus", DISC, MaskState.EDITED, prompts=PROMPTS)
        ids.put(project.write([edit], author=str(os.getpid()), origin="hand")[0].id)


def test_of_several_processes_that_open_it_at_once_one_migrates_it(folder: Path, clip_id: str) -> None:
    context = multiprocessing.get_context("spawn")
    start, ids = context.Barrier(3), context.Queue()
    workers = [context.Process(target=open_at_once, args=(folder, start, ids)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert sorted(ids.get() for _ in workers) == [4, 5, 6]
    assert len(copies(folder)) == 1
    assert layout_of(copies(folder)[0]) == (1, False)
    with Project.open(folder) as project:
        assert [r.prompts for r in project.history(clip_id, 4, "bolus")] == [PROMPTS] * 3


def test_a_read_only_project_of_the_older_layout_is_read(
    folder: Path, clip_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "may_write", lambda path: False)
    with Project.open(folder) as project:
        assert project.read_only
        expect_annotations(project, clip_id)
        with pytest.raises(ProjectError, match="can only be read"):
            project.write([Edit(clip_id, 0, "bolus", DISC, MaskState.EDITED)], author="ann", origin="hand")
        project.back_up(folder.parent / "elsewhere.sqlite")
    assert layout_of(folder / "vfss.sqlite") == (1, False)
    assert layout_of(folder.parent / "elsewhere.sqlite") == (1, False)
    assert copies(folder) == []


def test_a_newer_layout_is_refused_and_left(folder: Path) -> None:
    Project.open(folder).close()
    with contextlib.closing(sqlite3.connect(folder / "vfss.sqlite", isolation_level=None)) as database:
        database.execute(f"UPDATE layout SET version = {LAYOUT + 1}")
    with pytest.raises(ProjectError, match=rf"newer version of napari-vfss \(layout {LAYOUT + 1}"):
        Project.open(folder)
    assert layout_of(folder / "vfss.sqlite") == (LAYOUT + 1, True)


def test_the_copy_opens_again_as_a_project(folder: Path, clip_id: str) -> None:
    Project.open(folder).close()
    again = folder.with_name("again")
    again.mkdir()
    shutil.copy(copies(folder)[0], again / "vfss.sqlite")
    with Project.open(again) as project:
        expect_annotations(project, clip_id)


def test_a_new_project_has_the_newest_layout_and_the_same_columns(folder: Path, tmp_path: Path) -> None:
    Project.open(folder).close()
    Project.create(tmp_path / "new", THREE).close()
    tables = []
    for path in (folder, tmp_path / "new"):
        with contextlib.closing(sqlite3.connect(path / "vfss.sqlite")) as database:
            rows = database.execute("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'").fetchall()
            columns = [
                (name, row[1], row[2], row[3])
                for (name,) in rows
                for row in database.execute(f"PRAGMA table_info({name})")
            ]
            tables.append((sorted(rows), sorted(columns)))
    assert tables[0] == tables[1]
    assert layout_of(tmp_path / "new" / "vfss.sqlite") == (LAYOUT, True)


IMPORT = (
    "INSERT INTO revisions (clip, frame, structure, state, author, time, origin, mask{column}) "
    "SELECT clip, :frame, structure, {state}, 'eve', time, 'import', mask{value} FROM revisions WHERE id = 1"
)


def rules_of(path: Path) -> dict[str, str]:
    with contextlib.closing(sqlite3.connect(path)) as database:
        return dict(database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall())


@pytest.mark.parametrize("older", [1, 2, 3, 4])
def test_an_older_project_gets_the_rules_on_imported_masks(folder: Path, tmp_path: Path, older: int) -> None:
    if older > 1:
        Project.open(folder).close()
        as_layout(folder, older)
    with contextlib.closing(sqlite3.connect(folder / "vfss.sqlite", isolation_level=None)) as other:
        if older == 2:
            other.execute("BEGIN")
            over_a_person = IMPORT.format(state=1, column="", value="")  # the rule of layout 2 allowed it
            other.execute(over_a_person, {"frame": 0})
            other.execute("ROLLBACK")
    Project.open(folder).close()
    assert layout_of(folder / "vfss.sqlite") == (LAYOUT, True)
    assert (folder / f"vfss-layout{older}.sqlite").is_file()
    Project.create(tmp_path / "new", THREE).close()
    assert rules_of(folder / "vfss.sqlite") == rules_of(tmp_path / "new" / "vfss.sqlite")
    with contextlib.closing(sqlite3.connect(folder / "vfss.sqlite")) as other:
        for frame, state, message in ((0, 1, "an annotation"), (3, 3, "until a person accepts it"), (3, 4, "until")):
            with pytest.raises(sqlite3.IntegrityError, match=message):
                other.execute(IMPORT.format(state=state, column=", method", value=", 'import'"), {"frame": frame})


# Revisions of layout 3: structure, state, author, origin, student; and the provenance and author after migration.
OLD = (
    ("bolus", 2, "ann", "hand", "st-1", Provenance("hand", student="st-1"), "ann"),
    ("bolus", 3, "propagation from frame 3", "hand", None, Provenance("hand"), "propagation from frame 3"),
    ("pharynx", 1, "st-1", "proposal", "st-1", Provenance("student", student="st-1"), "st-1"),
    ("pharynx", 1, "propagation from frame 3", "proposal", None, Provenance.propagated(2, None), "propagation"),
    ("pharynx", 1, "propagation from frame 3", "proposal", "st-1", Provenance.propagated(2, "st-1"), "propagation"),
    (
        "pharynx",
        1,
        "student that learnt this clip from 6 frames",
        "proposal",
        "st-1",
        Provenance("adapted", adapted_count=6, student="st-1"),
        "clip-adapted student",
    ),
    ("pharynx", 1, "propagation from frame three", "proposal", "st-1", Provenance(None, student="st-1"), "="),
    ("pharynx", 1, "propagation from frame 0", "proposal", None, Provenance(None), "="),
    ("pharynx", 1, "another program", "proposal", None, Provenance(None), "="),
    ("pharynx", 1, "eve", "import", None, Provenance("import"), "eve"),
    ("pharynx", 1, "ann", "undo", "st-1", Provenance(None, student="st-1"), "ann"),
    ("pharynx", 1, "ann", "redo", None, Provenance(None), "ann"),
    ("mandible", 3, "phantom", "truth", None, Provenance("truth"), "phantom"),
)


@pytest.fixture
def layout_3(folder: Path, clip_id: str) -> Path:
    """A closed project of layout 3 with every kind of author; each revision has its own mask."""
    Project.open(folder).close()
    as_layout(folder, 3)
    with contextlib.closing(sqlite3.connect(folder / "vfss.sqlite", isolation_level=None)) as database:
        for number, (structure, state, author, origin, student, _, _) in enumerate(OLD):
            database.execute(
                "INSERT INTO revisions (clip, frame, structure, state, author, time, origin, student, confidence, mask)"
                " VALUES (?, 2, ?, ?, ?, '2026-01-01 10:00:00.000000', ?, ?, ?, ?)",
                (
                    clip_id,
                    structure,
                    state,
                    author,
                    origin,
                    student,
                    number / 100,
                    as_packed_before(np.roll(DISC, number, 1)),
                ),
            )
    return folder


def expect_old_revisions(project: Project, *, migrated: bool) -> None:
    revisions = project.changes_since(3)
    assert len(revisions) == len(OLD)
    for number, (revision, old) in enumerate(zip(revisions, OLD, strict=True)):
        structure, state, author, origin, student, provenance, new_author = old
        assert (revision.structure, revision.state, revision.origin) == (structure, state, origin)
        assert (revision.student, revision.confidence) == (student, number / 100)
        np.testing.assert_array_equal(revision.mask, np.roll(DISC, number, 1))
        assert revision.provenance == provenance
        assert revision.author == (new_author if migrated and new_author != "=" else author)


def test_provenance_moves_from_authors_names_into_columns(layout_3: Path, clip_id: str) -> None:
    with Project.open(layout_3) as project:
        expect_annotations(project, clip_id, 3 + len(OLD))
        expect_old_revisions(project, migrated=True)
        assert project.newest(clip_id, 2)["pharynx"].author == "ann"
    with contextlib.closing(sqlite3.connect(layout_3 / "vfss.sqlite")) as database:
        methods = [row[0] for row in database.execute("SELECT method FROM revisions WHERE id > 3 ORDER BY id")]
    assert methods == [old[5].method for old in OLD]
    with contextlib.closing(sqlite3.connect(layout_3 / "vfss-layout3.sqlite")) as database:
        authors = [row[0] for row in database.execute("SELECT author FROM revisions WHERE id > 3 ORDER BY id")]
    assert authors == [old[2] for old in OLD]


def test_a_read_only_project_of_layout_3_has_provenance_too(layout_3: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "may_write", lambda path: False)
    with Project.open(layout_3) as project:
        assert project.read_only
        expect_old_revisions(project, migrated=False)
    assert layout_of(layout_3 / "vfss.sqlite") == (3, True)


def test_undoing_to_a_mask_of_unknown_provenance_is_possible(layout_3: Path, clip_id: str) -> None:
    with Project.open(layout_3) as project:
        old = next(r for r in project.history(clip_id, 2, "pharynx") if r.author == "propagation from frame three")
        edit = Edit(clip_id, 2, "pharynx", old.mask, old.state, provenance=old.provenance)
        (written,) = project.write([edit], author="ann", origin="undo")
        assert written.provenance == Provenance(None, student="st-1")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("'proposal', NULL, NULL, NULL, NULL", "by which method"),
        ("'proposal', 'hand', NULL, NULL, NULL", "by which method"),
        ("'proposal', 'propagation from frame 3', NULL, NULL, NULL", "by which method"),
        ("'proposal', 'student', NULL, NULL, NULL", "names the student"),
        ("'proposal', 'propagation', NULL, NULL, NULL", "names a frame"),
        ("'proposal', 'propagation', NULL, 5, NULL", "names a frame"),
        ("'proposal', 'propagation', NULL, -1, NULL", "names a frame"),
        ("'proposal', 'student', 'st-1', 2, NULL", "no other"),
        ("'proposal', 'adapted', 'st-1', NULL, NULL", "what it was adapted to"),
        ("'proposal', 'student', 'st-1', NULL, 3", "no other"),
        ("'undo', 'guess', NULL, NULL, NULL", "by which method"),
    ],
)
def test_the_database_refuses_contradicting_provenance(folder: Path, values: str, message: str) -> None:
    Project.open(folder).close()
    insert = (
        "INSERT INTO revisions (clip, frame, structure, state, author, time, origin, method, student, source_frame, "
        f"adapted_count) SELECT clip, 3, 'bolus', 1, 'eve', time, {values} FROM revisions WHERE id = 1"
    )
    other_program = sqlite3.connect(folder / "vfss.sqlite")
    with contextlib.closing(other_program), pytest.raises(sqlite3.IntegrityError, match=message):
        other_program.execute(insert)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"method": "guess"}, "unknown method 'guess'"),
        ({"method": "propagation"}, "source frame None"),
        ({"method": "propagation", "source_frame": "three"}, "source frame 'three'"),
        ({"method": "propagation", "source_frame": -1}, "source frame -1"),
        ({"method": "hand", "source_frame": 3}, "no other mask names one"),
        ({"method": "adapted", "student": "st"}, "names the frames it was adapted to"),
        ({"method": "adapted", "adapted_frames": (3, 1), "adapted_count": 2}, "ascending"),
        ({"method": "adapted", "adapted_frames": (1, 3), "adapted_count": 3}, "adapted to 3 frames"),
        ({"method": "student", "student": ""}, "student id ''"),
    ],
)
def test_contradicting_provenance_cannot_be_made(values: dict, message: str) -> None:
    with pytest.raises(ProjectError, match=message):
        Provenance(**values)


@pytest.mark.parametrize(
    ("origin", "made", "message"),
    [
        ("hand", Provenance.propagated(1, None), "origin 'hand' cannot hold a mask by propagation"),
        ("proposal", Provenance("hand"), "one of: student, propagation, adapted"),
        ("proposal", None, "does not name the student"),
        ("proposal", Provenance.propagated(5, None), "from frame 6, the clip has 5 frames"),
        ("proposal", Provenance.adapted((1, 7), "st-1"), "from frame 8, the clip has 5 frames"),
    ],
)
def test_provenance_that_does_not_fit_is_refused(
    folder: Path, clip_id: str, origin: str, made: Provenance | None, message: str
) -> None:
    with Project.open(folder) as project, pytest.raises(ProjectError, match=message):
        edit = Edit(clip_id, 3, "bolus", DISC, MaskState.PROPOSED, provenance=made)
        project.write([edit], author="eve", origin=origin)


def test_provenance_is_read_as_it_was_written(folder: Path, clip_id: str) -> None:
    made = (Provenance.propagated(0, "st-1"), Provenance.adapted((0, 1, 4), "st-1"), Provenance("student", student="s"))
    with Project.open(folder) as project:
        edits = [
            Edit(clip_id, 3, key, DISC, MaskState.PROPOSED, provenance=one)
            for key, one in zip(THREE.keys, made, strict=True)
        ]
        written = project.write(edits, author="propagation", origin="proposal")
        assert tuple(revision.provenance for revision in written) == made
    with Project.open(folder) as project:
        assert list(project.newest(clip_id, 3).values()) == written


def stored(path: Path) -> list[bytes | None]:
    with contextlib.closing(sqlite3.connect(path)) as database:
        return [row[0] for row in database.execute("SELECT mask FROM revisions ORDER BY id")]


def test_masks_get_a_checksum_over_their_header(layout_3: Path) -> None:
    before = stored(layout_3 / "vfss.sqlite")
    Project.open(layout_3).close()
    after = stored(layout_3 / "vfss.sqlite")
    assert stored(layout_3 / "vfss-layout3.sqlite") == before
    assert before[0] == as_packed_before(DISC)
    assert after[0] == pack_mask(DISC)
    assert after[3:] == [pack_mask(np.roll(DISC, number, 1)) for number in range(len(OLD))]
    assert after[2] is None
    for old, new in zip(before, after, strict=True):
        if old is not None:
            np.testing.assert_array_equal(unpack_mask(new), unpack_mask(old))


def test_a_mask_that_was_damaged_before_is_left_and_named_when_it_is_read(layout_3: Path, clip_id: str) -> None:
    bad = {4: as_packed_before(DISC)[:-1], 5: as_packed_before(DISC.T), 6: b"", 7: "text"}
    with contextlib.closing(sqlite3.connect(layout_3 / "vfss.sqlite", isolation_level=None)) as database:
        (rule,) = database.execute("SELECT sql FROM sqlite_master WHERE name = 'revisions_stay'").fetchone()
        database.execute("DROP TRIGGER revisions_stay")
        for number, packed in bad.items():
            database.execute("UPDATE revisions SET mask = ? WHERE id = ?", (packed, number))
        database.execute(rule)
    with Project.open(layout_3) as project:
        log = {revision.id: revision for revision in project.changes_since(0)}
        for number in bad:
            with pytest.raises(VfssError, match=r"damaged mask|damaged \(revisions.mask is 'text'"):
                _ = log[number].mask
        np.testing.assert_array_equal(log[8].mask, np.roll(DISC, 4, 1))
    after = stored(layout_3 / "vfss.sqlite")
    assert {number: after[number - 1] for number in bad} == bad
