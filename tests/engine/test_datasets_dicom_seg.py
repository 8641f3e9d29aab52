# SPDX-License-Identifier: Apache-2.0
"""DICOM segmentations of fluoroscopies, read by other programs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest

from clip_material import dataset, write_dicom
from small_project import THREE, annotate, case, clip_id, disc, grey_frames, write_stack, write_video
from vfss.clips import ArrayClip, open_clip
from vfss.clips.placard import PlacardClip
from vfss.datasets import FORMATS, ExportOptions, run_export
from vfss.datasets.sidecar import read_frames
from vfss.deidentify import CaseKey, PixelBox, Redaction
from vfss.deidentify.recording import deidentify_recording
from vfss.masks import MaskState
from vfss.project import Edit, Project

HEIGHT, WIDTH = 23, 35  # 805 pixels: frames do not end with a byte
INNER, OUTER = (disc(HEIGHT, WIDTH, y=11, x=14, radius=r) for r in (4, 8))
FRAMES = grey_frames(6, HEIGHT, WIDTH)
XRF = "1.2.840.10008.5.1.4.1.1.12.2"


@pytest.fixture
def project(tmp_path: Path):
    """A DICOM recording with overlapping, empty, hidden and unknown structures, and a video."""
    with Project.create(tmp_path / "project", THREE) as made:
        source = write_dicom(
            tmp_path / "Doe.dcm", FRAMES, SOPClassUID=XRF, PatientName="Zwiebelmann^Jane", PatientID="ID-4711-0815"
        )
        clip = made.add_clip(source, patient="Jane Doe").id
        annotate(made, clip, 1, {"bolus": INNER, "pharynx": OUTER, "mandible": MaskState.NOT_VISIBLE})
        annotate(made, clip, 2, {"bolus": MaskState.EMPTY})
        annotate(made, clip, 4, {"pharynx": np.roll(OUTER, 3, 1), "mandible": np.ones_like(OUTER)})
        video = made.add_clip(write_video(tmp_path / "b.mkv", grey_frames(2, HEIGHT, WIDTH, seed=1)), patient="x").id
        annotate(made, video, 0, {"bolus": INNER})
        yield made


def segmented(folder: Path, sop_class: str = XRF) -> tuple[Path, Path]:
    """The recording of a class and its segmentation."""
    recordings = {
        pydicom.dcmread(path, stop_before_pixels=True).SOPClassUID: path
        for path in folder.glob("*.dcm")
        if not path.stem.endswith("_seg")
    }
    recording = recordings[sop_class]
    return recording, recording.with_name(f"{recording.stem}_seg.dcm")


def test_highdicom_reads_every_mask_at_its_frame_of_the_recording(project: Project, tmp_path: Path) -> None:
    report = run_export(FORMATS["dicom-seg"], project, tmp_path / "out")
    recording, path = segmented(tmp_path / "out")
    segmentation = highdicom.seg.segread(path)
    source = pydicom.dcmread(recording)
    assert source.SOPClassUID == XRF
    assert segmentation.number_of_segments == 3
    assert [segmentation.get_segment_description(n).segment_label for n in (1, 2, 3)] == [
        "Bolus",
        "Pharynx",
        "Mandible",
    ]
    planes = segmentation.get_pixels_by_source_frame(
        source.SOPInstanceUID, source_frame_numbers=[2, 3, 5], assert_missing_frames_are_empty=True
    )
    nothing = np.zeros_like(INNER)
    expected = [[INNER, OUTER, nothing], [nothing] * 3, [nothing, np.roll(OUTER, 3, 1), np.ones_like(OUTER)]]
    np.testing.assert_array_equal(planes, np.moveaxis(np.array(expected), 1, -1))
    # What a segmentation cannot express is in a file beside it.
    lines = [line for line in read_frames(tmp_path / "out") if line["segmentation"] == path.name]
    assert [line["frame"] for line in lines] == [1, 2, 4]
    assert lines[0]["states"]["mandible"] == "not visible"
    assert lines[1]["states"] == {"bolus": "empty", "pharynx": "unseen", "mandible": "unseen"}
    assert not report.left_out
    assert not list((tmp_path / "out").glob("*.tmp"))


def test_the_recording_is_complete_and_names_nobody(project: Project, tmp_path: Path) -> None:
    run_export(FORMATS["dicom-seg"], project, tmp_path / "out")
    recording, path = segmented(tmp_path / "out")
    with open_clip(recording) as clip:
        np.testing.assert_array_equal([clip[t] for t in range(6)], FRAMES)
    source, segmentation = pydicom.dcmread(recording), pydicom.dcmread(path)
    original = next(record for record in project.clips() if record.id == clip_id(project, recording.stem))
    assert source.SOPInstanceUID != pydicom.dcmread(original.path).SOPInstanceUID
    for keyword in ("PatientID", "PatientName", "StudyInstanceUID"):
        assert segmentation[keyword].value == source[keyword].value
    for file in (tmp_path / "out").rglob("*"):
        data = file.read_bytes() if file.is_file() else b""
        assert not any(secret in data for secret in (b"Zwiebelmann", b"4711-0815", b"reader one"))


def test_redaction_and_crop_apply_to_recording_and_masks(project: Project, tmp_path: Path) -> None:
    record = project.clips()[0]
    project.reviews.accept(record.id, Redaction((PixelBox(0, 0, 4, 9),), PixelBox(2, 3, 22, 30)), reviewer="reader one")
    run_export(FORMATS["dicom-seg"], project, tmp_path / "out")
    recording, path = segmented(tmp_path / "out")
    with open_clip(recording) as clip:
        assert (clip.height, clip.width) == (20, 27)
        assert not clip[3][:2, :6].any()
    source = pydicom.dcmread(recording, stop_before_pixels=True)
    planes = highdicom.seg.segread(path).get_pixels_by_source_frame(
        source.SOPInstanceUID, source_frame_numbers=[2], assert_missing_frames_are_empty=True
    )
    np.testing.assert_array_equal(planes[0, ..., 1], OUTER[2:22, 3:30])


def test_dcmqi_wants_positions_that_fluoroscopy_does_not_have(project: Project, tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("segimage2itkimage")
    if not program.exists():
        pytest.skip("dcmqi is not installed")
    run_export(FORMATS["dicom-seg"], project, tmp_path / "out")
    (tmp_path / "read").mkdir()
    _, path = segmented(tmp_path / "out")
    done = subprocess.run(
        [program, "--inputDICOM", path, "--outputDirectory", tmp_path / "read", "-t", "nrrd"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    output = done.stdout + done.stderr
    assert done.returncode != 0 and not list((tmp_path / "read").iterdir())
    assert "Failed to read" not in output and "ERROR: Failed to load" not in output, output
    assert any("dcmqi" in sentence for sentence in FORMATS["dicom-seg"].losses)


def test_dciodvfy_finds_no_error(project: Project, tmp_path: Path) -> None:
    program = shutil.which("dciodvfy")
    if program is None:
        pytest.skip("dciodvfy (Debian's dicom3tools) is not installed")
    run_export(FORMATS["dicom-seg"], project, tmp_path / "out")
    for path in (segmented(tmp_path / "out")[1], *segmented(tmp_path / "out", BYTE)):
        done = subprocess.run([program, path], capture_output=True, text=True, check=False)
        assert "Error" not in done.stdout + done.stderr


def test_a_stopped_export_begins_the_recording_again(project: Project, tmp_path: Path) -> None:
    assert run_export(FORMATS["dicom-seg"], project, tmp_path / "out", progress=lambda done, _: done < 2).cancelled
    report = run_export(FORMATS["dicom-seg"], project, tmp_path / "out")
    assert (report.images, report.resumed) == (4, 0)
    assert len(highdicom.seg.segread(segmented(tmp_path / "out")[1]).get_source_image_uids()) == 1


BYTE, WORD = "1.2.840.10008.5.1.4.1.1.7.2", "1.2.840.10008.5.1.4.1.1.7.3"


def test_a_video_becomes_a_secondary_capture_to_which_its_segmentation_refers(project: Project, tmp_path: Path) -> None:
    run_export(FORMATS["dicom-seg"], project, tmp_path / "out")
    recording, path = segmented(tmp_path / "out", BYTE)
    source = pydicom.dcmread(recording)
    np.testing.assert_array_equal(source.pixel_array, grey_frames(2, HEIGHT, WIDTH, seed=1))
    planes = highdicom.seg.segread(path).get_pixels_by_source_frame(
        source.SOPInstanceUID, source_frame_numbers=[1, 2], assert_missing_frames_are_empty=True
    )
    np.testing.assert_array_equal(planes[0, ..., 0], INNER)
    assert not planes[1].any()
    assert float(source.FrameTime) == pytest.approx(1000 / 30, abs=1)  # Matroska counts milliseconds
    assert source.FrameIncrementPointer == 0x00181063
    assert (source.BurnedInAnnotation, source.PatientIdentityRemoved) == ("NO", "YES")
    assert [code.CodeValue for code in source.DeidentificationMethodCodeSequence] == ["113100", "113101"]
    assert source.PatientID == source.PatientName == case(project, "x")
    with open_clip(recording) as clip:
        assert clip.times_from == "file" and clip.pixel_aspect == 1


def test_a_secondary_capture_says_only_what_is_known(tmp_path: Path) -> None:
    frames = grey_frames(3, HEIGHT, WIDTH, bits=12)
    with Project.create(tmp_path / "project", THREE) as project:
        clip = project.add_clip(write_stack(tmp_path / "b.tif", frames)).id
        project.update_clip(clip, facing="left")
        project.write([Edit(clip, 1, "bolus", INNER, MaskState.ACCEPTED)], author="reader one", origin="hand")
        run_export(FORMATS["dicom-seg"], project, tmp_path / "out", ExportOptions(unreviewed=True))
    recording, _ = segmented(tmp_path / "out", WORD)
    source = pydicom.dcmread(recording)
    np.testing.assert_array_equal(source.pixel_array, frames)
    assert not {"FrameTime", "FrameTimeVector", "CineRate"} & {element.keyword for element in source}
    assert (source.FrameIncrementPointer, list(source.PageNumberVector)) == (0x00182001, [1, 2, 3])
    assert source.BurnedInAnnotation == "YES"
    assert [code.CodeValue for code in source.DeidentificationMethodCodeSequence] == ["113100"]
    with open_clip(recording) as written:
        assert (written.times_from, written.facing) == ("assumed", "left")


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_a_folder_of_dicom_images_becomes_one_file(tmp_path: Path, photometric: str) -> None:
    (tmp_path / "series").mkdir()
    for number, frame in enumerate(FRAMES):
        made = dataset(frame[None], PatientName="Zwiebelmann^Jane", PhotometricInterpretation=photometric)
        made.InstanceNumber, made.SeriesInstanceUID = number + 1, "1.2.3"
        made.save_as(tmp_path / "series" / f"{number}.dcm", enforce_file_format=True)
    key = CaseKey(tmp_path / "key.json")
    with PlacardClip(open_clip(tmp_path / "series")) as clip:
        written = deidentify_recording(clip, tmp_path, Redaction(), key, patient="x", reviewed=True)
        with open_clip(written) as again:
            assert (again.n_frames, again.times_from, again.inverted) == (6, "assumed", clip.inverted)
    assert pydicom.dcmread(written).PhotometricInterpretation == photometric
    assert b"Zwiebelmann" not in written.read_bytes()


def test_pixels_that_are_not_square_stay_so(tmp_path: Path) -> None:
    clip = ArrayClip(grey_frames(3, HEIGHT, WIDTH), times_s=np.array([0, 0.04, 0.12]))
    clip.pixel_aspect = 8 / 9
    key = CaseKey(tmp_path / "key.json")
    written = deidentify_recording(clip, tmp_path, Redaction(), key, patient="x", reviewed=True, as_dicom=True)
    assert list(pydicom.dcmread(written).PixelAspectRatio) == [9, 8]
    with open_clip(written) as again:
        assert again.pixel_aspect == pytest.approx(8 / 9)
        np.testing.assert_allclose(again.times_s, clip.times_s)
