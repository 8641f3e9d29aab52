# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import cv2
import imageio.v3 as iio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from foreign_program import ask
from small_project import THREE, clip_id, cohort, contents
from vfss.datasets import FORMATS, ExportReport
from vfss.datasets.export import run_export
from vfss.datasets.formats.yolo import polygons
from vfss.datasets.sidecar import read_frames
from vfss.masks import MaskState
from vfss.masks.metrics import dice
from vfss.project import Project

YOLO = FORMATS["yolo"]
SPLITS = {"p1": "train", "p2": "train", "v1": "validation", "t1": "test"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory):
    with cohort(tmp_path_factory.mktemp("cohort"), SPLITS, deep="v1") as made:
        yield made


@pytest.fixture(scope="module")
def report(project: Project, tmp_path_factory: pytest.TempPathFactory) -> ExportReport:
    return run_export(YOLO, project, tmp_path_factory.mktemp("yolo") / "out")


def drawn(plane: np.ndarray) -> np.ndarray:
    """Redraw a plane, bool (H, W), from its polygons, one by one."""
    mask = np.zeros(plane.shape, np.uint8)
    for corners in polygons(plane, Counter()):
        cv2.fillPoly(mask, [corners], 1)
    return mask.astype(np.bool_)


@pytest.mark.foreign
def test_ultralytics_reads_it(project: Project, report: ExportReport, tmp_path: Path) -> None:
    shutil.copytree(report.folder, tmp_path / "out")  # ultralytics leaves its own files there
    answer = ask(
        "foreign_yolo.py",
        tmp_path / "out" / "data.yaml",
        tmp_path / "arrays.npz",
        YOLO_CONFIG_DIR=tmp_path,
        YOLO_OFFLINE="true",
    )
    assert answer["names"] == {str(i): key for i, key in enumerate(THREE.keys)}
    assert answer["bad"] == answer["empty"] == []
    arrays = np.load(tmp_path / "arrays.npz")
    frames = list(read_frames(report.folder))
    assert len(arrays) == 3 * len(frames)
    for fields in frames:
        case = fields["file_name"].removeprefix("images/").removesuffix(".png")
        masks = project.masks(clip_id(project, fields["clip"]), fields["frame"])
        planes = arrays[f"{case}/planes"]
        np.testing.assert_array_equal(
            planes, np.stack([drawn(plane) if plane.any() else plane for plane in masks.planes])
        )
        if fields["frame"] < 2:  # without holes and single pixels, polygons are the masks
            np.testing.assert_array_equal(planes, masks.planes)
        for plane, trained in zip(planes, arrays[f"{case}/trained"], strict=True):
            assert plane.any() == trained.any()
            assert not plane.any() or dice(plane, trained) > 0.9
        with project.open_clip(clip_id(project, fields["clip"])) as clip:
            grey = clip.as_uint8(fields["frame"])
        np.testing.assert_array_equal(arrays[f"{case}/image"], np.repeat(grey[:, :, None], 3, axis=2))


def test_losses_of_polygons_are_counted(project: Project, report: ExportReport) -> None:
    assert report.lost == {
        "structures not annotated on a frame, which YOLO treats as absent": 4,
        "structures not visible on a frame, which YOLO treats as absent": 4,
        "holes in masks, filled by polygons": 4,
        "parts of masks too small for a polygon, left out": 4,
        "masks whose polygons cover other pixels (Dice below 1)": 4,
        "masks whose polygons differ more (Dice below 0.95)": 4,
        "frames with grey values of more than 8 bits, written with 8 through the window of their recording": 3,
    }
    fields = list(read_frames(report.folder))[2]
    plane = project.masks(clip_id(project, fields["clip"]), 2).planes[1]
    assert 0.8 < dice(plane, drawn(plane)) < 0.95


def test_each_part_has_a_line_and_empty_masks_have_none(report: ExportReport) -> None:
    for fields in read_frames(report.folder):
        label = fields["file_name"].replace("images/", "labels/").replace(".png", ".txt")
        numbers = Counter(line.split()[0] for line in (report.folder / label).read_text("ascii").splitlines())
        assert numbers == [{"0": 1, "1": 1, "2": 1}, {"0": 1}, {"1": 2, "2": 1}][fields["frame"]]
        assert (
            fields["states"]["bolus"] == (MaskState.NOT_VISIBLE if fields["frame"] == 2 else MaskState.ACCEPTED).label
        )


@settings(max_examples=40, deadline=None)
@given(plane=hnp.arrays(np.bool_, st.tuples(st.integers(1, 20), st.integers(1, 20))).filter(np.any))
def test_holes_are_filled_and_nothing_else_is_added(plane: np.ndarray) -> None:
    lost: Counter[str] = Counter()
    drawn = np.zeros(plane.shape, np.uint8)
    for corners in polygons(plane, lost):
        cv2.fillPoly(drawn, [corners], 1)
    added = drawn.astype(np.bool_) & ~plane
    background = cv2.connectedComponents(np.pad(~plane, 1, constant_values=True).astype(np.uint8), connectivity=4)[1]
    assert not (background[1:-1, 1:-1][added] == background[0, 0]).any()
    assert bool(lost["masks whose polygons cover other pixels (Dice below 1)"]) == bool((drawn != plane).any())


@pytest.mark.foreign
def test_without_validation_patients_the_training_frames_take_their_place(tmp_path: Path) -> None:
    with cohort(tmp_path / "cohort", {"p1": "train", "t1": "test"}) as project:
        report = run_export(YOLO, project, tmp_path / "out")
    (remark,) = report.remarks
    assert 'No patient is in the split "validation"' in remark and remark in report.lines()
    for document in ("DATASHEET.md", "README.txt", "data.yaml"):
        assert remark in (tmp_path / "out" / document).read_text("utf-8")
    answer = ask(
        "foreign_yolo.py",
        tmp_path / "out" / "data.yaml",
        tmp_path / "arrays.npz",
        YOLO_CONFIG_DIR=tmp_path,
        YOLO_OFFLINE="true",
    )
    assert answer["images"] == {"train": 3, "val": 3, "test": 3}


def test_without_training_patients_the_dataset_says_so(tmp_path: Path) -> None:
    with cohort(tmp_path / "cohort", {"v1": "validation"}) as project:
        report = run_export(YOLO, project, tmp_path / "out")
    assert len(report.remarks) == 1 and "ultralytics cannot train" in report.remarks[0]


def test_a_resumed_export_equals_an_uninterrupted_one(project: Project, report: ExportReport, tmp_path: Path) -> None:
    assert run_export(YOLO, project, tmp_path / "out", progress=lambda done, _total: done < 5).cancelled
    assert run_export(YOLO, project, tmp_path / "out").resumed == 5
    assert contents(tmp_path / "out") == contents(report.folder)
    pictures = [iio.imread(path) for path in (report.folder / "images" / "val").iterdir()]
    assert all(picture.dtype == np.uint8 and picture.max() > 250 for picture in pictures)
