# SPDX-License-Identifier: Apache-2.0
"""The student at work: equal results in every runtime, without torch on the CPU."""

from __future__ import annotations

import subprocess
import sys
import types
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import vfss.student
from small_student import CONFIG, disc_frame, small_checkpoint
from vfss.errors import ClipError, StudentError
from vfss.masks import MaskState
from vfss.schema import Schema
from vfss.student import load_checkpoint, load_student
from vfss.student.openvino_runtime import OpenVinoRuntime


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("student") / "small.safetensors"
    small_checkpoint().save(path)
    return path


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_a_proposal_has_the_frames_own_size(path: Path) -> None:
    student = load_student(path, "cpu")
    frames = np.stack([disc_frame(96, 131, seed) for seed in range(3)])
    proposals = student.propose(frames)
    assert len(proposals) == 3
    for proposal in proposals:
        assert proposal.masks.planes.shape == (len(student.schema), 96, 131)
        assert (proposal.masks.state == MaskState.PROPOSED).all()
        assert proposal.confidence.shape == (len(student.schema),)
        assert proposal.confidence.dtype == np.float32
        assert ((proposal.confidence >= 0) & (proposal.confidence <= 1)).all()
        assert proposal.student == student.id
    assert any(proposal.masks.planes.any() for proposal in proposals)


@pytest.mark.parametrize("threads", [1, 3])
def test_a_clip_gets_the_proposals_of_its_frames_in_order(path: Path, threads: int) -> None:
    student = load_student(path, "cpu", threads=threads)
    frames = [disc_frame(96, 131, seed) for seed in range(7)]
    for frame, proposal in zip(frames, student.propose_each(iter(frames)), strict=True):
        alone = student.propose(frame[np.newaxis])[0]
        assert np.mean(proposal.masks.planes == alone.masks.planes) >= 0.999
        np.testing.assert_allclose(proposal.confidence, alone.confidence, atol=0.02)
    assert list(student.propose_each([])) == []


def test_a_clip_that_breaks_off_raises(path: Path) -> None:
    def broken() -> Iterator[np.ndarray]:
        for seed in range(6):
            yield disc_frame(64, 64, seed)
        raise ClipError("the file ends here")

    with pytest.raises(ClipError, match="ends here"):
        list(load_student(path, "cpu", threads=2).propose_each(broken()))
    with pytest.raises(StudentError, match="uint8"):
        list(load_student(path, "cpu", threads=2).propose_each([np.zeros((8, 8), np.float32)]))


def test_the_exported_graph_and_torch_agree(path: Path) -> None:
    frames = np.stack([disc_frame(80, 120, seed) for seed in range(6)])
    exported, original = load_student(path, "cpu"), load_student(path, "cpu-torch")
    for one, other in zip(exported.propose(frames), original.propose(frames), strict=True):
        assert np.mean(one.masks.planes == other.masks.planes) >= 0.999
        np.testing.assert_allclose(one.confidence, other.confidence, atol=1e-3)


def test_a_mirrored_student_sees_both_facings_alike(tmp_path: Path) -> None:
    small_checkpoint(config=replace(CONFIG, mirrored=True)).save(tmp_path / "mirrored.safetensors")
    frames = np.stack([disc_frame(64, 64, seed) for seed in range(3)])
    exported, original = (load_student(tmp_path / "mirrored.safetensors", device) for device in ("cpu", "cpu-torch"))
    there = exported.propose(frames)
    back = exported.propose(np.ascontiguousarray(frames[:, :, ::-1]))
    for one, other, third in zip(there, back, original.propose(frames), strict=True):
        assert np.mean(one.masks.planes == other.masks.planes[:, :, ::-1]) >= 0.999
        assert np.mean(one.masks.planes == third.masks.planes) >= 0.999


def test_frames_do_not_influence_each_other(path: Path) -> None:
    student = load_student(path, "cpu")
    frames = np.stack([disc_frame(64, 64, seed) for seed in range(3)])
    together = student.propose(frames)
    for frame, proposal in zip(frames, together, strict=True):
        np.testing.assert_array_equal(student.propose(frame[None])[0].masks.planes, proposal.masks.planes)


def test_threads_take_turns(path: Path) -> None:
    student = load_student(path, "cpu")
    frames = [disc_frame(64 + seed, 80, seed)[None] for seed in range(8)]
    alone = [student.propose(frame)[0].masks.planes for frame in frames]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(student.propose, frames))
    for planes, (proposal,) in zip(alone, together, strict=True):
        np.testing.assert_array_equal(proposal.masks.planes, planes)


def test_one_thread_proposes_the_same(path: Path) -> None:
    frame = disc_frame(96, 96, 1)[None]
    (one,), (many,) = load_student(path, "cpu", threads=1).propose(frame), load_student(path, "cpu").propose(frame)
    assert (one.masks.planes == many.masks.planes).mean() > 0.999


