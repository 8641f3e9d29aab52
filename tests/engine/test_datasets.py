# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycocotools import mask as rle
from pycocotools.coco import COCO
from scipy.ndimage import binary_fill_holes

from small_project import THREE, annotate, case, clip_id, disc, grey_frames, write_stack, write_video
from vfss.datasets import FORMATS, ExportOptions, read_coco, read_cvat, read_datumaro, read_png, run_export
from vfss.datasets.identities import key_path
from vfss.datasets.outlines import outlines
from vfss.deidentify import PixelBox, Redaction
from vfss.errors import DatasetError
from vfss.masks import Masks, MaskState
from vfss.output import NOTICE
from vfss.output.partial_folder import MARK
from vfss.project import Edit, Project
from vfss.student import Proposal

READERS = {"coco": read_coco, "png": read_png, "cvat": read_cvat, "datumaro": read_datumaro}
INDEX = {"coco": "annotations.json", "png": "dataset.json", "cvat": "manifest.json", "datumaro": "manifest.json"}
ALL = pytest.mark.parametrize("name", sorted(READERS))
HEIGHT, WIDTH, FRAMES = 24, 32, 5
SCRATCH = itertools.count()


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    return write_video(folder / "Doe_Jane_19500101.mkv", grey_frames(FRAMES, HEIGHT, WIDTH))


@pytest.fixture
def project(tmp_path: Path, video: Path):
    """One clip: frame 0 has all kinds of states, 1 is accepted by another person, 2 to 4 have nothing to export."""
    with Project.create(tmp_path / "project", THREE) as made:
        clip = made.add_clip(video, patient="Jane Doe").id
        inner, outer = (disc(HEIGHT, WIDTH, y=12, x=14, radius=r) for r in (4, 8))
        annotate(made, clip, 0, {"bolus": inner, "pharynx": outer, "mandible": MaskState.NOT_VISIBLE})
        annotate(made, clip, 1, {"bolus": MaskState.EMPTY, "pharynx": (inner, MaskState.EDITED)}, author="reader two")
        annotate(made, clip, 2, {"bolus": (inner, MaskState.EDITED)})
        planes = np.stack([inner, outer, outer])
        masks, confidence = Masks(planes, np.full(3, MaskState.PROPOSED, np.uint8)), np.full(3, 0.5, np.float32)
        made.write_proposals(clip, [Proposal(THREE.keys, masks, confidence, "st-1", clip, t) for t in (1, 3)])
        annotate(made, clip, 4, {"mandible": MaskState.NOT_VISIBLE})
        yield made


def with_coco_api(folder: Path) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(folder / "annotations.json"))


@ALL
def test_confirmed_masks_are_read_back_unchanged(project: Project, video: Path, tmp_path: Path, name: str) -> None:
    report = run_export(FORMATS[name], project, tmp_path / "out")
    images = list(READERS[name](tmp_path / "out"))
    record = project.clips()[0]
    assert [image.frame for image in images] == [0, 1]
    for image in images:
        stored = project.masks(record.id, image.frame)
        accepted = stored.state == MaskState.ACCEPTED
        np.testing.assert_array_equal(image.masks.state, stored.state)
        np.testing.assert_array_equal(image.masks.planes[accepted], stored.planes[accepted])
        assert not image.masks.planes[~accepted].any()
        np.testing.assert_array_equal(image.pixels(), grey_frames(FRAMES, HEIGHT, WIDTH)[image.frame])
        assert image.time_s == pytest.approx(image.frame / 30, abs=2e-3)
        assert image.split == project.split("Jane Doe")
        assert clip_id(project, image.clip) == record.id
    assert (report.images, report.planes, report.patients) == (2, 3, 1)
    assert dict(report.structures) == {"bolus": 2, "pharynx": 1, "mandible": 0}


