# SPDX-License-Identifier: Apache-2.0
"""The progress page: what it says of a project, and the pictures it saves."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from vfss.masks import MaskState

WAIT_MS = 30_000


@pytest.fixture
def page(window):
    yield window.pages.show("progress")
    window.pages.hide()


def work(session):
    mask = np.zeros((session.clip.height, session.clip.width), np.bool_)
    mask[20:40, 20:40] = True
    for frame in range(3):
        session.go_to(frame)
        session.stroke(mask)
        session.mark(MaskState.EMPTY)


def test_a_project_without_work_says_so_and_saves_nothing(window, page, qtbot):
    qtbot.waitUntil(lambda: "Nothing has been annotated" in page.message.text(), timeout=WAIT_MS)
    assert not page.save_button.isEnabled()


@pytest.mark.parametrize("suffix", [".png", ".svg", ""])
def test_plots_are_saved_as_pictures(window, page, qtbot, tmp_path, suffix):
    work(window.controller.session)
    page.refresh()
    qtbot.waitUntil(page.save_button.isEnabled, timeout=WAIT_MS)
    assert "pauses" in page.message.text()
    target = tmp_path / f"progress{suffix}"
    page.save(target)
    if suffix == ".svg":
        text = target.read_text("utf-8")
        assert "<svg" in text and "Frames worked on" in text
    else:
        with Image.open(target.with_suffix(".png")) as picture:
            assert picture.width > 1000 and np.unique(np.asarray(picture.convert("L"))).size > 10
    assert "are saved" in window.message.text()


def test_a_place_that_cannot_be_written_is_said(window, page, qtbot, tmp_path):
    work(window.controller.session)
    page.refresh()
    qtbot.waitUntil(page.save_button.isEnabled, timeout=WAIT_MS)
    page.save(tmp_path / "no such folder" / "progress.png")
    assert "cannot be written" in window.message.text()


def test_the_page_without_a_project_asks_for_one(window, page, qtbot):
    qtbot.waitUntil(lambda: page.message.text() != "Reading...", timeout=WAIT_MS)
    window.controller.close_session()
    assert "Open a clip" in page.message.text()
