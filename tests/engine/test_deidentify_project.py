# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

import planted
from small_project import annotate, disc, grey_frames, write_stack
from vfss.cli.app import app
from vfss.clips import ArrayClip, open_clip
from vfss.deidentify import CaseKey, PixelBox, Redaction, review_pack
from vfss.deidentify.project import deidentify_project
from vfss.deidentify.projections import project_clip
from vfss.deidentify.review_pack import FILE, accept_review_pack, write_review_pack
from vfss.deidentify.review_strip import review_strip
from vfss.deidentify.suggest_redaction import annotated_box, propose_crop
from vfss.errors import DatasetError
from vfss.project import Project

BOX = PixelBox(2, 2, 10, 40)
REVIEWER = "Dr. Hildegund Sichtprüfer"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Two recordings of one patient, a DICOM file and a video, with planted secrets."""
    made = Project.create(tmp_path / "project")
    lying = tmp_path / planted.PLACE
    lying.mkdir()
    files = (
        planted.write_dicom(lying / f"{planted.ID}.dcm", planted.dicom()),
        planted.write_video(lying / f"{planted.DAY}.mkv", grey_frames(4, 48, 64), (0, 40, 80, 150)),
    )
    for file in files:
        made.add_clip(file, patient=planted.NAME)
    return made


def review(project: Project) -> None:
    for record in project.clips():
        project.reviews.accept(record.id, Redaction((BOX,)), reviewer=REVIEWER, text=f"{planted.NAME} stands there")


def test_a_project_is_written_without_names(project: Project, tmp_path: Path) -> None:
    review(project)
    key = CaseKey(project.folder / "case-key.json")
    seen: list[tuple[int, int]] = []
    report = deidentify_project(project, tmp_path / "out", key, progress=lambda *at: seen.append(at) or True)
    assert (report.recordings, report.frames, report.cases, report.unreviewed) == (2, 7, 1, 0)
    assert seen[-1] == (7, 7) and sorted(seen) == seen
    assert (
        planted.leaks(tmp_path / "out", (*planted.SECRETS, REVIEWER, "Sichtprüfer", *(r.id for r in project.clips())))
        == []
    )
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text("utf-8"))
    assert manifest["pixels_reviewed"] is True
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "manifest.json",
        "README.txt",
        key.case(planted.NAME),
    }
    for record in project.clips():
        entry = manifest["recordings"][key.recording(record.id)]
        assert entry["review"]["reviewer"] == "annotator-1" and entry["boxes"] == [BOX.to_dict()]
        with open_clip(tmp_path / "out" / entry["file"]) as written, project.open_clip(record.id) as clip:
            for t in range(clip.n_frames):
                assert (written[t][BOX.slices] == 0).all()
                assert np.array_equal(written[t], Redaction((BOX,)).pixels(clip[t]))
    again = deidentify_project(project, tmp_path / "again", CaseKey(key.path))
    names = [sorted(str(p.relative_to(f)) for p in f.rglob("*")) for f in (tmp_path / "out", tmp_path / "again")]
    assert again.recordings == 2 and names[0] == names[1]


def test_assumed_times_and_the_aspect_of_pixels_are_stated(tmp_path: Path) -> None:
    with Project.create(tmp_path / "project") as project:
        for source in (
            write_stack(tmp_path / "a.tif", grey_frames(3, 48, 64)),
            planted.write_dicom(tmp_path / "b.dcm", planted.dicom()),
        ):
            project.add_clip(source)
        review(project)
        deidentify_project(project, tmp_path / "out", CaseKey(tmp_path / "key.json"))
    entries = json.loads((tmp_path / "out" / "manifest.json").read_text("utf-8"))["recordings"].values()
    assert [(entry["times_from"], entry["pixel_aspect"]) for entry in entries] == [("assumed", 1.0), ("file", 1.0)]
    assert "The times of 1 of 2 recordings are assumed" in (tmp_path / "out" / "README.txt").read_text("utf-8")


def test_unreviewed_recordings_are_refused(project: Project, tmp_path: Path) -> None:
    key = CaseKey(project.folder / "case-key.json")
    project.reviews.accept(project.clips()[0].id, Redaction(), reviewer="Eva")
    with pytest.raises(DatasetError, match="were not reviewed"):
        deidentify_project(project, tmp_path / "out", key)
    assert not (tmp_path / "out").exists()
    report = deidentify_project(project, tmp_path / "out", key, unreviewed=True)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text("utf-8"))
    assert report.unreviewed == 1 and manifest["pixels_reviewed"] is False
    assert sorted(entry["pixels_reviewed"] for entry in manifest["recordings"].values()) == [False, True]
    assert "WERE NOT REVIEWED" in (tmp_path / "out" / "README.txt").read_text("utf-8")
    assert "WERE NOT REVIEWED" in " ".join(report.lines())
    assert deidentify_project(project, tmp_path / "one", key, clips=[project.clips()[0].id]).recordings == 1


@pytest.mark.parametrize("stop", [1, 3, 5, 7])
def test_a_cancelled_run_leaves_nothing(project: Project, tmp_path: Path, stop: int) -> None:
    review(project)
    before = set(tmp_path.iterdir())
    report = deidentify_project(
        project, tmp_path / "out", CaseKey(project.folder / "case-key.json"), progress=lambda done, _: done < stop
    )
    assert report.cancelled and set(tmp_path.iterdir()) == before


def test_refusals(project: Project, tmp_path: Path) -> None:
    review(project)
    inside = CaseKey(tmp_path / "out" / "key.json")
    with pytest.raises(DatasetError, match="case key is inside"):
        deidentify_project(project, tmp_path / "out", inside)
    with pytest.raises(DatasetError, match="no recording"):
        deidentify_project(project, tmp_path / "out", CaseKey(tmp_path / "key.json"), clips=[])
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    with pytest.raises(DatasetError, match="not empty"):
        deidentify_project(project, tmp_path / "taken", CaseKey(tmp_path / "key.json"))
    with pytest.raises(DatasetError):
        deidentify_project(project, tmp_path / "taken" / "file" / "out", CaseKey(tmp_path / "key.json"))
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="rights do not bind this user")
def test_the_error_names_a_read_only_folder(project: Project, tmp_path: Path) -> None:
    review(project)
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(DatasetError, match="cannot be written"):
        deidentify_project(project, tmp_path / "closed" / "out", CaseKey(project.folder / "case-key.json"))


def test_an_unreadable_recording_is_left_out_and_reported(project: Project, tmp_path: Path) -> None:
    review(project)
    dicom = project.clips()[0].path
    dicom.unlink()
    report = deidentify_project(project, tmp_path / "out", CaseKey(project.folder / "case-key.json"))
    assert report.recordings == 1 and len(report.problems) == 1
    assert planted.leaks(tmp_path / "out") == []


class FakeDetector:
    """A detector that finds one line of text in every picture."""

    def boxes(self, picture: np.ndarray) -> list[PixelBox]:
        return [BOX]


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(review_pack, "TextDetector", FakeDetector)


@pytest.mark.usefixtures("no_network")
def test_prepare_accept_and_write_on_the_command_line(project: Project, tmp_path: Path) -> None:
    folder = project.folder
    assert run("deidentify", folder, "--out", tmp_path / "out").exit_code == 1
    prepared = run("deidentify", folder, "--prepare", tmp_path / "look")
    assert prepared.exit_code == 0, prepared.output
    file = tmp_path / "look" / FILE
    data = json.loads(file.read_text("utf-8"))
    assert [len(entry["boxes"]) for entry in data["clips"]] == [1, 1]
    assert data["clips"][0]["boxes"][0] == {**BOX.to_dict(), "seen": "on 5 of 5 pictures"}
    for entry in data["clips"]:
        assert Image.open(tmp_path / "look" / entry["strip"]).mode == "RGB"
    data["clips"][0]["boxes"][0]["right"] = 44
    file.write_text(json.dumps(data), "utf-8")
    assert run("deidentify", folder, "--accept", file).exit_code == 1
    accepted = run("deidentify", folder, "--accept", file, "--reviewer", "Eva")
    assert accepted.exit_code == 0 and "accepted 2 recordings" in accepted.stdout
    review = project.reviews.of(project.clips()[0].id)
    assert review is not None and review.redaction.boxes[0].right == 44
    written = run("deidentify", folder, "--out", tmp_path / "out", "--key", tmp_path / "key.json")
    assert written.exit_code == 0, written.output
    assert planted.leaks(tmp_path / "out") == [] and (tmp_path / "key.json").is_file()


def test_the_command_line_needs_an_explicit_flag_without_a_review(project: Project, tmp_path: Path) -> None:
    refused = run("deidentify", project.folder, "--out", tmp_path / "out")
    assert refused.exit_code == 1 and "were not reviewed" in refused.stderr
    flag = "--i-accept-that-nobody-looked-at-the-pixels"
    written = run("deidentify", project.folder, "--out", tmp_path / "out", flag)
    assert written.exit_code == 0 and "Not all pixels were reviewed" in written.stderr
    assert run("deidentify", project.folder).exit_code == 2
    assert run("deidentify", project.clips()[0].path, "--out", tmp_path / "more").exit_code == 1


def test_a_single_recording_is_written_through_a_new_project(project: Project, tmp_path: Path) -> None:
    flag = "--i-accept-that-nobody-looked-at-the-pixels"
    path = project.clips()[1].path
    done = run("deidentify", path, "--project", tmp_path / "new", "--out", tmp_path / "out", flag)
    assert done.exit_code == 0, done.output
    assert planted.leaks(tmp_path / "out") == [] and len(list((tmp_path / "out").rglob("*.mkv"))) == 1


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"clips": []}', '{"clips": [{"clip": "b2-x"}]}', '{"clips": [{"boxes": []}]}']
)
def test_malformed_redaction_files_are_refused(project: Project, tmp_path: Path, content: str) -> None:
    (tmp_path / "r.json").write_text(content, "utf-8")
    with pytest.raises(DatasetError):
        accept_review_pack(project, tmp_path / "r.json", reviewer="Eva")


def test_one_box_too_large_accepts_nothing(project: Project, tmp_path: Path) -> None:
    first, second = (record.id for record in project.clips())
    large = PixelBox(0, 0, 49, 3).to_dict()
    entries = [{"clip": first, "boxes": []}, {"clip": second, "boxes": [large]}]
    (tmp_path / "r.json").write_text(json.dumps({"clips": entries}), "utf-8")
    with pytest.raises(DatasetError, match="does not fit"):
        accept_review_pack(project, tmp_path / "r.json", reviewer="Eva")
    assert project.reviews.of(first) is None


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("stop", [1, 60, 700])
def test_a_cancelled_review_pack_leaves_nothing(project: Project, tmp_path: Path, stop: int) -> None:
    assert write_review_pack(project, project.clips(), tmp_path / "look", lambda done, _: done < stop) is None
    assert not list(tmp_path.glob("look*"))


def exposed_field_in_dark_frame(n: int = 6) -> np.ndarray:
    """Frames with an exposed field of 60x70, and text beside it from frame 3 on; uint8 (n, 100, 200)."""
    frames = np.full((n, 100, 200), 3, np.uint8)
    frames[:, 20:80, 60:130] = grey_frames(n, 60, 70) // 2 + 100
    frames[3:, 2:8, 150:190:2] = 255
    return frames


def test_the_crop_is_the_exposed_field_and_contains_all_masks() -> None:
    glance = project_clip(ArrayClip(exposed_field_in_dark_frame()))
    assert glance is not None
    crop = propose_crop(glance)
    assert crop is not None
    assert crop.top <= 20 and crop.left <= 60 and crop.bottom >= 80 and crop.right >= 130
    assert (crop.bottom - crop.top) * (crop.right - crop.left) < 0.4 * 100 * 200
    crop = propose_crop(glance, keep=PixelBox(10, 20, 30, 40))
    assert crop is not None and crop.left == 20 and crop.top <= 10
    everywhere = project_clip(ArrayClip(grey_frames(3, 100, 200)))
    assert everywhere is not None and propose_crop(everywhere) is None


def test_frames_to_examine_include_those_where_the_border_changes() -> None:
    frames = exposed_field_in_dark_frame(40)
    frames[29, 90:98, 5:60] = 255
    glance = project_clip(ArrayClip(frames))
    assert glance is not None
    assert {0, 3, 29, 39} <= set(glance.frames(4, 4)) and len(glance.frames(4, 4)) <= 8
    assert glance.frames(30, 30) == list(range(40))
    assert (glance.brightest[2:8, 150:190:2] == 255).all() and (glance.darkest[2:8, 150:190:2] == 3).all()
    assert project_clip(ArrayClip(frames), lambda done, _: done < 5) is None


def test_the_box_around_all_masks(project: Project) -> None:
    clip = project.clips()[0].id
    assert annotated_box(project, clip) is None
    annotate(project, clip, 0, {"bolus": disc(48, 64, y=20, x=10, radius=4)})
    annotate(project, clip, 2, {"c7": disc(48, 64, y=40, x=50, radius=3)})
    assert annotated_box(project, clip) == PixelBox(16, 6, 44, 54)


@pytest.mark.parametrize("redaction", [Redaction(), Redaction((PixelBox(0, 140, 12, 200),), PixelBox(10, 50, 90, 140))])
def test_the_strip_shows_result_and_frames(redaction: Redaction) -> None:
    clip = ArrayClip(exposed_field_in_dark_frame())
    glance = project_clip(clip)
    assert glance is not None
    strip: Any = review_strip(clip, redaction, glance, frames=3)
    assert strip.dtype == np.uint8 and strip.ndim == 3 and strip.shape[2] == 3
    assert strip.shape[0] >= 2 * 480 and strip.shape[1] <= 4096
    red = (strip == (255, 60, 60)).all(axis=-1)
    assert red.any() == bool(redaction.boxes)
