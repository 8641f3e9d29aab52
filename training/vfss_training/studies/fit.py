# SPDX-License-Identifier: Apache-2.0
"""Fit: train a student on phantom frames or on projects, and save it with its provenance and scores."""

from __future__ import annotations

import platform
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from vfss.comparison.comparing import (
    AGREEMENT,
    KEPT,
    PHANTOM_SCHEMA,
    Measured,
    StudentComparison,
    compare,
    frame_time,
    measure,
    measure_on_phantoms,
    needs_phantoms,
)
from vfss.errors import TrainingError
from vfss.evaluation.evaluate import PlaneScore
from vfss.evaluation.gate import Evidence
from vfss.project import Project
from vfss.project.hold_out import FrozenFrames
from vfss.schema import Schema
from vfss.student import Student, load_checkpoint, student_file
from vfss.student.checkpoint import Checkpoint
from vfss.student.config import StudentConfig
from vfss.student.network.student import StudentNetwork
from vfss.student.openvino_runtime import OpenVinoRuntime
from vfss_training.config.recipe import Recipe
from vfss_training.evaluation.score import score_on_phantoms
from vfss_training.loop.distributed import leads
from vfss_training.loop.reporting import versions
from vfss_training.loop.run import Run, train
from vfss_training.loop.task import Task
from vfss_training.model.export import export_agreement, pack
from vfss_training.model.initialise import from_scratch, from_student, sha256
from vfss_training.studies import sources
from vfss_training.studies.click_training import PromptTask, train_corrector
from vfss_training.studies.learnt import annotated_masks, learnt_by, not_learnt_notice
from vfss_training.studies.phantom import PhantomStudy
from vfss_training.studies.project import ProjectStudy

TRAINER = "vfss-train"
"""Who adds a student to a project after a training."""
NOTHING_HELD_OUT = (
    "Nothing is held out: every accepted frame is of a patient that is trained on, so no score can be given. Accept "
    "frames of patients that were never trained on, and hold them out before: vfss splits {} --assign PATIENT=test"
)


def fit_phantom(
    recipe: Recipe, out: Path, run: Run, *, backbone: Path | None, student: str | None
) -> Checkpoint | None:
    """Train on phantom frames alone and write the student to `out`.

    Args:
        recipe: Training recipe.
        out: File to write, replaced only at the end.
        run: Run settings (cache, events, cancellation).
        backbone: ImageNet weights for the backbone.
        student: Student to start from; overrides the recipe's `start`.

    Returns:
        The student; None in all processes of a run but the first.
    """
    schema = Schema.load()
    parent = starting_student(recipe, student)
    config = recipe.student if parent is None else recipe.start.grown(parent.config)
    network = _network(parent, config, schema, recipe, backbone)
    task = PhantomStudy(recipe, config, run, backbone).task(network)
    trained, record = train(task, run, parent)
    if not leads():
        return None
    record |= _train_prompts(trained, task, recipe, run)
    provenance = _provenance(recipe, run, parent) | record
    provenance["backbone_weights"] = None if backbone is None else {"file": backbone.name, "sha256": sha256(backbone)}
    compared = next((part.samples for part in task.held_out.values()), task.sources[0])
    checkpoint = pack(
        trained, config, schema, provenance=provenance, frames=sources.comparison_inputs(compared, config)
    )
    scores = score_on_phantoms(Student(checkpoint, OpenVinoRuntime(checkpoint)), recipe)
    saved = replace(checkpoint, scores=scores).save(out)
    run.events.emit(
        "done", student=saved.id, path=str(saved.path), scores=scores, previous_scores=None, chosen=record["chosen"]
    )
    return saved


def fit_project(
    folders: Sequence[Path],
    recipe: Recipe,
    run: Run,
    *,
    student: str | None,
    scratch: bool = False,
    backbone: Path | None = None,
    choose: bool | None = None,
) -> str | None:
    """Train on the accepted annotations of projects, score on held-out patients, register the new student.

    Args:
        folders: The projects; the first one gets the student, which is scored on its held-out patients.
        recipe: Training recipe.
        run: Run settings (cache, events, cancellation).
        student: Student to start from; None: the project's current one, else the default.
        scratch: Start from random weights instead.
        backbone: ImageNet weights for the backbone, if it starts from scratch.
        choose: Whether the new student proposes from now on; None: if the project had none of its own, and the gate
            (vfss.evaluation.gate) offers the new one.

    Returns:
        Id of the new student; None in all processes of a run but the first.
    """
    with ExitStack() as stack:
        projects = tuple(stack.enter_context(Project.open(folder)) for folder in folders)
        project = projects[0]
        previous = load_checkpoint(project.student_path(student))
        parent = None if scratch else previous
        config = previous.config if parent is not None else recipe.student
        network = _network(parent, config, project.schema, recipe, backbone)
        study = ProjectStudy(projects, recipe, config, run, backbone, parent)
        task = study.task(network)
        learnt = learnt_by(annotated_masks(task.sources[0], project.schema), project.schema, recipe, parent)
        _tell_beforehand(project, learnt, held_out=bool(task.held_out), run=run)
        trained, record = train(task, run, parent)
        if not leads():
            return None
        record |= _train_prompts(trained, task, recipe, run)
        provenance = _provenance(recipe, run, parent) | record | {"left_out": len(study.left_out)}
        compared = next((part.samples for part in task.held_out.values()), task.sources[0])
        frames = sources.comparison_inputs(compared, config)
        checkpoint = pack(trained, config, project.schema, provenance=provenance, frames=frames, learnt=learnt)
        agreement = None if frames is None else export_agreement(checkpoint, frames)
        return _register(project, checkpoint, previous, parent, run, choose=choose, agreement=agreement)


