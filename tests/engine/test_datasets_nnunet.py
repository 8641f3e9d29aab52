# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from foreign_program import ask
from small_project import THREE, annotate, case, clip_id, cohort, contents, disc, grey_frames, write_video
from vfss.datasets import FORMATS, ExportOptions
from vfss.datasets.export import run_export
from vfss.datasets.formats import nnunet as nnunet_module
from vfss.datasets.formats.nnunet import dataset_name, folds
from vfss.datasets.options import stacking_order
from vfss.datasets.sidecar import read_frames
from vfss.errors import DatasetError, SchemaError
from vfss.masks import MaskState
from vfss.project import Project
from vfss.schema import Schema

NNUNET = FORMATS["nnunet"]
SPLITS = {"p1": "train", "p2": "train", "p3": "train", "v1": "validation", "t1": "test"}
REGIONS = ExportOptions(overlaps="regions", name="Dataset777_Regions")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory):
    with cohort(tmp_path_factory.mktemp("cohort"), SPLITS, deep="p2") as made:
        yield made


@pytest.fixture(scope="module")
def exported(project: Project, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The dataset folders of both ways to handle overlaps."""
    out = tmp_path_factory.mktemp("out")
    run_export(NNUNET, project, out / "priority")
    run_export(NNUNET, project, out / "regions", REGIONS)
    return {"priority": out / "priority" / "Dataset501_VFSS", "regions": out / "regions" / "Dataset777_Regions"}


def labels_of(folder: Path, fields: dict) -> np.ndarray:
    return iio.imread(folder.parent / fields["label"])


def stored(project: Project, fields: dict):
    return project.masks(clip_id(project, fields["clip"]), fields["frame"])


@pytest.mark.foreign
def test_nnunet_reads_both_ways(project: Project, exported: dict[str, Path], tmp_path: Path) -> None:
    for name in ("raw", "preprocessed", "results", "arrays"):
        (tmp_path / name).mkdir()
    for folder in exported.values():
        (tmp_path / "raw" / folder.name).symlink_to(folder, target_is_directory=True)
    folders = {f"nnUNet_{name}": tmp_path / name for name in ("raw", "preprocessed", "results")}
    answer = ask("foreign_nnunet.py", tmp_path / "arrays", **folders)
    for overlaps, folder in exported.items():
        content = answer[folder.name]
        assert content["names"] == ["mandible", "pharynx", "bolus"]
        assert content["found_by_name"]
        assert content["has_ignore"]
        assert content["has_regions"] == (overlaps == "regions")
        frames = [fields for fields in read_frames(folder.parent) if fields["split"] != "test"]
        arrays = np.load(tmp_path / "arrays" / f"{folder.name}.npz")
        assert {key.split("/")[0] for key in arrays} == {fields["case"] for fields in frames}
        for fields in frames:
            masks = stored(project, fields)
            *planes, ignored = arrays[f"{fields['case']}/planes"][:, 0]
            labels = np.stack([planes[content["names"].index(key)] for key in THREE.keys])
            if overlaps == "regions":
                np.testing.assert_array_equal(labels, masks.planes)
            unknown = MaskState.UNSEEN in masks.state
            np.testing.assert_array_equal(ignored, ~masks.planes.any(axis=0) if unknown else np.zeros_like(ignored))
            with project.open_clip(clip_id(project, fields["clip"])) as clip:
                np.testing.assert_array_equal(arrays[f"{fields['case']}/image"][0, 0], clip[fields["frame"]])
    assert answer["plan"]["shape"] == [48, 64]
    assert answer["plan"]["splits"] == json.loads((exported["priority"] / "splits_final.json").read_text("utf-8"))


def test_the_topmost_structure_gets_the_pixel(project: Project, exported: dict[str, Path]) -> None:
    folder = exported["priority"]
    content = json.loads((folder / "dataset.json").read_text("utf-8"))
    assert content["order_on_top"] == ["bolus", "pharynx", "mandible"]
    assert content["labels"] == {"background": 0, "mandible": 3, "pharynx": 2, "bolus": 1, "ignore": 4}
    assert "bolus, pharynx, mandible" in (folder / "README.md").read_text("utf-8")
    overlapping = 0
    for fields in read_frames(folder.parent):
        masks = stored(project, fields)
        bolus, pharynx, mandible = masks.planes
        expected = np.select([bolus, pharynx, mandible], [1, 2, 3], 4 if MaskState.UNSEEN in masks.state else 0)
        np.testing.assert_array_equal(labels_of(folder, fields), expected)
        overlapping += int(masks.planes.sum() - masks.planes.any(axis=0).sum())
    lost = json.loads((folder.parent / "manifest.json").read_text("utf-8"))["lost"]
    assert lost == {
        "pixels where structures overlap, kept for the first in the order only": overlapping,
        "structures not visible on a frame, written as background": len(SPLITS),
        "structures not annotated on a frame, whose background is 'ignore' for all structures": len(SPLITS),
    }


def test_another_order_is_applied(project: Project, tmp_path: Path) -> None:
    run_export(NNUNET, project, tmp_path / "out", ExportOptions(priority=("mandible", "pharynx")))
    folder = tmp_path / "out" / "Dataset501_VFSS"
    assert json.loads((folder / "dataset.json").read_text("utf-8"))["order_on_top"] == ["mandible", "pharynx", "bolus"]
    fields = next(read_frames(tmp_path / "out"))
    masks = stored(project, fields)
    labels = labels_of(folder, fields)
    assert (labels[masks.planes[2]] == 3).all()
    assert (labels[masks.planes[1] & ~masks.planes[2]] == 2).all()
    with pytest.raises(SchemaError, match="no structure 'tongue'"):
        run_export(NNUNET, project, tmp_path / "other", ExportOptions(priority=("tongue",)))
    with pytest.raises(DatasetError, match=r"overlaps is 'both'.*\"regions\""):
        run_export(NNUNET, project, tmp_path / "other", ExportOptions(overlaps="both"))


def test_regions_lose_nothing(project: Project, exported: dict[str, Path]) -> None:
    folder = exported["regions"]
    content = json.loads((folder / "dataset.json").read_text("utf-8"))
    labels = dict(content["labels"])
    ignore = labels.pop("ignore")
    values = sorted({value for region in labels.values() for value in np.ravel(region).tolist()})
    assert values == list(range(ignore))
    assert content["regions_class_order"] == [3, 2, 1]
    for fields in read_frames(folder.parent):
        masks = stored(project, fields)
        labels = labels_of(folder, fields)
        for structure in THREE.structures:
            expected = masks.planes[structure.index]
            np.testing.assert_array_equal(np.isin(labels, content["labels"][structure.key]), expected)
        assert (ignore in labels) == (MaskState.UNSEEN in masks.state)
    lost = json.loads((folder.parent / "manifest.json").read_text("utf-8"))["lost"]
    assert not any("overlap" in reason for reason in lost)


def test_complete_annotation_needs_no_ignore_and_one_patient_no_folds(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mkv", grey_frames(2, 24, 32))
    with Project.create(tmp_path / "project", THREE) as project:
        project.assign_split("one", "train")
        clip = project.add_clip(path, patient="one").id
        apart = {s.key: disc(24, 32, y=12, x=5 + 10 * s.index, radius=3) for s in THREE.structures}
        annotate(project, clip, 0, apart)
        for overlaps in ("priority", "regions"):
            run_export(NNUNET, project, tmp_path / overlaps, ExportOptions(overlaps=overlaps))
            folder = tmp_path / overlaps / "Dataset501_VFSS"
            labels = json.loads((folder / "dataset.json").read_text("utf-8"))["labels"]
            assert labels == {"background": 0, "mandible": 3, "pharynx": 2, "bolus": 1}
            assert not (folder / "splits_final.json").exists()
            assert "one patient cannot be on both sides" in (folder / "README.md").read_text("utf-8")


def test_no_patient_is_on_both_sides_of_a_fold(project: Project, exported: dict[str, Path]) -> None:
    splits = json.loads((exported["priority"] / "splits_final.json").read_text("utf-8"))
    patient = {fields["case"]: fields["patient"] for fields in read_frames(exported["priority"].parent)}
    tested = case(project, "t1")
    assert len(splits) == 4
    for fold in splits:
        sides = [{patient[case] for case in fold[side]} for side in ("train", "val")]
        assert not sides[0] & sides[1]
        assert sides[0] | sides[1] == set(patient.values()) - {tested}
    assert {patient[case] for case in splits[0]["val"]} == {case(project, "v1")}
    assert len(list((exported["priority"] / "imagesTs").iterdir())) == 3


def test_folds_are_as_even_as_possible() -> None:
    frames = Counter({f"p{i}": 10 * i for i in range(1, 10)})
    held_back = folds({"validation": ["p9"], "train": [f"p{i}" for i in range(1, 9)], "test": ["t"]}, frames)
    assert held_back[0] == {"p9"}
    assert len(held_back) == 5
    assert [sum(frames[p] for p in fold) for fold in held_back[1:]] == [90] * 4
    assert sorted(p for fold in held_back for p in fold) == sorted(frames)
    only_train = folds({"validation": [], "train": list(frames), "test": []}, frames)
    assert len(only_train) == 5
    assert len(folds({"validation": ["p1", "p2"], "train": [], "test": []}, frames)) == 2
    assert folds({"validation": ["p1"], "train": [], "test": ["t"]}, frames) == []


def test_inner_structures_come_before_those_that_contain_them() -> None:
    rows = [("pharynx", None), ("airway", "pharynx"), ("bolus", "airway"), ("ring", "rung"), ("rung", "ring")]
    structures = [{"key": key, "name": key, "colour": "#000000", "nests_in": outer} for key, outer in rows]
    schema = Schema.from_dict({"id": "s", "version": "1", "structures": structures})
    keys = [structure.key for structure in stacking_order(schema, ())]
    assert keys[:3] == ["bolus", "airway", "pharynx"]
    assert sorted(keys[3:]) == ["ring", "rung"]
    assert [s.key for s in stacking_order(schema, ("pharynx",))][:3] == ["pharynx", "bolus", "airway"]


@pytest.mark.parametrize("overlaps", ["priority", "regions"])
def test_a_resumed_export_equals_an_uninterrupted_one(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overlaps: str
) -> None:
    options = ExportOptions(overlaps=overlaps)
    assert run_export(NNUNET, project, tmp_path / "out", options, progress=lambda done, _total: done < 4).cancelled

    def fails(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:  # stopped once more at the very end, when labels are final already
        patched.setattr(nnunet_module, "write_dataset_json", fails)
        with pytest.raises(DatasetError, match=r"the disk at /.* is full"):
            run_export(NNUNET, project, tmp_path / "out", options)
    assert run_export(NNUNET, project, tmp_path / "out", options).resumed == 3 * len(SPLITS)
    run_export(NNUNET, project, tmp_path / "at once", options)
    assert contents(tmp_path / "out") == contents(tmp_path / "at once")


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("VFSS", "Dataset501_VFSS"),
        ("Dataset042_Swallow_2", "Dataset042_Swallow_2"),
        ("a/../b c", "Dataset501_abc"),
        ("Schluck-Ä", "Dataset501_Schluck"),
        ("", "Dataset501_VFSS"),
    ],
)
def test_a_dataset_has_a_name_that_nnunet_takes(name: str, folder: str) -> None:
    assert dataset_name(name) == folder
