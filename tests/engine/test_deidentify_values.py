# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import multiprocessing
import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from small_project import THREE, grey_frames, write_stack
from vfss.deidentify import CaseKey, PixelBox, Redaction
from vfss.errors import DatasetError, ProjectError
from vfss.project import Project

BOX, CROP = PixelBox(1, 2, 4, 6), PixelBox(2, 3, 10, 12)


@pytest.mark.parametrize("sides", [(-1, 0, 2, 2), (2, 0, 2, 2), (0, 3, 2, 2), (0, 0, 2.0, 2), (False, 0, 2, 2)])
def test_a_box_contains_whole_pixels(sides: tuple[int, int, int, int]) -> None:
    with pytest.raises(DatasetError):
        PixelBox(*sides)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_boxes_become_black_and_the_crop_is_kept(dtype: type) -> None:
    frame = np.arange(1, 12 * 14 + 1, dtype=dtype).reshape(12, 14)
    before = frame.copy()
    redacted = Redaction((BOX,), CROP).pixels(frame)
    expected = frame.copy()
    expected[1:4, 2:6] = 0
    assert redacted.dtype == dtype and np.array_equal(redacted, expected[2:10, 3:12])
    assert np.array_equal(frame, before)
    assert Redaction((BOX,), CROP).size(12, 14) == redacted.shape == (8, 9)
    assert Redaction().is_empty and Redaction().pixels(frame) is frame


def test_a_redaction_of_another_recording_is_refused() -> None:
    for redaction in (Redaction((BOX,)), Redaction(crop=CROP)):
        with pytest.raises(DatasetError, match="does not fit"):
            redaction.pixels(np.zeros((3, 3), np.uint8))
        with pytest.raises(DatasetError, match="does not fit"):
            redaction.planes(np.zeros((3, 3, 3), np.bool_))


@settings(deadline=None)
@given(st.data())
def test_planes_are_cropped_like_frames_and_json_comes_back(data: st.DataObject) -> None:
    height, width = data.draw(st.integers(2, 20)), data.draw(st.integers(2, 20))
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    crop = PixelBox(top, left, data.draw(st.integers(top + 1, height)), data.draw(st.integers(left + 1, width)))
    redaction = Redaction((crop,), data.draw(st.sampled_from([None, crop])))
    assert Redaction.from_dict(json.loads(json.dumps(redaction.to_dict()))) == redaction
    planes = np.random.default_rng(height).random((2, height, width)) > 0.5
    cropped = redaction.planes(planes)
    assert cropped.shape[1:] == redaction.size(height, width) == redaction.pixels(planes[0].view(np.uint8)).shape
    assert np.array_equal(cropped, planes[(slice(None), *crop.slices)] if redaction.crop else planes)


@pytest.mark.parametrize("data", [[], {"boxes": 3}, {"boxes": [{"top": 1}]}, {"crop": "all"}, {"boxes": ["x"]}])
def test_malformed_redactions_are_refused(data: object) -> None:
    with pytest.raises(DatasetError):
        Redaction.from_dict(data)


def test_the_key_gives_each_patient_one_lasting_name(tmp_path: Path) -> None:
    key = CaseKey(tmp_path / "key.json")
    names = [key.case("Anna"), key.case("Bela"), key.recording("b2-1"), key.annotator("Eva"), key.annotator("Jan")]
    assert re.fullmatch("case-[2-9b-df-hjkm-tv-z]{8}", names[0]) and names[0] != names[1]
    assert names[2].startswith("clip-") and names[3:] == ["annotator-1", "annotator-2"]
    other = CaseKey(key.path)
    assert [other.case("Anna"), other.case("Bela"), other.recording("b2-1")] == names[:3]
    assert other.uid("1.2.3") == key.uid("1.2.3 ") != key.uid("1.2.4")
    assert re.fullmatch(r"2\.25\.[1-9]\d*", key.uid("1.2.3")) and len(key.uid("1.2.3")) <= 64
    assert CaseKey(tmp_path / "other.json").uid("1.2.3") != key.uid("1.2.3")
    if os.name == "posix":
        assert key.path.stat().st_mode & 0o777 == 0o600


