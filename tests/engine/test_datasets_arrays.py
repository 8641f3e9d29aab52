# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pyarrow.parquet as pq
import pytest
from pycocotools import mask as rle

from foreign_program import ask
from small_project import THREE, annotate, clip_id, disc, grey_frames, write_stack, write_video
from vfss.clips import Clip
from vfss.datasets import FORMATS, run_export
from vfss.datasets.sidecar import read_frames
from vfss.deidentify import CaseKey
from vfss.masks import MaskState
from vfss.project import Project

HEIGHT, WIDTH = 22, 35  # neither a multiple of eight
INNER, OUTER = (disc(HEIGHT, WIDTH, y=11, x=14, radius=r) for r in (4, 8))


@pytest.fixture
def project(tmp_path: Path):
    """Two patients in two splits; a clip of 8 bits, and one of 16."""
    with Project.create(tmp_path / "project", THREE) as made:
        made.assign_split("Jane Doe", "train")
        made.assign_split("John Doe", "test")
        first = made.add_clip(write_video(tmp_path / "a.mkv", grey_frames(6, HEIGHT, WIDTH)), patient="Jane Doe").id
        second = made.add_clip(
            write_stack(tmp_path / "b.tif", grey_frames(3, HEIGHT, WIDTH, seed=1, bits=12)), patient="John Doe"
        ).id
        annotate(made, first, 1, {"bolus": INNER, "pharynx": OUTER, "mandible": MaskState.NOT_VISIBLE})
        annotate(made, first, 4, {"bolus": MaskState.EMPTY, "pharynx": np.roll(OUTER, 3, 1)})
        annotate(made, second, 2, {"mandible": np.roll(INNER, -2, 0)})
        yield made


def clips_of(project: Project) -> tuple[str, str]:
    key = CaseKey(project.folder / "case-key.json")
    first, second = (key.recording(record.id) for record in project.clips())
    return first, second


def test_nibabel_reads_the_volumes_and_frames_jsonl_has_the_states(project: Project, tmp_path: Path) -> None:
    report = run_export(FORMATS["nifti"], project, tmp_path / "out")
    first, second = clips_of(project)
    frames = nib.load(tmp_path / "out" / first / "frames.nii.gz")
    assert frames.shape == (WIDTH, HEIGHT, 2)
    np.testing.assert_array_equal(np.asarray(frames.dataobj).T, grey_frames(6, HEIGHT, WIDTH)[[1, 4]])
    assert frames.header["pixdim"][4] == pytest.approx(1 / 30, abs=1e-3)
    assert frames.header.get_xyzt_units() == ("unknown", "sec")
    assert b"of the recording" in frames.header["descrip"].item()
    sixteen = nib.load(tmp_path / "out" / second / "frames.nii.gz")
    assert sixteen.get_data_dtype() == np.uint16
    np.testing.assert_array_equal(np.asarray(sixteen.dataobj).T, grey_frames(3, HEIGHT, WIDTH, seed=1, bits=12)[[2]])
    volumes = {key: np.asarray(nib.load(tmp_path / "out" / first / f"{key}.nii.gz").dataobj).T for key in THREE.keys}
    np.testing.assert_array_equal(volumes["bolus"], [INNER, np.zeros_like(INNER)])
    np.testing.assert_array_equal(volumes["pharynx"], [OUTER, np.roll(OUTER, 3, 1)])
    assert not volumes["mandible"].any()
    lines = list(read_frames(tmp_path / "out"))
    assert [(line["clip"], line["frame"], line["volume_index"]) for line in lines] == [
        (first, 1, 0), (first, 4, 1), (second, 2, 0)
    ]  # fmt: skip
    assert lines[0]["states"] == {"bolus": "accepted", "pharynx": "accepted", "mandible": "not visible"}
    assert lines[1]["states"]["bolus"] == "empty"
    assert report.lost == {
        "planes not visible (0 in the volumes, marked in frames.jsonl)": 1,
        "planes not annotated (0 in the volumes, marked in frames.jsonl)": 3,
    }
    assert not list((tmp_path / "out").rglob("*.tmp"))


