# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

import vfss
from vfss.errors import ProjectError, VfssError
from vfss.masks import MaskState
from vfss.phantom import Phantom, write_dicom, write_phantom, write_video
from vfss.project import Project

SIZE, FRAMES, SEED = 96, 13, 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("phantom")
    assert write_phantom(out, clips=3, frames=FRAMES, seed=SEED, size=SIZE) == out / "project"
    return out


def phantom(i: int) -> Phantom:
    return Phantom(SEED + i, n_frames=FRAMES, height=SIZE, width=SIZE)


def test_clips_are_video_and_dicom_in_turn_and_nothing_else(folder: Path) -> None:
    names = sorted(path.name for path in (folder / "clips").iterdir())
    assert names == ["phantom_40.mp4", "phantom_41.dcm", "phantom_42.mp4"]


def test_frames_read_back(folder: Path) -> None:
    with Project.open(folder / "project") as project:
        for i, record in enumerate(project.clips()):
            with vfss.open_clip(record.path) as clip:
                assert (clip.n_frames, clip.height, clip.width) == (FRAMES, SIZE, SIZE)
                assert clip.times_s == pytest.approx(phantom(i).times_s, abs=1e-4)
                for t in (0, 6, FRAMES - 1):
                    difference = np.abs(clip[t].astype(int) - phantom(i).frame(t))
                    if record.path.suffix == ".dcm":
                        assert difference.max() == 0
                    else:
                        assert difference.mean() < 3


def test_store_holds_the_truth(folder: Path) -> None:
    with Project.open(folder / "project") as project:
        records = project.clips()
        assert len({record.patient for record in records}) == len(records)
        for i, record in enumerate(records):
            assert record.facing == phantom(i).facing
            assert record.inverted == phantom(i).inverted
            assert [(s.first, s.last) for s in record.swallows] == [phantom(i).swallow]
            review = project.reviews.of(record.id)
            assert review is not None and (review.reviewer, review.redaction.is_empty) == ("phantom", True)
            for t in range(0, FRAMES, 4):
                planes, visible = phantom(i).truth(t)
                masks = project.masks(record.id, t)
                assert np.array_equal(masks.planes, planes)
                for plane, seen, state in zip(planes, visible, masks.state, strict=True):
                    expected = MaskState.ACCEPTED if plane.any() else MaskState.EMPTY
                    assert state == (expected if seen else MaskState.NOT_VISIBLE)
            revisions = project.newest(record.id, 0).values()
            assert {(r.author, r.origin) for r in revisions} == {("phantom", "truth")}


def test_dicom_is_a_radiofluoroscopic_image_of_nobody(folder: Path) -> None:
    pydicom.config.settings.reading_validation_mode = pydicom.config.RAISE
    try:
        dataset = pydicom.dcmread(folder / "clips" / "phantom_41.dcm")
        assert len(list(dataset.iterall())) > 40
    finally:
        pydicom.config.settings.reading_validation_mode = pydicom.config.WARN
    assert dataset.SOPClassUID == "1.2.840.10008.5.1.4.1.1.12.2"
    assert dataset.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
    assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
    assert dataset.PatientName == "PHANTOM^41"
    assert dataset.PatientBirthDate == ""
    assert float(dataset.FrameTime) == pytest.approx(1000 / 30, abs=1e-3)
    assert dataset.FrameIncrementPointer == pydicom.tag.Tag("FrameTime")
    assert dataset.pixel_array.shape == (FRAMES, SIZE, SIZE)
    assert dataset.PatientOrientation[0] == ("P" if phantom(1).facing == "left" else "A")


def test_same_clip_gets_the_same_identity(tmp_path: Path) -> None:
    write_dicom(phantom(1), tmp_path / "a.dcm")
    write_dicom(phantom(1), tmp_path / "b.dcm")
    assert (tmp_path / "a.dcm").read_bytes() == (tmp_path / "b.dcm").read_bytes()


