# SPDX-License-Identifier: Apache-2.0
"""CVAT by its reader here; tests/engine/test_datasets_datumaro.py tests it with the datumaro package."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from small_project import THREE, cohort
from vfss.datasets import FORMATS, read_cvat, run_export
from vfss.datasets.formats.cvat import encode_mask
from vfss.errors import DatasetError
from vfss.masks import MaskState


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cvat")
    with cohort(out, {"p1": "train", "t1": "test"}) as project:
        run_export(FORMATS["cvat"], project, out / "out")
    return out / "out"


@settings(max_examples=100, deadline=None)
@given(plane=hnp.arrays(np.bool_, st.tuples(st.integers(1, 20), st.integers(1, 20))).filter(np.any))
def test_runs_are_those_that_cvat_documents(plane: np.ndarray) -> None:
    """Decoded as in CVAT's manual: alternating runs of pixels off and on, along the rows of the box."""
    mask = encode_mask(plane)
    decoded, position = np.zeros(plane.shape, np.bool_), 0
    for turn, run in enumerate(mask["rle"].split(", ")):
        for _ in range(int(run)):
            decoded[mask["top"] + position // mask["width"], mask["left"] + position % mask["width"]] = turn % 2 == 1
            position += 1
    assert position == mask["width"] * mask["height"]
    np.testing.assert_array_equal(decoded, plane)


def altered(folder: Path, tmp_path: Path, change) -> Path:
    """Return a copy of a CVAT dataset without pictures, its first image changed."""
    for name in ("manifest.json", "frames.jsonl"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    tree = ElementTree.parse(folder / "annotations.xml")
    change(tree.getroot().find("image"))
    tree.write(tmp_path / "annotations.xml", "utf-8")
    return tmp_path


def test_masks_drawn_in_cvat_are_read_as_edited(exported: Path, tmp_path: Path) -> None:
    def draw(image: ElementTree.Element) -> None:
        for mask in image.findall("mask"):
            if mask.get("label") == "bolus":
                image.remove(mask)
        for attribute in image.iter("attribute"):
            if attribute.get("name") == "bolus":
                attribute.text = "unseen"
        for left in (3, 10):  # two masks of one structure are united in one plane
            attributes = {
                "label": "bolus",
                "rle": "0,2, 1, 3",
                "top": "5",
                "width": "3",
                "height": "2",
                "left": str(left),
            }
            ElementTree.SubElement(image, "mask", attributes)

    image = read_cvat(altered(exported, tmp_path, draw))[0]
    assert image.masks.state.tolist() == [MaskState.EDITED, MaskState.ACCEPTED, MaskState.ACCEPTED]
    assert np.argwhere(image.masks.planes[0])[:5].tolist() == [[5, 3], [5, 4], [5, 10], [5, 11], [6, 3]]
    assert image.masks.planes[0].sum() == 10


@pytest.mark.parametrize(
    ("tag", "attributes", "message"),
    [
        ("polygon", {"label": "bolus", "points": "1,1;2,2;3,1"}, "has a <polygon>, which is not a mask"),
        ("mask", {"label": "tongue", "rle": "0, 1", "left": "0", "top": "0", "width": "1", "height": "1"}, "malformed"),
        ("mask", {"label": "bolus", "rle": "0, 9", "left": "0", "top": "0", "width": "1", "height": "1"}, "malformed"),
        ("mask", {"label": "bolus", "rle": "0, 1", "left": "64", "top": "0", "width": "1", "height": "1"}, "malformed"),
        ("mask", {"label": "bolus", "rle": "0, 1", "left": "-1", "top": "0", "width": "1", "height": "1"}, "malformed"),
        ("mask", {"label": "bolus", "rle": "2, -1", "left": "0", "top": "0", "width": "1", "height": "1"}, "malformed"),
        ("mask", {"label": "bolus", "rle": "one", "left": "0", "top": "0", "width": "1", "height": "1"}, "malformed"),
        ("mask", {"label": "bolus", "rle": f"0, {9**30}", "left": "0", "top": "0", "width": "1", "height": "1"}, "mal"),
        ("mask", {"label": "bolus"}, "malformed"),
    ],
)
def test_invalid_shapes_are_errors(exported: Path, tmp_path: Path, tag: str, attributes: dict, message: str) -> None:
    folder = altered(exported, tmp_path, lambda image: ElementTree.SubElement(image, tag, attributes))
    with pytest.raises(DatasetError, match=message):
        list(read_cvat(folder))


def test_truncated_xml_is_an_error(exported: Path, tmp_path: Path) -> None:
    folder = altered(exported, tmp_path, lambda image: None)
    path = folder / "annotations.xml"
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(DatasetError, match="cannot be read"):
        read_cvat(folder)
    path.unlink()
    with pytest.raises(DatasetError, match="no such file"):
        read_cvat(folder)


def test_labels_for_a_task_of_cvat(exported: Path) -> None:
    labels = json.loads((exported / "labels.json").read_text("utf-8"))
    assert [label["name"] for label in labels] == [*THREE.keys, "frame states"]
    assert {label["type"] for label in labels[:-1]} == {"mask"}
    assert [attribute["name"] for attribute in labels[-1]["attributes"]] == list(THREE.keys)
    assert set(labels[-1]["attributes"][0]["values"]) == {state.label for state in MaskState}
    root = ElementTree.parse(exported / "annotations.xml").getroot()
    assert root.findtext("version") == "1.1"
    assert [label.findtext("name") for label in root.iter("label")] == [label["name"] for label in labels]
    names = [image.get("name") for image in root.iter("image")]
    assert sorted(names) == sorted(path.name for path in (exported / "images").iterdir())
