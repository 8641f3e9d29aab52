# SPDX-License-Identifier: Apache-2.0
"""Events and swallows that people marked, in datasets of every format."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from clip_material import dataset, write_dicom
from small_project import THREE, annotate, case, disc, grey_frames, write_video
from vfss.clips import Swallow
from vfss.datasets import FORMATS, ExportOptions, run_export
from vfss.deidentify import CaseKey
from vfss.events import FREE, SWALLOW
from vfss.project import Project
from vfss.project.records import Mark

MASK = disc(24, 32, y=9, x=9, radius=5)


@pytest.fixture
def project(tmp_path: Path):
    """A recording with events by two people, and one with events and no mask."""
    with Project.create(tmp_path / "project", THREE) as made:
        source = write_dicom(tmp_path / "a.dcm", grey_frames(8, 24, 32), FrameTime="40")
        clip = made.add_clip(source, patient="Jane Doe").id
        annotate(made, clip, 1, {"bolus": MASK})
        marks = made.marks
        marks.set(clip, Mark(SWALLOW, 1, 6), author="Ada")
        opening = marks.set(clip, Mark("ueso", 3), author="Ada")
        marks.set(clip, replace(opening, first=4), author="Bo")
        marks.set(clip, Mark("residue", 7, text="Jane coughs"), author="Ada")
        marks.set(clip, Mark(FREE, 5, text="Jane turns her head"), author="Ada")
        marks.remove(clip, marks.set(clip, Mark("aspiration", 6), author="Ada"), author="Ada")
        marks.set(clip, Mark("jane-doe-1950", 2), author="Ada")
        other = made.add_clip(write_video(tmp_path / "b.mkv", grey_frames(3, 24, 32, seed=1))).id
        marks.set(other, Mark("hyb", 1), author="Ada")
        yield made


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "events.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_has_the_events(project: Project, tmp_path: Path, name: str) -> None:
    report = run_export(FORMATS[name], project, tmp_path / "out")
    data = json.loads((tmp_path / "out" / "events.json").read_text("utf-8"))
    rows = data["events"]
    assert [(row["kind"], row["frame"], row["last_frame"], row["version"]) for row in rows] == [
        ("swallow", 1, 6, 1), ("other", 2, None, 1), ("ueso", 4, None, 2), ("note", 5, None, 1), ("residue", 7, None, 1)
    ]  # fmt: skip
    assert [row["time_s"] for row in rows] == pytest.approx([0.04, 0.08, 0.16, 0.2, 0.28])
    assert rows[0]["last_time_s"] == pytest.approx(0.24)
    people = CaseKey(project.folder / "case-key.json")
    assert rows[2]["by"] == people.annotator("Bo") and rows[3]["by"] == people.annotator("Ada")
    assert {row["times_from"] for row in rows} == {"file"}
    assert {row["patient"] for row in rows} == {case(project, "Jane Doe")}
    assert data["definitions"]["ueso"].startswith("UES opening: First frame with")
    as_text = [{key: "" if value is None else str(value) for key, value in row.items()} for row in rows]
    assert table(tmp_path / "out") == as_text
    assert report.left_out["events of recordings without exported frames"] == 1
    assert report.left_out["texts that people typed about events (they may name patients)"] == 2
    sheet = (tmp_path / "out" / "DATASHEET.md").read_text("utf-8")
    assert "| ueso | UES opening: First frame with the upper oesophageal sphincter open | 1 |" in sheet
    for path in (tmp_path / "out").rglob("*"):
        assert not path.is_file() or b"jane" not in path.read_bytes().lower(), path


def test_texts_and_names_are_written_only_by_option(project: Project, tmp_path: Path) -> None:
    options = ExportOptions(event_text=True, name_authors=True)
    report = run_export(FORMATS["png"], project, tmp_path / "out", options)
    rows = table(tmp_path / "out")
    assert [row["text"] for row in rows] == ["", "", "", "Jane turns her head", "Jane coughs"]
    assert [row["by"] for row in rows] == ["Ada", "Ada", "Bo", "Ada", "Ada"]
    assert not any("texts that people typed" in reason for reason in report.left_out)


def test_a_continued_export_has_the_events_as_they_were_and_changed_ones_begin_it_anew(
    project: Project, tmp_path: Path
) -> None:
    clip = project.clips()[0].id
    for frame in range(2, 6):
        annotate(project, clip, frame, {"bolus": MASK})
    out = tmp_path / "out"
    assert run_export(FORMATS["png"], project, out, progress=lambda done, _: done < 5).cancelled
    assert run_export(FORMATS["png"], project, out).resumed == 5
    assert len(table(out)) == 5
    assert run_export(FORMATS["png"], project, tmp_path / "b", progress=lambda done, _: done < 3).cancelled
    project.marks.set(clip, Mark("lvc", 3), author="Ada")
    assert run_export(FORMATS["png"], project, tmp_path / "b").resumed == 0
    assert len(table(tmp_path / "b")) == 6


def test_without_events_the_table_is_empty_and_the_datasheet_says_so(tmp_path: Path) -> None:
    with Project.create(tmp_path / "project", THREE) as project:
        annotate(
            project, project.add_clip(write_video(tmp_path / "b.mkv", grey_frames(2, 24, 32))).id, 0, {"bolus": MASK}
        )
        run_export(FORMATS["npz"], project, tmp_path / "out")
    assert table(tmp_path / "out") == []
    assert "Nobody marked events" in (tmp_path / "out" / "DATASHEET.md").read_text("utf-8")


def test_assumed_times_are_called_so_and_swallows_of_the_recording_have_no_author(tmp_path: Path) -> None:
    made = dataset(grey_frames(4, 24, 32))
    made.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    with Project.create(tmp_path / "project", THREE) as project:
        clip = project.add_clip(tmp_path / "a.dcm").id
        project.update_clip(clip, swallows=[Swallow(1, 2)])
        annotate(project, clip, 0, {"bolus": MASK})
        run_export(FORMATS["npz"], project, tmp_path / "out")
    (row,) = table(tmp_path / "out")
    assert (row["kind"], row["times_from"], row["by"], row["set"], row["version"]) == (
        "swallow",
        "assumed",
        "",
        "",
        "1",
    )
