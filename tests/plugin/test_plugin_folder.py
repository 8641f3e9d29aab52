# SPDX-License-Identifier: Apache-2.0
"""A folder of recordings in the window: it asks which one to open."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt

from napari_vfss.app import main
from small_project import grey_frames, write_stack, write_video
from vfss.clips import open_clip
from vfss.errors import SeveralRecordingsError


@pytest.fixture
def folder(tmp_path):
    """Two recordings in a folder, which is alone in another one."""
    made = tmp_path / "visit"
    made.mkdir()
    write_video(made / "b.mkv", grey_frames(3, 48, 64))
    write_stack(made / "a.tif", grey_frames(4, 48, 64, seed=1))
    return made


def test_the_error_lists_what_can_be_opened(folder):
    with pytest.raises(SeveralRecordingsError, match="folder of 2 recordings") as error:
        open_clip(folder)
    assert [path.name for path in error.value.recordings] == ["a.tif", "b.mkv"]


def test_the_window_asks_which_recording_and_opens_it(window, folder, qtbot):
    assert not window.controller.open(folder)
    dialog = window.clip.dialog
    assert [dialog.list.item(row).text() for row in range(2)] == ["a.tif", "b.mkv"]
    assert window.controller.session.clip.n_frames == 24  # nothing is closed before a person chooses
    dialog.list.setCurrentRow(1)
    qtbot.mouseClick(dialog.open_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: window.controller.session.clip.n_frames == 3)
    assert window.controller.session.record.path.name == "b.mkv"
    assert window.clip.dialog is None


def test_cancelling_leaves_what_is_open(window, folder, clip_file):
    window.controller.open(folder)
    window.clip.dialog.reject()
    assert window.controller.session.record.path.name == clip_file.name


def test_a_folder_of_folders_is_no_wrong_argument(folder, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert main([str(folder.parent), str(tmp_path / "empty")]) == 2
    assert "empty: neither a recording nor a project" in capsys.readouterr().err
