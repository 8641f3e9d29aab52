# SPDX-License-Identifier: Apache-2.0
"""The preview of an export equals the export, and unfinished exports are found again."""

from __future__ import annotations

import fnmatch
from dataclasses import replace
from pathlib import Path

import pytest

from small_project import annotate, cohort, disc
from vfss.datasets import FORMATS, ExportOptions, run_export
from vfss.datasets.export_folder import choose_target
from vfss.datasets.preview import preview, review_text
from vfss.deidentify import PixelBox, Redaction
from vfss.errors import DatasetError
from vfss.masks import MaskState
from vfss.project import Project

OPTIONS = ExportOptions()


@pytest.fixture
def project(tmp_path: Path):
    with cohort(tmp_path, {"a": "train", "b": "validation", "c": "test"}) as made:
        yield made


@pytest.mark.parametrize("name", FORMATS)
def test_the_preview_equals_the_export(project: Project, tmp_path: Path, name: str) -> None:
    annotate(project, project.clips()[0].id, 2, {"mandible": (disc(48, 64, y=9, x=9, radius=4), MaskState.EDITED)})
    options = replace(OPTIONS, include_edited=name == "coco", licence="CC0-1.0")
    counted = preview(project, FORMATS[name], options)
    assert counted is not None
    report = run_export(FORMATS[name], project, tmp_path / "out", options)
    assert (counted.frames, counted.planes, counted.patients) == (report.images, report.planes, report.patients)
    assert (dict(counted.structures), dict(counted.splits)) == (dict(report.structures), dict(report.splits))
    assert dict(counted.left_out) == dict(report.left_out)
    names = {known.identity.recording for known in counted.recordings}
    text = "\n".join(path.name for path in (tmp_path / "out").rglob("*")) + (tmp_path / "out/SHA256SUMS").read_text()
    assert any(known in text for known in names) or name == "parquet"


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "dicom-seg"])
def test_the_folder_has_the_contents_of_the_preview(project: Project, tmp_path: Path, name: str) -> None:
    run_export(FORMATS[name], project, tmp_path / "out")
    counted = preview(project, FORMATS[name], OPTIONS)
    assert counted is not None
    patterns = [
        part.strip() for line in counted.contents for part in line.split(":")[0].replace("NNN_NAME", "*").split(",")
    ]
    patterns = [part.replace("...", "*").rstrip("/") for part in patterns] + ["manifest.json", "frames.jsonl"]
    for path in (tmp_path / "out").iterdir():
        assert any(fnmatch.fnmatch(path.name, pattern) for pattern in patterns), path.name
    assert all(any((tmp_path / "out").glob(pattern)) for pattern in patterns[:-2])


def test_the_preview_of_a_format_that_refuses_all_recordings(project: Project, tmp_path: Path) -> None:
    narrow = replace(FORMATS["dicom-seg"], refuses=lambda clip: "frames that are too wide" if clip.width > 9 else "")
    counted = preview(project, narrow, OPTIONS)
    assert counted is not None and counted.frames == counted.patients == 0
    assert sum(counted.left_out.values()) == 9 and "too wide" in counted.recordings[0].refused
    with pytest.raises(DatasetError, match="too wide"):
        run_export(narrow, project, tmp_path / "out", OPTIONS)
    project.clips()[0].path.unlink()
    gone = preview(project, narrow, OPTIONS)
    assert gone is not None and "could not be opened" in gone.recordings[0].refused
    assert preview(project, FORMATS["coco"], OPTIONS, lambda _done, _total: False) is None


def test_unreviewed_recordings_are_named_and_refused(project: Project, tmp_path: Path) -> None:
    record = project.clips()[1]
    project.reviews.withdraw(record.id, reviewer="reader one")
    counted = preview(project, FORMATS["png"], OPTIONS)
    assert counted is not None and [known.identity.record.id for known in counted.unreviewed] == [record.id]
    with pytest.raises(DatasetError, match="were not reviewed"):
        run_export(FORMATS["png"], project, tmp_path / "out")
    assert review_text(project.reviews.of(record.id)) == "not reviewed yet"
    box = PixelBox(0, 0, 4, 9)
    assert review_text(project.reviews.accept(record.id, Redaction((box,)), reviewer="Eva")).endswith(": 1 box")
    both = project.reviews.accept(record.id, Redaction((box, box), PixelBox(0, 0, 40, 60)), reviewer="Eva")
    assert review_text(both).startswith("reviewed by Eva on ") and review_text(both).endswith(": 2 boxes, cropped")


def test_an_export_goes_into_a_free_folder_or_a_new_one_inside(project: Project, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    assert choose_target(project, FORMATS["coco"], OPTIONS, tmp_path / "new").folder == tmp_path / "new"
    assert choose_target(project, FORMATS["coco"], OPTIONS, taken).folder == taken
    (taken / "mine.txt").write_text("mine")
    target = choose_target(project, FORMATS["png"], OPTIONS, taken)
    assert target.folder.parent == taken and target.folder.name.startswith("vfss_png_") and not target.done


@pytest.mark.parametrize("chosen", ["out", "out.partial", ""])
def test_an_interrupted_export_is_found_from_any_chosen_folder(project: Project, tmp_path: Path, chosen: str) -> None:
    stopped = run_export(FORMATS["coco"], project, tmp_path / "out", progress=lambda done, _total: done < 4)
    assert stopped.cancelled
    target = choose_target(project, FORMATS["coco"], OPTIONS, tmp_path / chosen)
    assert (target.folder, target.done) == (tmp_path / "out", 4)
    another = choose_target(project, FORMATS["coco"], replace(OPTIONS, licence="CC0-1.0"), tmp_path)
    assert another.folder != tmp_path / "out" and not another.done
    assert run_export(FORMATS["coco"], project, target.folder).resumed == 4
