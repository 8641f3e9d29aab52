# SPDX-License-Identifier: Apache-2.0
"""Second readings in real windows: names of readers, blinding, agreement, adjudication."""

from __future__ import annotations

import numpy as np
import pytest

from napari_vfss import preferences
from napari_vfss.session.opening import open_session, remember_view
from napari_vfss.viewer.outlines import NAME
from vfss.datasets import FORMATS, run_export
from vfss.errors import DatasetError
from vfss.masks import MaskState
from vfss.masks.metrics import dice
from vfss.project import Project
from vfss.project.second_readings import create_reading, find_reading, finish_first, finish_reading


def disc(session, y, x, radius=12):
    rows, columns = np.ogrid[: session.clip.height, : session.clip.width]
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


def accept(session, frame, mask, structure="bolus"):
    session.go_to(frame)
    session.choose(structure)
    session.stroke(mask)
    session.accept_structure()


@pytest.fixture
def folder(clip_file, monkeypatch):
    """Folder of the clip's project, in which Ada, the user of the window, accepted the bolus on three frames."""
    monkeypatch.setattr(preferences, "author", lambda: "Ada")
    session = open_session(clip_file, "Ada")
    for frame in range(3):
        accept(session, frame, disc(session, 60, 60))
    session.go_to(2)
    remember_view(session)
    session.close()
    return session.project.folder


@pytest.fixture
def blinded(folder):
    """Folder of Bob's second reading, which starts without masks."""
    with Project.open(folder) as project:
        return create_reading(project, "Bob", start="nothing").folder


def test_the_second_reader_sees_no_mask_of_the_first(window, blinded, clip_file, tmp_path, qtbot):
    assert window.controller.open(blinded)
    session = window.controller.session
    assert session.author == "Bob"
    assert session.project.folder == blinded
    assert "Second reading by Bob (blinded)" in window.people.banner.text()
    assert window.people.banner.isVisibleTo(window)
    assert "Second reading by Bob (blinded)" in window.viewer.title
    # Masks, states, table, timeline and history are those of a clip without annotations.
    window.history.unfold()
    for frame in range(session.clip.n_frames):
        session.go_to(frame)
        assert not session.work.planes.any()
        assert not session.work.state.any()
        assert np.isnan(session.work.confidence).all()
        assert not window.controller.layers.overlay.data.any()
        assert not window.controller.layers.editor.mask.any()
    assert not session.states.any()
    session.go_to(0)
    qtbot.waitUntil(lambda: "frame 1" in window.history.summary.text())
    model = window.structures.table.model()
    assert all("no mask yet" in model.index(row, 3).data() for row in range(model.rowCount()))
    window.history.tabs.setCurrentWidget(window.history.clip)
    assert window.history.place.rows.rowCount() == window.history.clip.rows.rowCount() == 0
    window.history.tabs.setCurrentWidget(window.history.place)
    window.history.proposal_button.click()
    assert "There is no proposal" in window.message.text()
    assert "0 accepted" in window.clip.place.text()
    with pytest.raises(DatasetError):
        run_export(FORMATS["png"], session.project, tmp_path / "out", progress=None)
    # Opening the recording itself again opens the reading.
    assert window.controller.open(clip_file)
    assert window.controller.session.project.folder == blinded
    assert not window.controller.session.states.any()
    window.history.heading.setChecked(False)


def test_a_blinded_reader_cannot_open_the_first_readers_project(window, folder, blinded, clip_file, monkeypatch):
    monkeypatch.setattr(preferences, "author", lambda: "Bob")
    window.controller.close_session()
    for path in (folder, clip_file):
        assert not window.controller.open(path)
        assert window.controller.session is None
        assert "must not see" in window.message.text()
        assert str(blinded) in window.message.text()
    monkeypatch.setattr(preferences, "author", lambda: "root")
    assert not window.controller.open(clip_file)
    assert "Enter your name" in window.message.text()


