# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from small_project import grey_frames, write_video
from vfss.errors import DatasetError, ProjectError, SchemaError
from vfss.importing.labels import candidates, match_labels
from vfss.importing.matching import FrameMatch, match_frames
from vfss.importing.names import read_names
from vfss.importing.problems import Problems
from vfss.importing.recordings import ImportChoices
from vfss.importing.source import ForeignImage, ForeignLabel, ForeignPlanes
from vfss.project import Project
from vfss.schema import Schema

SCHEMA = Schema.load()
FRAMES = 6


@pytest.mark.parametrize(
    ("label", "key"),
    [
        ("bolus", "bolus"),
        ("Bolus", "bolus"),
        ("C2 vertebra", "c2"),
        ("vertebra_c2", "c2"),
        ("c2-vertebral-body", "c2"),
        ("Cervical vertebra 2", "c2"),
        ("cervical_02", "c2"),
        ("C2 axis", "c2"),
        ("axis", "c2"),
        ("ATLAS", "c1"),
        ("jaw", "mandible"),
        ("Lower Jaw", "mandible"),
        ("contrast agent", "bolus"),
        ("airway structure", "airway"),
        ("pharynx_mask", "pharynx"),
    ],
)
def test_names_that_people_use(label: str, key: str) -> None:
    assert candidates(ForeignLabel(label), SCHEMA) == (key,)


@pytest.mark.parametrize("label", ["hyoid", "c8", "vertebra", "2", "", "tongue", "left jaw", "c", "c22", "mask"])
def test_names_that_match_no_structure(label: str) -> None:
    assert candidates(ForeignLabel(label), SCHEMA) == ()


def test_codes_titles_and_contradictions() -> None:
    assert candidates(ForeignLabel("Segment 1", code="91609006"), SCHEMA) == ("mandible",)
    assert candidates(ForeignLabel("s1", title="Epiglottis"), SCHEMA) == ("epiglottis",)
    one_off = ForeignLabel("c3", code="39976000")  # the code of C2: vertebrae are named one level off
    assert candidates(one_off, SCHEMA) == ("c2", "c3")
    with pytest.raises(DatasetError, match=r"label 'c3' may be c2 or c3 \(code 39976000\).*--map"):
        match_labels([one_off], SCHEMA)
    assert match_labels([one_off], SCHEMA, {"c3": "c2"}).structures == {"c3": "c2"}


def test_a_persons_choice_of_labels_is_used() -> None:
    labels = [ForeignLabel(name) for name in ("jaw", "hyoid", "thing")]
    result = match_labels(labels, SCHEMA, {"thing": "airway", "jaw": None})
    assert dict(result.structures) == {"thing": "airway"}
    assert (result.skipped, result.unknown) == (("jaw",), ("hyoid",))
    with pytest.raises(DatasetError, match=r"no label 'other'.*jaw, hyoid, thing"):
        match_labels(labels, SCHEMA, {"other": "airway"})
    with pytest.raises(SchemaError, match="no structure 'tongue'"):
        match_labels(labels, SCHEMA, {"thing": "tongue"})


def test_labels_are_united_only_if_a_person_maps_each() -> None:
    labels = [ForeignLabel("jaw"), ForeignLabel("Mandible")]
    with pytest.raises(DatasetError, match=r"'jaw', 'Mandible' would all be mandible.*--map 'jaw'=mandible"):
        match_labels(labels, SCHEMA)
    with pytest.raises(DatasetError, match="would all be mandible"):
        match_labels(labels, SCHEMA, {"jaw": "mandible"})
    both = {"jaw": "mandible", "Mandible": "mandible"}
    assert dict(match_labels(labels, SCHEMA, both).structures) == both


@settings(max_examples=60, deadline=None)
@given(name=st.text(max_size=20))
def test_no_label_name_raises(name: str) -> None:
    assert set(candidates(ForeignLabel(name, title=name, code=name), SCHEMA)) <= set(SCHEMA.keys)