def test_clips_of_different_sizes_can_alternate(path: Path) -> None:
    student = load_student(path, "cpu")
    for height, width in ((40, 60), (61, 33), (40, 60)):
        assert student.propose(disc_frame(height, width)[None])[0].masks.planes.shape[1:] == (height, width)


def test_no_frames_no_proposals(path: Path) -> None:
    assert load_student(path, "cpu").propose(np.zeros((0, 64, 64), np.uint8)) == []


@pytest.mark.parametrize(
    "frames", [np.zeros((64, 64), np.uint8), np.zeros((1, 64, 64), np.uint16), np.zeros((1, 0, 64), np.uint8)]
)
def test_an_array_that_is_no_stack_of_frames_is_refused(path: Path, frames: np.ndarray) -> None:
    with pytest.raises(StudentError, match="frames must be"):
        load_student(path, "cpu").propose(frames)


def test_the_cpu_path_imports_no_torch(path: Path) -> None:
    code = (
        "import sys, numpy as np\n"
        "from vfss.student import load_student\n"
        "assert not {'torch', 'openvino'} & set(sys.modules), 'importing vfss.student is not light'\n"
        f"student = load_student({str(path)!r}, 'cpu')\n"
        "assert student.propose(np.zeros((1, 90, 70), np.uint8))[0].masks.planes.shape[1:] == (90, 70)\n"
        "foreign = {'torch', 'torchvision', 'timm', 'segment_anything', 'lightning'} & set(sys.modules)\n"
        "assert not foreign, foreign\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_default_ships_and_knows_the_twelve() -> None:
    student = load_student("default", "cpu")
    assert student.path is not None
    assert student.path.stat().st_size <= 25_000_000
    assert student.schema == Schema.load("vfss12")
    assert student.device.startswith("cpu")
    assert len(student.propose(disc_frame(200, 160)[None])) == 1


def test_a_missing_file_and_an_unknown_device_are_named(tmp_path: Path) -> None:
    with pytest.raises(StudentError, match=r"nothing\.safetensors"):
        load_student(tmp_path / "nothing.safetensors")
    with pytest.raises(StudentError, match="abacus"):
        load_student("default", "abacus")


def test_cuda_without_a_gpu_is_an_error_a_person_can_act_on(path: Path) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(StudentError, match="CUDA"):
        load_student(path, "cuda")


@pytest.mark.parametrize(
    ("window", "torch_there", "driver", "gpu", "expected"),
    [
        (True, False, True, True, False),  # Importing torch beside an open window can kill the process.
        (True, True, True, True, True),  # Imported before the window opened, it is safe.
        (False, False, False, True, False),
        (False, True, False, False, False),
        (False, False, True, True, True),
    ],
)
def test_torch_is_imported_only_where_it_is_safe(  # noqa: PLR0917
    monkeypatch: pytest.MonkeyPatch, window: bool, torch_there: bool, driver: bool, gpu: bool, expected: bool
) -> None:
    modules = {name: module for name, module in sys.modules.items() if name != "torch" and "QtWidgets" not in name}
    if window:
        modules["PyQt6.QtWidgets"] = types.ModuleType("PyQt6.QtWidgets")
    if torch_there:
        modules["torch"] = types.ModuleType("torch")
    calls: list[str] = []
    runtime = types.ModuleType("vfss.student.torch_runtime")
    runtime.cuda_is_available = lambda: bool(calls.append("torch") or gpu)
    monkeypatch.setattr(vfss.student, "torch_runtime", runtime, raising=False)
    monkeypatch.setattr(vfss.student.sys, "modules", modules)
    monkeypatch.setattr(vfss.student, "has_nvidia_driver", lambda: driver)
    assert vfss.student.bring_in_gpu() is expected
    assert torch_there or expected or not calls


def test_reduced_precision_needs_proof(path: Path) -> None:
    checkpoint = load_checkpoint(path)
    assert checkpoint.precision == {}
    assert OpenVinoRuntime(checkpoint).device == "cpu (f32)"


def test_a_cache_that_cannot_be_written_does_not_stop_it(path: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    runtime = OpenVinoRuntime(load_checkpoint(path), cache=tmp_path / "file" / "cache")
    assert runtime.run(np.zeros((1, 1, 64, 64), np.float32))[0].shape == (1, 12, 16, 16)


def test_a_damaged_graph_is_a_student_error(path: Path) -> None:
    checkpoint = load_checkpoint(path)
    for graph in (b"", b"\xff\xfe nonsense", checkpoint.graph[: len(checkpoint.graph) // 2]):
        broken = vfss.student.Checkpoint(checkpoint.config, checkpoint.schema, checkpoint.tensors, graph, {})
        with pytest.raises(StudentError):
            OpenVinoRuntime(broken)


def test_a_graph_without_its_weights_is_a_student_error(path: Path) -> None:
    checkpoint = load_checkpoint(path)
    bare = vfss.student.Checkpoint(checkpoint.config, checkpoint.schema, {}, checkpoint.graph, {})
    with pytest.raises(StudentError, match="lacks"):
        OpenVinoRuntime(bare)