@ALL
def test_overlapping_empty_and_unknown_masks_are_distinguished(project: Project, tmp_path: Path, name: str) -> None:
    run_export(FORMATS[name], project, tmp_path / "out")
    first, second = READERS[name](tmp_path / "out")
    bolus, pharynx, _ = first.masks.planes
    assert (bolus & pharynx).sum() == bolus.sum() > 0
    labels = [MaskState(int(s)).label for s in (*first.masks.state, *second.masks.state)]
    assert labels == ["accepted", "accepted", "not visible", "empty", "edited", "proposed"]


@ALL
def test_the_report_counts_what_was_left_out(project: Project, tmp_path: Path, name: str) -> None:
    report = run_export(FORMATS[name], project, tmp_path / "out")
    assert dict(report.left_out) == {
        "frames with corrections that nobody accepted": 1,
        "frames with proposals that nobody accepted": 1,
        "frames with only 'not visible' structures": 1,
        "proposed planes on exported frames": 1,
        "corrected but not accepted planes on exported frames": 1,
    }
    assert READERS[name](tmp_path / "out").manifest["left_out"] == dict(report.left_out)
    assert any("2 frames with 3 planes" in line for line in report.lines())


@ALL
def test_edited_planes_are_exported_only_by_option(project: Project, tmp_path: Path, name: str) -> None:
    report = run_export(FORMATS[name], project, tmp_path / "out", ExportOptions(include_edited=True))
    dataset = READERS[name](tmp_path / "out")
    assert [image.frame for image in dataset] == [0, 1, 2]
    assert dataset[2].masks.planes[0].any()
    assert MaskState.EDITED in dataset.written_states
    assert not any("correct" in reason for reason in report.left_out)


@ALL
def test_a_dataset_has_its_provenance(project: Project, tmp_path: Path, name: str) -> None:
    run_export(FORMATS[name], project, tmp_path / "out")
    dataset = READERS[name](tmp_path / "out")
    manifest = dataset.manifest
    assert dataset.schema == THREE
    assert manifest["authors"] == ["annotator-1", "annotator-2"]
    assert manifest["notice"] == NOTICE
    assert NOTICE in (tmp_path / "out" / "README.txt").read_text("utf-8")
    patient = case(project, "Jane Doe")
    assert manifest["splits"][project.split("Jane Doe")] == [patient]
    assert manifest["clips"][dataset[0].clip]["n_frames"] == FRAMES
    assert dataset[1].provenance["bolus"]["author"] == "annotator-2"
    assert dataset[1].provenance["mandible"] | {"time": ""} == {
        "author": "st-1",
        "time": "",
        "origin": "proposal",
        "method": "student",
        "source_frame": None,
        "adapted_frames": None,
        "student": "st-1",
    }


@ALL
def test_no_byte_names_the_patient_the_file_or_the_folder(project: Project, tmp_path: Path, name: str) -> None:
    run_export(FORMATS[name], project, tmp_path / "out")
    secrets = [
        b"jane",
        b"doe",
        b"19500101",
        b".mkv",
        b"reader one",
        b"reader two",
        project.id.encode(),
        project.clips()[0].id.encode(),
        str(tmp_path.parent).lower().encode(),
    ]
    for path in (tmp_path / "out").rglob("*"):
        content = str(path.relative_to(tmp_path)).lower().encode() + (path.read_bytes() if path.is_file() else b"")
        assert not [secret for secret in secrets if secret in content.lower()], path


def test_authors_are_named_only_by_option(project: Project, tmp_path: Path) -> None:
    run_export(FORMATS["coco"], project, tmp_path / "out", ExportOptions(name_authors=True))
    assert read_coco(tmp_path / "out").manifest["authors"] == ["reader one", "reader two"]


