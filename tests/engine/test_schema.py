# SPDX-License-Identifier: Apache-2.0
"""The twelve structures, and schemas of a project's own."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from pydicom.sr.codedict import codes
from skimage.color import deltaE_ciede2000, rgb2lab

from vfss import Schema, VfssError
from vfss.errors import SchemaError
from vfss.student import load_checkpoint, student_file

# Machado, Oliveira, Fernandes 2009, severity 1.0, on linear RGB.
COLOUR_BLINDNESS = {
    "none": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
# Pairs that share a border on frames.
NEIGHBOURS = [
    *itertools.pairwise(["c1", "c2", "c3", "c4", "c5", "c6", "c7"]),
    ("bolus", "pharynx"),
    ("bolus", "airway"),
    ("bolus", "epiglottis"),
    ("pharynx", "epiglottis"),
    ("pharynx", "airway"),
    ("epiglottis", "airway"),
    ("epiglottis", "mandible"),
]


def seen(schema: Schema, key: str, blindness: str) -> np.ndarray:
    rgb = np.array(schema[key].rgb) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(COLOUR_BLINDNESS[blindness] @ linear, 0, 1)
    return rgb2lab(np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055))


def test_vfss12_has_the_twelve_structures_in_order_with_their_keys() -> None:
    schema = Schema.load("vfss12")
    assert schema.keys == tuple(
        ["bolus", "pharynx", "epiglottis", "mandible", "airway", "c1", "c2", "c3", "c4", "c5", "c6", "c7"]
    )
    assert [s.shortcut for s in schema.structures] == list("1234567890-=")
    assert [s.index for s in schema.structures] == list(range(12))
    assert schema["bolus"].nests_in == "pharynx"


def test_codes_are_those_of_the_dicom_dictionary_where_it_has_them() -> None:
    known = {
        code.value for name in dir(codes.SCT) for code in [getattr(codes.SCT, name, None)] if hasattr(code, "value")
    }
    values = {s.key: s.code.value for s in Schema.load().structures if s.code}
    assert set(values) == set(Schema.load().keys)
    # pydicom's dictionary has no epiglottis; its code comes from the published list of codes for these structures.
    assert {key for key, value in values.items() if value not in known} == {"epiglottis"}


@pytest.mark.parametrize("blindness", COLOUR_BLINDNESS)
def test_neighbours_are_distinguishable_also_for_the_colour_blind(blindness: str) -> None:
    schema = Schema.load()
    for a, b in NEIGHBOURS:
        difference = float(deltaE_ciede2000(seen(schema, a, blindness), seen(schema, b, blindness)))
        assert difference > 20, f"{a} and {b} look alike ({difference:.1f}) with {blindness}"


def test_colours_stand_out_from_grey_frames() -> None:
    schema = Schema.load()
    for structure in schema.structures:
        lab = seen(schema, structure.key, "none")
        assert np.hypot(lab[1], lab[2]) > 20, f"{structure.key} is nearly grey"


def test_round_trip_and_a_schema_of_the_users_own(tmp_path: Path) -> None:
    own = {
        "id": "mine",
        "version": "2",
        "structures": [
            {"key": "hyoid", "name": "Hyoid", "colour": "#00FF00"},
            {"key": "tongue", "name": "Tongue", "colour": "#FF0000"},
        ],
    }
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(own))
    schema = Schema.load(path)
    assert len(schema) == 2 and schema["tongue"].index == 1
    assert Schema.from_dict(schema.to_dict()) == schema
    assert Schema.from_dict(Schema.load().to_dict()) == Schema.load()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"key": "c 1"}, "malformed"),
        ({"colour": "red"}, "#RRGGBB"),
        ({"nests_in": "nowhere"}, "does not exist"),
        ({"key": "b"}, "twice"),
        ({"shortcut": "b"}, "two structures"),
    ],
)
def test_errors_of_malformed_schemas_name_what_is_wrong(change: dict[str, str], message: str) -> None:
    rows = [
        {"key": "a", "name": "A", "colour": "#112233"} | change,
        {"key": "b", "name": "B", "colour": "#112233", "shortcut": "b"},
    ]
    with pytest.raises(SchemaError, match=message):
        Schema.from_dict({"id": "x", "version": "1", "structures": rows})


BEHAVIOUR = ("motion", "chain", "stabilises_view", "holds_frames", "kind", "adapts", "aliases")


def stored_before(schema: Schema, *keys: str, **more: object) -> dict[str, Any]:
    """Return a schema as stored by versions in which keys implied the behaviour."""
    rows = {row["key"]: {k: v for k, v in row.items() if k not in BEHAVIOUR} for row in schema.to_dict()["structures"]}
    chosen = [rows[key] for key in keys or rows]
    return {**schema.to_dict(), "structures": [row | {"nests_in": None} for row in chosen] if keys else chosen} | more


def test_the_shipped_schema_has_the_behaviour_that_keys_once_implied() -> None:
    schema = Schema.load()
    assert schema.soft == ("bolus", "pharynx", "epiglottis", "airway")
    assert schema.chains == (("c1", "c2", "c3", "c4", "c5", "c6", "c7"),)
    assert [s.key for s in schema.stabilising] == ["c2", "c3", "c4"]
    assert [s.key for s in schema.structures if s.kind == "substance" or not s.adapts] == ["bolus"]
    holds = {key: schema[key].holds_frames for key in schema.soft}
    assert holds == {"bolus": 0.5, "pharynx": 2.0, "epiglottis": 5.0, "airway": 10.0}


def test_a_schema_stored_before_behaves_as_before() -> None:
    schema = Schema.load()
    assert Schema.from_dict(stored_before(schema)) == schema
    part = Schema.from_dict(stored_before(schema, "c4", "c2", "bolus", "c1", id="part", version="3"))
    assert part.soft == ("bolus",)
    assert sorted(map(sorted, part.chains)) == [["c1", "c2"], ["c4"]]  # without C3 it is unknown where C2 and C4 meet
    assert not part["bolus"].adapts
    assert Schema.from_dict(part.to_dict()) == part


def test_a_name_of_an_own_structure_is_no_alias_in_a_schema_stored_before() -> None:
    data = stored_before(Schema.load(), "mandible", id="two")
    data["structures"].append({"key": "jaw", "name": "Jaw", "colour": "#112233"})
    schema = Schema.from_dict(data)
    assert schema.keys == ("mandible", "jaw")
    assert "jaw" not in schema["mandible"].aliases and "mandibula" in schema["mandible"].aliases
    assert not schema["jaw"].is_rigid


def test_in_a_file_only_what_is_written_counts(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(stored_before(Schema.load())))
    schema = Schema.load(path)
    assert schema.soft == schema.keys and schema.chains == () and schema.stabilising == ()
    assert Schema.from_dict(schema.to_dict()) == schema


def test_the_student_that_ships_was_stored_before_and_has_bones() -> None:
    shipped = load_checkpoint(student_file("default"))
    assert shipped.schema == Schema.load()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"motion": "stiff"}, "structure 'a' has motion 'stiff'. Write rigid or soft"),
        ({"chain": "spine"}, "'a' is soft and part of chain 'spine'.*motion: rigid"),
        ({"kind": "fluid"}, "has kind 'fluid'. Write anatomy or substance"),
        ({"holds_frames": 0}, "has holds_frames 0. Write a number of frames above 0"),
        ({"holds_frames": "long"}, "has holds_frames 'long'"),
        ({"holds_frames": True}, "has holds_frames True"),
        ({"adapts": "no way"}, "has adapts 'no way'. Write true or false"),
        ({"stabilises_view": 1}, "has stabilises_view 1"),
        ({"aliases": "jaw"}, "has aliases 'jaw'. Write a list"),
        ({"aliases": ["B"]}, "alias 'B' of structure 'a' is a name of structure 'b' too"),
        ({"aliases": ["the other"]}, "'The-Other' of structure 'b' is a name of structure 'a' too"),
        ({"aliases": ["-"]}, "has no letters or digits"),
        ({"moton": "rigid"}, "structure 'a' has an unknown field 'moton'.*motion"),
        ({"colour": None, "index": 3}, "structure 'a' has an unknown field 'index'"),
    ],
)
def test_an_error_in_a_file_names_its_place(tmp_path: Path, change: dict[str, object], message: str) -> None:
    rows = [
        {"key": "a", "name": "First", "colour": "#112233"} | change,
        {"key": "b", "name": "Second", "colour": "#112233", "aliases": ["The-Other"]},
    ]
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump({"id": "own", "version": "1", "structures": rows}))
    with pytest.raises(SchemaError, match=f"own.yaml: .*{message}"):
        Schema.load(path)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("id: own\nversion: 1\nstructures: [{key: a, name: A}]")
    with pytest.raises(SchemaError, match=r"own.yaml: structure 'a' has no colour"):
        Schema.load(path)
    path.write_text("id: own\nversion: 1\nstructurs: []")
    with pytest.raises(SchemaError, match=r"the schema has an unknown field 'structurs'"):
        Schema.load(path)


def test_fields_of_a_later_version_are_passed_over_in_stored_data() -> None:
    data = Schema.load().to_dict()
    data["structures"][0]["flavour"] = "sweet"
    assert Schema.from_dict(data) == Schema.load()


@pytest.mark.parametrize("text", ["", "- 1", "id: x", "{", "id: x\nversion: 1\nstructures: 3", "\x00\x01"])
def test_files_that_are_no_schema(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(SchemaError):
        Schema.load(path)
    with pytest.raises(VfssError, match="no such schema"):
        Schema.load(tmp_path / "absent.yaml")
    with pytest.raises(SchemaError, match="It has: bolus"):
        Schema.load()["hyoid"]
