# SPDX-License-Identifier: Apache-2.0
"""Datasets and de-identified recordings of clips with damaged frames: nothing is missing in silence."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from damaged_clip import DamagedClip, smooth, write_damaged
from small_project import annotate, disc, grey_frames, write_video
from vfss.cli.app import app
from vfss.cli.console import LEFT_OUT
from vfss.clips import ArrayClip, open_clip
from vfss.clips.placard import PlacardClip, placard_of
from vfss.datasets import FORMATS, run_export
from vfss.deidentify import CaseKey, Redaction, review_pack
from vfss.deidentify.project import deidentify_project
from vfss.deidentify.projections import project_clip
from vfss.deidentify.review_pack import write_review_pack
from vfss.errors import ClipError
from vfss.project import Project

FRAMES, HEIGHT, WIDTH = 12, 48, 64
DAMAGED = (0, 5, 6)
MASK = disc(HEIGHT, WIDTH, y=20, x=20, radius=8)


@pytest.fixture
def project(tmp_path: Path):
    """A recording with two damaged frames, 5 and 6; 4 to 7 are annotated."""
    path = write_damaged(tmp_path / "secret", "png", smooth(FRAMES, HEIGHT, WIDTH), DAMAGED[1:])
    with Project.create(tmp_path / "project") as made:
        clip = made.add_clip(path, patient="P1").id
        for t in (4, 5, 6, 7):
            annotate(made, clip, t, {"bolus": MASK})
        yield made


def run(*arguments: object):
    return CliRunner().invoke(app, [str(one) for one in arguments], env={"COLUMNS": "300"})


@pytest.mark.parametrize("name", FORMATS)
def test_an_export_names_the_frames_that_it_lacks(project: Project, tmp_path: Path, name: str) -> None:
    report = run_export(FORMATS[name], project, tmp_path / "out")
    assert report.images == 2
    assert report.left_out["frames that could not be read"] == 2
    assert [f"frame {t}: " in problem for t, problem in zip((5, 6), report.problems, strict=True)] == [True, True]
    read = [json.loads(path.read_text("utf-8")) for path in sorted((tmp_path / "out").rglob("*.json"))]
    manifests = [data.get("vfss", data) for data in read if isinstance(data, dict)]
    (entry,) = next(manifest["clips"] for manifest in manifests if "clips" in manifest).values()
    assert entry["unreadable_frames"] == [5, 6]
    datasheet = (tmp_path / "out" / "DATASHEET.md").read_text("utf-8")
    assert "2 annotated frames could not be read and are not in the dataset: 5 to 6." in datasheet
    assert "pictures" not in datasheet


def test_the_export_command_names_them_too_and_exits_with_3(project: Project, tmp_path: Path) -> None:
    project.frame_checks.record(project.clips()[0].id, {7: 1})
    result = run("export", project.folder, "--out", tmp_path / "out")
    assert result.exit_code == LEFT_OUT
    assert "not in the dataset: 5 to 6." in result.stdout
    assert "1 frame is decoded differently than when first read: 7." in result.stdout
    datasheet = (tmp_path / "out" / "DATASHEET.md").read_text("utf-8")
    assert "1 frame is decoded otherwise than when first read, so that the masks there may not fit: 7." in datasheet


def test_a_deidentified_recording_keeps_all_frames_in_place_and_says_which_are_placards(
    project: Project, tmp_path: Path
) -> None:
    lost = write_video(tmp_path / "lost.mkv", grey_frames(3, HEIGHT, WIDTH))
    project.reviews.accept(project.add_clip(lost).id, Redaction(), reviewer="Eva")
    lost.unlink()
    report = deidentify_project(project, tmp_path / "out", CaseKey(project.folder / "case-key.json"))
    assert report.recordings == 1
    placards, missing = report.problems
    assert placards.startswith("pictures: 2 frames were replaced by placards: 5 to 6 (")
    assert "lost.mkv" in missing
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text("utf-8"))
    (entry,) = manifest["recordings"].values()
    assert entry["unreadable_frames"] == [5, 6]
    assert manifest["left_out"] == {"recordings that could not be read": 1}
    with project.open_clip(project.clips()[0].id) as original, open_clip(tmp_path / "out" / entry["file"]) as copy:
        assert copy.n_frames == FRAMES
        for t in (0, 4, 7, 11):
            np.testing.assert_array_equal(copy[t], original[t])
        np.testing.assert_array_equal(copy[5], placard_of(original))
    assert run("deidentify", project.folder, "--out", tmp_path / "more").exit_code == LEFT_OUT


def test_a_review_pack_leaves_out_and_names_what_cannot_be_read(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoText:
        def boxes(self, picture: np.ndarray) -> list:
            return []

    monkeypatch.setattr(review_pack, "TextDetector", NoText)
    lost = write_video(tmp_path / "lost.mkv", grey_frames(3, HEIGHT, WIDTH))
    project.add_clip(lost)
    lost.unlink()
    named: list[str] = []
    file = write_review_pack(project, project.clips(), tmp_path / "look", left_out=named.append)
    assert file is not None
    assert [entry["recording"] for entry in json.loads(file.read_text("utf-8"))["clips"]] == ["pictures"]
    assert named[0] == "pictures: 2 frames cannot be read: 5 to 6"
    assert named[1].startswith("lost.mkv: ")


def test_projections_are_those_of_the_readable_frames() -> None:
    frames = grey_frames(FRAMES, HEIGHT, WIDTH)
    found = project_clip(DamagedClip.of(frames, DAMAGED))
    readable = [t for t in range(FRAMES) if t not in DAMAGED]
    expected = project_clip(ArrayClip(frames[readable]))
    assert found is not None and expected is not None
    np.testing.assert_array_equal(found.brightest, expected.brightest)
    np.testing.assert_array_equal(found.darkest, expected.darkest)
    np.testing.assert_array_equal(found.changes[readable], expected.changes)
    assert found.frames(99, 0) == readable
    assert not set(found.frames(3, 2)) & set(DAMAGED)
    with pytest.raises(ClipError):
        project_clip(DamagedClip.of(frames, range(FRAMES)))


def test_a_placard_stands_for_damaged_frames_but_not_for_a_recording_out_of_reach(tmp_path: Path) -> None:
    clip = PlacardClip(DamagedClip.of(smooth(4, HEIGHT, WIDTH), [1]))
    with clip, clip.reopen() as again:
        for opened in (clip, again):
            np.testing.assert_array_equal(opened[0], smooth(4, HEIGHT, WIDTH)[0])
            np.testing.assert_array_equal(opened[-3], placard_of(clip))
            assert list(opened.unreadable) == [1]
    with pytest.raises(ClipError), PlacardClip(DamagedClip.of(smooth(1, HEIGHT, WIDTH), [0])) as nothing:
        nothing[0]
    path = write_damaged(tmp_path, "png", smooth(4, HEIGHT, WIDTH), [])
    with pytest.raises(ClipError), PlacardClip(open_clip(path)) as gone:
        path.rename(tmp_path / "unmounted")
        gone[2]
