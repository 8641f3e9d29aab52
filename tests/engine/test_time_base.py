# SPDX-License-Identifier: Apache-2.0
"""Who says the times of a recording, and the aspect of its pixels: told in words and in every export."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from small_project import THREE, annotate, disc, grey_frames, write_video
from vfss.clips import ArrayClip, Clip
from vfss.clips.time_base import frame_rate, is_plausible, times_text
from vfss.datasets import FORMATS, read_coco, run_export
from vfss.datasets.recording_facts import recording_facts
from vfss.project import Project

HEIGHT, WIDTH, FRAMES = 24, 32, 4
NOTE = "Doe_Jane.mkv says 0 frames a second in its header"


def clip(fps: float, **settings) -> ArrayClip:
    return ArrayClip(grey_frames(FRAMES, HEIGHT, WIDTH), fps=fps, **settings)


@pytest.fixture
def project(tmp_path: Path):
    """One clip of 30 frames a second with an annotated frame."""
    with Project.create(tmp_path / "project", THREE) as made:
        video = write_video(tmp_path / "Doe_Jane.mkv", grey_frames(FRAMES, HEIGHT, WIDTH))
        record = made.add_clip(video, patient="Jane Doe")
        annotate(made, record.id, 2, {"bolus": disc(HEIGHT, WIDTH, y=12, x=14, radius=4)})
        yield made


@pytest.fixture
def odd(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let recordings of a project have assumed times, wide pixels and a note, whatever their files say."""
    opened = Project.open_clip

    def open_clip(self: Project, clip_id: str) -> Clip:
        clip = opened(self, clip_id)
        clip.times_from, clip.pixel_aspect, clip.notes = "assumed", 8 / 9, (NOTE,)
        return clip

    monkeypatch.setattr(Project, "open_clip", open_clip)


def test_a_rate_is_given_with_who_says_so() -> None:
    assert times_text(clip(29.97)) == "29.97 frames a second"
    assert times_text(clip(30.0, times_from="assumed")) == "assumed 30 frames a second"
    assert times_text(clip(15.0, times_from="person")) == "15 frames a second, typed by a person"
    assert times_text(ArrayClip(grey_frames(1, HEIGHT, WIDTH))) == ""
    assert frame_rate(ArrayClip(np.zeros((1, 8, 8), np.uint8))) is None


@pytest.mark.parametrize(
    ("rate", "plausible"), [(0.5, False), (1.0, True), (30.0, True), (500.0, True), (30030.0, False)]
)
def test_some_rates_no_recording_has(rate: float, plausible: bool) -> None:
    assert is_plausible(rate) == plausible


def exported(folder: Path) -> tuple[dict, list[dict]]:
    """Return the manifest of a dataset and its frames."""
    frames = [json.loads(line) for line in (folder / "frames.jsonl").read_text("utf-8").splitlines()]
    return json.loads((folder / "manifest.json").read_text("utf-8")), frames


def test_an_export_says_who_says_the_times(project: Project, tmp_path: Path, odd: None) -> None:
    report = run_export(FORMATS["nnunet"], project, tmp_path / "out")
    manifest, (frame,) = exported(tmp_path / "out")
    ((recording, entry),) = manifest["clips"].items()
    assert (frame["times_from"], frame["pixel_aspect"]) == ("assumed", pytest.approx(8 / 9))
    assert (entry["times_from"], entry["pixel_aspect"]) == ("assumed", pytest.approx(8 / 9))
    assert entry["frame_rate"] == pytest.approx(30, abs=0.1)
    assert entry["notes"] == [NOTE.replace("Doe_Jane.mkv", recording)]
    assert any("are assumed (30 frames a second)" in line for line in report.lines())
    for document in ("README.txt", "DATASHEET.md"):
        text = (tmp_path / "out" / document).read_text("utf-8")
        assert "assumed (30 frames a second)" in text and "not square" in text and "0.8889" in text
    sheet = (tmp_path / "out" / "DATASHEET.md").read_text("utf-8")
    assert "says 0 frames a second in its header" in sheet
    assert "Doe" not in sheet


def test_readers_of_a_dataset_get_it_too(project: Project, tmp_path: Path, odd: None) -> None:
    run_export(FORMATS["coco"], project, tmp_path / "out")
    (image,) = read_coco(tmp_path / "out")
    assert (image.times_from, image.pixel_aspect) == ("assumed", pytest.approx(8 / 9))
    assert image.pixels().shape == (HEIGHT, WIDTH)


def test_an_interrupted_export_keeps_what_it_knew(project: Project, tmp_path: Path, odd: None) -> None:
    annotate(project, project.clips()[0].id, 3, {"bolus": disc(HEIGHT, WIDTH, y=12, x=14, radius=4)})
    run_export(FORMATS["npz"], project, tmp_path / "out", progress=lambda done, total: done < total)
    report = run_export(FORMATS["npz"], project, tmp_path / "out")
    manifest, _ = exported(tmp_path / "out")
    assert report.resumed == 2
    assert [entry["times_from"] for entry in manifest["clips"].values()] == ["assumed"]


def test_a_typed_rate_is_exported_as_such(project: Project, tmp_path: Path) -> None:
    record = project.clips()[0]
    project.set_frame_rate(record.id, 15.0)
    run_export(FORMATS["parquet"], project, tmp_path / "out")
    manifest, (frame,) = exported(tmp_path / "out")
    assert (frame["times_from"], frame["time_s"]) == ("person", pytest.approx(2 / 15))
    assert [entry["frame_rate"] for entry in manifest["clips"].values()] == [pytest.approx(15)]
    assert manifest["remarks"] == []


def test_a_name_like_a_long_number_is_kept_in_notes() -> None:
    recording = ArrayClip(grey_frames(1, HEIGHT, WIDTH))
    recording.notes = ("Doe_Jane.mkv has 20240131 in its header",)
    recording.source = Path("Doe_Jane.mkv")
    assert recording_facts(recording, "clip-7556768h")["notes"] == ["clip-7556768h has ... in its header"]