CLIP = "b2-" + "0a" * 20


def number_of(name: str) -> int | None:
    return read_names([name])[0].number


def exported(name: str) -> tuple[str, int | None]:
    read = read_names([name])[0]
    assert not read.addition
    return read.recording, read.frame


def test_numbers_and_clips_in_names() -> None:
    assert number_of("study 3/frame_0012.png") == 12
    assert number_of("frame_0012_c2.nii.gz") == 2
    assert number_of("frame.png") is None
    assert number_of("a" + "9" * 5000 + ".png") is not None  # any result but an exception
    assert exported(f"{CLIP}_000012.png") == (CLIP, 12)
    assert exported(f"{CLIP}_12.png") == (CLIP, None)
    assert exported(f"{CLIP}0_000012.png") == ("", None)


NAME = "clip-bcdf2345_000012"


@pytest.mark.parametrize(
    "name",
    [
        f"{NAME}.png",
        f"{NAME}_0000.png",  # nnU-Net, a picture
        f"images/train/{NAME}.JPG",  # CVAT, another suffix
        f"images\\Train\\{NAME}.PNG",
        f"{NAME}_png.rf.0123456789abcdef0123456789abcdef.jpg",  # Roboflow
        f"{NAME}_jpg.rf.aB3dE6gH9jK2mN5pQ8sT.png",
        f"0a1b2c3d-{NAME}.png",  # Label Studio
        f"/data/local-files/?d=vfss/{NAME}.png",
        f"https://host.org/a%20b/{NAME}.png?sig=1&x=2",
        f"{NAME} (1).png",
        f"{NAME}_mask.png",
        f"{NAME.upper()}.png",
        f"film%20one/{NAME}.tiff",
    ],
)
def test_exported_names_are_known_whatever_programs_add(name: str) -> None:
    assert exported(name) == ("clip-bcdf2345", 12)


@pytest.mark.parametrize(
    "name", ["myclip-bcdf2345_000012.png", "clip-aeiou123_000012.png", "clip-bcdf23456_000012.png", "clip_000012.png"]
)
def test_other_names_are_not_taken_for_exported_ones(name: str) -> None:
    assert read_names([name])[0].recording == ""


def test_altered_copies_of_an_exported_frame_are_told_from_it() -> None:
    for name in (f"{NAME}_flipped.png", f"{NAME}_aug_1.png", f"{NAME}-rotated90.png"):
        assert read_names([name])[0].addition


@pytest.mark.parametrize(
    ("names", "series"),
    [
        (["a_1.png", "a_2.png"], {"a"}),
        (["a_1.png", "b_1.png"], {"a", "b"}),
        (["train/a_1.png", "val/a_2.png"], {"a"}),  # folders of a split
        (["one/1.png", "two/1.png"], {"one/", "two/"}),
        (["a%201.png", "a 2.png"], {"a"}),
        (["Mu\u0308ller_1.png", "M\u00fcller_2.png"], {"M\u00fcller"}),  # the two forms of Unicode
        (["case_1_0000.png", "case_2_0000.png"], {"case"}),
        (["0a1b2c3d-f_1.png", "1b2c3d4e-f_2.png", "12345678-f_3.png"], {"f"}),
        (["20240101-f_1.png", "20240102-f_1.png"], {"20240101-f", "20240102-f"}),  # dates are no ids
        (["f_1_png.rf.00ff00ff00ff00ff.jpg", "f_2_png.rf.11ee11ee11ee11ee.jpg"], {"f"}),
    ],
)
def test_files_of_one_recording_share_what_precedes_the_number(names: list[str], series: set[str]) -> None:
    assert {name.series for name in read_names(names)} == series


def test_numbers_are_those_of_the_frame_and_not_of_what_was_added() -> None:
    assert [name.number for name in read_names(["f_7_png.rf.00ff00ff00ff0123.jpg", "film%2012.png"])] == [7, 12]
    assert [name.number for name in read_names(["c_1_0000.png", "c_2_0000.png"])] == [1, 2]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(max_size=40), max_size=4))
