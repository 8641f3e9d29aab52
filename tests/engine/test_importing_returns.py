# SPDX-License-Identifier: Apache-2.0
"""What other programs give back of our exports: recognised by the names of its files, never put on another clip."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import cv2
import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from typer.testing import CliRunner

from foreign_masks import write_coco
from small_project import THREE, annotate, cohort, disc, grey_frames, write_video
from vfss.cli.app import app
from vfss.datasets import FORMATS, ExportOptions, run_export
from vfss.datasets.formats.yolo import polygons
from vfss.deidentify import CaseKey, PixelBox, Redaction
from vfss.errors import DatasetError
from vfss.importing import ImportChoices, ImportPlan, SourceOptions, open_source, plan_import, write_plan
from vfss.importing.report import recording_rows
from vfss.masks import MaskState
from vfss.project import Project

PATIENTS = {"p1": "train", "p2": "train", "p3": "validation", "p4": "test"}
SIZE = (24, 32)
INNER = disc(*SIZE, y=12, x=14, radius=5)
Present = dict[tuple[str, int, str], np.ndarray]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project of four clips with annotated masks, nested and overlapping."""
    with cohort(tmp_path_factory.mktemp("cohort"), PATIENTS) as project:
        yield project


@pytest.fixture
def again(exported: Project, tmp_path: Path) -> Iterator[Project]:
    """The same clips in a project without a mask, with the case key of the first one."""
    with Project.create(tmp_path / "again", THREE) as project:
        for record in exported.clips():
            project.add_clip(record.path, patient=record.patient)
        CaseKey(exported.folder / "case-key.json").case("p1")  # there is a file now
        shutil.copy(exported.folder / "case-key.json", project.folder)
        yield project


def export(project: Project, name: str, folder: Path, **options: object) -> Path:
    run_export(FORMATS[name], project, folder, ExportOptions(**options))
    shutil.copy(project.folder / "case-key.json", folder.parent / "again")
    return folder


def present(project: Project) -> Present:
    """All masks with pixels by clip, frame and structure."""
    masks = {}
    for record in project.clips():
        for frame in range(record.n_frames):
            for key, revision in project.newest(record.id, frame).items():
                if revision.mask is not None and revision.mask.any():
                    masks[record.id, frame, key] = revision.mask
    return masks


def imported(project: Project, source: Path, **choices: object) -> ImportPlan:
    plan = plan_import(project, open_source(source), ImportChoices(**choices))
    write_plan(project, plan, author="Ann")
    return plan


def expect_equal(found: Present, expected: Present) -> None:
    assert found.keys() == expected.keys()
    for at, mask in expected.items():
        np.testing.assert_array_equal(found[at], mask, err_msg=str(at))


def predicted(dataset: Path, out: Path) -> Path:
    """What nnUNetv2_predict writes of imagesTs: a label image CASE.png each, and the description of the dataset."""
    out.mkdir()
    for image in (dataset / "imagesTs").iterdir():
        case = image.name.removesuffix("_0000.png")
        shutil.copy(dataset / "labelsTs" / f"{case}.png", out)
    for name in ("dataset.json", "plans.json", "predict_from_raw_data_args.json"):
        if (dataset / name).exists():
            shutil.copy(dataset / name, out)
        else:
            (out / name).write_text("{}")
    return out


def test_a_whole_nnunet_export_of_regions_comes_back_bit_for_bit(
    exported: Project, again: Project, tmp_path: Path
) -> None:
    plan = imported(again, export(exported, "nnunet", tmp_path / "out", overlaps="regions"))
    expect_equal(present(again), present(exported))
    assert len(plan.recordings) == 4 and {recording.origin for recording in plan.recordings} == {"key"}
    assert set(plan.matched_by.values()) == {"by the names of an export"}
    assert not plan.problems and not plan.source.losses


