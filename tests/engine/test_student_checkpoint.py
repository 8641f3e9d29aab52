# SPDX-License-Identifier: Apache-2.0
"""The student's one file: complete, verified, and never executed."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save, save_file

from small_student import CONFIG, small_checkpoint
from vfss.errors import StudentError
from vfss.schema import Schema
from vfss.student import Checkpoint, Student, load_checkpoint, load_student
from vfss.student.checkpoint import content_digest
from vfss.student.learnt import learnt_from_json, read_learnt_keys
from vfss.student.openvino_runtime import OpenVinoRuntime
from vfss.student.rules import NO_RULES


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return small_checkpoint()


@pytest.fixture
def path(checkpoint: Checkpoint, tmp_path: Path) -> Path:
    checkpoint.save(tmp_path / "student.safetensors")
    return tmp_path / "student.safetensors"


def test_everything_is_read_back(checkpoint: Checkpoint, path: Path) -> None:
    loaded = load_checkpoint(path)
    assert loaded.config == CONFIG
    assert loaded.schema == Schema.load()
    assert loaded.provenance == {"command": "test"}
    assert loaded.graph == checkpoint.graph
    assert loaded.path == path
    assert set(loaded.tensors) == set(checkpoint.tensors)
    for name, tensor in checkpoint.tensors.items():
        np.testing.assert_array_equal(loaded.tensors[name], tensor)
        assert loaded.tensors[name].dtype == tensor.dtype


def test_the_id_is_the_content(checkpoint: Checkpoint, path: Path, tmp_path: Path) -> None:
    same = checkpoint.save(tmp_path / "elsewhere" / "copy.safetensors")
    assert same.id == load_checkpoint(path).id
    other = Checkpoint(CONFIG, checkpoint.schema, checkpoint.tensors, checkpoint.graph, {"command": "another"})
    assert other.save(tmp_path / "other.safetensors").id != same.id


def test_the_graph_repeats_no_weights(checkpoint: Checkpoint, path: Path) -> None:
    weights = sum(tensor.nbytes for tensor in checkpoint.tensors.values())
    assert path.stat().st_size < weights + len(checkpoint.graph) + 200_000
    assert all(tensor.tobytes() not in checkpoint.graph for tensor in checkpoint.tensors.values() if tensor.size > 64)


def test_overwriting_a_file_leaves_no_temporary_file(path: Path, checkpoint: Checkpoint) -> None:
    checkpoint.save(path)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_folder_that_cannot_be_written_is_named(checkpoint: Checkpoint, path: Path) -> None:
    with pytest.raises(StudentError, match="cannot write"):
        checkpoint.save(path / "inside_a_file.safetensors")


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.3, 0.999])
def test_a_truncated_file_is_refused(path: Path, share: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(StudentError, match=path.name) as caught:
        load_student(path, "cpu")
    assert caught.value.remedy


@pytest.mark.parametrize("position", [0.02, 0.4, 0.8, 0.9999])
def test_a_changed_byte_is_noticed(path: Path, position: float) -> None:
    data = bytearray(path.read_bytes())
    data[int(len(data) * position)] ^= 0x10
    path.write_bytes(bytes(data))
    with pytest.raises(StudentError, match=path.name):
        load_checkpoint(path)


class _Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("/tmp/vfss-student-executed"),)


def test_a_pickle_is_refused_and_not_executed(tmp_path: Path) -> None:
    marker = Path("/tmp/vfss-student-executed")
    marker.unlink(missing_ok=True)
    path = tmp_path / "student.safetensors"
    path.write_bytes(pickle.dumps(_Bomb()))
    with pytest.raises(StudentError):
        load_student(path, "cpu")
    assert not marker.exists()


def test_a_header_of_any_length_is_that_of_a_student(path: Path, checkpoint: Checkpoint) -> None:
    starts = set()
    for length in range(0, 256, 8):  # headers are padded to eights
        replace(checkpoint, provenance={"note": "x" * length}).save(path)
        starts.add(path.read_bytes()[0])
        assert load_checkpoint(path).provenance["note"] == "x" * length
    assert {0x80, 0x20} <= starts  # a pickle begins so, and a text


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"weight": np.zeros(3, np.float32)}, path)
    with pytest.raises(StudentError, match="not a student file"):
        load_checkpoint(path)
    path.write_text("a text", encoding="utf-8")
    with pytest.raises(StudentError, match="not readable"):
        load_checkpoint(path)
    with pytest.raises(StudentError, match="no such student"):
        load_checkpoint(tmp_path)


def rewritten(path: Path, name: str, value: str) -> Path:
    """Return the file with one header entry replaced and its checksum corrected."""
    from safetensors import safe_open

    from vfss.student.checkpoint import content_digest

    with safe_open(path, framework="numpy") as opened:
        header = dict(opened.metadata())
        tensors = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
    header.pop("digest")
    header[name] = value
    header["digest"] = content_digest(header, tensors)
    save_file(tensors, path, metadata=header)
    return path


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("format", "vfss-student/99"),
        ("config", '{"bones": 3}'),
        ("schema", json.dumps({"id": "x"})),
        ("schema", "nonsense"),
        ("scores", "{"),
    ],
)
def test_a_header_of_another_kind_is_refused(path: Path, name: str, value: str) -> None:
    with pytest.raises(StudentError, match=path.name):
        load_checkpoint(rewritten(path, name, value))


def test_a_schema_of_another_length_does_not_fit_the_weights(path: Path) -> None:
    data = Schema.load().to_dict()
    data["structures"] = data["structures"][:5]
    with pytest.raises(StudentError, match="do not fit"):
        load_student(rewritten(path, "schema", json.dumps(data)), "cpu-torch")


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{", "3", '{"valve": 1}', '{"bolus": -1}', '{"bolus": true}', '{"bolus": 1.5}', '{"bolus": "3"}'),
        *('{"bolus": 1e999}', "[" * 100_000, '{"bolus": ' + "9" * 30 + "}"),
    ],
)
def test_a_malformed_list_of_learnt_structures_is_refused(checkpoint: Checkpoint, tmp_path: Path, text: str) -> None:
    keys = Schema.load().keys
    with pytest.raises(StudentError):
        learnt_from_json(text, keys)
    path = tmp_path / "student.safetensors"
    written = replace(checkpoint, learnt={"bolus": 1}).save(path)
    with safe_open(path, framework="numpy") as opened:
        header = {**opened.metadata(), "learnt": text}
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    header.pop("digest")
    header["digest"] = content_digest(header, tensors)
    path.write_bytes(save(tensors, metadata=header))
    with pytest.raises(StudentError):
        load_checkpoint(path)
    with pytest.raises(StudentError):
        read_learnt_keys(path)
    assert written.learnt_keys == ("bolus",)


def _without_rules(checkpoint: Checkpoint) -> Student:
    return Student(checkpoint, OpenVinoRuntime(checkpoint, cache=None), rules=NO_RULES)


def test_what_was_learnt_is_kept_by_the_file_and_a_file_without_it_has_learnt_all(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    path = tmp_path / "student.safetensors"
    bare = checkpoint.save(path)
    assert bare.learnt is None and bare.learnt_keys == bare.schema.keys == read_learnt_keys(path)
    part = replace(bare, learnt={"c3": 0, "bolus": 7}).save(path)
    assert part.learnt == {"bolus": 7, "c3": 0} and part.id != bare.id
    assert read_learnt_keys(path) == ("bolus", "c3")
    (proposal,) = load_student(path, "cpu").propose(np.zeros((1, 40, 40), np.uint8))
    assert proposal.keys == ("bolus", "c3") and len(proposal.confidence) == 2
    # Rules weigh the structures that are proposed against each other, and so depend on which were learnt.
    (proposal,) = _without_rules(part).propose(np.zeros((1, 40, 40), np.uint8))
    (all_planes,) = _without_rules(checkpoint.save(tmp_path / "whole.safetensors")).propose(
        np.zeros((1, 40, 40), np.uint8)
    )
    for key in proposal.keys:
        np.testing.assert_array_equal(proposal.plane(key), all_planes.plane(key))
        assert proposal.confidence_of(key) == all_planes.confidence_of(key)


@pytest.mark.parametrize("backbone", ["resnet9999", "vit_tiny_patch16_224"])
def test_only_backbones_with_the_levels_of_a_student_are_built(backbone: str) -> None:
    from vfss.student.network.student import StudentNetwork

    with pytest.raises(StudentError, match=backbone) as caught:
        StudentNetwork(replace(CONFIG, backbone=backbone), 2)
    assert "timm.list_models" in caught.value.remedy


def test_a_config_that_claims_more_than_the_weights_is_refused_before_it_is_built(path: Path) -> None:
    config = replace(CONFIG, depth=16, mlp_width=8192)
    with pytest.raises(StudentError, match="the weights do not fit the config"):
        load_student(rewritten(path, "config", config.to_json()), "cpu-torch")
