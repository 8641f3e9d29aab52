# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import vfss
import vfss.phantom
from small_project import THREE, annotate, disc, grey_frames, write_stack, write_video
from vfss.cli.app import app
from vfss.cli.console import LEFT_OUT
from vfss.datasets import FORMATS, read_coco, read_png
from vfss.deidentify import CaseKey
from vfss.masks import MaskState
from vfss.project import Project
from vfss.student import Proposal, load_student

HEIGHT, WIDTH, FRAMES = 48, 40, 12


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def error_line(result: Result) -> str:
    """Return the only error line of a command that failed as expected."""
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    (line,) = result.stderr.strip().splitlines()
    return line


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_video(tmp_path / "clip.mkv", grey_frames(FRAMES, HEIGHT, WIDTH))


@pytest.fixture
def folder(tmp_path: Path, video: Path) -> Path:
    """A project whose frame 0 has the bolus accepted and c1 empty."""
    with Project.create(tmp_path / "project") as project:
        clip = project.add_clip(video).id
        mask = disc(HEIGHT, WIDTH, y=20, x=20, radius=6)
        annotate(project, clip, 0, {"bolus": mask, "c1": MaskState.EMPTY})
        return project.folder


def states(folder: Path) -> np.ndarray:
    with Project.open(folder) as project:
        return project.states(project.clips()[0].id)


def test_version() -> None:
    result = run("--version")
    assert result.exit_code == 0
    assert result.stdout.strip() == f"vfss {vfss.__version__}"


