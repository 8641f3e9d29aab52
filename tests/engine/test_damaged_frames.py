# SPDX-License-Identifier: Apache-2.0
"""Frames and recordings that cannot be read: everything else goes on without them, and says so."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from damaged_clip import MAKERS, DamagedClip, smooth, write_damaged
from keyed_student import VFSS12, KeyedStudent
from small_project import annotate, disc, grey_frames, write_video
from vfss.cli.app import app
from vfss.cli.console import LEFT_OUT
from vfss.clips.readable import ReadableFrames, unreadable_frames
from vfss.evaluation.evaluate import evaluate
from vfss.masks import MaskState
from vfss.project import Project
from vfss.proposals.adapted_student import AdaptedRun
from vfss.proposals.student import ProposalRun, propose_clip
from vfss.student.readable import propose_readable
from vfss.wording import ranges

FRAMES, HEIGHT, WIDTH = 30, 48, 64


def proposed(project: Project, clip: str) -> list[int]:
    return [int(t) for t in np.flatnonzero((project.states(clip) == MaskState.PROPOSED).all(axis=1))]


def others(*damaged: int) -> list[int]:
    return [t for t in range(FRAMES) if t not in damaged]


def run(*arguments: object):
    return CliRunner().invoke(app, [str(one) for one in arguments], env={"COLUMNS": "300"})


@given(numbers=st.lists(st.integers(0, 60)))
def test_ranges_name_every_number_once(numbers: list[int]) -> None:
    named: list[int] = []
    for part in filter(None, ranges(numbers, at_most=99).split(", ")):
        first, _, last = part.partition(" to ")
        named += range(int(first), int(last or first) + 1)
    assert named == sorted(set(numbers))


def test_long_ranges_are_shortened() -> None:
    assert ranges([9, 1, 2, 3, 5]) == "1 to 3, 5, 9"
    assert ranges(range(0, 40, 2), at_most=2) == "0, 2 and 18 more"


@settings(deadline=None)
@given(damaged=st.sets(st.integers(0, 11)), frames=st.lists(st.integers(0, 11), unique=True))
def test_each_proposal_belongs_to_its_frame_whatever_is_damaged(damaged: set[int], frames: list[int]) -> None:
    pictures = np.arange(12, dtype=np.uint8)[:, None, None] * np.ones((1, HEIGHT, WIDTH), np.uint8)

    class Echo(KeyedStudent):
        def propose(self, given_frames: np.ndarray, **settings: object) -> list:
            self.seen = [*getattr(self, "seen", []), *(int(frame[0, 0]) for frame in given_frames)]
            return super().propose(given_frames, **settings)

    student, reader = Echo(VFSS12), ReadableFrames(DamagedClip.of(pictures, damaged))
    located = [t for t, _ in propose_readable(student, reader, frames)]
    assert located == [t for t in frames if t not in damaged] == getattr(student, "seen", [])
    assert set(reader.unreadable) == damaged & set(frames)


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("walk", ["stream", "step"])
def test_proposing_goes_on_past_damaged_frames(tmp_path: Path, kind: str, walk: str) -> None:
    path = write_damaged(tmp_path, kind, smooth(FRAMES, HEIGHT, WIDTH), [7, 20, 21])
    with Project.create(tmp_path / "project") as project:
        clip_id = project.add_clip(path).id
        with project.open_clip(clip_id) as clip:
            proposing = ProposalRun(project, clip, KeyedStudent(project.schema), range(FRAMES))
            batches = list(getattr(proposing, walk)())
        assert sum(batches, ()) == tuple(others(7, 20, 21))
        assert proposed(project, clip_id) == others(7, 20, 21)
        assert list(proposing.unreadable) == [7, 20, 21]
        assert proposing.done == proposing.total == FRAMES
        message = unreadable_frames(proposing.unreadable)
        assert message.startswith("3 frames cannot be read and are left out: 7, 20 to 21 (")


def test_progress_reaches_the_end_past_damaged_frames(tmp_path: Path) -> None:
    path = write_damaged(tmp_path, "png", smooth(FRAMES, HEIGHT, WIDTH), range(24, FRAMES))
    calls: list[tuple[int, int]] = []
    with Project.create(tmp_path / "project") as project:
        clip = project.add_clip(path).id
        done = propose_clip(
            project, KeyedStudent(project.schema), clip, range(FRAMES), lambda *call: calls.append(call) or True
        )
    assert (done.frames, len(done.unreadable), calls[-1]) == (24, 6, (FRAMES, FRAMES))


@pytest.fixture
def keyed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands propose with a student that needs no network."""
    monkeypatch.setattr("vfss.student.load_student", lambda *_, **__: KeyedStudent(VFSS12))


@pytest.mark.usefixtures("keyed")
def test_the_command_goes_on_with_later_frames_and_clips_and_names_what_it_left_out(tmp_path: Path) -> None:
    damaged = write_damaged(tmp_path / "a", "mjpeg", smooth(FRAMES, HEIGHT, WIDTH), [20])
    lost = write_video(tmp_path / "lost.mkv", grey_frames(4, HEIGHT, WIDTH))
    sound = write_video(tmp_path / "sound.mkv", grey_frames(20, HEIGHT, WIDTH, seed=1))
    with Project.create(tmp_path / "project") as project:
        clips = [project.add_clip(path).id for path in (damaged, lost, sound)]
    lost.unlink()
    result = run("propose", tmp_path / "project", "--device", "cpu", "--frames", "18:23")
    assert result.exit_code == LEFT_OUT, result.output
    errors = " ".join(result.stderr.split())
    assert "clip.avi: 1 frame cannot be read and is left out: 20 (" in errors
    assert "lost.mkv is left out: " in errors
    with Project.open(tmp_path / "project") as project:
        assert [proposed(project, clip) for clip in clips] == [[18, 19, 21, 22], [], [18, 19]]