@ALL
def test_unreviewed_pixels_are_refused_without_the_option(tmp_path: Path, video: Path, name: str) -> None:
    with Project.create(tmp_path / "project", THREE) as project:
        clip = project.add_clip(video).id
        project.write([Edit(clip, 0, "bolus", None, MaskState.EMPTY)], author="reader one", origin="hand")
        with pytest.raises(DatasetError, match="the pixels of Doe_Jane_19500101"):
            run_export(FORMATS[name], project, tmp_path / "out")
        assert not list(tmp_path.glob("out*"))
        run_export(FORMATS[name], project, tmp_path / "unreviewed", ExportOptions(unreviewed=True))
        manifest = READERS[name](tmp_path / "unreviewed").manifest
        assert manifest["pixels_reviewed"] is False
        project.reviews.accept(clip, Redaction(), reviewer="reader one")
        run_export(FORMATS[name], project, tmp_path / "out")
        manifest = READERS[name](tmp_path / "out").manifest
        assert manifest["pixels_reviewed"] is True
        assert next(iter(manifest["clips"].values()))["review"]["by"] == "annotator-1"


def test_the_key_of_a_read_only_project_is_in_the_users_folder(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "mine"))
    monkeypatch.setattr(project, "read_only", True)
    run_export(FORMATS["coco"], project, tmp_path / "out")
    assert key_path(project).is_file()
    assert key_path(project).is_relative_to(tmp_path / "mine")
    assert not (project.folder / "case-key.json").exists()


@ALL
def test_redaction_and_crop_of_a_review_are_applied(project: Project, tmp_path: Path, name: str) -> None:
    record = project.clips()[0]
    redaction = Redaction((PixelBox(0, 0, 5, 9),), PixelBox(2, 4, 20, 30))
    project.reviews.accept(record.id, redaction, reviewer="reader one")
    report = run_export(FORMATS[name], project, tmp_path / "out")
    image = READERS[name](tmp_path / "out")[0]
    expected = grey_frames(FRAMES, HEIGHT, WIDTH)[0]
    expected[:5, :9] = 0
    np.testing.assert_array_equal(image.pixels(), expected[2:20, 4:30])
    stored = project.masks(record.id, 0)
    np.testing.assert_array_equal(image.masks.planes[:2], stored.planes[:2, 2:20, 4:30])
    assert READERS[name](tmp_path / "out").manifest["clips"][image.clip]["crop"] == redaction.to_dict()["crop"]
    cut = report.lost.get("masks that extend into a cropped part", 0)
    assert cut == sum(stored.planes[i].sum() != image.masks.planes[i].sum() for i in range(2)) == 1


def test_the_key_is_never_part_of_the_export(project: Project, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="case key is inside the folder"):
        run_export(FORMATS["coco"], project, tmp_path / "out", ExportOptions(key=tmp_path / "out" / "key.json"))
    run_export(FORMATS["coco"], project, tmp_path / "out", ExportOptions(key=tmp_path / "key.json"))
    assert (tmp_path / "key.json").is_file()


def test_other_programs_read_the_coco(project: Project, tmp_path: Path) -> None:
    run_export(FORMATS["coco"], project, tmp_path / "out")
    coco = with_coco_api(tmp_path / "out")
    assert [category["name"] for category in coco.loadCats(coco.getCatIds())] == list(THREE.keys)
    assert coco.loadCats(3)[0]["code"]["value"] == "91609006"
    record = project.clips()[0]
    annotations = coco.loadAnns(coco.getAnnIds())
    assert len(annotations) == 2
    for annotation in annotations:
        image = coco.loadImgs(annotation["image_id"])[0]
        key = coco.loadCats(annotation["category_id"])[0]["name"]
        truth = project.newest(record.id, image["frame"])[key].mask
        np.testing.assert_array_equal(coco.annToMask(annotation), truth)
        assert annotation["area"] == truth.sum()
        left, top, width, height = (int(value) for value in annotation["bbox"])
        assert truth[top : top + height, left : left + width].sum() == truth.sum()
        assert (tmp_path / "out" / image["file_name"]).is_file()