def test_any_name_is_read(names: list[str]) -> None:
    assert len(read_names(names)) == len(names)


@dataclasses.dataclass
class Images:
    """A source of images only."""

    images: Sequence[ForeignImage]
    labels: Sequence[ForeignLabel] = ()
    problems: Sequence[str] = ()
    name = "png"
    title = "PNG"
    path = Path("somewhere")

    def planes(self, image: ForeignImage) -> ForeignPlanes:
        raise NotImplementedError


def images(*names: str, **more: object) -> Images:
    return Images([ForeignImage(i, name, 24, 32, **more) for i, name in enumerate(names)])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("match")
    with Project.create(folder / "project") as made:
        for seed in range(2):
            made.add_clip(write_video(folder / f"film{seed}.mkv", grey_frames(FRAMES + seed, 24, 32, seed=seed)))
        yield made


def ids(project: Project) -> list[str]:
    return [record.id for record in project.clips()]


def frames_of(result: FrameMatch) -> dict[str, int]:
    return {matched.image.name: matched.frame for matched in result.images}


def match(project: Project, source: Images, first_frame: int | None = None, clip: bool = True) -> FrameMatch:
    return match_frames(project, source, ImportChoices(ids(project)[0] if clip else None, {}, first_frame), Problems())


def test_numbers_from_0_and_from_1(project: Project) -> None:
    assert frames_of(match(project, images("f0.png", "f3.png"))) == {"f0.png": 0, "f3.png": 3}
    assert frames_of(match(project, images("f6.png", "f3.png"))) == {"f3.png": 2, "f6.png": 5}
    every = match(project, images(*(f"f{n}.png" for n in (6, 5, 4, 3, 2, 1))))
    assert frames_of(every) == {f"f{n}.png": n - 1 for n in range(1, 7)}


def test_ambiguous_numbers_are_an_error(project: Project) -> None:
    source = images("f2.png", "f4.png")
    with pytest.raises(DatasetError, match=r"numbers in the names are 2 to 4.*may be 0 or 1.*--first-frame"):
        match(project, source)
    assert frames_of(match(project, source, 0)) == {"f2.png": 2, "f4.png": 4}
    assert frames_of(match(project, source, 1)) == {"f2.png": 1, "f4.png": 3}
    with pytest.raises(DatasetError, match=r"2 to 9.*not of this clip"):
        match(project, images("f2.png", "f9.png"))
    with pytest.raises(DatasetError, match="0 or 1"):
        match(project, source, 2)
    with pytest.raises(DatasetError, match=r"number 7: a_7\.png, train/a_7\.png"):
        match(project, images("a_7.png", "train/a_7.png"))


def test_frames_beyond_the_clip_are_a_problem(project: Project) -> None:
    problems = Problems()
    result = match_frames(project, images("f0.png", "f6.png", "f9.png"), ImportChoices(ids(project)[0]), problems)
    assert frames_of(result) == {"f0.png": 0}
    (problem,) = problems.all()
    assert (problem.kind, problem.count) == ("frame", 2)
    assert "has only the frames 0 to 5: 2 (f6.png (frame 6), f9.png (frame 9))" in problem.text