def test_predictions_of_nnunet_go_to_the_clips_of_their_names(
    exported: Project, again: Project, tmp_path: Path
) -> None:
    dataset = export(exported, "nnunet", tmp_path / "out", overlaps="priority") / "Dataset501_VFSS"
    plan = imported(again, predicted(dataset, tmp_path / "predictions"))
    (test,) = [record.id for record in again.clips() if record.patient == "p4"]
    found, truth = present(again), present(exported)
    assert {clip for clip, _, _ in found} == {test}
    for frame in (0, 1, 2):  # one label for each pixel: the inner structure has it
        inner = truth.get((test, frame, "bolus"), np.zeros((48, 64), bool))
        for key in ("bolus", "pharynx"):
            if (test, frame, key) in truth:
                whole = truth[test, frame, key]
                np.testing.assert_array_equal(found[test, frame, key], whole if key == "bolus" else whole & ~inner)
    assert any("one label for each pixel" in loss for loss in plan.source.losses)


def test_predictions_of_regions_say_what_they_have_lost(exported: Project, again: Project, tmp_path: Path) -> None:
    dataset = export(exported, "nnunet", tmp_path / "out", overlaps="regions") / "Dataset501_VFSS"
    plan = plan_import(again, open_source(predicted(dataset, tmp_path / "predictions")))
    assert any("only the topmost" in loss for loss in plan.source.losses)


def renamed(folder: Path, rename: object) -> Path:
    """COCO as programs write it that keep none of our fields and rename the pictures."""
    path = folder / "annotations.json"
    data = json.loads(path.read_text("utf-8"))
    kept = {"id", "file_name", "width", "height"}
    data["images"] = [
        {name: value for name, value in image.items() if name in kept} | {"file_name": rename(image["file_name"])}
        for image in data["images"]
    ]
    path.write_text(json.dumps({name: data[name] for name in ("images", "annotations", "categories")}), "utf-8")
    return path


RENAMED = {
    "cvat": lambda name: name.removeprefix("images/"),
    "cvat subset": lambda name: name.replace("images/", "train/"),
    "roboflow": lambda name: f"{Path(name).stem}_png.rf.{sum(name.encode()):032x}.jpg",
    "label studio": lambda name: f"/data/upload/1/0a1b2c3d-{Path(name).name}",
    "windows": lambda name: name.replace("/", "\\").upper(),
    "address": lambda name: f"https://host/a%20b/{Path(name).name}?signature=1",
}


@pytest.mark.parametrize("program", RENAMED)
def test_coco_of_renamed_pictures_comes_back_bit_for_bit(
    exported: Project, again: Project, tmp_path: Path, program: str
) -> None:
    folder = export(exported, "coco", tmp_path / "out")
    imported(again, renamed(folder, RENAMED[program]))
    expect_equal(present(again), present(exported))


def test_a_dataset_that_another_program_has_added_pictures_to(
    exported: Project, again: Project, tmp_path: Path
) -> None:
    path = export(exported, "coco", tmp_path / "out") / "annotations.json"
    data = json.loads(path.read_text("utf-8"))
    data["images"].append({"id": 999, "file_name": "other_3.png", "height": 48, "width": 64})
    path.write_text(json.dumps(data), "utf-8")
    imported(again, path, recordings={"other": None})
    expect_equal(present(again), present(exported))


def test_cropped_pictures_are_placed_back_into_their_frames(tmp_path: Path) -> None:
    mask = disc(48, 64, y=20, x=30, radius=9)
    with Project.create(tmp_path / "again", THREE) as project:
        clip = project.add_clip(write_video(tmp_path / "a.mkv", grey_frames(2, 48, 64)), patient="p").id
        crop = PixelBox(8, 12, 40, 60)
        project.reviews.accept(clip, Redaction(crop=crop), reviewer="Ann")
        annotate(project, clip, 1, {"bolus": mask})
        run_export(FORMATS["coco"], project, tmp_path / "out")
        path = renamed(tmp_path / "out", RENAMED["cvat"])
        annotate(project, clip, 1, {"bolus": (None, MaskState.UNSEEN)})
        plan = imported(project, path)
        assert plan.placed == 1
        np.testing.assert_array_equal(project.newest(clip, 1)["bolus"].mask, mask)
        project.reviews.accept(clip, Redaction(crop=PixelBox(0, 0, 32, 48)), reviewer="Ann")
        plan = plan_import(project, open_source(path))  # it may be either crop
        assert [problem.kind for problem in plan.problems] == ["size"]


