# SPDX-License-Identifier: Apache-2.0
"""Datumaro and CVAT, by the readers here and by the datumaro package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from foreign_program import ask
from small_project import THREE, clip_id, cohort, contents
from vfss.datasets import FORMATS, read_cvat, read_datumaro, run_export
from vfss.datasets.sidecar import read_frames
from vfss.errors import DatasetError
from vfss.project import Project

READERS = {"cvat": read_cvat, "datumaro": read_datumaro}
BOTH = pytest.mark.parametrize("name", sorted(READERS))
SPLITS = {"p1": "train", "p2": "train", "v1": "validation", "t1": "test"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory):
    with cohort(tmp_path_factory.mktemp("cohort"), SPLITS, deep="v1") as made:
        yield made


@pytest.fixture(scope="module")
def exported(project: Project, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    out = tmp_path_factory.mktemp("out")
    for name in READERS:
        assert run_export(FORMATS[name], project, out / name).lost == {}
    return {name: out / name for name in READERS}


@pytest.mark.foreign
def test_the_datumaro_package_reads_both(project: Project, exported: dict[str, Path], tmp_path: Path) -> None:
    folders = [f"{name}={folder}" for name, folder in exported.items()]
    answer = ask("foreign_datumaro.py", tmp_path / "arrays.npz", *folders)
    arrays = np.load(tmp_path / "arrays.npz")
    planes = 0
    for name, folder in exported.items():
        content = answer[name]
        assert content["labels"] == [*THREE.keys, *(["frame states"] if name == "cvat" else [])]
        frames = list(read_frames(folder))
        assert len(content["items"]) == len(frames)
        for fields in frames:
            case = Path(fields["file_name"]).stem
            item = content["items"][case]
            assert item["size"] == [48, 64]
            assert item["subset"] == ("annotations" if name == "cvat" else fields["split"])
            states = item["attributes"] if name == "datumaro" else item["tags"]["frame states"]
            prefix = "state_" if name == "datumaro" else ""
            assert {key: states[f"{prefix}{key}"] for key in THREE.keys} == fields["states"]
            masks = project.masks(clip_id(project, fields["clip"]), fields["frame"])
            for structure in THREE.structures:
                expected = masks.planes[structure.index]
                key = f"{name}/{case}/{structure.key}"
                assert (key in arrays) == expected.any()
                if expected.any():
                    np.testing.assert_array_equal(arrays[key].astype(np.bool_), expected)
                    assert item["z_order"][structure.key] == {"bolus": 2, "pharynx": 1, "mandible": 0}[structure.key]
                    planes += 1
            with project.open_clip(clip_id(project, fields["clip"])) as clip:
                np.testing.assert_array_equal(arrays[f"{name}/{case}/image"], clip[fields["frame"]])
    assert planes == 2 * 6 * len(SPLITS)


@BOTH
def test_a_resumed_export_equals_an_uninterrupted_one(
    project: Project, exported: dict[str, Path], tmp_path: Path, name: str
) -> None:
    assert run_export(FORMATS[name], project, tmp_path / "out", progress=lambda done, _total: done < 5).cancelled
    assert run_export(FORMATS[name], project, tmp_path / "out").resumed == 5
    assert contents(tmp_path / "out") == contents(exported[name])


@BOTH
def test_our_reader_has_the_order_of_the_export(project: Project, exported: dict[str, Path], name: str) -> None:
    images = list(READERS[name](exported[name]))
    assert [(clip_id(project, image.clip), image.frame) for image in images] == [
        (c.id, t) for c in project.clips() for t in range(3)
    ]
    for image in images:
        stored = project.masks(clip_id(project, image.clip), image.frame)
        np.testing.assert_array_equal(image.masks.planes, stored.planes)
        np.testing.assert_array_equal(image.masks.state, stored.state)


@BOTH
def test_a_missing_frame_is_an_error(exported: dict[str, Path], tmp_path: Path, name: str) -> None:
    for path in exported[name].rglob("*"):
        if path.suffix in (".json", ".jsonl", ".xml"):
            target = tmp_path / path.relative_to(exported[name])
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(path.read_bytes())
    lines = (tmp_path / "frames.jsonl").read_text("utf-8").splitlines()
    (tmp_path / "frames.jsonl").write_text("\n".join(lines[:-1]), "utf-8")
    with pytest.raises(DatasetError, match="11 frames are described, but the dataset has 12"):
        READERS[name](tmp_path)
    (tmp_path / "frames.jsonl").write_text("\n".join([lines[0].replace(".png", ".jpg"), *lines[1:]]), "utf-8")
    with pytest.raises(DatasetError, match="malformed"):
        READERS[name](tmp_path)
    (tmp_path / "frames.jsonl").unlink()
    with pytest.raises(DatasetError, match=r"frames\.jsonl: no such file"):
        READERS[name](tmp_path)
