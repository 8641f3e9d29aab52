# SPDX-License-Identifier: Apache-2.0
"""Methods that run only while a clip is open, called directly and as slots."""

from __future__ import annotations

import pytest
from psygnal import Signal

from napari_vfss.session.host import while_open, while_open_or


class Sender:
    """An object with a psygnal signal."""

    happened = Signal(str, int)


class Follower:
    """Records the arguments its methods receive."""

    def __init__(self, session: object = None) -> None:
        self.session = session
        self.calls: list[tuple[object, ...]] = []

    @while_open
    def note(self, session, *, text=""):
        self.calls.append((session, text))

    @while_open
    def choose(self, session, key):
        self.calls.append((session, key))

    @while_open
    def refresh(self, session, *arguments):
        self.calls.append((session, *arguments))

    @while_open_or(-1)
    def frame(self, session):
        return session.frame


def test_without_an_open_clip_nothing_is_called_and_the_default_is_returned():
    follower = Follower()
    follower.note()
    follower.choose("bolus")
    follower.refresh(1, 2)
    assert follower.calls == []
    assert follower.frame() == -1


def test_the_open_session_is_the_first_argument(session):
    follower = Follower(session)
    follower.note(text="here")
    follower.choose("bolus")
    session.go_to(3)
    assert follower.calls == [(session, "here"), (session, "bolus")]
    assert follower.frame() == 3


@pytest.mark.parametrize(
    ("name", "received"), [("note", ("",)), ("choose", ("c3",)), ("refresh", ("c3", 7)), ("frame", None)]
)
def test_a_slot_receives_only_as_many_signal_arguments_as_it_takes(session, name, received):
    follower, sender = Follower(session), Sender()
    sender.happened.connect(getattr(follower, name))
    sender.happened.emit("c3", 7)
    assert follower.calls == ([] if received is None else [(session, *received)])


def test_a_qt_signal_may_have_more_arguments_than_the_slot(session, qapp):
    from qtpy.QtWidgets import QPushButton

    follower, button = Follower(session), QPushButton()
    button.clicked.connect(follower.note)  # the signal carries the checked state
    button.click()
    assert follower.calls == [(session, "")]


def test_a_direct_call_with_a_missing_argument_raises(session):
    with pytest.raises(TypeError):
        Follower(session).choose()