def test_the_volumes_say_what_is_assumed_and_how_wide_a_pixel_is(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = project.open_clip

    def of_a_tape(clip_id: str, **options: Any) -> Clip:
        clip = opened(clip_id, **options)
        clip.times_from, clip.pixel_aspect = "assumed", 8 / 9
        return clip

    monkeypatch.setattr(project, "open_clip", of_a_tape)
    run_export(FORMATS["nifti"], project, tmp_path / "out")
    for name in ("frames", "bolus"):
        header = nib.load(tmp_path / "out" / clips_of(project)[0] / f"{name}.nii.gz").header
        assert header["pixdim"][1:4] == pytest.approx([8 / 9, 1, 1])
        assert b"ASSUMED" in header["descrip"].item()


@pytest.mark.foreign
def test_itk_reads_the_volumes_frame_by_frame(project: Project, tmp_path: Path) -> None:
    run_export(FORMATS["nifti"], project, tmp_path / "out")
    first, second = (tmp_path / "out" / name for name in clips_of(project))
    paths = [first / "frames.nii.gz", first / "pharynx.nii.gz", second / "frames.nii.gz"]
    answer = ask("foreign_itk.py", tmp_path / "arrays.npz", *paths)
    arrays = np.load(tmp_path / "arrays.npz")
    np.testing.assert_array_equal(arrays["0"], grey_frames(6, HEIGHT, WIDTH)[[1, 4]])
    np.testing.assert_array_equal(arrays["1"], [OUTER, np.roll(OUTER, 3, 1)])
    np.testing.assert_array_equal(arrays["2"], grey_frames(3, HEIGHT, WIDTH, seed=1, bits=12)[[2]])
    assert answer["spacing"] == [[1, 1, 1]] * 3
    assert float(answer["seconds"][0]) == pytest.approx(1 / 30, abs=1e-3)


def test_numpy_reads_the_frames(project: Project, tmp_path: Path) -> None:
    run_export(FORMATS["npz"], project, tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text("utf-8"))
    lines = list(read_frames(tmp_path / "out"))
    assert len(lines) == 3
    for line in lines:
        clip = next(record for record in project.clips() if record.id == clip_id(project, line["clip"]))
        stored = project.masks(clip.id, line["frame"])
        with np.load(tmp_path / "out" / line["file_name"]) as arrays:
            with project.open_clip(clip.id) as opened:
                np.testing.assert_array_equal(arrays["image"], opened[line["frame"]])
            np.testing.assert_array_equal(arrays["masks"], stored.planes)
            np.testing.assert_array_equal(arrays["states"], stored.state)
    assert manifest["state_codes"]["not visible"] == MaskState.NOT_VISIBLE
    assert lines[2]["split"] == "test"


def test_hugging_faces_datasets_loads_the_parquet(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    run_export(FORMATS["parquet"], project, tmp_path / "out")
    loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert {name: len(split) for name, split in loaded.items()} == {"train": 2, "test": 1}
    first, second = loaded["train"]
    np.testing.assert_array_equal(np.asarray(first["image"]), grey_frames(6, HEIGHT, WIDTH)[1])
    for key, truth in (("bolus", INNER), ("pharynx", OUTER)):
        code = first[f"mask_{key}"]
        np.testing.assert_array_equal(rle.decode({**code, "counts": code["counts"].encode()}), truth)
    assert first["mask_mandible"] is None
    assert first["states"]["mandible"] == "not visible"
    code = second["mask_bolus"]
    assert not rle.decode({**code, "counts": code["counts"].encode()}).any()
    assert second["states"] == {"bolus": "empty", "pharynx": "accepted", "mandible": "unseen"}
    assert first["authors"]["bolus"] is not None
    sixteen = np.asarray(loaded["test"][0]["image"])
    np.testing.assert_array_equal(sixteen, grey_frames(3, HEIGHT, WIDTH, seed=1, bits=12)[2])
    assert not (tmp_path / "out" / "spool").exists()


def test_a_long_split_becomes_several_files(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vfss.datasets.formats.parquet.ROWS", 3)
    monkeypatch.setattr("vfss.datasets.formats.parquet.GROUP", 2)
    first = project.clips()[0].id
    for frame in (0, 2, 3, 5):
        annotate(project, first, frame, {"bolus": INNER})
    run_export(FORMATS["parquet"], project, tmp_path / "out")
    files = sorted((tmp_path / "out" / "data").glob("train-*"))
    assert [pq.read_table(file)["frame"].to_pylist() for file in files] == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize("name", ["nifti", "npz", "parquet"])
@pytest.mark.parametrize("frames", [1, 2])
def test_a_stopped_export_ends_with_the_same_files(project: Project, tmp_path: Path, name: str, frames: int) -> None:
    assert run_export(FORMATS[name], project, tmp_path / "out", progress=lambda done, _total: done < frames).cancelled
    run_export(FORMATS[name], project, tmp_path / "out")
    run_export(FORMATS[name], project, tmp_path / "at once")
    names = {path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*")}
    assert names == {path.relative_to(tmp_path / "at once") for path in (tmp_path / "at once").rglob("*")}
    timed = {"manifest.json", "SHA256SUMS"}  # they contain the time of the export
    for path in names:
        if path.name not in timed and (tmp_path / "out" / path).is_file():
            assert (tmp_path / "out" / path).read_bytes() == (tmp_path / "at once" / path).read_bytes(), path