@pytest.mark.parametrize("name", ["cvat", "datumaro", "nifti"])
def test_formats_of_masks_come_back_bit_for_bit(exported: Project, again: Project, tmp_path: Path, name: str) -> None:
    plan = imported(again, export(exported, name, tmp_path / "out"))
    assert plan.source.name == name and not plan.source.losses and not plan.problems
    expect_equal(present(again), present(exported))


def test_polygons_of_coco_come_back_but_for_holes(exported: Project, again: Project, tmp_path: Path) -> None:
    plan = imported(again, export(exported, "coco", tmp_path / "out", polygons=True))
    assert any("polygons are outlines" in loss for loss in plan.source.losses)
    expect_equal(present(again), {at: ndimage.binary_fill_holes(mask) for at, mask in present(exported).items()})


def test_volumes_of_earlier_exports_come_back(exported: Project, again: Project, tmp_path: Path) -> None:
    """Their frames lay along the first axis, and their manifest did not say so."""
    folder = export(exported, "nifti", tmp_path / "out")
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    del manifest["volume_axes"]
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    for path in folder.glob("*/*.nii.gz"):
        nib.save(nib.Nifti1Image(np.asarray(nib.load(path).dataobj).transpose(2, 1, 0), np.eye(4)), path)
    imported(again, folder)
    expect_equal(present(again), present(exported))


def test_one_volume_of_an_export_is_one_label_of_one_recording(
    exported: Project, again: Project, tmp_path: Path
) -> None:
    folder = export(exported, "nifti", tmp_path / "out")
    volume = next(folder.glob("*/pharynx.nii.gz"))
    plan = imported(again, volume)
    clip = CaseKey(again.folder / "case-key.json").recordings[volume.parent.name]
    assert plan.counts == {"pharynx": 2}
    expected = {at: mask for at, mask in present(exported).items() if at[0] == clip and at[2] == "pharynx"}
    expect_equal(present(again), expected)


CVAT_IMAGES = re.compile(r'<tag label="frame states".*?</tag>', re.DOTALL)


def test_what_cvat_exports_comes_back_bit_for_bit(exported: Project, again: Project, tmp_path: Path) -> None:
    """CVAT adds ids, groups and subsets, puts folders before names, and has no states if their tags were removed."""
    folder = export(exported, "cvat", tmp_path / "out")
    text = CVAT_IMAGES.sub("", (folder / "annotations.xml").read_text("utf-8"))
    text = text.replace('name="clip-', 'subset="train" task_id="7" name="batch/train/clip-')
    text = text.replace("z_order=", 'group_id="0" z_order=').replace("<task>", "<project><tasks><task>", 1)
    (tmp_path / "annotations.xml").write_text(text.replace("</task>", "</task></tasks></project>"), "utf-8")
    plan = imported(again, tmp_path / "annotations.xml")
    assert [label.name for label in plan.source.labels] == list(THREE.keys)
    expect_equal(present(again), present(exported))


def test_polygons_of_cvat_say_what_they_lose(exported: Project, again: Project, tmp_path: Path) -> None:
    name = CaseKey(again.folder / "case-key.json").recording(again.clips()[0].id)
    points = "10,10;30,10;30,25;10,25"
    (tmp_path / "a.xml").write_text(
        f'<annotations><image id="0" name="{name}_000001.png" width="64" height="48">'
        f'<polygon label="bolus" points="{points}"/><box label="bolus" xtl="1" ytl="1" xbr="2" ybr="2"/>'
        "</image></annotations>",
        "utf-8",
    )
    plan = imported(again, tmp_path / "a.xml")
    assert any("polygons are outlines" in loss for loss in plan.source.losses)
    assert dict(plan.not_imported) == {"shapes that are no mask (box)": 1}
    (mask,) = present(again).values()
    assert mask[10:25, 10:30].all() and mask.sum() == 300


