# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from pycocotools import mask as rle

from foreign_masks import (
    write_coco,
    write_label_image,
    write_nnunet,
    write_planes,
    write_recording,
    write_segmentation,
)
from small_project import THREE, annotate, disc, grey_frames, write_video
from vfss.datasets import FORMATS, run_export
from vfss.deidentify import CaseKey
from vfss.errors import DatasetError
from vfss.importing import SOURCES, SourceOptions, open_source
from vfss.importing.formats.coco import CocoMasks
from vfss.masks import MaskState
from vfss.project import Project

HEIGHT, WIDTH = 22, 35
INNER, OUTER = (disc(HEIGHT, WIDTH, y=11, x=14, radius=r) for r in (4, 8))
TWO = {"jaw": INNER, "throat": OUTER}


def planes_of(source, number: int) -> dict[str, np.ndarray]:
    return dict(source.planes(source.images[number]).planes)


def expect(result: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert result.keys() == expected.keys()
    for name, plane in expected.items():
        assert result[name].dtype == np.bool_
        np.testing.assert_array_equal(result[name], plane)


# COCO


def annotated(tmp_path: Path, *segmentations: object, **image: object) -> CocoMasks:
    rows = [
        {"id": i, "image_id": 1, "category_id": 3, "iscrowd": i % 2, "segmentation": s}
        for i, s in enumerate(segmentations)
    ]
    path = write_coco(
        tmp_path / "coco.json",
        {"a_1.png": TWO},
        images=[{"id": 1, "file_name": "a_1.png", "height": HEIGHT, "width": WIDTH} | image],
        categories=[{"id": 3, "name": "bolus"}],
        annotations=rows,
    )
    return open_source(path)


def test_coco_of_another_tool(tmp_path: Path) -> None:
    source = open_source(write_coco(tmp_path / "x" / "labels.json", {"a_0.png": TWO, "a_1.png": {"jaw": OUTER}}))
    assert source.name == "coco"
    assert [label.name for label in source.labels] == ["jaw", "throat"]
    assert [(image.name, image.height, image.width, image.frame) for image in source.images] == [
        ("a_0.png", HEIGHT, WIDTH, None),
        ("a_1.png", HEIGHT, WIDTH, None),
    ]
    expect(planes_of(source, 0), TWO)
    expect(planes_of(source, 1), {"jaw": OUTER})
    assert open_source(tmp_path / "x").images == source.images  # the folder will do


def test_coco_polygons_with_several_parts_and_several_objects_are_one_mask(tmp_path: Path) -> None:
    square, far, other = [2, 2, 8, 2, 8, 8, 2, 8], [20, 10, 30, 10, 30, 20, 20, 20], [12, 1, 15, 1, 15, 4, 12, 4]
    source = annotated(tmp_path, [square, far], [other])
    (plane,) = planes_of(source, 0).values()
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[2:8, 2:8] = expected[10:20, 20:30] = expected[1:4, 12:15] = True
    np.testing.assert_array_equal(plane, expected)


def test_coco_polygon_over_the_border_is_cut_off(tmp_path: Path) -> None:
    source = annotated(tmp_path, [[-5, -5, 6, -5, 6, 6, -5, 6]])
    (plane,) = planes_of(source, 0).values()
    assert plane.sum() == 36 and plane[:6, :6].all()


@settings(max_examples=40, deadline=None)
@given(plane=hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=17)))
def test_coco_run_lengths_are_exact_packed_or_not(plane: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> None:
    encoded = rle.encode(np.asfortranarray(plane, np.uint8))
    flat = plane.T.ravel()
    edges = np.flatnonzero(np.diff(flat.astype(np.int8))) + 1
    runs = np.diff([0, *([0] if flat[0] else []), *edges, flat.size]).tolist()
    height, width = plane.shape
    for counts in (encoded["counts"].decode(), runs):
        source = annotated(
            tmp_path_factory.mktemp("coco"), {"size": [height, width], "counts": counts}, height=height, width=width
        )
        np.testing.assert_array_equal(planes_of(source, 0)["bolus"], plane)


PACKED = rle.encode(np.asfortranarray(INNER, np.uint8))["counts"].decode()


@pytest.mark.parametrize(
    ("segmentation", "text"),
    [
        ({"size": [HEIGHT, WIDTH], "counts": PACKED[:-3]}, "run lengths"),
        ({"size": [HEIGHT, WIDTH], "counts": PACKED + "0" * 30}, "run lengths"),
        ({"size": [HEIGHT, WIDTH], "counts": "\u00ff"}, "invalid characters"),
        ({"size": [HEIGHT, WIDTH], "counts": "oooooooooooooooooooo"}, "run lengths"),
        ({"size": [WIDTH, HEIGHT], "counts": PACKED}, "the image is"),
        ({"size": [HEIGHT, WIDTH], "counts": [5, 5]}, "do not add up"),
        ({"size": [HEIGHT, WIDTH], "counts": [-5, HEIGHT * WIDTH + 5]}, "do not add up"),
        ({"counts": PACKED}, "size"),
        ([[1, 2, 3, 4]], "three corners"),
        ([[1, 2, 3, 4, 5]], "three corners"),
        ([[0, 0, 1e300, 0, 5, 5]], "three corners"),
        ([["a", "b", "c", "d", "e", "f"]], "three corners"),
        (7, "list of lists"),
    ],
)
def test_malformed_coco_masks_are_reported(tmp_path: Path, segmentation: object, text: str) -> None:
    source = annotated(tmp_path, segmentation)
    with pytest.raises(DatasetError, match=text) as caught:
        source.planes(source.images[0])
    assert "a_1.png" in str(caught.value) and "Export it again" in str(caught.value)


def test_coco_boxes_without_a_mask_are_counted(tmp_path: Path) -> None:
    source = annotated(tmp_path, None, [])
    result = source.planes(source.images[0])
    assert not result.planes
    assert dict(result.left_out) == {"annotations without a mask (a box or points only)": 2}


def test_a_broken_coco_file_is_an_error(tmp_path: Path) -> None:
    good = write_coco(tmp_path / "good.json", {"a_0.png": TWO})
    text = good.read_text("utf-8")
    (tmp_path / "cut.json").write_text(text[: len(text) // 2] + '"images" "annotations" "categories"', "utf-8")
    with pytest.raises(DatasetError, match="cut off"):
        open_source(tmp_path / "cut.json")
    with pytest.raises(DatasetError, match="2 COCO files"):
        open_source(tmp_path)
    for changes in ({"images": 5}, {"images": [{}]}, {"annotations": [{}]}, {"categories": [{"id": 1}]}):
        with pytest.raises(DatasetError, match="malformed COCO"):
            open_source(write_coco(tmp_path / "odd" / "a.json", {"a_0.png": TWO}, **changes))
    twice = [{"id": 1, "name": "jaw"}, {"id": 2, "name": "jaw"}]
    with pytest.raises(DatasetError, match=r"two categories.*jaw"):
        open_source(write_coco(tmp_path / "odd" / "a.json", {"a_0.png": TWO}, categories=twice))
    source = annotated(tmp_path, height=None)
    assert source.images == [] and "size is missing" in source.problems[0]
    source = annotated(tmp_path, {"size": [HEIGHT, WIDTH], "counts": PACKED}, height=None, width=None)
    sized = replace(source.images[0], height=HEIGHT, width=WIDTH)  # that of the clip
    expect(dict(source.planes(sized).planes), {"bolus": INNER})
    with pytest.raises(DatasetError, match="the image is"):
        source.planes(replace(sized, width=WIDTH + 1))


def test_files_too_large_to_be_read_at_once_are_refused_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_coco(tmp_path / "a.json", {"a_0.png": TWO})
    monkeypatch.setattr("vfss.importing.files.MOST_JSON_BYTES", 100)
    with pytest.raises(DatasetError, match="more than the 100 that are read at once"):
        open_source(path)


# PNG


def test_folders_of_png_planes(tmp_path: Path) -> None:
    images = {"f_9.png": TWO, "f_10.png": {"jaw": OUTER}}
    for white in (1, 255):
        source = open_source(write_planes(tmp_path / f"{white}" / "masks", images, white=white).parent)
        assert source.name == "png"
        assert [image.name for image in source.images] == ["f_9.png", "f_10.png"]  # as people count
        expect(planes_of(source, 0), TWO)
        expect(planes_of(source, 1), {"jaw": OUTER})


def test_pictures_next_to_the_masks_are_no_label(tmp_path: Path) -> None:
    write_planes(tmp_path, {"f_0.png": TWO | {"images": OUTER}})
    assert [label.name for label in open_source(tmp_path).labels] == ["jaw", "throat"]


def test_files_that_are_no_masks_are_reported(tmp_path: Path) -> None:
    write_planes(tmp_path, {"f_0.png": TWO, "f_1.png": TWO, "f_2.png": TWO})
    Image.fromarray(np.arange(HEIGHT * WIDTH, dtype=np.uint8).reshape(HEIGHT, WIDTH)).save(tmp_path / "jaw/f_0.png")
    Image.fromarray(INNER[:-1].astype(np.uint8)).save(tmp_path / "throat/f_1.png")
    content = (tmp_path / "jaw/f_2.png").read_bytes()
    (tmp_path / "jaw/f_2.png").write_bytes(content[: len(content) // 2])
    source = open_source(tmp_path)
    for number, text in enumerate(
        ("different values, a mask has two", "'throat' on f_1.png is 21x35", "cannot be read")
    ):
        with pytest.raises(DatasetError, match=text):
            source.planes(source.images[number])
    for label in TWO:
        (tmp_path / label / "f_1.png").write_bytes(b"no picture")
    assert [image.name for image in open_source(tmp_path).images] == ["f_0.png", "f_2.png"]
    assert any("f_1.png" in text for text in open_source(tmp_path).problems)


def values() -> np.ndarray:
    made = np.zeros((HEIGHT, WIDTH), np.uint8)
    made[OUTER], made[INNER] = 2, 1
    return made


@pytest.mark.parametrize("table", [{"jaw": 1, "throat": 2}, {"0": "background", "1": "jaw", "2": "throat"}])
def test_label_images_with_a_table(tmp_path: Path, table: dict) -> None:
    write_label_image(tmp_path / "seg" / "f_3.png", values())
    with pytest.raises(DatasetError, match=r"holds 1 PNG, no folder.*labels\.json"):
        open_source(tmp_path / "seg")
    (tmp_path / "table.json").write_text(json.dumps(table), "utf-8")
    given = open_source(tmp_path / "seg", options=SourceOptions(table=tmp_path / "table.json"))
    (tmp_path / "seg" / "labels.json").write_text(json.dumps({"labels": table}), "utf-8")
    for source in (given, open_source(tmp_path / "seg")):
        expect(planes_of(source, 0), {"jaw": INNER, "throat": OUTER & ~INNER})
    (tmp_path / "seg" / "labels.json").write_text('{"jaw": 1}', "utf-8")
    source = open_source(tmp_path / "seg")
    with pytest.raises(DatasetError, match="does not name: 2"):
        source.planes(source.images[0])
    for bad in ('{"jaw": "one"}', '{"jaw": -1}', '{"jaw": []}', "{}", "[]", "{"):
        (tmp_path / "seg" / "labels.json").write_text(bad, "utf-8")
        with pytest.raises(DatasetError):
            open_source(tmp_path / "seg")


def test_palette_and_grey_rgb_are_labels_and_colours_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text('{"jaw": 1, "throat": 2}', "utf-8")
    palette = Image.new("P", (WIDTH, HEIGHT))
    palette.putpalette([0, 0, 0, 255, 200, 0, 0, 90, 255])
    palette.putdata(values().ravel().tolist())
    palette.save(tmp_path / "f_0.png")
    three = np.repeat(values()[..., None], 3, axis=2)
    Image.fromarray(three).save(tmp_path / "f_1.png")
    Image.fromarray(three * np.array([1, 2, 3], np.uint8)).save(tmp_path / "f_2.png")
    source = open_source(tmp_path)
    for number in (0, 1):
        expect(planes_of(source, number), {"jaw": INNER, "throat": OUTER & ~INNER})
    with pytest.raises(DatasetError, match="colour picture"):
        source.planes(source.images[2])


def test_two_files_of_one_label_and_name_are_not_taken_for_each_other(tmp_path: Path) -> None:
    write_planes(tmp_path, {"f_0.png": {"jaw": INNER}, "f_0.bmp": {"jaw": OUTER}})
    source = open_source(tmp_path)
    assert source.problems == ["jaw/f_0.png: f_0.bmp has the same name; left out"]
    expect(planes_of(source, 0), {"jaw": OUTER})


# YOLO


OUTLINE = "0 0.1 0.1 0.5 0.1 0.5 0.5 0.1 0.5\n"


@pytest.mark.parametrize(
    ("folder", "names"),
    [
        ("labels/train", {"data.yaml": "names: {0: jaw, 1: throat}"}),  # ultralytics, CVAT
        ("train/labels", {"data.yaml": "names: [jaw, throat]\nnc: 2"}),  # Roboflow
        ("labels", {"classes.txt": "jaw\nthroat\n"}),  # Label Studio
        ("labels", {}),
    ],
)
def test_yolo_as_programs_lay_it_out(tmp_path: Path, folder: str, names: dict[str, str]) -> None:
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder / "a_1.txt").write_text(OUTLINE + "1 0.5 0.5 0.2 0.2\n", "ascii")
    for name, content in names.items():
        (tmp_path / name).write_text(content, "utf-8")
    for path in (tmp_path, tmp_path / folder):
        source = open_source(path)
        first = "jaw" if names else "class 0"
        assert (source.name, source.labels[0].name) == ("yolo", first)
        result = source.planes(replace(source.images[0], height=HEIGHT, width=WIDTH))
        assert result.planes[first][2:12, 3:18].all()
        assert dict(result.left_out) == {"objects with a box only": 1}


@pytest.mark.parametrize(
    "line", ["0 0.1 0.1 0.5 0.1 0.5 0.5 1 2", "x 0 0 1 0 1 1", "0 5 5 9 5 9 9", "0 0.1 0.2", "0.5 0 0 1 0 1 1"]
)
def test_lines_that_are_no_outlines_are_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "a_1.txt").write_text(f"{OUTLINE}{line}\n", "ascii")
    source = open_source(tmp_path)
    with pytest.raises(DatasetError, match="line 2 is not a class and coordinates"):
        source.planes(replace(source.images[0], height=HEIGHT, width=WIDTH))


# nnU-Net


REGIONS = {"background": 0, "throat": [1, 2], "jaw": 1, "ignore": 3}


@pytest.mark.parametrize("ending", [".png", ".tif", ".nii.gz", ".nii"])
def test_nnunet_with_regions_and_ignore(tmp_path: Path, ending: str) -> None:
    marked = values()
    marked[0] = 3
    folder = write_nnunet(
        tmp_path / "Dataset501_VFSS", REGIONS, ending, {"labelsTr/c_1": marked, "labelsTs/c_2": marked}
    )
    (folder / "imagesTr").mkdir()
    write_label_image(folder / "imagesTr" / "c_1_0000.png", values())
    for path, names in ((folder, 2), (tmp_path, 2), (folder / "labelsTr", 1)):
        source = open_source(path)
        assert (source.name, len(source.images)) == ("nnunet", names)
        assert [label.name for label in source.labels] == ["throat", "jaw"]
        assert (source.images[0].height, source.images[0].width) == (HEIGHT, WIDTH)
        result = source.planes(source.images[0])
        shown = np.ones((HEIGHT, WIDTH), bool)
        shown[0] = False
        expect(dict(result.planes), {"throat": OUTER & shown, "jaw": INNER & shown})
        assert result.unknown == WIDTH


@pytest.mark.parametrize("ending", [".nii.gz", ".tif"])
def test_nnunet_volumes_are_read_slice_by_slice(tmp_path: Path, ending: str) -> None:
    volume = np.stack([np.roll(values(), t, axis=1) for t in range(5)])
    folder = write_nnunet(tmp_path / "pred", {"background": 0, "jaw": 1, "throat": 2}, ending, {"film": volume})
    source = open_source(folder)  # predictions lie beside their dataset.json
    assert [(image.frame, image.depth) for image in source.images] == [(t, 5) for t in range(5)]
    for t in (3, 0, 4):
        expect(planes_of(source, t), {"jaw": volume[t] == 1, "throat": volume[t] == 2})


def test_broken_nnunet_folders_are_errors(tmp_path: Path) -> None:
    folder = write_nnunet(tmp_path / "a", {"background": 0, "jaw": 1}, ".png", {"labelsTr/c_1": values()})
    source = open_source(folder)
    with pytest.raises(DatasetError, match="does not name: 2"):
        source.planes(source.images[0])
    (folder / "labelsTr" / "c_1.png").rename(folder / "labelsTr" / "c_1.bmp")
    with pytest.raises(DatasetError, match=r"ends in \.png \(1 files in labelsTr\)"):
        open_source(folder)
    volume = (
        write_nnunet(tmp_path / "b", {"jaw": 1, "throat": 2}, ".nii.gz", {"c": np.stack([values()] * 6)}) / "c.nii.gz"
    )
    volume.write_bytes(volume.read_bytes()[:-40])
    source = open_source(tmp_path / "b")
    with pytest.raises(DatasetError, match="cut off"):
        source.planes(source.images[5])
    volume.write_bytes(b"nothing")
    with pytest.raises(DatasetError, match="no label image"):
        open_source(tmp_path / "b")
    (tmp_path / "b" / "dataset.json").write_text("{")
    with pytest.raises(DatasetError, match=r"no NIfTI volume of masks that can be read \(.*c\.nii\.gz: cannot be read"):
        open_source(tmp_path / "b")


@settings(max_examples=60, deadline=None)
@given(at=st.integers(0, 351), value=st.integers(0, 255))
def test_a_nifti_header_with_a_wrong_byte_is_read_or_an_error(
    at: int, value: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = write_nnunet(tmp_path_factory.mktemp("head"), {"jaw": 1, "throat": 2}, ".nii", {"c": values()})
    content = bytearray((folder / "c.nii").read_bytes())
    content[at] = value
    (folder / "c.nii").write_bytes(content)
    try:
        source = open_source(folder)
        for image in source.images:
            source.planes(image)
    except DatasetError:
        pass


# DICOM


SEGMENTS = (("Jaw bone", "91609006"), ("Bolus", None))


def test_binary_segments_that_overlap(tmp_path: Path) -> None:
    masks = [(0, 1, INNER), (0, 2, OUTER), (3, 2, INNER), (2, 1, np.zeros_like(INNER))]
    path = write_segmentation(
        tmp_path / "seg.dcm", write_recording(tmp_path / "a.dcm", grey_frames(4, HEIGHT, WIDTH)), masks, SEGMENTS
    )
    for place in (path, tmp_path):
        source = open_source(place)
        assert source.name == "dicom-seg"
        assert [(label.name, label.code) for label in source.labels] == [("Jaw bone", "91609006"), ("Bolus", "999")]
        assert [image.frame for image in source.images] == [0, 2, 3]
        expect(planes_of(source, 0), {"Jaw bone": INNER, "Bolus": OUTER})
        expect(planes_of(source, 2), {"Bolus": INNER})
        assert not planes_of(source, 1)["Jaw bone"].any()


def test_fractional_segments_need_a_threshold(tmp_path: Path) -> None:
    fractions = np.where(INNER, 200, np.where(OUTER, 90, 0))
    path = write_segmentation(tmp_path / "seg.dcm", "1.2.3", [(0, 1, fractions)], SEGMENTS[:1], kind="FRACTIONAL")
    with pytest.raises(DatasetError, match=r"fractional.*threshold"):
        open_source(path)
    for threshold, plane in ((0.5, INNER), (0.3, OUTER), (0.0, OUTER)):
        source = open_source(path, options=SourceOptions(threshold=threshold))
        expect(planes_of(source, 0), {"Jaw bone": plane})


def test_label_maps(tmp_path: Path) -> None:
    from foreign_masks import segmentation

    made = segmentation("1.2.3", [(1, 1, values())], SEGMENTS, "LABELMAP")
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.66.7"
    made.SegmentsOverlap = "NO"
    made.DimensionIndexSequence = made.DimensionIndexSequence[1:]
    for groups in made.PerFrameFunctionalGroupsSequence:
        del groups.SegmentIdentificationSequence
        groups.FrameContentSequence[0].DimensionIndexValues = [2]
    made.save_as(tmp_path / "seg.dcm", enforce_file_format=True)
    source = open_source(tmp_path / "seg.dcm")
    assert source.images[0].frame == 1
    expect(planes_of(source, 0), {"Jaw bone": INNER, "Bolus": OUTER & ~INNER})


def test_broken_segmentations_are_errors(tmp_path: Path) -> None:
    masks = [(0, 1, INNER), (1, 2, OUTER)]
    path = write_segmentation(tmp_path / "seg.dcm", "1.2.3", masks, SEGMENTS)
    content = path.read_bytes()
    for length in (len(content) - 60, len(content) - 600, 400):
        (tmp_path / "cut.dcm").write_bytes(content[:length])
        with pytest.raises(DatasetError):
            source = open_source(tmp_path / "cut.dcm", "dicom-seg")
            for image in source.images:
                source.planes(image)
    import pydicom

    made = pydicom.dcmread(path)
    for groups in made.PerFrameFunctionalGroupsSequence:
        del groups.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber
    made.save_as(tmp_path / "seg.dcm")
    with pytest.raises(DatasetError, match="does not reference exactly one frame"):
        open_source(path)
    write_recording(tmp_path / "film.dcm", grey_frames(2, HEIGHT, WIDTH))
    with pytest.raises(DatasetError, match="no DICOM segmentation"):
        open_source(tmp_path / "film.dcm", "dicom-seg")


# All of them


def test_unknown_files_are_described(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello")
    (tmp_path / "sub").mkdir()
    with pytest.raises(DatasetError, match=r"it is a folder with 1 \.txt, sub/.*coco"):
        open_source(tmp_path)
    with pytest.raises(DatasetError, match="it is a file of 5 bytes"):
        open_source(tmp_path / "a.txt")
    with zipfile.ZipFile(tmp_path / "annotations.zip", "w") as archive:
        archive.writestr("annotations.xml", "<annotations/>")
    with pytest.raises(DatasetError, match="an archive: unpack it first"):
        open_source(tmp_path / "annotations.zip")
    for missing in (tmp_path / "nothing", tmp_path / ("x" * 5000)):
        with pytest.raises(DatasetError, match="no such file"):
            open_source(missing)
    with pytest.raises(DatasetError, match=r"no import format 'voc'.*coco, nnunet, dicom-seg"):
        open_source(tmp_path, "voc")
    for name in SOURCES:
        with pytest.raises(DatasetError):
            open_source(tmp_path, name)


@settings(max_examples=60, deadline=None)
@given(content=st.binary(max_size=300), name=st.sampled_from(sorted(SOURCES)))
def test_any_bytes_are_at_most_an_error(content: bytes, name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("bytes")
    head = {"coco": b'{"images": 1, "annotations": 2, "categories": ', "dicom-seg": b"\0" * 128 + b"DICM"}.get(
        name, b""
    )
    for file in ("a.json", "dataset.json", "labels.json", "a.dcm", "a.png", "a.nii.gz"):
        (folder / file).write_bytes(head + content)
    for path in (folder, folder / "a.json", folder / "a.dcm"):
        with pytest.raises(DatasetError):
            open_source(path, name)


@pytest.mark.parametrize("name", ["coco", "png"])
def test_exported_datasets_have_clip_frame_and_states(tmp_path: Path, name: str) -> None:
    with Project.create(tmp_path / "project", THREE) as project:
        clip = project.add_clip(write_video(tmp_path / "a.mkv", grey_frames(3, HEIGHT, WIDTH))).id
        annotate(project, clip, 2, {"bolus": INNER, "pharynx": MaskState.EMPTY, "mandible": MaskState.NOT_VISIBLE})
        run_export(FORMATS[name], project, tmp_path / "out")
    source = open_source(tmp_path / "out")
    assert source.name == name
    (image,) = source.images
    assert (CaseKey(tmp_path / "project" / "case-key.json").recordings[image.clip], image.frame) == (clip, 2)
    assert image.states["pharynx"] is MaskState.EMPTY and image.states["mandible"] is MaskState.NOT_VISIBLE
    np.testing.assert_array_equal(planes_of(source, 0)["bolus"], INNER)
    assert [label.code for label in source.labels] == [None, None, "91609006"]
