# SPDX-License-Identifier: Apache-2.0
"""Renaming masks and removing specks: what moves where, with which state, and what of others is left."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from small_project import annotate, disc, grey_frames, write_video
from vfss.errors import ProjectError
from vfss.masks import MaskState
from vfss.masks.morphology import keep_largest, remove_specks
from vfss.project import Edit, Project
from vfss.project.renaming import Specks, edit_frames, exchange, level_shift, renaming_edits, speck_edits
from vfss.schema import Schema

CHAINED = Schema.from_dict(
    {
        "id": "chained",
        "version": "1",
        "title": "A chain of four beside a soft structure",
        "structures": [
            {"key": "soft", "name": "Soft", "colour": "#000001"},
            *(
                {"key": key, "name": key.upper(), "colour": f"#00001{i}", "motion": "rigid", "chain": "column"}
                for i, key in enumerate(("la", "lb", "lc", "ld"))
            ),
        ],
    }
)
SIZE = 40


def level(i):
    return disc(SIZE, SIZE, y=5 + 10 * i, x=20, radius=3)


@pytest.fixture
def project(tmp_path):
    with Project.create(tmp_path / "project", CHAINED) as project:
        project.add_clip(write_video(tmp_path / "clip.mkv", grey_frames(4, SIZE, SIZE)))
        yield project


def do(project, edits_of, frames=range(4), until=None, author="Ada"):
    until = project.last_revision() if until is None else until
    return list(edit_frames(project, project.clips()[0].id, frames, edits_of, author=author, until=until))


def shift(structure, step):
    return renaming_edits(level_shift(CHAINED, structure, step))


def test_a_chain_moves_down_and_what_falls_off_its_end_stays_in_the_history(project):
    clip = project.clips()[0].id
    annotate(project, clip, 0, {key: level(i) for i, key in enumerate(("la", "lb", "lc", "ld"))})
    (frame, *_) = do(project, shift("la", 1))
    newest = project.newest(clip, 0)
    assert [newest[key].state for key in ("la", "lb", "lc", "ld")] == [MaskState.UNSEEN] + [MaskState.ACCEPTED] * 3
    for i, key in enumerate(("lb", "lc", "ld")):
        np.testing.assert_array_equal(newest[key].mask, level(i))
    assert "ld" in frame.replaced
    np.testing.assert_array_equal(project.history(clip, 0, "ld")[0].mask, level(3))
    assert (newest["lb"].author, newest["lb"].origin, newest["lb"].provenance.method) == ("Ada", "hand", "hand")


@given(st.sampled_from(CHAINED.keys), st.sampled_from((1, -1)))
def test_every_member_on_the_way_gets_the_mask_of_the_one_before_it(structure, step):
    chain = CHAINED.chains[0]
    renaming = level_shift(CHAINED, structure, step)
    assert renaming.lost == (chain[-1] if step > 0 else chain[0])
    first = next(key for key, source in renaming.sources.items() if source is None)
    assert first == (structure if structure in chain else chain[0] if step > 0 else chain[-1])
    for key, source in renaming.sources.items():
        assert source is None or chain.index(key) - chain.index(source) == step
    assert set(renaming.sources) == {k for k in chain if (chain.index(k) - chain.index(first)) * step >= 0}


def test_states_move_with_their_masks_and_a_proposal_becomes_edited_so_that_it_stays(project):
    clip = project.clips()[0].id
    annotate(project, clip, 0, {"la": level(0), "lb": MaskState.NOT_VISIBLE})
    project.write(
        [Edit(clip, 0, "lc", level(2), MaskState.PROPOSED, 0.7)], author="s1", origin="proposal", student="s1"
    )
    do(project, shift("la", 1), [0])
    newest = project.newest(clip, 0)
    assert [newest[key].state for key in ("lb", "lc", "ld")] == [
        MaskState.ACCEPTED,
        MaskState.NOT_VISIBLE,
        MaskState.EDITED,
    ]
    assert newest["ld"].student == "s1"
    with pytest.raises(ProjectError, match="annotated"):
        project.write([Edit(clip, 0, "ld", level(1), MaskState.PROPOSED)], author="s1", origin="proposal", student="s1")


def test_down_and_up_again_restores_all_but_what_fell_off(project):
    clip = project.clips()[0].id
    annotate(project, clip, 1, {key: level(i) for i, key in enumerate(("la", "lb", "lc"))})
    do(project, shift("la", 1))
    do(project, shift("ld", -1))
    newest = project.newest(clip, 1)
    for i, key in enumerate(("la", "lb", "lc")):
        np.testing.assert_array_equal(newest[key].mask, level(i))
    assert newest["ld"].state == MaskState.UNSEEN


def test_two_names_are_exchanged_twice_without_a_trace(project):
    clip = project.clips()[0].id
    annotate(project, clip, 2, {"soft": level(1), "lb": MaskState.EMPTY})
    swap = renaming_edits(exchange(CHAINED, "soft", "lb"))
    do(project, swap)
    newest = project.newest(clip, 2)
    assert newest["soft"].state == MaskState.EMPTY
    np.testing.assert_array_equal(newest["lb"].mask, level(1))
    do(project, swap)
    np.testing.assert_array_equal(project.newest(clip, 2)["soft"].mask, level(1))
    with pytest.raises(ProjectError, match="itself"):
        exchange(CHAINED, "lb", "lb")


def test_a_frame_that_someone_changed_meanwhile_is_left_whole(project):
    clip = project.clips()[0].id
    for frame in (0, 1):
        annotate(project, clip, frame, {"la": level(0), "lb": level(1)})
    seen = project.last_revision()
    annotate(project, clip, 0, {"lb": level(2)}, author="Grace")
    first, second = do(project, shift("la", 1), [0, 1], until=seen)
    assert first.left
    assert not first.written
    np.testing.assert_array_equal(project.newest(clip, 0)["lb"].mask, level(2))
    assert project.newest(clip, 0)["la"].state == MaskState.ACCEPTED
    assert second.written


def test_frames_without_a_mask_are_not_written(project):
    annotate(project, project.clips()[0].id, 0, {"soft": level(0)})
    assert not any(frame.written or frame.left for frame in do(project, shift("la", 1)))


def test_specks_go_and_changed_masks_are_edited(project):
    clip = project.clips()[0].id
    speck = level(1).copy()
    speck[38, 38] = True
    annotate(project, clip, 0, {"la": speck, "lb": level(2)})
    (frame,) = do(project, speck_edits(Specks(("la", "lb"), pixels=4)), [0])
    assert [revision.structure for revision in frame.written] == ["la"]
    np.testing.assert_array_equal(frame.written[0].mask, level(1))
    assert frame.written[0].state == MaskState.EDITED


@given(st.integers(0, 2**32 - 1), st.floats(0, 0.9), st.integers(0, 200), st.floats(0, 1))
def test_what_stays_is_the_largest_part_and_all_that_is_large_enough(seed, density, pixels, share):
    mask = np.random.default_rng(seed).random((12, 14)) < density
    clean = remove_specks(mask, pixels, share)
    assert not (clean & ~mask).any()
    assert clean.any() == mask.any()
    assert (clean.sum() >= keep_largest(mask).sum()) or not mask.any()
    np.testing.assert_array_equal(remove_specks(clean, pixels), clean)
    if not share:
        np.testing.assert_array_equal(remove_specks(mask, 0), mask)


def test_a_schema_with_several_chains_asks_for_a_member():
    rows = [
        {**row, "chain": row.get("chain") and f"column{i % 2}"} for i, row in enumerate(CHAINED.to_dict()["structures"])
    ]
    two = Schema.from_dict({**CHAINED.to_dict(), "structures": rows})
    with pytest.raises(ProjectError, match="2 of them"):
        level_shift(two, "soft", 1)
    assert set(level_shift(two, "la", 1).sources) == {"la", "lc"}
