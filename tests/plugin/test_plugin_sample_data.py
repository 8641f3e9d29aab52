# SPDX-License-Identifier: Apache-2.0
"""Sample clips are those of the phantom that is installed."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

import vfss.phantom
from vfss import sample_clips
from vfss.phantom import Phantom
from vfss.phantom_fingerprint import phantom_source


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """Files written, in order, each with the phantom's variant inside instead of pictures."""
    written = []

    def write(phantom: Phantom, path: Path) -> None:
        path.write_text(phantom.variant)
        written.append(path)

    monkeypatch.setattr("vfss.phantom.write.write_video", write)
    monkeypatch.setattr("platformdirs.user_cache_path", lambda _: tmp_path)
    return written


def test_a_sample_is_drawn_once(drawn):
    paths = [sample_clips.sample_path(key) for key in ("normal", "aspiration", "normal")]
    assert paths[2] == paths[0] != paths[1]
    assert drawn == paths[:2]
    assert [path.read_text() for path in drawn] == ["normal", "aspiration"]


def test_a_sample_of_another_phantom_is_not_used_and_stays(drawn, monkeypatch):
    with monkeypatch.context() as other:
        other.setattr(sample_clips, "phantom_source", lambda: "another" * 4)
        old = sample_clips.sample_path("normal")
    older = old.with_name("phantom_normal.mp4")
    older.touch()
    new = sample_clips.sample_path("normal")
    assert new not in (old, older)
    assert drawn == [old, new]
    assert old.is_file() and older.is_file()  # a project beside them may hold annotations of theirs


def test_the_source_is_all_of_the_phantom_and_nothing_else():
    blake = hashlib.blake2b(digest_size=16)
    for path in sorted(Path(vfss.phantom.__file__).parent.glob("*.py")):
        blake.update(path.read_bytes())
    assert phantom_source() == blake.hexdigest()