@pytest.mark.usefixtures("keyed")
def test_the_command_exits_with_0_where_nothing_was_left_out(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "sound.mkv", grey_frames(2, HEIGHT, WIDTH))
    result = run("propose", clip, "--project", tmp_path / "project", "--device", "cpu")
    assert (result.exit_code, result.stderr.strip()) == (0, "")


def test_damage_is_remembered_and_tried_again_only_when_asked(tmp_path: Path) -> None:
    path = write_damaged(tmp_path, "png", smooth(FRAMES, HEIGHT, WIDTH), [7])
    sound = (path / "0006.png").read_bytes()
    with Project.create(tmp_path / "project") as project:
        clip_id, student = project.add_clip(path).id, KeyedStudent(project.schema)
        first = propose_clip(project, student, clip_id, range(FRAMES))
        assert list(first.unreadable) == list(project.frame_checks.damaged_frames(clip_id)) == [7]
        assert sorted(project.frame_checks.digests(clip_id)) == others(7)

        with project.open_clip(clip_id) as clip:  # as by another version of a decoder
            (path / "0007.png").write_bytes(sound)
            again = ProposalRun(project, clip, student, range(FRAMES))
            assert 7 not in sum(again.stream(), ()) and list(again.unreadable) == [7]
            alone = ProposalRun(project, clip, student, [7])
            assert list(alone.step()) == [(7,)] and not alone.unreadable and not alone.changed
        assert project.frame_checks.damaged_frames(clip_id) == {}
        assert 7 in project.frame_checks.digests(clip_id)


def test_a_recording_out_of_reach_is_not_remembered_as_damaged(tmp_path: Path) -> None:
    path = write_damaged(tmp_path, "png", smooth(FRAMES, HEIGHT, WIDTH), [])
    with Project.create(tmp_path / "project") as project:
        clip_id = project.add_clip(path).id
        with project.open_clip(clip_id) as clip:
            path.rename(tmp_path / "unmounted")
            run = ProposalRun(project, clip, KeyedStudent(project.schema), range(3, 9))
            assert not list(run.stream()) and list(run.unreadable) == list(range(3, 9))
        assert project.frame_checks.damaged_frames(clip_id) == {}


def test_frames_that_are_decoded_otherwise_than_before_are_proposed_on_and_named(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mkv", grey_frames(6, HEIGHT, WIDTH))
    with Project.create(tmp_path / "project") as project:
        clip = project.add_clip(path).id
        project.frame_checks.record(clip, {2: 1, 3: 1})
        outcome = propose_clip(project, KeyedStudent(project.schema), clip, range(6))
        assert outcome.frames == 6 and list(outcome.changed) == [2, 3]
        (warning,) = outcome.warnings(first=1)
        assert warning.startswith("2 frames are decoded differently than when first read: 3 to 4. ")


def test_a_clip_adapted_student_leaves_out_what_cannot_be_read(tmp_path: Path) -> None:
    path = write_damaged(tmp_path, "png", smooth(10, HEIGHT, WIDTH), [2, 4, 7])
    with Project.create(tmp_path / "project") as project:
        clip_id = project.add_clip(path).id
        mask = disc(HEIGHT, WIDTH, y=20, x=20, radius=8)
        for t in (1, 4, 6):  # the second key frame itself cannot be read
            annotate(project, clip_id, t, {"bolus": mask})
        with project.open_clip(clip_id) as clip:
            run = AdaptedRun(project, clip, KeyedStudent(project.schema), frames=(1, 6), parent="st-parent")
            stages = list(run.run())
        assert list(run.unreadable) == [2, 4, 7]
        assert stages[-1].done <= stages[-1].total
        states = project.states(clip_id)[:, project.schema["bolus"].index]
        assert [t for t in range(10) if states[t] == MaskState.PROPOSED] == [0, 3, 5, 8, 9]
        assert [t for t in range(10) if states[t] == MaskState.ACCEPTED] == [1, 4, 6]


def test_an_evaluation_leaves_out_and_names_what_cannot_be_read(tmp_path: Path) -> None:
    path = write_damaged(tmp_path / "a", "png", smooth(6, HEIGHT, WIDTH), [2])
    lost = write_video(tmp_path / "lost.mkv", grey_frames(4, HEIGHT, WIDTH))
    mask = disc(HEIGHT, WIDTH, y=20, x=20, radius=8)
    with Project.create(tmp_path / "project") as project:
        for clip in (project.add_clip(path).id, project.add_clip(lost).id):
            for t in (1, 2, 3):
                annotate(project, clip, t, {"bolus": mask, "c2": mask})
        lost.unlink()
        with contextlib.closing(sqlite3.connect(project.folder / "vfss.sqlite")) as connection, connection:
            connection.execute("DROP TRIGGER revisions_stay")
            connection.execute("UPDATE revisions SET mask = x'00' WHERE structure = 'c2' AND frame = 3")
        scores = evaluate(project, KeyedStudent(project.schema))
    assert scores["frames"] == 2
    assert (scores["structures"]["bolus"]["planes"], scores["structures"]["c2"]["planes"]) == (2, 1)
    damaged_mask, damaged_frame, missing = scores["left_out"]
    assert damaged_mask.startswith("pictures, frame 3, c2: ")
    assert damaged_frame.startswith("pictures, frame 2: ")
    assert missing.startswith("lost.mkv, 3 frames: ")