def test_tracks_of_a_video_in_cvat(two: Project, tmp_path: Path) -> None:
    """CVAT for video counts frames from 0, and names the video only."""
    b = two.clips()[1]
    shapes = "".join(
        f'<polygon frame="{t}" outside="{outside}" keyframe="1" points="2,2;9,2;9,9;2,9"/>'
        for t, outside in ((0, 0), (3, 0), (4, 1))
    )
    (tmp_path / "annotations.xml").write_text(
        "<annotations><version>1.1</version><meta><task><name>t</name><labels><label><name>bolus</name></label>"
        "</labels><original_size><width>32</width><height>24</height></original_size><source>b.mkv</source></task>"
        f'</meta><track id="0" label="bolus" source="manual">{shapes}</track></annotations>',
        "utf-8",
    )
    with pytest.raises(DatasetError, match="2 images name no clip"):
        plan_import(two, open_source(tmp_path / "annotations.xml"))
    imported(two, tmp_path / "annotations.xml", clip=b.id)
    assert {at: int(mask.sum()) for at, mask in present(two).items()} == {(b.id, t, "bolus"): 49 for t in (0, 3)}


def drawn_again(mask: np.ndarray) -> np.ndarray:
    """The mask that the polygons of a YOLO export cover."""
    canvas = np.zeros(mask.shape, np.uint8)
    for corners in polygons(mask, Counter()):
        cv2.fillPoly(canvas, [corners], 1)
    return canvas.astype(bool)


def test_a_yolo_export_comes_back_as_its_polygons_cover(exported: Project, again: Project, tmp_path: Path) -> None:
    plan = imported(again, export(exported, "yolo", tmp_path / "out"))
    expect_equal(present(again), {at: drawn_again(mask) for at, mask in present(exported).items()})
    assert any("polygons are outlines" in loss for loss in plan.source.losses)
    with_holes = [at for at, mask in present(exported).items() if not np.array_equal(drawn_again(mask), mask)]
    assert {frame for _, frame, _ in with_holes} == {2}  # the pharynx with a hole; all others are exact


@pytest.mark.parametrize("confidence", ["", " 0.912345"])
def test_predictions_of_ultralytics_come_back(
    exported: Project, again: Project, tmp_path: Path, confidence: str
) -> None:
    """save_txt: six digits, corners at pixels without the half, no names of classes, no pictures."""
    expected: Present = {}
    (tmp_path / "predict" / "labels").mkdir(parents=True)
    for (clip, frame, key), mask in present(exported).items():
        name = f"{CaseKey(exported.folder / 'case-key.json').recording(clip)}_{frame:06d}.txt"
        with (tmp_path / "predict" / "labels" / name).open("a", encoding="ascii") as file:
            for corners in polygons(mask, Counter()):
                values = (corners / (mask.shape[1], mask.shape[0])).ravel()
                numbers = " ".join(f"{value:g}" for value in values)
                file.write(f"{THREE[key].index} {numbers}{confidence}\n")
        expected[clip, frame, key] = drawn_again(mask)
    export(exported, "yolo", tmp_path / "out")
    (tmp_path / "names.json").write_text(json.dumps({key: THREE[key].index for key in THREE.keys}), "utf-8")
    folder = tmp_path / "predict" / "labels"
    named = plan_import(again, open_source(folder, options=SourceOptions(tmp_path / "names.json")))
    assert set(named.counts) == set(THREE.keys)
    imported(again, folder, labels={f"class {THREE[key].index}": key for key in THREE.keys})
    expect_equal(present(again), expected)


@pytest.mark.parametrize("name", ["a.dcm", "a.mkv"])
def test_a_dicom_segmentation_comes_back_bit_for_bit(tmp_path: Path, name: str) -> None:
    """Of a recording that it names by its instance: a DICOM file, or the secondary capture written of a video."""
    from foreign_masks import write_recording

    with Project.create(tmp_path / "again", THREE) as project:
        (write_recording if name == "a.dcm" else write_video)(tmp_path / name, grey_frames(4, 24, 32))
        clip = project.add_clip(tmp_path / name, patient="p").id
        annotate(project, clip, 1, {"bolus": INNER, "pharynx": disc(24, 32, y=12, x=14, radius=9)})
        annotate(project, clip, 3, {"mandible": INNER[:, ::-1].copy()})
        before = present(project)
        run_export(FORMATS["dicom-seg"], project, tmp_path / "out")
        with Project.create(tmp_path / "second", THREE) as second:
            second.add_clip(tmp_path / name)
            imported(second, next((tmp_path / "out").rglob("*.dcm")).parent, key=project.folder / "case-key.json")
            expect_equal(present(second), before)


