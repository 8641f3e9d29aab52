# SPDX-License-Identifier: Apache-2.0
"""A full disk and what libraries raise end an export with a DatasetError; the same export then goes on."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import gdcm
import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate, generate_frames

from clip_material import recode, write_dicom
from small_project import THREE, annotate, disc, grey_frames, write_video
from vfss.clips import open_clip
from vfss.clips.placard import placard_of
from vfss.datasets import FORMATS, run_export
from vfss.errors import DatasetError
from vfss.project import Project
from vfss.project.case_key import CaseKey

MASK = disc(48, 64, y=20, x=20, radius=9)


@pytest.fixture
def project(tmp_path: Path):
    with Project.create(tmp_path / "project", THREE) as made:
        clip = made.add_clip(write_video(tmp_path / "a.mkv", grey_frames(4, 48, 64)), patient="a").id
        for frame in (1, 3):
            annotate(made, clip, frame, {"bolus": MASK, "pharynx": MASK})
        run_export(FORMATS["npz"], made, tmp_path / "first")  # case key and split are written now
        yield made


@pytest.mark.skipif(sys.platform == "win32", reason="limits of file sizes are those of POSIX")
@pytest.mark.parametrize("name", FORMATS)
def test_a_full_disk_is_a_dataset_error_and_the_export_goes_on_later(
    project: Project, tmp_path: Path, name: str
) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in (20, 100, 800, 3000):
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))  # as if the disk were full after so many bytes
            with pytest.raises(DatasetError, match="cannot be written"):
                run_export(FORMATS[name], project, tmp_path / "out")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert run_export(FORMATS[name], project, tmp_path / "out").images == 2


@pytest.mark.parametrize("method", ["begin_clip", "add", "end_clip", "finish"])
@pytest.mark.parametrize("name", ["parquet", "yolo"])
def test_what_a_library_raises_is_a_dataset_error(project: Project, tmp_path: Path, name: str, method: str) -> None:
    written = FORMATS[name]

    def begin(job: Any) -> Any:
        writer = written.begin(job)

        def fails(*_: object) -> None:
            raise (written.errors[0])("the library's words")

        setattr(writer, method, fails)
        return writer

    with pytest.raises(DatasetError, match=r"cannot be written as .*the library's words"):
        run_export(replace(written, begin=begin), project, tmp_path / "out")
    assert run_export(written, project, tmp_path / "out").images == 2


def test_a_damaged_frame_is_a_placard_in_the_copy_that_segmentations_refer_to(project: Project, tmp_path: Path) -> None:
    native = write_dicom(tmp_path / "native.dcm", grey_frames(3, 48, 64, seed=2), PatientName="Doe^Jane")
    source = recode(native, tmp_path / "damaged.dcm", gdcm.TransferSyntax.RLELossless)
    made = pydicom.dcmread(source)
    frames = list(generate_frames(made.PixelData, number_of_frames=3))
    made.PixelData = encapsulate([frames[0], b"no picture", frames[2]])
    made.save_as(source, enforce_file_format=True)
    clip = project.add_clip(tmp_path / "damaged.dcm").id
    annotate(project, clip, 0, {"bolus": np.ones((48, 64), np.bool_)})
    report = run_export(FORMATS["dicom-seg"], project, tmp_path / "out")
    assert report.images == 3
    assert report.lost["frames of recordings that cannot be read (a placard in the copy)"] == 1
    key = CaseKey(project.folder / "case-key.json")
    with project.open_clip(clip) as original, open_clip(tmp_path / "out" / f"{key.recording(clip)}.dcm") as copy:
        assert copy.n_frames == 3
        np.testing.assert_array_equal(copy[2], original[2])
        np.testing.assert_array_equal(copy[1], placard_of(original))
