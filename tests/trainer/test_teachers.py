# SPDX-License-Identifier: Apache-2.0
"""Teachers: published names at true shapes, a second implementation, missing or different weights, real weights."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from published_tiny_vit import published_weights, tiny_vit
from vfss.clips import open_clip
from vfss.errors import TrainingError
from vfss.masks.metrics import dice
from vfss.phantom import Phantom
from vfss_training.teachers.loading import load_teacher
from vfss_training.teachers.networks.mobile_sam import PromptedTeacher
from vfss_training.teachers.networks.tiny_vit import TinyVitEncoder, renamed
from vfss_training.teachers.table import TEACHERS, teacher_named
from vfss_training.teachers.teacher import Teacher
from vfss_training.teachers.weights import default_folder, digest, read_weights, verified_file

SHARED = os.environ.get("VFSS_SHARED")


@pytest.mark.parametrize("stem", [1, 3])
def test_published_weights_give_the_same_as_a_second_implementation(stem: int) -> None:
    """Loaded strictly, at a size that the windows do not divide, against a forward pass written from the names."""
    published = published_weights(stem, seed=stem)
    encoder = TinyVitEncoder(stem)
    encoder.load_state_dict(renamed(published), strict=True)
    frames = torch.randn(1, 3, 32 * stem**2, 32 * stem**2)
    with torch.inference_mode():
        features, expected = encoder.eval()(frames), tiny_vit(published, frames, stem)
    assert features.shape[1] == 256
    torch.testing.assert_close(features, expected, atol=1e-4, rtol=1e-3)


def test_weights_that_do_not_fit_are_refused() -> None:
    teacher = PromptedTeacher(TEACHERS["lite-medsam"])
    with pytest.raises(TrainingError, match="do not fit teacher 'lite-medsam'"):
        teacher.load_published({"image_encoder.neck.0.weight": torch.zeros(256, 320, 1, 1)})


def test_a_missing_file_is_named_with_source_and_licence(tmp_path: Path) -> None:
    with pytest.raises(TrainingError) as error:
        load_teacher("mobile-sam", tmp_path)
    for part in ("mobile_sam.pt", "40,728,226", "6dbb9052", "github.com/ChaoningZhang", "Apache-2.0", str(tmp_path)):
        assert part in str(error.value)
    assert "vfss-train download mobile-sam" in str(error.value)
    with pytest.raises(TrainingError, match=r"MedSAM2_latest\.pt, size unknown, no published hash is known"):
        load_teacher("medsam2", tmp_path)
    with pytest.raises(TrainingError, match="lite-medsam"):
        teacher_named("huge-sam")


def test_a_different_file_of_that_name_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = TEACHERS["lite-medsam"]
    (tmp_path / entry.file).write_bytes(b"something else")
    monkeypatch.setattr(torch, "load", lambda *a, **k: pytest.fail("it was loaded"))
    for location in (tmp_path, tmp_path / entry.file):
        with pytest.raises(TrainingError, match="sha256 is"):
            load_teacher("lite-medsam", location)


def test_a_pickle_is_never_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Malicious:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "harm",))

    path = tmp_path / "lite_medsam.pth"
    torch.save({"x": Malicious()}, path)
    known = replace(TEACHERS["lite-medsam"], sha256=digest(path, "sha256"))
    monkeypatch.setitem(TEACHERS, "lite-medsam", known)
    with pytest.raises(TrainingError, match="more than tensors, which would be executed"):
        load_teacher("lite-medsam", tmp_path)
    assert not (tmp_path / "harm").exists()


def test_files_that_are_not_weights_are_refused(tmp_path: Path) -> None:
    save_file({"x": torch.ones(2)}, tmp_path / "x.safetensors")
    assert read_weights(TEACHERS["rad-dino"], tmp_path / "x.safetensors")["x"].tolist() == [1, 1]
    for name in ("y.safetensors", "y.pth"):
        (tmp_path / name).write_bytes(b"nothing of the kind")
        with pytest.raises(TrainingError, match=r"y\.\w+: (not readable|the file is damaged or holds more)"):
            read_weights(TEACHERS["rad-dino"], tmp_path / name)
    torch.save({"model": {"x": torch.ones(2)}, "step": 3}, tmp_path / "z.pt")
    assert list(read_weights(TEACHERS["medsam2"], tmp_path / "z.pt")) == ["x"]
    with pytest.raises(TrainingError, match="no table of tensors"):
        read_weights(TEACHERS["medsam"], tmp_path / "z.pt")
    torch.save({"x": torch.ones(2)}, tmp_path / "x.pt")
    with pytest.raises(TrainingError, match="no table of tensors under 'model'"):
        read_weights(TEACHERS["medsam2"], tmp_path / "x.pt")


def test_the_default_folder_is_in_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    entry = replace(TEACHERS["lite-medsam"], sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("VFSS_TEACHERS", raising=False)
    folder = default_folder()
    assert folder == tmp_path / "napari-vfss" / "teachers"
    folder.mkdir(parents=True)
    (folder / entry.file).write_bytes(b"test")
    assert verified_file(entry) == folder / entry.file


@pytest.mark.parametrize("name", ["mobile-sam", "lite-medsam"])
def test_input_is_scaled_normalised_and_padded(name: str) -> None:
    teacher = PromptedTeacher(replace(TEACHERS[name], input_size=64))
    frame = torch.full((1, 30, 60), 50, dtype=torch.uint8)
    frame[:, :15] = 200
    inputs = teacher.prepare(frame)
    assert inputs.shape == (1, 3, 64, 64)
    assert (inputs[:, :, 32:] == 0).all()
    bright, dark = inputs[0, :, 5, 5], inputs[0, :, 28, 5]
    expected = (1.0, 0.0) if name == "lite-medsam" else ((200 - 123.675) / 58.395, (50 - 123.675) / 58.395)
    assert (float(bright[0]), float(dark[0])) == pytest.approx(expected, abs=1e-5)


def load_real(name: str) -> PromptedTeacher:
    """Load one of the two teachers whose weights may be on this machine."""
    if SHARED is None or not (Path(SHARED) / "weights" / TEACHERS[name].file).is_file():
        pytest.skip(f"VFSS_SHARED names no folder with weights/{TEACHERS[name].file}")
    return load_teacher(name, Path(SHARED) / "weights")


@pytest.fixture(scope="module")
def lite_medsam() -> PromptedTeacher:
    return load_real("lite-medsam")


def test_real_weights_segment_the_structure_in_a_box(lite_medsam: PromptedTeacher) -> None:
    phantom = Phantom(3, n_frames=2, height=160, width=200)
    frame, planes, _ = phantom.sample(0)
    mandible = planes[phantom.schema["mandible"].index]
    rows, columns = np.flatnonzero(mandible.any(1)), np.flatnonzero(mandible.any(0))
    box = np.array([[columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]], np.float32)
    encoded = lite_medsam.encode(frame)
    masks, quality = lite_medsam.masks(encoded, np.repeat(box, 2, axis=0))
    assert masks.shape == (2, 160, 200)
    assert encoded.features.shape == (1, 256, 64, 64)
    assert dice(masks[0], mandible) > 0.5
    assert 0 < quality[0] <= 1.1
    teacher: Teacher = lite_medsam
    assert (teacher.name, teacher.input_size, teacher.grid, teacher.channels) == ("lite-medsam", 256, 64, 256)


@pytest.mark.parametrize("name", ["lite-medsam", "mobile-sam"])
def test_real_weights_give_plausible_features_and_masks_on_a_real_frame(name: str) -> None:
    """Features are finite and differ over the frame; the mask of a box is inside the box and fills a part of it."""
    teacher = load_real(name)
    clips = sorted((Path(str(SHARED)) / "data" / "clips").glob("*.mp4"))
    if not clips:
        pytest.skip("VFSS_SHARED names no folder with data/clips/*.mp4")
    with open_clip(clips[-1]) as clip:
        frame = clip.as_uint8(clip.n_frames // 2)
    encoded = teacher.encode(frame)
    assert encoded.features.shape == (1, 256, 64, 64) and encoded.features.dtype == torch.float32
    assert torch.isfinite(encoded.features).all()
    assert encoded.features.std((2, 3)).mean() > 0.01
    height, width = frame.shape
    box = np.array([[0.3 * width, 0.3 * height, 0.6 * width, 0.6 * height]], np.float32)
    (mask,), quality = teacher.masks(encoded, box)
    left, top, right, bottom = box[0].astype(int)
    inside = mask[top:bottom, left:right]
    assert inside.mean() > 0.05
    assert inside.sum() > 0.7 * mask.sum()
    assert np.isfinite(quality).all()
