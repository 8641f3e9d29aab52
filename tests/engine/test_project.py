# SPDX-License-Identifier: Apache-2.0
"""A project: current masks, their history, and changes that are refused."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from small_project import THREE, disc, grey_frames, write_video
from vfss.errors import ConflictError, MaskError, ProjectError, SchemaError
from vfss.masks import Masks, MaskState
from vfss.project import ClipRecord, Edit, Project
from vfss.student.student import Proposal

HEIGHT, WIDTH, FRAMES = 24, 32, 5
DISC = disc(HEIGHT, WIDTH, y=10, x=12, radius=5)
OTHER = disc(HEIGHT, WIDTH, y=14, x=20, radius=7)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    write_video(tmp_path / "swallow.mkv", grey_frames(FRAMES, HEIGHT, WIDTH))
    with Project.create(tmp_path / "project", THREE) as made:
        made.add_clip(tmp_path / "swallow.mkv")
        yield made


@pytest.fixture
def clip(project: Project) -> ClipRecord:
    return project.clips()[0]


def proposal(frame: int, *planes: np.ndarray, student: str = "st-1", confidence: float = 0.5) -> Proposal:
    masks = Masks(np.stack(planes), np.full(len(planes), MaskState.PROPOSED, np.uint8))
    return Proposal(
        THREE.keys[: len(planes)], masks, np.full(len(planes), confidence, np.float32), student, None, frame
    )


def test_a_written_mask_is_read_back_exactly_with_author_time_and_origin(project: Project, clip: ClipRecord) -> None:
    before = datetime.now(UTC)
    (written,) = project.write(
        [Edit(clip.id, 2, "bolus", DISC, MaskState.EDITED)], author="ann", origin="hand", student="st-1"
    )
    (read,) = project.newest(clip.id, 2).values()
    assert read == written
    assert (read.clip, read.frame, read.structure, read.state) == (clip.id, 2, "bolus", MaskState.EDITED)
    assert (read.author, read.origin, read.student, read.confidence) == ("ann", "hand", "st-1", None)
    assert before <= read.time <= datetime.now(UTC)
    for revision in (read, written):
        np.testing.assert_array_equal(revision.mask, DISC)


def test_overlapping_structures_keep_their_planes_and_the_rest_is_unseen(project: Project, clip: ClipRecord) -> None:
    edits = [
        Edit(clip.id, 0, "bolus", DISC, MaskState.ACCEPTED),
        Edit(clip.id, 0, "mandible", None, MaskState.NOT_VISIBLE),
        Edit(clip.id, 1, "pharynx", OTHER | DISC, MaskState.EDITED),
    ]
    project.write(edits, author="ann", origin="hand")
    first, second = project.masks(clip.id, 0), project.masks(clip.id, 1)
    np.testing.assert_array_equal(first.planes[0], DISC)
    np.testing.assert_array_equal(second.planes[1], OTHER | DISC)
    assert first.planes[1:].sum() == 0
    assert first.state.tolist() == [MaskState.ACCEPTED, MaskState.UNSEEN, MaskState.NOT_VISIBLE]
    expected = np.zeros((FRAMES, 3), np.uint8)
    expected[0], expected[1, 1] = first.state, MaskState.EDITED
    np.testing.assert_array_equal(project.states(clip.id), expected)
    assert project.annotated_frames(clip.id) == [0]


def test_undo_writes_an_older_revision_again_and_the_history_stays(project: Project, clip: ClipRecord) -> None:
    for mask in (DISC, OTHER):
        project.write([Edit(clip.id, 0, "bolus", mask, MaskState.EDITED)], author="ann", origin="hand")
    older = project.history(clip.id, 0, "bolus")[0]
    project.write([Edit(clip.id, 0, "bolus", older.mask, older.state)], author="ann", origin="undo")
    history = project.history(clip.id, 0, "bolus")
    assert [revision.origin for revision in history] == ["hand", "hand", "undo"]
    for revision, mask in zip(history, (DISC, OTHER, DISC), strict=True):
        np.testing.assert_array_equal(revision.mask, mask)
    np.testing.assert_array_equal(project.masks(clip.id, 0).planes[0], DISC)


@pytest.mark.parametrize("state", [state for state in MaskState if state.is_annotated])
def test_a_proposal_never_replaces_an_annotation(project: Project, clip: ClipRecord, state: MaskState) -> None:
    with_pixels = state in (MaskState.EDITED, MaskState.ACCEPTED)
    project.write([Edit(clip.id, 1, "pharynx", DISC if with_pixels else None, state)], author="ann", origin="hand")
    assert project.write_proposals(clip.id, [proposal(1, OTHER, OTHER, OTHER)]) == 2
    masks = project.masks(clip.id, 1)
    assert masks.state.tolist() == [MaskState.PROPOSED, state, MaskState.PROPOSED]
    np.testing.assert_array_equal(masks.planes[1], DISC & with_pixels)
    with pytest.raises(ProjectError, match="pharynx is annotated, a proposal cannot replace it"):
        project.write(
            [Edit(clip.id, 1, "pharynx", OTHER, MaskState.PROPOSED)], author="st-1", origin="proposal", student="st-1"
        )
    assert len(project.history(clip.id, 1, "pharynx")) == 1


def test_proposals_are_written_again_after_an_annotation_is_undone(project: Project, clip: ClipRecord) -> None:
    project.write([Edit(clip.id, 1, "bolus", DISC, MaskState.EDITED)], author="ann", origin="hand")
    project.write([Edit(clip.id, 1, "bolus", None, MaskState.UNSEEN)], author="ann", origin="undo")
    assert project.write_proposals(clip.id, [proposal(1, OTHER, OTHER, OTHER)]) == 3
    np.testing.assert_array_equal(project.masks(clip.id, 1).planes[0], OTHER)


def test_confidence_is_that_of_the_newest_proposal_also_under_an_annotation(project: Project, clip: ClipRecord) -> None:
    assert np.isnan(project.confidence(clip.id, 1)).all()
    for confidence in (0.25, 0.75):
        project.write_proposals(clip.id, [proposal(1, DISC, DISC, DISC, confidence=confidence)])
    project.write([Edit(clip.id, 1, "bolus", DISC, MaskState.ACCEPTED)], author="ann", origin="hand")
    project.write_proposals(clip.id, [proposal(1, DISC, DISC, DISC, confidence=np.nan)])
    confidence = project.confidence(clip.id, 1)
    assert confidence.dtype == np.float32
    np.testing.assert_array_equal(confidence, np.array([0.75, np.nan, np.nan], np.float32))


def test_a_proposal_leaves_out_structures_its_student_does_not_know(project: Project, clip: ClipRecord) -> None:
    given = proposal(3, DISC, DISC, DISC)
    given.masks.state[2] = MaskState.UNSEEN
    assert project.write_proposals(clip.id, [given]) == 2
    assert list(project.newest(clip.id, 3)) == ["bolus", "pharynx"]


def test_a_change_based_on_an_old_view_is_a_conflict_and_nothing_of_it_is_written(
    project: Project, clip: ClipRecord
) -> None:
    (seen,) = project.write([Edit(clip.id, 2, "bolus", DISC, MaskState.EDITED)], author="ann", origin="hand")
    (newer,) = project.write(
        [Edit(clip.id, 2, "bolus", OTHER, MaskState.EDITED)], author="ann", origin="hand", base={(2, "bolus"): seen.id}
    )
    late = [Edit(clip.id, 2, key, DISC, MaskState.EDITED) for key in ("pharynx", "bolus")]
    with pytest.raises(ConflictError) as caught:
        project.write(late, author="bob", origin="hand", base={(2, "pharynx"): None, (2, "bolus"): seen.id})
    message = str(caught.value)
    assert all(part in message for part in ("ann", "bolus", "frame 2", "make the change again"))
    assert f"{newer.time.astimezone():%Y-%m-%d %H:%M:%S}" in message
    assert caught.value.frame == 2
    assert list(project.newest(clip.id, 2)) == ["bolus"]
    project.write(late, author="bob", origin="hand", base={(2, "bolus"): newer.id})
    assert project.newest(clip.id, 2)["bolus"].author == "bob"


def test_a_base_without_a_mask_conflicts_too(project: Project, clip: ClipRecord) -> None:
    project.write([Edit(clip.id, 2, "bolus", DISC, MaskState.EDITED)], author="ann", origin="hand")
    for base in ({(2, "bolus"): None}, {}):
        with pytest.raises(ConflictError, match="ann changed bolus"):
            project.write([Edit(clip.id, 2, "bolus", OTHER, MaskState.EDITED)], author="bob", origin="hand", base=base)


def test_a_proposal_written_meanwhile_is_no_conflict_for_an_annotation(project: Project, clip: ClipRecord) -> None:
    project.write_proposals(clip.id, [proposal(2, OTHER, OTHER, OTHER)])
    stroke = Edit(clip.id, 2, "bolus", DISC, MaskState.EDITED)
    project.write([stroke], author="ann", origin="hand", base={(2, "bolus"): None})
    np.testing.assert_array_equal(project.masks(clip.id, 2).planes[0], DISC)


def test_an_imported_mask_is_a_proposal_and_never_follows_an_annotation(project: Project, clip: ClipRecord) -> None:
    def imported(frame: int, state: MaskState = MaskState.PROPOSED) -> list[Edit]:
        return [Edit(clip.id, frame, "bolus", None if state == MaskState.EMPTY else OTHER, state)]

    for state in (MaskState.EDITED, MaskState.ACCEPTED, MaskState.EMPTY):
        with pytest.raises(ProjectError, match="an imported mask of bolus can only be proposed"):
            project.write(imported(0, state), author="ann", origin="import")
    project.write([Edit(clip.id, 1, "bolus", DISC, MaskState.EDITED)], author="ann", origin="hand")
    with pytest.raises(ProjectError, match="bolus is annotated, an imported mask cannot"):
        project.write(imported(0) + imported(1), author="bob", origin="import")
    assert project.newest(clip.id, 0) == {}
    (written,) = project.write(imported(0) + imported(1), author="bob", origin="import", leave=True)
    assert (written.frame, written.state, written.author) == (0, MaskState.PROPOSED, "bob")
    np.testing.assert_array_equal(project.masks(clip.id, 1).planes[0], DISC)
    project.write(  # a person who read before the import is not stopped by it
        [Edit(clip.id, 0, "bolus", DISC, MaskState.EDITED)], author="ann", origin="hand", base={(0, "bolus"): None}
    )


def test_an_imported_mask_has_no_confidence_of_an_older_proposal(project: Project, clip: ClipRecord) -> None:
    project.write_proposals(clip.id, [proposal(1, DISC, DISC, DISC)])
    edit = Edit(clip.id, 1, "bolus", OTHER, MaskState.PROPOSED)
    project.write([edit], author="ann", origin="import")
    assert np.isnan(project.confidence(clip.id, 1)).tolist() == [True, False, False]
    assert np.isnan(project.overview.confidences(clip.id)[0][1]).tolist() == [True, False, False]
    assert project.past.proposal(clip.id, 1, "bolus").origin == "import"


def test_changes_since_lists_new_revisions_in_order(project: Project, clip: ClipRecord, tmp_path: Path) -> None:
    write_video(tmp_path / "second.mkv", grey_frames(2, 16, 16, seed=1))
    second = project.add_clip(tmp_path / "second.mkv")
    assert project.last_revision() == 0
    first = project.write([Edit(clip.id, 0, "bolus", DISC, MaskState.EDITED)], author="ann", origin="hand")
    others = [
        Edit(second.id, 1, "bolus", None, MaskState.EMPTY),
        Edit(clip.id, 4, "mandible", OTHER, MaskState.ACCEPTED),
    ]
    later = project.write(others, author="bob", origin="hand")
    assert project.changes_since(0) == first + later
    assert project.changes_since(first[-1].id) == later
    assert project.changes_since(0, second.id) == later[:1]
    assert project.changes_since(project.last_revision()) == []
    assert later[0].mask is None
    np.testing.assert_array_equal(project.changes_since(later[0].id)[0].mask, OTHER)


@pytest.mark.parametrize(
    ("edit", "error", "message"),
    [
        ({"frame": FRAMES}, ProjectError, "no such frame, it has 5"),
        ({"frame": -1}, ProjectError, "no such frame"),
        ({"structure": "hyoid"}, SchemaError, "no structure 'hyoid'"),
        ({"clip": "b2-unknown"}, ProjectError, "has no clip b2-unknown"),
        ({"mask": DISC[:-1]}, MaskError, r"\(23, 32\)"),
        ({"mask": None}, MaskError, "edited but has no mask"),
        ({"state": MaskState.EMPTY}, MaskError, "empty but its mask has pixels"),
    ],
)
def test_an_edit_that_does_not_fit_is_refused_with_its_whole_batch(
    project: Project, clip: ClipRecord, edit: dict, error: type[Exception], message: str
) -> None:
    good = {"clip": clip.id, "frame": 0, "structure": "bolus", "mask": DISC, "state": MaskState.EDITED}
    with pytest.raises(error, match=message):
        project.write([Edit(**good), Edit(**(good | edit))], author="ann", origin="hand")
    assert project.last_revision() == 0


def test_authors_and_origins_are_required(project: Project, clip: ClipRecord) -> None:
    edit = Edit(clip.id, 0, "bolus", DISC, MaskState.EDITED)
    with pytest.raises(ProjectError, match="needs an author"):
        project.write([edit], author=" ", origin="hand")
    with pytest.raises(ProjectError, match="unknown origin 'guess'"):
        project.write([edit], author="ann", origin="guess")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (replace(proposal(0, DISC), keys=("hyoid",)), "structures are hyoid, the project's bolus, pharynx"),
        (proposal(FRAMES, DISC, DISC, DISC), "no such frame"),
        (
            Proposal(THREE.keys, Masks.unseen(3, HEIGHT, WIDTH), np.zeros(3, np.float32), "st-1"),
            "does not name its frame",
        ),
        (
            Proposal(THREE.keys, Masks.unseen(3, HEIGHT, WIDTH), np.zeros(3, np.float32), "st-1", "b2-x", 0),
            "for clip b2-x",
        ),
    ],
)
def test_a_proposal_that_does_not_fit_is_refused(
    project: Project, clip: ClipRecord, given: Proposal, message: str
) -> None:
    with pytest.raises((ProjectError, SchemaError), match=message):
        project.write_proposals(clip.id, [proposal(1, DISC, DISC, DISC), given])
    assert project.last_revision() == 0


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE revisions SET author = 'someone else'",
        "DELETE FROM revisions",
        "INSERT OR REPLACE INTO revisions SELECT * FROM revisions WHERE id = 1",
        "INSERT INTO revisions (clip, frame, structure, state, author, time, origin, method, student) "
        "SELECT clip, frame, structure, 1, 'st-1', time, 'proposal', 'student', 'st-1' FROM revisions WHERE id = 1",
        "INSERT INTO revisions (clip, frame, structure, state, author, time, origin, method, student) "
        "SELECT clip, frame + 1, structure, 3, 'st-1', time, 'proposal', 'student', 'st-1' FROM revisions WHERE id = 1",
    ],
)
def test_the_database_keeps_its_rules_whatever_program_writes(
    project: Project, clip: ClipRecord, statement: str
) -> None:
    project.write([Edit(clip.id, 0, "bolus", DISC, MaskState.ACCEPTED)], author="ann", origin="hand")
    other_program = sqlite3.connect(project.folder / "vfss.sqlite")
    with pytest.raises(sqlite3.IntegrityError):
        other_program.execute(statement)
    other_program.close()
    (revision,) = project.changes_since(0)
    assert (revision.author, revision.state) == ("ann", MaskState.ACCEPTED)


def test_threads_share_a_project(project: Project, clip: ClipRecord) -> None:
    def work(number: int) -> None:
        frame = number % FRAMES
        project.write([Edit(clip.id, frame, "bolus", DISC, MaskState.EDITED)], author=f"t{number}", origin="hand")
        project.write_proposals(clip.id, [proposal(frame, OTHER, OTHER, OTHER)])
        assert (project.states(clip.id)[frame] == [2, 1, 1]).all()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(40)))
    changes = project.changes_since(0)
    assert sum(revision.origin == "hand" for revision in changes) == 40
    assert sum(revision.origin == "proposal" for revision in changes) == 80
    assert [revision.id for revision in changes] == list(range(1, 121))