# Never on another clip


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Project]:
    """A project with the clips a.mkv and b.mkv, with names in exports."""
    with Project.create(tmp_path / "two", THREE) as project:
        for seed, name in enumerate("ab"):
            project.add_clip(write_video(tmp_path / f"{name}.mkv", grey_frames(6, *SIZE, seed=seed)), patient=name)
        key = CaseKey(project.folder / "case-key.json")
        for record in project.clips():
            key.recording(record.id)
        yield project


def names_of(project: Project) -> tuple[str, str]:
    key = CaseKey(project.folder / "case-key.json")
    a, b = project.clips()
    return key.recording(a.id), key.recording(b.id)


def coco_of(tmp_path: Path, *names: str) -> Path:
    return write_coco(tmp_path / "foreign.json", {name: {"bolus": INNER} for name in names})


def run(project: Project, *arguments: object):
    result = CliRunner().invoke(app, ["import", str(project.folder), *map(str, arguments)], env={"COLUMNS": "2000"})
    return result.exit_code, " ".join(re.sub("[│┃]", " ", result.stdout + result.stderr).split())


def test_masks_of_clip_b_are_never_put_on_clip_a(two: Project, tmp_path: Path) -> None:
    a, b = two.clips()
    name_a, name_b = names_of(two)
    path = coco_of(tmp_path, f"{name_a}_000001.png", f"{name_b}_000002.png")
    for choices in ({}, {"clip": a.id, "first_frame": 0}, {"clip": b.id, "first_frame": 1}):
        plan = plan_import(two, open_source(path), ImportChoices(**choices))
        assert [(frame.clip, frame.frame) for frame in plan.frames] == [(a.id, 1), (b.id, 2)]
    with pytest.raises(DatasetError, match=rf"{name_b} is b\.mkv.*and not a\.mkv"):
        plan_import(two, open_source(path), ImportChoices(recordings={name_b: a.id}))
    code, text = run(two, path, "--clip", "a.mkv")
    assert code == 0 and f"{name_a} 1 a.mkv the case key" in text and f"{name_b} 1 b.mkv the case key" in text
    assert present(two) == {}


def test_names_of_an_unknown_key_are_asked_about(two: Project, tmp_path: Path) -> None:
    a, b = two.clips()
    path = coco_of(tmp_path, "clip-bcdfghjk_000001.png", "clip-mnpqrstv_000002.png")
    with pytest.raises(DatasetError, match=r"clip-bcdfghjk, clip-mnpqrstv are names of exported.*--key FILE"):
        plan_import(two, open_source(path))
    with pytest.raises(DatasetError, match=r"of 2 recordings \(clip-bcdfghjk, clip-mnpqrstv\), but one clip"):
        plan_import(two, open_source(path), ImportChoices(a.id, first_frame=0))
    both = dict.fromkeys(("clip-bcdfghjk", "clip-mnpqrstv"), a.id)
    with pytest.raises(DatasetError, match=r"images of 2 recordings \(clip-bcdfghjk, clip-mnpqrstv\) would go to one"):
        plan_import(two, open_source(path), ImportChoices(recordings=both))
    choices = ("--recording", "clip-bcdfghjk=b.mkv", "--recording", "clip-mnpqrstv=", "--first-frame", "0")
    code, text = run(two, path, *choices, "--write", "--author", "Ann")
    assert code == 0 and "clip-bcdfghjk 1 b.mkv your choice" in text and "left out, as chosen" in text
    assert present(two).keys() == {(b.id, 1, "bolus")}


def test_names_that_merely_look_exported_are_numbered_as_others(two: Project, tmp_path: Path) -> None:
    """Their numbers may begin at 1: nothing but the case key makes them frames of ours."""
    a, _ = two.clips()
    path = coco_of(tmp_path, "clip-bcdfghjk_000003.png", "clip-bcdfghjk_000006.png")
    plan = plan_import(two, open_source(path), ImportChoices(a.id))
    assert [frame.frame for frame in plan.frames] == [2, 5]
    ambiguous = coco_of(tmp_path, "clip-bcdfghjk_000003.png", "clip-bcdfghjk_000005.png")
    with pytest.raises(DatasetError, match="may be 0 or 1"):
        plan_import(two, open_source(ambiguous), ImportChoices(a.id))


