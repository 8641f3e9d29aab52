# SPDX-License-Identifier: Apache-2.0
"""Any sequence of changes: the store against a model with a list of revisions per structure and frame."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from small_project import THREE, grey_frames, write_video
from vfss.errors import ConflictError
from vfss.masks import Masks, MaskState
from vfss.project import Edit, Project
from vfss.project.revision_reader import WITH_PIXELS
from vfss.student.student import Proposal

HEIGHT, WIDTH, FRAMES = 6, 9, 3
KEYS = THREE.keys
PLACES = st.tuples(st.integers(0, FRAMES - 1), st.sampled_from(KEYS))
MASKS = st.binary(min_size=7, max_size=7).map(
    lambda bits: np.unpackbits(np.frombuffer(bits, np.uint8), count=HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(bool)
)
STATES = st.sampled_from(MaskState)
ExpectedRevision = tuple[MaskState, bytes | None, str, str]


def expected_revision(state: MaskState, mask: np.ndarray | None, author: str, origin: str) -> ExpectedRevision:
    return state, None if mask is None else mask.tobytes(), author, origin


class Work(RuleBasedStateMachine):
    """One project open in two windows."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        write_video(self.folder / "a.mkv", grey_frames(FRAMES, HEIGHT, WIDTH))
        self.windows = [Project.create(self.folder / "project", THREE), Project.open(self.folder / "project")]
        self.clip = self.windows[0].add_clip(self.folder / "a.mkv").id
        self.revisions: dict[tuple[int, str], list[ExpectedRevision]] = {
            (t, key): [] for t in range(FRAMES) for key in KEYS
        }

    def newest_id(self, place: tuple[int, str]) -> int | None:
        revision = self.windows[0].newest(self.clip, place[0]).get(place[1])
        return None if revision is None else revision.id

    @rule(window=st.integers(0, 1), place=PLACES, mask=MASKS, state=STATES, checked=st.booleans())
    def edit(self, window: int, place: tuple[int, str], mask: np.ndarray, state: MaskState, checked: bool) -> None:
        given = mask if state in WITH_PIXELS else None
        base = {place: self.newest_id(place)} if checked else None
        edits = [Edit(self.clip, *place, given, state)]
        self.windows[window].write(edits, author=f"w{window}", origin="hand", base=base)
        self.revisions[place].append(expected_revision(state, given, f"w{window}", "hand"))

    @rule(window=st.integers(0, 1), frame=st.integers(0, FRAMES - 1), masks=st.tuples(MASKS, MASKS, MASKS))
    def propose(self, window: int, frame: int, masks: tuple[np.ndarray, ...]) -> None:
        proposed = Masks(np.stack(masks), np.full(len(KEYS), MaskState.PROPOSED, np.uint8))
        proposal = Proposal(tuple(KEYS), proposed, np.full(len(KEYS), 0.5, np.float32), "st-1", self.clip, frame)
        written = self.windows[window].write_proposals(self.clip, [proposal])
        free = [
            key for key in KEYS if not (self.revisions[frame, key] and self.revisions[frame, key][-1][0].is_annotated)
        ]
        assert written == len(free)
        for key, mask in zip(KEYS, masks, strict=True):
            if key in free:
                self.revisions[frame, key].append(expected_revision(MaskState.PROPOSED, mask, "st-1", "proposal"))

    @rule(place=PLACES, back=st.integers(1, 4))
    def undo(self, place: tuple[int, str], back: int) -> None:
        history = self.windows[0].history(self.clip, *place)
        if len(history) <= back:
            return
        older = history[-1 - back]
        edits = [Edit(self.clip, *place, older.mask, older.state)]
        self.windows[0].write(edits, author="w0", origin="undo", base={place: history[-1].id})
        self.revisions[place].append(expected_revision(older.state, older.mask, "w0", "undo"))

    @precondition(lambda self: any(expected and expected[-1][3] != "proposal" for expected in self.revisions.values()))
    @rule(data=st.data(), mask=MASKS)
    def edit_without_having_read(self, data: st.DataObject, mask: np.ndarray) -> None:
        changed_by_a_person = [
            place for place, expected in self.revisions.items() if expected and expected[-1][3] != "proposal"
        ]
        place = data.draw(st.sampled_from(changed_by_a_person))
        edits = [Edit(self.clip, *place, mask, MaskState.EDITED)]
        with pytest.raises(ConflictError):
            self.windows[1].write(edits, author="w1", origin="hand", base={place: None})

    @rule(window=st.integers(0, 1))
    def close_and_reopen(self, window: int) -> None:
        self.windows[window].close()
        self.windows[window] = Project.open(self.folder / "project")

    @invariant()
    def both_windows_show_the_newest_revisions(self) -> None:
        for project in self.windows:
            states = project.states(self.clip)
            for frame in range(FRAMES):
                masks = project.masks(self.clip, frame)
                np.testing.assert_array_equal(states[frame], masks.state)
                for i, key in enumerate(KEYS):
                    expected = self.revisions[frame, key]
                    state, packed = expected[-1][:2] if expected else (MaskState.UNSEEN, None)
                    assert masks.state[i] == state
                    assert masks.planes[i].tobytes() == (packed or bytes(HEIGHT * WIDTH))

    @invariant()
    def no_revision_is_lost(self) -> None:
        for place, expected in self.revisions.items():
            history = self.windows[1].history(self.clip, *place)
            assert [expected_revision(r.state, r.mask, r.author, r.origin) for r in history] == expected
        changes = self.windows[0].changes_since(0)
        assert len(changes) == sum(map(len, self.revisions.values()))
        truth = {frame for (frame, _), expected in self.revisions.items() if expected and expected[-1][0].is_truth}
        assert self.windows[0].annotated_frames(self.clip) == sorted(truth)

    def teardown(self) -> None:
        for project in self.windows:
            project.close()
        shutil.rmtree(self.folder)


TestWork = Work.TestCase
TestWork.settings = settings(
    max_examples=12, stateful_step_count=15, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
