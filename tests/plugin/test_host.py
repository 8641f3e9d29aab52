# SPDX-License-Identifier: Apache-2.0
"""Methods that run only while a clip is open, as slots and by hand."""

from __future__ import annotations

import pytest
from psygnal import Signal

from napari_vfss.session.host import while_open, while_open_or


class Sender:
    """Something with a signal of psygnal."""

    happened = Signal(str, int)


class Follower:
    """Records what its methods receive."""

    def __init__(self, session: object = None) -> None:
        self.session = session
        self.calls: list[tuple[object, ...]] = []

    @while_open
    def note(self, session, *, word=""):
        self.calls.append((session, word))

    @while_open
    def choose(self, session, key):
        self.calls.append((session, key))

    @while_open
    def refresh(self, session, *arguments):
        self.calls.append((session, *arguments))

    @while_open_or(-1)
    def frame(self, session):
        return session.frame


def test_nothing_is_called_and_the_default_returned_while_no_clip_is_open():
    follower = Follower()
    follower.note()
    follower.choose("bolus")
    follower.refresh(1, 2)
    assert follower.calls == []
    assert follower.frame() == -1


def test_the_open_session_is_the_first_argument(session):
    follower = Follower(session)
    follower.note(word="here")
    follower.choose("bolus")
    session.go_to(3)
    assert follower.calls == [(session, "here"), (session, "bolus")]
    assert follower.frame() == 3


@pytest.mark.parametrize(
    ("name", "received"), [("note", ("",)), ("choose", ("c3",)), ("refresh", ("c3", 7)), ("frame", None)]
)
def test_a_slot_receives_no_more_of_a_signal_than_it_takes(session, name, received):
    follower, sender = Follower(session), Sender()
    sender.happened.connect(getattr(follower, name))
    sender.happened.emit("c3", 7)
    assert follower.calls == ([] if received is None else [(session, *received)])


def test_qt_may_offer_more_than_a_slot_takes(session, qapp):
    from qtpy.QtWidgets import QPushButton

    follower, button = Follower(session), QPushButton()
    button.clicked.connect(follower.note)  # brings whether it is checked
    button.click()
    assert follower.calls == [(session, "")]


def test_a_mistake_in_the_number_of_arguments_is_an_error(session):
    with pytest.raises(TypeError):
        Follower(session).choose()