@pytest.mark.parametrize(
    "command", ["info", "propose", "export", "import", "check", "phantom", "evaluate", "students", "splits", "project"]
)
def test_every_command_explains_itself(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert "Usage" in result.stdout


def test_info_shows_properties_and_continues_after_a_damaged_recording(video: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video at all")
    result = run("info", tmp_path / "broken.mp4", video)
    assert "broken.mp4" in error_line(result)
    assert f"{HEIGHT} x {WIDTH} pixels" in result.stdout
    assert re.search(rf"frames\W+{FRAMES}\b", result.stdout)
    assert re.search(r"0 to 0\.\d+ s at (29|30)\.\d+ frames a second", result.stdout)
    assert vfss.clips.content_id(video) in result.stdout
    assert run("info", video).exit_code == 0


def test_propose_on_a_recording_makes_its_project(video: Path, tmp_path: Path) -> None:
    result = run("propose", video, "--project", tmp_path / "new", "--frames", "2:5", "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert "proposed on 3 frames of 12" in result.stdout
    assert np.flatnonzero((states(tmp_path / "new") == MaskState.PROPOSED).all(axis=1)).tolist() == [2, 3, 4]


def test_propose_continues_where_it_stopped(folder: Path) -> None:
    assert "on 1 frame of" in run("propose", folder, "--frames", "3", "--device", "cpu").stdout
    assert "on 11 frames" in run("propose", folder, "--device", "cpu").stdout
    assert "on 0 frames" in run("propose", folder, "--device", "cpu").stdout
    after = states(folder)
    assert (after[1:] == MaskState.PROPOSED).all()
    assert after[0, 0] == MaskState.ACCEPTED


def test_ctrl_c_keeps_what_is_done(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted:
        def __init__(self) -> None:
            student = load_student(device="cpu")
            self.id, self.schema, self._student = student.id, student.schema, student
            self.keys = student.keys

        def propose_each(
            self, frames: Iterable[np.ndarray], *, pixel_aspect: float = 1.0, **settings: object
        ) -> Iterator[Proposal]:
            for n, proposal in enumerate(self._student.propose_each(frames)):
                if n == 9:
                    raise KeyboardInterrupt
                yield proposal

    monkeypatch.setattr("vfss.student.load_student", lambda *_, **__: Interrupted())
    result = run("propose", folder)
    assert result.exit_code == 130
    assert "Traceback" not in result.output
    done = (states(folder)[1:] == MaskState.PROPOSED).all(axis=1)
    assert 0 < done.sum() < FRAMES - 1


def test_propose_names_what_is_missing(video: Path, folder: Path, tmp_path: Path) -> None:
    assert "--project" in error_line(run("propose", video))
    assert "nowhere" in error_line(run("propose", video, "--project", tmp_path / "x", "--student", "nowhere"))
    assert "no device" in error_line(run("propose", folder, "--device", "abacus"))
    result = run("propose", folder, "--frames", "a:b")
    assert result.exit_code == 2
    assert "not a range" in result.stderr


@pytest.mark.parametrize(("name", "read"), [("coco", read_coco), ("png", read_png)])
def test_export(folder: Path, tmp_path: Path, name: str, read) -> None:
    result = run("export", folder, "--format", name, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "1 frames with 2 planes" in result.stdout
    (image,) = read(tmp_path / "out")
    np.testing.assert_array_equal(image.masks.planes[0], disc(HEIGHT, WIDTH, y=20, x=20, radius=6))
    assert "not empty" in error_line(run("export", folder, "--format", name, "--out", tmp_path / "out"))


def test_export_of_unreviewed_recordings_needs_its_option(folder: Path, tmp_path: Path) -> None:
    with Project.open(folder) as project:
        project.reviews.withdraw(project.clips()[0].id, reviewer="reader one")
    error = error_line(run("export", folder, "--out", tmp_path / "out"))
    assert "were not reviewed" in error and "Export..." in error
    flag = "--i-accept-that-nobody-looked-at-the-pixels"
    assert run("export", folder, "--out", tmp_path / "out", flag).exit_code == 0
    assert read_coco(tmp_path / "out").manifest["pixels_reviewed"] is False


def test_export_names_its_formats(folder: Path, tmp_path: Path) -> None:
    assert "coco, png" in error_line(run("export", folder, "--format", "gif", "--out", tmp_path / "out"))
    helped = run("export", "--help").stdout
    assert all(name in helped for name in FORMATS)


def test_export_reports_recordings_that_cannot_be_read(folder: Path, tmp_path: Path) -> None:
    lost = write_video(tmp_path / "lost.mkv", grey_frames(2, HEIGHT, WIDTH, seed=1))
    with Project.open(folder) as project:
        annotate(project, project.add_clip(lost).id, 0, {"bolus": MaskState.EMPTY})
    lost.unlink()
    result = run("export", folder, "--out", tmp_path / "out")
    assert result.exit_code == LEFT_OUT and "not all recordings could be read" in result.stderr
    assert "lost.mkv" in result.stdout
    assert len(read_coco(tmp_path / "out")) == 1


def test_check_finds_damage(folder: Path, video: Path) -> None:
    result = run("check", folder, video)
    assert result.exit_code == 0, result.output
    assert "wrong" not in result.stdout
    video.write_bytes(video.read_bytes()[:300])
    result = run("check", folder, video)
    assert result.exit_code == 1
    assert result.stdout.count("wrong") >= 2


def test_evaluate_writes_the_figures_it_shows(folder: Path, tmp_path: Path) -> None:
    result = run("evaluate", folder, "--json", tmp_path / "figures.json", "--device", "cpu")
    assert result.exit_code == 0, result.output
    figures = json.loads((tmp_path / "figures.json").read_text("utf-8"))
    assert figures["frames"] == 1
    assert figures["student"] == load_student(device="cpu").id
    assert 0 <= figures["structures"]["bolus"]["dice"] <= 1
    assert list(figures["structures"]) == list(vfss.Schema.load().keys)
    assert f"{figures['mean_dice']:.3f}" in result.stdout


def test_evaluate_gives_the_reason_when_it_cannot(folder: Path, tmp_path: Path) -> None:
    with Project.create(tmp_path / "empty"):
        pass
    assert "no frame has an accepted structure" in error_line(run("evaluate", tmp_path / "empty"))
    out = tmp_path / "no" / "such" / "folder.json"
    assert "folder.json" in error_line(run("evaluate", folder, "--json", out))
    with Project.create(tmp_path / "three", THREE) as project:
        split = project.split(project.add_clip(tmp_path / "clip.mkv").patient)
    assert run("evaluate", tmp_path / "three", "--split", split).exit_code == 1
    assert run("evaluate", folder, "--split", "holdout").exit_code == 2


def test_students_are_listed_and_chosen(folder: Path) -> None:
    assert "the one that ships is used" in run("students", folder).stdout
    with Project.open(folder) as project:
        student = project.add_student(load_student(device="cpu").path, scores={"mean_dice": 0.875}, parent=None)
    assert "no-such" in error_line(run("students", folder, "--choose", "no-such"))
    result = run("students", folder, "--choose", student.id)
    assert result.exit_code == 0
    assert student.id in result.stdout
    assert "0.875" in result.stdout
    with Project.open(folder) as project:
        assert project.current_student().id == student.id
    assert run("propose", folder, "--frames", "1", "--student", student.id, "--device", "cpu").exit_code == 0


def test_a_phantom_goes_through_all_commands(tmp_path: Path) -> None:
    made = run("phantom", "--out", tmp_path, "--clips", "2", "--frames", "3", "--seed", "100007", "--size", "96")
    assert made.exit_code == 0, made.output
    project, clips = tmp_path / "project", sorted((tmp_path / "clips").iterdir())
    assert {clip.suffix for clip in clips} == {".mp4", ".dcm"}
    assert run("check", project, *clips).exit_code == 0
    assert run("evaluate", project, "--json", tmp_path / "figures.json", "--device", "cpu").exit_code == 0
    assert json.loads((tmp_path / "figures.json").read_text("utf-8"))["frames"] == 6
    assert run("export", project, "--out", tmp_path / "out").exit_code == 0
    truth = {path.stem: vfss.phantom.Phantom(seed, n_frames=3, height=96, width=96) for path, seed in seeds(clips)}
    with Project.open(project) as opened:
        names = CaseKey(project / "case-key.json")
        stems = {names.recording(record.id): record.path.stem for record in opened.clips()}
    images = list(read_coco(tmp_path / "out"))
    assert len(images) == 6
    for image in images:
        phantom = truth[stems[image.clip]]
        known = image.masks.state == MaskState.ACCEPTED
        assert known.any()
        np.testing.assert_array_equal(image.masks.planes[known], phantom.planes(image.frame)[known])


def test_phantom_refuses_what_it_cannot_draw(tmp_path: Path) -> None:
    assert "even" in error_line(run("phantom", "--out", tmp_path / "odd", "--size", "97"))
    assert "unheard" in error_line(run("phantom", "--out", tmp_path / "style", "--style", "unheard"))
    assert not list(tmp_path.iterdir())


def seeds(clips: list[Path]) -> list[tuple[Path, int]]:
    return [(path, int(path.stem.removeprefix("phantom_"))) for path in clips]


@pytest.mark.parametrize("command", [["students"], ["evaluate"], ["check"], ["export", "--out", "out"], ["propose"]])
def test_a_folder_that_is_no_project(tmp_path: Path, command: list[str]) -> None:
    result = run(*command, tmp_path)
    assert result.exit_code == 1
    assert "Traceback" not in result.output


def vfss_process(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False, timeout=60)


def test_a_real_process_ends_with_one_line_and_code_1(tmp_path: Path) -> None:
    done = vfss_process("-c", "from vfss.cli import main; main()", "students", str(tmp_path / "nothing"))
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert "nothing" in done.stderr


def test_the_command_line_starts_light() -> None:
    done = vfss_process("-c", "import sys, vfss.cli; print(*sys.modules)")
    loaded = set(done.stdout.split())
    assert "vfss.cli" in loaded
    assert not loaded & {"torch", "openvino", "onnx", "scipy", "pycocotools", "av", "pydicom", "imageio"}


def test_a_project_of_ones_own_schema(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(
        "id: hand\nversion: '1'\nstructures:\n"
        "  - {key: mc1, name: First metacarpal, colour: '#112233'}\n  - {key: skin, name: Skin, colour: '#445566'}\n"
    )
    made = run("project", "new", tmp_path / "own", "--schema", file)
    assert made.exit_code == 0, made.output
    assert "2 structures of hand 1" in made.stdout
    with Project.open(tmp_path / "own") as project:
        assert project.schema.keys == ("mc1", "skin")
    assert "project" in error_line(run("project", "new", tmp_path / "own", "--schema", file))
    assert "no such schema" in error_line(run("project", "new", tmp_path / "other", "--schema", "absent.yaml"))
    assert not (tmp_path / "other").exists()


def test_splits_are_listed_and_assigned(folder: Path) -> None:
    with Project.open(folder) as project:
        patient = project.clips()[0].patient
    listed = run("splits", folder)
    assert listed.exit_code == 0, listed.output
    assert re.search(rf"{re.escape(patient)} +│ 1 +│ 1 +│ open", listed.stdout)
    refused = run("splits", folder, "--assign", f"{patient}=val")
    assert refused.exit_code == 1 and "not confirmed" in refused.stderr
    with Project.open(folder) as project:
        project.update_clip(project.clips()[0].id, patient=patient)
    assigned = run("splits", folder, "--assign", f"{patient}=val")
    assert re.search(rf"{re.escape(patient)} +│ 1 +│ 1 +│ validation", assigned.stdout)
    assert "stays there" in error_line(run("splits", folder, "--assign", f"{patient}=train"))
    assert "no patient 'nobody'" in error_line(run("splits", folder, "--assign", "nobody=train"))
    assert "unknown split 'first'" in error_line(run("splits", folder, "--assign", f"{patient}=first"))
    assert run("splits", folder, "--assign", patient).exit_code == 2


def test_a_frame_rate_is_typed_and_withdrawn(tmp_path: Path) -> None:
    folder, stack = tmp_path / "timed", write_stack(tmp_path / "silent.tif", grey_frames(4, HEIGHT, WIDTH))
    with Project.create(folder, THREE) as project:
        clip = project.add_clip(stack).id
    assert "assumed 30 frames a second" in run("info", stack).stdout
    result = run("project", "set", folder, "silent.tif", "--frame-rate", "15")
    assert "15 frames a second, typed by a person" in result.stdout
    with Project.open(folder) as project, project.open_clip(clip) as opened:
        assert (opened.times_from, opened.times_s[3]) == ("person", pytest.approx(0.2))
    for wrong in ("30030", "0.5", "nan", "fast"):
        assert run("project", "set", folder, clip, "--frame-rate", wrong).exit_code != 0
    assert "assumed 30" in run("project", "set", folder, clip[:12], "--frame-rate", "file").stdout
    assert run("project", "set", folder, "other.tif", "--frame-rate", "15").exit_code == 1


def test_students_are_listed_used_and_rolled_back(tmp_path: Path) -> None:
    path = load_student(device="cpu").path
    with Project.create(tmp_path / "project") as project:
        student = project.add_student(path, scores={}, parent=None).id
        project.shelf.describe(student, name="clinic")
    folder = str(tmp_path / "project")
    result = run("student", "list", folder)
    assert result.exit_code == 0 and "clinic" in result.stdout and "as shipped" in result.stdout
    refused = run("student", "use", folder, "clinic")
    assert refused.exit_code == 1 and "--nevertheless" in " ".join(refused.stderr.split())
    assert run("student", "use", folder, "clinic", "--nevertheless").exit_code == 0
    with Project.open(tmp_path / "project") as project:
        assert project.current_student().id == student
    assert "as shipped proposes again" in run("student", "rollback", folder).stdout
    assert run("student", "rollback", folder).exit_code == 1
    unknown = run("student", "use", folder, "st-none")
    assert unknown.exit_code == 1 and "It has: clinic" in " ".join(unknown.stderr.split())