def _tell_beforehand(project: Project, learnt: Mapping[str, int], *, held_out: bool, run: Run) -> None:
    """Tell before the training, which may take hours, what it will not teach and that it cannot be scored."""
    if not_learnt := not_learnt_notice(project.schema, learnt):
        missing = [key for key in project.schema.keys if key not in learnt]
        run.events.emit("notice", message=not_learnt, not_learnt=missing)
    if not held_out:
        run.events.emit("notice", message=NOTHING_HELD_OUT.format(project.folder))


def fit_prompts(recipe: Recipe, out: Path, run: Run, *, student: str) -> Checkpoint:
    """Train a student to take prompts, on phantom frames, and write it to `out`; its proposals stay as they are.

    Args:
        recipe: Training recipe; its part `clicks` says how.
        out: File to write, replaced only at the end.
        run: Run settings (cache, events, cancellation).
        student: "default" or a file.
    """
    parent = load_checkpoint(student_file(student))
    config = replace(parent.config, prompted=True)
    network = from_student(parent, parent.schema, recipe.seed, config)
    task = PhantomStudy(recipe, config, run).task(network)
    record = _train_prompts(network, task, recipe, run, minutes=run.minutes)
    provenance = {**parent.provenance, "prompts": _provenance(recipe, run, parent) | record}
    compared = next((part.samples for part in task.held_out.values()), task.sources[0])
    frames = sources.comparison_inputs(compared, config)
    checkpoint = pack(network, config, parent.schema, provenance=provenance, frames=frames, learnt=parent.learnt)
    # Proposals are the parent's: what was measured of it holds, also on a processor that cannot measure it.
    scored = replace(
        checkpoint,
        scores=parent.scores,
        calibration=parent.calibration,
        precision={**parent.precision, **checkpoint.precision},
        mirror=parent.mirror or checkpoint.mirror,
        closer=parent.closer,
        int8=parent.int8,
    )
    saved = scored.save(out)
    run.events.emit("done", student=saved.id, path=str(saved.path), scores=dict(saved.scores), previous_scores=None)
    return saved


def _train_prompts(
    network: StudentNetwork, task: Task, recipe: Recipe, run: Run, *, minutes: float | None = None
) -> dict[str, Any]:
    """Train the corrector, if there is one and the recipe has steps for it; return its part of the provenance."""
    if network.corrector is None or not recipe.clicks.steps:
        return {}
    n = len(task.sources) if task.unlabelled is None else task.unlabelled
    prompts = PromptTask(network, task.config, task.schema, task.sources[:n], task.held_out)
    return {"clicks": train_corrector(prompts, recipe, run, minutes=minutes)}


def _network(
    parent: Checkpoint | None, config: StudentConfig, schema: Schema, recipe: Recipe, backbone: Path | None
) -> StudentNetwork:
    """Return the network to train, with the parent's weights or those of a new student."""
    if parent is not None:
        return from_student(parent, schema, recipe.seed, config)
    return from_scratch(config, schema, recipe.seed, backbone)


def _register(
    project: Project,
    checkpoint: Checkpoint,
    previous: Checkpoint,
    parent: Checkpoint | None,
    run: Run,
    *,
    choose: bool | None,
    agreement: float | None,
) -> str:
    """Compare the previous and the new student on the same frames, then register the new one as the last step."""
    frozen = project.hold_out.freeze(project.splits())
    before, after = (_on_hold_out(project, one, frozen, run) for one in (previous, checkpoint))
    scores = {"mean_dice": None} if after is None else _without_names(after.scores)
    work = Path(tempfile.mkdtemp(prefix="vfss-train-"))
    try:
        saved = replace(checkpoint, scores=scores).save(work / "student.safetensors")
        how = _how_they_run(previous, saved, agreement)
        phantoms = _on_phantoms((previous, saved), run) if needs_phantoms(frozen) else None
        comparison = compare(
            project.schema,
            (previous.id, saved.id),
            (previous.learnt_keys, saved.learnt_keys),
            how,
            hold_out=None if before is None or after is None else (before, after),
            phantoms=phantoms,
        )
        run.cancel.check()
        record = project.add_student(
            work / "student.safetensors",
            scores={**scores, AGREEMENT: agreement, KEPT: {previous.id: comparison.to_dict()}},
            parent=None if parent is None else parent.id,
            added_by=TRAINER,
        )
    finally:
        shutil.rmtree(work)
    in_use = _choose(project, saved, comparison, run, choose)
    outcome = {"previous": previous.id, "previous_scores": before and _without_names(before.scores), "in_use": in_use}
    verdict = comparison.verdict.to_dict()
    run.events.emit("done", student=saved.id, path=str(record.path), scores=scores, gate=verdict, **outcome)
    return saved.id