def test_each_reader_has_separate_masks_and_the_banner_follows_the_project(window, folder, blinded):
    window.controller.open(blinded)
    bob = window.controller.session
    accept(bob, 0, disc(bob, 64, 60))
    window.controller.student_jobs.propose(0, 2)
    assert not window.controller.student_jobs.proposing.running
    assert "excludes the student" in window.message.text()
    assert window.controller.open(folder)
    ada = window.controller.session
    assert ada.reading is None
    assert np.array_equal(ada.work_at(0).planes[0], disc(ada, 60, 60))
    assert not window.people.banner.isVisibleTo(window)
    assert "Second reading" not in window.viewer.title
    assert {revision.author for revision in ada.project.past.page(ada.clip.id)} == {"Ada"}


def test_a_reading_that_starts_with_the_student_is_proposed_on_first_opening(window, folder, monkeypatch):
    with Project.open(folder) as project:
        made = create_reading(project, "Cleo", start="student").folder
    orders = []
    monkeypatch.setattr(window.controller.student_jobs.proposing, "start", orders.append)
    assert window.controller.open(made)
    (order,) = orders
    # The shipped student proposes: one of the project's may be trained on the first reader's masks.
    assert (order.project, order.source, sorted(order.frames)) == (made, "default", list(range(24)))
    accept(window.controller.session, 0, disc(window.controller.session, 60, 60))
    window.controller.open(made)
    assert len(orders) == 1


def test_a_reading_finished_in_the_panel_cannot_be_changed(window, folder, blinded):
    window.controller.open(blinded)
    bob = window.controller.session
    accept(bob, 0, disc(bob, 64, 60))
    window.people.ask_to_finish()
    assert window.controller.session.reading.finished is None
    (yes,) = [made for made in window.people.question.buttons() if made.text() == "Finish"]
    yes.click()
    assert window.controller.session.reading.finished is not None
    assert "finished" in window.people.banner.text()
    with window.controller.showing_errors():
        bob.stroke(disc(bob, 20, 20))
    assert "stays as it is" in window.message.text()
    assert np.array_equal(bob.project.masks(bob.clip.id, 0).planes[0], disc(bob, 64, 60))


def test_the_dialog_creates_lists_and_opens_readings(window, folder, qtbot):
    window.controller.open(folder)
    window.people.readings_button.click()
    dialog = window.people.dialog
    assert not dialog.open_button.isEnabled()
    dialog.begin_button.click()
    assert "name" in dialog.problem.text()
    dialog.reader.setText("Cleo")
    dialog.with_nothing.setChecked(True)
    dialog.begin_button.click()
    assert "Cleo, 1 clip: second reader in progress, first reader in progress; blinded" in dialog.list.item(0).text()
    assert not dialog.agreement_button.isEnabled()
    dialog.first_button.click()
    assert "first reader finished" in dialog.list.item(0).text()
    assert not dialog.agreement_button.isEnabled()
    dialog.open_button.click()
    assert window.controller.session.reading.reader == "Cleo"
    qtbot.waitUntil(lambda: window.people.dialog is None)


def test_agreement_is_hidden_while_a_reading_is_in_progress(window, folder, blinded, qtbot):
    window.controller.open(folder)
    with Project.open(folder) as project:
        reading = finish_first(project, find_reading(project, None))
    window.people.show_agreement(folder, reading)
    page = window.people.page
    qtbot.waitUntil(lambda: not page.agreeing.running)
    assert "blinded" in page.message.text()
    assert page.table.rowCount() == page.worst.rowCount() == 0
    window.people.close_page()


@pytest.fixture
def compared(window, folder, blinded, qtbot):
    """The agreement page of two finished readings, in the project's window."""
    window.controller.open(blinded)
    bob = window.controller.session
    for frame in range(2):
        accept(bob, frame, disc(bob, 60 + 3 * frame, 60))
    bob.go_to(2)
    bob.mark(MaskState.EMPTY)
    finish_reading(blinded)
    window.controller.open(folder)
    with Project.open(folder) as project:
        reading = finish_first(project, find_reading(project, None))
    window.people.show_agreement(folder, reading)
    qtbot.waitUntil(lambda: not window.people.page.agreeing.running)
    yield window.people.page
    window.people.close_page()