def test_other_programs_draw_the_polygons_of_the_coco(project: Project, tmp_path: Path) -> None:
    clip = project.clips()[0].id
    ring = disc(HEIGHT, WIDTH, y=12, x=14, radius=8) & ~disc(HEIGHT, WIDTH, y=12, x=14, radius=3)
    dots = np.eye(HEIGHT, WIDTH, dtype=np.bool_)
    dots[3, 20] = True
    annotate(project, clip, 2, {"bolus": ring, "mandible": dots})
    report = run_export(FORMATS["coco"], project, tmp_path / "out", ExportOptions(polygons=True))
    assert report.lost == {"masks with holes, which polygons fill": 1}
    coco = with_coco_api(tmp_path / "out")
    filled = disc(HEIGHT, WIDTH, y=12, x=14, radius=8)
    assert len(coco.getAnnIds()) == 4
    for annotation in coco.loadAnns(coco.getAnnIds()):
        assert isinstance(annotation["segmentation"], list)
        frame, key = coco.loadImgs(annotation["image_id"])[0]["frame"], annotation["structure"]
        truth = filled if (frame, key) == (2, "bolus") else project.newest(clip, frame)[key].mask
        np.testing.assert_array_equal(coco.annToMask(annotation), truth)
        rows, columns = np.nonzero(truth)
        assert annotation["area"] == truth.sum()
        size = [int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1]
        assert annotation["bbox"] == [columns.min(), rows.min(), *size]
    np.testing.assert_array_equal(read_coco(tmp_path / "out")[2].masks.planes[2], dots)


@settings(max_examples=60, deadline=None)
@given(plane=hnp.arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12))).filter(np.any))
def test_outlines_are_the_mask_without_its_holes(plane: np.ndarray) -> None:
    corners = [[float(value) for value in outline.ravel()] for outline in outlines(plane)]
    drawn = rle.decode(rle.merge(rle.frPyObjects(corners, *plane.shape)))
    np.testing.assert_array_equal(drawn, binary_fill_holes(plane))


PLANE = st.one_of(
    hnp.arrays(np.bool_, (HEIGHT, WIDTH)),
    st.just(np.ones((HEIGHT, WIDTH), np.bool_)),
    st.just(np.zeros((HEIGHT, WIDTH), np.bool_)),
    st.just(np.eye(HEIGHT, WIDTH, dtype=np.bool_)),
)


@ALL
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stacks=st.lists(st.lists(PLANE, min_size=3, max_size=3), min_size=1, max_size=FRAMES))
def test_round_trip_is_exact(name: str, stacks: list, video: Path, tmp_path: Path) -> None:
    folder = tmp_path / str(next(SCRATCH))
    with Project.create(folder / "project", THREE) as project:
        clip = project.add_clip(video).id
        for t, stack in enumerate(stacks):
            annotate(project, clip, t, dict(zip(THREE.keys, stack, strict=True)))
        run_export(FORMATS[name], project, folder / "out")
    images = READERS[name](folder / "out")
    assert len(images) == len(stacks)
    for image, stack in zip(images, stacks, strict=True):
        np.testing.assert_array_equal(image.masks.planes, np.stack(stack))
        assert set(image.masks.state.tolist()) <= {MaskState.ACCEPTED, MaskState.EMPTY}
    shutil.rmtree(folder)


@ALL
def test_sixteen_bit_grey_values_are_kept(tmp_path: Path, name: str) -> None:
    frames = grey_frames(2, HEIGHT, WIDTH, bits=12)
    with Project.create(tmp_path / "project", THREE) as project:
        clip = project.add_clip(write_stack(tmp_path / "stack.tif", frames))
        annotate(project, clip.id, 1, {"pharynx": disc(HEIGHT, WIDTH, y=9, x=9, radius=5)})
        run_export(FORMATS[name], project, tmp_path / "out")
    pixels = READERS[name](tmp_path / "out")[0].pixels()
    assert pixels.dtype == np.uint16
    np.testing.assert_array_equal(pixels, frames[1])


