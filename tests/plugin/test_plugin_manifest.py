# SPDX-License-Identifier: Apache-2.0
"""The plugin manifest, and the reader, writer and sample data it declares."""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pytest
from npe2 import PluginManager, PluginManifest

from napari_vfss.reader import get_reader, read
from napari_vfss.writer import write_annotations
from vfss.clips import SUFFIXES
from vfss.deidentify import Redaction
from vfss.errors import DatasetError
from vfss.sample_clips import SAMPLES

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def manifest() -> PluginManifest:
    loaded = PluginManifest.from_file(ROOT / "napari_vfss" / "napari.yaml")
    loaded.validate_imports()
    return loaded


@pytest.fixture
def manager(manifest):
    made = PluginManager()
    made.register(manifest)
    return made


def test_the_manifest_is_registered_as_an_entry_point(manifest):
    assert (ROOT / "napari.yaml").resolve() == (ROOT / "napari_vfss" / "napari.yaml").resolve()
    (entry,) = [e for e in entry_points(group="napari.manifest") if e.name == "napari-vfss"]
    assert entry.value == "napari_vfss:napari.yaml"
    assert manifest.name == "napari-vfss"


@pytest.mark.parametrize("name", [f"clip{suffix}" for suffix in sorted(SUFFIXES)] + ["I0000001", "7", "1.2.840.1.55"])
def test_recordings_are_claimed_by_the_reader(manager, name):
    assert [r.command for r in manager.iter_compatible_readers([f"/data/{name}"])] == ["napari-vfss.get_reader"]


def test_folders_are_claimed_by_the_reader(manager, tmp_path):
    assert [r.command for r in manager.iter_compatible_readers([str(tmp_path)])] == ["napari-vfss.get_reader"]


@pytest.mark.parametrize("name", ["picture.png", "photo.jpg", "table.csv", "notes.txt", "README.md", "longername"])
def test_other_files_are_not_claimed(manager, name):
    assert list(manager.iter_compatible_readers([f"/data/{name}"])) == []


@pytest.mark.parametrize("path", ["/nowhere.mp4", "", "\0", ["a.png", "b.png"], [], "https://example.org/x.mp4"])
def test_the_reader_declines_without_raising(path):
    assert get_reader(path) is None


def test_the_reader_returns_one_lazy_layer(clip_file):
    reader = get_reader(str(clip_file))
    ((frames, settings, kind),) = reader(str(clip_file))
    assert kind == "image"
    assert frames.shape == (24, 160, 160)
    assert settings["contrast_limits"] == (0, 255)
    assert np.asarray(frames[3]).dtype == np.uint8
    frames.close()


def test_a_folder_of_pictures_is_a_recording_and_other_folders_are_not(tmp_path):
    import imageio.v3 as iio

    assert get_reader(tmp_path) is None
    for t in range(3):
        iio.imwrite(tmp_path / f"{t:03}.png", np.full((20, 30), t, np.uint8))
    ((frames, _, _),) = read(tmp_path)
    assert frames.shape == (3, 20, 30)
    frames.close()


def test_every_sample_of_the_manifest_exists(manifest):
    assert {sample.key for sample in manifest.contributions.sample_data} == set(SAMPLES)


def test_the_writer_writes_the_project_of_the_layer_and_returns_its_files(session, tmp_path):
    mask = np.zeros((160, 160), np.bool_)
    mask[30:60, 40:80] = True
    session.stroke(mask)
    session.accept_frame()
    session.project.reviews.accept(session.clip.id, Redaction(), reviewer="Ann")
    meta = {"metadata": {"vfss_project": str(session.project.folder)}}
    written = write_annotations(str(tmp_path / "set.json"), mask.astype(np.uint8), meta)
    assert written
    assert all(Path(path).is_file() and (tmp_path / "set") in Path(path).parents for path in written)


def test_the_writer_refuses_a_layer_of_no_project(tmp_path):
    with pytest.raises(DatasetError, match="belongs to no VFSS project"):
        write_annotations(str(tmp_path / "set.json"), None, {"metadata": {}})
