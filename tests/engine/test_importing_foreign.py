# SPDX-License-Identifier: Apache-2.0
"""What nnU-Net, ultralytics and datumaro really write of our exports comes back; they run in .venv-foreign."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from foreign_program import ask
from small_project import THREE, cohort
from vfss.datasets import FORMATS, ExportOptions, run_export
from vfss.datasets.options import stacking_order
from vfss.deidentify import CaseKey
from vfss.importing import ImportChoices, open_source, plan_import, write_plan
from vfss.masks.metrics import dice
from vfss.project import Project

pytestmark = pytest.mark.foreign
Present = dict[tuple[str, int, str], np.ndarray]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project with two clips of annotated masks, one of them of a test patient."""
    with cohort(tmp_path_factory.mktemp("cohort"), {"p1": "train", "p2": "test"}) as project:
        CaseKey(project.folder / "case-key.json").recording(project.clips()[0].id)
        yield project


def present(project: Project) -> Present:
    """All masks with pixels by name of the recording in exports, frame and structure."""
    key = CaseKey(project.folder / "case-key.json")
    return {
        (key.recording(record.id), frame, structure): revision.mask
        for record in project.clips()
        for frame in range(record.n_frames)
        for structure, revision in project.newest(record.id, frame).items()
        if revision.mask is not None and revision.mask.any()
    }


def imported(exported: Project, folder: Path, source: Path, **choices: object) -> Present:
    """Import into a project with the same clips and no mask; return its masks."""
    with Project.create(folder, THREE) as again:
        for record in exported.clips():
            again.add_clip(record.path, patient=record.patient)
        shutil.copy(exported.folder / "case-key.json", again.folder)
        plan = plan_import(again, open_source(source), ImportChoices(**choices))
        write_plan(again, plan, author="Ann")
        return present(again)


def test_predictions_of_nnunet_and_ultralytics(exported: Project, tmp_path: Path) -> None:
    run_export(FORMATS["nnunet"], exported, tmp_path / "out", ExportOptions(overlaps="regions"))
    truth = present(exported)
    stacks: dict[str, dict[int, np.ndarray]] = {}
    for (name, frame, key), mask in truth.items():
        stacks.setdefault(f"{name}_{frame:06d}", {})[THREE[key].index] = mask
    arrays = {
        f"{case}/{','.join(map(str, planes))}": np.stack(list(planes.values())) for case, planes in stacks.items()
    }
    np.savez(tmp_path / "masks.npz", **arrays)
    (tmp_path / "predictions").mkdir()
    (tmp_path / "labels").mkdir()
    folders = (
        tmp_path / "out" / "Dataset501_VFSS",
        tmp_path / "predictions",
        tmp_path / "masks.npz",
        tmp_path / "labels",
    )
    ask("foreign_predictions.py", *folders, YOLO_CONFIG_DIR=tmp_path)

    found = imported(exported, tmp_path / "a", tmp_path / "predictions")
    (test,) = {name for name, _, _ in found}
    for frame in range(3):  # one label for each pixel: that of the topmost structure
        covered = np.zeros((48, 64), np.bool_)
        for structure in stacking_order(THREE, ()):
            at = (test, frame, structure.key)
            if at in truth:
                np.testing.assert_array_equal(found[at], truth[at] & ~covered, err_msg=str(at))
                covered |= truth[at]

    classes = {f"class {structure.index}": structure.key for structure in THREE.structures}
    found = imported(exported, tmp_path / "b", tmp_path / "labels", labels=classes)
    assert found.keys() == truth.keys()
    for at, mask in truth.items():
        if at[1:] == (2, "pharynx"):  # a hole and several parts, which one polygon cannot have
            assert dice(found[at], mask) > 0.7
        else:
            np.testing.assert_array_equal(found[at], mask, err_msg=str(at))


def test_conversions_by_datumaro(exported: Project, tmp_path: Path) -> None:
    run_export(FORMATS["datumaro"], exported, tmp_path / "out")
    names = ("cvat", "coco_instances", "datumaro")
    ask("foreign_conversions.py", tmp_path / "out", tmp_path, *names)
    truth = present(exported)
    for name in names:
        paths = sorted(path for path in (tmp_path / name).rglob("*") if path.suffix in (".xml", ".json"))
        found: Present = {}
        for number, path in enumerate(paths):
            found |= imported(exported, tmp_path / f"{name}{number}", path)
        assert found.keys() == truth.keys(), name
        for at, mask in truth.items():
            np.testing.assert_array_equal(found[at], mask, err_msg=f"{name} {at}")
