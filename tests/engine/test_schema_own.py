# SPDX-License-Identifier: Apache-2.0
"""A project with structures of its own, none of which ships: bones of a hand, its skin and a dye."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pydicom
import pytest

from clip_material import write_dicom
from moving_clip import SIZE, MovingClip, box
from small_project import annotate, grey_frames
from vfss import Schema, Structure
from vfss.consistency.judge import Movement
from vfss.datasets import FORMATS, run_export
from vfss.importing.labels import candidates
from vfss.importing.source import ForeignLabel
from vfss.masks import pack_mask, unpack_box
from vfss.masks.metrics import dice
from vfss.motion.rigid import RigidBodies
from vfss.motion.stabilise import stabilising_path
from vfss.project import Project
from vfss.project.overview import FramePlanes
from vfss.propagation.key_frame import KeyFrame, PropagatedMask, blend_with_student
from vfss.propagation.propagation import Propagation, PropagationRequest
from vfss.propagation.whole_clip import adapted_confidence

HAND = """
id: hand
version: "1"
title: Bones of a hand
structures:
  - {key: mc1, name: Metacarpal 1, colour: "#FFBD2D", motion: rigid, chain: hand, stabilises_view: true}
  - {key: mc2, name: Metacarpal 2, colour: "#45FBDF", motion: rigid, chain: hand, stabilises_view: true,
     aliases: [index ray]}
  - {key: skin, name: Skin, colour: "#AE98FF"}
  - {key: dye, name: Dye, colour: "#16CF76", kind: substance, adapts: false, holds_frames: 0.5}
"""
MC1, MC2, SKIN = box(40, 40), box(60, 40), box(50, 90, 40, 24)


def test_the_example_of_the_page_is_a_schema(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "schema.md").read_text("utf-8")
    (tmp_path / "hand.yaml").write_text(page.split("```yaml\n")[1].split("```")[0])
    assert Schema.load(tmp_path / "hand.yaml").soft == ("skin", "contrast")
    fields = {name for name in Structure.__dataclass_fields__ if name != "index"}
    assert all(f"| `{name}` |" in page for name in fields)


def test_a_project_of_before_the_fields_has_its_bones(tmp_path: Path) -> None:
    with Project.create(tmp_path / "old") as project:
        stored = project.schema.to_dict()
    for row in stored["structures"]:
        for field in ("motion", "chain", "stabilises_view", "holds_frames", "kind", "adapts", "aliases"):
            row.pop(field, None)
    with closing(sqlite3.connect(tmp_path / "old" / "vfss.sqlite", isolation_level=None)) as raw:
        raw.execute("UPDATE project SET schema = ?", (json.dumps(stored),))
    with Project.open(tmp_path / "old") as project:
        assert project.schema == Schema.load()
    with closing(sqlite3.connect(tmp_path / "old" / "vfss.sqlite")) as raw:
        assert json.loads(raw.execute("SELECT schema FROM project").fetchone()[0]) == stored  # opening writes nothing


@pytest.fixture
def hand(tmp_path: Path) -> Schema:
    (tmp_path / "hand.yaml").write_text(HAND)
    return Schema.load(tmp_path / "hand.yaml")


@pytest.fixture
def source(hand: Schema) -> MovingClip:
    source = MovingClip(10, schema=hand)
    for key, plane in (("mc1", MC1), ("mc2", MC2), ("skin", SKIN)):
        source.annotate(1, key, plane)
    return source


def test_bones_are_propagated_rigidly_joined_and_without_the_student(hand: Schema, source: MovingClip) -> None:
    masks = {
        (new.frame, key): plane
        for new in Propagation(source, PropagationRequest(1, "forward", ("mc1", "mc2"))).run()
        for key, plane in new.planes.items()
    }
    assert source.asked == []
    for (frame, key), plane in masks.items():
        assert dice(plane, source.truth(source.planes[1, key], frame - 1)) > 0.93
    assert len(masks) == 16
    assert RigidBodies({"mc1": MC1, "mc2": MC2}, hand.chains).joints == ((0, 1),)


def test_the_student_counts_for_soft_structures_alone(hand: Schema, source: MovingClip) -> None:
    propagated = KeyFrame(source.picture(1), {"mc1": MC1, "skin": SKIN}, hand).propagate_to(source.picture(2))
    empty = np.zeros((SIZE, SIZE), np.bool_)
    later = {key: PropagatedMask(mask.field, None, 50, 50, mask.consistency) for key, mask in propagated.items()}
    assert blend_with_student(hand["mc1"], later["mc1"], empty).any()
    assert not blend_with_student(hand["skin"], later["skin"], empty).any()
    list(Propagation(source, PropagationRequest(1, "forward", ("skin",))).run())
    assert source.asked


def test_the_view_is_stabilised_by_the_schemas_own_structures(hand: Schema, source: MovingClip) -> None:
    movement = Movement(10, len(hand))
    boxes = [[unpack_box(pack_mask(source.truth(plane, t))) for plane in (MC1, MC2)] for t in range(10)]
    frames = [FramePlanes(t, (*known, None, None)) for t, known in enumerate(boxes)]
    list(movement.add(frames))
    columns = [structure.index for structure in hand.stabilising]
    assert columns == [0, 1]
    path = stabilising_path(movement.centres, columns)
    assert path.is_known.all()
    shifts = path.matrices[:, :2, 2]
    assert np.ptp(shifts[:, 1]) == pytest.approx(9.0, abs=1.0)  # the frames move by 1 px each in x


def test_a_substance_is_coded_as_one(hand: Schema, tmp_path: Path) -> None:
    with Project.create(tmp_path / "project", hand) as project:
        source = write_dicom(tmp_path / "a.dcm", grey_frames(2, SIZE, SIZE), SOPClassUID="1.2.840.10008.5.1.4.1.1.12.2")
        clip = project.add_clip(source, patient="a").id
        annotate(project, clip, 0, {"mc1": MC1, "dye": box(20, 20)})
        run_export(FORMATS["dicom-seg"], project, tmp_path / "out")
    (path,) = (tmp_path / "out").rglob("*_seg.dcm")
    categories = {
        segment.SegmentDescription: segment.SegmentedPropertyCategoryCodeSequence[0].CodeMeaning
        for segment in pydicom.dcmread(path).SegmentSequence
    }
    assert categories["dye"] == "Substance"
    assert {categories[key] for key in ("mc1", "mc2", "skin")} == {"Body structure"}


def test_labels_are_known_by_alias_and_a_student_adapts_where_the_schema_allows_it(hand: Schema) -> None:
    assert candidates(ForeignLabel("Index-Ray"), hand) == ("mc2",)
    assert candidates(ForeignLabel("metacarpal 01"), hand) == ("mc1",)
    assert candidates(ForeignLabel("jaw"), hand) == ()
    assert adapted_confidence(hand["skin"], 0.5, 6) > 0.6
    assert adapted_confidence(hand["dye"], 0.5, 6) == 0.5