def test_images_are_matched_by_order_only_where_the_counts_agree(project: Project) -> None:
    letters = images(*(f"{letter}.png" for letter in "fedcba"))
    assert frames_of(match(project, letters)) == {f"{letter}.png": i for i, letter in enumerate("abcdef")}
    counted_on = images(*(f"f{n}.png" for n in range(95, 101)))
    assert frames_of(match(project, counted_on)) == {f"f{n}.png": n - 95 for n in range(95, 101)}
    with pytest.raises(DatasetError, match=r"2 images have no number.*film0\.mkv has 6 frames"):
        match(project, images("a.png", "b.png"))


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(numbers=st.sets(st.integers(0, FRAMES + 3), min_size=1))
def test_no_number_is_ever_guessed(project: Project, numbers: set[int]) -> None:
    """Where a base is inferred, the other one is impossible, or the frames are consecutive."""
    source = images(*(f"f{n:03d}.png" for n in sorted(numbers)))
    low, high = min(numbers), max(numbers)
    try:
        result = match(project, source)
    except DatasetError:
        assert low >= 1 and high != FRAMES
        return
    base = {int(matched.image.name[1:4]) - matched.frame for matched in result.images}
    if len(numbers) == FRAMES == high - low + 1:
        assert base == {low}
    else:
        assert (base == {0} and low == 0) or (base == {1} and high == FRAMES)


def test_the_clip_is_stated_or_chosen(project: Project) -> None:
    second = ids(project)[1]
    with pytest.raises(DatasetError, match=r"2 images name no clip.*--clip.*film0\.mkv, film1\.mkv"):
        match(project, images("f0.png", "f1.png"), clip=False)
    with pytest.raises(ProjectError, match="has no clip b2-unknown"):
        match_frames(project, images("f0.png"), ImportChoices("b2-unknown"), Problems())
    stated = images("a.png", clip=second, frame=6)
    (matched,) = match(project, stated).images
    assert (matched.clip, matched.frame) == (second, 6)


def test_a_recording_that_is_not_in_the_project(project: Project) -> None:
    first, second = ids(project)
    stranger = ForeignImage(0, "s.png", 24, 32, clip="case-7", frame=2)
    with pytest.raises(DatasetError, match="names no clip of the project"):
        match(project, Images([stranger]), clip=False)
    result = match(project, Images([stranger]))  # a person chose the first clip
    assert frames_of(result) == {"s.png": 2}
    assert "names another recording, case-7, for which you chose this clip" in result.matched_by[first]
    other = dataclasses.replace(stranger, number=1, clip="case-8")
    with pytest.raises(DatasetError, match="of 2 recordings"):
        match(project, Images([stranger, other]))
    problems = Problems()
    known = dataclasses.replace(stranger, number=1, name="k.png", clip=second)
    result = match_frames(project, Images([stranger, known]), ImportChoices(first), problems)
    assert frames_of(result) == {"k.png": 2}
    assert [problem.text for problem in problems.all()] == ["the recording case-7 is not in the project: 1 (s.png)"]


def test_volumes_have_as_many_slices_as_the_clip_frames(project: Project) -> None:
    slices = [ForeignImage(t, f"v.nii, slice {t}", 24, 32, frame=t, depth=FRAMES, file="v.nii") for t in range(FRAMES)]
    assert len(match(project, Images(slices)).images) == FRAMES
    problems = Problems()
    short = [dataclasses.replace(image, depth=FRAMES - 1) for image in slices[:-1]]
    assert match_frames(project, Images(short), ImportChoices(ids(project)[0]), problems).images == ()
    assert problems.all()[0].text.startswith("the volume has 5 slices, the clip 6 frames: 5")


def test_images_are_numbered_alike(project: Project) -> None:
    mixed = [ForeignImage(0, "a_0.png", 24, 32), ForeignImage(1, "a_1.png", 24, 32, frame=1)]
    with pytest.raises(DatasetError, match="1 of 2 images state their frame"):
        match(project, Images(mixed))


def test_images_are_ordered_by_clip_and_frame(project: Project) -> None:
    order = np.random.default_rng(0).permutation(FRAMES)
    made = [
        ForeignImage(i, f"f{t}.png", 24, 32, clip=c, frame=int(t))
        for c in ids(project)[::-1]
        for i, t in enumerate(order)
    ]
    result = match(project, Images(made), clip=False)
    assert [(p.clip, p.frame) for p in result.images] == [(c, t) for c in ids(project) for t in range(FRAMES)]
