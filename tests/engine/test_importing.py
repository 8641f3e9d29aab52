# SPDX-License-Identifier: Apache-2.0
"""Import from a file of another program to proposals: planned, shown, written, never over annotations."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from foreign_masks import write_coco, write_nnunet, write_planes, write_recording, write_segmentation
from small_project import THREE, annotate, disc, grey_frames, write_video
from vfss.cli.app import app
from vfss.cli.console import LEFT_OUT
from vfss.datasets import FORMATS, ExportOptions, run_export
from vfss.errors import DatasetError, ProjectError
from vfss.importing import ImportChoices, ImportPlan, open_source, plan_import, preview, write_plan
from vfss.importing.report import label_rows, plan_lines, structure_rows
from vfss.masks import Masks, MaskState
from vfss.project import Edit, Project
from vfss.project.second_readings import create_reading
from vfss.student import Proposal

HEIGHT, WIDTH, FRAMES = 24, 32, 5
INNER, OUTER = (disc(HEIGHT, WIDTH, y=12, x=14, radius=r) for r in (4, 8))
OTHER = disc(HEIGHT, WIDTH, y=6, x=20, radius=3)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.create(tmp_path / "project", THREE) as made:
        made.add_clip(write_video(tmp_path / "film.mkv", grey_frames(FRAMES, HEIGHT, WIDTH)), patient="p1")
        yield made


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """Bolus and jaw on all frames, the jaw overlapping; frame 0 has an unknown label."""
    images = {f"f_{t}.png": {"Bolus": np.roll(INNER, t, 1), "jaw": np.roll(OUTER, t, 1)} for t in range(FRAMES)}
    images["f_0.png"]["hyoid"] = OTHER
    return write_coco(tmp_path / "foreign" / "labels.json", images)


def clip_of(project: Project) -> str:
    return project.clips()[0].id


def planned(project: Project, path: Path, **choices) -> ImportPlan:
    return plan_import(project, open_source(path), ImportChoices(clip_of(project), **choices))


def test_a_plan_is_complete_and_writes_nothing(project: Project, coco: Path) -> None:
    caught: list[tuple[int, int]] = []
    source = open_source(coco)
    plan = plan_import(
        project, source, ImportChoices(clip_of(project)), progress=lambda *now: caught.append(now) or True
    )
    assert project.last_revision() == 0
    assert caught == [(n, FRAMES) for n in range(1, FRAMES + 1)]
    assert plan.complete
    assert plan.counts == {"bolus": FRAMES, "mandible": FRAMES}
    assert label_rows(plan) == [
        ("Bolus", "bolus", "5"),
        ("jaw", "mandible", "5"),
        ("hyoid", "no structure: left out", "-"),
    ]
    assert structure_rows(plan) == [("bolus", "5", "0", "0", "0"), ("mandible", "5", "0", "0", "0")]
    (problem,) = plan.problems
    assert problem.kind == "label" and "'hyoid'" in problem.text
    text = "\n".join(plan_lines(project, plan))
    assert "To write: 10 masks on 5 frames, as proposals that count when a person accepts them." in text
    assert "in order, as there is one for every frame" in text


def test_written_masks_are_exact_and_proposals(project: Project, coco: Path) -> None:
    report = write_plan(project, planned(project, coco), author="Ann")
    assert (report.written, report.frames, report.protected, report.same) == ({"bolus": 5, "mandible": 5}, 5, 0, 0)
    assert "none of them counts until a person accepts it" in report.lines()[0]
    for t in range(FRAMES):
        newest = project.newest(clip_of(project), t)
        assert set(newest) == {"bolus", "mandible"}
        np.testing.assert_array_equal(newest["bolus"].mask, np.roll(INNER, t, 1))
        np.testing.assert_array_equal(newest["mandible"].mask, np.roll(OUTER, t, 1))
        for revision in newest.values():
            assert (revision.state, revision.origin, revision.author) == (MaskState.PROPOSED, "import", "Ann")


def test_nothing_imported_counts_as_accepted(project: Project, coco: Path, tmp_path: Path) -> None:
    write_plan(project, planned(project, coco), author="Ann")
    clip = clip_of(project)
    assert project.annotated_frames(clip) == []
    assert set(np.unique(project.states(clip))) == {MaskState.UNSEEN, MaskState.PROPOSED}
    for edited in (False, True):
        with pytest.raises(DatasetError, match="nothing to export"):
            run_export(FORMATS["coco"], project, tmp_path / "out", ExportOptions(include_edited=edited))
    annotate(project, clip, 1, {"bolus": np.roll(INNER, 1, 1)}, author="Bob")
    report = run_export(FORMATS["coco"], project, tmp_path / "out")
    assert (report.images, report.planes) == (1, 1)
    assert report.left_out["proposed planes on exported frames"] == 1


ANNOTATIONS = {
    "accepted": (OTHER, MaskState.ACCEPTED),
    "edited": (OTHER, MaskState.EDITED),
    "empty": MaskState.EMPTY,
    "not visible": MaskState.NOT_VISIBLE,
}


@pytest.mark.parametrize("annotation", ANNOTATIONS)
def test_annotated_masks_stay_whatever_is_imported(project: Project, coco: Path, annotation: str) -> None:
    """Planned after the annotation, before it, as a separate edit, and written by a program that bypasses this one."""
    clip = clip_of(project)
    early = planned(project, coco)
    annotate(project, clip, 2, {"bolus": ANNOTATIONS[annotation]}, author="Bob")
    before = project.history(clip, 2, "bolus")
    plan = planned(project, coco)
    assert list(plan.protected()) == [(clip, 2, "bolus")]
    assert plan.counts == {"bolus": 4, "mandible": 5}
    assert "Kept, as annotated by a person: 1 mask: film.mkv frame 2 bolus." in plan_lines(project, plan)
    for either in (early, plan):
        report = write_plan(project, either, author="Ann")
        assert report.protected == 1
    with pytest.raises(ProjectError, match="is annotated"):
        project.write([Edit(clip, 2, "bolus", INNER, MaskState.PROPOSED)], author="Ann", origin="import")
    with closing(sqlite3.connect(project.folder / "vfss.sqlite")) as other, pytest.raises(sqlite3.IntegrityError):
        other.execute(
            "INSERT INTO revisions (clip, frame, structure, state, author, time, origin, method, mask) "
            "SELECT clip, 2, 'bolus', 1, 'Eve', time, 'import', 'import', mask FROM revisions WHERE origin = 'import'"
        )
    assert project.history(clip, 2, "bolus") == before
    assert project.newest(clip, 2)["mandible"].origin == "import"


def test_an_annotation_between_two_batches_stays(project: Project, coco: Path, monkeypatch) -> None:
    monkeypatch.setattr("vfss.importing.write.BATCH", 1)
    clip, plan = clip_of(project), planned(project, coco)

    def annotate_meanwhile(done: int, _total: int) -> bool:
        if done == 2:
            annotate(project, clip, 4, {"mandible": MaskState.EMPTY}, author="Bob")
        return True

    report = write_plan(project, plan, author="Ann", progress=annotate_meanwhile)
    assert (report.protected, report.written["mandible"]) == (1, 4)
    assert project.newest(clip, 4)["mandible"].state is MaskState.EMPTY


def test_a_stopped_import_is_resumed(project: Project, coco: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vfss.importing.write.BATCH", 2)
    report = write_plan(project, planned(project, coco), author="Ann", progress=lambda done, _: done < 4)
    assert report.cancelled and report.frames == 4 and sum(report.written.values()) == 8
    assert report.lines()[0].startswith("Stopped. Wrote 8 proposed masks on 4 frames")
    again = planned(project, coco)
    assert (again.same, again.counts) == (8, {"bolus": 1, "mandible": 1})
    report = write_plan(project, again, author="Ann")
    assert (report.same, report.written, report.cancelled) == (8, {"bolus": 1, "mandible": 1}, False)
    last = project.last_revision()
    report = write_plan(project, planned(project, coco), author="Ann")
    assert (report.written, report.same, project.last_revision()) == ({}, 10, last)


def test_a_stop_after_the_last_frame_is_no_stop(project: Project, coco: Path) -> None:
    assert not write_plan(project, planned(project, coco), author="Ann", progress=lambda *_: False).cancelled


def test_a_plan_that_was_stopped_is_not_written(project: Project, coco: Path) -> None:
    plan = plan_import(
        project, open_source(coco), ImportChoices(clip_of(project)), progress=lambda done, _total: done < 2
    )
    assert not plan.complete and len(plan.frames) == 2
    with pytest.raises(DatasetError, match="plan of the import is incomplete"):
        write_plan(project, plan, author="Ann")
    assert project.last_revision() == 0


def test_proposals_are_replaced_and_stay_in_the_history(project: Project, coco: Path) -> None:
    clip = clip_of(project)
    masks = Masks(np.stack([OTHER] * 3), np.full(3, MaskState.PROPOSED, np.uint8))
    project.write_proposals(clip, [Proposal(THREE.keys, masks, np.full(3, 0.5, np.float32), "st-1", clip, 3)])
    plan = planned(project, coco)
    assert plan.replaced == 2
    assert "They replace 2 proposals, which stay in the history." in plan_lines(project, plan)
    write_plan(project, plan, author="Ann")
    assert [revision.origin for revision in project.history(clip, 3, "bolus")] == ["proposal", "import"]
    assert project.newest(clip, 3)["pharynx"].author == "st-1"


def test_sizes_and_frames_that_do_not_fit_are_problems(project: Project, tmp_path: Path) -> None:
    images = {f"f_{t}.png": {"bolus": INNER} for t in (0, 1, 7)}
    images["f_1.png"] = {"bolus": INNER[:, :-1]}
    plan = planned(project, write_coco(tmp_path / "a.json", images))
    assert [(frame.frame, frame.write) for frame in plan.frames] == [(0, ("bolus",))]
    assert {problem.kind: problem.text for problem in plan.problems} == {
        "frame": "the clip film.mkv has only the frames 0 to 4: 1 (f_7.png (frame 7))",
        "size": "the image is 24x31, the clip film.mkv 24x32 (height x width): 1 (f_1.png)",
    }
    report = write_plan(project, plan, author="Ann")
    assert report.written == {"bolus": 1}
    assert len([line for line in report.lines() if line.startswith("Not imported: ")]) == 2


def test_a_damaged_file_costs_its_frame_only(project: Project, tmp_path: Path) -> None:
    folder = write_planes(tmp_path / "masks", {f"f_{t}.png": {"bolus": INNER} for t in range(FRAMES)})
    broken = folder / "bolus" / "f_3.png"
    broken.write_bytes(broken.read_bytes()[:60])
    plan = planned(project, folder)
    assert [frame.frame for frame in plan.frames] == [0, 1, 2, 4]
    assert [problem.kind for problem in plan.problems] == ["damaged"]
    assert "f_3.png" in plan.problems[0].text


def test_files_that_change_after_the_plan_are_an_error(project: Project, tmp_path: Path) -> None:
    folder = write_planes(tmp_path / "masks", {f"f_{t}.png": {"bolus": INNER} for t in range(FRAMES)})
    plan = planned(project, folder)
    write_planes(folder, {"f_4.png": {"bolus": np.zeros_like(INNER)}})
    with pytest.raises(DatasetError, match=r"not in f_4\.png any more.*plan the import again"):
        write_plan(project, plan, author="Ann")


def test_labels_united_are_one_mask(project: Project, tmp_path: Path) -> None:
    path = write_coco(tmp_path / "a.json", {"f_0.png": {"left jaw": INNER, "right jaw": OTHER}})
    with pytest.raises(DatasetError, match=r"none of the labels is a structure.*left jaw, right jaw.*--map"):
        planned(project, path)
    plan = planned(project, path, labels={"left jaw": "mandible", "right jaw": "mandible"})
    write_plan(project, plan, author="Ann")
    np.testing.assert_array_equal(project.masks(clip_of(project), 0).planes[2], INNER | OTHER)


def test_absence_is_not_imported(project: Project, tmp_path: Path) -> None:
    nothing = np.zeros_like(INNER)
    plan = planned(project, write_coco(tmp_path / "a.json", {"f_0.png": {"bolus": nothing, "pharynx": INNER}}))
    assert plan.counts == {"pharynx": 1}
    assert dict(plan.not_imported) == {"masks without pixels: absence is not imported": 1}


@pytest.mark.parametrize("name", ["coco", "png"])
def test_exported_datasets_are_imported_without_states_that_a_person_must_confirm(
    project: Project, tmp_path: Path, name: str
) -> None:
    clip = clip_of(project)
    annotate(project, clip, 1, {"bolus": INNER, "pharynx": OUTER, "mandible": MaskState.NOT_VISIBLE})
    annotate(project, clip, 3, {"bolus": MaskState.EMPTY, "pharynx": INNER})
    run_export(FORMATS[name], project, tmp_path / "out")
    with Project.create(tmp_path / "second", THREE) as second:
        second.add_clip(tmp_path / "film.mkv")
        key = project.folder / "case-key.json"
        with pytest.raises(DatasetError, match="name no clip of the project"):
            plan_import(second, open_source(tmp_path / "out"))
        plan = plan_import(
            second, open_source(tmp_path / "out"), ImportChoices(key=key)
        )  # no clip named: the dataset names it
        assert sum(plan.not_imported.values()) == 2
        assert any("not visible" in reason for reason in plan.not_imported) and any(
            "empty" in reason for reason in plan.not_imported
        )
        write_plan(second, plan, author="Ann")
        states = second.states(clip)
        for t, key, plane in ((1, "bolus", INNER), (1, "pharynx", OUTER), (3, "pharynx", INNER)):
            index = THREE[key].index
            assert states[t, index] == MaskState.PROPOSED
            np.testing.assert_array_equal(second.masks(clip, t).planes[index], plane)
        assert np.count_nonzero(states) == 3


def test_ignored_pixels_are_reported_and_the_rest_proposed(project: Project, tmp_path: Path) -> None:
    values = np.where(INNER, 1, np.where(OUTER, 2, 0))
    labels = {"background": 0, "bolus": 1, "ignore": 2}
    folder = write_nnunet(tmp_path / "d", labels, ".png", {f"labelsTr/c_{t}": values for t in range(FRAMES)})
    plan = planned(project, folder)
    assert (plan.unknown, plan.counts) == (FRAMES, {"bolus": FRAMES})
    assert any(line.startswith("On 5 frames the source marks pixels as unknown") for line in plan_lines(project, plan))


def test_a_volume_is_a_clip(project: Project, tmp_path: Path) -> None:
    volume = np.stack([np.roll(INNER, t, 1) for t in range(FRAMES)])
    folder = write_nnunet(tmp_path / "d", {"background": 0, "bolus": 1}, ".nii.gz", {"labelsTr/film": volume})
    write_plan(project, planned(project, folder), author="Ann")
    for t in range(FRAMES):
        np.testing.assert_array_equal(project.masks(clip_of(project), t).planes[0], volume[t])


def test_a_segmentation_finds_its_recording_by_itself(project: Project, tmp_path: Path) -> None:
    instance = write_recording(tmp_path / "swallow.dcm", grey_frames(4, HEIGHT, WIDTH, seed=2))
    clip = project.add_clip(tmp_path / "swallow.dcm").id
    masks = [(1, 1, INNER), (1, 2, OUTER), (3, 2, INNER)]
    segments = (("Bolus", None), ("Segment 2", "91609006"))
    path = write_segmentation(tmp_path / "seg.dcm", instance, masks, segments)
    plan = plan_import(project, open_source(path))
    assert dict(plan.labels.structures) == {"Bolus": "bolus", "Segment 2": "mandible"}
    write_plan(project, plan, author="Ann")
    stored = project.masks(clip, 1)
    np.testing.assert_array_equal(stored.planes[0], INNER)
    np.testing.assert_array_equal(stored.planes[2], OUTER)  # they overlap, and both are complete
    np.testing.assert_array_equal(project.masks(clip, 3).planes[2], INNER)


def test_two_files_of_one_frame_do_not_write_over_each_other(project: Project, tmp_path: Path) -> None:
    instance = write_recording(tmp_path / "swallow.dcm", grey_frames(4, HEIGHT, WIDTH, seed=2))
    clip = project.add_clip(tmp_path / "swallow.dcm").id
    (tmp_path / "segs").mkdir()
    write_segmentation(tmp_path / "segs" / "a.dcm", instance, [(0, 1, INNER)], (("Bolus", None),))
    write_segmentation(
        tmp_path / "segs" / "b.dcm", instance, [(0, 1, OTHER), (0, 2, OUTER)], (("Bolus", None), ("jaw", None))
    )
    plan = plan_import(project, open_source(tmp_path / "segs"))
    assert plan.counts == {"mandible": 1}  # which bolus is right is for a person to say
    (problem,) = plan.problems
    assert problem.kind == "twice" and "a.dcm, frame 1, b.dcm, frame 1: bolus" in problem.text
    write_plan(project, plan, author="Ann")
    np.testing.assert_array_equal(project.masks(clip, 0).planes[2], OUTER)
    write_segmentation(tmp_path / "segs" / "a.dcm", instance, [(0, 1, OTHER)], (("Bolus", None),))
    plan = plan_import(project, open_source(tmp_path / "segs"))
    assert plan.counts == {"bolus": 1} and not plan.problems  # equal masks are one


def test_a_second_reading_takes_nothing_from_others(project: Project, coco: Path) -> None:
    clip = clip_of(project)
    with Project.open(create_reading(project, "Bob", start="student").folder) as reading:
        with pytest.raises(ProjectError, match="cannot be imported into a second reading"):
            plan_import(reading, open_source(coco), ImportChoices(clip))
        with pytest.raises(ProjectError, match="second reading"):
            write_plan(reading, planned(project, coco), author="Ann")
        with pytest.raises(ProjectError, match="imports no masks"):
            reading.write([Edit(clip, 0, "bolus", INNER, MaskState.PROPOSED)], author="Ann", origin="import")


def test_the_preview_shows_outlines_in_the_schemas_colours(project: Project, coco: Path) -> None:
    plan = planned(project, coco)
    sheet = preview(project, plan, 2)
    assert sheet.dtype == np.uint8 and sheet.ndim == 3 and sheet.shape[2] == 3
    for key in ("bolus", "mandible"):
        assert (sheet == np.array(THREE[key].rgb, np.uint8)).all(axis=2).sum() > 20
    assert not (sheet == np.array(THREE["pharynx"].rgb, np.uint8)).all(axis=2).any()
    more = preview(project, plan, 99)
    assert more.shape[0] > sheet.shape[0]
    write_plan(project, plan, author="Ann")
    with pytest.raises(DatasetError, match="nothing to show"):
        preview(project, planned(project, coco))


KEYS = ("bolus", "pharynx", "mandible")
STATE = st.sampled_from([None, *MaskState])


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(states=st.lists(STATE, min_size=3 * FRAMES, max_size=3 * FRAMES), twice=st.booleans())
def test_annotations_stay_whatever_was_there(
    tmp_path_factory: pytest.TempPathFactory, states: list[MaskState | None], twice: bool
) -> None:
    folder = tmp_path_factory.mktemp("any")
    film = write_video(folder / "film.mkv", grey_frames(FRAMES, HEIGHT, WIDTH))
    images = {f"f_{t}.png": dict.fromkeys(KEYS, INNER) for t in range(FRAMES)}
    source = open_source(write_coco(folder / "a.json", images))
    with Project.create(folder / "project", THREE) as project:
        clip = project.add_clip(film).id
        keys = [(t, key) for t in range(FRAMES) for key in KEYS]
        edits = [
            Edit(clip, t, key, OTHER if state in (1, 2, 3) else None, state)
            for (t, key), state in zip(keys, states, strict=True)
            if state is not None
        ]
        if edits:
            project.write(edits, author="Bob", origin="hand")
        before = {(t, key): project.history(clip, t, key) for t, key in keys}
        for _ in range(1 + twice):
            write_plan(project, plan_import(project, source, ImportChoices(clip)), author="Ann")
        for place, state in zip(keys, states, strict=True):
            after = project.history(clip, *place)
            if state is not None and state.is_annotated:
                assert after == before[place]
            else:
                assert after[:-1] == before[place]
                assert (after[-1].origin, after[-1].state) == ("import", MaskState.PROPOSED)
                np.testing.assert_array_equal(after[-1].mask, INNER)


# The command line


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["import", *map(str, arguments)])


def complaint(result: Result, code: int = 1) -> str:
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result.stderr.strip().splitlines()[-1]


def test_without_write_the_command_only_shows_the_plan(project: Project, coco: Path, tmp_path: Path) -> None:
    result = run(project.folder, coco, "--clip", "film.mkv", "--preview", tmp_path / "sheet.png")
    assert result.exit_code == 0, result.output
    for text in ("jaw", "mandible", "no structure: left out", "To write: 10 masks on 5 frames", "Add --write"):
        assert text in result.stdout
    assert iio.imread(tmp_path / "sheet.png").ndim == 3
    assert project.last_revision() == 0


def test_the_command_writes_and_resumes(project: Project, coco: Path) -> None:
    arguments = (project.folder, coco, "--clip", clip_of(project), "--skip", "hyoid", "--author", "Ann", "--write")
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    assert "Wrote 10 proposed masks on 5 frames" in result.stdout
    assert project.newest(clip_of(project), 0)["bolus"].author == "Ann"
    result = run(*arguments)
    assert "Present already: 10 masks." in result.stdout and "Wrote 0 proposed masks" in result.stdout


def test_the_command_reports_what_was_not_imported(project: Project, coco: Path, tmp_path: Path) -> None:
    result = run(project.folder, coco, "--clip", tmp_path / "film.mkv", "--author", "Ann", "--write")
    assert complaint(result, LEFT_OUT) == "Not all masks could be imported."
    assert "Not imported: label 'hyoid'" in result.stdout
    assert project.newest(clip_of(project), 0).keys() == {"bolus", "mandible"}


def test_the_command_maps_and_numbers(project: Project, tmp_path: Path) -> None:
    folder = write_planes(tmp_path / "m", {"f_2.png": {"thing=1": INNER, "other": OUTER}})
    assert "--first-frame 1" in complaint(run(project.folder, folder, "--clip", "film.mkv", "--map", "other=bolus"))
    options = ("--clip", "film.mkv", "--map", "thing=1=pharynx", "--skip", "other", "--first-frame", "1")
    result = run(project.folder, folder, *options, "--format", "png", "--author", "Ann", "--write")
    assert result.exit_code == 0, result.output
    np.testing.assert_array_equal(project.masks(clip_of(project), 1).planes[1], INNER)


def test_the_command_takes_a_table_and_a_threshold(project: Project, tmp_path: Path) -> None:
    write_nnunet(tmp_path / "seg", {}, ".png", {f"f_{t}": INNER.astype(int) * 4 for t in range(FRAMES)})
    (tmp_path / "seg" / "dataset.json").unlink()
    (tmp_path / "names.json").write_text(json.dumps({"bolus": 4}), "utf-8")
    result = run(project.folder, tmp_path / "seg", "--clip", "film.mkv", "--labels", tmp_path / "names.json")
    assert "To write: 5 masks on 5 frames" in result.stdout
    seg = write_segmentation(tmp_path / "s.dcm", "1.2", [(0, 1, INNER * 200)], (("Bolus", None),), kind="FRACTIONAL")
    assert "fractional" in complaint(run(project.folder, seg, "--clip", "film.mkv"))
    result = run(project.folder, seg, "--clip", "film.mkv", "--threshold", "0.5")
    assert "To write: 1 masks on 1 frames" in result.stdout
    assert "names another recording, 1.2, for which you chose this clip" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "name no clip of the project"),
        (["--clip", "other.mkv"], "no clips of the project match 'other.mkv'"),
        (["--clip", "film.mkv", "--format", "dcm"], "no import format 'dcm'"),
        (["--clip", "film.mkv", "--map", "tooth=bolus"], "no label 'tooth'"),
        (["--clip", "film.mkv", "--map", "jaw=tooth"], "no structure 'tooth'"),
    ],
)
def test_the_command_asks_for_what_it_needs(project: Project, coco: Path, arguments: list[str], text: str) -> None:
    assert text in complaint(run(project.folder, coco, *arguments))


@pytest.mark.parametrize(
    "arguments", [["--map", "jaw"], ["--map", "jaw=c2", "--map", "jaw=c3"], ["--first-frame", "2"]]
)
def test_the_command_refuses_invalid_arguments(project: Project, coco: Path, arguments: list[str]) -> None:
    assert run(project.folder, coco, *arguments).exit_code == 2