def test_two_keys_on_one_file_do_not_name_a_patient_twice(tmp_path: Path) -> None:
    first, second = CaseKey(tmp_path / "key.json"), CaseKey(tmp_path / "key.json")
    assert first.case("Anna") == second.case("Anna")
    assert second.uid("1.2") == first.uid("1.2")
    assert first.case("Bela") == second.case("Bela") != first.case("Anna")


def _name_all(path: Path) -> list[str]:
    return [CaseKey(path).case(f"patient {i}") for i in range(12)]


def test_concurrent_processes_agree(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        one, other = pool.map(_name_all, [tmp_path / "key.json"] * 2)
    assert one == other and len(set(one)) == 12


@pytest.mark.parametrize("content", ["", "{", "[]", '{"what": "else"}', "\x00\xff"])
def test_a_damaged_key_is_not_changed(tmp_path: Path, content: str) -> None:
    path = tmp_path / "key.json"
    path.write_text(content, "utf-8")
    with pytest.raises(DatasetError, match="damaged"):
        CaseKey(path)
    assert path.read_text("utf-8") == content


def test_a_key_that_is_damaged_later_is_not_overwritten(tmp_path: Path) -> None:
    key = CaseKey(tmp_path / "key.json")
    key.case("Anna")
    content = key.path.read_text("utf-8").replace('"secret"', '"secre"')
    key.path.write_text(content, "utf-8")
    with pytest.raises(DatasetError, match="no secret"):
        key.case("Bela")
    assert key.path.read_text("utf-8") == content


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="rights do not bind this user")
def test_the_error_names_a_folder_that_is_not_writable(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DatasetError, match="cannot be written"):
        CaseKey(tmp_path / "key.json").case("Anna")
    tmp_path.chmod(0o700)


def test_the_error_names_a_key_in_an_impossible_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DatasetError):
        CaseKey(tmp_path / "file" / "key.json").case("Anna")


def test_a_key_inside_an_export_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="case key is inside"):
        CaseKey(tmp_path / "out" / "deep" / "key.json").expect_outside(tmp_path / "out")
    CaseKey(tmp_path / "key.json").expect_outside(tmp_path / "out")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project.create(tmp_path / "project", THREE)
    made.add_clip(write_stack(tmp_path / "clip.tif", grey_frames(2, 12, 14)))
    return made


def test_reviews_follow_one_another(project: Project) -> None:
    clip = project.clips()[0].id
    assert project.reviews.of(clip) is None and project.reviews.history(clip) == []
    first = project.reviews.accept(clip, Redaction((BOX,), CROP), reviewer="Eva", text="a name, top left")
    assert project.reviews.of(clip) == first
    second = project.reviews.accept(clip, Redaction(), reviewer="Jan")
    assert project.reviews.of(clip) == second and second.redaction.is_empty
    withdrawn = project.reviews.withdraw(clip, reviewer="Eva")
    assert project.reviews.of(clip) is None and withdrawn.withdrawn
    with Project.open(project.folder) as again:
        assert again.reviews.history(clip) == [first, second, withdrawn]
    with pytest.raises(ProjectError, match="to withdraw"):
        project.reviews.withdraw(clip, reviewer="Eva")


def test_reviews_need_a_clip_and_a_person(project: Project) -> None:
    clip = project.clips()[0].id
    with pytest.raises(ProjectError, match="does not fit"):
        project.reviews.accept(clip, Redaction((PixelBox(0, 0, 13, 14),)), reviewer="Eva")
    with pytest.raises(ProjectError, match="name of the reviewer"):
        project.reviews.accept(clip, Redaction(), reviewer=" ")
    with pytest.raises(ProjectError, match="no clip"):
        project.reviews.accept("b2-none", Redaction(), reviewer="Eva")
    assert project.reviews.of(clip) is None


@pytest.mark.parametrize("statement", ["DELETE FROM pixel_reviews", "UPDATE pixel_reviews SET reviewer = 'x'"])
def test_the_database_protects_reviews(project: Project, statement: str) -> None:
    project.reviews.accept(project.clips()[0].id, Redaction(), reviewer="Eva")
    with closing(sqlite3.connect(project.folder / "vfss.sqlite")) as other, pytest.raises(sqlite3.IntegrityError):
        other.execute(statement)
