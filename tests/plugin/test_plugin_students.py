# SPDX-License-Identifier: Apache-2.0
"""The students page in a real window: cards, the gate's second question, going back, canaries, renewal, the notice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_vfss.ui.sections.student import offer_text
from napari_vfss.ui.students.page import StudentsPage
from vfss.comparison.comparing import compare, keep_comparison
from vfss.evaluation.evaluate import PlaneScore
from vfss.evaluation.gate import Evidence, Verdict
from vfss.masks import MaskState
from vfss.project import Edit
from vfss.project.corrected import Corrected
from vfss.student import load_checkpoint, student_file

WAIT_MS = 120_000


@pytest.fixture(scope="module")
def other_students(tmp_path_factory) -> list:
    """Two files with the weights of the student that ships, one of them with noise."""
    shipped = load_checkpoint(student_file("default"))
    folder, paths = tmp_path_factory.mktemp("students"), []
    random = np.random.default_rng(0)
    for name, noise in (("same", 0.0), ("noisy", 0.08)):
        tensors = {
            key: (value + noise * value.std() * random.standard_normal(value.shape)).astype(value.dtype)
            if value.dtype.kind == "f" and value.ndim > 1
            else value
            for key, value in shipped.tensors.items()
        }
        path = folder / f"{name}.safetensors"
        replace(shipped, tensors=tensors, provenance={"parent": shipped.id, "of": name}, int8=b"").save(path)
        paths.append(path)
    return paths


@pytest.fixture
def page(window, other_students) -> StudentsPage:
    """The page over a project with two students of its own."""
    project = window.controller.session.project
    for path in other_students:
        project.add_student(path, scores={}, parent=load_checkpoint(path).provenance["parent"], added_by="vfss-train")
    window.controller.action_requested.emit("window.students")
    shown = window.pages.shown
    assert isinstance(shown, StudentsPage)
    yield shown
    window.pages.hide()


def judged(page, row, better):
    """Keep a comparison of a student with the one in use, by these figures."""
    project, card = page.session.project, page.cards[row]
    in_use = next(one for one in page.cards if one.in_use)
    rows = [PlaneScore(f"P{i}", (f"c{i}", t), "bolus", 0.8, 3.0) for i in range(4) for t in range(3)]
    new = [replace(one, dice=one.dice + better) for one in rows]
    evidence = Evidence(None, agreement=1.0)
    kept = compare(project.schema, (in_use.id, card.id), (("bolus",), ("bolus",)), evidence, phantoms=(rows, new))
    keep_comparison(project, kept)
    page.refresh()
    page.list.setCurrentRow(row)


def test_every_student_is_a_card_and_so_is_the_one_that_ships(page):
    assert [card.title for card in page.cards] == ["as shipped", *(card.id[:9] for card in page.cards[1:])]
    assert [card.in_use for card in page.cards] == [True, False, False]
    assert page.card.title == "as shipped" and not page.use_button.isEnabled()
    page.list.setCurrentRow(1)
    assert page.card.lineage == ("as shipped",)
    assert "Trained from as shipped" in page.origin.text() and "by vfss-train" in page.origin.text()
    assert "has not been compared" in page.verdict.text()
    assert page.use_button.text() == "Use nevertheless..."


def test_what_the_gate_offers_is_used_with_one_click(page, monkeypatch):
    monkeypatch.setattr(page, "confirm", lambda *_: pytest.fail("no second question"))
    judged(page, 1, 0.02)
    assert "Offered" in page.verdict.text() and page.use_button.text() == "Use"
    page.use_button.click()
    project = page.session.project
    assert project.current_student().id == page.cards[1].id
    (switch,) = project.shelf.switches()
    assert (switch.how, switch.author, switch.previous) == ("chosen", page.session.author, None)


def test_what_it_does_not_offer_needs_a_second_answer_and_one_click_goes_back(page, monkeypatch):
    asked = []
    monkeypatch.setattr(page, "confirm", lambda question, why: asked.append(why) or len(asked) > 1)
    judged(page, 2, -0.05)
    assert "Not offered" in page.verdict.text() and "something was forgotten" in page.verdict.text()
    page.use_button.click()
    project = page.session.project
    assert "something was forgotten" in asked[0] and project.current_student() is None
    page.use_button.click()
    assert project.current_student().id == page.cards[2].id
    assert project.shelf.switches()[-1].how == "chosen nevertheless"
    assert page.back_button.text() == "Go back to as shipped"
    page.back_button.click()
    assert project.current_student() is None
    assert [switch.how for switch in project.shelf.switches()] == ["chosen nevertheless", "rolled back"]
    assert not page.back_button.isEnabled()


def test_a_student_is_named_exported_deleted_and_imported_again(page, monkeypatch, tmp_path):
    page.list.setCurrentRow(2)
    page.name.setText("Clinic B")
    page.note.setText("after ten clips")
    page.name.editingFinished.emit()
    assert page.card.title == "Clinic B" and page.session.project.shelf.get(page.card.id).note == "after ten clips"
    target = tmp_path / "clinic.safetensors"
    page.export_file(target)
    monkeypatch.setattr(page, "confirm", lambda *_: True)
    page.delete_button.click()
    assert "deleted" in page.verdict.text() and not page.card.record.path.exists()
    assert not page.use_button.isEnabled() and not page.export_button.isEnabled()
    page.import_file(target)
    assert page.card.title == "Clinic B" and not page.card.problem


def test_a_foreign_file_is_refused_with_what_to_do(page, window, tmp_path):
    foreign = tmp_path / "weights.safetensors"
    foreign.write_bytes(b"\x80\x02}q\x00.")
    page.import_file(foreign)
    assert "pickle" in window.message.text() and len(page.cards) == 3


def test_comparing_keeps_what_the_gate_says(page, qtbot, monkeypatch):
    monkeypatch.setattr("napari_vfss.jobs.students.PHANTOM_SEEDS", range(990_000, 990_002))
    page.list.setCurrentRow(1)
    with qtbot.waitSignal(page.comparing.ended, timeout=WAIT_MS) as ended:
        page.press("compare")
        assert page.bar.isVisibleTo(page) and not page.compare_button.isVisibleTo(page)
    assert ended.args[0] == ""
    assert page.card.comparison.verdict.passed, page.card.comparison.verdict
    assert "not tested on film" in page.verdict.text() and page.figures.rowCount() > 1
    assert any("Phantoms were compared" in text for text in page.card.comparison.verdict.remarks)


def test_canaries_show_both_students_and_write_nothing(page, qtbot):
    project = page.session.project
    before = project.last_revision()
    page.list.setCurrentRow(2)
    page.tabs.setCurrentIndex(1)
    view = page.canaries
    view.choices[0].setCurrentIndex(1)
    view.choices[0].activated.emit(1)
    assert project.canaries.clips() == [page.session.clip.id]
    with qtbot.waitSignal(view.job.ended, timeout=WAIT_MS) as ended:
        view.show_button.click()
    assert ended.args[0] == ""
    assert view.slider.maximum() == 11 and view.table.rowCount() == 12
    assert view.right.pixmap() is not None and not view.right.pixmap().isNull()
    pairs = view.pairs[page.session.clip.id]
    assert min(pairs[5].dice.values()) < 0.99, "another student draws otherwise"
    assert project.last_revision() == before


def test_what_nobody_accepted_is_proposed_anew_on_request_only(page, qtbot, window):
    session = page.session
    project, clip = session.project, session.clip
    with qtbot.waitSignal(window.controller.student_jobs.proposing.ended, timeout=WAIT_MS):
        window.controller.student_jobs.propose(0, 2)
    session.go_to(1)
    session.accept_structure()
    accepted = project.newest(clip.id, 1)[session.structure]
    first = {t: project.newest(clip.id, t) for t in range(3)}
    session.choose_student(page.cards[2].id)
    assert {t: project.newest(clip.id, t) for t in range(3)} == first, "a switch alone changes nothing"
    with qtbot.waitSignal(page.renewal.job.ended, timeout=WAIT_MS) as ended:
        page.press("renew_clip")
    assert ended.args[0] == ""
    assert project.newest(clip.id, 1)[session.structure] == accepted
    others = [one for t in range(3) for one in project.newest(clip.id, t).values() if one.id != accepted.id]
    assert {one.student for one in others if one.state == MaskState.PROPOSED} == {page.cards[2].id}
    assert len(page.renewal.renewed) == 3 * 12 - 1
    assert "35 masks on 3 frames" in page.renewal.summary.text()
    assert page.renewal.largest.rowCount() > 0
    page.renewal.go_to(0)
    assert window.pages.shown is None, "the change is seen in the picture"


def test_the_offer_of_a_retraining_follows_the_gate(window):
    section, project = window.student, window.controller.session.project
    window.controller.retraining.project = project.folder
    scores = {"scores": {"mean_dice": 0.886}, "previous_scores": {"mean_dice": 0.898}, "student": "st-x"}
    failed = Verdict(False, ("Epiglottis falls from 0.752 to 0.688 (-1.0 points are too much).",))
    window.controller.retraining.event_received.emit({"event": "done", **scores, "gate": failed.to_dict()})
    assert "Not offered" in section.offer.text() and "Epiglottis falls" in section.offer.text()
    assert section.use_button.isHidden() and not section.keep_button.isHidden()
    window.controller.retraining.event_received.emit({"event": "done", **scores, "gate": Verdict(True).to_dict()})
    assert not section.use_button.isHidden()
    assert "0.886" in offer_text({**scores, "gate": Verdict(True).to_dict()})


def test_the_notice_proposes_to_retrain_and_never_starts(window, qtbot):
    notice, session = window.retrain_notice, window.controller.session
    with qtbot.waitSignal(notice.counting.ended, timeout=WAIT_MS):
        notice.check()
    assert notice.isHidden()
    mask = np.ones((session.clip.height, session.clip.width), np.bool_)
    edits = [Edit(session.clip.id, t, "bolus", mask, MaskState.EDITED) for t in range(20)]
    session.project.write(edits, author="Ada", origin="hand")
    with qtbot.waitSignal(notice.counting.ended, timeout=WAIT_MS) as ended:
        notice.check()
    assert ended.args[1] == Corrected(frames=20, clips=0)
    assert not notice.isHidden() and "20 frames were corrected" in notice.text.text()
    assert not window.controller.retraining.running
    notice.later.click()
    assert notice.isHidden()
    with qtbot.waitSignal(notice.counting.ended, timeout=WAIT_MS):
        notice.check()
    assert notice.isHidden(), "until as much again was corrected"