@pytest.mark.parametrize(
    "names", [("one_1.png", "two_2.png"), ("one/1.png", "two/2.png"), ("film1_2.png", "film2_3.png")]
)
def test_foreign_files_of_two_recordings_are_never_one_clip(two: Project, tmp_path: Path, names: tuple[str]) -> None:
    a, _ = two.clips()
    path = coco_of(tmp_path, *names)
    with pytest.raises(DatasetError, match="the masks are of 2 recordings"):
        plan_import(two, open_source(path), ImportChoices(a.id, first_frame=0))
    with pytest.raises(DatasetError, match=r"they are of 2 recordings.*--recording \S+=CLIP"):
        plan_import(two, open_source(path))


def test_files_beside_exported_ones_need_a_clip_of_their_own(two: Project, tmp_path: Path) -> None:
    a, b = two.clips()
    path = coco_of(tmp_path, f"{names_of(two)[0]}_000001.png", "swallow_2.png")
    with pytest.raises(
        DatasetError, match=r"1 image name no clip.*swallow_2\.png|1 image names no clip.*swallow_2\.png"
    ):
        plan_import(two, open_source(path))
    with pytest.raises(DatasetError, match=r"images of 2 recordings .*swallow.* would go to one clip, a\.mkv"):
        plan_import(two, open_source(path), ImportChoices(a.id))
    plan = plan_import(two, open_source(path), ImportChoices(b.id, first_frame=1))
    assert [(frame.clip, frame.frame) for frame in plan.frames] == [(a.id, 1), (b.id, 1)]
    assert recording_rows(two, plan.recordings)[1] == ("swallow", "1", "b.mkv", "your choice")


def test_altered_copies_of_exported_frames_are_left_out(two: Project, tmp_path: Path) -> None:
    name = names_of(two)[0]
    plan = plan_import(two, open_source(coco_of(tmp_path, f"{name}_000001.png", f"{name}_000001_flipped.png")))
    assert [frame.frame for frame in plan.frames] == [1]
    (problem,) = plan.problems
    assert problem.kind == "unmatched" and "flipped" in problem.text


def test_two_copies_of_a_frame_with_different_masks_are_both_left_out(two: Project, tmp_path: Path) -> None:
    """As Roboflow makes them: altered pictures have the same name but for the hash."""
    name = names_of(two)[0]
    images = {
        f"{name}_000001_png.rf.{'ab' * 16}.jpg": {"bolus": INNER},
        f"{name}_000001_png.rf.{'cd' * 16}.jpg": {"bolus": INNER[:, ::-1]},
    }
    plan = plan_import(two, open_source(write_coco(tmp_path / "a.json", images)))
    assert plan.frames == () and [problem.kind for problem in plan.problems] == ["twice"]


def test_a_clip_is_named_in_either_form_of_unicode(two: Project, tmp_path: Path) -> None:
    video = write_video(tmp_path / "Mu\u0308ller.mkv", grey_frames(6, *SIZE, seed=9))  # as macOS writes the umlaut
    clip = two.add_clip(video, patient="c").id
    code, _ = run(two, coco_of(tmp_path, "f_0.png"), "--clip", "M\u00fcller.mkv", "--write", "--author", "Ann")
    assert code == 0 and set(present(two)) == {(clip, 0, "bolus")}


@pytest.mark.skipif(sys.platform != "linux", reason="the file system wants names in UTF-8")
def test_names_in_any_bytes_can_be_reported(two: Project, tmp_path: Path) -> None:
    """A Latin-1 name is read, matched by its number and printed."""
    folder = tmp_path / "masks" / "bolus"
    folder.mkdir(parents=True)
    for t in range(6):
        Image.fromarray(INNER.astype(np.uint8)).save(folder / f"{t}.png")
        os.rename(folder / f"{t}.png", os.fsencode(folder) + b"/M\xfcller_%d.png" % t)  # noqa: PTH104
    code, text = run(two, tmp_path / "masks", "--clip", "b.mkv", "--write", "--author", "Ann")
    assert code == 0 and "M\ufffdller 6 b.mkv" in text
    assert len(present(two)) == 6
