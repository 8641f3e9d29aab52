# SPDX-License-Identifier: Apache-2.0
"""A clip with damaged frames in the window: what is shown, proposed, propagated and clicked on."""

from __future__ import annotations

import numpy as np
import pytest

from damaged_clip import smooth, write_damaged
from keyed_student import VFSS12, KeyedStudent
from vfss.clips.placard import placard_of
from vfss.errors import StudentError
from vfss.masks import MaskState
from vfss.student.prompts import Click

FRAMES, HEIGHT, WIDTH = 14, 96, 128
DAMAGED = (3, 7, 8)
WAIT_MS = 60_000


class Clickable(KeyedStudent):
    """Encodes frames, so that it takes clicks."""

    can_refine = True

    def encode(self, frame, **settings):
        return "encoded"

    def refine(self, *_):
        raise StudentError("no answer")


@pytest.fixture
def damaged(window, tmp_path):
    """The window with a clip of which frames 3, 7 and 8 cannot be read, and what it shows of messages."""
    controller, shown = window.controller, []
    path = write_damaged(tmp_path / "damaged", "mjpeg", smooth(FRAMES, HEIGHT, WIDTH), DAMAGED)
    controller.project_folder = tmp_path / "project"
    assert controller.open(path), window.message.text()
    controller.session.set_student(Clickable(VFSS12))

    def keep(message, problem):
        shown.append(message)

    controller.message.connect(keep)
    yield controller, shown
    controller.message.disconnect(keep)


def frames_in(session, state, key="c3"):
    states = session.project.states(session.clip.id)[:, session.schema[key].index]
    return [int(t) for t in np.flatnonzero(states == state)]


def test_everything_goes_on_past_damaged_frames_and_says_so(damaged, qtbot):
    controller, shown = damaged
    session, jobs = controller.session, controller.student_jobs

    session.go_to(7)
    picture = np.asarray(controller.layers.image.data[7])
    np.testing.assert_array_equal(picture, placard_of(session.clip))
    assert any(message.startswith("Frame 8 of ") for message in shown), shown
    session.go_to(9)
    assert not np.array_equal(np.asarray(controller.layers.image.data[9]), picture)

    shown.clear()
    with qtbot.waitSignal(jobs.proposing.ended, timeout=WAIT_MS) as ended:
        jobs.propose_clip()
    readable = [t for t in range(FRAMES) if t not in DAMAGED]
    assert ended.args == [""]
    assert frames_in(session, MaskState.PROPOSED) == readable
    (named,) = (message for message in shown if "left out" in message)
    assert named.startswith("3 frames cannot be read and are left out: 4, 8 to 9 (")

    session.go_to(1)
    session.choose("c3")
    session.accept_structure()
    with qtbot.waitSignal(jobs.propagating.ended, timeout=WAIT_MS) as ended:
        jobs.propagate("forward")
    message, problem = ended.args
    assert not problem
    assert "cannot be read and" in message and "passed over: 4" in message

    session.go_to(3)
    controller.click_tool.select()
    controller.click_tool.queue.add((3, session.structure), Click(20.0, 20.0, True))
    qtbot.waitUntil(lambda: not controller.click_tool.queue.busy, timeout=WAIT_MS)
    assert shown[-1].startswith("Frame 4 of "), "a click is told why there is no answer"
    assert session.work.state[session.schema["c3"].index] == MaskState.UNSEEN