@ALL
def test_patients_stay_on_one_side_of_the_split(tmp_path: Path, video: Path, name: str) -> None:
    other = write_video(tmp_path / "other.mkv", grey_frames(2, HEIGHT, WIDTH, seed=1))
    mask = disc(HEIGHT, WIDTH, y=9, x=9, radius=5)
    with Project.create(tmp_path / "project", THREE) as project:
        for path, patient, split in ((video, "one", "train"), (other, "two", "test")):
            project.assign_split(patient, split)
            annotate(project, project.add_clip(path, patient=patient).id, 0, {"bolus": mask})
        report = run_export(FORMATS[name], project, tmp_path / "out")
        assert dict(report.splits) == {"train": 1, "validation": 0, "test": 1}
        expected = {case(project, "one"): "train", case(project, "two"): "test"}
    assert {image.patient: image.split for image in READERS[name](tmp_path / "out")} == expected


@ALL
def test_a_folder_in_use_is_left_alone(project: Project, tmp_path: Path, name: str) -> None:
    (tmp_path / "out").mkdir()
    run_export(FORMATS[name], project, tmp_path / "out")  # an empty folder is used
    before = sorted((tmp_path / "out").rglob("*"))
    with pytest.raises(DatasetError, match="not empty"):
        run_export(FORMATS[name], project, tmp_path / "out")
    assert sorted((tmp_path / "out").rglob("*")) == before
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DatasetError):
        run_export(FORMATS[name], project, tmp_path / "file")
    with pytest.raises(DatasetError, match="cannot be written"):
        run_export(FORMATS[name], project, tmp_path / "file" / "out")
    assert (tmp_path / "file").read_text() == "mine"


@ALL
def test_a_stopped_export_is_resumed(project: Project, tmp_path: Path, name: str) -> None:
    seen: list[tuple[int, int]] = []

    def stop(done: int, total: int) -> bool:
        seen.append((done, total))
        return False

    report = run_export(FORMATS[name], project, tmp_path / "out", progress=stop)
    assert report.cancelled
    assert report.lines() == [
        "Stopped after 1 frames: there is no dataset yet. Export to the same folder again to continue, or delete "
        f"{tmp_path / 'out.partial'}."
    ]
    assert not (tmp_path / "out").exists()
    first = next((tmp_path / "out.partial" / "images").rglob("*.png"))
    written = first.stat().st_mtime_ns
    first = first.relative_to(tmp_path / "out.partial")

    def look(done: int, total: int) -> bool:
        seen.append((done, total))
        return True

    report = run_export(FORMATS[name], project, tmp_path / "out", progress=look)
    assert seen == [(1, 2), (2, 2)]
    assert (report.images, report.resumed, report.planes, report.patients) == (2, 1, 3, 1)
    assert (tmp_path / "out" / first).stat().st_mtime_ns == written
    run_export(FORMATS[name], project, tmp_path / "at once")
    assert not list(tmp_path.glob("*.partial"))
    resumed, at_once = READERS[name](tmp_path / "out"), READERS[name](tmp_path / "at once")
    assert {**resumed.manifest, "exported": ""} == {**at_once.manifest, "exported": ""}
    for image, expected in zip(resumed, at_once, strict=True):
        np.testing.assert_array_equal(image.masks.planes, expected.masks.planes)
        np.testing.assert_array_equal(image.pixels(), expected.pixels())


@ALL
def test_an_interrupted_export_is_never_taken_for_a_complete_one(project: Project, tmp_path: Path, name: str) -> None:
    def interrupt(done: int, total: int) -> bool:
        assert not (tmp_path / "out").exists()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_export(FORMATS[name], project, tmp_path / "out", progress=interrupt)
    assert not (tmp_path / "out").exists()
    with pytest.raises(DatasetError, match=INDEX[name]):
        READERS[name](tmp_path / "out.partial")
    # The project has changed since: files of the earlier state are replaced.
    clip = project.clips()[0].id
    annotate(project, clip, 0, {"mandible": disc(HEIGHT, WIDTH, y=5, x=5, radius=3)})
    report = run_export(FORMATS[name], project, tmp_path / "out")
    assert (report.resumed, report.planes) == (0, 4)
    assert len(READERS[name](tmp_path / "out")) == 2
    assert not list(tmp_path.glob("*.partial"))