def _on_phantoms(
    students: tuple[Checkpoint, Checkpoint], run: Run
) -> tuple[tuple[PlaneScore, ...], tuple[PlaneScore, ...]] | None:
    """Score both students on phantoms; None if they have no structure of them in common."""
    old, new = students
    if not set(old.learnt_keys) & set(new.learnt_keys) & set(Schema.load(PHANTOM_SCHEMA).keys):
        return None
    loaded = [Student(one, OpenVinoRuntime(one)) for one in students]
    before, after = measure_on_phantoms(loaded, progress=_ticking(run, "comparing on phantoms"))
    return before, after


def _how_they_run(old: Checkpoint, new: Checkpoint, agreement: float | None) -> Evidence:
    """Return how long a frame takes, if the architectures differ, and how well the exported network agrees."""
    if old.config == new.config:
        return Evidence(None, agreement=agreement)
    side = 2 * new.config.input_size
    loaded = [Student(one, OpenVinoRuntime(one)) for one in (old, new)]
    before, after = frame_time(loaded, np.zeros((side, side), np.uint8))
    return Evidence(None, latency=(before, after), agreement=agreement)


def _choose(
    project: Project, student: Checkpoint, comparison: StudentComparison, run: Run, choose: bool | None
) -> bool:
    """Choose the new student if it is to propose from now on, and tell; return whether it was chosen."""
    current, verdict = project.current_student(), comparison.verdict
    if choose or (choose is None and current is None and verdict.passed):
        project.choose_student(student.id, author=TRAINER)
        run.events.emit(
            "notice", message=f"Student {student.id} was added to {project.folder} and proposes from now on."
        )
        return True
    proposing = "the student that ships" if current is None else f"student {current.id}"
    because = "" if verdict.passed else f" It is not offered: {' '.join(verdict.against)}"
    run.events.emit(
        "notice",
        message=f"Student {student.id} was added to {project.folder}; {proposing} goes on proposing.{because} "
        f"To propose with the new one: vfss students {project.folder} --choose {student.id}",
    )
    return False


def _on_hold_out(project: Project, checkpoint: Checkpoint, frozen: FrozenFrames, run: Run) -> Measured | None:
    """Score a student on the frozen hold-out at the frames' own size; None if it knows no structure of the project."""
    if set(checkpoint.learnt_keys).isdisjoint(project.schema.keys):
        return None
    student = Student(checkpoint, OpenVinoRuntime(checkpoint))
    return measure(project, student, frozen, progress=_ticking(run, "comparing on held-out patients"))


def _without_names(scores: Mapping[str, Any]) -> dict[str, Any]:
    """Return scores without the id, which depends on them, and without what a student must not carry.

    The messages name files, and patients are as somebody typed them.
    """
    counts = {name: len(scores[name]) for name in ("left_out", "patients")}
    kept = {name: value for name, value in scores.items() if name != "student"}
    return kept | counts | {"splits": list(sources.HELD_OUT)}


def _ticking(run: Run, what: str) -> Callable[[int, int], bool]:
    """Return a progress callback that lets a person cancel."""
    tick = sources.prepare_progress(run, what)

    def progress(done: int, total: int) -> bool:
        run.cancel.check()
        tick(done, total)
        return True

    return progress


def starting_student(recipe: Recipe, student: str | None) -> Checkpoint | None:
    """Return the student to start from, named by the command line or else by the recipe; None: from scratch.

    Raises:
        TrainingError: The file has another hash than the recipe says.
    """
    name = student or recipe.start.student
    if not name:
        return None
    path = student_file(name)
    expected = recipe.start.sha256
    if student is None and expected and path.is_file() and sha256(path) != expected:
        raise TrainingError(
            f"recipe {recipe.name!r} starts from another student than this one, whose sha256 is {sha256(path)}",
            path=path,
            remedy=f"Name the one with sha256 {expected} by --student, or change the recipe.",
        )
    return load_checkpoint(path)


def _provenance(recipe: Recipe, run: Run, parent: Checkpoint | None) -> dict[str, Any]:
    """Return what the student's file records of its making."""
    return {
        "command": run.command,
        "recipe": recipe.to_dict(),
        "seed": recipe.seed,
        "parent": None if parent is None else parent.id,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {name: version for name, version in versions().items() if name != "python"},
        "python": platform.python_version(),
    }