def test_odd_number_of_odd_frames_fits_in_dicom(tmp_path: Path) -> None:
    odd = Phantom(1, n_frames=3, height=65, width=67)
    assert write_dicom(odd, tmp_path / "odd.dcm")
    with vfss.open_clip(tmp_path / "odd.dcm") as clip:
        assert np.array_equal(clip[2], odd.frame(2))


def test_both_kinds_of_one_clip_belong_to_one_patient(tmp_path: Path) -> None:
    made = write_phantom(tmp_path, clips=1, frames=3, seed=7, size=64, both=True)
    with Project.open(made) as project:
        records = project.clips()
        assert sorted(record.path.suffix for record in records) == [".dcm", ".mp4"]
        assert len({record.patient for record in records}) == 1
        states = [project.states(record.id) for record in records]
    assert np.array_equal(states[0], states[1])
    assert (states[0] != MaskState.UNSEEN).all()


def test_cancelling_leaves_complete_clips_only(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> bool:
        calls.append((done, total))
        return done < 6

    made = write_phantom(tmp_path, clips=3, frames=4, seed=1, size=64, progress=progress)
    assert calls == [(done, 12) for done in range(1, 7)]
    assert [path.name for path in (tmp_path / "clips").iterdir()] == ["phantom_1.mp4"]
    with Project.open(made) as project:
        assert [record.path.name for record in project.clips()] == ["phantom_1.mp4"]


def test_processes_write_what_one_writes_and_count_on(tmp_path: Path, folder: Path) -> None:
    calls: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> bool:
        calls.append((done, total))
        return True

    write_phantom(tmp_path, clips=3, frames=FRAMES, seed=SEED, size=SIZE, processes=2, progress=progress)
    total = 3 * FRAMES
    assert calls[-1] == (total, total)
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
    with Project.open(tmp_path / "project") as many, Project.open(folder / "project") as one:
        for record, expected in zip(many.clips(), one.clips(), strict=True):
            assert record.path.name == expected.path.name
            with vfss.open_clip(record.path) as clip, vfss.open_clip(expected.path) as other:
                # An encoder with several threads need not write the same bytes twice.
                most = 0.0 if record.path.suffix == ".dcm" else 1.0
                assert all(np.abs(clip[t].astype(int) - other[t]).mean() <= most for t in range(FRAMES))
            for t in range(FRAMES):
                found, wanted = many.masks(record.id, t), one.masks(expected.id, t)
                assert np.array_equal(found.planes, wanted.planes)
                assert np.array_equal(found.state, wanted.state)


def test_processes_stop_where_they_are_asked_to(tmp_path: Path) -> None:
    made = write_phantom(tmp_path, clips=4, frames=20, seed=1, size=64, processes=2, progress=lambda done, _: done < 25)
    with Project.open(made) as project:
        kept = [record.path.name for record in project.clips()]
    assert len(kept) < 4
    assert sorted(kept) == sorted(path.name for path in (tmp_path / "clips").iterdir())


def test_cancelling_a_video_leaves_no_file(tmp_path: Path) -> None:
    assert not write_video(phantom(0), tmp_path / "clip.mp4", lambda done: done < 2)
    assert list(tmp_path.iterdir()) == []


def test_a_project_is_never_written_over(tmp_path: Path) -> None:
    write_phantom(tmp_path, clips=1, frames=1, seed=0, size=64)
    with pytest.raises(ProjectError):
        write_phantom(tmp_path, clips=1, frames=1, seed=0, size=64)


def test_what_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(VfssError, match="even"):
        write_phantom(tmp_path, clips=1, frames=1, seed=0, size=65)
    with pytest.raises(VfssError, match="style"):
        write_phantom(tmp_path, clips=1, frames=1, seed=0, size=64, style="gentle")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(VfssError, match="folder"):
        write_phantom(tmp_path / "file", clips=1, frames=1, seed=0, size=64)
    with pytest.raises(VfssError, match="cannot be written"):
        write_video(phantom(0), tmp_path / "missing" / "clip.mp4")
    with pytest.raises(VfssError, match="cannot be written"):
        write_dicom(phantom(0), tmp_path / "missing" / "clip.dcm")