@ALL
def test_a_line_cut_by_a_power_failure_costs_its_frame_only(project: Project, tmp_path: Path, name: str) -> None:
    stopped = run_export(FORMATS[name], project, tmp_path / "out", progress=lambda done, _total: done < 2)
    assert stopped.images == 2
    journal = tmp_path / "out.partial" / MARK / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-20])
    report = run_export(FORMATS[name], project, tmp_path / "out")
    assert (report.images, report.resumed) == (2, 1)
    assert len(READERS[name](tmp_path / "out")) == 2


def test_a_killed_export_is_resumed(project: Project, tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from vfss.project import Project; from vfss.datasets import FORMATS, run_export\n"
        "with Project.open(sys.argv[1]) as project:\n"
        "    kill = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    run_export(FORMATS['coco'], project, sys.argv[2], progress=kill)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(project.folder), str(tmp_path / "out")], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    assert run_export(FORMATS["coco"], project, tmp_path / "out").resumed == 1


def test_two_exports_to_one_folder_do_not_mix(project: Project, tmp_path: Path) -> None:
    def meanwhile(done: int, total: int) -> bool:
        with pytest.raises(DatasetError, match="another export to this folder is running"):
            run_export(FORMATS["coco"], project, tmp_path / "out")
        return True

    assert run_export(FORMATS["coco"], project, tmp_path / "out", progress=meanwhile).images == 2


@ALL
def test_all_files_are_in_the_checksums_and_the_datasheet_has_the_figures(
    project: Project, tmp_path: Path, name: str
) -> None:
    options = ExportOptions(licence="CC-BY-4.0")
    report = run_export(FORMATS[name], project, tmp_path / "out", options)
    out = tmp_path / "out"
    lines = [line.split("  ") for line in (out / "SHA256SUMS").read_text("utf-8").splitlines()]
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert {file for _, file in lines} == files - {"SHA256SUMS"}
    assert all(hashlib.sha256((out / file).read_bytes()).hexdigest() == digest for digest, file in lines)
    sheet = (out / "DATASHEET.md").read_text("utf-8")
    assert "| bolus | 2 |" in sheet
    assert "CC-BY-4.0" in sheet
    assert READERS[name](out).manifest["licence"] == "CC-BY-4.0"
    assert (tmp_path / "out-report.txt").read_text("utf-8").splitlines() == report.lines()


def test_a_foreign_folder_is_not_deleted(project: Project, tmp_path: Path) -> None:
    (tmp_path / "out.partial").mkdir()
    (tmp_path / "out.partial" / "thesis.txt").write_text("mine")
    with pytest.raises(DatasetError, match="is in the way"):
        run_export(FORMATS["coco"], project, tmp_path / "out")
    assert (tmp_path / "out.partial" / "thesis.txt").read_text() == "mine"


def test_nothing_accepted_is_nothing_to_export(tmp_path: Path, video: Path) -> None:
    with Project.create(tmp_path / "project", THREE) as project:
        project.add_clip(video)
        with pytest.raises(DatasetError, match="nothing to export"):
            run_export(FORMATS["png"], project, tmp_path / "out")
    assert not list(tmp_path.glob("out*"))


@ALL
def test_a_lost_recording_is_reported_and_not_named_in_the_dataset(tmp_path: Path, video: Path, name: str) -> None:
    (tmp_path / "secret").mkdir()
    lost = write_video(tmp_path / "secret" / "lost.mkv", grey_frames(2, HEIGHT, WIDTH, seed=1))
    mask = disc(HEIGHT, WIDTH, y=9, x=9, radius=5)
    with Project.create(tmp_path / "project", THREE) as project:
        for path in (video, lost):
            annotate(project, project.add_clip(path).id, 0, {"bolus": mask})
        shutil.rmtree(tmp_path / "secret")
        report = run_export(FORMATS[name], project, tmp_path / "out")
        assert report.images == 1
        assert dict(report.left_out) == {"frames of clips that could not be opened": 1}
        assert "lost.mkv" in report.problems[0]
        assert b"lost.mkv" not in (tmp_path / "out" / INDEX[name]).read_bytes()


def test_when_no_recording_is_left_nothing_is_written(tmp_path: Path) -> None:
    lost = write_video(tmp_path / "lost.mkv", grey_frames(2, HEIGHT, WIDTH))
    with Project.create(tmp_path / "project", THREE) as project:
        annotate(project, project.add_clip(lost).id, 0, {"bolus": MaskState.EMPTY})
        lost.unlink()
        with pytest.raises(DatasetError, match=r"none of 1 frames could be read.*lost\.mkv"):
            run_export(FORMATS["coco"], project, tmp_path / "out")
    assert not list(tmp_path.glob("out*"))


def test_a_damaged_mask_costs_its_frame_only(project: Project, tmp_path: Path) -> None:
    project.close()
    with contextlib.closing(sqlite3.connect(project.folder / "vfss.sqlite")) as connection, connection:
        connection.execute("DROP TRIGGER revisions_stay")
        connection.execute("UPDATE revisions SET mask = x'00' WHERE frame = 0 AND structure = 'bolus'")
    with Project.open(project.folder) as opened:
        report = run_export(FORMATS["coco"], opened, tmp_path / "out")
    assert report.images == 1
    assert report.left_out["frames that could not be read"] == 1
    assert "damaged mask" in report.problems[0]


@ALL
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"vfss": {}, "schema": 3, "images": []}', b"\xff\xfe"])
def test_a_folder_that_is_no_dataset_is_an_error(tmp_path: Path, name: str, content: bytes) -> None:
    with pytest.raises(DatasetError, match="no such file"):
        READERS[name](tmp_path)
    (tmp_path / INDEX[name]).write_bytes(content)
    with pytest.raises(DatasetError):
        READERS[name](tmp_path)