def test_the_page_shows_figures_a_plot_and_the_largest_differences(compared, window):
    session = window.controller.session
    expected = (1 + dice(disc(session, 60, 60), disc(session, 63, 60)) + 0) / 3
    assert compared.table.item(0, 1).text() == f"{expected:.3f}"
    headings = [compared.table.horizontalHeaderItem(column).text() for column in range(compared.table.columnCount())]
    assert [compared.table.item(0, headings.index(name)).text() for name in ("n", "only 1st")] == ["3", "1"]
    assert "over 3 frames" in compared.message.text()
    assert "wider" in compared.message.text()
    assert compared.plot.points.getData()[1][0] == pytest.approx(expected)
    assert [compared.worst.item(row, 1).text() for row in range(compared.worst.rowCount())] == ["3", "2"]


def test_a_difference_is_adjudicated_in_the_project(compared, window):
    session = window.controller.session
    first, second = disc(session, 60, 60), disc(session, 63, 60)
    compared.worst.cellClicked.emit(1, 0)
    assert (session.frame, session.structure) == (1, "bolus")
    assert NAME in [layer.name for layer in window.viewer.layers]
    assert "Ada: accepted" in compared.adjudication.text.text()
    assert "Bob: accepted" in compared.adjudication.text.text()
    compared.adjudication.second_button.click()
    revision = session.project.newest(session.clip.id, 1)["bolus"]
    assert np.array_equal(revision.mask, second)
    assert (revision.author, revision.state) == (session.author, MaskState.ACCEPTED)
    compared.adjudication.both_button.click()
    assert np.array_equal(session.project.masks(session.clip.id, 1).planes[0], first | second)
    session.undo()
    session.undo()
    assert np.array_equal(session.project.masks(session.clip.id, 1).planes[0], first)
    compared.worst.cellClicked.emit(0, 0)
    compared.adjudication.second_button.click()
    assert session.project.newest(session.clip.id, 2)["bolus"].state == MaskState.EMPTY
    assert not compared.adjudication.both_button.isEnabled()
    session.go_to(5)
    assert not compared.adjudication.first_button.isEnabled()
    assert not window.viewer.layers[NAME].visible
    before = session.project.last_revision()
    compared.adjudication.take_first()
    assert session.project.last_revision() == before
    window.viewer.window.remove_dock_widget(compared)  # as its close button does
    assert window.people.page is None
    assert NAME not in [layer.name for layer in window.viewer.layers]


def test_a_name_is_asked_for_where_the_account_name_is_no_persons(window, monkeypatch):
    people = window.people
    stored = []
    monkeypatch.setattr(preferences, "store_author", lambda name: stored.append(name) or True)
    monkeypatch.setattr(preferences, "author_is_known", lambda: False)
    people.unfold()  # as it is where the account names nobody from the start
    people.show_session()
    assert people.ask_name.isVisibleTo(people)
    people.name.setText("  Dora ")
    people.name.editingFinished.emit()
    assert stored == ["Dora"]
    assert window.controller.session.author == "Dora"
    assert not people.ask_name.isVisibleTo(people)
    assert people.summary.text() == "Dora"
    session = window.controller.session
    session.stroke(disc(session, 60, 60))
    assert session.project.newest(session.clip.id, 0)["bolus"].author == "Dora"


def test_a_shared_account_is_not_used_as_a_name(monkeypatch):
    monkeypatch.setattr(preferences, "setting", lambda name, default: default)
    for account, known in (("root", False), ("Administrator", False), ("m.weber", True)):
        monkeypatch.setattr(preferences.getpass, "getuser", lambda account=account: account)
        assert preferences.author_is_known() is known
    monkeypatch.setattr(preferences, "setting", lambda name, default: "Eve")
    assert preferences.author_is_known()
    assert preferences.author() == "Eve"


def test_a_stored_name_is_used_by_the_next_window(window):
    before = preferences.setting("author", "")
    assert preferences.store_author("Fay")
    assert preferences.author() == "Fay"
    preferences.store_author(before)