@ALL
def test_an_incomplete_dataset_is_an_error(project: Project, tmp_path: Path, name: str) -> None:
    run_export(FORMATS[name], project, tmp_path / "out")
    for picture in (tmp_path / "out" / "images").rglob("*.png"):
        picture.write_bytes(picture.read_bytes()[:40])
    with pytest.raises(DatasetError, match="picture cannot be read"):
        READERS[name](tmp_path / "out")[0].pixels()
    take_from_first_entry(tmp_path / "out", name)
    dataset = READERS[name](tmp_path / "out")
    assert dataset[1:][0].frame == 1
    with pytest.raises(DatasetError, match="malformed"):
        list(dataset)


def take_from_first_entry(folder: Path, name: str) -> None:
    if INDEX[name] == "manifest.json":
        first, *others = (folder / "frames.jsonl").read_text("utf-8").splitlines()
        fields = json.loads(first)
        del fields["time_s"]
        (folder / "frames.jsonl").write_text("\n".join([json.dumps(fields), *others]) + "\n", "utf-8")
        return
    data = json.loads((folder / INDEX[name]).read_text("utf-8"))
    del data["images"][0]["states"]["bolus"]
    (folder / INDEX[name]).write_text(json.dumps(data), "utf-8")


def test_a_plane_of_another_size_is_an_error(project: Project, tmp_path: Path) -> None:
    run_export(FORMATS["png"], project, tmp_path / "out")
    plane = next((tmp_path / "out" / "masks" / "pharynx").iterdir())
    iio.imwrite(plane, np.zeros((3, 4), np.uint8))
    with pytest.raises(DatasetError, match=r"plane is \(3, 4\), its frame \(24, 32\)"):
        read_png(tmp_path / "out")[0]
    plane.write_bytes(b"no picture")
    with pytest.raises(DatasetError, match="plane cannot be read"):
        read_png(tmp_path / "out")[0]
